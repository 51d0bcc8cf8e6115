//! What providers' answers say about keys, and what follows for a key: how long it rests, and how it comes back.
//!
//! [`judge`] reads an answer by the catalogue's rules and makes a [`Verdict`] of it. [`KeyHealth`] is what is known of one
//! key; its one transition, [`KeyHealth::next`], takes verdicts and whatever else happens to a key. Both are pure: the
//! time is an argument.
//!
//! Two faults are kept out by construction. A key never rests for what its callers did: only an answer about the key
//! itself starts a rest. And a key is never lost: every rest has an end, and at its end a request tries the key again.

mod body;
mod class;
mod condition;
mod domain;
mod models;
mod probe;
mod reset;
mod retry_after;
mod state;
mod stream;
mod verdict;

pub use body::MAX_BODY;
pub use class::Class;
pub use condition::{Ailment, AilmentKind, Condition};
pub use domain::{domain, same_domain};
pub use models::{MAX_MODELS, ModelRests};
pub use probe::{ProbeResult, judge_probe};
pub use state::{Availability, Event, KeyHealth, TRIAL_LEASE};
pub use stream::{judge_event, may_begin_error_event};
pub use verdict::{Answer, Headers, MAX_ANNOUNCED, MAX_WAIT, Verdict, judge};

#[cfg(test)]
mod tests;
