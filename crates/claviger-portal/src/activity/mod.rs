//! The Activity page: how the workspace's keys were used, and who changed what. Members see it as admins do, but for the
//! addresses that changes came from.

mod bars;
mod changes;
mod said;
mod text;
mod usage;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use claviger_app::access::{Forbidden, ListKeys, Permit, ReadAudit};
use claviger_app::audit::AuditError;
use claviger_app::usage::UsageError;
use claviger_core::Provider;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::page::{self, Frame, Part, Refused, render, tell};
use crate::visitor::Visitor;
use crate::{Portal, Shared, keys};

use changes::Changes;
use text::{ENGLISH, Words};
use usage::{Range, Usage};

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    w: &'static Words,
    providers: Vec<Choice>,
    people: Vec<Choice>,
    range: &'static str,
    /// The page without a filter; empty where there is none.
    clear: String,
    /// Nothing where older changes are looked at.
    usage: Option<Usage>,
    changes: Changes,
    /// The page of the newest changes; empty on itself.
    newest: String,
    /// The page of the next older ones; empty where there are none.
    older: String,
}

/// Something to filter by.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

/// What is to be shown.
struct Asked {
    range: Range,
    provider: Option<Arc<Provider>>,
    actor: Option<String>,
    /// Only changes before the one with this number.
    before: Option<u64>,
}

impl Asked {
    /// What makes no sense is passed over.
    fn of(portal: &Portal, visitor: &Visitor) -> Self {
        let said = |name: &str| visitor.query.get(name).map(String::as_str).filter(|text| !text.is_empty());
        Self {
            range: said("range").and_then(Range::parse).unwrap_or_default(),
            provider: said("provider").and_then(|id| keys::provider(portal, visitor, id)),
            actor: said("person").map(str::to_owned),
            before: said("before").and_then(|number| number.parse().ok()),
        }
    }

    /// The address of this page, with another range or of older changes.
    fn address(&self, base: &str, range: Range, before: Option<u64>) -> String {
        let mut address = format!("{base}/activity?range={}", range.as_str());
        let provider = self.provider.as_ref().map(|provider| provider.id.as_str());
        for (name, value) in [("provider", provider), ("person", self.actor.as_deref())] {
            if let Some(value) = value {
                address.extend(["&", name, "="]);
                address.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
            }
        }
        before.map_or_else(|| address.clone(), |before| format!("{address}&before={before}"))
    }

    fn is_filtered(&self) -> bool {
        self.provider.is_some() || self.actor.is_some()
    }
}

struct Permits {
    keys: Permit<ListKeys>,
    audit: Permit<ReadAudit>,
}

impl Permits {
    fn of(visitor: &Visitor) -> Result<Self, Forbidden> {
        Ok(Self { keys: visitor.may_look()?, audit: visitor.may_read_changes()? })
    }
}

pub(crate) async fn show(State(portal): State<Shared>, visitor: Visitor) -> Result<Response, Refused> {
    let (portal, visitor) = (&*portal, &visitor);
    let forbidden = |_| tell(portal, visitor, StatusCode::FORBIDDEN, &crate::text::FORBIDDEN);
    let permits = Permits::of(visitor).map_err(forbidden)?;
    let asked = Asked::of(portal, visitor);
    let usage = match asked.before {
        None => Some(usage::read(portal, visitor, &permits.keys, &asked).await?),
        Some(_) => None,
    };
    let actors = portal.app.audit.actors(&permits.audit).await;
    let actors = actors.map_err(|error| page::unavailable(portal, visitor.look, &error))?;
    let (changes, last) = changes::read(portal, visitor, &permits.audit, &asked).await?;
    let (base, range) = (&portal.base, asked.range);
    let newest = || format!("{}#changes-title", asked.address(base, range, None));
    let older = |last| format!("{}#changes-title", asked.address(base, range, Some(last)));
    let page = ActivityPage {
        frame: Frame { part: Part::Activity, ..Frame::of(portal, visitor, ENGLISH.title) },
        w: &ENGLISH,
        providers: providers(portal, visitor, &asked),
        people: people(actors, &asked),
        range: range.as_str(),
        clear: if asked.is_filtered() { format!("{base}/activity?range={}", range.as_str()) } else { String::new() },
        usage,
        changes,
        newest: if asked.before.is_some() { newest() } else { String::new() },
        older: last.map(older).unwrap_or_default(),
    };
    Ok(render(StatusCode::OK, &page))
}

fn providers(portal: &Portal, visitor: &Visitor, asked: &Asked) -> Vec<Choice> {
    let chosen = asked.provider.as_ref().map(|provider| &provider.id);
    let choice = |provider: &Arc<Provider>| Choice {
        value: provider.id.to_string(),
        label: provider.name.clone(),
        chosen: chosen == Some(&provider.id),
    };
    keys::providers(portal, visitor).map(choice).collect()
}

/// Those who changed something, and who is asked for even where they did not.
fn people(mut actors: Vec<String>, asked: &Asked) -> Vec<Choice> {
    if let Some(actor) = asked.actor.as_ref().filter(|actor| !actors.contains(actor)) {
        actors.push(actor.clone());
    }
    let chosen = |actor: &str| asked.actor.as_deref() == Some(actor);
    let choice = |actor: String| Choice { label: text::listed(&actor), chosen: chosen(&actor), value: actor };
    actors.into_iter().map(choice).collect()
}

fn refuse_usage(portal: &Portal, visitor: &Visitor, error: &UsageError) -> Refused {
    match error {
        // It was deleted a moment ago, and the session with it.
        UsageError::NoOwner(_) => tell(portal, visitor, StatusCode::NOT_FOUND, &crate::text::NOTHING_HERE),
        UsageError::Store(error) => page::unavailable(portal, visitor.look, error).into(),
    }
}

fn refuse_changes(portal: &Portal, visitor: &Visitor, error: &AuditError) -> Refused {
    match error {
        AuditError::NoOwner(_) => tell(portal, visitor, StatusCode::NOT_FOUND, &crate::text::NOTHING_HERE),
        AuditError::Store(error) => page::unavailable(portal, visitor.look, error).into(),
    }
}
