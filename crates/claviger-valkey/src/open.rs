//! A new connection: reached, recognized, let in, and tried.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisResult, Value};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Settings;
use crate::address::{Address, Node};
use crate::cluster;
use crate::error::{Away, ConnectError, OpenError, reason};
use crate::greeting;
use crate::link::Link;
use crate::script::{self, Hashes, SOURCES};
use crate::tls::Tls;

/// Questions that may wait to be written.
const WAITING: usize = 1_024;
/// A connection that nobody uses is checked, so that one that a firewall forgot is found before a request does.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A server that is slow by chance gets another chance.
const TRIALS: usize = 3;

/// What moves a connection's bytes. Nothing is asked or answered unless it runs.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where to connect to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) tls: Option<Tls>,
    pub(crate) settings: Settings,
}

/// A connection that answers.
pub(crate) struct Opened {
    pub(crate) link: Link,
    pub(crate) driver: Option<Driver>,
    pub(crate) hashes: Hashes,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Target {
    /// Connects, and takes turns of nobody's pool, so that a connection that is opened is one that can be used.
    pub(crate) async fn open(&self) -> Result<Opened, OpenError> {
        let nodes = &self.address.nodes;
        let patience = self.settings.patience / u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let mut result = Err(Away::Closed(String::new()).into());
        for node in nodes {
            let attempt = tokio::time::timeout(patience, self.open_at(node)).await;
            result = attempt.unwrap_or_else(|_| Err(Away::Silent { address: node.to_string(), patience }.into()));
            // A node of a cluster that is away has others; one that is not what it should be is a mistake.
            if !matches!(result, Err(OpenError::Away(_))) {
                break;
            }
        }
        result
    }

    async fn open_at(&self, node: &Node) -> Result<Opened, OpenError> {
        let (connection, mut driver) = self.connect(node).await?;
        if self.address.cluster {
            let masters = driven(&mut driver, async {
                greeting::greet(&connection, &self.address, node).await?;
                cluster::masters(&connection, self, node).await
            });
            let masters = masters.await?;
            let (link, hashes) = cluster::open(self, node, masters).await?;
            self.try_out(&link, &hashes, node).await?;
            return Ok(Opened { link, driver: None, hashes });
        }
        let prepared = async {
            greeting::greet(&connection, &self.address, node).await?;
            let mut hashes = SOURCES.map(|_| String::new());
            for (source, hash) in SOURCES.into_iter().zip(&mut hashes) {
                *hash = greeting::hash(&ask(&connection, &script::load(source), &self.address, node).await?, node)?;
            }
            let (link, hashes) = (Link::Server(connection.clone()), Hashes::from(hashes));
            self.try_out(&link, &hashes, node).await?;
            Ok::<_, OpenError>((link, hashes))
        };
        let (link, hashes) = driven(&mut driver, prepared).await?;
        Ok(Opened { link, driver: Some(driver), hashes })
    }

    /// Whether turns can be taken and rests be told, and turns within the budget.
    async fn try_out(&self, link: &Link, hashes: &Hashes, node: &Node) -> Result<(), OpenError> {
        let trials = script::trials(hashes);
        for trial in &trials {
            link.ask(trial).await.map_err(|error| greeting::judge(&error, &self.address, node))?;
        }
        let ([turn, ..], budget) = (&trials, self.settings.budget);
        for _ in 0..TRIALS {
            if let Ok(answer) = tokio::time::timeout(budget, link.ask(turn)).await {
                return answer.map(drop).map_err(|error| greeting::judge(&error, &self.address, node));
            }
        }
        Err(Away::Slow { address: node.to_string(), budget }.into())
    }

    async fn connect(&self, node: &Node) -> Result<(MultiplexedConnection, Driver), OpenError> {
        let stream = reach(node)
            .await
            .map_err(|error| Away::Unreachable { address: node.to_string(), reason: reason(&error) })?;
        let opened = match &self.tls {
            None => speak(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(node.host.clone())
                    .map_err(|_| ConnectError::Url("the host is no name that a certificate could hold"))?;
                let stream = TlsConnector::from(tls.client.clone()).connect(name, stream).await;
                speak(stream.map_err(|error| refused_tls(&error, node))?).await
            }
        };
        opened.map_err(|error| greeting::judge(&error, &self.address, node))
    }
}

async fn reach(node: &Node) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((node.host.as_str(), node.port)).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

/// Asks on a connection that is not known to be one of ours yet.
pub(crate) async fn ask(
    connection: &MultiplexedConnection,
    command: &Cmd,
    address: &Address,
    node: &Node,
) -> Result<Value, OpenError> {
    let answer = connection.clone().send_packed_command(command).await.and_then(Value::extract_error);
    answer.map_err(|error| greeting::judge(&error, address, node))
}

async fn speak<S>(stream: S) -> RedisResult<(MultiplexedConnection, Driver)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Who we are is said in the greeting, where a mistake can be told from another.
    let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
    // The budget is kept here, and an answer that comes after it finds nobody who waits: the connection knows the
    // questions by their order, and goes on.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(WAITING);
    let (connection, driver) = MultiplexedConnection::new_with_config(&nobody, stream, config).await?;
    Ok((connection, Box::pin(driver)))
}

/// Does something while the connection runs. When it ends, what waits for it learns that by itself.
async fn driven<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        () = driver => work.await,
    }
}

fn refused_tls(error: &io::Error, node: &Node) -> OpenError {
    let address = node.to_string();
    match error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            ConnectError::Certificate { address, reason: problem.to_string() }.into()
        }
        Some(rustls::Error::InvalidMessage(_)) => ConnectError::TlsNotSpoken(address).into(),
        Some(other) => Away::Unreachable { address, reason: other.to_string() }.into(),
        None => Away::Closed(address).into(),
    }
}
