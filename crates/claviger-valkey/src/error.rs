//! Why turns cannot be shared.
//!
//! All of it is one line for a person, and none of it holds a password.

use std::io;
use std::time::Duration;

/// The setting, or the server that it names, cannot be used: nothing that passes by itself. Each message says what to
/// change.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a URL of ours.
    #[error("valkey.url: {0}")]
    Url(&'static str),
    /// A query parameter that nobody knows.
    #[error("valkey.url: the parameter {0:?} is not known; there are cluster, node and ca")]
    Parameter(String),
    /// The CA file cannot be read.
    #[error("valkey.url: the file of certificates {path:?} of the parameter ca cannot be read: {reason}")]
    Ca {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no certificate roots.
    #[error("valkey.url: this system has no certificate roots: install ca-certificates, or name a file with ?ca=/path")]
    NoRoots,
    /// The cryptography library knows no TLS of a version that is safe.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// Something else than Valkey or Redis.
    #[error("valkey.url: {address} is {what}, and not a Valkey or Redis: write the host and port of one")]
    Stranger {
        /// Host and port.
        address: String,
        /// What it seems to be.
        what: &'static str,
    },
    /// A server that speaks TLS, and was not asked to.
    #[error("valkey.url: {0} speaks TLS: write rediss:// in the place of redis://")]
    TlsExpected(String),
    /// A server that does not speak TLS, and was asked to.
    #[error("valkey.url: {0} does not speak TLS: write redis:// in the place of rediss://")]
    TlsNotSpoken(String),
    /// A certificate that nobody we trust has signed, or that is for another host.
    #[error(
        "valkey.url: the certificate of {address} is not accepted ({reason}): name the file of its CA with ?ca=/path, and the host as the certificate does"
    )]
    Certificate {
        /// Host and port.
        address: String,
        /// What the verifier said.
        reason: String,
    },
    /// No password in the URL, but the server asks for one.
    #[error("valkey.url: {0} asks for a password: write it as redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST")]
    PasswordMissing(String),
    /// The server does not accept the password.
    #[error("valkey.url: {0} does not accept this user and password: correct them in the URL, with % escapes")]
    PasswordWrong(String),
    /// The user lacks a right.
    #[error(
        "valkey.url: the user may not do what is needed on {0}: ACL SETUSER … ~claviger:* +@connection +evalsha +eval +script|load +time +hmget +hgetall +hset +hdel +pexpire, and +cluster|slots in a cluster"
    )]
    NoRight(String),
    /// The server takes nobody in from other machines.
    #[error(
        "valkey.url: {0} runs in protected mode, which lets nobody in from outside: give it a password (requirepass), and write it into the URL"
    )]
    Protected(String),
    /// The server does not have this database.
    #[error("valkey.url: {0} has no database of this number: change the number at the end of the URL")]
    Database(String),
    /// Older than what we know to work.
    #[error("valkey.url: {address} is version {version}: 6.2 is the oldest that works, take a newer one")]
    TooOld {
        /// Host and port.
        address: String,
        /// Its version.
        version: String,
    },
    /// A cluster's node, addressed as a single server.
    #[error("valkey.url: {0} is a node of a cluster: add ?cluster=true to the URL")]
    IsCluster(String),
    /// A single server, addressed as a cluster.
    #[error("valkey.url: {0} is not a node of a cluster: take cluster=true out of the URL")]
    IsNoCluster(String),
    /// A sentinel, which holds no data.
    #[error("valkey.url: {0} is a sentinel, which holds no data: write the address of the server that it watches")]
    IsSentinel(String),
    /// A replica, which cannot be written to.
    #[error("valkey.url: {0} is a replica, which cannot be written to: write the address of its primary")]
    IsReplica(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// See [`ConnectError`].
    #[error(transparent)]
    Wrong(#[from] ConnectError),
    /// Nobody there, or not ready to answer: may pass by itself.
    #[error(transparent)]
    Away(#[from] Away),
}

/// Why turns are not shared at the moment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Away {
    /// Nobody listens there.
    #[error("{address} cannot be connected to: {reason}")]
    Unreachable { address: String, reason: String },
    /// No answer at all.
    #[error("{address} did not answer within {patience:?}")]
    Silent { address: String, patience: Duration },
    /// The connection ended.
    #[error("{0} closed the connection")]
    Closed(String),
    /// An error that the server answered.
    #[error("{address} answers {text:?}")]
    Answers { address: String, text: String },
    /// Answers, but always too late.
    #[error("{address} takes longer than {budget:?} for an answer")]
    Slow { address: String, budget: Duration },
}

/// What went wrong with a socket, in a few words.
pub(crate) fn reason(error: &io::Error) -> String {
    // "Connection refused (os error 111)": the number says nothing more.
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
