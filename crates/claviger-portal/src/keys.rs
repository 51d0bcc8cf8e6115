//! The keys page, and the page of one provider's keys.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::keys::{ListKeysError, ListedKey};
use claviger_core::catalogue::Section;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Provider, ProviderId};
use http::StatusCode;

use crate::page::{self, Frame, render, tell};
use crate::text::{self, ENGLISH};
use crate::visitor::Visitor;
use crate::words::{self, KeyShown};
use crate::{Portal, Shared};

/// The longest search that is looked for and repeated.
const MAX_SEARCH: usize = 100;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    lead: &'static str,
    admin: bool,
    search: String,
    no_match: String,
    sections: Vec<SectionShown>,
}

struct SectionShown {
    /// For the heading's id.
    number: usize,
    title: &'static str,
    cards: Vec<Card>,
}

/// A provider in the list.
struct Card {
    name: String,
    monogram: String,
    purpose: String,
    inherited: bool,
    state: String,
    /// A dot a key: what the style sheet and what people call it.
    dots: Vec<&'static str>,
    actions: Vec<Link>,
}

/// What can be done next.
struct Link {
    address: String,
    label: &'static str,
}

/// The providers that a session shows, in the catalogue's order.
fn providers<'a>(portal: &'a Portal, visitor: &'a Visitor) -> impl Iterator<Item = &'a Arc<Provider>> {
    let named = &visitor.session.pass.grant.providers;
    portal.app.catalogue.iter().filter(move |provider| named.is_empty() || named.contains(&provider.id))
}

/// A provider, if the session shows it.
pub(crate) fn provider(portal: &Portal, visitor: &Visitor, id: &str) -> Option<Arc<Provider>> {
    providers(portal, visitor).find(|provider| provider.id.as_str() == id).cloned()
}

/// What the workspace has: its keys, by provider and in their order.
pub(crate) async fn listed(portal: &Portal, visitor: &Visitor) -> Result<Vec<ListedKey>, Box<Response>> {
    let Ok(permit) = visitor.may_look() else {
        return Err(Box::new(tell(portal, visitor, StatusCode::FORBIDDEN, &text::FORBIDDEN)));
    };
    portal.app.keys.list(&permit).await.map_err(|error| Box::new(refuse(portal, visitor, &error)))
}

/// The providers for which the organization has keys to lend.
pub(crate) async fn lent(portal: &Portal, visitor: &Visitor) -> Result<Vec<ProviderId>, Box<Response>> {
    let Ok(permit) = visitor.may_look() else {
        return Err(Box::new(tell(portal, visitor, StatusCode::FORBIDDEN, &text::FORBIDDEN)));
    };
    portal.app.keys.lent(&permit).await.map_err(|error| Box::new(refuse(portal, visitor, &error)))
}

fn refuse(portal: &Portal, visitor: &Visitor, error: &ListKeysError) -> Response {
    match error {
        // It was deleted a moment ago, and the session with it.
        ListKeysError::NoOwner(_) => tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE),
        ListKeysError::Store(error) => page::unavailable(portal, visitor.theme, error),
    }
}

pub(crate) async fn home(State(portal): State<Shared>) -> Response {
    page::see(&portal.base)
}

/// The keys page.
pub(crate) async fn all(State(portal): State<Shared>, visitor: Visitor) -> Response {
    let (keys, lent) = match (listed(&portal, &visitor).await, lent(&portal, &visitor).await) {
        (Ok(keys), Ok(lent)) => (keys, lent),
        (Err(refused), _) | (_, Err(refused)) => return *refused,
    };
    let grant = &visitor.session.pass.grant;
    let said = visitor.query.get("search").map(|search| search.trim()).unwrap_or_default();
    let search: String = said.chars().take(MAX_SEARCH).collect();
    let sections = sections(&portal, &visitor, &search, &keys, &lent);
    let page = KeysPage {
        frame: Frame::of(&portal, &visitor, ENGLISH.keys_title),
        lead: if grant.mode == PortalMode::Single { ENGLISH.keys_lead_single } else { ENGLISH.keys_lead },
        admin: grant.role == PortalRole::Admin,
        no_match: if sections.is_empty() { text::no_match(&search) } else { String::new() },
        search,
        sections,
    };
    render(StatusCode::OK, &page)
}

