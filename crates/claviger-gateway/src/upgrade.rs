//! Upgrades: WebSockets.

use std::sync::Arc;

use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, Version};
use tokio_util::task::TaskTracker;

use crate::limits::Admitted;
use crate::tunnel::{self, Terms};

/// A caller's wish to go on with another protocol.
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
    /// The caller's connection.
    admitted: Option<Arc<Admitted>>,
}

/// A provider's consent.
pub(crate) struct Accepted {
    protocol: HeaderValue,
}

/// Sends the place of a connection among all connections along with a request that may take the connection over: it is
/// held until that has ended, and not only until there is no more HTTP.
pub(crate) fn hold<B>(request: &mut Request<B>, admitted: &Arc<Admitted>) {
    if request.version() == Version::HTTP_11 && request.headers().contains_key(UPGRADE) {
        request.extensions_mut().insert(Arc::clone(admitted));
    }
}

/// Whether the caller wants to go on with another protocol.
pub(crate) fn wanted<B>(request: &mut Request<B>) -> Option<Upgrade> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let protocol = request.headers().get(UPGRADE)?.clone();
    let connection = request.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = connection.flat_map(|value| value.split(','));
    // Nothing else is passed on: the upgrade to HTTP/2, for one, is a dead letter of the old standard.
    let asked = options.any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
        && protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    asked.then(|| {
        let admitted = request.extensions_mut().remove();
        Upgrade { protocol, caller: hyper::upgrade::on(request), admitted }
    })
}

impl Upgrade {
    /// Asks the provider for the same.
    pub(crate) fn put_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The provider consents: joins both connections once the answer has gone out.
    pub(crate) fn accept<B>(self, response: &mut Response<B>, tunnels: &TaskTracker, terms: Terms) -> Accepted {
        let protocol = response.headers().get(UPGRADE).cloned().unwrap_or(self.protocol);
        let provider = hyper::upgrade::on(response);
        let (caller, admitted) = (self.caller, self.admitted);
        tunnels.spawn(async move {
            if let (Ok(caller), Ok(provider)) = tokio::join!(caller, provider) {
                tunnel::join(caller, provider, terms).await;
            }
            drop(admitted);
        });
        Accepted { protocol }
    }
}

impl Accepted {
    pub(crate) fn put_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }
}
