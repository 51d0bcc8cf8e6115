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
mod place;
mod population;
mod process;
mod secrets;
mod sqlite;

pub use app::{TestApp, TestSettings, answered, put_key};
pub use client::{Answer, Client};
pub use clock::ManualClock;
pub use deployment::{Deployment, Ran, Running};
pub use flaky_link::FlakyLink;
pub use population::Population;
pub use process::Process;
pub use secrets::{assert_no_secret, random_name, random_secret};

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
