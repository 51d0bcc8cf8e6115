//! From columns to the program's own types.

use std::str::FromStr;

use claviger_core::pool::Position;
use claviger_core::{OrganizationId, Owner, Timestamp};
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

/// The organization that a workspace belongs to.
pub(crate) fn organization(organization: Option<&str>) -> Result<Option<OrganizationId>, StoreError> {
    organization.map(|text| id(text, "the id of a workspace's organization")).transpose()
}

/// A place in a pool's creation order.
pub(crate) fn position(position: i64) -> Result<Position, StoreError> {
    u64::try_from(position).map(Position).map_err(|_| malformed("a position"))
}

/// A point in time; the schema keeps it in range.
pub(crate) fn date(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
