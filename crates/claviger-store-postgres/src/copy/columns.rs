//! Owners as columns: what PostgreSQL takes as one array a column, so that a statement stores the rows of a whole page.

use claviger_core::health::Ailment;
use claviger_core::{KeyName, KeyStatus, OrganizationId, Owner, Role, Timestamp};
use claviger_store::{KeyCopy, OwnerCopy, OwnerKindCopy, PoolCopy, StoreError, TokenRecord, Webhook};

use crate::error::malformed;
use crate::health::CountColumns;
use crate::owner::Owners;

#[derive(Default)]
pub(super) struct Workspaces<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) names: Vec<Option<&'a str>>,
    pub(super) organizations: Vec<Option<&'a str>>,
    pub(super) created_at: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Organizations<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) names: Vec<Option<&'a str>>,
    pub(super) keys_enabled: Vec<bool>,
    pub(super) created_at: Vec<i64>,
}

#[derive(Default)]
pub(super) struct DataKeys<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) sealed: Vec<&'a [u8]>,
    pub(super) created_at: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Pools<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) providers: Vec<&'a str>,
    pub(super) generations: Vec<i64>,
    pub(super) next_positions: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Keys<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) providers: Vec<&'a str>,
    pub(super) ids: Vec<&'a str>,
    pub(super) slots: Vec<i16>,
    pub(super) positions: Vec<i64>,
    pub(super) names: Vec<Option<&'a str>>,
    pub(super) masked: Vec<&'a str>,
    pub(super) sealed: Vec<&'a [u8]>,
    pub(super) fingerprints: Vec<&'a [u8]>,
    pub(super) enabled: Vec<bool>,
    pub(super) unreadable: Vec<bool>,
    pub(super) created_by: Vec<Option<&'a str>>,
    pub(super) created_at: Vec<i64>,
    pub(super) updated_at: Vec<i64>,
    pub(super) last_used_at: Vec<Option<i64>>,
    pub(super) ailments: Vec<Option<&'static str>>,
    pub(super) ailment_statuses: Vec<Option<i16>>,
    pub(super) ailments_since: Vec<Option<i64>>,
    pub(super) ailments_until: Vec<Option<i64>>,
    pub(super) ailment_strikes: Vec<Option<i64>>,
    pub(super) domains: Vec<Option<&'a str>>,
    pub(super) counts: CountColumns,
}

#[derive(Default)]
pub(super) struct Tokens<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) ids: Vec<&'a str>,
    pub(super) hashes: Vec<&'a [u8]>,
    pub(super) names: Vec<&'a str>,
    pub(super) roles: Vec<&'static str>,
    pub(super) reveal: Vec<bool>,
    pub(super) expires_at: Vec<Option<i64>>,
    pub(super) created_at: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Webhooks<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) ids: Vec<&'a str>,
    pub(super) slots: Vec<i16>,
    pub(super) urls: Vec<&'a str>,
    pub(super) sealed: Vec<&'a [u8]>,
    pub(super) events: Vec<String>,
    pub(super) created_by: Vec<Option<&'a str>>,
    pub(super) created_at: Vec<i64>,
}

