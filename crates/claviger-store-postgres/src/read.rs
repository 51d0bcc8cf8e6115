//! From columns to the program's own types.

use std::str::FromStr;

use claviger_core::pool::Position;
use claviger_core::{Owner, Timestamp};
use claviger_store::StoreError;

use crate::error::malformed;

/// An id that was checked before it was stored.
pub(crate) fn id<T: FromStr>(text: &str, what: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| malformed(what))
}

/// Bytes of a fixed length.
pub(crate) fn bytes<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| malformed(what))
}

/// The owner that two columns name.
pub(crate) fn owner(kind: &str, owner_id: &str) -> Result<Owner, StoreError> {
    match kind {
        "workspace" => Ok(Owner::Workspace(id(owner_id, "a workspace's id")?)),
        "organization" => Ok(Owner::Organization(id(owner_id, "an organization's id")?)),
        "platform" => Ok(Owner::Platform),
        _ => Err(malformed("an owner's kind")),
    }
}

/// A point in time; the schema keeps it in range.
pub(crate) fn date(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A place in creation order.
pub(crate) fn position(position: i64) -> Result<Position, StoreError> {
    number(position, "a key's position").map(Position)
}

/// A number that is not negative.
pub(crate) fn number(number: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| malformed(what))
}
