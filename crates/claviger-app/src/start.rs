//! What must hold before the first request: the right master key, and a root token.

use std::fmt;

use claviger_seal::{MasterKey, MasterKeyId, MasterKeys, NewToken, OpenError, SealError, TokenHash};
use claviger_store::{Store, StoreError};

/// Why Claviger does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database is sealed under another master key.
    #[error(
        "the master key is not the one this database is sealed with: that is master key {stored}, and {given} is given. \
         Set vault.master_key, vault.master_key_file, vault.master_key_command or <data_dir>/master.key back to the \
         first one; where it is to be changed, give the first one by vault.old_master_keys besides"
    )]
    OtherMasterKey {
        /// The id of the key that sealed the canary.
        stored: MasterKeyId,
        /// The ids of the given keys.
        given: Ids,
    },
    /// A master key that was in use is still needed.
    #[error(
        "{data_keys} data keys are still sealed under master key {missing}, which is not given any more: it was \
         withdrawn too early. Give it again by vault.old_master_keys, vault.old_master_keys_file or \
         vault.old_master_keys_command, until `claviger master-key status` says that it can be withdrawn"
    )]
    WithdrawnTooEarly {
        /// The id of the missing key.
        missing: MasterKeyId,
        /// How many data keys need it.
        data_keys: u64,
    },
    /// The canary is damaged.
    #[error("the master key cannot be proven: the canary in the database does not open")]
    Canary(#[source] OpenError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ids of master keys, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids(Vec<MasterKeyId>);

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ids.join(", "))
    }
}

/// Proves the master key in use against the database's canary; an empty database gets one of the wanted key.
pub(crate) async fn prove_or_put(store: &dyn Store, master_keys: &MasterKeys) -> Result<(), StartError> {
    let canary = match store.canary().await? {
        Some(canary) => canary,
        None => store.put_canary_if_absent(&master_keys.wanted().seal_canary()?).await?,
    };
    prove(master_keys, &canary)
}

/// Proves the master key in use against the canary.
pub fn prove(master_keys: &MasterKeys, canary: &[u8]) -> Result<(), StartError> {
    match master_keys.of_canary(canary) {
        Ok(_) => Ok(()),
        Err(OpenError::OtherKey) => {
            let stored = MasterKey::id_of_canary(canary).map_err(StartError::Canary)?;
            Err(StartError::OtherMasterKey { stored, given: Ids(master_keys.ids().collect()) })
        }
        Err(error) => Err(StartError::Canary(error)),
    }
}

/// Makes sure that no former master key is missing under which anything is still sealed. A row that names a master key
/// which never was in use is damaged: it keeps its owner's keys out of use, and nobody else's.
pub(crate) async fn prove_complete(store: &dyn Store, master_keys: &MasterKeys) -> Result<(), StartError> {
    let named = store.master_keys().await?;
    let missing: Vec<_> = named.iter().filter(|id| !is_given(master_keys, id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let former: Vec<_> =
        store.former_canaries().await?.iter().filter_map(|canary| MasterKey::id_of_canary(canary).ok()).collect();
    for bytes in missing {
        let data_keys = store.count_data_keys(bytes).await?;
        match MasterKeyId::from_slice(bytes).filter(|id| former.contains(id)) {
            // The last of them was sealed anew meanwhile.
            Some(_) if data_keys == 0 => {}
            Some(missing) => return Err(StartError::WithdrawnTooEarly { missing, data_keys }),
            None => tracing::error!(
                data_keys,
                "data keys are damaged: they name a master key that was never in use, and their owners' keys are out of use"
            ),
        }
    }
    Ok(())
}

fn is_given(master_keys: &MasterKeys, id: &[u8]) -> bool {
    MasterKeyId::from_slice(id).is_some_and(|id| master_keys.get(id).is_some())
}

/// The root token: given from outside, or the one whose hash is stored, or a new one, which is then to be shown once.
pub(crate) async fn root_token(
    store: &dyn Store,
    given: Option<TokenHash>,
) -> Result<(TokenHash, Option<NewToken>), StartError> {
    if let Some(given) = given {
        return Ok((given, None));
    }
    if let Some(stored) = store.root_token_hash().await? {
        return Ok((TokenHash::from_bytes(stored), None));
    }
    let made = NewToken::generate()?;
    let stored = store.put_root_token_hash_if_absent(made.hash.as_bytes()).await?;
    // Another process may have been first; then its token is the one, and was shown there.
    let made = (stored == *made.hash.as_bytes()).then_some(made);
    Ok((TokenHash::from_bytes(stored), made))
}
