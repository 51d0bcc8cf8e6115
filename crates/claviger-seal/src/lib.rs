//! Sealing: how provider keys and tokens are kept so that the database alone gives nothing away.
//!
//! # Byte format
//!
//! Everything sealed has the same frame, version 1 of the format:
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | kind: 1 canary, 2 data key, 3 provider key, 4 webhook's secret |
//! | 2 | 8 | id of a master key, the first bytes of a hash of it: in a canary and a data key the one that opens them; in other secrets the one that the data key was sealed under when they were |
//! | 10 | 4 | generation of the owner's data key, big endian; 0 in a canary |
//! | 14 | 12 | nonce, random |
//! | 26 | n | ciphertext, AES-256-GCM |
//! | 26 + n | 16 | authentication tag |
//!
//! Authenticated beside the ciphertext: the first 14 bytes, then the place, each part of it with its length as 4 bytes,
//! big endian: owner's kind, owner's id, and for a provider key also provider's id and key's id, for a webhook's secret
//! the word `webhook` and the webhook's id. A row that is copied to another owner, provider, key or webhook does not open.
//!
//! A master key seals a canary and one data key for each owner. The canary says which master key is in use. Another one
//! comes into use by sealing a new canary, and then every data key anew, as it is; databases count rows by the 8 bytes
//! at offset 2, which is all that they know of this format. An owner's data key seals that owner's provider keys
//! and its webhooks' secrets.
//! A fingerprint is HMAC-SHA256 of provider's id, a zero byte, and the secret, under a key derived from the data key by
//! HKDF-SHA256.
//!
//! # What this protects, and what not
//!
//! - Whoever has the database, a backup of it, or the disk, but not the master key, learns no provider key, and cannot
//!   tell whether two owners have the same one. Within one pool equal fingerprints mean equal keys.
//! - Whoever can write to the database can delete rows, put an older sealed secret of the same key back, or switch keys
//!   on and off; they cannot make Claviger use a secret in another place than the one it was sealed for. But they can
//!   write themselves a token, as a token's row holds no more than a hash, and have a running node hand keys out.
//! - The lengths of secrets show. So do masks: they are stored in plain text, to be shown without opening anything. So do
//!   the addresses of webhooks.
//! - Destroying an owner's data key makes that owner's sealed secrets useless in every copy of the database made
//!   afterwards, and in older copies only as long as the data key's row is not in them.
//! - Data keys of owners in use, and the master key, are in the process's memory. A provider key is in plain text from
//!   the moment a request is built until it has been written to the provider's connection. Whoever reads the memory of
//!   the process reads them.
//! - The random nonce allows about 2³² sealings under one data key; a pool sees a handful.

mod frame;
mod master;
mod masters;
mod owner;
mod sim;
mod token;
mod webhook;

pub use frame::{OpenError, SealError};
pub use master::{InvalidMasterKey, MasterKey, MasterKeyId, ResealError};
pub use masters::MasterKeys;
pub use owner::{DataKey, Fingerprint, KeyPlace, WebhookPlace};
pub use sim::{InvalidSimKey, SimKey, SimOpenError};
pub use token::{MalformedToken, NewToken, PresentedToken, TokenHash};
pub use webhook::WebhookSecret;

/// Fills `bytes` from the operating system's source of randomness.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| SealError)
}
