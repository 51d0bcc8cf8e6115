//! What the database itself holds, against SQL written by hand.

use claviger_store::{Node, Nodes as _, Store as _};
use claviger_store_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteQueryResult};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use tempfile::TempDir;

/// A database with workspace `acme`, its pool for `openai`, and a connection such as an operator's shell has, with
/// foreign keys on.
async fn by_hand() -> (SqliteConnection, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claviger.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    let mut db = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    run(&mut db, "INSERT INTO workspace (owner_id, created_at) VALUES ('acme', 1)").await.unwrap();
    run(&mut db, "INSERT INTO pool VALUES ('workspace', 'acme', 'openai', 0, 1)").await.unwrap();
    (db, folder)
}

async fn run(db: &mut SqliteConnection, sql: &str) -> Result<SqliteQueryResult, String> {
    sqlx::query(AssertSqlSafe(sql)).execute(db).await.map_err(|error| error.to_string())
}

async fn count(db: &mut SqliteConnection, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(db).await.unwrap()
}

/// A key by hand: number, slot and fingerprint are free, the position follows the number.
async fn insert_key(
    db: &mut SqliteConnection,
    owner: (&str, &str),
    number: u64,
    slot: i64,
    fingerprint: u8,
) -> Result<SqliteQueryResult, String> {
    let (kind, id) = owner;
    let sql = format!(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, masked, sealed,
                                   fingerprint, enabled, unreadable, created_at, updated_at)
         VALUES ('{kind}', '{id}', 'openai', 'key_{number:026}', {slot}, {}, 'sk-...', x'00', x'{}', 1, 0, 1, 1)",
        number + 1,
        format!("{fingerprint:02x}").repeat(32),
    );
    run(db, &sql).await
}

const ACME: (&str, &str) = ("workspace", "acme");

#[track_caller]
fn refused(result: Result<SqliteQueryResult, String>, because: &str) {
    let refusal = result.expect_err("the schema should have refused this");
    assert!(refusal.contains(because), "{refusal}");
}

#[tokio::test]
async fn an_eleventh_key_has_no_slot_to_be_in() {
    let (mut db, _folder) = by_hand().await;
    for number in 0..10_u8 {
        insert_key(&mut db, ACME, number.into(), number.into(), number).await.unwrap();
    }
    for slot in 0..10 {
        refused(insert_key(&mut db, ACME, 11, slot, 11).await, "UNIQUE constraint failed");
    }
    for slot in [-1, 10, 11] {
        refused(insert_key(&mut db, ACME, 11, slot, 11).await, "CHECK constraint failed: slot");
    }
    refused(run(&mut db, "UPDATE provider_key SET slot = 10 WHERE slot = 0").await, "CHECK constraint failed: slot");
    assert_eq!(count(&mut db, "provider_key").await, 10);
}

#[tokio::test]
async fn a_secret_is_not_in_a_pool_twice() {
    let (mut db, _folder) = by_hand().await;
    insert_key(&mut db, ACME, 1, 0, 7).await.unwrap();
    refused(insert_key(&mut db, ACME, 2, 1, 7).await, "provider_key.fingerprint");
}

#[tokio::test]
async fn a_key_belongs_to_a_pool_and_a_pool_to_an_owner_that_exists() {
    let (mut db, _folder) = by_hand().await;
    refused(insert_key(&mut db, ("workspace", "nobody"), 1, 0, 1).await, "FOREIGN KEY");
    refused(insert_key(&mut db, ("organization", "acme"), 1, 0, 1).await, "FOREIGN KEY");
    refused(run(&mut db, "INSERT INTO pool VALUES ('workspace', 'nobody', 'openai', 0, 1)").await, "FOREIGN KEY");
    refused(run(&mut db, "INSERT INTO data_key VALUES ('workspace', 'nobody', x'00', 1)").await, "FOREIGN KEY");
}

