//! The portal's links and sessions: made, opened, proven, seen, ended.
//!
//! Both are passes: their texts have the form of tokens, of which only a hash is stored, and neither is accepted as one.
//! Whoever shows one names the workspace besides, by which it is found. Sessions are read from the database at every use,
//! so that one that is ended ends at once, on every node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::net::Reach;
use claviger_core::portal::{FrameOrigin, PortalMode, PortalRole};
use claviger_core::webhook::{InvalidUrl, WebhookUrl};
use claviger_core::{Catalogue, Clock, Owner, ProviderId, Timestamp, TokenId, WorkspaceId};
use claviger_seal::{NewToken, PresentedToken, SealError, TokenHash};
use claviger_store::{AddPortalLinkError, Page, PortalGrant, PortalPass, Store, StoreError};
use zeroize::Zeroizing;

use crate::access::{ManagePortal, Permit, Principal};
use crate::attempts::{Attempts, TooManyAttempts};
use crate::client::ClientAddress;
use crate::form::FormToken;

/// How long a link may be opened where nothing else is said: long enough for a redirect, or a mail that is awaited.
pub const LINK_LIFE: Duration = Duration::from_mins(10);
/// The shortest and the longest that may be said.
pub const LINK_LIVES: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));
/// How long a session lasts.
pub const SESSION_LIFE: Duration = Duration::from_hours(1);
/// How many providers a link may name.
pub const MAX_PROVIDERS: usize = 200;
/// How long what has expired is kept, so that it can be said that it has.
const KEPT: Duration = Duration::from_hours(24);

