//! A provider that does as a test says, byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use claviger_testkit::Deployment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{PROVIDER, read_until};

/// The head of an answer without a known length.
pub(crate) const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a provider does with the request that it was sent.
pub(crate) type Act = fn(TcpStream, Books) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a provider notes, and is told.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// The number of this request.
    pub(crate) number: usize,
    /// Bytes of bodies that were taken from it.
    pub(crate) written: Arc<AtomicU64>,
    /// Requests whose connection was closed by the other end.
    pub(crate) left: Arc<AtomicUsize>,
    /// Whether answers may go on.
    pub(crate) may_go_on: watch::Receiver<bool>,
}

/// It listens until it is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    pub(crate) books: Books,
    go_on: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (go_on, may_go_on) = watch::channel(false);
        let books = Books { number: 0, written: Arc::default(), left: Arc::default(), may_go_on };
        let mut tasks = JoinSet::new();
        let noted = books.clone();
        tasks.spawn(async move {
            let mut acting = JoinSet::new();
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let books = Books { number, ..noted.clone() };
                acting.spawn(async move {
                    read_until(&mut stream, "\r\n\r\n").await;
                    act(stream, books).await;
                });
            }
        });
        Self { address, books, go_on, _tasks: tasks }
    }

    /// A deployment that has it for a provider.
    pub(crate) fn before(&self, deployment: Deployment) -> Deployment {
        deployment.with_provider(PROVIDER, &format!("http://{}", self.address))
    }

    pub(crate) fn go_on(&self) {
        self.go_on.send_replace(true);
    }

    pub(crate) fn left(&self) -> usize {
        self.books.left.load(Ordering::SeqCst)
    }
}

impl Books {
    /// Waits until the other end closes the connection, and notes it.
    pub(crate) async fn until_left(&self, stream: &mut TcpStream) {
        // However it was closed.
        let _ = stream.read(&mut [0; 16]).await;
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    /// Sends, and notes how much was taken. False where the other end has left.
    pub(crate) async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> bool {
        let sent = stream.write_all(bytes).await.is_ok();
        self.written.fetch_add(if sent { bytes.len() as u64 } else { 0 }, Ordering::SeqCst);
        sent
    }
}
