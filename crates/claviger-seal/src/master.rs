//! The master key.

use std::fmt;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::digest;
use claviger_core::Owner;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use crate::frame::{self, Header, KEY_LENGTH, Kind, OpenError, SealError};
use crate::owner::DataKey;

const CANARY: &[u8] = b"claviger canary";

/// Tells master keys apart without telling anything about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId([u8; 8]);

impl MasterKeyId {
    /// The id that a database names by its bytes; `None` where these are no id.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes by which sealed bytes name the key.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no master key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a master key is base64 of exactly 32 bytes, as `openssl rand -base64 32` prints it")]
pub struct InvalidMasterKey;

/// A data key could not be sealed anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResealError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The key at the root of everything sealed.
pub struct MasterKey {
    id: MasterKeyId,
    cipher: LessSafeKey,
}

impl MasterKey {
    /// Reads base64 of 32 bytes; white space around it is dropped.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, InvalidMasterKey> {
        let text = text.trim().as_bytes();
        let length = BASE64.decode_len(text.len()).map_err(|_| InvalidMasterKey)?;
        // Also what was decoded of a text that turns out to be none is wiped.
        let mut decoded = Zeroizing::new(vec![0; length]);
        let length = BASE64.decode_mut(text, &mut decoded).map_err(|_| InvalidMasterKey)?;
        let key = decoded[..length].first_chunk::<KEY_LENGTH>().filter(|_| length == KEY_LENGTH);
        key.map(Self::from_bytes).ok_or(InvalidMasterKey)
    }

