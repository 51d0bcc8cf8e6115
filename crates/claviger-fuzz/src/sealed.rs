//! Sealed bytes, master keys, and what Sim sealed.

use std::sync::LazyLock;

use claviger_core::{KeyId, KeySecret, Owner, ProviderId};
use claviger_seal::{DataKey, InvalidMasterKey, KeyPlace, MasterKey, OpenError, SimKey};
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

/// Where the id of the master key stands, and what comes after it begins.
const MASTER: std::ops::Range<usize> = 2..10;
const HEADER_LENGTH: usize = 14;

struct Vault {
    master: MasterKey,
    sealed_data_key: Vec<u8>,
    data_key: DataKey,
    provider: ProviderId,
    key: KeyId,
}

static VAULT: LazyLock<Vault> = LazyLock::new(|| {
    // The same in every run, so that what opens under it does so again.
    let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
    let master = MasterKey::parse(&Zeroizing::new(BASE64.encode(&bytes))).expect("32 bytes are a master key");
    let (data_key, sealed_data_key) = master.new_data_key(&Owner::Platform, 1).expect("randomness");
    let provider = "openai".parse().expect("a provider's id");
    let key = KeyId::new(claviger_core::Timestamp::from_millis(0), [0; 10]);
    Vault { master, sealed_data_key, data_key, provider, key }
});

impl Vault {
    fn place(&self) -> KeyPlace<'_> {
        KeyPlace { provider: &self.provider, key: &self.key }
    }
}

/// Nothing opens but what was sealed, as it was sealed and where it belongs; and that opens to what went in.
pub fn sealed(data: &[u8]) {
    nothing_made_up_opens(data);
    what_was_sealed_opens_where_it_belongs(data);
    if let Ok(text) = std::str::from_utf8(data) {
        master_keys_are_32_bytes(text);
        sims_seals_are_refused(text);
    }
}

fn nothing_made_up_opens(data: &[u8]) {
    let vault = &*VAULT;
    for id in [MasterKey::id_of_canary(data), MasterKey::id_of_data_key(data)].into_iter().flatten() {
        assert_eq!(id.to_bytes(), data[MASTER]);
        assert_eq!(data[0], 1, "another version was read");
    }
    assert!(vault.master.prove(data).is_err());
    assert!(vault.master.open_data_key(&Owner::Platform, data).is_err());
    assert!(vault.data_key.open(vault.place(), data).is_err());
    // Behind a header that is genuine, the tag alone decides.
    let behind_header = [&vault.sealed_data_key[..HEADER_LENGTH], data].concat();
    if behind_header != vault.sealed_data_key {
        let refused = vault.master.open_data_key(&Owner::Platform, &behind_header).expect_err("made up");
        assert!(matches!(refused, OpenError::Refused | OpenError::Damaged), "{refused}");
    }
}

fn what_was_sealed_opens_where_it_belongs(data: &[u8]) {
    let vault = &*VAULT;
    let Some(secret) = KeySecret::from_opened(Zeroizing::new(data.to_vec())) else {
        assert!(data.is_empty() || !data.iter().all(u8::is_ascii_graphic));
        return;
    };
    let sealed = vault.data_key.seal(vault.place(), &secret).expect("randomness");
    let opened = vault.data_key.open(vault.place(), &sealed).expect("what was just sealed");
    assert_eq!(opened.expose_to_provider(), data);

    let elsewhere = KeyId::new(claviger_core::Timestamp::from_millis(1), [0; 10]);
    let moved = KeyPlace { key: &elsewhere, ..vault.place() };
    assert_eq!(vault.data_key.open(moved, &sealed).expect_err("moved"), OpenError::Refused);
    let at = data.iter().fold(0_usize, |sum, byte| sum + usize::from(*byte)) % sealed.len();
    assert!(vault.data_key.open(vault.place(), &sealed[..at]).is_err(), "opens although cut to {at}");
    let mut altered = sealed;
    altered[at] ^= 1;
    assert!(vault.data_key.open(vault.place(), &altered).is_err(), "opens although altered at {at}");
}

fn master_keys_are_32_bytes(text: &str) {
    let read = MasterKey::parse(&Zeroizing::new(text.to_owned()));
    let decoded = BASE64.decode(text.trim().as_bytes()).ok().filter(|bytes| bytes.len() == 32);
    assert_eq!(read.as_ref().map(|_| ()), decoded.as_ref().map(|_| ()).ok_or(&InvalidMasterKey));
    if let (Ok(read), Some(decoded)) = (read, decoded) {
        let again = MasterKey::parse(&Zeroizing::new(BASE64.encode(&decoded))).expect("read before");
        assert_eq!(read.id(), again.id());
        assert!(again.prove(&read.seal_canary().expect("randomness")).is_ok());
    }
}

fn sims_seals_are_refused(text: &str) {
    let key = Zeroizing::new(HEXLOWER.encode(&[7; 32]));
    let key = SimKey::parse(&key).expect("64 digits");
    assert!(key.open(text).is_err());
    let digits = text.trim();
    let sound = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(SimKey::parse(&Zeroizing::new(text.to_owned())).is_ok(), sound);
}
