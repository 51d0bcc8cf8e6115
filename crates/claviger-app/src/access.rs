//! Proving tokens. What follows for whoever showed one is in `permit.rs`.

use std::sync::{Arc, OnceLock};

use claviger_core::audit::Via;
use claviger_core::{Clock, TokenId, WorkspaceId};
use claviger_seal::{MalformedToken, PresentedToken, TokenHash};
use claviger_store::{Store, StoreError, TokenRecord};

use crate::attempts::{Attempts, BadTokens, TooManyAttempts};
use crate::client::ClientAddress;
use crate::live::{Content, Group, Live};
pub(crate) use crate::permit::console_actor;
pub use crate::permit::{
    Forbidden, GatewayForbidden, ListKeys, ManageKeys, ManageOrganizations, ManagePortal, ManageTokens,
    ManageWorkspaces, Permit, Principal, ReadAudit, ReadCatalogue, ResolveKeys, Right, TokenReach,
};

/// A token that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It has not the form of a token, or was cut short or mistyped.
    #[error("the token is not valid: it is cut short, mistyped, or no token of Claviger's")]
    Malformed,
    /// It is not known: never made, or deleted. A wrong secret for a known id is no different.
    #[error("the token is not known, or was deleted")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// See [`TooManyAttempts`].
    #[error(transparent)]
    TooMany(#[from] TooManyAttempts),
    /// The token is not in memory, and the database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves tokens.
#[derive(Debug)]
pub struct Access {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    root: OnceLock<TokenHash>,
    tokens: Live<TokenId, Option<KnownToken>>,
    attempts: Arc<Attempts>,
}

#[derive(Debug)]
pub(crate) struct KnownToken {
    hash: TokenHash,
    principal: Principal,
    /// Its workspace's.
    group: Option<Group>,
}

impl Access {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: Live<TokenId, Option<KnownToken>>,
        attempts: Arc<Attempts>,
    ) -> Self {
        Self { store, clock, root: OnceLock::new(), tokens, attempts }
    }

    /// Lets the root token in. Only the first one counts.
    pub(crate) fn admit_root(&self, root: TokenHash) {
        let _ = self.root.set(root);
    }

    /// Whether this is the root token, in a time that does not depend on where it differs.
    pub(crate) fn is_root(&self, text: &[u8]) -> bool {
        self.root.get().is_some_and(|root| root.is_of_text(text))
    }

    /// Binds something with this id to the root token: made again, it is the same as long as the root token is.
    pub(crate) fn bound_to_root(&self, id: &TokenId) -> Option<TokenHash> {
        let root = self.root.get()?;
        Some(TokenHash::of(&[b"console ", id.as_str().as_bytes(), b" of ", root.as_bytes().as_slice()].concat()))
    }

    /// How many bad tokens were shown, links to the portal and its sessions among them.
    #[must_use]
    pub fn bad_tokens(&self) -> BadTokens {
        self.attempts.counts()
    }

    /// Proves a token that came from this address.
    pub async fn authenticate(&self, text: &[u8], from: ClientAddress) -> Result<Principal, AuthenticateError> {
        let presented = match PresentedToken::parse(text) {
            Ok(presented) => presented,
            // A root token given from outside may have any form.
            Err(MalformedToken::Foreign | MalformedToken::Damaged) if self.is_root(text) => {
                return Ok(Principal::root(Via::Api));
            }
            Err(MalformedToken::Foreign | MalformedToken::Damaged) => {
                return Err(self.counted(AuthenticateError::Malformed, from));
            }
        };
        if let Some(slot) = self.tokens.slot_if_any(presented.id())
            && let Some(kept) = self.tokens.kept(&slot)
        {
            return self.prove(&presented, Option::as_ref(&kept)).map_err(|error| self.counted(error, from));
        }
        if self.is_root(text) {
            return Ok(Principal::root(Via::Api));
        }
        // Boxed, so that the state of a request that finds its token in memory stays small.
        Box::pin(self.authenticate_from_store(presented, from)).await
    }

    /// Whether a token that was proven before is still good. Where the database does not answer, it is. Nothing is
    /// counted.
    pub async fn still_admits(&self, text: &[u8]) -> bool {
        let Ok(presented) = PresentedToken::parse(text) else {
            return self.is_root(text);
        };
        let kept = self.tokens.slot_if_any(presented.id()).and_then(|slot| self.tokens.kept(&slot));
        let proven = match (kept, presented.id().parse()) {
            (Some(kept), _) => self.prove(&presented, Option::as_ref(&kept)),
            (None, Ok(id)) => self.look_up(&presented, &id).await,
            (None, Err(_)) => Err(AuthenticateError::Malformed),
        };
        match proven {
            Ok(_) | Err(AuthenticateError::Store(_) | AuthenticateError::TooMany(_)) => true,
            Err(AuthenticateError::Malformed | AuthenticateError::Unknown | AuthenticateError::Expired) => false,
        }
    }

    /// The error of a bad token, counted; of too many, where there were.
    fn counted(&self, error: AuthenticateError, from: ClientAddress) -> AuthenticateError {
        match error {
            AuthenticateError::Malformed | AuthenticateError::Unknown => {
                self.attempts.count(from).map_or_else(Into::into, |()| error)
            }
            // Whoever has the secret does not guess.
            AuthenticateError::Expired | AuthenticateError::TooMany(_) | AuthenticateError::Store(_) => error,
        }
    }

    async fn authenticate_from_store(
        &self,
        presented: PresentedToken<'_>,
        from: ClientAddress,
    ) -> Result<Principal, AuthenticateError> {
        let Ok(id) = presented.id().parse::<TokenId>() else {
            return Err(self.counted(AuthenticateError::Malformed, from));
        };
        // A token of which there is a slot was good once, and is looked up whatever else came from its address.
        if self.tokens.slot_if_any(&id).is_some() {
            return self.look_up(&presented, &id).await.map_err(|error| self.counted(error, from));
        }
        if self.attempts.is_unknown(&id) {
            return self.prove(&presented, None).map_err(|error| self.counted(error, from));
        }
        let attempt = self.attempts.begin(from)?;
        match self.look_up(&presented, &id).await {
            Err(AuthenticateError::Unknown) => {
                attempt.fail(from)?;
                Err(AuthenticateError::Unknown)
            }
            proven => {
                attempt.give_back();
                proven
            }
        }
    }

    async fn look_up(&self, presented: &PresentedToken<'_>, id: &TokenId) -> Result<Principal, AuthenticateError> {
        let slot = self.tokens.slot(id);
        let read = self
            .tokens
            .obtain(id, &slot, async || Ok(self.store.token(id.as_str()).await?.map(|record| KnownToken::of(&record))));
        let known = match read.await {
            Ok(known) => known,
            Err(error) => {
                if slot.is_empty() {
                    self.tokens.remove(id);
                }
                return Err(error.into());
            }
        };
        if known.is_none() {
            // Tokens that do not exist must not push those that do out of memory.
            self.tokens.remove(id);
            self.attempts.note_unknown(id);
        }
        self.prove(presented, Option::as_ref(&known))
    }

    /// An unknown token costs as much as a wrong one.
    fn prove(
        &self,
        presented: &PresentedToken<'_>,
        known: Option<&KnownToken>,
    ) -> Result<Principal, AuthenticateError> {
        let nobody = TokenHash::of_nothing();
        let is_right = known.map_or(&nobody, |known| &known.hash).is_of(presented);
        match known {
            Some(known) if is_right => match known.principal.expires_at {
                Some(end) if end <= self.clock.now() => Err(AuthenticateError::Expired),
                _ => Ok(known.principal.clone()),
            },
            Some(_) | None => Err(AuthenticateError::Unknown),
        }
    }

    pub(crate) fn forget(&self, token: &TokenId) {
        self.tokens.forget(token);
    }

    /// Forgets the tokens of a workspace, and those that are just being read.
    pub(crate) fn forget_workspace(&self, workspace: &WorkspaceId) {
        self.tokens.forget_group(Group::of(workspace));
    }

    /// Forgets every token.
    pub(crate) fn forget_all(&self) {
        self.tokens.forget_all();
    }
}

impl Content for Option<KnownToken> {
    /// The slot and the cache's own entry, twice the id, and the record with its workspace.
    fn bytes(&self) -> u64 {
        600
    }

    fn group(&self) -> Option<Group> {
        self.as_ref()?.group
    }
}

impl KnownToken {
    fn of(record: &TokenRecord) -> Self {
        let group = record.workspace.as_ref().map(Group::of);
        Self { hash: TokenHash::from_bytes(record.hash), principal: Principal::of(record), group }
    }
}
