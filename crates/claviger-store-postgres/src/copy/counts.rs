//! How many there are of everything.

use claviger_store::{Counts, StoreError};
use sqlx::PgConnection;

use crate::error::meaning;
use crate::read::number;

#[derive(sqlx::FromRow)]
struct CountsRow {
    organizations: i64,
    workspaces: i64,
    data_keys: i64,
    pools: i64,
    keys: i64,
    tokens: i64,
    webhooks: i64,
}

pub(crate) async fn counts(db: &mut PgConnection) -> Result<Counts, StoreError> {
    let row: CountsRow = sqlx::query_as(
        "SELECT (SELECT count(*) FROM organization) AS organizations,
                (SELECT count(*) FROM workspace) AS workspaces,
                (SELECT count(*) FROM data_key) AS data_keys,
                (SELECT count(*) FROM pool) AS pools,
                (SELECT count(*) FROM provider_key) AS keys,
                (SELECT count(*) FROM token) AS tokens,
                (SELECT count(*) FROM webhook) AS webhooks",
    )
    .fetch_one(db)
    .await
    .map_err(meaning)?;
    counted(&row)
}

pub(crate) async fn counts_up_to(db: &mut PgConnection, most: u32) -> Result<Counts, StoreError> {
    let row: CountsRow = sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM organization LIMIT $1) AS counted) AS organizations,
                (SELECT count(*) FROM (SELECT 1 FROM workspace LIMIT $1) AS counted) AS workspaces,
                (SELECT count(*) FROM (SELECT 1 FROM data_key LIMIT $1) AS counted) AS data_keys,
                (SELECT count(*) FROM (SELECT 1 FROM pool LIMIT $1) AS counted) AS pools,
                (SELECT count(*) FROM (SELECT 1 FROM provider_key LIMIT $1) AS counted) AS keys,
                (SELECT count(*) FROM (SELECT 1 FROM token LIMIT $1) AS counted) AS tokens,
                (SELECT count(*) FROM (SELECT 1 FROM webhook LIMIT $1) AS counted) AS webhooks",
    )
    .bind(i64::from(most))
    .fetch_one(db)
    .await
    .map_err(meaning)?;
    counted(&row)
}

fn counted(row: &CountsRow) -> Result<Counts, StoreError> {
    let count = |of| number(of, "a count");
    Ok(Counts {
        organizations: count(row.organizations)?,
        workspaces: count(row.workspaces)?,
        data_keys: count(row.data_keys)?,
        pools: count(row.pools)?,
        keys: count(row.keys)?,
        tokens: count(row.tokens)?,
        webhooks: count(row.webhooks)?,
    })
}
