//! Who answers, where it is not as Valkey does.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::address::Node;
use crate::error::ConnectError;
use crate::tls;

/// A stranger may wait for more than we say.
const PATIENCE: Duration = Duration::from_millis(500);
/// What PostgreSQL answers with one letter, for it asks whether to speak TLS; and with it the end of an HTTP head, so that
/// a server of either kind does not wait for more.
const QUESTION: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f\r\n\r\n";
/// What Valkey answers whoever asks; and again the end of an HTTP head.
const PING: &[u8] = b"PING\r\n\r\n";

/// Looks what kind of server this is, which is not to be understood, with TLS or without. `None` where it cannot be
/// told.
pub(crate) async fn recognize(node: &Node, tls: bool) -> Option<ConnectError> {
    if !tls && tokio::time::timeout(PATIENCE, speaks_tls(node)).await.unwrap_or_default() {
        return Some(ConnectError::TlsExpected(node.to_string()));
    }
    let first = tokio::time::timeout(PATIENCE, first_bytes(node, if tls { PING } else { QUESTION })).await.ok()??;
    let what = match first.as_slice() {
        [b'H', b'T', b'T', b'P', b'/', ..] => "an HTTP server",
        [b'N'] | [b'N' | b'S', b'E', ..] => "a PostgreSQL server",
        [_, 0, 0, 0, 0x0a | 0xff, ..] => "a MySQL server",
        [b'-' | b'+', ..] if tls => return Some(ConnectError::TlsNotSpoken(node.to_string())),
        [b'-' | b'+', ..] => return None,
        _ => "something else",
    };
    Some(ConnectError::Stranger { address: node.to_string(), what })
}

/// Whether it comes as far as its certificate, which nobody looks at here: nothing is asked over this connection.
async fn speaks_tls(node: &Node) -> bool {
    let Ok(name) = ServerName::try_from(node.host.clone()) else { return false };
    let Ok(stream) = TcpStream::connect((node.host.as_str(), node.port)).await else { return false };
    let Ok(client) = tls::client(RootCertStore::empty()) else { return false };
    match TlsConnector::from(client).connect(name, stream).await {
        Ok(_) => true,
        Err(error) => {
            let error = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
            matches!(error, Some(rustls::Error::InvalidCertificate(_)))
        }
    }
}

async fn first_bytes(node: &Node, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((node.host.as_str(), node.port)).await.ok()?;
    stream.write_all(question).await.ok()?;
    let mut first = vec![0; 16];
    let read = stream.read(&mut first).await.ok()?;
    first.truncate(read);
    (read > 0).then_some(first)
}
