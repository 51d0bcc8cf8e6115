//! Tests that what is asked on the way of requests, or very often in a copy, or among very many workspaces, goes by indexes, as PostgreSQL plans it for tables of some size.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use crate::{PostgresStore, audit, copy, delivery, health, key_use, pool, portal, reseal, token, usage, workspace};

#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/postgres/server.rs"]
mod server;

use server::{Database, run};

/// Two thousand workspaces with three keys and a token each, and as many organizations.
const FILL: &str = "
    INSERT INTO owner SELECT 'workspace', 'w' || n FROM generate_series(1, 2000) n;
    INSERT INTO workspace SELECT 'workspace', 'w' || n, 'Name ' || n, 1, NULL FROM generate_series(1, 2000) n;
    INSERT INTO owner SELECT 'organization', 'o' || n FROM generate_series(1, 2000) n;
    INSERT INTO organization SELECT 'organization', 'o' || n, NULL, true, 1 FROM generate_series(1, 2000) n;
    INSERT INTO data_key SELECT 'workspace', 'w' || n, decode(repeat(lpad(to_hex(n % 3), 2, '0'), 60), 'hex'), 1 FROM generate_series(1, 2000) n;
    INSERT INTO pool SELECT 'workspace', 'w' || n, 'openai', 3, 4 FROM generate_series(1, 2000) n;
    INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, masked, sealed, fingerprint,
                              enabled, unreadable, created_at, updated_at)
    SELECT 'workspace', 'w' || n, 'openai', 'key_' || lpad((n * 3 + k)::text, 26, '0'), k, k + 1, 'sk', '\\x00',
           sha256((n * 3 + k)::text::bytea), true, false, 1, 1
    FROM generate_series(1, 2000) n, generate_series(0, 2) k;
    INSERT INTO token SELECT 'workspace', 'w' || n, lpad(translate(n::text, '0123456789', 'abcdefghij'), 16, 'z'),
                             sha256('t'), '', 'runtime', false, NULL, 1 FROM generate_series(1, 2000) n;
    INSERT INTO token_owner SELECT token_id, owner_kind, owner_id FROM token;
    UPDATE provider_key SET ailment = 'rejected', ailment_status = 401, ailment_since = 1,
                            ailment_until = right(key_id, 9)::bigint, ailment_strikes = 1
    WHERE right(key_id, 2) = '00';
    INSERT INTO key_usage SELECT owner_kind, owner_id, key_id, hour * 3600000, 1, 1, 0, 0, 0, 0
    FROM provider_key, generate_series(1, 10) hour;
    INSERT INTO webhook SELECT 'workspace', 'w' || n, 'wh_' || lpad(n::text, 26, '0'), 0, 'https://example.com', '\\x00',
                               '', NULL, 1 FROM generate_series(1, 2000) n;
    INSERT INTO webhook_delivery
    SELECT owner_kind, owner_id, webhook_id, 'evt_' || right(webhook_id, 26), 'key.rejected', '{}', 0,
           right(webhook_id, 9)::bigint, 1
    FROM webhook;
    INSERT INTO portal_pass SELECT owner_kind, owner_id, token_id, 'session', hash, 'admin', NULL, '', 'multi', NULL, 1,
                                   right(owner_id, -1)::bigint * 1000
    FROM token;
    UPDATE workspace SET organization_id = 'o1' WHERE owner_id < 'w15';
    INSERT INTO audit_entry SELECT 'platform', '', n, n, 'user_' || n % 7, 'token.created', 'x', NULL, '{}', sha256('t')
    FROM generate_series(1, 30000) n;
    ANALYZE";

async fn plan(db: &mut PgConnection, text: &str, bind: impl for<'q> FnOnce(Asked<'q>) -> Asked<'q>) -> String {
    use sqlx::Row as _;
    let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN {text}")));
    let lines = bind(query).fetch_all(db).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()
}

type Asked<'q> = Query<'q, Postgres, PgArguments>;

/// The first four parameters of what is noted of keys.
fn keys(query: Asked<'_>) -> Asked<'_> {
    query
        .bind(vec!["workspace"; 3])
        .bind(vec!["w1", "w2", "w3"])
        .bind(vec!["openai"; 3])
        .bind(vec!["key_1", "key_2", "key_3"])
}

#[tokio::test]
async fn what_is_asked_often_is_found_by_indexes() {
    let database = Database::new().await;
    PostgresStore::open(&database.url(), 1).await.unwrap();
    let mut db = database.shell().await;
    run(&mut db, FILL).await.unwrap();
    let mut plans = vec![
        plan(&mut db, pool::READ, |query| query.bind("workspace").bind("w7").bind("openai")).await,
        plan(&mut db, token::READ, |query| query.bind("zzzzzzzzzzzzzzza")).await,
        plan(&mut db, key_use::RECORD, |query| {
            let query = keys(query).bind(vec![1_i64; 3]).bind(vec![None::<&str>; 3]);
            (0..6).fold(query, |query, _| query.bind(vec![1_i64; 3]))
        })
        .await,
        plan(&mut db, key_use::RECORD_HOURS, |query| {
            (0..7).fold(keys(query), |query, _| query.bind(vec![3_600_000_i64; 3]))
        })
        .await,
        plan(&mut db, usage::READ, |query| {
            query.bind("workspace").bind("w7").bind("openai").bind(0_i64).bind(i64::MAX)
        })
        .await,
        plan(&mut db, usage::FORGET, |query| query.bind(3_600_000_i64).bind(10_i64)).await,
        plan(&mut db, portal::FORGET, |query| query.bind(1_000_i64).bind(10_i64)).await,
        plan(&mut db, workspace::PAGE_BY_ID, |query| query.bind("w15").bind("w1\u{7f}").bind("w15").bind(50_i64)).await,
        plan(&mut db, workspace::PAGE_BY_NAME, |query| {
            query.bind("name 15").bind("w15").bind("name 1\u{10ffff}").bind(50_i64)
        })
        .await,
        plan(&mut db, workspace::HOLD_MEMBERS, |query| query.bind("o1").bind("w12").bind(10_i64)).await,
        plan(&mut db, audit::NEWEST, |query| {
            let query = query.bind("platform").bind("").bind(i64::MAX).bind(20_001_i64);
            query.bind("openai").bind("user_1").bind(50_i64)
        })
        .await,
        plan(&mut db, audit::ACTORS, |query| query.bind("platform").bind("").bind(10_000_i64).bind(100_i64)).await,
        plan(&mut db, health::CLAIM_PROBES, |query| query.bind(1_000_i64).bind(2_000_i64).bind(3_i64)).await,
        plan(&mut db, delivery::CLAIM, |query| query.bind(1_000_i64).bind(2_000_i64).bind(3_i64)).await,
    ];
    plans.push(plan(&mut db, reseal::MASTER_KEYS, |query| query).await);
    plans.push(
        plan(&mut db, reseal::UNDER, |query| query.bind(vec![7_u8; 8]).bind("workspace").bind("w7").bind(9_i64)).await,
    );
    let of_organization = plan(&mut db, workspace::PAGE_OF, |query| query.bind("o1").bind("w12").bind(50_i64)).await;
    assert!(of_organization.contains("workspace_organization"), "{of_organization}");
    plans.push(of_organization);
    for text in [copy::POOLS, copy::KEYS, copy::TOKENS, copy::WEBHOOKS] {
        plans.push(plan(&mut db, text, |query| query.bind(vec!["workspace"; 2]).bind(vec!["w1", "w2"])).await);
    }
    for plan in plans {
        assert!(plan.contains("Index"), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
