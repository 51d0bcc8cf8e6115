//! What must hold before the first request: the right master key, and a root token.

use claviger_seal::{MasterKey, MasterKeyId, NewToken, OpenError, SealError, TokenHash};
use claviger_store::{Store, StoreError};

/// Why Claviger does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database was sealed under another master key.
    #[error(
        "the master key is not the one this database was sealed with: it was master key {stored}, and {given} is \
         configured. Set vault.master_key, vault.master_key_file or <data_dir>/master.key back to the first one"
    )]
    OtherMasterKey {
        /// The id of the key that sealed the canary.
        stored: MasterKeyId,
        /// The id of the configured key.
        given: MasterKeyId,
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

/// Proves the master key against the database's canary; an empty database gets one.
pub(crate) async fn prove_or_put(store: &dyn Store, master: &MasterKey) -> Result<(), StartError> {
    let canary = match store.canary().await? {
        Some(canary) => canary,
        None => store.put_canary_if_absent(&master.seal_canary()?).await?,
    };
    prove(master, &canary)
}

/// Proves the master key against a canary.
pub fn prove(master: &MasterKey, canary: &[u8]) -> Result<(), StartError> {
    match master.prove(canary) {
        Ok(()) => Ok(()),
        Err(OpenError::OtherKey) => {
            let stored = MasterKey::id_of_canary(canary).map_err(StartError::Canary)?;
            Err(StartError::OtherMasterKey { stored, given: master.id() })
        }
        Err(error) => Err(StartError::Canary(error)),
    }
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
