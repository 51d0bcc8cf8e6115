//! A real PostgreSQL. As clients, it has the program psql and bare sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output};

use claviger_test_services::{Database, Postgres, Search, new_mark, note_secret};

/// Asks over the network, as a test's own client does.
fn psql(url: &str, sql: &str) -> Output {
    Command::new("psql").args(["-X", "-A", "-t", "-w", "-c", sql, url]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_superuser_gets_in_and_a_wrong_password_is_refused() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.url("postgres");
    assert_eq!(text(&psql(&url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").stdout), "t\n");

    let (user, rest) = url.rsplit_once(':').and_then(|(start, port)| Some((start.rsplit_once(':')?.0, port))).unwrap();
    let refused = psql(&format!("{user}:wrong@127.0.0.1:{rest}"), "SELECT 1");
    assert!(text(&refused.stderr).contains("password authentication failed"), "{refused:?}");
    assert!(!refused.status.success());
}

#[test]
fn stopped_and_started_again_it_has_its_data_and_its_port() {
    let mut postgres = Postgres::start().unwrap();
    postgres.execute("postgres", "CREATE DATABASE kept;\nCREATE ROLE guest LOGIN PASSWORD 'none';").unwrap();
    postgres.execute("kept", "CREATE TABLE t (n int, s text); INSERT INTO t VALUES (1, 'a'), (2, 'b')").unwrap();
    let url = postgres.url("kept");

    postgres.stop().unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, postgres.port())).is_err());
    assert!(postgres.stop().is_err());
    postgres.start_again().unwrap();
    assert_eq!(postgres.url("kept"), url);
    assert_eq!(postgres.execute("kept", "SELECT * FROM t ORDER BY n").unwrap(), "1|a\n2|b");
    postgres.restart().unwrap();
    assert_eq!(text(&psql(&url, "SELECT count(*) FROM t").stdout), "2\n");
}

#[test]
fn on_a_full_disk_it_refuses_what_needs_room_and_has_all_else_until_there_is_room() {
    let mut postgres = Postgres::start().unwrap();
    let more = "INSERT INTO t SELECT repeat('x', 100) FROM generate_series(1, 200)";
    postgres.execute("postgres", &format!("CREATE TABLE t (s text); {more}")).unwrap();
    postgres.restart_on_a_full_disk("postgres").unwrap();
    let error = postgres.execute("postgres", more).unwrap_err().to_string();
    assert!(error.contains("could not extend file") && error.contains("No space left on device"), "{error}");
    assert_eq!(postgres.execute("postgres", "SELECT count(*) FROM t").unwrap(), "200");
    postgres.make_room().unwrap();
    postgres.execute("postgres", more).unwrap();
    assert_eq!(postgres.execute("postgres", "SELECT count(*) FROM t").unwrap(), "400");
    assert!(postgres.make_room().is_err());
}

#[test]
fn a_statement_that_fails_says_why() {
    let postgres = Postgres::start().unwrap();
    let error = postgres.execute("postgres", "SELECT 1; SELECT * FROM nowhere; SELECT 2").unwrap_err();
    assert!(error.to_string().contains(r#"relation "nowhere" does not exist"#), "{error}");
}

#[test]
fn a_dropped_server_is_gone_with_its_connections() {
    let postgres = Postgres::start().unwrap();
    let port = postgres.port();
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    // Asks whether the server speaks TLS, and so waits for the process that serves the connection.
    connection.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    connection.read_exact(&mut [0]).unwrap();

    drop(postgres);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(matches!(connection.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn one_with_a_certificate_refuses_connections_without_tls() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let postgres = Postgres::start_with_tls(&cert, &key).unwrap();
    let url = postgres.url("postgres");

    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), cert).unwrap();
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={}", root.path().display());
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = psql(&verified, sql);
    assert_eq!(text(&encrypted.stdout), "t\n", "{encrypted:?}");
    let plain = psql(&format!("{url}?sslmode=disable"), sql);
    assert!(text(&plain.stderr).contains("no encryption"), "{plain:?}");
}

/// Long, and of a kind that packs well.
fn long_text(secret: &str) -> String {
    format!("{}{secret}{}", "before ".repeat(2_000), " after".repeat(2_000))
}

#[test]
fn a_secret_is_found_in_tables_also_where_the_server_packs_it_and_cuts_it_into_pieces() {
    let postgres = Postgres::start().unwrap();
    let server = postgres.url("postgres");
    for (number, (column, value)) in [
        ("text", "'{}'"),
        ("bytea", "convert_to('{}', 'UTF8')"),
        ("jsonb", "jsonb_build_object('key', '{}')"),
        ("text[]", "ARRAY['{}']"),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = new_mark();
        let value = value.replace("{}", &long_text(&secret));
        let make = format!("CREATE TABLE t{number} (v {column}); INSERT INTO t{number} VALUES ({value})");
        postgres.execute("postgres", &make).unwrap();
        // All of it is on the disk.
        postgres.execute("postgres", "CHECKPOINT").unwrap();
        let search = Search::of([secret.as_str()]);
        assert!(postgres.search(&search).unwrap().iter().any(|found| found.contains("database postgres")), "{column}");
    }
    assert!(postgres.search(&Search::of([new_mark().as_str()])).unwrap().is_empty());
    drop(Database::on(&server, "innocent").unwrap());
}

#[test]
fn a_database_with_a_secret_fails_its_test_and_goes_all_the_same() {
    let postgres = Postgres::start().unwrap();
    let secret = new_mark();
    note_secret(&secret);
    let database = Database::on(&postgres.url("postgres"), "guilty").unwrap();
    let trail = format!("CREATE TABLE trail (entry text); INSERT INTO trail VALUES ('{}')", long_text(&secret));
    database.execute(&trail).unwrap();
    let failed = std::panic::catch_unwind(move || drop(database)).unwrap_err();
    let said = failed.downcast_ref::<String>().unwrap();
    assert!(said.contains("a test's secret stands in a table") && !said.contains(&secret), "{said}");
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'guilty%'";
    assert_eq!(postgres.execute("postgres", left).unwrap(), "0");
}
