//! The rows, a page at a time by a cursor. Text is cut where no sound value is as long, so that a page has a bound.

use claviger_core::OwnerKind;
use sqlx::PgConnection;

use super::{SimKeyRow, SimOwner};

/// Begins a transaction that sees one state and cannot write. It may stand idle while what was read is stored; it does not
/// wait for long while Sim's tables are being changed; and where rows were hidden from this user by a policy, reading them
/// fails.
pub(super) async fn begin(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    for statement in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL lock_timeout = '10s'",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        "SET LOCAL row_security = off",
        // Times without a zone are ordered as they are, where no hour of them is skipped.
        "SET LOCAL timezone = 'UTC'",
    ] {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    Ok(())
}

const KEYS_OF_WORKSPACES: &str = "
    DECLARE sim_rows NO SCROLL CURSOR FOR
    SELECT left(fields->>'id', 200), left(fields->>'workspace_id', 200), left(fields->>'provider_id', 200),
           left(fields->>'encrypted_api_key', 20000), left(fields->>'name', 1000), left(fields->>'created_by', 1000)
    FROM (SELECT to_jsonb(k) AS fields FROM workspace_byok_keys AS k) AS key
    ORDER BY fields->>'workspace_id', fields->>'provider_id', (fields->>'created_at')::timestamptz, fields->>'id'";

const KEYS_OF_ORGANIZATIONS: &str = "
    DECLARE sim_rows NO SCROLL CURSOR FOR
    SELECT left(fields->>'id', 200), left(fields->>'organization_id', 200), left(fields->>'provider_id', 200),
           left(fields->>'encrypted_api_key', 20000), left(fields->>'name', 1000), left(fields->>'created_by', 1000)
    FROM (SELECT to_jsonb(k) AS fields FROM organization_byok_keys AS k) AS key
    ORDER BY fields->>'organization_id', fields->>'provider_id', (fields->>'created_at')::timestamptz, fields->>'id'";

const MEMBERS: &str = "
    DECLARE sim_rows NO SCROLL CURSOR FOR
    SELECT left(fields->>'id', 200), left(fields->>'name', 1000), left(fields->>'organization_id', 200)
    FROM (SELECT to_jsonb(w) AS fields FROM workspace AS w WHERE w.organization_id IS NOT NULL) AS workspace
    WHERE fields->>'organization_id' IN (SELECT organization_id::text FROM organization_byok_keys)
    ORDER BY fields->>'id'";

const NEXT: &str = "FETCH 500 FROM sim_rows";

pub(super) async fn declare_keys(db: &mut PgConnection, owners: OwnerKind) -> Result<(), sqlx::Error> {
    let cursor = match owners {
        OwnerKind::Organization => KEYS_OF_ORGANIZATIONS,
        OwnerKind::Workspace | OwnerKind::Platform => KEYS_OF_WORKSPACES,
    };
    sqlx::query(cursor).execute(db).await.map(drop)
}

pub(super) async fn declare_members(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(MEMBERS).execute(db).await.map(drop)
}

pub(super) async fn end(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("CLOSE sim_rows").execute(db).await.map(drop)
}

/// A column that may not be there.
type Text = Option<String>;

pub(super) async fn fetch_keys(db: &mut PgConnection) -> Result<Vec<SimKeyRow>, sqlx::Error> {
    let rows: Vec<(Text, Text, Text, Text, Text, Text)> = plan_free(NEXT).fetch_all(db).await?;
    let row = |(id, owner, provider, sealed, name, created_by): (Text, Text, Text, Text, Text, Text)| SimKeyRow {
        id: id.unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        provider: provider.unwrap_or_default(),
        sealed: sealed.unwrap_or_default(),
        name,
        created_by,
    };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn fetch_members(db: &mut PgConnection) -> Result<Vec<(String, SimOwner)>, sqlx::Error> {
    let rows: Vec<(Text, Text, Text)> = plan_free(NEXT).fetch_all(db).await?;
    let row = |(id, name, organization): (Text, Text, Text)| (id.unwrap_or_default(), SimOwner { name, organization });
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn workspace(db: &mut PgConnection, id: &str) -> Result<Option<SimOwner>, sqlx::Error> {
    let found: Option<(Text, Text)> = sqlx::query_as(
        "SELECT left(fields->>'name', 1000), left(fields->>'organization_id', 200)
         FROM (SELECT to_jsonb(w) AS fields FROM workspace AS w WHERE w.id::text = $1) AS workspace",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(name, organization)| SimOwner { name, organization }))
}

pub(super) async fn organization(db: &mut PgConnection, id: &str) -> Result<Option<SimOwner>, sqlx::Error> {
    let found: Option<(Text,)> = sqlx::query_as(
        "SELECT left(fields->>'name', 1000)
         FROM (SELECT to_jsonb(o) AS fields FROM organization AS o WHERE o.id::text = $1) AS organization",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(name,)| SimOwner { name, organization: None }))
}

/// One text stands for several cursors in turn, whose columns differ: its plan must not be kept.
fn plan_free<'q, O>(text: &'static str) -> sqlx::query::QueryAs<'q, sqlx::Postgres, O, sqlx::postgres::PgArguments>
where
    O: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    sqlx::query_as(text).persistent(false)
}
