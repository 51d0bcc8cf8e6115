//! Table `node`: which nodes run, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use claviger_store::{NODE_LEASE, Node, Nodes, RunningNode, StoreError};
use sqlx::PgConnection;

use crate::connections::{READ, TOUCH, WRITE, asked};
use crate::error::{malformed, meaning, one_row};
use crate::{PostgresStore, read};

#[async_trait]
impl Nodes for PostgresStore {
    async fn note_node(&self, node: &Node) -> Result<(), StoreError> {
        self.connections.ask(WRITE, |db| asked(note(db, node))).await
    }

    async fn nodes(&self) -> Result<Vec<RunningNode>, StoreError> {
        self.connections.ask(READ, |db| asked(running(db))).await
    }

    async fn forget_node(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        self.connections.ask(TOUCH, |db| asked(forget(db, id))).await
    }
}

async fn note(db: &mut PgConnection, node: &Node) -> Result<(), StoreError> {
    // Until the commit no other master key comes into use: whoever puts one there sees this node, or this node sees it.
    sqlx::query("SELECT FROM installation WHERE id = 1 FOR SHARE").execute(&mut *db).await.map_err(meaning)?;
    sqlx::query(
        "DELETE FROM node WHERE node_id <> $1 AND abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint - seen_at) > $2",
    )
    .bind(node.id.as_slice())
    .bind(millis(NODE_LEASE))
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    let result = sqlx::query(
        "INSERT INTO node (node_id, name, since, seen_at, master_keys) VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $3)
         ON CONFLICT (node_id) DO UPDATE SET seen_at = excluded.seen_at, master_keys = excluded.master_keys",
    )
    .bind(node.id.as_slice())
    .bind(node.name.as_str())
    .bind(node.master_keys.concat())
    .execute(db)
    .await
    .map_err(meaning)?;
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
pub(crate) async fn running(db: &mut PgConnection) -> Result<Vec<RunningNode>, StoreError> {
    let rows: Vec<NodeRow> = sqlx::query_as(
        "SELECT node_id, name, since, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - seen_at AS silent_for, master_keys FROM node
         WHERE abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint - seen_at) <= $1 ORDER BY name, node_id",
    )
    .bind(millis(NODE_LEASE))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(RunningNode::try_from).collect()
}

async fn forget(db: &mut PgConnection, id: &[u8; 16]) -> Result<(), StoreError> {
    // No row affected: it was silent for so long that others forgot it.
    sqlx::query("DELETE FROM node WHERE node_id = $1").bind(id.as_slice()).execute(db).await.map_err(meaning)?;
    Ok(())
}

fn millis(span: Duration) -> i64 {
    span.as_millis().try_into().unwrap_or(i64::MAX)
}
