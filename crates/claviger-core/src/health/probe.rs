//! What a probe proves.

use super::body::Exhibit;
use super::class::Class;
use super::verdict::{Answer, Verdict, judge_exhibit, rule};
use crate::catalogue::{Probe, Provider};
use crate::time::Timestamp;

/// What the answer to a probe proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeResult {
    /// The provider takes the key.
    Valid,
    /// The provider refuses the key.
    Invalid,
    /// The provider takes the key, and its account cannot pay.
    NoCredit,
    /// Nothing.
    Unproven {
        /// What the answer is by the rules for any answer.
        verdict: Verdict,
    },
}

/// Judges the answer to a probe: by the probe's own cases, and where none fits, by the rules for any answer.
#[must_use]
pub fn judge_probe(provider: &Provider, probe: &Probe, answer: &Answer<'_>, now: Timestamp) -> ProbeResult {
    let exhibit = Exhibit::new(answer);
    let verdict = judge_exhibit(provider, &exhibit, now);
    let unproven = ProbeResult::Unproven { verdict };
    if probe.invalid.iter().any(|case| exhibit.fits(case)) {
        // A case goes by the status as a rule. A rule that looked closer knows better: a 401 may tell of an empty
        // account (Perplexity) or of a missing scope (OpenAI).
        let closer = rule(provider, &exhibit).is_some_and(|rule| rule.test.is_some());
        return match verdict.class {
            Class::NoCredit if closer => ProbeResult::NoCredit,
            Class::AccountPermission if closer => unproven,
            _ => ProbeResult::Invalid,
        };
    }
    match verdict.class {
        Class::NoCredit => ProbeResult::NoCredit,
        _ if probe.valid.iter().any(|case| exhibit.fits(case)) => ProbeResult::Valid,
        Class::KeyInvalid => ProbeResult::Invalid,
        _ => unproven,
    }
}