/// All rows of some owners, in the order of owners.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) owners: Owners<'a>,
    pub(super) workspaces: Workspaces<'a>,
    pub(super) organizations: Organizations<'a>,
    pub(super) data_keys: DataKeys<'a>,
    pub(super) pools: Pools<'a>,
    pub(super) keys: Keys<'a>,
    pub(super) tokens: Tokens<'a>,
    pub(super) webhooks: Webhooks<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(owners: &'a [OwnerCopy]) -> Result<Self, StoreError> {
        let mut sorted: Vec<&OwnerCopy> = owners.iter().collect();
        sorted.sort_by_key(|copy| (copy.owner.kind().as_str(), copy.owner.id()));
        let mut columns = Self::default();
        for copy in sorted {
            columns.owners.push(&copy.owner);
            columns.push_kind(copy)?;
            if let Some(data_key) = &copy.data_key {
                columns.data_keys.owners.push(&copy.owner);
                columns.data_keys.sealed.push(&data_key.sealed);
                columns.data_keys.created_at.push(data_key.created_at.as_millis());
            }
            for pool in &copy.pools {
                columns.push_pool(&copy.owner, pool)?;
            }
            for token in &copy.tokens {
                columns.tokens.push(&copy.owner, token);
            }
            for (slot, webhook) in (0..).zip(&copy.webhooks) {
                columns.webhooks.push(&copy.owner, webhook, slot);
            }
        }
        Ok(columns)
    }

    fn push_kind(&mut self, copy: &'a OwnerCopy) -> Result<(), StoreError> {
        match (&copy.owner, &copy.kind) {
            (Owner::Workspace(id), OwnerKindCopy::Workspace { name, organization, created_at }) => {
                self.workspaces.ids.push(id.as_str());
                self.workspaces.names.push(name.as_deref());
                self.workspaces.organizations.push(organization.as_ref().map(OrganizationId::as_str));
                self.workspaces.created_at.push(created_at.as_millis());
            }
            (Owner::Organization(id), OwnerKindCopy::Organization { name, keys_enabled, created_at }) => {
                self.organizations.ids.push(id.as_str());
                self.organizations.names.push(name.as_deref());
                self.organizations.keys_enabled.push(*keys_enabled);
                self.organizations.created_at.push(created_at.as_millis());
            }
            (Owner::Platform, OwnerKindCopy::Platform) => {}
            _ => return Err(malformed("an owner")),
        }
        Ok(())
    }

    fn push_pool(&mut self, owner: &'a Owner, pool: &'a PoolCopy) -> Result<(), StoreError> {
        self.pools.owners.push(owner);
        self.pools.providers.push(pool.provider.as_str());
        self.pools.generations.push(stored(pool.generation, "a pool's generation")?);
        self.pools.next_positions.push(stored(pool.next_position.0, "a pool's position")?);
        pool.keys.iter().try_for_each(|key| self.keys.push(owner, pool, key))
    }
}

fn stored(number: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| malformed(what))
}

impl<'a> Keys<'a> {
    fn push(&mut self, owner: &'a Owner, pool: &'a PoolCopy, key: &'a KeyCopy) -> Result<(), StoreError> {
        let record = &key.record;
        self.owners.push(owner);
        self.providers.push(pool.provider.as_str());
        self.ids.push(record.id.as_str());
        self.slots.push(key.slot.into());
        self.positions.push(stored(key.position.0, "a key's position")?);
        self.names.push(record.name.as_ref().map(KeyName::as_str));
        self.masked.push(&record.masked);
        self.sealed.push(&key.sealed);
        self.fingerprints.push(&key.fingerprint);
        self.enabled.push(record.enabled);
        self.unreadable.push(record.status == KeyStatus::Unreadable);
        self.created_by.push(record.created_by.as_deref());
        self.created_at.push(record.created_at.as_millis());
        self.updated_at.push(record.updated_at.as_millis());
        self.last_used_at.push(record.last_used_at.map(Timestamp::as_millis));
        self.domains.push(record.domain.as_deref());
        self.push_ailment(record.ailment.as_ref())?;
        self.counts.push(&record.counts)
    }

    fn push_ailment(&mut self, ailment: Option<&Ailment>) -> Result<(), StoreError> {
        let status = ailment.map(|ailment| i16::try_from(ailment.status)).transpose();
        self.ailments.push(ailment.map(|ailment| ailment.kind.as_str()));
        self.ailment_statuses.push(status.map_err(|_| malformed("an ailment's status"))?);
        self.ailments_since.push(ailment.map(|ailment| ailment.since.as_millis()));
        self.ailments_until.push(ailment.map(|ailment| ailment.until.as_millis()));
        self.ailment_strikes.push(ailment.map(|ailment| i64::from(ailment.strikes)));
        Ok(())
    }
}

impl<'a> Tokens<'a> {
    fn push(&mut self, owner: &'a Owner, token: &'a TokenRecord) {
        self.owners.push(owner);
        self.ids.push(token.id.as_str());
        self.hashes.push(&token.hash);
        self.names.push(&token.name);
        self.roles.push(Role::from(token.role).as_str());
        self.reveal.push(token.reveal);
        self.expires_at.push(token.expires_at.map(Timestamp::as_millis));
        self.created_at.push(token.created_at.as_millis());
    }
}

impl<'a> Webhooks<'a> {
    fn push(&mut self, owner: &'a Owner, webhook: &'a Webhook, slot: i16) {
        self.owners.push(owner);
        self.ids.push(webhook.id.as_str());
        self.slots.push(slot);
        self.urls.push(&webhook.url);
        self.sealed.push(&webhook.sealed);
        self.events.push(webhook.events.join(" "));
        self.created_by.push(webhook.created_by.as_deref());
        self.created_at.push(webhook.created_at.as_millis());
    }
}
