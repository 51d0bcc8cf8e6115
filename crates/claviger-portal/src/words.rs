//! From what is known of keys to what a page says of them.

use claviger_app::keys::ListedKey;
use claviger_core::{KeyStatus, Provider, Timestamp};

use crate::assets;
use crate::text::{self, ENGLISH};

/// A key as a page shows it.
pub(crate) struct KeyShown {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) mask: String,
    /// A word for the style sheet: `well`, `resting`, `broken` or `off`.
    pub(crate) class: &'static str,
    pub(crate) status: String,
    /// Why, and what else is to be said; empty for nothing.
    pub(crate) reason: String,
    pub(crate) shares: String,
    pub(crate) last_used: String,
    pub(crate) enabled: bool,
}

/// What people call a key.
pub(crate) fn label(key: &ListedKey) -> &str {
    key.record.name.as_ref().map_or(ENGLISH.unnamed, claviger_core::KeyName::as_str)
}

/// Whether a key takes part in the rotation now.
pub(crate) fn is_well(key: &ListedKey) -> bool {
    key.record.enabled && key.standing.status == KeyStatus::Active
}

/// A word for the style sheet.
pub(crate) fn class(key: &ListedKey) -> &'static str {
    match key.standing.status {
        _ if !key.record.enabled => "off",
        KeyStatus::Active => "well",
        KeyStatus::Cooling => "resting",
        KeyStatus::Exhausted | KeyStatus::Rejected | KeyStatus::Unreadable => "broken",
    }
}

/// How a key fares, with when it is back.
pub(crate) fn status(key: &ListedKey, now: Timestamp) -> String {
    // A rest that is over ends with the next request or test.
    let left = key.standing.available_at.map(|at| at.as_millis() - now.as_millis()).filter(|left| *left > 0);
    let back = left.map(text::span);
    let back = back.as_deref();
    match key.standing.status {
        _ if !key.record.enabled => text::SWITCHED_OFF.to_owned(),
        KeyStatus::Active => text::WORKING.to_owned(),
        KeyStatus::Cooling => text::rate_limited(back),
        KeyStatus::Exhausted => text::exhausted(back),
        KeyStatus::Rejected => text::rejected(back),
        KeyStatus::Unreadable => text::UNREADABLE.to_owned(),
    }
}

/// A key among the others of its pool.
pub(crate) fn shown(key: &ListedKey, pool: &[ListedKey], now: Timestamp) -> KeyShown {
    let others = pool.iter().filter(|other| other.record.id != key.record.id);
    let shares: Vec<_> = others.filter(|other| key.shares_limit.contains(&other.record.id)).map(label).collect();
    let used = key.record.last_used_at.map(|at| text::last_used(now.as_millis() - at.as_millis()));
    KeyShown {
        id: key.record.id.to_string(),
        label: label(key).to_owned(),
        mask: key.record.masked.clone(),
        class: class(key),
        status: status(key, now),
        reason: key.standing.reason.clone().filter(|_| key.record.enabled).unwrap_or_default(),
        shares: if shares.is_empty() { String::new() } else { text::shares_limits(&shares.join(", ")) },
        last_used: used.unwrap_or_else(|| ENGLISH.never_used.to_owned()),
        enabled: key.record.enabled,
    }
}

/// What a provider's keys look like, as far as known. A hint: what looks otherwise is taken, too.
pub(crate) fn hint(provider: &Provider) -> String {
    let hint = &provider.key_hint;
    let begins = if hint.prefixes.is_empty() { String::new() } else { text::begins_with(&hint.prefixes) };
    [begins.as_str(), ENGLISH.secret_hidden].join(" ").trim().to_owned()
}

/// What stands for a provider.
pub(crate) struct Picture {
    pub(crate) id: String,
    /// Where there is no picture, its first letter.
    pub(crate) letter: Option<String>,
}

impl Picture {
    pub(crate) fn of(provider: &Provider) -> Self {
        let id = provider.id.to_string();
        let first = || provider.name.chars().next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
        Self { letter: (!assets::has_icon(&id)).then(first), id }
    }
}
