//! The audit trail: who changed what, and how entries hold on to each other.
//!
//! Every owner has a chain of entries of its own, numbered from 1. Each entry's hash covers everything in it, its owner,
//! its number and the hash of the entry before, so that none can be altered, removed, inserted or moved without breaking
//! every hash from there on. The last hash is the chain's head: kept elsewhere, it proves the whole chain.
//!
//! The hash is no secret's: whoever may write to the database can make a chain anew from where they like. What they
//! cannot make anew is a head that somebody else wrote down.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Owner, ProviderId, Timestamp, TokenId};

/// The way by which a change came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The key API.
    Api,
    /// The portal, by the people of a workspace.
    Portal,
    /// The console, by the operator.
    Console,
    /// The commands of the program, by the operator.
    Shell,
}

/// Who changes something, when, and from where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// Who: as the caller names them, or by their token or session, see [`crate::actor`].
    pub actor: String,
    /// The token that was shown, where one was.
    pub token: Option<TokenId>,
    /// By which way.
    pub via: Via,
    /// The caller's address, where there is one.
    pub address: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// The hash of an entry, and of all before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What the first entry of a chain comes after.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditHash({self})")
    }
}

/// One entry, as stored. What happened is told without secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Its place in the chain, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who, see [`Act::actor`].
    pub actor: String,
    /// What was done: `byok_key.created` and the like.
    pub action: String,
    /// To which: an id.
    pub target: String,
    /// Whose key it was about, where it was about a key.
    pub provider: Option<ProviderId>,
    /// A JSON object: the way it came, and what was before and after. Kept to the byte, since the hash covers it.
    pub details: String,
    /// See [`AuditEntry::link`].
    pub hash: AuditHash,
}

impl AuditEntry {
    /// The hash that this entry must have, after the entry with the hash `previous`.
    #[must_use]
    pub fn link(&self, owner: &Owner, previous: AuditHash) -> AuditHash {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            // With its length before it, so that nothing can be moved from one field into the next.
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(b"claviger audit entry 1");
        field(&previous.0);
        field(owner.kind().as_str().as_bytes());
        field(owner.id().as_bytes());
        field(&self.sequence.to_be_bytes());
        field(&self.at.as_millis().to_be_bytes());
        field(self.actor.as_bytes());
        field(self.action.as_bytes());
        field(self.target.as_bytes());
        field(self.provider.as_ref().map_or("", ProviderId::as_str).as_bytes());
        field(self.details.as_bytes());
        AuditHash(hash.finalize().into())
    }
}

/// Where a chain ends: the number and the hash of its last entry. Written `<number>:<64 hexadecimal digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHead {
    /// How many entries the chain has.
    pub sequence: u64,
    /// The hash of the last one.
    pub hash: AuditHash,
}

impl AuditHead {
    /// A chain without entries.
    pub const EMPTY: Self = Self { sequence: 0, hash: AuditHash::NONE };
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// A text that is no head of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a head is written as the number of its entry, a colon and 64 hexadecimal digits")]
pub struct InvalidHead;

impl FromStr for AuditHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (sequence, digits) = text.split_once(':').ok_or(InvalidHead)?;
        let sequence = sequence.parse().map_err(|_| InvalidHead)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidHead);
        }
        let mut hash = [0; 32];
        for (byte, place) in hash.iter_mut().zip(0..) {
            *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).map_err(|_| InvalidHead)?;
        }
        Ok(Self { sequence, hash: AuditHash(hash) })
    }
}

/// What is wrong with a chain, and where it begins to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// An entry is not there.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// An entry is not what it was, or not where it was; or one was put before it.
    #[error("entry {0} was altered, moved or put there")]
    Altered(u64),
    /// There are entries behind the head.
    #[error("entry {0} was put behind the last one")]
    Beyond(u64),
    /// All entries hold on to each other, but the chain's own head says something else.
    #[error("the head of the chain does not fit its last entry, {0}")]
    Head(u64),
    /// The chain is sound in itself, but not the one whose head was written down.
    #[error("entry {0} is not the one that was expected: the chain was made anew")]
    Unexpected(u64),
}

/// Walks along a chain from its beginning, and finds the first flaw.
#[derive(Debug)]
pub struct Walk {
    owner: Owner,
    last: AuditHead,
    expected: Option<AuditHead>,
}

impl Walk {
    /// Before the first entry. `expected` is a head that the chain had at some time.
    #[must_use]
    pub fn begin(owner: Owner, expected: Option<AuditHead>) -> Self {
        Self { owner, last: AuditHead::EMPTY, expected }
    }

    /// How far it came.
    #[must_use]
    pub fn last(&self) -> AuditHead {
        self.last
    }

    /// Takes the next entry.
    pub fn step(&mut self, entry: &AuditEntry) -> Result<(), Flaw> {
        let place = self.last.sequence + 1;
        match entry.sequence {
            sequence if sequence > place => return Err(Flaw::Missing(place)),
            sequence if sequence < place => return Err(Flaw::Altered(sequence)),
            _ => {}
        }
        if entry.hash != entry.link(&self.owner, self.last.hash) {
            return Err(Flaw::Altered(place));
        }
        if self.expected.is_some_and(|expected| expected.sequence == place && expected.hash != entry.hash) {
            return Err(Flaw::Unexpected(place));
        }
        self.last = AuditHead { sequence: place, hash: entry.hash };
        Ok(())
    }

