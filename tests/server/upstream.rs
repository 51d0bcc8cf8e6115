//! A provider whose answer is held back half way, until a test lets it go on.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Answers one request: the first half at once, the second when it may.
#[derive(Debug)]
pub(crate) struct HalfAnswer {
    pub(crate) address: SocketAddr,
    may_go_on: oneshot::Sender<()>,
    answering: JoinSet<()>,
}

impl HalfAnswer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (may_go_on, goes_on) = oneshot::channel();
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_until(&mut stream, "\r\n\r\n").await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(format!("{head}a\r\nfirst half\r\n").as_bytes()).await.unwrap();
            goes_on.await.unwrap();
            stream.write_all(b"b\r\nsecond half\r\n0\r\n\r\n").await.unwrap();
        });
        Self { address, may_go_on, answering }
    }

    pub(crate) async fn go_on(self) {
        self.may_go_on.send(()).unwrap();
        self.answering.join_all().await;
    }
}

/// Reads until the text has been seen; panics where the connection ends before.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let length = stream.read_buf(&mut seen).await.unwrap();
        assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}
