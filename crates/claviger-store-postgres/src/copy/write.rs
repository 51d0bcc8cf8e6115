//! Owners on their way in: one statement a table, whatever their number.

use std::collections::BTreeSet;

use claviger_core::{OrganizationId, Owner};
use claviger_store::{CopyError, OwnerCopy, OwnerKindCopy, StoreError};
use sqlx::PgConnection;

use super::columns::{Columns, DataKeys, Keys, Organizations, Pools, Tokens, Webhooks, Workspaces};
use crate::change;
use crate::error::{meaning, rows};
use crate::owner::Owners;

/// The owners' rows are locked in their order, as every other change of several owners does.
pub(crate) async fn put_owners(db: &mut PgConnection, owners: &[OwnerCopy]) -> Result<(), CopyError> {
    let columns = Columns::of(owners)?;
    let new = bring_owners(db, &columns.owners).await?;
    if new < columns.owners.count() {
        clear(db, &columns.owners).await?;
    }
    check_organizations(db, owners).await?;
    put_organizations(db, &columns.organizations).await?;
    put_workspaces(db, &columns.workspaces).await?;
    put_data_keys(db, &columns.data_keys).await?;
    put_pools(db, &columns.pools).await?;
    put_keys(db, &columns.keys).await?;
    put_tokens(db, &columns.tokens).await?;
    put_webhooks(db, &columns.webhooks).await?;
    change::everything(db).await?;
    Ok(())
}

/// Makes the owners that are not there, and locks all. Answers how many are new.
async fn bring_owners(db: &mut PgConnection, owners: &Owners<'_>) -> Result<usize, StoreError> {
    // The update that never happens is what locks a row that is there.
    let result = sqlx::query(
        "INSERT INTO owner (owner_kind, owner_id)
         SELECT * FROM unnest($1::text[], $2::text[]) AS owner (owner_kind, owner_id)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET owner_id = owner.owner_id WHERE false",
    )
    .bind(&owners.kinds)
    .bind(&owners.ids)
    .execute(db)
    .await
    .map_err(meaning)?;
    Ok(usize::try_from(result.rows_affected()).unwrap_or(usize::MAX))
}

/// Deletes what was there of these owners, but for their own rows.
async fn clear(db: &mut PgConnection, owners: &Owners<'_>) -> Result<(), StoreError> {
    for text in [
        "DELETE FROM token_owner WHERE token_id IN (
             SELECT token.token_id FROM unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
             JOIN token USING (owner_kind, owner_id))",
        "DELETE FROM token USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE token.owner_kind = gone.owner_kind AND token.owner_id = gone.owner_id",
        // A copy brings none: they are for minutes.
        "DELETE FROM portal_pass USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE portal_pass.owner_kind = gone.owner_kind AND portal_pass.owner_id = gone.owner_id",
        "DELETE FROM provider_key USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE provider_key.owner_kind = gone.owner_kind AND provider_key.owner_id = gone.owner_id",
        "DELETE FROM pool USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE pool.owner_kind = gone.owner_kind AND pool.owner_id = gone.owner_id",
        "DELETE FROM webhook USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE webhook.owner_kind = gone.owner_kind AND webhook.owner_id = gone.owner_id",
        "DELETE FROM data_key USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE data_key.owner_kind = gone.owner_kind AND data_key.owner_id = gone.owner_id",
        "DELETE FROM workspace USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE workspace.owner_kind = gone.owner_kind AND workspace.owner_id = gone.owner_id",
        "DELETE FROM organization USING unnest($1::text[], $2::text[]) AS gone (owner_kind, owner_id)
         WHERE organization.owner_kind = gone.owner_kind AND organization.owner_id = gone.owner_id",
    ] {
        sqlx::query(text).bind(&owners.kinds).bind(&owners.ids).execute(&mut *db).await.map_err(meaning)?;
    }
    Ok(())
}

/// Makes sure that the workspaces' organizations are there, and stay until the commit.
async fn check_organizations(db: &mut PgConnection, owners: &[OwnerCopy]) -> Result<(), CopyError> {
    let named: Vec<(&Owner, &OrganizationId)> = owners.iter().filter_map(of_organization).collect();
    if named.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&str> = named.iter().map(|(_, organization)| organization.as_str()).collect();
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT owner_id FROM owner WHERE owner_kind = 'organization' AND owner_id = ANY($1)
         ORDER BY owner_id FOR KEY SHARE",
    )
    .bind(ids.into_iter().collect::<Vec<_>>())
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    match named.into_iter().find(|(_, organization)| !found.contains(organization.as_str())) {
        Some((workspace, _)) => Err(CopyError::NoOrganization(workspace.clone())),
        None => Ok(()),
    }
}

fn of_organization(copy: &OwnerCopy) -> Option<(&Owner, &OrganizationId)> {
    match &copy.kind {
        OwnerKindCopy::Workspace { organization, .. } => Some((&copy.owner, organization.as_ref()?)),
        OwnerKindCopy::Organization { .. } | OwnerKindCopy::Platform => None,
    }
}

