//! What the audit trail says of each kind of change: the words and fields that both stores write.

use std::fmt::Write as _;

use claviger_core::audit::{Act, AuditEntry, AuditHash, AuditHead};
use claviger_core::webhook::WebhookUrl;
use claviger_core::{KeyName, Owner, ProviderId, Role, TokenId};
use serde_json::{Value, json};

use crate::reseal::MASTER_KEY_ID;
use crate::{ConsoleSession, KeyRecord, Organization, PortalPass, Rekey, TokenRecord, Webhook, Workspace};

/// Something that was done to something, as it is entered in its owner's chain. Holds no secret: of a key its mask, of
/// a token its id.
#[derive(Clone, PartialEq, Debug)]
pub struct Deed {
    action: &'static str,
    target: String,
    provider: Option<ProviderId>,
    before: Value,
    after: Value,
}

/// What is done by putting something of a kind.
struct Put {
    created: &'static str,
    updated: &'static str,
}

const WORKSPACE: Put = Put { created: "workspace.created", updated: "workspace.updated" };
const ORGANIZATION: Put = Put { created: "organization.created", updated: "organization.updated" };

impl Deed {
    /// A key was added.
    #[must_use]
    pub fn key_added(key: &KeyRecord) -> Self {
        Self::of_key("byok_key.created", key, Value::Null, key_fields(key))
    }

    /// A key got another secret, and perhaps another name.
    #[must_use]
    pub fn key_replaced(before: &KeyRecord, after: &KeyRecord) -> Self {
        let mut fields = key_fields(after);
        fields["secretReplaced"] = json!(true);
        Self::of_key("byok_key.updated", after, key_fields(before), fields)
    }

    /// A key was renamed or switched; nothing where it is as it was.
    #[must_use]
    pub fn key_changed(before: &KeyRecord, after: &KeyRecord) -> Option<Self> {
        let (old, new) = (key_fields(before), key_fields(after));
        (old != new).then(|| Self::of_key("byok_key.updated", after, old, new))
    }

    /// A key was deleted.
    #[must_use]
    pub fn key_deleted(key: &KeyRecord) -> Self {
        Self::of_key("byok_key.deleted", key, key_fields(key), Value::Null)
    }

    fn of_key(action: &'static str, key: &KeyRecord, before: Value, after: Value) -> Self {
        let (target, provider) = (key.id.to_string(), Some(key.provider.clone()));
        Self { action, target, provider, before, after }
    }

    /// A workspace was made, renamed or moved; nothing where it is as it was.
    #[must_use]
    pub fn workspace_put(before: Option<&Workspace>, after: &Workspace) -> Option<Self> {
        Self::put(&WORKSPACE, after.id.as_str(), before.map(workspace_fields), workspace_fields(after))
    }

    /// A workspace belongs to no organization any more, because the one that it belonged to was deleted.
    #[must_use]
    pub fn organization_lost(workspace: &Workspace) -> Self {
        let before = workspace_fields(workspace);
        let mut after = before.clone();
        after["organizationId"] = Value::Null;
        after["organizationDeleted"] = json!(true);
        Self::plain(WORKSPACE.updated, workspace.id.as_str(), before, after)
    }

    /// A workspace was deleted, and all that belonged to it.
    #[must_use]
    pub fn workspace_deleted(id: &str) -> Self {
        Self::plain("workspace.deleted", id, Value::Null, Value::Null)
    }

    /// An organization was made, renamed or switched; nothing where it is as it was.
    #[must_use]
    pub fn organization_put(before: Option<&Organization>, after: &Organization) -> Option<Self> {
        let fields = |it: &Organization| json!({"name": it.name, "keysEnabled": it.keys_enabled});
        Self::put(&ORGANIZATION, after.id.as_str(), before.map(fields), fields(after))
    }

    /// An organization was deleted; so many workspaces of its belong to none now, and each has an entry of its own.
    #[must_use]
    pub fn organization_deleted(id: &str, workspaces: u64) -> Self {
        Self::plain("organization.deleted", id, json!({"workspaces": workspaces}), Value::Null)
    }

    fn put(actions: &Put, id: &str, before: Option<Value>, after: Value) -> Option<Self> {
        let action = if before.is_some() { actions.updated } else { actions.created };
        let before = before.unwrap_or(Value::Null);
        (before != after).then(|| Self::plain(action, id, before, after))
    }

    /// A token was made.
    #[must_use]
    pub fn token_created(token: &TokenRecord) -> Self {
        Self::plain("token.created", token.id.as_str(), Value::Null, token_fields(token))
    }

    /// A token was deleted.
    #[must_use]
    pub fn token_deleted(token: &TokenRecord) -> Self {
        Self::plain("token.deleted", token.id.as_str(), token_fields(token), Value::Null)
    }

    /// A webhook was added.
    #[must_use]
    pub fn webhook_created(webhook: &Webhook) -> Self {
        Self::plain("webhook.created", webhook.id.as_str(), Value::Null, webhook_fields(webhook))
    }

    /// A webhook was deleted.
    #[must_use]
    pub fn webhook_deleted(webhook: &Webhook) -> Self {
        Self::plain("webhook.deleted", webhook.id.as_str(), webhook_fields(webhook), Value::Null)
    }

    /// A link to the portal was made.
    #[must_use]
    pub fn portal_link_created(link: &PortalPass) -> Self {
        Self::plain("portal_link.created", link.id.as_str(), Value::Null, pass_fields(link))
    }

