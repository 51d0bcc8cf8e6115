//! What the database itself holds, against SQL written by hand.

use claviger_store::{Node, Nodes as _, Store as _};
use sqlx::postgres::PgQueryResult;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::server::{Database, run};

/// A database with workspace `acme`, its pool for `openai`, and an operator's shell.
async fn by_hand() -> (PgConnection, Database) {
    let database = Database::new().await;
    database.store().await.close().await;
    let mut db = database.shell().await;
    run(&mut db, "INSERT INTO owner VALUES ('workspace', 'acme')").await.unwrap();
    run(&mut db, "INSERT INTO workspace (owner_id, created_at) VALUES ('acme', 1)").await.unwrap();
    run(&mut db, "INSERT INTO pool VALUES ('workspace', 'acme', 'openai', 0, 1)").await.unwrap();
    (db, database)
}

async fn count(db: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(db).await.unwrap()
}

/// A key by hand: number, slot and fingerprint are free, the position follows the number.
async fn insert_key(
    db: &mut PgConnection,
    owner: (&str, &str),
    number: u64,
    slot: i64,
    fingerprint: u8,
) -> Result<PgQueryResult, String> {
    let (kind, id) = owner;
    let sql = format!(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, masked, sealed,
                                   fingerprint, enabled, unreadable, created_at, updated_at)
         VALUES ('{kind}', '{id}', 'openai', 'key_{number:026}', {slot}, {}, 'sk-...', '\\x00', '\\x{}', true, false,
                 1, 1)",
        number + 1,
        format!("{fingerprint:02x}").repeat(32),
    );
    run(db, &sql).await
}

const ACME: (&str, &str) = ("workspace", "acme");

#[track_caller]
fn refused(result: Result<PgQueryResult, String>, because: &str) {
    let refusal = result.expect_err("the schema should have refused this");
    assert!(refusal.contains(because), "{refusal}");
}

#[tokio::test]
async fn an_eleventh_key_has_no_slot_to_be_in() {
    let (mut db, _database) = by_hand().await;
    for number in 0..10_u8 {
        insert_key(&mut db, ACME, number.into(), number.into(), number).await.unwrap();
    }
    for slot in 0..10 {
        refused(insert_key(&mut db, ACME, 11, slot, 11).await, "unique constraint \"provider_key_slot\"");
    }
    for slot in [-1, 10, 11] {
        refused(insert_key(&mut db, ACME, 11, slot, 11).await, "check constraint \"provider_key_slot_check\"");
    }
    refused(run(&mut db, "UPDATE provider_key SET slot = 10 WHERE slot = 0").await, "provider_key_slot_check");
    assert_eq!(count(&mut db, "provider_key").await, 10);
}

#[tokio::test]
async fn a_secret_is_not_in_a_pool_twice() {
    let (mut db, _database) = by_hand().await;
    insert_key(&mut db, ACME, 1, 0, 7).await.unwrap();
    refused(insert_key(&mut db, ACME, 2, 1, 7).await, "provider_key_fingerprint");
}

#[tokio::test]
async fn a_key_belongs_to_a_pool_and_a_pool_to_an_owner_that_exists() {
    let (mut db, _database) = by_hand().await;
    refused(insert_key(&mut db, ("workspace", "nobody"), 1, 0, 1).await, "foreign key");
    refused(insert_key(&mut db, ("organization", "acme"), 1, 0, 1).await, "foreign key");
    for sql in [
        "INSERT INTO pool VALUES ('workspace', 'nobody', 'openai', 0, 1)",
        "INSERT INTO data_key VALUES ('workspace', 'nobody', '\\x00', 1)",
        "INSERT INTO workspace (owner_id, created_at) VALUES ('nobody', 1)",
        "INSERT INTO organization (owner_id, keys_enabled, created_at) VALUES ('acme', true, 1)",
    ] {
        refused(run(&mut db, sql).await, "foreign key");
    }
}

