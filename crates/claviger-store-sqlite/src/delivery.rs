//! Table `webhook_delivery`: what is on its way to webhooks.

use claviger_core::{Timestamp, WorkspaceId};
use claviger_store::{Delivery, DeliveryEnd, NewEvent, StoreError};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use crate::error::{malformed, on_read, on_write, one_row, one_row_or_none};
use crate::read;

/// Events for the webhooks that want them. What is on its way already stays as it is.
pub(crate) async fn put(
    db: &mut SqliteConnection,
    workspace: &WorkspaceId,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    for event in events {
        sqlx::query(
            "INSERT INTO webhook_delivery (owner_id, webhook_id, event_id, event, payload, attempts, next_at, created_at)
             SELECT owner_id, webhook_id, ?2, ?3, ?4, 0, ?5, ?5 FROM webhook
             WHERE owner_kind = 'workspace' AND owner_id = ?1
                   AND (events = '' OR instr(' ' || events || ' ', ' ' || ?3 || ' ') > 0)
             ON CONFLICT (owner_kind, owner_id, webhook_id, event_id) DO NOTHING",
        )
        .bind(workspace.as_str())
        .bind(event.id.as_str())
        .bind(event.event.as_str())
        .bind(event.payload.as_str())
        .bind(event.at.as_millis())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
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

/// The writer is alone in its transaction, so nobody else sees the same deliveries unclaimed.
pub(crate) async fn claim(
    db: &mut SqliteConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let due: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT due.owner_id, due.webhook_id, due.event_id, webhook.url, webhook.sealed, data_key.sealed AS data_key,
                due.event, due.payload, due.attempts, due.created_at
         FROM webhook_delivery AS due
         JOIN webhook USING (owner_kind, owner_id, webhook_id)
         JOIN data_key USING (owner_kind, owner_id)
         WHERE due.next_at <= ?1 ORDER BY due.next_at, due.event_id LIMIT ?2",
    )
    .bind(now.as_millis())
    .bind(limit)
    .fetch_all(&mut *db)
    .await
    .map_err(on_read)?;
    let mut claimed = Vec::with_capacity(due.len());
    for row in due {
        let result = sqlx::query(
            "UPDATE webhook_delivery SET next_at = ?4, attempts = attempts + 1
             WHERE owner_kind = 'workspace' AND owner_id = ?1 AND webhook_id = ?2 AND event_id = ?3",
        )
        .bind(&row.owner_id)
        .bind(&row.webhook_id)
        .bind(&row.event_id)
        .bind(until.as_millis())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
        one_row(&result, "claiming a delivery")?;
        claimed.push(row.into_delivery(until)?);
    }
    Ok(claimed)
}

/// A delivery whose claim is another node's by now stays as it is, unless it arrived.
pub(crate) async fn end(db: &mut SqliteConnection, delivery: &Delivery, end: DeliveryEnd) -> Result<(), StoreError> {
    let claim = delivery.claimed_until.as_millis();
    let query = match end {
        DeliveryEnd::Done => about(
            delivery,
            "DELETE FROM webhook_delivery
             WHERE owner_kind = 'workspace' AND owner_id = ?1 AND webhook_id = ?2 AND event_id = ?3",
        ),
        DeliveryEnd::GaveUp => about(
            delivery,
            "DELETE FROM webhook_delivery
             WHERE owner_kind = 'workspace' AND owner_id = ?1 AND webhook_id = ?2 AND event_id = ?3 AND next_at = ?4",
        )
        .bind(claim),
        DeliveryEnd::Again { at } => about(
            delivery,
            "UPDATE webhook_delivery SET next_at = ?5
             WHERE owner_kind = 'workspace' AND owner_id = ?1 AND webhook_id = ?2 AND event_id = ?3 AND next_at = ?4",
        )
        .bind(claim)
        .bind(at.as_millis()),
    };
    let result = query.execute(db).await.map_err(on_write)?;
    one_row_or_none(&result, "ending a delivery").map(drop)
}

/// A statement whose first three parameters name a delivery.
fn about<'q>(delivery: &'q Delivery, text: &'static str) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(text).bind(delivery.workspace.as_str()).bind(delivery.webhook.as_str()).bind(delivery.id.as_str())
}
