//! The console's sessions: begun by the root token, proven, seen, ended.
//!
//! A session's text has the form of a token, of which only a hash is stored, and is not accepted as one. Beside it stands
//! what binds it to the root token: with another root token no session of before is one. Sessions are read from the
//! database at every use, so that one that is ended ends at once, on every node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::{Clock, Timestamp, TokenId};
use claviger_seal::{MasterKeys, NewToken, PresentedToken, SealError, TokenHash};
use claviger_store::{ConsoleSession, Counts, Page, Store, StoreError};

use crate::access::{Access, Principal, console_actor};
use crate::attempts::{Attempts, TooManyAttempts};
use crate::client::ClientAddress;
use crate::form::FormToken;
use crate::master_keys::{self, Status};

/// How long a session lasts.
pub const SESSION_LIFE: Duration = Duration::from_hours(1);
/// How long what has expired is kept, so that it can be said that it has.
const KEPT: Duration = Duration::from_hours(24);
/// Where counting ends: beyond this nobody needs the number, and it would take seconds to find.
pub const COUNT_LIMIT: u32 = 100_000;

/// Somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// What was shown is not the root token.
    #[error("this is not the root token")]
    NotRoot,
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
pub enum OperatorError {
    /// It was never begun, was ended, or the root token is another one by now.
    #[error("the session is not known, or was ended")]
    Unknown,
    /// Its time is over.
    #[error("the session has expired")]
    Expired,
    /// See [`TooManyAttempts`].
    #[error(transparent)]
    TooMany(#[from] TooManyAttempts),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session that just began: its text is shown once, to its browser.
#[derive(Debug)]
pub struct NewConsoleSession {
    token: NewToken,
    /// Until when it lasts.
    pub expires_at: Timestamp,
}

impl NewConsoleSession {
    /// The session's id, for people.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.token.id
    }

    /// The text for the session's cookie.
    #[must_use]
    pub fn reveal_cookie(&self) -> &str {
        self.token.reveal_once()
    }
}

/// The operator in the console: a session that was proven.
#[derive(Clone)]
pub struct Operator {
    /// The session.
    pub session: ConsoleSession,
    /// Who that is to the use cases.
    pub principal: Principal,
    form: FormToken,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("session", &self.session.id).finish_non_exhaustive()
    }
}

impl Operator {
    /// How whoever acts in this session is named.
    #[must_use]
    pub fn actor(&self) -> String {
        console_actor(&self.session.id)
    }

    /// What the session's forms carry.
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

/// The use cases around the console. Those that are for somebody who is in it take an [`Operator`] as a proof.
#[derive(Debug)]
pub struct Console {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) access: Arc<Access>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) master_keys: Arc<MasterKeys>,
}

impl Console {
    /// Now, for what is told of times.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long this process has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// Begins a session for whoever shows the root token.
    pub async fn sign_in(&self, text: &str, from: ClientAddress) -> Result<NewConsoleSession, SignInError> {
        if !self.access.is_root(text.as_bytes()) {
            self.attempts.count(from)?;
            return Err(SignInError::NotRoot);
        }
        let token = NewToken::generate()?;
        let root = self.access.bound_to_root(&token.id).ok_or(SignInError::NotRoot)?;
        let (id, hash, now) = (token.id.clone(), *token.hash.as_bytes(), self.clock.now());
        let expires_at = now.after(SESSION_LIFE);
        let session = ConsoleSession { id, hash, root: *root.as_bytes(), created_at: now, expires_at };
        let act = Principal::in_console(&session).calling_from(from).act(None, now);
        self.store.begin_console_session(&session, &act).await?;
        Ok(NewConsoleSession { token, expires_at })
    }

    /// Proves a session by the text of its cookie, which came from this address.
    pub async fn prove(&self, cookie: &str, from: ClientAddress) -> Result<Operator, OperatorError> {
        let presented = PresentedToken::parse(cookie.as_bytes()).ok();
        let Some(id) = presented.and_then(|presented| presented.id().parse::<TokenId>().ok()) else {
            self.attempts.count(from)?;
            return Err(OperatorError::Unknown);
        };
        let look_up = self.store.console_session(&id);
        let found =
            self.attempts.proven::<_, OperatorError>(cookie, from, look_up, |found| is_of(found, cookie)).await?;
        let session = found.filter(|session| self.is_of_root(session)).ok_or(OperatorError::Unknown)?;
        if session.expires_at <= self.clock.now() {
            return Err(OperatorError::Expired);
        }
        let principal = Principal::in_console(&session).calling_from(from);
        Ok(Operator { session, principal, form: FormToken::of(cookie) })
    }

    /// Whether a session was begun with the root token of now. (Both sides are hashes that nobody outside can choose.)
    fn is_of_root(&self, session: &ConsoleSession) -> bool {
        self.access.bound_to_root(&session.id).is_some_and(|root| *root.as_bytes() == session.root)
    }

    /// The sessions that last, by id: fewer than the page holds where some are of another root token.
    pub async fn sessions(
        &self,
        _operator: &Operator,
        page: &Page<TokenId>,
    ) -> Result<Vec<ConsoleSession>, StoreError> {
        let mut sessions = self.store.console_sessions(self.clock.now(), page).await?;
        sessions.retain(|session| self.is_of_root(session));
        Ok(sessions)
    }

    /// Ends a session, which counts from its next request on. False where there is none.
    pub async fn end(&self, operator: &Operator, id: &TokenId) -> Result<bool, StoreError> {
        let act = operator.principal.act(None, self.clock.now());
        self.store.end_console_session(id, &act).await
    }

    /// How many there are of everything, each up to [`COUNT_LIMIT`] and one.
    pub async fn counts(&self, _operator: &Operator) -> Result<Counts, StoreError> {
        self.store.counts_up_to(COUNT_LIMIT + 1).await
    }

    /// How things stand with the master keys, where each count ends as those of [`Console::counts`].
    pub async fn master_keys(&self, _operator: &Operator) -> Result<Status, StoreError> {
        master_keys::status_up_to(&*self.store, &self.master_keys, COUNT_LIMIT + 1).await
    }

    /// Forgets sessions that expired some time ago.
    pub async fn forget_old(&self) -> Result<(), StoreError> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(kept));
        self.store.forget_console(before).await.map(drop)
    }
}

/// One that is unknown costs as much as one that is wrong.
fn is_of(session: Option<&ConsoleSession>, text: &str) -> bool {
    let hash = session.map_or_else(TokenHash::of_nothing, |session| TokenHash::from_bytes(session.hash));
    hash.is_of_text(text.as_bytes()) && session.is_some()
}
