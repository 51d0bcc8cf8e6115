//! Tokens: made, seen, deleted.

use std::sync::Arc;

use claviger_core::access::TokenRole;
use claviger_core::{Clock, Role, Timestamp, TokenId, WorkspaceId};
use claviger_seal::{NewToken, SealError};
use claviger_store::{Change, ChangeSink, InsertTokenError, Page, Store, StoreError, TokenRecord};

use crate::access::{ManageTokens, Permit, TokenReach};
use crate::feed::Feed;

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTokenError {
    /// Only root makes tokens of the role service; an admin makes tokens for its own workspace.
    #[error("this token may not make such a token")]
    Forbidden,
    /// Who may not see plain text cannot pass that right on.
    #[error("only root, or a service token with reveal, may make a token with reveal")]
    RevealForbidden,
    /// Keys are seen in plain text by service and runtime tokens alone.
    #[error("only tokens of the roles service and runtime can have reveal")]
    RevealForRole,
    /// Its workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// Its end is not in the future.
    #[error("must be in the future")]
    AlreadyExpired,
    /// No randomness.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteTokenError {
    /// Only root deletes tokens of the role service.
    #[error("this token may not delete that token")]
    Forbidden,
    /// There is no such token among those that the permit reaches.
    #[error("there is no such token")]
    NoToken,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token to make.
#[derive(Clone, Debug)]
pub struct CreateToken {
    /// A name for people.
    pub name: String,
    /// For what, and for which workspace.
    pub holder: TokenHolder,
    /// Whether it may see keys in plain text.
    pub reveal: bool,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// A token's role, with the workspace where the role is of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenHolder {
    /// The product's backend.
    Service,
    /// One workspace's admin, member or runtime.
    Workspace(TokenRole, WorkspaceId),
}

/// The use cases around tokens.
#[derive(Debug)]
pub struct Tokens {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
}

impl Tokens {
    /// Makes a token. Its secret is in the answer and nowhere else.
    pub async fn create(
        &self,
        permit: &Permit<ManageTokens>,
        create: CreateToken,
    ) -> Result<(NewToken, TokenRecord), CreateTokenError> {
        let allowed = match (permit.on(), &create.holder) {
            (TokenReach::All { service }, TokenHolder::Service) => *service,
            (TokenReach::All { .. }, TokenHolder::Workspace(..)) => true,
            (TokenReach::Workspace(_), TokenHolder::Service) => false,
            (TokenReach::Workspace(own), TokenHolder::Workspace(_, of)) => own == of,
        };
        if !allowed {
            return Err(CreateTokenError::Forbidden);
        }
        if create.reveal && matches!(create.holder, TokenHolder::Workspace(TokenRole::Admin | TokenRole::Member, _)) {
            return Err(CreateTokenError::RevealForRole);
        }
        if create.reveal && !permit.may_grant_reveal() {
            return Err(CreateTokenError::RevealForbidden);
        }
        let now = self.clock.now();
        if create.expires_at.is_some_and(|end| end <= now) {
            return Err(CreateTokenError::AlreadyExpired);
        }
        let (role, workspace) = match create.holder {
            TokenHolder::Service => (TokenRole::Service, None),
            TokenHolder::Workspace(role, workspace) => (role, Some(workspace)),
        };
        if let Some(workspace) = &workspace
            && self.store.workspace(workspace).await?.is_none()
        {
            return Err(CreateTokenError::NoWorkspace);
        }
        let token = NewToken::generate()?;
        let record = TokenRecord {
            id: token.id.clone(),
            hash: *token.hash.as_bytes(),
            name: create.name,
            role,
            workspace,
            reveal: create.reveal,
            expires_at: create.expires_at,
            created_at: now,
        };
        match self.store.insert_token(&record, &permit.act(now)).await {
            Ok(()) => {
                self.feed.changed(&Change::Token(record.id.clone()));
                Ok((token, record))
            }
            Err(InsertTokenError::NoWorkspace) => Err(CreateTokenError::NoWorkspace),
            Err(InsertTokenError::Store(error)) => Err(error.into()),
        }
    }

    /// Tokens by id: those that the permit reaches, or of them those of one workspace.
    pub async fn list(
        &self,
        permit: &Permit<ManageTokens>,
        page: &Page<TokenId>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let workspace = match permit.on() {
            TokenReach::All { .. } => None,
            TokenReach::Workspace(own) => Some(own),
        };
        self.store.tokens(workspace, page).await
    }

    /// The tokens of one workspace, by id; none where the permit does not reach it.
    pub async fn list_of(
        &self,
        permit: &Permit<ManageTokens>,
        workspace: &WorkspaceId,
        page: &Page<TokenId>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        match permit.on() {
            TokenReach::Workspace(own) if own != workspace => Ok(Vec::new()),
            TokenReach::All { .. } | TokenReach::Workspace(_) => self.store.tokens(Some(workspace), page).await,
        }
    }

    /// One token, if the permit reaches it.
    pub async fn get(&self, permit: &Permit<ManageTokens>, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let token = self.store.token(id.as_str()).await?;
        Ok(token.filter(|token| match permit.on() {
            TokenReach::All { .. } => true,
            TokenReach::Workspace(own) => token.workspace.as_ref() == Some(own),
        }))
    }

    /// Deletes a token, which stops working at once.
    pub async fn delete(&self, permit: &Permit<ManageTokens>, id: &TokenId) -> Result<(), DeleteTokenError> {
        let token = self.store.token(id.as_str()).await?.ok_or(DeleteTokenError::NoToken)?;
        match permit.on() {
            TokenReach::All { service: false } if Role::from(token.role) == Role::Service => {
                return Err(DeleteTokenError::Forbidden);
            }
            // An admin learns nothing of other workspaces' tokens, not even that they are there.
            TokenReach::Workspace(own) if token.workspace.as_ref() != Some(own) => {
                return Err(DeleteTokenError::NoToken);
            }
            TokenReach::All { .. } | TokenReach::Workspace(_) => {}
        }
        if !self.store.delete_token(id, &permit.act(self.clock.now())).await? {
            return Err(DeleteTokenError::NoToken);
        }
        self.feed.changed(&Change::Token(id.clone()));
        Ok(())
    }
}