    /// A link to the portal was used, and a session began.
    #[must_use]
    pub fn portal_session_began(link: &PortalPass, session: &PortalPass) -> Self {
        let mut fields = pass_fields(session);
        fields["portalLinkId"] = json!(link.id.as_str());
        Self::plain("portal_session.created", session.id.as_str(), Value::Null, fields)
    }

    /// A session of the portal was ended.
    #[must_use]
    pub fn portal_session_ended(session: &PortalPass) -> Self {
        Self::plain("portal_session.deleted", session.id.as_str(), pass_fields(session), Value::Null)
    }

    /// An owner got a new data key, and all that the old one sealed was sealed anew.
    #[must_use]
    pub fn rekeyed(owner: &Owner, rekey: &Rekey) -> Self {
        let action = match owner {
            Owner::Workspace(_) => "workspace.rekeyed",
            Owner::Organization(_) => "organization.rekeyed",
            Owner::Platform => "platform.rekeyed",
        };
        let fields = json!({"keys": rekey.keys.len(), "webhooks": rekey.webhooks.len()});
        Self::plain(action, owner.id(), Value::Null, fields)
    }

    /// Another master key came into use. Both are told by their ids, which are no secrets.
    #[must_use]
    pub fn master_key_put_into_use(was: &[u8], canary: &[u8]) -> Self {
        let fields = |canary: &[u8]| json!({"masterKeyId": master_key_id(canary)});
        Self::plain("master_key.rotated", &master_key_id(canary), fields(was), fields(canary))
    }

    /// The operator signed in to the console.
    #[must_use]
    pub fn console_session_began(session: &ConsoleSession) -> Self {
        let fields = json!({"expiresAt": session.expires_at});
        Self::plain("console_session.created", session.id.as_str(), Value::Null, fields)
    }

    /// A session of the console was ended.
    #[must_use]
    pub fn console_session_ended(id: &TokenId) -> Self {
        Self::plain("console_session.deleted", id.as_str(), Value::Null, Value::Null)
    }

    fn plain(action: &'static str, target: &str, before: Value, after: Value) -> Self {
        Self { action, target: target.to_owned(), provider: None, before, after }
    }

    /// The entry for this, at the end of its owner's chain.
    #[must_use]
    pub fn entry(self, act: &Act, owner: &Owner, head: AuditHead) -> AuditEntry {
        let mut details = json!({"via": act.via});
        let fields = [
            ("tokenId", act.token.as_ref().map_or(Value::Null, |id| json!(id.as_str()))),
            ("address", act.address.map_or(Value::Null, |address| json!(address.to_string()))),
            ("before", self.before),
            ("after", self.after),
        ];
        for (name, value) in fields {
            if !value.is_null() {
                details[name] = value;
            }
        }
        let mut entry = AuditEntry {
            sequence: head.sequence + 1,
            at: act.at,
            actor: act.actor.clone(),
            action: self.action.to_owned(),
            target: self.target,
            provider: self.provider,
            details: details.to_string(),
            hash: AuditHash::NONE,
        };
        entry.hash = entry.link(owner, head.hash);
        entry
    }
}

/// The id of the master key that a canary names, as the commands write it.
fn master_key_id(canary: &[u8]) -> String {
    let mut id = String::new();
    for byte in canary.get(MASTER_KEY_ID).unwrap_or_default() {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn key_fields(key: &KeyRecord) -> Value {
    json!({"name": key.name.as_ref().map(KeyName::as_str), "maskedKey": key.masked, "enabled": key.enabled})
}

fn workspace_fields(workspace: &Workspace) -> Value {
    json!({"name": workspace.name, "organizationId": workspace.organization_id})
}

fn token_fields(token: &TokenRecord) -> Value {
    json!({
        "name": token.name,
        "role": Role::from(token.role).as_str(),
        "reveal": token.reveal,
        "expiresAt": token.expires_at,
    })
}

/// Its address may hold a secret of the receiver's in path or query, so only where it leads is told.
fn webhook_fields(webhook: &Webhook) -> Value {
    let authority = webhook.url.parse::<WebhookUrl>().map(|url| url.authority().to_owned());
    json!({"authority": authority.ok(), "events": webhook.events})
}

fn pass_fields(pass: &PortalPass) -> Value {
    json!({
        "role": pass.grant.role.as_str(),
        "actor": pass.grant.actor,
        "mode": pass.grant.mode.as_str(),
        "expiresAt": pass.expires_at,
    })
}

/// Which entries of a chain are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Only those about keys of this provider.
    pub provider: Option<ProviderId>,
    /// Only those of this actor.
    pub actor: Option<String>,
}

/// Entries of one owner's chain on their way from another database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrailCopy {
    /// Whose they are.
    pub owner: Owner,
    /// Where the owner's chain ended when it was looked at: [`AuditHead::EMPTY`] where it had no entry.
    pub there: AuditHead,
    /// Those that follow it, or all from the first on, which then take the place of what was there.
    pub entries: Vec<AuditEntry>,
}

impl TrailCopy {
    /// Whether the entries may be stored where the chain ends so by now.
    #[must_use]
    pub fn fits(&self, head: Option<AuditHead>) -> bool {
        let begins_at = self.entries.first().map(|entry| entry.sequence);
        head.unwrap_or(AuditHead::EMPTY) == self.there
            && begins_at.is_none_or(|number| number <= 1 || number > self.there.sequence)
    }
}