#[tokio::test]
async fn deleting_a_workspace_by_hand_takes_everything_of_it() {
    let (mut db, _folder) = by_hand().await;
    insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();
    run(&mut db, "INSERT INTO data_key VALUES ('workspace', 'acme', x'00', 1)").await.unwrap();
    let token =
        "INSERT INTO token VALUES ('workspace', 'acme', 'aaaaaaaaaaaaaaaa', zeroblob(32), '', 'admin', 0, NULL, 1)";
    run(&mut db, token).await.unwrap();
    run(&mut db, &insert_hour(3_600_000)).await.unwrap();
    run(&mut db, &insert_webhook(0)).await.unwrap();
    run(&mut db, INSERT_DELIVERY).await.unwrap();
    run(&mut db, "DELETE FROM workspace").await.unwrap();
    for table in [
        "workspace",
        "pool",
        "provider_key",
        "data_key",
        "token",
        "key_usage",
        "webhook",
        "webhook_delivery",
        "owner WHERE owner_id = 'acme'",
    ] {
        assert_eq!(count(&mut db, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_workspace_belongs_to_an_organization_that_exists() {
    let (mut db, _folder) = by_hand().await;
    refused(run(&mut db, "UPDATE workspace SET organization_id = 'nobody'").await, "FOREIGN KEY");
    // A workspace is no organization.
    let inside = "INSERT INTO workspace (owner_id, organization_id, created_at) VALUES ('beta', 'acme', 1)";
    refused(run(&mut db, inside).await, "FOREIGN KEY");
    assert_eq!(count(&mut db, "owner").await, 2);
    run(&mut db, "INSERT INTO organization (owner_id, created_at) VALUES ('acme', 1)").await.unwrap();
    run(&mut db, inside).await.unwrap();
    refused(run(&mut db, "UPDATE organization SET owner_id = 'other'").await, "FOREIGN KEY");
}

#[tokio::test]
async fn an_organization_lends_its_keys_or_does_not() {
    let (mut db, _folder) = by_hand().await;
    run(&mut db, "INSERT INTO organization (owner_id, created_at) VALUES ('group', 1)").await.unwrap();
    assert_eq!(count(&mut db, "organization WHERE keys_enabled = 1").await, 1);
    refused(run(&mut db, "UPDATE organization SET keys_enabled = 2").await, "CHECK constraint failed: keys_enabled");
}

#[tokio::test]
async fn deleting_an_organization_by_hand_takes_its_keys_and_leaves_its_workspaces() {
    for sql in ["DELETE FROM organization", "DELETE FROM owner WHERE owner_kind = 'organization'"] {
        let (mut db, _folder) = by_hand().await;
        run(&mut db, "INSERT INTO organization (owner_id, created_at) VALUES ('group', 1)").await.unwrap();
        run(&mut db, "UPDATE workspace SET organization_id = 'group'").await.unwrap();
        run(&mut db, "INSERT INTO pool VALUES ('organization', 'group', 'openai', 0, 1)").await.unwrap();
        run(&mut db, "INSERT INTO data_key VALUES ('organization', 'group', x'00', 1)").await.unwrap();
        insert_key(&mut db, ("organization", "group"), 1, 0, 1).await.unwrap();
        insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();

        run(&mut db, sql).await.unwrap();

        for table in ["organization", "owner WHERE owner_id = 'group'", "data_key"] {
            assert_eq!(count(&mut db, table).await, 0, "{sql}: {table}");
        }
        for table in ["pool", "provider_key", "workspace WHERE organization_id IS NULL"] {
            assert_eq!(count(&mut db, table).await, 1, "{sql}: {table}");
        }
    }
}

#[tokio::test]
async fn the_platform_cannot_be_deleted_and_owners_keep_their_ids() {
    let (mut db, _folder) = by_hand().await;
    refused(run(&mut db, "DELETE FROM owner").await, "the platform always exists");
    refused(run(&mut db, "UPDATE owner SET owner_id = 'other' WHERE owner_id = 'acme'").await, "an owner keeps its id");
    assert_eq!(count(&mut db, "owner").await, 2);
}

#[tokio::test]
async fn positions_do_not_go_back() {
    let (mut db, _folder) = by_hand().await;
    run(&mut db, "UPDATE pool SET next_position = 5").await.unwrap();
    refused(run(&mut db, "UPDATE pool SET next_position = 4").await, "a position is never used again");
}

#[tokio::test]
async fn a_console_session_belongs_to_the_platform_and_is_whole() {
    let (mut db, _folder) = by_hand().await;
    let insert = |(kind, id): (&str, &str), hash: usize, root: usize| {
        let [hash, root] = [hash, root].map(|bytes| format!("zeroblob({bytes})"));
        format!("INSERT INTO console_session VALUES ('{kind}', '{id}', 'aaaaaaaaaaaaaaaa', {hash}, {root}, 1, 2)")
    };
    for wrong in [insert(ACME, 32, 32), insert(("platform", ""), 31, 32), insert(("platform", ""), 32, 33)] {
        refused(run(&mut db, &wrong).await, "CHECK constraint");
    }
    run(&mut db, &insert(("platform", ""), 32, 32)).await.unwrap();
}

#[tokio::test]
async fn a_token_of_one_workspace_belongs_to_one() {
    let (mut db, _folder) = by_hand().await;
    for (kind, id, role) in [("platform", "", "admin"), ("workspace", "acme", "service"), ("workspace", "acme", "root")]
    {
        let sql = format!(
            "INSERT INTO token VALUES ('{kind}', '{id}', 'aaaaaaaaaaaaaaaa', zeroblob(32), '', '{role}', 0, NULL, 1)"
        );
        refused(run(&mut db, &sql).await, "CHECK constraint failed");
    }
}

#[tokio::test]
async fn the_log_of_changes_stays_short() {
    let (mut db, _folder) = by_hand().await;
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                INSERT INTO change_log (kind, token_id) SELECT 'token', 'aaaaaaaaaaaaaaaa' FROM n";
    run(&mut db, many).await.unwrap();
    assert_eq!(count(&mut db, "change_log").await, 10_000);
}

#[tokio::test]
async fn a_change_says_what_changed_and_nothing_else() {
    let (mut db, _folder) = by_hand().await;
    for (kind, columns) in [
        ("organization", "NULL, NULL, NULL, NULL"),
        ("organization", "'organization', 'group', 'openai', NULL"),
        ("everything", "'workspace', 'acme', NULL, NULL"),
        ("everything", "NULL, NULL, 'openai', NULL"),
        ("everything", "NULL, NULL, NULL, 'aaaaaaaaaaaaaaaa'"),
        ("nothing", "NULL, NULL, NULL, NULL"),
    ] {
        let sql = format!(
            "INSERT INTO change_log (kind, owner_kind, owner_id, provider_id, token_id) VALUES ('{kind}', {columns})"
        );
        refused(run(&mut db, &sql).await, "CHECK constraint failed");
    }
}

#[tokio::test]
async fn a_changes_number_is_never_used_again() {
    let (mut db, _folder) = by_hand().await;
    for expected in 1..=3 {
        run(&mut db, "INSERT INTO change_log (kind) VALUES ('everything')").await.unwrap();
        assert_eq!(count(&mut db, &format!("change_log WHERE seq = {expected}")).await, 1);
        run(&mut db, "DELETE FROM change_log").await.unwrap();
    }
}

fn insert_hour(hour: i64) -> String {
    format!("INSERT INTO key_usage VALUES ('workspace', 'acme', 'key_{:026}', {hour}, 1, 1, 0, 0, 0, 0)", 1)
}

fn insert_webhook(slot: i64) -> String {
    format!(
        "INSERT INTO webhook VALUES ('workspace', 'acme', 'wh_{slot:026}', {slot}, 'https://example.com', x'00', '',
                                     NULL, 1)"
    )
}

const INSERT_DELIVERY: &str = "INSERT INTO webhook_delivery SELECT owner_kind, owner_id, webhook_id,
    'evt_' || substr(webhook_id, 4), 'key.rejected', '{}', 0, 1, 1 FROM webhook";

#[tokio::test]
async fn a_key_is_well_or_everything_is_known_of_what_ails_it() {
    let (mut db, _folder) = by_hand().await;
    insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();
    let ails = "UPDATE provider_key SET ailment = 'rejected', ailment_status = 401, ailment_since = 1,
                                        ailment_until = 2, ailment_strikes = 1";
    run(&mut db, ails).await.unwrap();
    for sql in [
        "ailment = 'sick'",
        "ailment = NULL",
        "ailment_status = NULL",
        "ailment_status = 1000",
        "ailment_since = NULL",
        "ailment_until = -1",
        "ailment_strikes = 4294967296",
        "domain = ''",
        "requests = -1",
    ] {
        refused(run(&mut db, &format!("UPDATE provider_key SET {sql}")).await, "CHECK constraint failed");
    }
}

#[tokio::test]
async fn an_hour_is_a_whole_one_of_a_key_that_exists() {
    let (mut db, _folder) = by_hand().await;
    refused(run(&mut db, &insert_hour(3_600_000)).await, "FOREIGN KEY");
    insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();
    refused(run(&mut db, &insert_hour(3_600_001)).await, "CHECK constraint failed: hour");
    run(&mut db, &insert_hour(3_600_000)).await.unwrap();
    run(&mut db, "DELETE FROM provider_key").await.unwrap();
    assert_eq!(count(&mut db, "key_usage").await, 0);
}

#[tokio::test]
async fn an_eleventh_webhook_has_no_slot_to_be_in() {
    let (mut db, _folder) = by_hand().await;
    refused(run(&mut db, &insert_webhook(0)).await, "FOREIGN KEY");
    run(&mut db, "INSERT INTO data_key VALUES ('workspace', 'acme', x'00', 1)").await.unwrap();
    for slot in 0..10 {
        run(&mut db, &insert_webhook(slot)).await.unwrap();
    }
    refused(run(&mut db, &insert_webhook(10)).await, "CHECK constraint failed: slot");
    refused(run(&mut db, "UPDATE webhook SET slot = 3").await, "UNIQUE constraint failed");
    run(&mut db, INSERT_DELIVERY).await.unwrap();
    run(&mut db, "DELETE FROM webhook").await.unwrap();
    assert_eq!(count(&mut db, "webhook_delivery").await, 0);
}

#[tokio::test]
async fn what_is_due_is_found_by_indexes() {
    let (mut db, _folder) = by_hand().await;
    for (sql, index) in [
        (
            "SELECT key_id FROM provider_key WHERE ailment = 'rejected' AND ailment_until <= 5 ORDER BY ailment_until",
            "provider_key_to_probe",
        ),
        ("SELECT event_id FROM webhook_delivery WHERE next_at <= 5 ORDER BY next_at", "webhook_delivery_next_at"),
        ("SELECT key_id FROM key_usage WHERE hour < 5 ORDER BY hour", "key_usage_hour"),
        (
            "SELECT count(*) FROM (SELECT 1 FROM data_key WHERE substr(sealed, 3, 8) = x'00' LIMIT 9)",
            "data_key_master_key",
        ),
        (
            "SELECT sealed FROM data_key WHERE substr(sealed, 3, 8) = x'00' AND (owner_kind, owner_id) > ('a', 'b')
             ORDER BY owner_kind, owner_id LIMIT 9",
            "data_key_master_key",
        ),
        (
            "SELECT substr(sealed, 3, 8) FROM data_key WHERE substr(sealed, 3, 8) > x'00'
             ORDER BY substr(sealed, 3, 8) LIMIT 1",
            "data_key_master_key",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut db).await.unwrap();
        assert!(plan.iter().any(|(.., step)| step.contains("SEARCH") && step.contains(index)), "{plan:?}");
    }
}

#[tokio::test]
async fn a_node_counts_for_half_a_minute_by_the_databases_clock() {
    let (mut db, folder) = by_hand().await;
    let store = SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap();
    let node = |id, name: &str| Node { id: [id; 16], name: name.to_owned(), master_keys: vec![[1; 8]] };
    store.note_node(&node(1, "web")).await.unwrap();
    let names = async || store.nodes().await.unwrap().into_iter().map(|found| found.node.name).collect::<Vec<_>>();
    for (moved, counts) in [(-25, true), (-31, false), (3_600, false)] {
        run(&mut db, &format!("UPDATE node SET seen_at = (unixepoch() + {moved}) * 1000")).await.unwrap();
        assert_eq!(names().await, vec!["web"; usize::from(counts)], "{moved}");
    }
    store.note_node(&node(2, "other")).await.unwrap();
    assert_eq!((count(&mut db, "node").await, names().await), (1, vec!["other".to_owned()]), "the lapsed one is gone");
    store.note_node(&node(1, "web")).await.unwrap();
    assert_eq!(names().await, ["other", "web"]);
    for sql in ["UPDATE node SET master_keys = x''", "UPDATE node SET master_keys = x'00'"] {
        refused(run(&mut db, sql).await, "CHECK constraint");
    }
}
