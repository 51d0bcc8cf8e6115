//! `claviger workspace rekey`, and the same for other owners.

use claviger_app::App;
use claviger_app::access::{ManageKeys, Principal};
use claviger_core::Owner;
use serde_json::json;

use super::show;

pub(super) async fn run(app: &App, json: bool, owner: Owner) -> anyhow::Result<()> {
    let permit = Principal::operator().permit_on::<ManageKeys>(owner, None)?;
    let done = app.rekeying.rekey(&permit).await?;
    let value = json!({
        "success": true,
        "keys": done.keys,
        "webhooks": done.webhooks,
        "generation": done.generation,
    });
    show(json, &value, || {
        format!("sealed {} keys and {} webhooks' secrets of {} anew", done.keys, done.webhooks, permit.on())
    })
}
