//! The master keys that a process has been given.

use claviger_core::Owner;

use crate::frame::OpenError;
use crate::master::{MasterKey, MasterKeyId};
use crate::owner::DataKey;

/// Several master keys: the one that is to be in use, and older ones, which open what is still sealed under them. Which
/// one is in use says the database, by the canary.
#[derive(Debug)]
pub struct MasterKeys {
    /// Each once; the one that is to be in use first.
    keys: Vec<MasterKey>,
}

impl MasterKeys {
    /// One key to be in use, and older ones. A key that is given twice is one.
    #[must_use]
    pub fn new(wanted: MasterKey, older: impl IntoIterator<Item = MasterKey>) -> Self {
        let mut keys = vec![wanted];
        for key in older {
            if keys.iter().all(|known| known.id() != key.id()) {
                keys.push(key);
            }
        }
        Self { keys }
    }

    /// The one that is to be in use.
    #[must_use]
    pub fn wanted(&self) -> &MasterKey {
        &self.keys[0]
    }

    /// The one of this id.
    #[must_use]
    pub fn get(&self, id: MasterKeyId) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The ids of all, that of the wanted one first.
    pub fn ids(&self) -> impl Iterator<Item = MasterKeyId> {
        self.keys.iter().map(MasterKey::id)
    }

    /// The key that sealed a canary, proven against it. [`OpenError::OtherKey`] where it was not given.
    pub fn of_canary(&self, canary: &[u8]) -> Result<&MasterKey, OpenError> {
        let key = self.get(MasterKey::id_of_canary(canary)?).ok_or(OpenError::OtherKey)?;
        key.prove(canary).map(|()| key)
    }

    /// The key that sealed a data key. [`OpenError::OtherKey`] where it was not given.
    pub fn of_data_key(&self, sealed: &[u8]) -> Result<&MasterKey, OpenError> {
        self.get(MasterKey::id_of_data_key(sealed)?).ok_or(OpenError::OtherKey)
    }

    /// Opens an owner's data key with the master key that sealed it.
    pub fn open_data_key(&self, owner: &Owner, sealed: &[u8]) -> Result<DataKey, OpenError> {
        self.of_data_key(sealed)?.open_data_key(owner, sealed)
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self::new(key, [])
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::{KeyId, KeySecret, Timestamp};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{KeyPlace, ResealError};

    fn master() -> (MasterKey, MasterKey) {
        let text = MasterKey::generate().unwrap();
        (MasterKey::parse(&text).unwrap(), MasterKey::parse(&text).unwrap())
    }

    fn workspace(id: &str) -> Owner {
        Owner::Workspace(id.parse().unwrap())
    }

    #[test]
    fn any_of_several_master_keys_opens_what_it_sealed() {
        let ((old, old_too), (new, _)) = (master(), master());
        let (third, _) = master();
        let owner = workspace("a");
        let (_, under_old) = old.new_data_key(&owner, 1).unwrap();
        let (_, under_new) = new.new_data_key(&owner, 1).unwrap();
        let (_, under_third) = third.new_data_key(&owner, 1).unwrap();
        let keys = MasterKeys::new(new, [old, old_too]);
        assert_eq!(keys.ids().count(), 2, "a key that is given twice is one");
        assert!(keys.open_data_key(&owner, &under_old).is_ok());
        assert!(keys.open_data_key(&owner, &under_new).is_ok());
        assert_eq!(keys.open_data_key(&owner, &under_third).unwrap_err(), OpenError::OtherKey);
        assert_eq!(keys.open_data_key(&workspace("b"), &under_old).unwrap_err(), OpenError::Refused);
    }

    #[test]
    fn a_canary_names_the_key_in_use_and_proves_it() {
        let ((old, old_too), (new, new_too), (third, _)) = (master(), master(), master());
        let keys = MasterKeys::new(new, [old]);
        for key in [&old_too, &new_too] {
            let mut canary = key.seal_canary().unwrap();
            assert_eq!(keys.of_canary(&canary).unwrap().id(), key.id());
            *canary.last_mut().unwrap() ^= 1;
            assert_eq!(keys.of_canary(&canary).unwrap_err(), OpenError::Refused);
        }
        assert_eq!(keys.of_canary(&third.seal_canary().unwrap()).unwrap_err(), OpenError::OtherKey);
    }

    #[test]
    fn a_data_key_sealed_anew_is_the_same_key_under_another_master_key() {
        let ((old, _), (new, _)) = (master(), master());
        let owner = workspace("a");
        let (data_key, before) = old.new_data_key(&owner, 7).unwrap();
        let (provider, key) = ("exa".parse().unwrap(), KeyId::new(Timestamp::from_millis(0), [1; 10]));
        let place = KeyPlace { provider: &provider, key: &key };
        let secret = KeySecret::parse(&Zeroizing::new("hidden".to_owned())).unwrap();
        let sealed = data_key.seal(place, &secret).unwrap();

        let after = new.reseal_data_key(&old, &owner, &before).unwrap();
        assert_eq!(MasterKey::id_of_data_key(&after), Ok(new.id()));
        assert_eq!(old.open_data_key(&owner, &after).unwrap_err(), OpenError::OtherKey);
        let again = new.open_data_key(&owner, &after).unwrap();
        assert_eq!(again.generation(), 7);
        assert_eq!(again.open(place, &sealed).unwrap().expose_to_provider(), b"hidden");
        assert_eq!(again.fingerprint(&provider, &secret), data_key.fingerprint(&provider, &secret));
    }

    #[test]
    fn what_does_not_open_is_not_sealed_anew() {
        let ((old, _), (new, _)) = (master(), master());
        let (_, sealed) = old.new_data_key(&workspace("a"), 1).unwrap();
        let refused = |owner: &str, sealed: &[u8]| new.reseal_data_key(&old, &workspace(owner), sealed).unwrap_err();
        assert_eq!(refused("b", &sealed), ResealError::Open(OpenError::Refused));
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(matches!(refused("a", &altered), ResealError::Open(_)), "altered at {index}");
        }
    }
}
