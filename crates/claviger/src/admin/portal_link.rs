//! `claviger portal-link`

use anyhow::bail;
use claviger_app::App;
use claviger_app::access::{ManagePortal, Principal};
use claviger_app::portal::CreatePortalLink;
use claviger_core::{Owner, actor};
use serde_json::json;

use super::show;
use crate::cli::PortalLinkFlags;

pub(super) async fn run(app: &App, json: bool, flags: PortalLinkFlags) -> anyhow::Result<()> {
    let actor = flags.actor.as_deref().map(named).transpose()?;
    let owner = Owner::Workspace(flags.workspace);
    let permit = Principal::operator().permit_on::<ManagePortal>(owner, None)?;
    let create = CreatePortalLink { actor, ..CreatePortalLink::new(flags.role.into()) };
    let link = app.portal.create(&permit, create).await?;
    let url = app.portal.reveal_url(&link);
    show(json, &json!({"url": &*url, "expiresAt": link.pass.expires_at}), || url.to_string())
}

fn named(text: &str) -> anyhow::Result<String> {
    match actor::named(text) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => bail!("--actor {error}"),
    }
}