#[tokio::test]
async fn deleting_an_owner_by_hand_takes_everything_of_it() {
    let (mut db, _database) = by_hand().await;
    insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();
    run(&mut db, "INSERT INTO data_key VALUES ('workspace', 'acme', '\\x00', 1)").await.unwrap();
    insert_token(&mut db, ACME, "admin").await.unwrap();
    run(&mut db, &insert_hour(3_600_000)).await.unwrap();
    run(&mut db, &insert_webhook(0)).await.unwrap();
    run(&mut db, INSERT_DELIVERY).await.unwrap();
    run(&mut db, "DELETE FROM owner WHERE owner_id = 'acme'").await.unwrap();
    for table in ["workspace", "pool", "provider_key", "data_key", "token", "key_usage", "webhook", "webhook_delivery"]
    {
        assert_eq!(count(&mut db, table).await, 0, "{table}");
    }
}

async fn insert_token(db: &mut PgConnection, owner: (&str, &str), role: &str) -> Result<PgQueryResult, String> {
    let ((kind, id), hash) = (owner, "00".repeat(32));
    let sql = format!(
        "INSERT INTO token VALUES ('{kind}', '{id}', 'aaaaaaaaaaaaaaaa', '\\x{hash}', '', '{role}', false, NULL, 1)"
    );
    run(db, &sql).await
}

#[tokio::test]
async fn a_console_session_belongs_to_the_platform_and_is_whole() {
    let (mut db, _database) = by_hand().await;
    let insert = |(kind, id): (&str, &str), hash: usize, root: usize| {
        let [hash, root] = [hash, root].map(|bytes| format!("'\\x{}'", "00".repeat(bytes)));
        format!("INSERT INTO console_session VALUES ('{kind}', '{id}', 'aaaaaaaaaaaaaaaa', {hash}, {root}, 1, 2)")
    };
    for wrong in [insert(ACME, 32, 32), insert(("platform", ""), 31, 32), insert(("platform", ""), 32, 33)] {
        refused(run(&mut db, &wrong).await, "check constraint");
    }
    run(&mut db, &insert(("platform", ""), 32, 32)).await.unwrap();
}

#[tokio::test]
async fn a_token_of_one_workspace_belongs_to_one() {
    let (mut db, _database) = by_hand().await;
    for (owner, role) in [(("platform", ""), "admin"), (ACME, "service"), (ACME, "root")] {
        refused(insert_token(&mut db, owner, role).await, "check constraint");
    }
}

#[tokio::test]
async fn the_platform_is_the_one_owner_without_an_id() {
    let (mut db, _database) = by_hand().await;
    for (kind, id) in [("platform", "other"), ("workspace", ""), ("team", "acme")] {
        refused(run(&mut db, &format!("INSERT INTO owner VALUES ('{kind}', '{id}')")).await, "check constraint");
    }
}

/// What does not belong to an owner: what exists once, the nodes, the directory of tokens, and the library's list of migrations.
const OF_NO_OWNER: [&str; 5] = ["_sqlx_migrations", "former_master_key", "installation", "node", "token_owner"];

