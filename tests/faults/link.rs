//! A PostgreSQL that goes away in the middle of a request.

use std::time::{Duration, Instant};

use claviger_mock_provider::MockProvider;
use claviger_testkit::{FlakyLink, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::database::Database;
use crate::{PROVIDER, on_postgres};

const KEYS: &str = "/api/workspaces/acme/byok-keys";
/// In this time every request has an answer, whatever the database does.
const PROMISED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_and_a_lease_that_lose_postgresql_half_way_are_answered_and_nothing_acknowledged_is_lost() {
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let database = Database::new();
    let link = FlakyLink::start(database.address()).await;
    let server = on_postgres(&database)
        .with("CLAVIGER_DATABASE__URL", &database.url_by(link.address()))
        .with_provider(PROVIDER, &mock.base_url(PROVIDER))
        .serve();
    server.workspace("acme").await;
    let token = server.token("acme", "runtime").await;
    let caller = server.client(&token);
    let mut acknowledged = 0;
    for round in 0..3 {
        let secret = random_secret();
        let add = json!({"providerId": PROVIDER, "apiKey": secret});
        // Half of the work is done when nothing comes through any more.
        link.freeze();
        let begun = Instant::now();
        let (added, leased) = tokio::join!(
            server.root.try_send(Method::POST, KEYS, &add),
            caller.try_send(Method::GET, "/gateway/exa/x", &Value::Null)
        );
        assert!(begun.elapsed() < PROMISED, "round {round}: {:?}", begun.elapsed());
        let (added, leased) = (added.unwrap(), leased.unwrap());
        assert_eq!((added.status.as_u16(), added.code()), (503, "store_unavailable"), "{}", added.json);
        // Once token and pool are in memory, they serve while changes were heard of; this may be the moment in which they
        // are read anew.
        let from_memory = leased.status == 200 && round > 0;
        assert!(from_memory || leased.code() == "store_unavailable", "round {round}: {}", leased.json);
        link.cut();
        link.thaw();
        // The first request already. What was not answered may have been done: then this is a second one of the same.
        let again = server.root.send(Method::POST, KEYS, &add).await;
        assert!(matches!(again.status.as_u16(), 200 | 409), "round {round}: {}", again.json);
        acknowledged += 1;
        assert_eq!(server.keys("acme").await.len(), acknowledged);
        let leased = caller.send(Method::GET, "/gateway/exa/x", &Value::Null).await;
        assert_eq!(leased.status, 200, "round {round}: {}", leased.json);
    }
}
