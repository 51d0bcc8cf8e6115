//! What operators, monitors and readers of the documentation ask for. None of it needs a token.

use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse};
use bytes::Bytes;
use claviger_app::StoreError;
use claviger_app::master_keys::NotReady;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::error::{Code, Problem, Refusal, Refusals};

/// Why Claviger cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadyError {
    #[error("{0}")]
    MasterKey(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotReady> for ReadyError {
    fn from(error: NotReady) -> Self {
        match error {
            NotReady::MasterKey(_) => Self::MasterKey(error.to_string()),
            NotReady::Store(error) => Self::Store(error),
        }
    }
}

impl Refusal for ReadyError {
    const CODES: &[&[Code]] = &[&[Code::MasterKeyMissing, Code::StoreUnavailable]];

    fn problem(self) -> Problem {
        match self {
            Self::MasterKey(why) => Problem::new(Code::MasterKeyMissing, why),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// How Claviger is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` from `/healthz`, `ready` from `/readyz`.
    status: &'static str,
}

/// Tell that the process lives
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "Operations",
    responses((status = 200, description = "It lives.", body = Health)),
    security(())
)]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Tell whether Claviger can serve
///
/// The database answers, and the master key in use is proven against it.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "Operations",
    responses((status = 200, description = "It can serve.", body = Health), Refusals<ReadyError>),
    security(())
)]
pub(crate) async fn readyz(State(api): State<Shared>) -> Result<Json<Health>, Problem> {
    api.app.ready().await.map_err(ReadyError::from)?;
    Ok(Json(Health { status: "ready" }))
}

/// Show metrics
///
/// In the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "Operations",
    responses((status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text; version=1.0.0")),
    security(())
)]
pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], (api.metrics)())
}

/// Show this document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "Operations",
    responses((status = 200, description = "The OpenAPI document.", body = Object)),
    security(())
)]
pub(crate) async fn openapi(State(api): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], api.document.clone())
}

/// Show this document to people
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "docs",
    tag = "Operations",
    responses((status = 200, description = "A page without scripts.", body = String, content_type = "text/html")),
    security(())
)]
pub(crate) async fn docs(State(api): State<Shared>) -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(api.page.clone()))
}

/// The page's style sheet, a part of the page and so no operation of its own.
pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], Bytes::from_static(include_bytes!("assets/docs.css")))
}
