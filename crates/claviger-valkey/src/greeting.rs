//! Whether a server is one that can be used, and is used as what it is.

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, Value};

use crate::address::{Address, Node};
use crate::error::{Away, ConnectError, OpenError};
use crate::open::ask;

/// The oldest version that works, by what we use of it.
const OLDEST: (u32, u32) = (6, 2);
/// Where a server's words end in a log line.
const WORDS: usize = 200;

/// Greets a server, shows it the password, and looks what it is.
pub(crate) async fn greet(connection: &MultiplexedConnection, address: &Address, node: &Node) -> Result<(), OpenError> {
    let mut hello = redis::cmd("HELLO");
    hello.arg(2);
    if let Some(password) = &address.password {
        hello.arg("AUTH").arg(address.user.as_deref().unwrap_or("default")).arg(password);
    }
    hello.arg("SETNAME").arg("claviger");
    let answer = ask(connection, &hello, address, node).await?;
    let stranger = || ConnectError::Stranger { address: node.to_string(), what: "something like Redis" };
    let Value::Array(fields) = &answer else { return Err(stranger().into()) };
    let version = field(fields, "version").ok_or_else(stranger)?;
    let numbers = numbers(version).ok_or_else(stranger)?;
    let at = || node.to_string();
    if numbers < OLDEST {
        return Err(ConnectError::TooOld { address: at(), version: version.to_owned() }.into());
    }
    match (field(fields, "mode").unwrap_or("standalone"), address.cluster) {
        ("sentinel", _) => return Err(ConnectError::IsSentinel(at()).into()),
        ("cluster", false) => return Err(ConnectError::IsCluster(at()).into()),
        ("cluster", true) | (_, false) => {}
        (_, true) => return Err(ConnectError::IsNoCluster(at()).into()),
    }
    // In a cluster, a replica knows where the others are.
    if !address.cluster && field(fields, "role").is_some_and(|role| role != "master") {
        return Err(ConnectError::IsReplica(at()).into());
    }
    if address.database != 0 {
        let mut select = redis::cmd("SELECT");
        select.arg(address.database);
        ask(connection, &select, address, node).await?;
    }
    Ok(())
}

/// Reads what a server answers to the script.
pub(crate) fn hash(answer: &Value, node: &Node) -> Result<String, OpenError> {
    let hash = text(answer).ok_or_else(|| Away::Answers { address: node.to_string(), text: "no hash".to_owned() })?;
    Ok(hash.to_owned())
}

/// What an error of a new connection means.
pub(crate) fn judge(error: &RedisError, address: &Address, node: &Node) -> OpenError {
    let at = node.to_string();
    if error.kind() == ErrorKind::Io {
        return Away::Closed(at).into();
    }
    if error.kind() == ErrorKind::Parse {
        return ConnectError::Stranger { address: at, what: "something else" }.into();
    }
    let text = words(error, address);
    let has = |part: &str| text.contains(part);
    match error.code().unwrap_or_default() {
        "NOAUTH" => ConnectError::PasswordMissing(at).into(),
        "WRONGPASS" => ConnectError::PasswordWrong(at).into(),
        "NOPERM" => ConnectError::NoRight(at).into(),
        "DENIED" => ConnectError::Protected(at).into(),
        // The script was let in, but not what it does. Each version says that in words of its own.
        _ if has("NOPERM") || has("ACL failure") || has("can't run this command") || has("can't access") => {
            ConnectError::NoRight(at).into()
        }
        // It repeats what it does not know, and that holds the password.
        _ if has("unknown command") => ConnectError::TooOld { address: at, version: "5 or older".to_owned() }.into(),
        _ if has("DB index") => ConnectError::Database(at).into(),
        _ => Away::Answers { address: at, text }.into(),
    }
}

/// An error in the server's words: one line, and no password.
pub(crate) fn words(error: &RedisError, address: &Address) -> String {
    let mut text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    if let Some(password) = &address.password {
        text = text.replace(password.as_str(), "…");
    }
    text.lines().next().unwrap_or_default().chars().take(WORDS).collect()
}

fn field<'a>(fields: &'a [Value], name: &str) -> Option<&'a str> {
    let (pairs, _) = fields.as_chunks::<2>();
    pairs.iter().find(|[key, _]| text(key) == Some(name)).and_then(|[_, value]| text(value))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
