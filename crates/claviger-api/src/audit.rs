//! `GET /api/workspaces/{id}/audit-log`

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use claviger_app::AuditFilter;
use claviger_app::access::ReadAudit;
use claviger_app::audit::{AuditError, LogPage};
use claviger_core::Timestamp;
use claviger_core::actor::MAX_ACTOR_LENGTH;
use claviger_core::audit::AuditEntry;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::page::{PageParameters, Paged};
use crate::query::{Parameters, QUERY, QueryError};
use crate::{Shared, owners};

/// Why an audit trail is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Refusal for LogError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, QUERY, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        match self {
            Self::Query(error) => error.problem(),
            Self::Audit(AuditError::NoOwner(owner)) => owners::unknown(&owner),
            Self::Audit(AuditError::Store(error)) => Problem::store(&error),
        }
    }
}

/// An actor as it can stand in an entry.
struct ActorNamed(String);

impl FromStr for ActorNamed {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_one = text.chars().count() <= MAX_ACTOR_LENGTH && !text.chars().any(char::is_control);
        if is_one { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// Which entries to show.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters that `log` reads")]
pub(crate) struct AuditParameters {
    /// Those about keys of one provider only.
    #[param(rename = "providerId", required = false, example = "openai")]
    provider_id: String,
    /// Those of one actor only.
    #[param(required = false)]
    actor: String,
}

/// An owner's audit trail, the newest entry first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditLog)]
pub(crate) struct LogShown {
    /// The entries, the newest first.
    entries: Vec<EntryShown>,
    /// For the next page; `null` on the last one. Where only some entries are asked for, a page may be short or empty and
    /// have a next one: 10,000 entries are looked through at once.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryShown {
    /// The entry's number in its owner's trail, from 1.
    #[schema(examples("42"))]
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who: the user whom root or a service named or for whom a link was made, or else `token:` or `portal:` and an id,
    /// `root`, or `shell` for whoever used the commands of the program.
    actor: String,
    /// What: `byok_key.created`, `byok_key.updated`, `byok_key.deleted`, `token.created`, …
    action: String,
    /// To which: the id of a key, token, webhook, link, session, workspace or organization.
    target: String,
    /// `via` (`api`, `portal`, `console` or `shell`), `address` and `tokenId` of the caller where there are any,
    /// `providerId` where it was a key, and what stood there `before` and `after`, without secrets.
    #[schema(value_type = Object)]
    details: Value,
}

impl From<AuditEntry> for EntryShown {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { sequence, at, actor, action, target, provider, details, hash: _ } = entry;
        // What a hand in the database made of it is shown as it is; `claviger audit verify` says that it was one.
        let mut details = serde_json::from_str(&details).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
        if let Some(provider) = provider {
            details["providerId"] = json!(provider);
        }
        Self { id: sequence.to_string(), at, actor, action, target, details }
    }
}

/// Who changed what, when and from where
///
/// Every change of an owner's keys, tokens, webhooks, portal links and sessions, and of the owner itself. What was
/// refused, and what changed nothing, is not in it.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/audit-log",
    operation_id = "readAuditLog",
    tag = "Audit",
    params(("id" = String, Path, description = "The workspace."), PageParameters, AuditParameters),
    responses((status = 200, description = "The newest entries, or those before the cursor.", body = LogShown), Refusals<LogError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn log(
    Allowed(permit): Allowed<ReadAudit>,
    State(api): State<Shared>,
    page: Paged<u64>,
    parameters: Parameters,
) -> Result<Json<LogShown>, Problem> {
    let provider = parameters.provider(&api.app.catalogue).map_err(LogError::from)?;
    let actor = parameters.read::<ActorNamed>("actor", "1 to 256 characters, none of them a control character");
    let actor = actor.map_err(LogError::from)?.map(|ActorNamed(actor)| actor);
    let log = api.app.audit.log(&permit, &AuditFilter { provider, actor }, &page.asked()).await;
    let LogPage { entries, next } = log.map_err(LogError::from)?;
    let entries = entries.into_iter().map(EntryShown::from).collect();
    Ok(Json(LogShown { entries, next_cursor: next.map(|next| next.to_string()) }))
}
