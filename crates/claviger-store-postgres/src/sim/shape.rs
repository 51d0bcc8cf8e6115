//! Which of Sim's tables there are, and what they can hold.

use claviger_core::OwnerKind;
use sqlx::PgConnection;

/// A table of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimKeys {
    /// Whose keys.
    pub owners: OwnerKind,
    /// How many.
    pub count: u64,
    /// Whether an owner can have several keys of a provider.
    pub several: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) keys: Vec<SimKeys>,
    pub(super) workspaces: bool,
    pub(super) organizations: bool,
    /// Whether workspaces say to which organization they belong, and organizations have keys.
    pub(super) members: bool,
}

/// A table, as far as it may be read.
struct Table {
    may_be_read: bool,
    columns: Vec<String>,
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known == column)
    }

    fn is_readable_with(table: Option<&Self>, columns: &[&str]) -> bool {
        table.is_some_and(|table| table.may_be_read && columns.iter().all(|column| table.has(column)))
    }
}

impl Shape {
    /// Looks. The inner error says why these cannot be Sim's tables, or cannot be read.
    pub(super) async fn look(db: &mut PgConnection) -> Result<Result<Self, String>, sqlx::Error> {
        let mut keys = Vec::new();
        for (owners, name, owner) in [
            (OwnerKind::Organization, "organization_byok_keys", "organization_id"),
            (OwnerKind::Workspace, "workspace_byok_keys", "workspace_id"),
        ] {
            let Some(table) = table(db, name).await? else { continue };
            if let Err(why) = check(&table, name, owner) {
                return Ok(Err(why));
            }
            let count = count(db, owners).await?;
            keys.push(SimKeys { owners, count, several: !is_unique(db, name, owner).await? });
        }
        if keys.is_empty() {
            let why = "it has neither a table workspace_byok_keys nor organization_byok_keys, so it is not Sim's, or they \
                       are in a schema that is not in the user's search_path";
            return Ok(Err(why.to_owned()));
        }
        let workspace = table(db, "workspace").await?;
        let organization = table(db, "organization").await?;
        let lent = keys.iter().any(|keys| keys.owners == OwnerKind::Organization);
        Ok(Ok(Self {
            keys,
            workspaces: Table::is_readable_with(workspace.as_ref(), &["id"]),
            organizations: Table::is_readable_with(organization.as_ref(), &["id"]),
            members: lent && Table::is_readable_with(workspace.as_ref(), &["id", "organization_id"]),
        }))
    }
}

fn check(table: &Table, name: &str, owner: &str) -> Result<(), String> {
    if !table.may_be_read {
        return Err(format!(
            "its user may not read the table {name}; the table's owner gives the right with GRANT SELECT ON {name} TO \
             the user"
        ));
    }
    match ["id", owner, "provider_id", "encrypted_api_key"].into_iter().find(|column| !table.has(column)) {
        Some(missing) => Err(format!("its table {name} has no column {missing}, so it is not Sim's")),
        None => Ok(()),
    }
}

/// Looked up in the catalogue itself: the information schema hides what a user may not read.
async fn table(db: &mut PgConnection, name: &str) -> Result<Option<Table>, sqlx::Error> {
    let found: Option<(bool, Vec<String>)> = sqlx::query_as(
        "SELECT has_table_privilege(to_regclass($1), 'SELECT'), array_agg(attname::text)
         FROM pg_attribute
         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
         HAVING count(*) > 0",
    )
    .bind(name)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(may_be_read, columns)| Table { may_be_read, columns }))
}

/// Whether an owner can have one key of a provider only. Sim has that as an index, which is no constraint and so not in
/// the information schema.
async fn is_unique(db: &mut PgConnection, name: &str, owner: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_index AS i
             WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 2
               AND 2 = (SELECT count(*) FROM pg_attribute AS a
                        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                          AND a.attname::text IN ($2, 'provider_id')))",
    )
    .bind(name)
    .bind(owner)
    .fetch_one(db)
    .await
}

async fn count(db: &mut PgConnection, owners: OwnerKind) -> Result<u64, sqlx::Error> {
    let counting = match owners {
        OwnerKind::Organization => "SELECT count(*) FROM organization_byok_keys",
        OwnerKind::Workspace | OwnerKind::Platform => "SELECT count(*) FROM workspace_byok_keys",
    };
    let count: i64 = sqlx::query_scalar(counting).fetch_one(db).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}
