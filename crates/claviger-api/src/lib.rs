//! The JSON control plane and its OpenAPI document.
//!
//! Every handler is the same three steps: extract (who asks comes first, the body last), call one use case, shape the
//! answer. Use cases take a permit, and only the extractor in `auth` gets one from a request.

mod audit;
mod auth;
mod docs;
mod error;
mod json;
mod keys;
mod name;
mod operations;
mod organizations;
mod owners;
mod page;
mod portal;
mod providers;
mod query;
mod tokens;
mod usage;
mod webhooks;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing;
use bytes::Bytes;
use claviger_app::App;
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Code, Problem};

/// Renders the metrics.
type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the handlers share.
struct Api {
    app: Arc<App>,
    metrics: Metrics,
    document: Bytes,
    page: Bytes,
}

type Shared = Arc<Api>;

/// The control plane: everything but the gateway. `metrics` renders the metrics in the text format of Prometheus.
pub fn router(app: Arc<App>, metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Router {
    let (routes, document) = described_routes().split_for_parts();
    let api = Api { app, metrics, page: docs::page(&document).into(), document: text(&document).into() };
    routes
        .route("/docs/style.css", routing::get(operations::style))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn(put_headers))
        .with_state(Arc::new(api))
}

/// The OpenAPI document: pretty JSON in a stable order.
#[must_use]
pub fn openapi_document() -> String {
    text(&described_routes().into_openapi())
}

fn text(document: &utoipa::openapi::OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("the document has only text for keys");
    text.push('\n');
    text
}

fn described_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(providers::list))
        .routes(routes!(workspaces::list))
        .routes(routes!(workspaces::put, workspaces::get, workspaces::delete))
        .routes(routes!(organizations::list))
        .routes(routes!(organizations::put, organizations::get, organizations::delete))
        .routes(owners::at_all(routes!(keys::list::list, keys::put::put, keys::delete::delete)))
        .routes(owners::at_all(routes!(keys::change::change)))
        .routes(owners::at_all(routes!(keys::test::test)))
        .routes(routes!(keys::inherited::status))
        .routes(routes!(keys::resolve::resolve))
        .routes(routes!(keys::outcome::report))
        .routes(routes!(keys::explain::explain))
        .routes(routes!(usage::show))
        .routes(owners::at_all(routes!(audit::log)))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::delete))
        .routes(routes!(portal::create))
        .routes(routes!(portal::list))
        .routes(routes!(portal::end))
        .routes(routes!(tokens::create, tokens::list))
        .routes(routes!(tokens::delete))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .routes(routes!(operations::openapi))
        .routes(routes!(operations::docs))
}

const DESCRIPTION: &str = "\
Claviger stores your customers' provider keys, rotates them, and puts them into requests to the providers.

Every error has the shape `Error`. What is not listed at an operation is `not_found`, for a path that leads nowhere, \
and `method_not_allowed`, for a method that a path does not take. Dates are RFC 3339 in UTC. Bodies are \
`application/json` of at most 64 KiB, and fields that an operation does not know are refused.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Claviger", description = DESCRIPTION),
    components(schemas(Problem, Code)),
    modifiers(&BearerToken),
    tags(
        (name = "Providers", description = "The upstream APIs that keys are for."),
        (name = "Workspaces", description = "The tenants, which own keys."),
        (name = "Organizations", description = "Parents of workspaces, which lend them their keys."),
        (name = "Keys", description = "A workspace's provider keys."),
        (name = "Organization keys", description = "An organization's provider keys, which serve its workspaces that \
                                                    have none of their own for the provider."),
        (name = "Platform keys", description = "The operator's own provider keys, which serve workspaces for which \
                                                there is no other, where the operator lends them."),
        (name = "Audit", description = "Who changed what, when and from where."),
        (name = "Webhooks", description = "Where a workspace wants to be told of what happens to its keys."),
        (name = "Portal", description = "Links to the pages on which the people of a workspace look after its keys, and \
                                         who is on them."),
        (name = "Tokens", description = "What callers show Claviger; a provider never sees them."),
        (name = "Operations", description = "For operators and monitors; without a token.")
    )
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "A token of Claviger's, `clv_…`. An operation lists the roles that may use it, each within \
                           its reach: root and service in every workspace, the others in their own. `with reveal` \
                           means tokens that were made to see keys in plain text.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// It is done, and there is nothing to show for it.
#[derive(Serialize, ToSchema)]
struct Success {
    /// Always true.
    success: bool,
}

impl Success {
    const DONE: Self = Self { success: true };
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this path; GET /openapi.json lists what there is")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path does not take this method")
}

/// The longest URL that is looked at, in bytes.
const URL_LIMIT: usize = 16 * 1024;

/// What the control plane answers is for the caller alone, so nothing between the two may keep it.
async fn put_headers(request: Request, next: Next) -> Response {
    let private = request.uri().path().starts_with("/api/");
    let is_too_long = request.uri().path_and_query().is_some_and(|url| url.as_str().len() > URL_LIMIT);
    let mut response = if is_too_long {
        Problem::new(Code::UrlTooLong, "the URL has more than 16 KiB").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if private {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
