//! Table `webhook`.

use claviger_core::audit::Act;
use claviger_core::{Owner, WebhookId, WorkspaceId};
use claviger_store::{AddWebhookError, DataKeyUse, Deed, StoreError, WEBHOOK_CAPACITY, Webhook};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row, one_row_or_none};
use crate::{audit, data_key, owner, read};

#[derive(sqlx::FromRow)]
pub(crate) struct WebhookRow {
    pub(crate) owner_kind: String,
    pub(crate) owner_id: String,
    webhook_id: String,
    url: String,
    sealed: Vec<u8>,
    events: String,
    created_by: Option<String>,
    created_at: i64,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: read::id(&row.webhook_id, "a webhook's id")?,
            workspace: read::id(&row.owner_id, "a webhook's workspace")?,
            url: row.url,
            sealed: row.sealed,
            events: row.events.split_whitespace().map(str::to_owned).collect(),
            created_at: read::date(row.created_at),
            created_by: row.created_by,
        })
    }
}

/// The writer is alone in its transaction, so what was checked stays true until the commit.
pub(crate) async fn add(
    db: &mut SqliteConnection,
    webhook: &Webhook,
    data_key: &DataKeyUse,
    act: &Act,
) -> Result<(), AddWebhookError> {
    let owner = Owner::Workspace(webhook.workspace.clone());
    if !owner::exists(db, &owner).await? {
        return Err(AddWebhookError::NoWorkspace);
    }
    if !data_key::settle(db, &owner, data_key, webhook.created_at).await? {
        return Err(AddWebhookError::DataKeyChanged);
    }
    let taken = slots(db, &webhook.workspace).await?;
    let slot = (0_i64..).take(WEBHOOK_CAPACITY).find(|slot| !taken.contains(slot)).ok_or(AddWebhookError::TooMany)?;
    insert(db, &owner, webhook, slot).await?;
    Ok(audit::enter(db, &owner, act, Deed::webhook_created(webhook)).await?)
}

async fn slots(db: &mut SqliteConnection, workspace: &WorkspaceId) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar("SELECT slot FROM webhook WHERE owner_kind = 'workspace' AND owner_id = ?1")
        .bind(workspace.as_str())
        .fetch_all(db)
        .await
        .map_err(on_read)
}

pub(crate) async fn insert(
    db: &mut SqliteConnection,
    owner: &Owner,
    webhook: &Webhook,
    slot: i64,
) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO webhook (owner_kind, owner_id, webhook_id, slot, url, sealed, events, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(webhook.id.as_str())
    .bind(slot)
    .bind(webhook.url.as_str())
    .bind(webhook.sealed.as_slice())
    .bind(webhook.events.join(" "))
    .bind(webhook.created_by.as_deref())
    .bind(webhook.created_at.as_millis())
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing a webhook")
}

pub(crate) async fn all(db: impl SqliteExecutor<'_>, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError> {
    let rows: Vec<WebhookRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, webhook_id, url, sealed, events, created_by, created_at FROM webhook
         WHERE owner_kind = 'workspace' AND owner_id = ?1 ORDER BY webhook_id",
    )
    .bind(workspace.as_str())
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(Webhook::try_from).collect()
}

pub(crate) async fn delete(
    db: &mut SqliteConnection,
    workspace: &WorkspaceId,
    id: &WebhookId,
    act: &Act,
) -> Result<bool, StoreError> {
    let Some(before) = all(&mut *db, workspace).await?.into_iter().find(|webhook| webhook.id == *id) else {
        return Ok(false);
    };
    let result =
        sqlx::query("DELETE FROM webhook WHERE owner_kind = 'workspace' AND owner_id = ?1 AND webhook_id = ?2")
            .bind(workspace.as_str())
            .bind(id.as_str())
            .execute(&mut *db)
            .await
            .map_err(on_write)?;
    let deleted = one_row_or_none(&result, "deleting a webhook")?;
    if deleted {
        let owner = Owner::Workspace(workspace.clone());
        audit::enter(db, &owner, act, Deed::webhook_deleted(&before)).await?;
    }
    Ok(deleted)
}
