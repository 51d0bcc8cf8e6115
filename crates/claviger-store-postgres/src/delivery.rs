//! Table `webhook_delivery`: what is on its way to webhooks.

use claviger_core::{Owner, Timestamp, WorkspaceId};
use claviger_store::{Delivery, DeliveryEnd, NewEvent, StoreError};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use crate::error::{malformed, meaning, one_row_or_none};
use crate::{owner, read};

/// Events for the webhooks that want them; the caller has the owner's lock, so no webhook goes meanwhile. What is on its
/// way already stays as it is.
pub(crate) async fn put(db: &mut PgConnection, workspace: &WorkspaceId, events: &[NewEvent]) -> Result<(), StoreError> {
    for event in events {
        sqlx::query(
            "INSERT INTO webhook_delivery (owner_id, webhook_id, event_id, event, payload, attempts, next_at, created_at)
             SELECT owner_id, webhook_id, $2, $3, $4, 0, $5, $5 FROM webhook
             WHERE owner_kind = 'workspace' AND owner_id = $1
                   AND (events = '' OR strpos(' ' || events || ' ', ' ' || $3 || ' ') > 0)
             ON CONFLICT (owner_kind, owner_id, webhook_id, event_id) DO NOTHING",
        )
        .bind(workspace.as_str())
        .bind(event.id.as_str())
        .bind(event.event.as_str())
        .bind(event.payload.as_str())
        .bind(event.at.as_millis())
        .execute(&mut *db)
        .await
        .map_err(meaning)?;
    }
    Ok(())
}

/// Events of which nothing else changed.
pub(crate) async fn announce(
    db: &mut PgConnection,
    workspace: &WorkspaceId,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    if owner::lock(db, &Owner::Workspace(workspace.clone())).await? {
        put(db, workspace, events).await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    owner_id: String,
    webhook_id: String,
    event_id: String,
    url: String,
    sealed: Vec<u8>,
    data_key: Vec<u8>,
    event: String,
    payload: String,
    attempts: i64,
    created_at: i64,
}

impl DeliveryRow {
    fn into_delivery(self, claimed_until: Timestamp) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            id: read::id(&self.event_id, "an event's id")?,
            webhook: read::id(&self.webhook_id, "a webhook's id")?,
            workspace: read::id(&self.owner_id, "a webhook's workspace")?,
            url: self.url,
            sealed: self.sealed,
            data_key: self.data_key,
            event: self.event,
            payload: self.payload,
            attempts: u32::try_from(self.attempts).map_err(|_| malformed("a delivery's attempts"))?,
            created_at: read::date(self.created_at),
            claimed_until,
        })
    }
}

/// What another node claims at this moment is passed over, and what it has claimed is not due.
pub(crate) const CLAIM: &str = "WITH due AS MATERIALIZED (
         SELECT owner_kind, owner_id, webhook_id, event_id FROM webhook_delivery
         WHERE next_at <= $1 ORDER BY next_at, event_id LIMIT $3
         FOR NO KEY UPDATE SKIP LOCKED
     ), claimed AS (
         UPDATE webhook_delivery AS delivery SET next_at = $2, attempts = delivery.attempts + 1 FROM due
         WHERE delivery.owner_kind = due.owner_kind AND delivery.owner_id = due.owner_id
               AND delivery.webhook_id = due.webhook_id AND delivery.event_id = due.event_id
         RETURNING delivery.*
     )
     SELECT claimed.owner_id, claimed.webhook_id, claimed.event_id, webhook.url, webhook.sealed,
            data_key.sealed AS data_key, claimed.event, claimed.payload, claimed.attempts - 1 AS attempts,
            claimed.created_at
     FROM claimed
     JOIN webhook USING (owner_kind, owner_id, webhook_id)
     JOIN data_key USING (owner_kind, owner_id)
     ORDER BY claimed.event_id";

pub(crate) async fn claim(
    db: &mut PgConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(CLAIM)
        .bind(now.as_millis())
        .bind(until.as_millis())
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    rows.into_iter().map(|row| row.into_delivery(until)).collect()
}

/// A delivery whose claim is another node's by now stays as it is, unless it arrived.
pub(crate) async fn end(db: &mut PgConnection, delivery: &Delivery, end: DeliveryEnd) -> Result<(), StoreError> {
    let claim = delivery.claimed_until.as_millis();
    let query = match end {
        DeliveryEnd::Done => about(
            delivery,
            "DELETE FROM webhook_delivery
             WHERE owner_kind = 'workspace' AND owner_id = $1 AND webhook_id = $2 AND event_id = $3",
        ),
        DeliveryEnd::GaveUp => about(
            delivery,
            "DELETE FROM webhook_delivery
             WHERE owner_kind = 'workspace' AND owner_id = $1 AND webhook_id = $2 AND event_id = $3 AND next_at = $4",
        )
        .bind(claim),
        DeliveryEnd::Again { at } => about(
            delivery,
            "UPDATE webhook_delivery SET next_at = $5
             WHERE owner_kind = 'workspace' AND owner_id = $1 AND webhook_id = $2 AND event_id = $3 AND next_at = $4",
        )
        .bind(claim)
        .bind(at.as_millis()),
    };
    let result = query.execute(db).await.map_err(meaning)?;
    one_row_or_none(&result, "ending a delivery").map(drop)
}

/// A statement whose first three parameters name a delivery.
fn about<'q>(delivery: &'q Delivery, text: &'static str) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(text).bind(delivery.workspace.as_str()).bind(delivery.webhook.as_str()).bind(delivery.id.as_str())
}
