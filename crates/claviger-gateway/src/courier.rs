//! Carrying events to webhooks.
//!
//! Their addresses are named by tenants, so nothing is connected to that was not judged before: the name is looked up
//! once, all that it leads to must be in reach, and the connection goes to one of just these addresses. A second look-up,
//! as an ordinary client makes it, could lead elsewhere. No redirect is followed, for the same reason.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claviger_app::webhooks::{Courier, CourierError};
use claviger_core::net::{OutOfReach, Reach};
use claviger_core::webhook::{Host, WebhookUrl};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::upstream::{TlsError, tls};

/// How long one address has to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How many of a name's addresses are tried.
const ADDRESSES: usize = 3;
/// How much of an answer's body is read, in bytes, and for how long. Nobody needs it; but some servers take a connection
/// that ends before they have written for a failure of their own.
const BODY_LIMIT: usize = 4 * 1024;
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Carries events to webhooks, over a connection each.
pub struct GatewayCourier {
    reach: Reach,
    tls: TlsConnector,
}

impl GatewayCourier {
    /// One that goes this far.
    pub fn new(reach: Reach) -> Result<Self, TlsError> {
        let mut tls = tls()?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { reach, tls: TlsConnector::from(Arc::new(tls)) })
    }

    async fn connect(&self, url: &WebhookUrl) -> Result<TcpStream, CourierError> {
        for address in in_reach(&self.reach, url, look_up(url).await?)? {
            if let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(address)).await {
                // Without it a short request still gets there.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
        Err(CourierError::Unreachable)
    }
}

#[async_trait]
impl Courier for GatewayCourier {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    async fn send(
        &self,
        url: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<u16, CourierError> {
        // The operator may have taken a host from the list since the webhook was made.
        self.reach.permits(url)?;
        let request = request(url, headers, body).ok_or(CourierError::Unreachable)?;
        let stream = self.connect(url).await?;
        if !url.is_https() {
            return exchange(TokioIo::new(stream), request).await;
        }
        let name = match url.host() {
            Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| CourierError::Unreachable)?,
            Host::Address(address) => ServerName::from(*address),
        };
        let stream = self.tls.connect(name, stream).await.map_err(|_| CourierError::Untrusted)?;
        exchange(TokioIo::new(stream), request).await
    }
}

async fn look_up(url: &WebhookUrl) -> Result<Vec<SocketAddr>, CourierError> {
    match url.host() {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, url.port())]),
        Host::Name(name) => {
            let found = lookup_host((&**name, url.port())).await.map_err(|_| CourierError::NoAddress)?;
            Ok(found.collect())
        }
    }
}

/// The addresses to connect to. One that is internal speaks against the whole name, which is then nobody's mistake.
fn in_reach(reach: &Reach, url: &WebhookUrl, mut found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, CourierError> {
    if found.is_empty() {
        return Err(CourierError::NoAddress);
    }
    if !found.iter().all(|address| reach.includes(url, address.ip())) {
        return Err(OutOfReach::Internal.into());
    }
    found.truncate(ADDRESSES);
    Ok(found)
}

fn request(url: &WebhookUrl, headers: &[(&'static str, String)], body: String) -> Option<Request<Full<Bytes>>> {
    let path = url.path_and_query();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{slash}{path}"))
        .header(HOST, url.authority())
        .header(USER_AGENT, HeaderValue::from_static("claviger"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Full::from(body)).ok()
}

async fn exchange<Io>(io: Io, request: Request<Full<Bytes>>) -> Result<u16, CourierError>
where
    Io: Read + Write + Unpin,
{
    let (mut sender, connection) = http1::handshake(io).await.map_err(|_| CourierError::BrokenOff)?;
    let asking = async move {
        let answer = sender.send_request(request).await.map_err(|_| CourierError::BrokenOff)?;
        let status = answer.status().as_u16();
        // The status says it all, however the body ends.
        let _ = timeout(BODY_PATIENCE, discard(answer.into_body())).await;
        Ok(status)
    };
    let (mut asking, connection) = (pin!(asking), pin!(connection));
    tokio::select! {
        answered = &mut asking => answered,
        // Whoever asks is told of its end by itself.
        _ = connection => asking.await,
    }
}

async fn discard(mut body: Incoming) {
    let mut read = 0;
    while read < BODY_LIMIT
        && !body.is_end_stream()
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

impl fmt::Debug for GatewayCourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayCourier").field("reach", &self.reach).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_to_any_internal_address_is_not_connected_to() {
        let reach = Reach::new(["hooks.internal"]).unwrap();
        let [url, listed] = ["https://example.com/x", "https://hooks.internal/x"].map(|url| url.parse().unwrap());
        let found = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let public = found(&["8.8.8.8:443", "[2606:4700::1]:443"]);
        assert_eq!(in_reach(&reach, &url, public.clone()), Ok(public));
        for internal in [
            "127.0.0.1:443",
            "10.0.0.5:443",
            "169.254.169.254:443",
            "0.0.0.0:443",
            "[::]:443",
            "[::1]:443",
            "[::ffff:127.0.0.1]:443",
            "[64:ff9b::a9fe:a9fe]:443",
            "[fe80::1]:443",
            "[fd00:ec2::254]:443",
        ] {
            for addresses in [&[internal][..], &["8.8.8.8:443", internal], &[internal, "8.8.8.8:443"]] {
                let refused = Err(CourierError::OutOfReach(OutOfReach::Internal));
                assert_eq!(in_reach(&reach, &url, found(addresses)), refused, "{addresses:?}");
                assert_eq!(in_reach(&reach, &listed, found(addresses)), Ok(found(addresses)));
            }
        }
        assert_eq!(in_reach(&reach, &url, Vec::new()), Err(CourierError::NoAddress));
        assert_eq!(in_reach(&reach, &url, found(&["8.8.8.8:1"; 9])).unwrap().len(), ADDRESSES);
    }

    #[test]
    fn a_request_has_a_path_whatever_the_address_has() {
        for (url, path) in [("https://a", "/"), ("https://a?b", "/?b"), ("https://a/b?c=%20", "/b?c=%20")] {
            let request = request(&url.parse().unwrap(), &[("webhook-id", "1".to_owned())], "{}".to_owned()).unwrap();
            assert_eq!(
                (request.uri().to_string(), &request.headers()["host"]),
                (path.to_owned(), &"a".parse().unwrap())
            );
        }
    }
}
