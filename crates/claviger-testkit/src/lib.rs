//! For tests: a clock set by hand, an app on throw-away data, servers as real processes, and a network that fails on
//! demand.
//!
//! Everything here panics instead of answering errors: in a test, a panic with its message is the failure report.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "in a test, a panic with its message is the failure report"
)]

mod app;
mod client;
mod clock;
mod deployment;
mod flaky_link;
mod population;
mod process;

pub use app::{TestApp, TestSettings, answered, put_key};
pub use client::{Answer, Client};
pub use clock::ManualClock;
pub use deployment::{Deployment, Ran, Running};
pub use flaky_link::FlakyLink;
pub use population::Population;
pub use process::Process;

/// Who changes what a test changes past the use cases.
#[must_use]
pub fn somebody() -> claviger_core::audit::Act {
    claviger_core::audit::Act {
        actor: "somebody".to_owned(),
        token: None,
        via: claviger_core::audit::Via::Shell,
        address: None,
        at: claviger_core::Timestamp::from_millis(0),
    }
}

/// Random text that can stand for a provider key: made anew each time, so that none is in the source.
#[must_use]
pub fn random_secret() -> String {
    let token = claviger_seal::NewToken::generate().expect("randomness");
    token.reveal_once()[21..].to_owned()
}
