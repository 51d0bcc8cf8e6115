//! `claviger audit`

use anyhow::bail;
use claviger_app::access::{ManageWorkspaces, Permit, Principal, ReadAudit};
use claviger_app::{App, Page};
use claviger_core::Owner;
use claviger_core::audit::{AuditEntry, AuditHead, Flaw};
use serde_json::{Value, json};

use super::PAGE;
use crate::cli::AuditCommand;
use crate::print;

pub(super) async fn run(app: &App, json: bool, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify { owner, expect_head } => verify(app, json, owner.owner(), expect_head).await,
        AuditCommand::Export { owner, after } => export(app, owner.owner(), after).await,
    }
}

fn permit(owner: Owner) -> anyhow::Result<Permit<ReadAudit>> {
    Ok(Principal::operator().permit_on(owner, None)?)
}

/// One owner, or one page after the other of all that have a trail.
async fn each(
    app: &App,
    named: Option<Owner>,
    mut take: impl AsyncFnMut(Owner) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(owner) = named {
        return take(owner).await;
    }
    let all: Permit<ManageWorkspaces> = Principal::operator().permit(None)?;
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let owners = app.audit.owners(&all, &page).await?;
        let Some(last) = owners.last() else {
            return Ok(());
        };
        page.after = Some(last.clone());
        for owner in owners {
            take(owner).await?;
        }
    }
}

async fn verify(app: &App, json: bool, named: Option<Owner>, expected: Option<AuditHead>) -> anyhow::Result<()> {
    let (mut trails, mut entries, mut broken) = (0_u64, 0_u64, 0_u64);
    each(app, named, async |owner| {
        let found = app.audit.verify(&permit(owner.clone())?, expected).await?;
        trails += 1;
        match found {
            Ok(head) => entries += head.sequence,
            Err(_) => broken += 1,
        }
        tell(json, &owner, found)
    })
    .await?;
    if broken > 0 {
        bail!("{broken} of {} broken", counted(trails, "audit trail is", "audit trails are"));
    }
    let (with, are) = (counted(entries, "entry", "entries"), if trails == 1 { "is" } else { "are" });
    print::problem(&format!("{} with {with} {are} whole", counted(trails, "audit trail", "audit trails")));
    Ok(())
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn tell(json: bool, owner: &Owner, found: Result<AuditHead, Flaw>) -> anyhow::Result<()> {
    let line = match (json, found) {
        (true, Ok(head)) => {
            json!({"owner": owner.kind(), "id": owner.id(), "head": head.to_string(), "flaw": null}).to_string()
        }
        (true, Err(flaw)) => {
            json!({"owner": owner.kind(), "id": owner.id(), "head": null, "flaw": flaw.to_string()}).to_string()
        }
        (false, Ok(head)) => format!("{owner}\t{head}"),
        (false, Err(flaw)) => format!("{owner}\tbroken: {flaw}"),
    };
    Ok(print::result(&line)?)
}

async fn export(app: &App, named: Option<Owner>, after: u64) -> anyhow::Result<()> {
    each(app, named, async |owner| {
        let permit = permit(owner.clone())?;
        let mut after = after;
        loop {
            let entries = app.audit.entries(&permit, after).await?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = last.sequence;
            entries.iter().try_for_each(|entry| print::result(&line(&owner, entry)))?;
        }
    })
    .await
}

/// As the API shows an entry, with its owner and its hash.
fn line(owner: &Owner, entry: &AuditEntry) -> String {
    let details: Value = serde_json::from_str(&entry.details).unwrap_or(Value::Null);
    json!({
        "owner": owner.kind(),
        "ownerId": owner.id(),
        "id": entry.sequence.to_string(),
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "providerId": entry.provider,
        "details": details,
        "hash": entry.hash.to_string(),
    })
    .to_string()
}
