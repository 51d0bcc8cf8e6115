//! An owner's data key, and what it seals.

use std::fmt;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::{hkdf, hmac};
use claviger_core::{KeyId, KeySecret, Owner, ProviderId, WebhookId};
use zeroize::Zeroizing;

use crate::frame::{self, Header, KEY_LENGTH, Kind, OpenError, SealError};
use crate::master::MasterKeyId;
use crate::webhook::WebhookSecret;

/// Where a sealed provider key belongs, beside its owner.
#[derive(Clone, Copy, Debug)]
pub struct KeyPlace<'a> {
    /// Whose API the key opens.
    pub provider: &'a ProviderId,
    /// The key's id.
    pub key: &'a KeyId,
}

/// Where a sealed webhook's secret belongs, beside its owner.
#[derive(Clone, Copy, Debug)]
pub struct WebhookPlace<'a> {
    /// The webhook's id.
    pub webhook: &'a WebhookId,
}

/// Tells equal secrets of one pool from different ones; says nothing to who has not the owner's data key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// The key that seals one owner's provider keys and webhooks' secrets. Opened from its sealed form by the master key.
pub struct DataKey {
    owner: Owner,
    master: MasterKeyId,
    generation: u32,
    cipher: LessSafeKey,
    fingerprints: hmac::Key,
}

