//! The gateway: relays a request to its provider with a leased key.
//!
//! `authenticate → lease → send → first byte back → the lease ends → stream through`. An answer that is about the key is
//! not passed on while another key may do better. Bodies are never collected, but for providers that want their key inside
//! a JSON body; a request's body is recorded on its way where it may have to be sent again.

mod activity;
mod address;
mod answer;
mod asked;
mod body;
mod breaker;
mod certificate;
mod connections;
mod courier;
mod credential;
mod encoding;
mod forward;
mod front;
mod io;
mod limits;
mod listeners;
mod metrics;
mod pace;
mod peek;
mod probe;
mod relay;
mod relayed;
mod replay;
mod stall;
mod tunnel;
mod upgrade;
mod upstream;

pub use body::{BoxError, Reply};
pub use certificate::{Certificate, CertificateError, wrap_unverified};
pub use courier::GatewayCourier;
pub use encoding::decode;
pub use front::{ControlPlane, Front, FrontError, FrontSettings, Patience};
pub use listeners::Listeners;
pub use metrics::GatewayMetrics;
pub use pace::CallerBody;
pub use probe::GatewayProber;
pub use relay::{Gateway, GatewaySettings};
pub use relayed::Relayed;
pub use upstream::TlsError;