    /// A new master key, as the text that [`MasterKey::parse`] reads.
    pub fn generate() -> Result<Zeroizing<String>, SealError> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        crate::fill_random(&mut *key)?;
        Ok(Zeroizing::new(BASE64.encode(&*key)))
    }

    fn from_bytes(key: &[u8; KEY_LENGTH]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"claviger master key id\0");
        context.update(key);
        let hash = context.finish();
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_ref()[..8]);
        Self { id: MasterKeyId(id), cipher: frame::cipher(key) }
    }

    /// This key's id.
    #[must_use]
    pub fn id(&self) -> MasterKeyId {
        self.id
    }

    /// The id of the master key that sealed a canary.
    pub fn id_of_canary(sealed: &[u8]) -> Result<MasterKeyId, OpenError> {
        Header::read(sealed, Kind::Canary).map(|header| header.master)
    }

    /// The id of the master key that sealed a data key.
    pub fn id_of_data_key(sealed: &[u8]) -> Result<MasterKeyId, OpenError> {
        Header::read(sealed, Kind::DataKey).map(|header| header.master)
    }

    /// Seals the canary, by which a later start knows that it has the same master key.
    pub fn seal_canary(&self) -> Result<Vec<u8>, SealError> {
        frame::seal(&self.cipher, self.header(Kind::Canary, 0), &[], CANARY)
    }

    /// Proves this master key against a canary.
    pub fn prove(&self, canary: &[u8]) -> Result<(), OpenError> {
        let opened = self.open(Kind::Canary, &[], canary)?.1;
        if *opened == CANARY { Ok(()) } else { Err(OpenError::Refused) }
    }

    /// Makes an owner's data key: opened, to use at once, and sealed, to store.
    pub fn new_data_key(&self, owner: &Owner, generation: u32) -> Result<(DataKey, Vec<u8>), SealError> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        crate::fill_random(&mut *key)?;
        let place = [owner.kind().as_str(), owner.id()];
        let sealed = frame::seal(&self.cipher, self.header(Kind::DataKey, generation), &place, &*key)?;
        Ok((DataKey::new(owner.clone(), self.id, generation, &key), sealed))
    }

    /// Opens an owner's data key.
    pub fn open_data_key(&self, owner: &Owner, sealed: &[u8]) -> Result<DataKey, OpenError> {
        let (header, key) = self.bare_data_key(owner, sealed)?;
        Ok(DataKey::new(owner.clone(), self.id, header.generation, &key))
    }

    /// Seals a data key anew that `from` sealed: the same key of the same generation, under this master key.
    pub fn reseal_data_key(&self, from: &Self, owner: &Owner, sealed: &[u8]) -> Result<Vec<u8>, ResealError> {
        let (header, key) = from.bare_data_key(owner, sealed)?;
        let place = [owner.kind().as_str(), owner.id()];
        Ok(frame::seal(&self.cipher, self.header(Kind::DataKey, header.generation), &place, &*key)?)
    }

    fn bare_data_key(&self, owner: &Owner, sealed: &[u8]) -> Result<(Header, Zeroizing<[u8; KEY_LENGTH]>), OpenError> {
        let (header, opened) = self.open(Kind::DataKey, &[owner.kind().as_str(), owner.id()], sealed)?;
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        if opened.len() != KEY_LENGTH {
            return Err(OpenError::Damaged);
        }
        key.copy_from_slice(&opened);
        Ok((header, key))
    }

    fn header(&self, kind: Kind, generation: u32) -> Header {
        Header { kind, master: self.id, generation }
    }

    fn open(&self, kind: Kind, place: &[&str], sealed: &[u8]) -> Result<(Header, Zeroizing<Vec<u8>>), OpenError> {
        let header = Header::read(sealed, kind)?;
        if header.master != self.id {
            return Err(OpenError::OtherKey);
        }
        Ok((header, frame::open(&self.cipher, header, place, sealed)?))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master() -> MasterKey {
        MasterKey::parse(&MasterKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_master_key_is_base64_of_32_bytes() {
        for bad in ["", "not base64", "c2hvcnQ=", &BASE64.encode(&[0; 33])] {
            assert_eq!(MasterKey::parse(&Zeroizing::new(bad.to_owned())).unwrap_err(), InvalidMasterKey);
        }
        let text = MasterKey::generate().unwrap();
        let id = MasterKey::parse(&text).unwrap().id();
        for around in ["  KEY\n", "KEY\r\n", "\r\n\tKEY \r\n\r\n"] {
            let spaced = Zeroizing::new(around.replace("KEY", &text));
            assert_eq!(MasterKey::parse(&spaced).unwrap().id(), id, "{around:?}");
        }
    }

    #[test]
    fn other_ways_to_write_32_bytes_are_no_master_key() {
        let bytes = [0xfb; KEY_LENGTH];
        let text = BASE64.encode(&bytes);
        assert!(MasterKey::parse(&Zeroizing::new(text.clone())).is_ok());
        let (front, back) = text.split_at(20);
        let others = [
            HEXLOWER.encode(&bytes),
            text.replace('+', "-").replace('/', "_"),
            text.trim_end_matches('=').to_owned(),
            text.replace("s=", "t="),
            format!("{front} {back}"),
            format!("{front}\r\n{back}"),
            format!("\u{feff}{text}"),
            format!("\"{text}\""),
            format!("{text}{text}"),
            BASE64.encode(text.as_bytes()),
        ];
        for other in others {
            assert_ne!(other, text);
            assert_eq!(MasterKey::parse(&Zeroizing::new(other.clone())).unwrap_err(), InvalidMasterKey, "{other}");
        }
    }

    #[test]
    fn a_canary_proves_its_own_master_key_only() {
        let (ours, other) = (master(), master());
        let canary = ours.seal_canary().unwrap();
        assert_eq!(ours.prove(&canary), Ok(()));
        assert_eq!(other.prove(&canary), Err(OpenError::OtherKey));
        assert_eq!(MasterKey::id_of_canary(&canary), Ok(ours.id()));
    }

    #[test]
    fn a_canary_that_is_cut_or_altered_anywhere_does_not_open() {
        let master = master();
        let canary = master.seal_canary().unwrap();
        for length in 0..canary.len() {
            assert!(master.prove(&canary[..length]).is_err(), "cut to {length}");
        }
        for index in 0..canary.len() {
            let mut altered = canary.clone();
            altered[index] ^= 1;
            assert!(master.prove(&altered).is_err(), "altered at {index}");
        }
    }

    #[test]
    fn a_data_key_opens_for_its_owner_only() {
        let master = master();
        let owner = Owner::Workspace("a".parse().unwrap());
        let (_, sealed) = master.new_data_key(&owner, 1).unwrap();
        assert!(master.open_data_key(&owner, &sealed).is_ok());
        for other in
            [Owner::Workspace("b".parse().unwrap()), Owner::Organization("a".parse().unwrap()), Owner::Platform]
        {
            assert_eq!(master.open_data_key(&other, &sealed).unwrap_err(), OpenError::Refused);
        }
    }
}