    /// There are no more entries: compares with what the chain says of itself.
    pub fn end(self, head: AuditHead) -> Result<AuditHead, Flaw> {
        let expected = self.expected.map_or(0, |expected| expected.sequence);
        if self.last.sequence < head.sequence.max(expected) {
            return Err(Flaw::Missing(self.last.sequence + 1));
        }
        if self.last.sequence > head.sequence {
            return Err(Flaw::Beyond(head.sequence + 1));
        }
        if self.last.hash != head.hash {
            return Err(Flaw::Head(head.sequence));
        }
        Ok(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner::Workspace("acme".parse().unwrap())
    }

    fn chain(length: u64) -> Vec<AuditEntry> {
        let mut previous = AuditHash::NONE;
        (1..=length)
            .map(|sequence| {
                let mut entry = AuditEntry {
                    sequence,
                    at: Timestamp::from_millis(1_700_000_000_000 + i64::try_from(sequence).unwrap()),
                    actor: "ada".to_owned(),
                    action: "byok_key.created".to_owned(),
                    target: format!("key_{sequence}"),
                    provider: Some("openai".parse().unwrap()),
                    details: "{}".to_owned(),
                    hash: AuditHash::NONE,
                };
                entry.hash = entry.link(&owner(), previous);
                previous = entry.hash;
                entry
            })
            .collect()
    }

    fn head(chain: &[AuditEntry]) -> AuditHead {
        chain.last().map_or(AuditHead::EMPTY, |entry| AuditHead { sequence: entry.sequence, hash: entry.hash })
    }

    fn verify(chain: &[AuditEntry], head: AuditHead, expected: Option<AuditHead>) -> Result<AuditHead, Flaw> {
        let mut walk = Walk::begin(owner(), expected);
        chain.iter().try_for_each(|entry| walk.step(entry))?;
        walk.end(head)
    }

    #[test]
    fn a_whole_chain_is_sound_also_an_empty_one() {
        let whole = chain(5);
        assert_eq!(verify(&whole, head(&whole), None), Ok(head(&whole)));
        assert_eq!(verify(&whole, head(&whole), Some(head(&whole[..3]))), Ok(head(&whole)));
        assert_eq!(verify(&[], AuditHead::EMPTY, None), Ok(AuditHead::EMPTY));
    }

    #[test]
    fn every_field_is_held_by_the_hash() {
        type Alteration = fn(&mut AuditEntry);
        let alterations: [Alteration; 6] = [
            |entry| entry.at = Timestamp::from_millis(1),
            |entry| entry.actor.push('x'),
            |entry| entry.action.push('x'),
            |entry| entry.target.push('x'),
            |entry| entry.provider = None,
            |entry| entry.details.push(' '),
        ];
        for alter in alterations {
            let mut whole = chain(5);
            alter(&mut whole[2]);
            assert_eq!(verify(&whole, head(&whole), None), Err(Flaw::Altered(3)));
        }
        let (mut one, mut other) = (chain(1), chain(1));
        (one[0].actor, one[0].action) = ("a".to_owned(), "bc".to_owned());
        (other[0].actor, other[0].action) = ("ab".to_owned(), "c".to_owned());
        assert_ne!(one[0].link(&owner(), AuditHash::NONE), other[0].link(&owner(), AuditHash::NONE));
        assert_ne!(one[0].link(&owner(), AuditHash::NONE), one[0].link(&Owner::Platform, AuditHash::NONE));
    }

    #[test]
    fn what_is_missing_moved_or_put_in_is_named_where_it_begins() {
        let whole = chain(6);
        let mut removed = whole.clone();
        removed.remove(2);
        assert_eq!(verify(&removed, head(&whole), None), Err(Flaw::Missing(3)));
        assert_eq!(verify(&whole[..4], head(&whole), None), Err(Flaw::Missing(5)));
        assert_eq!(verify(&whole[1..], head(&whole), None), Err(Flaw::Missing(1)));
        let mut swapped = whole.clone();
        swapped.swap(1, 3);
        (swapped[1].sequence, swapped[3].sequence) = (2, 4);
        assert_eq!(verify(&swapped, head(&whole), None), Err(Flaw::Altered(2)));
        let mut inserted = whole.clone();
        inserted.insert(3, whole[2].clone());
        inserted[3].sequence = 4;
        (4..7).for_each(|place| inserted[place].sequence += 1);
        assert_eq!(verify(&inserted, head(&whole), None), Err(Flaw::Altered(4)));
        assert_eq!(verify(&whole, head(&whole[..5]), None), Err(Flaw::Beyond(6)));
        let elsewhere = AuditHead { sequence: 6, hash: AuditHash::NONE };
        assert_eq!(verify(&whole, elsewhere, None), Err(Flaw::Head(6)));
    }

    #[test]
    fn a_chain_that_was_made_anew_is_not_the_one_whose_head_was_written_down() {
        let written_down = head(&chain(4));
        let mut anew = chain(6);
        let mut previous = AuditHash::NONE;
        for entry in &mut anew {
            entry.actor = "eve".to_owned();
            entry.hash = entry.link(&owner(), previous);
            previous = entry.hash;
        }
        assert_eq!(verify(&anew, head(&anew), None), Ok(head(&anew)));
        assert_eq!(verify(&anew, head(&anew), Some(written_down)), Err(Flaw::Unexpected(4)));
        let short = chain(3);
        assert_eq!(verify(&short, head(&short), Some(written_down)), Err(Flaw::Missing(4)));
    }

    #[test]
    fn heads_are_read_as_they_are_written() {
        let written = head(&chain(3));
        assert_eq!(written.to_string().parse(), Ok(written));
        for wrong in ["", "3", "3:", "x:00", &format!("3:{}", "g".repeat(64)), &format!("3:{}", "0".repeat(63))] {
            assert_eq!(wrong.parse::<AuditHead>(), Err(InvalidHead), "{wrong}");
        }
    }
}