impl DataKey {
    pub(crate) fn new(owner: Owner, master: MasterKeyId, generation: u32, key: &[u8; KEY_LENGTH]) -> Self {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"claviger data key").extract(key);
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes; one hash's length is asked for")]
        let derived = extracted.expand(&[b"fingerprints"], hmac::HMAC_SHA256).expect("a length HKDF can give");
        Self { owner, master, generation, cipher: frame::cipher(key), fingerprints: derived.into() }
    }

    /// Which of the owner's data keys it is, counted from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Seals a provider key for its place.
    pub fn seal(&self, place: KeyPlace<'_>, secret: &KeySecret) -> Result<Vec<u8>, SealError> {
        self.seal_at(Kind::ProviderKey, &self.place(place), secret.expose_to_provider())
    }

    /// Opens a provider key at its place.
    pub fn open(&self, place: KeyPlace<'_>, sealed: &[u8]) -> Result<KeySecret, OpenError> {
        let opened = self.open_at(Kind::ProviderKey, &self.place(place), sealed)?;
        KeySecret::from_opened(opened).ok_or(OpenError::Damaged)
    }

    /// Seals a webhook's secret for its place.
    pub fn seal_webhook(&self, place: WebhookPlace<'_>, secret: &WebhookSecret) -> Result<Vec<u8>, SealError> {
        self.seal_at(Kind::WebhookSecret, &self.webhook_place(place), secret.bytes())
    }

    /// Opens a webhook's secret at its place.
    pub fn open_webhook(&self, place: WebhookPlace<'_>, sealed: &[u8]) -> Result<WebhookSecret, OpenError> {
        let opened = self.open_at(Kind::WebhookSecret, &self.webhook_place(place), sealed)?;
        WebhookSecret::from_opened(opened).ok_or(OpenError::Damaged)
    }

    fn seal_at(&self, kind: Kind, place: &[&str], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let header = Header { kind, master: self.master, generation: self.generation };
        frame::seal(&self.cipher, header, place, plain)
    }

    fn open_at(&self, kind: Kind, place: &[&str], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let header = Header::read(sealed, kind)?;
        if header.generation != self.generation {
            return Err(OpenError::OtherKey);
        }
        frame::open(&self.cipher, header, place, sealed)
    }

    /// The fingerprint of a secret for a provider.
    #[must_use]
    pub fn fingerprint(&self, provider: &ProviderId, secret: &KeySecret) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        context.update(provider.as_str().as_bytes());
        context.update(&[0]);
        context.update(secret.expose_to_provider());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Fingerprint(bytes)
    }

    fn place<'a>(&'a self, place: KeyPlace<'a>) -> [&'a str; 4] {
        [self.owner.kind().as_str(), self.owner.id(), place.provider.as_str(), place.key.as_str()]
    }

    fn webhook_place<'a>(&'a self, place: WebhookPlace<'a>) -> [&'a str; 4] {
        [self.owner.kind().as_str(), self.owner.id(), "webhook", place.webhook.as_str()]
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({}, generation {})", self.owner, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::Timestamp;

    use super::*;
    use crate::MasterKey;

    fn master() -> MasterKey {
        MasterKey::parse(&MasterKey::generate().unwrap()).unwrap()
    }

    fn secret(text: &str) -> KeySecret {
        KeySecret::parse(&Zeroizing::new(text.to_owned())).unwrap()
    }

    fn key_id(number: u8) -> KeyId {
        KeyId::new(Timestamp::from_millis(0), [number; 10])
    }

    fn workspace(id: &str) -> Owner {
        Owner::Workspace(id.parse().unwrap())
    }

    #[test]
    fn a_secret_opens_at_its_place_and_at_no_other() {
        let master = master();
        let (here, _) = master.new_data_key(&workspace("a"), 1).unwrap();
        let (exa, jina) = ("exa".parse().unwrap(), "jina".parse().unwrap());
        let (one, two) = (key_id(1), key_id(2));
        let place = KeyPlace { provider: &exa, key: &one };
        let sealed = here.seal(place, &secret("hidden")).unwrap();
        assert_eq!(here.open(place, &sealed).unwrap().expose_to_provider(), b"hidden");
        for elsewhere in [KeyPlace { provider: &jina, key: &one }, KeyPlace { provider: &exa, key: &two }] {
            assert_eq!(here.open(elsewhere, &sealed).unwrap_err(), OpenError::Refused);
        }
        let (other_owner, _) = master.new_data_key(&workspace("b"), 1).unwrap();
        assert_eq!(other_owner.open(place, &sealed).unwrap_err(), OpenError::Refused);
        let (next, _) = master.new_data_key(&workspace("a"), 2).unwrap();
        assert_eq!(next.open(place, &sealed).unwrap_err(), OpenError::OtherKey);
    }

    #[test]
    fn a_webhooks_secret_opens_at_its_place_and_at_no_other() {
        let master = master();
        let (here, _) = master.new_data_key(&workspace("a"), 1).unwrap();
        let [one, two] = [1, 2].map(|number| WebhookId::new(Timestamp::from_millis(0), [number; 10]));
        let secret = WebhookSecret::generate().unwrap();
        let place = WebhookPlace { webhook: &one };
        let sealed = here.seal_webhook(place, &secret).unwrap();
        assert_eq!(here.open_webhook(place, &sealed).unwrap().bytes(), secret.bytes());
        let elsewhere = here.open_webhook(WebhookPlace { webhook: &two }, &sealed);
        assert_eq!(elsewhere.unwrap_err(), OpenError::Refused);
        let (other_owner, _) = master.new_data_key(&workspace("b"), 1).unwrap();
        assert_eq!(other_owner.open_webhook(place, &sealed).unwrap_err(), OpenError::Refused);
        let (next, _) = master.new_data_key(&workspace("a"), 2).unwrap();
        assert_eq!(next.open_webhook(place, &sealed).unwrap_err(), OpenError::OtherKey);
        let (provider, key) = ("webhook".parse().unwrap(), key_id(1));
        let as_a_key = here.open(KeyPlace { provider: &provider, key: &key }, &sealed);
        assert_eq!(as_a_key.unwrap_err(), OpenError::Kind);
        for length in 0..sealed.len() {
            assert!(here.open_webhook(place, &sealed[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn a_sealed_secret_that_is_cut_or_altered_anywhere_does_not_open() {
        let (data_key, _) = master().new_data_key(&workspace("a"), 1).unwrap();
        let (provider, key) = ("exa".parse().unwrap(), key_id(1));
        let place = KeyPlace { provider: &provider, key: &key };
        let sealed = data_key.seal(place, &secret("hidden")).unwrap();
        for length in 0..sealed.len() {
            assert!(data_key.open(place, &sealed[..length]).is_err(), "cut to {length}");
        }
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 0x40;
            assert!(data_key.open(place, &altered).is_err(), "altered at {index}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let (data_key, _) = master().new_data_key(&workspace("a"), 1).unwrap();
        let (provider, key) = ("exa".parse().unwrap(), key_id(1));
        let place = KeyPlace { provider: &provider, key: &key };
        let secret = secret("hidden");
        assert_ne!(data_key.seal(place, &secret).unwrap(), data_key.seal(place, &secret).unwrap());
    }

    #[test]
    fn fingerprints_are_equal_for_equal_secrets_of_one_owner_and_provider() {
        let master = master();
        let owner = workspace("a");
        let (data_key, sealed) = master.new_data_key(&owner, 1).unwrap();
        let reopened = master.open_data_key(&owner, &sealed).unwrap();
        let (other, _) = master.new_data_key(&workspace("b"), 1).unwrap();
        let (exa, jina) = ("exa".parse().unwrap(), "jina".parse().unwrap());
        let print = data_key.fingerprint(&exa, &secret("same"));
        assert_eq!(print, reopened.fingerprint(&exa, &secret("same")));
        assert_ne!(print, data_key.fingerprint(&exa, &secret("other")));
        assert_ne!(print, data_key.fingerprint(&jina, &secret("same")));
        assert_ne!(print, other.fingerprint(&exa, &secret("same")));
    }
}
