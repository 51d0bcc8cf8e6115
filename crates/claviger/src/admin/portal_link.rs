//! `claviger portal-link`

use anyhow::bail;
use claviger_app::App;
use claviger_app::access::{ManagePortal, Principal};
use claviger_app::portal::CreatePortalLink;
use claviger_core::Owner;
use serde_json::json;

use super::show;
use crate::cli::PortalLinkFlags;

pub(super) async fn run(app: &App, json: bool, flags: PortalLinkFlags) -> anyhow::Result<()> {
    let actor = flags.actor.as_deref().map(actor).transpose()?;
    let owner = Owner::Workspace(flags.workspace.parse()?);
    let permit = Principal::operator().permit_on::<ManagePortal>(owner, None)?;
    let create = CreatePortalLink { actor, ..CreatePortalLink::new(flags.role.into()) };
    let link = app.portal.create(&permit, create).await?;
    let url = app.portal.reveal_url(&link);
    show(json, &json!({"url": &*url, "expiresAt": link.pass.expires_at}), || url.to_string())
}

fn actor(named: &str) -> anyhow::Result<String> {
    let named = named.trim();
    if !(1..=256).contains(&named.chars().count()) || named.chars().any(char::is_control) {
        bail!("--actor must be 1 to 256 characters, without control characters");
    }
    Ok(named.to_owned())
}