async fn put_organizations(db: &mut PgConnection, columns: &Organizations<'_>) -> Result<(), StoreError> {
    if columns.ids.is_empty() {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO organization (owner_id, name, keys_enabled, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[])",
    )
    .bind(&columns.ids)
    .bind(&columns.names)
    .bind(&columns.keys_enabled)
    .bind(&columns.created_at)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.ids.len(), "storing organizations")
}

async fn put_workspaces(db: &mut PgConnection, columns: &Workspaces<'_>) -> Result<(), StoreError> {
    if columns.ids.is_empty() {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO workspace (owner_id, name, organization_id, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])",
    )
    .bind(&columns.ids)
    .bind(&columns.names)
    .bind(&columns.organizations)
    .bind(&columns.created_at)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.ids.len(), "storing workspaces")
}

async fn put_data_keys(db: &mut PgConnection, columns: &DataKeys<'_>) -> Result<(), StoreError> {
    if columns.owners.count() == 0 {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO data_key (owner_kind, owner_id, sealed, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[])",
    )
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .bind(&columns.sealed)
    .bind(&columns.created_at)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "storing data keys")
}

async fn put_pools(db: &mut PgConnection, columns: &Pools<'_>) -> Result<(), StoreError> {
    if columns.owners.count() == 0 {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO pool (owner_kind, owner_id, provider_id, generation, next_position)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])",
    )
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .bind(&columns.providers)
    .bind(&columns.generations)
    .bind(&columns.next_positions)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "storing pools")
}

async fn put_keys(db: &mut PgConnection, columns: &Keys<'_>) -> Result<(), StoreError> {
    if columns.owners.count() == 0 {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, name, masked, sealed,
                                   fingerprint, enabled, unreadable, created_by, created_at, updated_at, last_used_at,
                                   ailment, ailment_status, ailment_since, ailment_until, ailment_strikes, domain,
                                   requests, ok, rate_limited, rejected, caller_errors, provider_errors)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::text[],
                              $8::text[], $9::bytea[], $10::bytea[], $11::boolean[], $12::boolean[], $13::text[],
                              $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::smallint[],
                              $19::bigint[], $20::bigint[], $21::bigint[], $22::text[], $23::bigint[], $24::bigint[],
                              $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[])",
    )
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .bind(&columns.providers)
    .bind(&columns.ids)
    .bind(&columns.slots)
    .bind(&columns.positions)
    .bind(&columns.names)
    .bind(&columns.masked)
    .bind(&columns.sealed)
    .bind(&columns.fingerprints)
    .bind(&columns.enabled)
    .bind(&columns.unreadable)
    .bind(&columns.created_by)
    .bind(&columns.created_at)
    .bind(&columns.updated_at)
    .bind(&columns.last_used_at)
    .bind(&columns.ailments)
    .bind(&columns.ailment_statuses)
    .bind(&columns.ailments_since)
    .bind(&columns.ailments_until)
    .bind(&columns.ailment_strikes)
    .bind(&columns.domains)
    .bind(&columns.counts.requests)
    .bind(&columns.counts.ok)
    .bind(&columns.counts.rate_limited)
    .bind(&columns.counts.rejected)
    .bind(&columns.counts.caller_errors)
    .bind(&columns.counts.provider_errors)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "storing keys")
}

async fn put_tokens(db: &mut PgConnection, columns: &Tokens<'_>) -> Result<(), StoreError> {
    if columns.owners.count() == 0 {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO token (owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::boolean[],
                              $8::bigint[], $9::bigint[])",
    )
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .bind(&columns.ids)
    .bind(&columns.hashes)
    .bind(&columns.names)
    .bind(&columns.roles)
    .bind(&columns.reveal)
    .bind(&columns.expires_at)
    .bind(&columns.created_at)
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "storing tokens")?;
    let result = sqlx::query(
        "INSERT INTO token_owner (token_id, owner_kind, owner_id)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
    )
    .bind(&columns.ids)
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "entering tokens in the directory")
}

async fn put_webhooks(db: &mut PgConnection, columns: &Webhooks<'_>) -> Result<(), StoreError> {
    if columns.owners.count() == 0 {
        return Ok(());
    }
    let result = sqlx::query(
        "INSERT INTO webhook (owner_kind, owner_id, webhook_id, slot, url, sealed, events, created_by, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::bytea[], $7::text[],
                              $8::text[], $9::bigint[])",
    )
    .bind(&columns.owners.kinds)
    .bind(&columns.owners.ids)
    .bind(&columns.ids)
    .bind(&columns.slots)
    .bind(&columns.urls)
    .bind(&columns.sealed)
    .bind(&columns.events)
    .bind(&columns.created_by)
    .bind(&columns.created_at)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, columns.owners.count(), "storing webhooks")
}
