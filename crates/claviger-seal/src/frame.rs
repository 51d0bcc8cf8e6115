//! The frame that all sealed bytes share.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::master::MasterKeyId;

pub(crate) const KEY_LENGTH: usize = 32;
const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 14;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Canary = 1,
    DataKey = 2,
    ProviderKey = 3,
    WebhookSecret = 4,
}

/// Sealed bytes that do not open. Which of the reasons it was tells an attacker nothing: all of them can be seen from
/// the outside, or mean that the tag does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Cut short, or not sealed bytes at all.
    #[error("the sealed bytes are damaged")]
    Damaged,
    /// A format that this version does not know.
    #[error("the sealed bytes have format version {0}, which this version of Claviger does not know")]
    Version(u8),
    /// Sealed bytes of another kind.
    #[error("the sealed bytes are of another kind")]
    Kind,
    /// Sealed by a master key or data key other than the one at hand.
    #[error("sealed under another key")]
    OtherKey,
    /// Altered, moved from another place, or sealed under another key of the same id.
    #[error("the sealed bytes do not open here: altered, moved, or sealed under another key")]
    Refused,
}

/// Sealing failed: the system gave no randomness.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the system gave no randomness to seal with")]
pub struct SealError;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) master: MasterKeyId,
    pub(crate) generation: u32,
}

impl Header {
    fn bytes(self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0] = VERSION;
        bytes[1] = self.kind as u8;
        bytes[2..10].copy_from_slice(self.master.as_bytes());
        bytes[10..].copy_from_slice(&self.generation.to_be_bytes());
        bytes
    }

    /// Reads the header of sealed bytes that should be of this kind.
    pub(crate) fn read(sealed: &[u8], kind: Kind) -> Result<Self, OpenError> {
        let (&version, rest) = sealed.split_first().ok_or(OpenError::Damaged)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        if sealed.len() < HEADER_LENGTH + NONCE_LENGTH + TAG_LENGTH {
            return Err(OpenError::Damaged);
        }
        if rest[0] != kind as u8 {
            return Err(OpenError::Kind);
        }
        let master = rest[1..9].try_into().map_err(|_| OpenError::Damaged)?;
        let generation = rest[9..13].try_into().map_err(|_| OpenError::Damaged)?;
        Ok(Self { kind, master: MasterKeyId::from_bytes(master), generation: u32::from_be_bytes(generation) })
    }
}

/// What is authenticated beside the ciphertext. Lengths in front keep `("ab","c")` apart from `("a","bc")`.
fn associated(header: Header, place: &[&str]) -> Aad<Vec<u8>> {
    let length = HEADER_LENGTH + place.iter().map(|part| 4 + part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&header.bytes());
    for part in place {
        // Every part is an id of at most 128 characters.
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Aad::from(bytes)
}

pub(crate) fn cipher(key: &[u8; KEY_LENGTH]) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "the algorithm takes exactly this length")]
    let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key");
    LessSafeKey::new(key)
}

pub(crate) fn seal(cipher: &LessSafeKey, header: Header, place: &[&str], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LENGTH];
    crate::fill_random(&mut nonce)?;
    // Reserved in full beforehand: growing later would leave a copy of the plain text behind.
    let mut body = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_LENGTH));
    body.extend_from_slice(plain);
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(header, place), &mut *body)
        .map_err(|_| SealError)?;
    let mut sealed = Vec::with_capacity(HEADER_LENGTH + NONCE_LENGTH + body.len());
    sealed.extend_from_slice(&header.bytes());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens sealed bytes whose header was read by [`Header::read`].
pub(crate) fn open(
    cipher: &LessSafeKey,
    header: Header,
    place: &[&str],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let rest = sealed.get(HEADER_LENGTH..).ok_or(OpenError::Damaged)?;
    let (nonce, body) = rest.split_at_checked(NONCE_LENGTH).ok_or(OpenError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length =
        cipher.open_in_place(nonce, associated(header, place), &mut body).map_err(|_| OpenError::Refused)?.len();
    body.truncate(length);
    Ok(body)
}