#[tokio::test]
async fn everything_can_be_distributed_by_owner() {
    let (mut db, _database) = by_hand().await;
    // Every unique index and every foreign key, with its table and its columns in order.
    let keys: Vec<(String, String, Vec<String>)> = sqlx::query_as(
        "SELECT class.relname::text, index.indexrelid::regclass::text,
                array(SELECT attname::text FROM unnest(index.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
                      JOIN pg_attribute ON attrelid = class.oid AND attnum = k.number ORDER BY k.place)
         FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indrelid
         WHERE class.relnamespace = 'public'::regnamespace AND index.indisunique
         UNION ALL
         SELECT class.relname::text, conname::text,
                array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
                      JOIN pg_attribute ON attrelid = class.oid AND attnum = k.number ORDER BY k.place)
         FROM pg_constraint JOIN pg_class AS class ON class.oid = conrelid
         WHERE class.relnamespace = 'public'::regnamespace AND contype = 'f'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    let of_owners: Vec<_> = keys.iter().filter(|(table, ..)| !OF_NO_OWNER.contains(&table.as_str())).collect();
    assert!(of_owners.len() >= 15, "{of_owners:?}");
    for (table, key, columns) in of_owners {
        assert_eq!(columns[..2], ["owner_kind", "owner_id"], "{key} of {table}");
    }
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'")
            .fetch_all(&mut db)
            .await
            .unwrap();
    for table in tables {
        assert!(keys.iter().any(|(of, ..)| *of == table), "{table} has no primary key");
    }
}

#[tokio::test]
async fn there_are_no_triggers_of_our_own_and_no_sequences() {
    let (mut db, _database) = by_hand().await;
    assert_eq!(count(&mut db, "pg_trigger WHERE NOT tgisinternal").await, 0);
    assert_eq!(count(&mut db, "pg_class WHERE relkind = 'S'").await, 0);
}

#[tokio::test]
async fn a_node_counts_for_half_a_minute_by_the_databases_clock() {
    let (mut db, database) = by_hand().await;
    let store = database.store().await;
    let node = |id, name: &str| Node { id: [id; 16], name: name.to_owned(), master_keys: vec![[1; 8]] };
    store.note_node(&node(1, "web")).await.unwrap();
    let names = async || store.nodes().await.unwrap().into_iter().map(|found| found.node.name).collect::<Vec<_>>();
    for (moved, counts) in [(-25_000, true), (-31_000, false), (3_600_000, false)] {
        let sql = format!("UPDATE node SET seen_at = extract(epoch FROM now()) * 1000 + {moved}");
        run(&mut db, &sql).await.unwrap();
        assert_eq!(names().await, vec!["web"; usize::from(counts)], "{moved}");
    }
    store.note_node(&node(2, "other")).await.unwrap();
    assert_eq!((count(&mut db, "node").await, names().await), (1, vec!["other".to_owned()]), "the lapsed one is gone");
    store.note_node(&node(1, "web")).await.unwrap();
    assert_eq!(names().await, ["other", "web"]);
    for sql in ["UPDATE node SET master_keys = ''", "UPDATE node SET master_keys = '\\x00'"] {
        refused(run(&mut db, sql).await, "check constraint");
    }
}

fn insert_hour(hour: i64) -> String {
    format!("INSERT INTO key_usage VALUES ('workspace', 'acme', 'key_{:026}', {hour}, 1, 1, 0, 0, 0, 0)", 1)
}

fn insert_webhook(slot: i64) -> String {
    format!(
        "INSERT INTO webhook VALUES ('workspace', 'acme', 'wh_{slot:026}', {slot}, 'https://example.com', '\\x00', '',
                                     NULL, 1)"
    )
}

const INSERT_DELIVERY: &str = "INSERT INTO webhook_delivery SELECT owner_kind, owner_id, webhook_id,
    'evt_' || substr(webhook_id, 4), 'key.rejected', '{}', 0, 1, 1 FROM webhook";

#[tokio::test]
async fn a_key_is_well_or_everything_is_known_of_what_ails_it() {
    let (mut db, _database) = by_hand().await;
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
        refused(run(&mut db, &format!("UPDATE provider_key SET {sql}")).await, "check constraint");
    }
}

#[tokio::test]
async fn an_hour_is_a_whole_one_of_a_key_that_exists() {
    let (mut db, _database) = by_hand().await;
    refused(run(&mut db, &insert_hour(3_600_000)).await, "foreign key");
    insert_key(&mut db, ACME, 1, 0, 1).await.unwrap();
    refused(run(&mut db, &insert_hour(3_600_001)).await, "check constraint \"key_usage_hour_check\"");
    run(&mut db, &insert_hour(3_600_000)).await.unwrap();
    run(&mut db, "DELETE FROM provider_key").await.unwrap();
    assert_eq!(count(&mut db, "key_usage").await, 0);
}

#[tokio::test]
async fn an_eleventh_webhook_has_no_slot_to_be_in() {
    let (mut db, _database) = by_hand().await;
    refused(run(&mut db, &insert_webhook(0)).await, "foreign key");
    run(&mut db, "INSERT INTO data_key VALUES ('workspace', 'acme', '\\x00', 1)").await.unwrap();
    for slot in 0..10 {
        run(&mut db, &insert_webhook(slot)).await.unwrap();
    }
    refused(run(&mut db, &insert_webhook(10)).await, "check constraint \"webhook_slot_check\"");
    refused(run(&mut db, "UPDATE webhook SET slot = 3").await, "webhook_slot");
    run(&mut db, INSERT_DELIVERY).await.unwrap();
    run(&mut db, "DELETE FROM webhook").await.unwrap();
    assert_eq!(count(&mut db, "webhook_delivery").await, 0);
}