/// A link could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreatePortalLinkError {
    /// The workspace does not exist. Other owners have no portal.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// Its time is too short or too long.
    #[error("must be 60 to 86400 seconds")]
    Life,
    /// The address to return to is none.
    #[error(transparent)]
    ReturnUrl(#[from] InvalidUrl),
    /// The address to return to is on a host that the operator does not list.
    #[error("must be on a host that the setting portal.return_hosts lists")]
    ReturnHost,
    /// The operator lists nobody whose pages may hold the portal.
    #[error("must not be embed: the setting portal.embed_hosts lists no host")]
    NoEmbedHost,
    /// The catalogue lacks a provider.
    #[error("must be ids of the catalogue: {0} is none")]
    UnknownProvider(ProviderId),
    /// More providers than a link may name.
    #[error("must be at most {MAX_PROVIDERS}")]
    TooManyProviders,
    /// No randomness.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum OpenPortalError {
    /// It is mistyped, was never made, or was used.
    #[error("the link is not known, or was used")]
    Unknown,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// See [`TooManyAttempts`].
    #[error(transparent)]
    TooMany(#[from] TooManyAttempts),
    /// No randomness.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session that is none.
#[derive(Debug, thiserror::Error)]
pub enum PortalSessionError {
    /// It was never begun, or was ended.
    #[error("the session is not known, or was ended")]
    Unknown,
    /// Its time is over.
    #[error("the session has expired")]
    Expired {
        /// Where it leads back to, which is where a new link comes from.
        return_url: Option<String>,
    },
    /// See [`TooManyAttempts`].
    #[error(transparent)]
    TooMany(#[from] TooManyAttempts),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sessions could not be listed, or one could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum ManagePortalError {
    /// The workspace does not exist. Other owners have no portal.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// The workspace has no such session.
    #[error("there is no such session")]
    NoSession,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link to make.
#[derive(Clone, Debug)]
pub struct CreatePortalLink {
    /// What whoever opens it may do.
    pub role: PortalRole,
    /// Who that is, in the words of the caller. Only root and services may say so.
    pub actor: Option<String>,
    /// How long it may be opened.
    pub expires_in: Duration,
    /// Where the portal leads back to.
    pub return_url: Option<String>,
    /// The providers that are shown; all where there are none.
    pub providers: Vec<ProviderId>,
    /// How many keys of a provider the portal deals with.
    pub mode: PortalMode,
    /// Whether it is shown in a frame of another page.
    pub embedded: bool,
}

impl CreatePortalLink {
    /// A link with this role, and with what holds where nothing else is said.
    #[must_use]
    pub fn new(role: PortalRole) -> Self {
        let (providers, mode) = (Vec::new(), PortalMode::default());
        Self { role, actor: None, expires_in: LINK_LIFE, return_url: None, providers, mode, embedded: false }
    }
}

/// Where the portal is, where it may lead back to, and whose pages may hold it.
#[derive(Clone, Debug, Default)]
pub struct PortalPlace {
    /// How people reach this server: scheme and host, without a slash at the end.
    pub public_url: String,
    /// The hosts to which it may lead back.
    pub return_hosts: Reach,
    /// Whose pages may hold it in a frame.
    pub embed_hosts: Vec<FrameOrigin>,
}

impl PortalPlace {
    /// Where a path of this server is to people.
    #[must_use]
    pub fn address_of(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}

/// Somebody in the portal: a session that was proven.
#[derive(Clone)]
pub struct PortalSession {
    /// How far it goes, and until when.
    pub pass: PortalPass,
    /// Who that is to the use cases.
    pub principal: Principal,
    form: FormToken,
}

impl fmt::Debug for PortalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalSession").field("id", &self.pass.id).finish_non_exhaustive()
    }
}

impl PortalSession {
    /// What the session's forms carry, and nobody else can know: it is made of the session's secret.
    #[must_use]
    pub fn form_token(&self) -> &str {
        self.form.as_str()
    }

    /// Whether a form is this session's own.
    #[must_use]
    pub fn sent(&self, form_token: &str) -> bool {
        self.form.is(form_token)
    }
}

/// A link or session that was just made: its text is shown once and never again.
#[derive(Debug)]
pub struct NewPass {
    token: NewToken,
    /// What is stored of it.
    pub pass: PortalPass,
}

impl NewPass {
    /// The text of a session, for its cookie: the secret, and the workspace.
    #[must_use]
    pub fn reveal_cookie(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.token.reveal_once(), self.pass.grant.workspace))
    }
}

/// The use cases around the portal.
#[derive(Debug)]
pub struct Portal {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalogue: Catalogue,
    pub(crate) place: PortalPlace,
    pub(crate) attempts: Arc<Attempts>,
}

impl Portal {
    /// How people reach this server.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.place.public_url
    }

    /// Whose pages may hold the portal in a frame.
    #[must_use]
    pub fn embed_hosts(&self) -> &[FrameOrigin] {
        &self.place.embed_hosts
    }

    /// Now, for what is told of times.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The address of a new link, for the one answer that shows it.
    #[must_use]
    pub fn reveal_url(&self, link: &NewPass) -> Zeroizing<String> {
        let (place, workspace) = (&self.place.public_url, &link.pass.grant.workspace);
        Zeroizing::new(format!("{place}/portal/open/{workspace}/{}", link.token.reveal_once()))
    }

    /// Makes a link. Its secret is in the answer and nowhere else.
    pub async fn create(
        &self,
        permit: &Permit<ManagePortal>,
        create: CreatePortalLink,
    ) -> Result<NewPass, CreatePortalLinkError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(CreatePortalLinkError::NoWorkspace);
        };
        self.check(&create)?;
        let named = create.actor.filter(|_| permit.may_name_actors());
        let grant = PortalGrant {
            workspace: workspace.clone(),
            role: create.role,
            actor: named.or_else(|| permit.actor().map(str::to_owned)),
            providers: create.providers,
            mode: create.mode,
            embedded: create.embedded,
            return_url: create.return_url,
        };
        let link = self.pass(grant, create.expires_in)?;
        match self.store.add_portal_link(&link.pass, &permit.act(link.pass.created_at)).await {
            Ok(()) => Ok(link),
            Err(AddPortalLinkError::NoWorkspace) => Err(CreatePortalLinkError::NoWorkspace),
            Err(AddPortalLinkError::Store(error)) => Err(error.into()),
        }
    }

    fn check(&self, create: &CreatePortalLink) -> Result<(), CreatePortalLinkError> {
        if !(LINK_LIVES.0..=LINK_LIVES.1).contains(&create.expires_in) {
            return Err(CreatePortalLinkError::Life);
        }
        if let Some(url) = &create.return_url {
            let url: WebhookUrl = url.parse()?;
            if !self.place.return_hosts.lists(&url) {
                return Err(CreatePortalLinkError::ReturnHost);
            }
        }
        if create.embedded && self.place.embed_hosts.is_empty() {
            return Err(CreatePortalLinkError::NoEmbedHost);
        }
        if create.providers.len() > MAX_PROVIDERS {
            return Err(CreatePortalLinkError::TooManyProviders);
        }
        match create.providers.iter().find(|id| self.catalogue.get(id.as_str()).is_none()) {
            Some(unknown) => Err(CreatePortalLinkError::UnknownProvider(unknown.clone())),
            None => Ok(()),
        }
    }

    fn pass(&self, grant: PortalGrant, life: Duration) -> Result<NewPass, SealError> {
        let token = NewToken::generate()?;
        let now = self.clock.now();
        let (id, hash) = (token.id.clone(), *token.hash.as_bytes());
        let pass = PortalPass { id, hash, grant, created_at: now, expires_at: now.after(life) };
        Ok(NewPass { token, pass })
    }

    /// Looks where a link leads that came from this address, and does not use it up.
    pub async fn look(&self, workspace: &str, text: &str, from: ClientAddress) -> Result<PortalPass, OpenPortalError> {
        let Some((workspace, id)) = place(workspace, text) else {
            self.attempts.count(from)?;
            return Err(OpenPortalError::Unknown);
        };
        let found = self
            .attempts
            .proven::<_, OpenPortalError>(text, from, self.store.portal_link(&workspace, &id), |found| {
                is_of(found, text)
            })
            .await?;
        let link = found.ok_or(OpenPortalError::Unknown)?;
        if link.expires_at <= self.clock.now() { Err(OpenPortalError::Expired) } else { Ok(link) }
    }

    /// Uses a link up, and begins a session.
    pub async fn open(&self, workspace: &str, text: &str, from: ClientAddress) -> Result<NewPass, OpenPortalError> {
        let link = self.look(workspace, text, from).await?;
        let session = self.pass(link.grant.clone(), SESSION_LIFE)?;
        let act = Principal::in_portal(&session.pass).calling_from(from).act(None, session.pass.created_at);
        if self.store.open_portal_link(&link, &session.pass, &act).await? {
            Ok(session)
        } else {
            Err(OpenPortalError::Unknown)
        }
    }

    /// Proves a session by the text of its cookie, which came from this address.
    pub async fn prove(&self, cookie: &str, from: ClientAddress) -> Result<PortalSession, PortalSessionError> {
        // A token has no dot, and a workspace's id may.
        let named = cookie.split_once('.').and_then(|(text, workspace)| Some((text, place(workspace, text)?)));
        let Some((text, (workspace, id))) = named else {
            self.attempts.count(from)?;
            return Err(PortalSessionError::Unknown);
        };
        let found = self
            .attempts
            .proven::<_, PortalSessionError>(text, from, self.store.portal_session(&workspace, &id), |found| {
                is_of(found, text)
            })
            .await?;
        let pass = found.ok_or(PortalSessionError::Unknown)?;
        if pass.expires_at <= self.clock.now() {
            return Err(PortalSessionError::Expired { return_url: pass.grant.return_url });
        }
        let principal = Principal::in_portal(&pass).calling_from(from);
        Ok(PortalSession { principal, form: FormToken::of(text), pass })
    }

    /// Ends a session of somebody who leaves.
    pub async fn leave(&self, session: &PortalSession) -> Result<(), StoreError> {
        let PortalPass { id, grant, .. } = &session.pass;
        let act = session.principal.act(None, self.clock.now());
        self.store.end_portal_session(&grant.workspace, id, &act).await.map(drop)
    }

    /// A workspace's sessions that last, by id.
    pub async fn sessions(
        &self,
        permit: &Permit<ManagePortal>,
        page: &Page<TokenId>,
    ) -> Result<Vec<PortalPass>, ManagePortalError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(ManagePortalError::NoWorkspace);
        };
        let sessions = self.store.portal_sessions(workspace, self.clock.now(), page).await?;
        if sessions.is_empty() && self.store.workspace(workspace).await?.is_none() {
            return Err(ManagePortalError::NoWorkspace);
        }
        Ok(sessions)
    }

    /// Ends a session, which counts from its next request on.
    pub async fn end(&self, permit: &Permit<ManagePortal>, id: &TokenId) -> Result<(), ManagePortalError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(ManagePortalError::NoWorkspace);
        };
        if self.store.end_portal_session(workspace, id, &permit.act(self.clock.now())).await? {
            return Ok(());
        }
        match self.store.workspace(workspace).await? {
            Some(_) => Err(ManagePortalError::NoSession),
            None => Err(ManagePortalError::NoWorkspace),
        }
    }

    /// The name of a session's workspace, for people.
    pub async fn workspace_name(&self, session: &PortalSession) -> Result<String, StoreError> {
        let id = &session.pass.grant.workspace;
        let workspace = self.store.workspace(id).await?;
        Ok(workspace.and_then(|workspace| workspace.name).unwrap_or_else(|| id.to_string()))
    }

    /// Forgets links and sessions that expired some time ago.
    pub async fn forget_old(&self) -> Result<(), StoreError> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(kept));
        while self.store.forget_portal(before).await? > 0 {}
        Ok(())
    }
}

fn place(workspace: &str, text: &str) -> Option<(WorkspaceId, TokenId)> {
    let presented = PresentedToken::parse(text.as_bytes()).ok()?;
    Some((workspace.parse().ok()?, presented.id().parse().ok()?))
}

/// One that is unknown costs as much as one that is wrong.
fn is_of(pass: Option<&PortalPass>, text: &str) -> bool {
    let hash = pass.map_or_else(TokenHash::of_nothing, |pass| TokenHash::from_bytes(pass.hash));
    hash.is_of_text(text.as_bytes()) && pass.is_some()
}
