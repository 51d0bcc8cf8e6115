//! Tokens as callers show them.

use claviger_core::TokenId;
use claviger_seal::{MalformedToken, PresentedToken, TokenHash};
use data_encoding::BASE32_NOPAD;

const PREFIX: &[u8] = b"clv_";
const ID_LENGTH: usize = 16;
const BEFORE_CHECKSUM: usize = PREFIX.len() + ID_LENGTH + 1 + 52;

/// What counts as a token has its form to the last byte, and nothing else is looked up.
pub fn token(data: &[u8]) {
    judge(data);
    judge(&[PREFIX, data].concat());
    // Few would find the checksum: here it is right, whatever stands before it.
    let mut signed: Vec<u8> =
        PREFIX.iter().chain(data).copied().chain(std::iter::repeat(b'a')).take(BEFORE_CHECKSUM).collect();
    signed[PREFIX.len() + ID_LENGTH] = b'_';
    judge(&with_checksum(&signed));
    genuine(data);
}

/// A token of 42 bytes that come from outside: read as it was printed, and not once a byte is another.
fn genuine(data: &[u8]) {
    let random: Vec<u8> = data.iter().copied().chain(std::iter::repeat(0)).take(42).collect();
    let (id, secret) = random.split_at(10);
    let (id, secret) = (lower_base32(id), lower_base32(secret));
    let mut text = with_checksum(format!("clv_{id}_{secret}").as_bytes());
    let read = PresentedToken::parse(&text).expect("a genuine token");
    assert_eq!(read.id(), id);
    assert!(TokenHash::of(&text).is_of(&read));
    let at = data.len() % text.len();
    text[at] = if text[at] == b'a' { b'b' } else { b'a' };
    assert!(PresentedToken::parse(&text).is_err(), "mistyped at {at}");
}

fn judge(text: &[u8]) {
    match PresentedToken::parse(text) {
        Ok(read) => {
            // What is looked up and may be logged is an id of ours.
            let id: TokenId = read.id().parse().expect("an id of a token");
            assert_eq!(with_checksum(&text[..BEFORE_CHECKSUM]), text);
            assert_eq!(&text[PREFIX.len()..PREFIX.len() + ID_LENGTH], id.as_str().as_bytes());
            assert!(TokenHash::of(text).is_of(&read));
            assert!(!format!("{read:?}").contains(&*String::from_utf8_lossy(&text[21..])));
        }
        Err(MalformedToken::Foreign) => assert!(!text.starts_with(PREFIX)),
        Err(MalformedToken::Damaged) => assert!(text.starts_with(PREFIX)),
    }
}

fn with_checksum(signed: &[u8]) -> Vec<u8> {
    let checksum = lower_base32(&crc32fast::hash(signed).to_be_bytes());
    [signed, checksum.as_bytes()].concat()
}

fn lower_base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}
