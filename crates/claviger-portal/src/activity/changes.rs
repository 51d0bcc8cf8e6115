//! Who changed what, the newest first, by the day.

use claviger_app::access::{Permit, ReadAudit};
use claviger_app::audit::{AuditError, LogPage};
use claviger_app::{AuditFilter, Page};
use claviger_core::audit::AuditEntry;
use claviger_core::portal::PortalRole;
use serde_json::Value;

use super::said::said;
use super::{Asked, refuse_changes, text};
use crate::Portal;
use crate::page::Refused;
use crate::visitor::Visitor;

/// How many changes a page shows.
const LIMIT: usize = 50;

/// How often more is read to fill a page, where not all entries are shown.
const ROUNDS: usize = 20;

/// The part of the page that tells of changes.
pub(super) struct Changes {
    pub(super) days: Vec<Day>,
}

pub(super) struct Day {
    /// As machines read it: `2026-01-31`.
    pub(super) date: String,
    pub(super) name: String,
    pub(super) changes: Vec<Change>,
}

pub(super) struct Change {
    pub(super) number: u64,
    pub(super) at: String,
    pub(super) clock: String,
    pub(super) who: String,
    pub(super) said: String,
    /// Empty for members, and where it is not known.
    pub(super) from: String,
}

/// A page of changes, and the number of its last where there are older ones.
pub(super) async fn read(
    portal: &Portal,
    visitor: &Visitor,
    permit: &Permit<ReadAudit>,
    asked: &Asked,
) -> Result<(Changes, Option<u64>), Refused> {
    let found = find(portal, visitor, permit, asked).await;
    let (entries, last) = found.map_err(|error| refuse_changes(portal, visitor, &error))?;
    let mut days: Vec<Day> = Vec::new();
    for entry in &entries {
        let date = entry.at.to_string().split('T').next().unwrap_or_default().to_owned();
        if days.last().is_none_or(|day| day.date != date) {
            days.push(Day { date, name: text::day(entry.at), changes: Vec::new() });
        }
        if let Some(day) = days.last_mut() {
            day.changes.push(change(portal, visitor, entry));
        }
    }
    Ok((Changes { days }, last))
}

async fn find(
    portal: &Portal,
    visitor: &Visitor,
    permit: &Permit<ReadAudit>,
    asked: &Asked,
) -> Result<(Vec<AuditEntry>, Option<u64>), AuditError> {
    let provider = asked.provider.as_ref().map(|provider| provider.id.clone());
    let filter = AuditFilter { provider, actor: asked.actor.clone() };
    let named = &visitor.session.pass.grant.providers;
    let is_shown = |entry: &AuditEntry| {
        named.is_empty() || entry.provider.as_ref().is_none_or(|provider| named.contains(provider))
    };
    let (mut found, mut after) = (Vec::new(), asked.before);
    let limit = u32::try_from(LIMIT).unwrap_or(u32::MAX);
    for _ in 0..ROUNDS {
        let LogPage { entries, next } = portal.app.audit.log(permit, &filter, &Page { after, limit }).await?;
        found.extend(entries.into_iter().filter(is_shown));
        // One more than is shown tells whether there are older ones.
        if found.len() > LIMIT {
            found.truncate(LIMIT);
            let last = found.last().map(|entry| entry.sequence);
            return Ok((found, last));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok((found, after))
}

fn change(portal: &Portal, visitor: &Visitor, entry: &AuditEntry) -> Change {
    // What a hand in the database made of it is passed over; `claviger audit verify` says that it was one.
    let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
    let id = entry.provider.as_ref().map(claviger_core::ProviderId::as_str);
    let known = id.and_then(|id| portal.app.catalogue.get(id));
    let provider = known.map(|provider| provider.name.as_str()).or(id);
    let is_admin = visitor.session.pass.grant.role == PortalRole::Admin;
    let address = details["address"].as_str().filter(|_| is_admin);
    Change {
        number: entry.sequence,
        at: entry.at.to_string(),
        clock: text::clock(entry.at),
        who: text::who(&entry.actor),
        said: said(entry, &details, provider),
        from: address.map(text::from).unwrap_or_default(),
    }
}
