//! For tests: people with a real browser.
//!
//! A [`Person`] does what people do, and finds things as they do, or as a screen reader does: by the words on buttons,
//! links and labels. Whatever a person waits for has a deadline. At the end, [`Person::leaves`] looks at what the browser
//! had to complain about, and looks for the secrets of tests in every page that was seen and in all that the browser kept.
//!
//! Everything here panics instead of answering errors: in a test, a panic with its message is the failure report.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "in a test, a panic with its message is the failure report"
)]

mod axe;
mod find;
mod http;
mod keyboard;
mod look;
mod person;
mod seen;
mod session;
mod show;

pub use person::Person;
pub use seen::Seen;
pub use session::{Manner, Width};
pub use thirtyfour::Key;
