//! `claviger key`

use anyhow::{Context, anyhow, bail};
use claviger_app::access::{ListKeys, ManageKeys, Permit, Principal};
use claviger_app::keys::{ListedKey, PutDone, PutKey, PutKeyError};
use claviger_app::{App, KeyRecord};
use claviger_core::{KeyId, KeyName, ProviderId};
use serde_json::{Value, json};

use super::{New, new_name, rekey, secret, show, show_deleted, show_list};
use crate::cli::{KeyCommand, OwnerFlags, SecretFlags};
use crate::print;

pub(super) async fn run(app: &App, json: bool, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::List { owner, provider } => list(&At::of(app, &owner)?, json, provider).await,
        KeyCommand::Add { owner, provider, name, secret } => {
            add(&At::of(app, &owner)?, json, provider, (name, secret)).await
        }
        KeyCommand::Replace { owner, id, name, secret } => {
            replace(&At::of(app, &owner)?, json, &id, (name, secret)).await
        }
        KeyCommand::Rename { owner, id, name } => {
            let name = KeyName::parse(&name).context("the name")?;
            change(&At::of(app, &owner)?, json, &id, (Some(name), None)).await
        }
        KeyCommand::Enable { owner, id } => change(&At::of(app, &owner)?, json, &id, (None, Some(true))).await,
        KeyCommand::Disable { owner, id } => change(&At::of(app, &owner)?, json, &id, (None, Some(false))).await,
        KeyCommand::Delete { owner, id, provider, all: _ } => {
            let at = At::of(app, &owner)?;
            match (id, provider) {
                (Some(id), _) => delete(&at, json, &id).await,
                (None, Some(provider)) => delete_all(&at, json, &provider).await,
                (None, None) => bail!("name a key, or --provider and --all"),
            }
        }
        KeyCommand::Rekey { owner } => rekey::run(app, json, owner.owner()).await,
    }
}

/// Whose keys are meant, and the permission to see and change them.
struct At<'a> {
    app: &'a App,
    list: Permit<ListKeys>,
    manage: Permit<ManageKeys>,
}

impl<'a> At<'a> {
    fn of(app: &'a App, flags: &OwnerFlags) -> anyhow::Result<Self> {
        let owner = flags.owner();
        let operator = Principal::operator();
        let list = operator.permit_on(owner.clone(), None)?;
        let manage = operator.permit_on(owner, None)?;
        Ok(Self { app, list, manage })
    }

    async fn keys(&self) -> anyhow::Result<Vec<ListedKey>> {
        Ok(self.app.keys.list(&self.list).await?)
    }

    async fn provider_of(&self, id: &KeyId) -> anyhow::Result<ProviderId> {
        let keys = self.keys().await?;
        let key = keys.into_iter().map(|key| key.record).find(|key| key.id == *id);
        Ok(key.with_context(|| format!("there is no such key of {}", self.list.on()))?.provider)
    }

    /// Keys of a provider that the catalogue has lost can still be listed and deleted.
    fn is_in_catalogue(&self, provider: &ProviderId) -> anyhow::Result<()> {
        let known = self.app.catalogue.get(provider.as_str()).map(drop);
        known.with_context(|| format!("--provider: there is no provider {provider} in the catalogue"))
    }
}

async fn list(at: &At<'_>, json: bool, provider: Option<ProviderId>) -> anyhow::Result<()> {
    let mut keys = at.keys().await?;
    if let Some(provider) = provider {
        keys.retain(|key| key.record.provider == provider);
        if keys.is_empty() {
            at.is_in_catalogue(&provider)?;
        }
    }
    if json {
        return show_list("keys", keys.iter().map(whole).collect());
    }
    keys.iter().try_for_each(|key| print::result(&line(key)))?;
    Ok(())
}

async fn add(
    at: &At<'_>,
    json: bool,
    provider: ProviderId,
    (name, flags): (Option<String>, SecretFlags),
) -> anyhow::Result<()> {
    let name = new_name(name.as_deref())?;
    at.is_in_catalogue(&provider)?;
    // Before anybody is asked for a secret: whether there is somebody to give it to.
    at.keys().await?;
    let put = PutKey { provider, secret: secret::read(&flags)?, name, verify: false };
    let PutDone { key: added, .. } = at.app.keys.add(&at.manage, put).await.map_err(refusal)?;
    show(json, &json!({"success": true, "key": stored(&added)}), || added.id.to_string())
}

