//! Tokens: `clv_<public id>_<secret><checksum>`.
//!
//! Public id: 10 random bytes. Secret: 32 random bytes. Checksum: CRC-32 of everything before it, by which a secret
//! scanner knows a token from other text, and a mistyped one is refused without a look at the database. All three are
//! in base32, lower case, without padding. Stored is SHA-256 of the whole text; with 256 random bits nothing slower is
//! needed.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use claviger_core::TokenId;
use data_encoding::{Encoding, Specification};
use zeroize::Zeroizing;

use crate::frame::SealError;

const PREFIX: &str = "clv_";
const ID_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 52;
const CHECKSUM_LENGTH: usize = 7;
const LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

const SYMBOLS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.extend(SYMBOLS.iter().copied().map(char::from));
    #[expect(clippy::expect_used, reason = "32 different symbols are a base32 alphabet")]
    specification.encoding().expect("a base32 alphabet")
}

/// A token that was just made: its text is shown once and never again.
pub struct NewToken {
    /// The public id.
    pub id: TokenId,
    /// What is stored.
    pub hash: TokenHash,
    text: Zeroizing<String>,
}

impl NewToken {
    /// Makes a token from the system's randomness.
    pub fn generate() -> Result<Self, SealError> {
        let mut random = Zeroizing::new([0; 42]);
        crate::fill_random(&mut *random)?;
        let (id, secret) = random.split_at(10);
        let base32 = base32();
        let id = base32.encode(id);
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        text.push_str(&id);
        text.push('_');
        base32.encode_append(secret, &mut text);
        let checksum = crc32fast::hash(text.as_bytes());
        base32.encode_append(&checksum.to_be_bytes(), &mut text);
        let id = id.parse().map_err(|_| SealError)?;
        Ok(Self { id, hash: TokenHash::of(text.as_bytes()), text })
    }

    /// The token itself, for the one answer that shows it.
    #[must_use]
    pub fn reveal_once(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewToken({})", self.id)
    }
}

/// Text that is no token of Claviger's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MalformedToken {
    /// It does not begin like one.
    #[error("tokens begin with clv_")]
    Foreign,
    /// It begins like one, but is cut short, too long, or mistyped.
    #[error("the token is cut short or mistyped")]
    Damaged,
}

/// A token as a caller showed it: well-formed, and not yet believed.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a> {
    text: &'a [u8],
    id: &'a str,
}

impl<'a> PresentedToken<'a> {
    /// Checks form and checksum.
    pub fn parse(text: &'a [u8]) -> Result<Self, MalformedToken> {
        let rest = text.strip_prefix(PREFIX.as_bytes()).ok_or(MalformedToken::Foreign)?;
        if text.len() != LENGTH || rest[ID_LENGTH] != b'_' {
            return Err(MalformedToken::Damaged);
        }
        let (signed, checksum) = text.split_at(LENGTH - CHECKSUM_LENGTH);
        let mut expected = [0; CHECKSUM_LENGTH];
        encode_checksum(crc32fast::hash(signed), &mut expected);
        if checksum != expected {
            return Err(MalformedToken::Damaged);
        }
        // Anybody can make a checksum fit, so that it says nothing about the id, which is looked up.
        if !rest[..ID_LENGTH].iter().all(|byte| SYMBOLS.contains(byte)) {
            return Err(MalformedToken::Damaged);
        }
        let id = std::str::from_utf8(&rest[..ID_LENGTH]).map_err(|_| MalformedToken::Damaged)?;
        Ok(Self { text, id })
    }

    /// The public id that the token claims.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }
}

/// Base32 of four bytes without the general encoder, which would build its tables for every request.
fn encode_checksum(checksum: u32, out: &mut [u8; CHECKSUM_LENGTH]) {
    let bits = u64::from(checksum) << 3;
    for (place, symbol) in out.iter_mut().enumerate() {
        let five_bits = bits >> (30 - 5 * place) & 31;
        *symbol = usize::try_from(five_bits).map_or(0, |index| SYMBOLS[index]);
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedToken({})", self.id)
    }
}

/// What is stored of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token's whole text. Also for a root token given from outside, which may have any form.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
        Self(bytes)
    }

    /// What is the hash of no text that anybody could find: to compare with where there is nothing to compare with.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self([0; 32])
    }

    /// From stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the hash of that token, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is_of(&self, token: &PresentedToken<'_>) -> bool {
        self.is_of_text(token.text)
    }

    /// As [`TokenHash::is_of`], for a text of any form.
    #[must_use]
    pub fn is_of_text(&self, text: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &Self::of(text).0).is_ok()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_reads_back_and_matches_its_hash() {
        let token = NewToken::generate().unwrap();
        let presented = PresentedToken::parse(token.reveal_once().as_bytes()).unwrap();
        assert_eq!(presented.id(), token.id.as_str());
        assert!(token.hash.is_of(&presented));
        assert_eq!(token.reveal_once().len(), LENGTH);
    }

    #[test]
    fn a_token_that_is_cut_or_mistyped_anywhere_is_refused() {
        let token = NewToken::generate().unwrap();
        let text = token.reveal_once().as_bytes();
        for length in 0..text.len() {
            assert!(PresentedToken::parse(&text[..length]).is_err(), "cut to {length}");
        }
        for index in 0..text.len() {
            let mut mistyped = text.to_vec();
            mistyped[index] = if mistyped[index] == b'a' { b'b' } else { b'a' };
            assert!(PresentedToken::parse(&mistyped).is_err(), "mistyped at {index}");
        }
        assert_eq!(PresentedToken::parse(b"something else").unwrap_err(), MalformedToken::Foreign);
    }

    #[test]
    fn a_fitting_checksum_does_not_make_an_id_of_any_text() {
        let token = NewToken::generate().unwrap();
        let mut text = token.reveal_once().as_bytes()[..LENGTH - CHECKSUM_LENGTH].to_vec();
        text[PREFIX.len()] = b'\n';
        let mut checksum = [0; CHECKSUM_LENGTH];
        encode_checksum(crc32fast::hash(&text), &mut checksum);
        text.extend_from_slice(&checksum);
        assert_eq!(PresentedToken::parse(&text).unwrap_err(), MalformedToken::Damaged);
    }

    #[test]
    fn another_tokens_secret_does_not_match() {
        let (one, two) = (NewToken::generate().unwrap(), NewToken::generate().unwrap());
        let presented = PresentedToken::parse(two.reveal_once().as_bytes()).unwrap();
        assert!(!one.hash.is_of(&presented));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let token = NewToken::generate().unwrap();
        let presented = PresentedToken::parse(token.reveal_once().as_bytes()).unwrap();
        let secret = &token.reveal_once()[21..];
        assert!(!format!("{token:?} {presented:?} {:?}", token.hash).contains(secret));
    }
}
