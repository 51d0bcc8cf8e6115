//! The first connection to a database, and in plain words why there is none.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{code, one_line, sqlstate};

/// How long a start waits for the database.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a server that is just starting is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The oldest PostgreSQL that is supported, as the server counts versions.
const OLDEST: u32 = 14_00_00;

/// Opens one connection, or says why not in one line, without user and password.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, String> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let db = loop {
        match timeout_at(deadline, options.connect()).await {
            Ok(Ok(db)) => break db,
            Ok(Err(error)) if is_starting(&error) && Instant::now() + ASK_AGAIN < deadline => sleep(ASK_AGAIN).await,
            Ok(Err(error)) => return Err(in_words(&error)),
            Err(_) => return Err(format!("it does not answer within {} seconds", CONNECT_TIMEOUT.as_secs())),
        }
    };
    match db.server_version_num() {
        Some(version) if version < OLDEST => {
            Err(format!("it is PostgreSQL {}; Claviger needs 14 or later", version / 10_000))
        }
        _ => Ok(db),
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    sqlstate(error).as_deref() == Some(code::STARTING_UP)
}

/// Why a connection could not be opened, or a statement at the start failed. The server's own words are not passed on
/// where they name the user.
pub(crate) fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => of_network(error),
        sqlx::Error::Tls(why) if why.to_string() == "server does not support TLS" => {
            "TLS is demanded by sslmode, and the server does not offer it".to_owned()
        }
        sqlx::Error::Database(_) => of_server(error),
        other => one_line(other),
    }
}

fn of_network(error: &io::Error) -> String {
    let said = error.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there: the connection was refused".to_owned(),
        io::ErrorKind::NotFound => "there is no socket: the server is not running, or has it elsewhere".to_owned(),
        // The resolver's failures have no kind of their own.
        _ if said.contains("failed to lookup address") => "its host is not known".to_owned(),
        io::ErrorKind::InvalidData if said.contains("certificate") => {
            format!(
                "its certificate is not trusted ({}); sslrootcert names the authority that signed it",
                said.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        }
        io::ErrorKind::InvalidData => format!("TLS with it failed: {said}"),
        _ => format!("the connection broke: {said}"),
    }
}

fn of_server(error: &sqlx::Error) -> String {
    match sqlstate(error).unwrap_or_default().as_str() {
        code::WRONG_PASSWORD => "its password or user is wrong".to_owned(),
        code::NOT_LET_IN => {
            "the server does not let this user in from here, perhaps without TLS: see its pg_hba.conf".to_owned()
        }
        code::NO_DATABASE => "there is no such database on the server; CREATE DATABASE makes one".to_owned(),
        code::STARTING_UP => "the server is starting up or shutting down".to_owned(),
        code::TOO_MANY_CONNECTIONS => "the server has no connection left (max_connections)".to_owned(),
        code::NO_SCHEMA => "no schema of its search_path exists".to_owned(),
        code::DISK_FULL => "its disk is full".to_owned(),
        code::LOCK_TIMEOUT => {
            "another session holds a lock on Claviger's tables, and does not let go (pg_locks shows which)".to_owned()
        }
        code::READ_ONLY => "it may only be read, not written; perhaps it is a standby".to_owned(),
        code::FORBIDDEN => {
            "its user may not use Claviger's tables; their owner gives the right with GRANT SELECT, INSERT, UPDATE, \
             DELETE ON ALL TABLES IN SCHEMA … TO …"
                .to_owned()
        }
        _ => one_line(error),
    }
}
