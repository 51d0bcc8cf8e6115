//! Table `node`: which nodes run, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use claviger_store::{NODE_LEASE, Node, Nodes, RunningNode, StoreError};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{malformed, on_read, on_write, one_row};
use crate::{SqliteStore, commit, read};

#[async_trait]
impl Nodes for SqliteStore {
    async fn note_node(&self, node: &Node) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        note(&mut write, node).await?;
        commit(write).await
    }

    async fn nodes(&self) -> Result<Vec<RunningNode>, StoreError> {
        running(&self.readers).await
    }

    async fn forget_node(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        forget(&mut write, id).await?;
        commit(write).await
    }
}

async fn note(db: &mut SqliteConnection, node: &Node) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM node WHERE node_id <> ?1 AND abs(CAST(unixepoch('subsec') * 1000 AS INTEGER) - seen_at) > ?2",
    )
    .bind(node.id.as_slice())
    .bind(millis(NODE_LEASE))
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    let result = sqlx::query(
        "INSERT INTO node (node_id, name, since, seen_at, master_keys) VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000 AS INTEGER), CAST(unixepoch('subsec') * 1000 AS INTEGER), ?3)
         ON CONFLICT (node_id) DO UPDATE SET seen_at = excluded.seen_at, master_keys = excluded.master_keys",
    )
    .bind(node.id.as_slice())
    .bind(node.name.as_str())
    .bind(node.master_keys.concat())
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "noting a node")
}

#[derive(sqlx::FromRow)]
struct NodeRow {
    node_id: Vec<u8>,
    name: String,
    since: i64,
    silent_for: i64,
    master_keys: Vec<u8>,
}

impl TryFrom<NodeRow> for RunningNode {
    type Error = StoreError;

    fn try_from(row: NodeRow) -> Result<Self, StoreError> {
        let (ids, []) = row.master_keys.as_chunks() else {
            return Err(malformed("a node's master keys"));
        };
        let id = read::bytes(&row.node_id, "a node's id")?;
        let node = Node { id, name: row.name, master_keys: ids.to_vec() };
        // A clock that was set back has it seen in the future.
        let silent_for = Duration::from_millis(row.silent_for.try_into().unwrap_or(0));
        Ok(Self { node, since: read::date(row.since), silent_for })
    }
}

/// What was noted within the lease. In the future as well as in the past: a clock that was set back keeps no node alive
/// that has ended.
pub(crate) async fn running(db: impl SqliteExecutor<'_>) -> Result<Vec<RunningNode>, StoreError> {
    let rows: Vec<NodeRow> = sqlx::query_as(
        "SELECT node_id, name, since, CAST(unixepoch('subsec') * 1000 AS INTEGER) - seen_at AS silent_for, master_keys FROM node
         WHERE abs(CAST(unixepoch('subsec') * 1000 AS INTEGER) - seen_at) <= ?1 ORDER BY name, node_id",
    )
    .bind(millis(NODE_LEASE))
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(RunningNode::try_from).collect()
}

async fn forget(db: &mut SqliteConnection, id: &[u8; 16]) -> Result<(), StoreError> {
    // No row affected: it was silent for so long that others forgot it.
    sqlx::query("DELETE FROM node WHERE node_id = ?1").bind(id.as_slice()).execute(db).await.map_err(on_write)?;
    Ok(())
}

fn millis(span: Duration) -> i64 {
    span.as_millis().try_into().unwrap_or(i64::MAX)
}
