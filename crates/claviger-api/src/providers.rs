//! `GET /api/providers`

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use claviger_app::access::ReadCatalogue;
use claviger_core::catalogue::Section;
use claviger_core::{Provider, ProviderId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};

impl Refusal for Infallible {
    const CODES: &[&[Code]] = &[auth::TOKEN];

    fn problem(self) -> Problem {
        match self {}
    }
}

/// The catalogue.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderList {
    /// In the order in which people should see them.
    providers: Vec<ProviderShown>,
}

/// An upstream API.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderShown {
    /// The id, as requests name it.
    #[schema(value_type = String, examples("openai"))]
    id: ProviderId,
    /// Its name for people.
    #[schema(examples("OpenAI"))]
    name: String,
    /// What it is for, in the widest sense: `models`, `search`, `enrichment`, or `custom` for one that the operator
    /// defined.
    #[schema(value_type = String, examples("models"))]
    section: Section,
    /// What it is for, in a few words.
    description: String,
    /// What an empty key field shows.
    placeholder: String,
    /// Its hosts; never empty.
    origins: Vec<OriginShown>,
}

/// One host of a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Origin)]
pub(crate) struct OriginShown {
    /// Selects this host in `/gateway/{provider}/{alias}/…`, where a provider has several.
    #[schema(examples("api"))]
    alias: String,
    /// What its paths begin with.
    paths: Vec<String>,
    /// Whether this host is meant where a path names none.
    default: bool,
    /// A word for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    note: Option<String>,
}

impl From<&Provider> for ProviderShown {
    fn from(provider: &Provider) -> Self {
        let origins = provider.origins.iter().enumerate().map(|(index, origin)| OriginShown {
            alias: origin.alias.clone(),
            paths: origin.paths.clone(),
            default: index == 0,
            note: origin.note.clone(),
        });
        Self {
            id: provider.id.clone(),
            name: provider.name.clone(),
            section: provider.section,
            description: provider.description.clone(),
            placeholder: provider.placeholder.clone(),
            origins: origins.collect(),
        }
    }
}

/// List providers
///
/// The catalogue, with what the operator added to it. Any valid token may see it.
#[utoipa::path(
    get,
    path = "/api/providers",
    operation_id = "listProviders",
    tag = "Providers",
    responses((status = 200, description = "The catalogue.", body = ProviderList), Refusals<Infallible>),
    security(("token" = ["root", "service", "admin", "member", "runtime"]))
)]
pub(crate) async fn list(State(api): State<Shared>, _allowed: Allowed<ReadCatalogue>) -> Json<ProviderList> {
    let providers = api.app.catalogue.iter().map(|provider| ProviderShown::from(&**provider));
    Json(ProviderList { providers: providers.collect() })
}
