//! Starts that are refused: one line that names the setting and the mend, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use claviger_testkit::{Deployment, Ran, random_secret};

/// Every file and folder below a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, Vec::new());
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        found.insert(path, bytes);
    }
    found
}

/// The same without the database, which SQLite may tidy up while it looks at it.
fn contents_beside_the_database(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = contents(folder);
    contents.retain(|path, _| !path.to_str().unwrap().contains("claviger.db"));
    contents
}

/// What is wrong with a refusal, for the report of a test that has many of them.
fn faults(ran: &Ran, parts: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    if ran.code != Some(1) {
        faults.push(format!("exit code {:?}", ran.code));
    }
    if !ran.stdout.is_empty() {
        faults.push("something on stdout".to_owned());
    }
    if ran.stderr.lines().count() != 1 || !ran.stderr.starts_with("claviger: ") {
        faults.push("not one line".to_owned());
    }
    faults.extend(parts.iter().filter(|part| !ran.stderr.contains(**part)).map(|part| format!("no {part:?}")));
    faults
}

type Look = fn(&Path) -> BTreeMap<PathBuf, Vec<u8>>;

/// Asserts that a start is refused with one line that has all these parts, and changes nothing of what `look` sees.
fn assert_refused(deployment: &Deployment, look: Look, arguments: &[&str], parts: &[&str]) {
    let before = look(deployment.folder());
    let ran = deployment.run(arguments);
    let mut faults = faults(&ran, parts);
    let after = look(deployment.folder());
    for path in before.keys().chain(after.keys()) {
        if before.get(path) != after.get(path) {
            faults.push(format!("{} was changed", path.display()));
        }
    }
    assert!(faults.is_empty(), "{arguments:?}: {faults:?}\n{}", ran.stderr);
}

