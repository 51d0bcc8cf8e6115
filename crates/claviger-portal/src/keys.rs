//! The keys page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use claviger_app::access::{ListKeys, Permit};
use claviger_app::keys::ListedKey;
use claviger_core::catalogue::Section;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Provider, ProviderId};
use http::StatusCode;

use crate::key_form::KeyTrouble;
use crate::page::{self, Frame, Refused, render, tell};
use crate::text::{self, ENGLISH};
use crate::visitor::Visitor;
use crate::words::{self, Picture};
use crate::{Portal, Shared};

/// The longest search that is looked for and repeated.
const MAX_SEARCH: usize = 100;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    lead: &'static str,
    search: String,
    no_match: String,
    /// How many providers a search found; empty without one.
    found: String,
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
    id: String,
    picture: Picture,
    name: String,
    purpose: String,
    inherited: bool,
    state: String,
    /// A dot a key: what the style sheet and what people call it.
    dots: Vec<&'static str>,
    actions: Vec<Link>,
}

/// What can be done next.
struct Link {
    /// The start of its id, by which it is found again when the list is made anew.
    hook: &'static str,
    address: String,
    label: &'static str,
}

/// The providers that a session shows, in the catalogue's order.
pub(crate) fn providers<'a>(portal: &'a Portal, visitor: &'a Visitor) -> impl Iterator<Item = &'a Arc<Provider>> {
    let named = &visitor.session.pass.grant.providers;
    portal.app.catalogue.iter().filter(move |provider| named.is_empty() || named.contains(&provider.id))
}

/// A provider, if the session shows it.
pub(crate) fn provider(portal: &Portal, visitor: &Visitor, id: &str) -> Option<Arc<Provider>> {
    providers(portal, visitor).find(|provider| provider.id.as_str() == id).cloned()
}

/// What the workspace has: its keys, by provider and in their order.
pub(crate) async fn listed(portal: &Portal, visitor: &Visitor) -> Result<Vec<ListedKey>, Refused> {
    let listed = portal.app.keys.list(&may_look(portal, visitor)?).await;
    listed.map_err(|error| refuse(portal, visitor, error))
}

/// The workspace's keys for one provider, in their order.
pub(crate) async fn pool(portal: &Portal, visitor: &Visitor, provider: &Provider) -> Result<Vec<ListedKey>, Refused> {
    let keys = listed(portal, visitor).await?.into_iter();
    Ok(keys.filter(|key| key.record.provider == provider.id).collect())
}

/// The providers for which the organization has keys to lend.
pub(crate) async fn lent(portal: &Portal, visitor: &Visitor) -> Result<Vec<ProviderId>, Refused> {
    let lent = portal.app.keys.lent(&may_look(portal, visitor)?).await;
    lent.map_err(|error| refuse(portal, visitor, error))
}

pub(crate) fn may_look(portal: &Portal, visitor: &Visitor) -> Result<Permit<ListKeys>, Refused> {
    visitor.may_look().map_err(|_| tell(portal, visitor, StatusCode::FORBIDDEN, &text::FORBIDDEN))
}

/// Says why nothing was done about keys.
pub(crate) fn refuse(portal: &Portal, visitor: &Visitor, trouble: impl Into<KeyTrouble>) -> Refused {
    match trouble.into() {
        // The owner was deleted a moment ago, and the session with it. No setting gives a workspace its keys.
        KeyTrouble::NoOwner | KeyTrouble::NoKey | KeyTrouble::Given => {
            tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE)
        }
        KeyTrouble::Failed(error) => page::unavailable(portal, visitor.look, &*error).into(),
    }
}

pub(crate) async fn home(State(portal): State<Shared>) -> Response {
    page::see(&portal.base)
}

/// The keys page.
pub(crate) async fn all(State(portal): State<Shared>, visitor: Visitor) -> Result<Response, Refused> {
    let (keys, lent) = (listed(&portal, &visitor).await?, lent(&portal, &visitor).await?);
    let grant = &visitor.session.pass.grant;
    let said = visitor.query.get("search").map(|search| search.trim()).unwrap_or_default();
    let search: String = said.chars().take(MAX_SEARCH).collect();
    let sections = sections(&portal, &visitor, &search, &keys, &lent);
    let page = KeysPage {
        frame: Frame::of(&portal, &visitor, ENGLISH.keys_title),
        lead: if grant.mode == PortalMode::Single { ENGLISH.keys_lead_single } else { ENGLISH.keys_lead },
        found: if search.is_empty() {
            String::new()
        } else {
            text::found(sections.iter().map(|it| it.cards.len()).sum())
        },
        no_match: if sections.is_empty() { text::no_match(&search) } else { String::new() },
        search,
        sections,
    };
    Ok(render(StatusCode::OK, &page))
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
        id: provider.id.to_string(),
        picture: Picture::of(provider),
        name: provider.name.clone(),
        purpose: provider.description.clone(),
        inherited: own.is_empty() && lent.contains(&provider.id),
        state: text::count(own.len(), well),
        dots: own.iter().map(|key| words::class(key)).collect(),
        actions: actions(portal, visitor, provider, own),
    }
}

const OPEN: &str = "open";

/// The obvious next step.
fn actions(portal: &Portal, visitor: &Visitor, provider: &Provider, own: &[&ListedKey]) -> Vec<Link> {
    let grant = &visitor.session.pass.grant;
    let address = format!("{}/providers/{}", portal.base, provider.id);
    match (grant.role, grant.mode, own) {
        (PortalRole::Member, _, []) => Vec::new(),
        (PortalRole::Member, _, _) => vec![Link { hook: OPEN, address, label: ENGLISH.view }],
        (PortalRole::Admin, _, []) => vec![Link { hook: OPEN, address, label: ENGLISH.add }],
        (PortalRole::Admin, PortalMode::Single, [only]) => {
            let key = format!("{address}/keys/{}", only.record.id);
            let replace = Link { hook: OPEN, address: format!("{key}/replace"), label: ENGLISH.update };
            vec![replace, Link { hook: "delete", address: format!("{key}/delete"), label: ENGLISH.delete }]
        }
        (PortalRole::Admin, _, _) => vec![Link { hook: OPEN, address, label: ENGLISH.manage }],
    }
}
