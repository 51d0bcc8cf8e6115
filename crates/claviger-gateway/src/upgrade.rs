//! Upgrades: WebSockets.

use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, Version};
use tokio_util::task::TaskTracker;

use crate::tunnel::{self, Terms};

/// A caller's wish to go on with another protocol.
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

/// A provider's consent.
pub(crate) struct Accepted {
    protocol: HeaderValue,
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
    asked.then(|| Upgrade { protocol, caller: hyper::upgrade::on(request) })
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
        let caller = self.caller;
        tunnels.spawn(async move {
            if let (Ok(caller), Ok(provider)) = tokio::join!(caller, provider) {
                tunnel::join(caller, provider, terms).await;
            }
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