async fn replace(
    at: &At<'_>,
    json: bool,
    id: &KeyId,
    (name, flags): (Option<String>, SecretFlags),
) -> anyhow::Result<()> {
    let name = new_name(name.as_deref())?;
    let put = PutKey { provider: at.provider_of(id).await?, secret: secret::read(&flags)?, name, verify: false };
    let PutDone { key: replaced, .. } = at.app.keys.replace(&at.manage, id, put).await.map_err(refusal)?;
    let mut value = stored(&replaced);
    value["updatedAt"] = json!(replaced.updated_at);
    show(json, &json!({"success": true, "key": value}), || replaced.id.to_string())
}

/// A key's new name, and its new switch.
type Changes = (New<KeyName>, Option<bool>);

async fn change(at: &At<'_>, json: bool, id: &KeyId, (name, enabled): Changes) -> anyhow::Result<()> {
    let key = at.app.keys.change(&at.manage, id, name, enabled).await?;
    show(json, &json!({"success": true, "key": whole(&key)}), || key.record.id.to_string())
}

async fn delete(at: &At<'_>, json: bool, id: &KeyId) -> anyhow::Result<()> {
    let provider = at.provider_of(id).await?;
    at.app.keys.delete(&at.manage, &provider, id).await?;
    show_deleted(json, id.as_str())
}

async fn delete_all(at: &At<'_>, json: bool, provider: &ProviderId) -> anyhow::Result<()> {
    at.app.keys.delete_all(&at.manage, provider).await?;
    show_deleted(json, &format!("all keys for {provider}"))
}

fn refusal(error: PutKeyError) -> anyhow::Error {
    match error {
        PutKeyError::Duplicate(id) => anyhow!("this key is stored already, as {id}"),
        other => other.into(),
    }
}

/// As the API shows it: with a warning, where keys of its pool share one limit.
fn whole(ListedKey { record: key, standing, shares_limit }: &ListedKey) -> Value {
    let mut value = json!({
        "id": key.id,
        "providerId": key.provider,
        "name": key.name,
        "maskedKey": key.masked,
        "enabled": key.enabled,
        "status": standing.status,
        "domain": key.domain,
        "counts": {
            "requests": key.counts.requests,
            "ok": key.counts.ok,
            "rateLimited": key.counts.rate_limited,
            "rejected": key.counts.rejected,
            "callerErrors": key.counts.caller_errors,
            "providerErrors": key.counts.provider_errors,
        },
        "createdBy": key.created_by,
        "createdAt": key.created_at,
        "updatedAt": key.updated_at,
        "lastUsedAt": key.last_used_at,
    });
    if let Some(reason) = &standing.reason {
        value["statusReason"] = json!(reason);
    }
    if let Some(at) = standing.available_at {
        value["availableAt"] = json!(at);
    }
    if !shares_limit.is_empty() {
        let message = format!("These {} keys share one limit.", shares_limit.len());
        value["warning"] = json!({"code": "shared_limit", "message": message, "keyIds": shares_limit});
    }
    value
}

/// As the API answers to an add.
fn stored(key: &KeyRecord) -> Value {
    json!({
        "id": key.id,
        "providerId": key.provider,
        "name": key.name,
        "maskedKey": key.masked,
        "createdAt": key.created_at,
    })
}

fn line(listed: &ListedKey) -> String {
    let ListedKey { record: key, standing, .. } = listed;
    let name = key.name.as_ref().map_or("-", KeyName::as_str);
    let switch = if key.enabled { "on" } else { "off" };
    let used = key.last_used_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let (status, reason) = (standing.status.as_str(), standing.reason.as_deref().unwrap_or("-"));
    format!("{}\t{}\t{}\t{name}\t{switch}\t{status}\t{used}\t{reason}", key.id, key.provider, key.masked)
}
