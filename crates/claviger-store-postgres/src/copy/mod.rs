//! Whole deployments on their way in and out: a handful of statements for a page of owners, whatever its length.

mod columns;
mod counts;
mod read;
mod write;

pub(crate) use counts::{counts, counts_up_to};
pub(crate) use read::owners;
#[cfg(test)]
pub(crate) use read::{KEYS, POOLS, TOKENS, WEBHOOKS};
pub(crate) use write::put_owners;
