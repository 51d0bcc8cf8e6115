//! Names that people give to things: one rule for all of them.

use claviger_core::KeyName;
use claviger_core::key::InvalidName;
use serde::{Deserialize, Deserializer};

use crate::json::Change;

/// A name that `null` clears as an empty text does, so that an absent field can mean to leave it.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// Checks what was sent; an empty text is no name.
pub(crate) fn check(sent: Option<String>) -> Result<Change<KeyName>, InvalidName> {
    sent.map(|name| KeyName::parse(&name)).transpose()
}

/// As [`check`], for what keeps its name as text.
pub(crate) fn check_text(sent: Option<String>) -> Result<Change<String>, InvalidName> {
    Ok(check(sent)?.map(|name| name.map(|name| name.as_str().to_owned())))
}