fn sections(
    portal: &Portal,
    visitor: &Visitor,
    search: &str,
    keys: &[ListedKey],
    lent: &[ProviderId],
) -> Vec<SectionShown> {
    let wanted = search.to_lowercase();
    let found = |provider: &&Arc<Provider>| {
        [provider.name.as_str(), provider.id.as_str(), provider.description.as_str()]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let order = [Section::Models, Section::Search, Section::Enrichment, Section::Custom];
    let sections = order.into_iter().enumerate().map(|(number, section)| {
        let providers = providers(portal, visitor).filter(|provider| provider.section == section).filter(found);
        let cards = providers.map(|provider| {
            let own: Vec<_> = keys.iter().filter(|key| key.record.provider == provider.id).collect();
            card(portal, visitor, provider, &own, lent)
        });
        SectionShown { number, title: text::section(section), cards: cards.collect() }
    });
    sections.filter(|section| !section.cards.is_empty()).collect()
}

fn card(portal: &Portal, visitor: &Visitor, provider: &Provider, own: &[&ListedKey], lent: &[ProviderId]) -> Card {
    let well = own.iter().filter(|key| words::is_well(key)).count();
    Card {
        name: provider.name.clone(),
        monogram: words::monogram(provider),
        purpose: provider.description.clone(),
        inherited: own.is_empty() && lent.contains(&provider.id),
        state: text::count(own.len(), well),
        dots: own.iter().map(|key| words::class(key)).collect(),
        actions: actions(portal, visitor, provider, own),
    }
}

/// The obvious next step.
fn actions(portal: &Portal, visitor: &Visitor, provider: &Provider, own: &[&ListedKey]) -> Vec<Link> {
    let grant = &visitor.session.pass.grant;
    let address = format!("{}/providers/{}", portal.base, provider.id);
    match (grant.role, grant.mode, own) {
        (PortalRole::Member, _, []) => Vec::new(),
        (PortalRole::Member, _, _) => vec![Link { address, label: ENGLISH.view }],
        (PortalRole::Admin, _, []) => vec![Link { address, label: ENGLISH.add }],
        (PortalRole::Admin, PortalMode::Single, [only]) => {
            let key = format!("{address}/keys/{}", only.record.id);
            let replace = Link { address: format!("{key}/replace"), label: ENGLISH.update };
            vec![replace, Link { address: format!("{key}/delete"), label: ENGLISH.delete }]
        }
        (PortalRole::Admin, _, _) => vec![Link { address, label: ENGLISH.manage }],
    }
}

/// What a form says of itself: what was typed, but for the key, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Typed {
    pub(crate) name: String,
    pub(crate) verify: bool,
    pub(crate) secret_error: String,
    pub(crate) name_error: String,
    /// What is wrong with none of the fields.
    pub(crate) error: String,
}

#[derive(Template)]
#[template(path = "provider.html")]
struct ProviderPage {
    frame: Frame,
    address: String,
    purpose: String,
    /// Where keys come from while there are none; empty where there are some, or none are lent.
    badge: &'static str,
    admin: bool,
    single: bool,
    keys: Vec<KeyShown>,
    /// Why no key can be added; empty where one can.
    full: &'static str,
    placeholder: String,
    hint: String,
    can_verify: bool,
    typed: Typed,
}

/// The page of one provider's keys.
pub(crate) async fn of_provider(State(portal): State<Shared>, Path(id): Path<String>, visitor: Visitor) -> Response {
    match provider(&portal, &visitor, &id) {
        Some(provider) => provider_page(&portal, &visitor, &provider, StatusCode::OK, Typed::default()).await,
        None => tell(&portal, &visitor, StatusCode::NOT_FOUND, &text::NOTHING_HERE),
    }
}

pub(crate) async fn provider_page(
    portal: &Portal,
    visitor: &Visitor,
    provider: &Provider,
    status: StatusCode,
    typed: Typed,
) -> Response {
    let (keys, lent) = match (listed(portal, visitor).await, lent(portal, visitor).await) {
        (Ok(keys), Ok(lent)) => (keys, lent),
        (Err(refused), _) | (_, Err(refused)) => return *refused,
    };
    let pool: Vec<_> = keys.into_iter().filter(|key| key.record.provider == provider.id).collect();
    let now = portal.app.portal.now();
    let grant = &visitor.session.pass.grant;
    let page = ProviderPage {
        frame: Frame::of(portal, visitor, &text::keys_of(&provider.name)),
        address: format!("{}/providers/{}", portal.base, provider.id),
        purpose: provider.description.clone(),
        badge: if pool.is_empty() && lent.contains(&provider.id) { ENGLISH.inherited } else { "" },
        admin: grant.role == PortalRole::Admin,
        single: grant.mode == PortalMode::Single,
        keys: pool.iter().map(|key| words::shown(key, &pool, now)).collect(),
        full: full(grant.mode, pool.len()).unwrap_or_default(),
        placeholder: provider.placeholder.clone(),
        hint: words::hint(provider),
        can_verify: provider.probe.is_some(),
        typed,
    };
    render(status, &page)
}

/// Why a pool takes no further key.
pub(crate) fn full(mode: PortalMode, keys: usize) -> Option<&'static str> {
    match mode {
        PortalMode::Multi if keys >= POOL_CAPACITY => Some(ENGLISH.limit_reached),
        PortalMode::Single if keys > 0 => Some(ENGLISH.single_taken),
        PortalMode::Multi | PortalMode::Single => None,
    }
}
