//! Opening what Sim, another keeper of provider keys, sealed. Nothing is ever sealed in this form here.
//!
//! Sim seals with AES-256-GCM under one key for the whole installation, and writes nonce, ciphertext and tag in
//! hexadecimal with colons between them. Its nonces have 16 bytes, from which GCM derives the first counter by a hash.

use std::fmt;

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInOut, AesGcm, Key, KeyInit, Nonce, Tag};
use claviger_core::KeySecret;
use claviger_core::key::InvalidSecret;
use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use crate::frame::KEY_LENGTH;

const NONCE_LENGTH: usize = 16;
const TAG_LENGTH: usize = 16;

type Cipher = AesGcm<Aes256, U16>;

/// Text that is no key of Sim's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Sim's encryption key is exactly 64 hexadecimal digits")]
pub struct InvalidSimKey;

/// Sealed text of Sim's that gives no provider key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SimOpenError {
    /// It has not the form `nonce:ciphertext:tag`.
    #[error("it has not the form in which Sim seals")]
    Form,
    /// Altered, or sealed under another key.
    #[error("it does not open: altered, or sealed under another key")]
    Refused,
    /// It opens, and what is in it cannot be a provider key.
    #[error("what was sealed cannot be a provider key: it {0}")]
    NoKey(InvalidSecret),
}

/// The key under which one installation of Sim seals.
pub struct SimKey(Cipher);

impl SimKey {
    /// Reads 64 hexadecimal digits; white space around them is dropped.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, InvalidSimKey> {
        let decoded = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map(Zeroizing::new);
        let decoded = decoded.map_err(|_| InvalidSimKey)?;
        let key: &[u8; KEY_LENGTH] = decoded.as_slice().try_into().map_err(|_| InvalidSimKey)?;
        Ok(Self(Cipher::new(<&Key<Cipher>>::from(key))))
    }

    /// Opens a provider key.
    pub fn open(&self, sealed: &str) -> Result<KeySecret, SimOpenError> {
        let mut parts = sealed.trim().split(':');
        let (Some(nonce), Some(ciphertext), Some(tag), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SimOpenError::Form);
        };
        let nonce: [u8; NONCE_LENGTH] = bytes(nonce)?.as_slice().try_into().map_err(|_| SimOpenError::Form)?;
        let tag: [u8; TAG_LENGTH] = bytes(tag)?.as_slice().try_into().map_err(|_| SimOpenError::Form)?;
        let mut opened = bytes(ciphertext)?;
        self.0
            .decrypt_inout_detached(&Nonce::from(nonce), &[], InOutBuf::from(opened.as_mut_slice()), &Tag::from(tag))
            .map_err(|_| SimOpenError::Refused)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SimOpenError::NoKey(InvalidSecret::NotVisible))?;
        KeySecret::parse(&Zeroizing::new(text.to_owned())).map_err(SimOpenError::NoKey)
    }
}

/// Becomes plain text in its place.
fn bytes(hex: &str) -> Result<Zeroizing<Vec<u8>>, SimOpenError> {
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map(Zeroizing::new).map_err(|_| SimOpenError::Form)
}

impl fmt::Debug for SimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        crate::fill_random(&mut bytes).unwrap();
        bytes
    }

    fn key(bytes: &[u8; KEY_LENGTH]) -> SimKey {
        SimKey::parse(&Zeroizing::new(format!(" {}\n", HEXLOWER.encode(bytes)))).unwrap()
    }

    /// As Sim writes it.
    fn seal(key: &[u8; KEY_LENGTH], plain: &str) -> [String; 3] {
        let nonce = random::<NONCE_LENGTH>();
        let mut text = plain.as_bytes().to_vec();
        let cipher = Cipher::new(&Key::<Cipher>::from(*key));
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), &[], text.as_mut_slice().into()).unwrap();
        [HEXLOWER.encode(&nonce), HEXLOWER.encode(&text), HEXLOWER.encode(&tag)]
    }

    #[test]
    fn what_was_sealed_under_the_key_opens_and_under_another_does_not() {
        let (bytes, plain) = (random(), HEXLOWER.encode(&random::<20>()));
        let sealed = seal(&bytes, &plain);
        let opened = key(&bytes).open(&sealed.join(":")).unwrap();
        assert_eq!(opened.expose_to_provider(), plain.as_bytes());
        assert!(key(&bytes).open(&sealed.join(":").to_ascii_uppercase()).is_ok());
        assert_eq!(key(&random()).open(&sealed.join(":")).unwrap_err(), SimOpenError::Refused);
    }

    /// Sim seals with OpenSSL. What is to be opened here was made with it, of bytes that count upwards.
    #[test]
    fn a_nonce_of_16_bytes_means_what_it_means_to_openssl() {
        fn counting<const N: usize>(from: u8) -> [u8; N] {
            std::array::from_fn(|at| from + u8::try_from(at).unwrap())
        }
        let nonce = counting::<NONCE_LENGTH>(100);
        let sealed = format!("{}:{}", HEXLOWER.encode(&nonce), OPENSSL);
        let opened = key(&counting(0)).open(&sealed).unwrap();
        assert_eq!(opened.expose_to_provider(), b"forty-two-and-a-half-characters-of-plain-text");
    }

    /// Ciphertext and tag.
    const OPENSSL: &str = "bedc31259d3953afddd4cce723fa8d48321034a6b18c886ab7e1771afc8574e514a7a3bc0caa8aaf2c7b2a7d63:0e8a947e971440545e6378db52a20298";

    #[test]
    fn altered_text_does_not_open() {
        let bytes = random();
        let [nonce, text, tag] = seal(&bytes, "abcdefgh");
        let flipped = |hex: &str| hex.chars().map(|c| if c == '0' { '1' } else { '0' }).collect::<String>();
        for sealed in
            [[&flipped(&nonce), &text, &tag], [&nonce, &flipped(&text), &tag], [&nonce, &text, &flipped(&tag)]]
        {
            assert_eq!(key(&bytes).open(&sealed.map(String::as_str).join(":")).unwrap_err(), SimOpenError::Refused);
        }
    }

    #[test]
    fn what_has_another_form_is_refused_as_that() {
        let bytes = random();
        let [nonce, text, tag] = seal(&bytes, "abcdefgh");
        for sealed in [
            String::new(),
            text.clone(),
            format!("{nonce}:{text}"),
            format!("{nonce}:{text}:{tag}:"),
            format!("{}:{text}:{tag}", &nonce[..24]),
            format!("{nonce}:{text}:{}", &tag[..24]),
            format!("{nonce}:{text}0:{tag}"),
            format!("{nonce}:ü:{tag}"),
        ] {
            assert_eq!(key(&bytes).open(&sealed).unwrap_err(), SimOpenError::Form, "{sealed}");
        }
    }

    #[test]
    fn what_opens_and_cannot_be_a_key_is_refused_as_that() {
        let bytes = random();
        for (plain, why) in [("", InvalidSecret::Empty), ("a b", InvalidSecret::NotVisible)] {
            let refused = key(&bytes).open(&seal(&bytes, plain).join(":")).unwrap_err();
            assert_eq!(refused, SimOpenError::NoKey(why));
        }
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let digits = HEXLOWER.encode(&random::<KEY_LENGTH>());
        for bad in [String::new(), digits[1..].to_owned(), format!("{digits}00"), digits.replacen(|_| true, "g", 1)] {
            assert_eq!(SimKey::parse(&Zeroizing::new(bad)).unwrap_err(), InvalidSimKey);
        }
        assert_eq!(format!("{:?}", key(&random())), "SimKey(…)");
    }
}
