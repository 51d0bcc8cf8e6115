//! The page of one provider's keys.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::UsageBucket;
use claviger_app::keys::ListedKey;
use claviger_app::usage::UsageError;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Provider, Timestamp};
use http::StatusCode;

use crate::chart::{self, Chart};
use crate::key_form::Typed;
use crate::keys::{lent, may_look, pool, provider};
use crate::page::{self, Frame, Refused, render, tell};
use crate::text::{self, ENGLISH};
use crate::visitor::Visitor;
use crate::words::{self, KeyShown, Picture};
use crate::{Portal, Shared};

/// What the fields for a key need to know.
pub(crate) struct SecretFields {
    pub(crate) placeholder: String,
    pub(crate) hint: String,
    pub(crate) can_verify: bool,
}

impl SecretFields {
    pub(crate) fn of(provider: &Provider) -> Self {
        let (placeholder, hint) = (provider.placeholder.clone(), words::hint(provider));
        Self { placeholder, hint, can_verify: provider.probe.is_some() }
    }
}

#[derive(Template)]
#[template(path = "provider.html")]
struct ProviderPage {
    frame: Frame,
    id: String,
    picture: Picture,
    address: String,
    purpose: String,
    /// Where keys come from while there are none; empty where there are some, or none are lent.
    badge: &'static str,
    single: bool,
    keys: Vec<Row>,
    /// Why no key can be added; empty where one can.
    full: &'static str,
    /// Whether the form is open already.
    open: bool,
    can_test: bool,
    fields: SecretFields,
    typed: Typed,
}

struct Row {
    key: KeyShown,
    chart: Chart,
}

pub(crate) async fn one(
    State(portal): State<Shared>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    match provider(&portal, &visitor, &id) {
        Some(provider) => provider_page(&portal, &visitor, &provider, StatusCode::OK, Typed::default()).await,
        None => Err(tell(&portal, &visitor, StatusCode::NOT_FOUND, &text::NOTHING_HERE)),
    }
}

pub(crate) async fn provider_page(
    portal: &Portal,
    visitor: &Visitor,
    provider: &Provider,
    status: StatusCode,
    typed: Typed,
) -> Result<Response, Refused> {
    let (pool, lent) = (pool(portal, visitor, provider).await?, lent(portal, visitor).await?);
    let now = portal.app.portal.now();
    let day = day(portal, visitor, provider, now).await?;
    let charts = chart::of_keys(pool.iter().map(|key| &key.record.id), &day, now);
    let rows = pool.iter().zip(charts).map(|(key, chart)| Row { key: words::shown(key, &pool, now), chart });
    let grant = &visitor.session.pass.grant;
    let frame = Frame::of(portal, visitor, &text::keys_of(&provider.name));
    let page = ProviderPage {
        frame: Frame { notice: notice(visitor, &pool, frame.notice), ..frame },
        id: provider.id.to_string(),
        picture: Picture::of(provider),
        address: format!("{}/providers/{}", portal.base, provider.id),
        purpose: provider.description.clone(),
        badge: if pool.is_empty() && lent.contains(&provider.id) { ENGLISH.inherited } else { "" },
        single: grant.mode == PortalMode::Single,
        full: full(grant.mode, pool.len()).unwrap_or_default(),
        open: pool.is_empty() || typed.is_wrong(),
        can_test: provider.probe.is_some() && grant.role == PortalRole::Admin,
        keys: rows.collect(),
        fields: SecretFields::of(provider),
        typed,
    };
    Ok(render(status, &page))
}

/// What was done, with the key that it was done to where the address names one.
fn notice(visitor: &Visitor, pool: &[ListedKey], notice: Option<String>) -> Option<String> {
    let key = visitor.query.get("key").and_then(|id| pool.iter().find(|key| key.record.id.as_str() == id));
    match (notice, key) {
        (Some(notice), Some(key)) => Some(text::of_key(words::label(key), &notice)),
        (notice, _) => notice,
    }
}

/// The requests of the last day with a provider's keys.
async fn day(
    portal: &Portal,
    visitor: &Visitor,
    provider: &Provider,
    now: Timestamp,
) -> Result<Vec<UsageBucket>, Refused> {
    let permit = may_look(portal, visitor)?;
    let hours = portal.app.usage.hours(&permit, Some(&provider.id), chart::begin(now), chart::end(now)).await;
    hours.map_err(|error| match error {
        UsageError::NoOwner(_) => tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE),
        UsageError::Store(error) => page::unavailable(portal, visitor.look, &error).into(),
    })
}

/// Why a pool takes no further key.
pub(crate) fn full(mode: PortalMode, keys: usize) -> Option<&'static str> {
    match mode {
        PortalMode::Multi if keys >= POOL_CAPACITY => Some(ENGLISH.limit_reached),
        PortalMode::Single if keys > 0 => Some(ENGLISH.single_taken),
        PortalMode::Multi | PortalMode::Single => None,
    }
}