#[test]
fn a_bad_setting_is_named_with_what_it_must_be() {
    let rows: [(&str, &str, &[&str]); 17] = [
        ("CLAVIGER_LOG__LVEL", "info", &["log.lvel", "`level`"]),
        ("CLAVIGER_LISTEN", "127.0.0.1:0", &["setting listen", "`server`"]),
        ("CLAVIGER_PROVIDERS__OPENAI__BASEURL", "http://x", &["providers.openai.baseurl", "`base_url`"]),
        ("CLAVIGER_SERVER__LISTEN", "everywhere", &["server.listen", "address"]),
        ("CLAVIGER_SERVER__WORKERS", "0", &["server.workers", "1 to 1024"]),
        ("CLAVIGER_SERVER__PUBLIC_URL", "example.com", &["server.public_url", "https://"]),
        ("CLAVIGER_SERVER__SHUTDOWN_GRACE", "long", &["server.shutdown_grace", "5s"]),
        ("CLAVIGER_LOG__LEVEL", "loud", &["log.level", "debug", "info"]),
        ("CLAVIGER_LOG__FORMAT", "xml", &["log.format", "json", "text"]),
        ("CLAVIGER_CACHE__ENTRIES", "many", &["cache.entries", "integer"]),
        ("CLAVIGER_CACHE__ENTRIES", "0", &["cache.entries", "at least 1"]),
        ("CLAVIGER_GATEWAY__IDLE_TIMEOUT", "0s", &["gateway.idle_timeout", "5s"]),
        ("CLAVIGER_GATEWAY__REPLAY_LIMIT", "much", &["gateway.replay_limit", "8MiB"]),
        ("CLAVIGER_AUTH__ROOT_TOKEN", "too-short", &["auth.root_token", "32 to 256"]),
        ("CLAVIGER_PROVIDERS__OPENAI__BASE_URL", "ftp://x", &["providers.openai", "base_url", "https://"]),
        ("CLAVIGER_PROVIDERS__HOUSE__NAME", "House", &["providers.house", "base_url"]),
        ("CLAVIGER_VAULT__MASTER_KEY_FILE", "/nowhere/key", &["vault.master_key_file", "/nowhere/key", "such file"]),
    ];
    let mut wrong = Vec::new();
    for (name, value, parts) in rows {
        let deployment = Deployment::new().with(name, value);
        let ran = deployment.run(&["serve"]);
        let faults = faults(&ran, parts);
        if !faults.is_empty() {
            wrong.push(format!("{name}={value}: {faults:?}: {}", ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bad_setting_stops_the_first_start_before_anything_is_made() {
    let rows = [
        ("CLAVIGER_NONSENSE", "1"),
        ("CLAVIGER_LOG__LEVEL", "loud"),
        ("CLAVIGER_AUTH__ROOT_TOKEN", "too-short"),
        ("CLAVIGER_DATABASE__URL", "postgres://claviger@db.example/claviger"),
        ("CLAVIGER_DATABASE__URL", "sqlite://"),
        ("CLAVIGER_VAULT__MASTER_KEY", "no base64 of 32 bytes"),
        ("CLAVIGER_VAULT__MASTER_KEY_FILE", "/nowhere/key"),
    ];
    let mut made = Vec::new();
    for (name, value) in rows {
        let deployment = Deployment::new().with(name, value);
        assert_eq!(deployment.run(&["serve"]).code, Some(1), "{name}={value}");
        let found = contents(deployment.folder());
        if !found.is_empty() {
            made.push(format!("{name}={value} made {:?}", found.keys()));
        }
    }
    assert!(made.is_empty(), "{}", made.join("\n"));
}

#[test]
fn a_database_of_another_kind_is_named_as_the_setting_that_it_is() {
    let password = random_secret();
    let url = format!("mysql://claviger:{password}@db.example/claviger");
    let ran = Deployment::new().with("CLAVIGER_DATABASE__URL", &url).run(&["serve"]);
    assert_eq!(faults(&ran, &["database.url", "sqlite://", "postgres://"]), [""; 0], "{}", ran.stderr);
    assert!(!ran.stderr.contains(&password));
}

#[test]
fn a_bad_settings_file_is_named_with_what_is_wrong_in_it() {
    let rows: [(&str, &[&str]); 5] = [
        ("nonsense = 1", &["nonsense", "`server`"]),
        ("[server]\nlistn = \"127.0.0.1:0\"", &["server.listn", "`listen`"]),
        ("[gateway]\nidle_timeout = 5", &["gateway.idle_timeout", "5s"]),
        ("[auth]\nroot_token = \"short\"", &["auth.root_token", "32 to 256"]),
        ("[server\n", &["settings.toml", "line 1"]),
    ];
    for (text, parts) in rows {
        let deployment = Deployment::new().without("CLAVIGER_AUTH__ROOT_TOKEN");
        fs::write(deployment.folder().join("settings.toml"), text).unwrap();
        assert_refused(&deployment, contents, &["serve", "--config", "settings.toml"], parts);
    }
    assert_refused(
        &Deployment::new(),
        contents,
        &["serve", "--config", "missing.toml"],
        &["--config", "missing.toml", "no such"],
    );
}

#[test]
fn a_settings_file_in_the_folder_is_read_and_the_environment_goes_before_it() {
    let deployment = Deployment::new();
    let file = deployment.folder().join("claviger.toml");
    fs::write(&file, "[log]\nformat = \"json\"\n[server]\nlisten = \"nowhere\"").unwrap();
    let mut server = deployment.serve();
    server.process.kill();
    let log = server.process.stderr();
    assert!(log.lines().count() > 0 && log.lines().all(|line| line.starts_with('{')), "{log}");
}

#[test]
fn a_file_that_is_no_database_of_ours_is_left_alone() {
    let foreign: [(&str, Vec<u8>, &str); 3] = [
        ("a text", b"milk, bread, butter\n".repeat(500), "not a database of Claviger's"),
        ("half a header", b"SQLite format 3\0".repeat(40), "not a database of Claviger's"),
        ("of the future", newer_database(), "newer version of Claviger"),
    ];
    for (what, bytes, part) in foreign {
        let deployment = Deployment::new();
        fs::create_dir(deployment.data_dir()).unwrap();
        fs::write(deployment.data_dir().join("claviger.db"), bytes).unwrap();
        println!("{what}");
        assert_refused(&deployment, contents, &["serve"], &["claviger.db", part]);
        assert_refused(&deployment, contents, &["workspace", "list"], &["claviger.db", part]);
    }
}

#[test]
fn a_data_folder_that_is_a_file_is_named_as_that() {
    let deployment = Deployment::new();
    fs::write(deployment.data_dir(), "milk, bread, butter").unwrap();
    assert_refused(&deployment, contents, &["serve"], &["data_dir", "not a folder"]);
}

/// A deployment that was used and came to an orderly end.
async fn used() -> Deployment {
    let deployment = Deployment::new();
    let mut server = deployment.serve();
    server.workspace("acme").await;
    server.key("acme", "openai", &random_secret()).await;
    assert!(server.process.terminate().success());
    deployment
}

async fn assert_still_good(deployment: &Deployment) {
    let server = deployment.serve();
    assert_eq!(server.keys("acme").await[0]["status"], "active");
}

#[tokio::test]
async fn another_master_key_is_refused_and_both_are_named() {
    let deployment = used().await.with("CLAVIGER_VAULT__MASTER_KEY", &format!("{}A=", &random_secret()[..42]));
    let parts = ["vault.master_key", "not the one", "back to the first one"];
    assert_refused(&deployment, contents_beside_the_database, &["serve"], &parts);
    assert_refused(&deployment, contents_beside_the_database, &["token", "list"], &parts);
    assert_still_good(&deployment.without("CLAVIGER_VAULT__MASTER_KEY")).await;
}

#[tokio::test]
async fn a_refused_start_leaves_the_database_as_it_was_to_the_byte() {
    let deployment = used().await.with("CLAVIGER_VAULT__MASTER_KEY", &format!("{}A=", &random_secret()[..42]));
    assert_refused(&deployment, contents, &["serve"], &["not the one"]);
}

#[tokio::test]
async fn a_malformed_master_key_is_refused_and_not_shown() {
    let malformed = random_secret();
    let deployment = used().await.with("CLAVIGER_VAULT__MASTER_KEY", &malformed);
    assert_refused(
        &deployment,
        contents_beside_the_database,
        &["serve"],
        &["vault.master_key", "base64 of exactly 32 bytes"],
    );
    assert!(!deployment.run(&["serve"]).stderr.contains(&malformed));
    assert_still_good(&deployment.without("CLAVIGER_VAULT__MASTER_KEY")).await;
}

#[tokio::test]
async fn a_master_key_that_is_missing_is_not_made_anew() {
    let deployment = used().await;
    let file = deployment.data_dir().join("master.key");
    let away = deployment.folder().join("away.key");
    fs::rename(&file, &away).unwrap();
    assert_refused(
        &deployment,
        contents_beside_the_database,
        &["serve"],
        &["master.key", "missing", "Put it back", "vault.master_key"],
    );
    assert_refused(
        &deployment,
        contents_beside_the_database,
        &["workspace", "list"],
        &["master.key", "missing", "Put it back"],
    );
    fs::write(&file, "").unwrap();
    assert_refused(
        &deployment,
        contents_beside_the_database,
        &["serve"],
        &["master.key", "base64 of exactly 32 bytes"],
    );
    fs::rename(&away, &file).unwrap();
    assert_still_good(&deployment).await;
}

#[tokio::test]
async fn two_master_keys_are_one_too_many() {
    let deployment = used()
        .await
        .with("CLAVIGER_VAULT__MASTER_KEY", &format!("{}A=", &random_secret()[..42]))
        .with("CLAVIGER_VAULT__MASTER_KEY_FILE", "data/master.key");
    assert_refused(
        &deployment,
        contents_beside_the_database,
        &["serve"],
        &["vault.master_key", "vault.master_key_file", "keep one"],
    );
    assert_still_good(&deployment.without("CLAVIGER_VAULT__MASTER_KEY")).await;
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let mut running = Deployment::new().serve();
    let address = running.process.url().strip_prefix("http://").unwrap().to_owned();
    let second = used().await.with("CLAVIGER_SERVER__LISTEN", &address);
    let parts = [address.as_str(), "in use", "server.listen"];
    assert_refused(&second, contents_beside_the_database, &["serve"], &parts);
    running.process.kill();

    let other = TcpListener::bind(&address).unwrap();
    assert_refused(&second, contents_beside_the_database, &["serve"], &parts);
    drop(other);
    assert_still_good(&second).await;
}

#[test]
fn a_port_in_use_stops_the_first_start_before_a_root_token_is_shown() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let deployment = Deployment::new()
        .without("CLAVIGER_AUTH__ROOT_TOKEN")
        .with("CLAVIGER_SERVER__LISTEN", &taken.local_addr().unwrap().to_string());
    // A supervisor starts again and again; the one token must not be lost in the output of a start that failed.
    let ran = deployment.run(&["serve"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
}

#[test]
fn an_address_of_another_machine_is_named_as_the_setting_that_it_is() {
    // Of a network that is for documentation only.
    let deployment = Deployment::new().with("CLAVIGER_SERVER__LISTEN", "192.0.2.1:8787");
    let stderr = deployment.run(&["serve"]).stderr;
    let line = stderr.lines().last().unwrap();
    assert!(line.contains("server.listen") && line.contains("192.0.2.1:8787"), "{line}");
    assert_eq!(line.matches("os error").count(), 1, "said once: {line}");
}

/// A database of two pages: Claviger's mark in the header, and a list of migrations with one that nobody knows yet.
fn newer_database() -> Vec<u8> {
    const PAGE: usize = 512;
    let sql = "CREATE TABLE _sqlx_migrations (version BIGINT)";
    let name = "_sqlx_migrations";
    let text = |text: &str| u8::try_from(13 + 2 * text.len()).unwrap();
    let mut schema = vec![6, text("table"), text(name), text(name), 1, text(sql)];
    for part in ["table", name, name, "\u{2}", sql] {
        schema.extend(part.as_bytes());
    }
    let mut version = vec![2, 2];
    version.extend(9_000_u16.to_be_bytes());

    let mut file = leaf(PAGE, 100, &schema);
    file.extend(leaf(PAGE, 0, &version));
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"SQLite format 3\0");
    put(16, &u16::try_from(PAGE).unwrap().to_be_bytes());
    put(18, &[1, 1, 0, 64, 32, 32]);
    let (changes, pages, cookie, format, encoding) = (1_u32, 2_u32, 1_u32, 4_u32, 1_u32);
    for (at, number) in [(24, changes), (28, pages), (40, cookie), (44, format), (56, encoding), (92, changes)] {
        put(at, &number.to_be_bytes());
    }
    put(68, b"Clvg");
    put(96, &3_045_000_u32.to_be_bytes());
    file
}

/// A page that is a leaf of a table, with one row.
fn leaf(size: usize, header: usize, record: &[u8]) -> Vec<u8> {
    let mut page = vec![0; size];
    let row = [&[u8::try_from(record.len()).unwrap(), 1], record].concat();
    let start = size - row.len();
    page[start..].copy_from_slice(&row);
    let [high, low] = u16::try_from(start).unwrap().to_be_bytes();
    page[header..header + 10].copy_from_slice(&[13, 0, 0, 0, 1, high, low, 0, high, low]);
    page
}
