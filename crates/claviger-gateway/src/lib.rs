//! The gateway: relays a request to its provider with a leased key.
//!
//! `authenticate → lease → send → first byte back → the lease ends → stream through`. Bodies are never collected, but for
//! providers that want their key inside a JSON body.

mod address;
mod answer;
mod body;
mod connections;
mod credential;
mod forward;
mod front;
mod metrics;
mod relay;
mod relayed;
mod upgrade;
mod upstream;

pub use body::{BoxError, Reply};
pub use front::{ControlPlane, Front, FrontError, Listeners};
pub use metrics::GatewayMetrics;
pub use relay::{Gateway, GatewaySettings};
pub use relayed::Relayed;
pub use upstream::TlsError;
