//! Another master key comes into use on several nodes, which go on serving.

use claviger_testkit::{Deployment, Running, random_secret};
use hyper::Method;
use serde_json::Value;

use crate::bad_starts::assert_refused;
use crate::database::Database;
use crate::fixture::{Nodes, PROVIDER, Plan, Relayed, Tenant, master_key, relay};
use crate::load::Load;
use crate::{blocking, soon};

const NODES: usize = 3;
const CALLERS: usize = 6;
const WORKSPACES: usize = 40;
const OLD_KEYS: &str = "CLAVIGER_VAULT__OLD_MASTER_KEYS";
const KEY: &str = "CLAVIGER_VAULT__MASTER_KEY";

/// Lets every data key that is sealed anew wait a little.
const SLOW: &str = "
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.25); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE UPDATE ON data_key FOR EACH ROW EXECUTE FUNCTION slow();";

fn status(deployment: &Deployment) -> Value {
    let ran = blocking(|| deployment.run(&["master-key", "status", "--json"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Restarts the nodes one after the other, as a roll-out does, each with these settings.
async fn roll_out(nodes: &mut Nodes, token: &str, own: impl Fn(Deployment) -> Deployment) {
    for number in 0..nodes.all.len() {
        // A node that is killed would count as running for a while, and the rotation wait for it.
        let new = blocking(|| {
            assert!(nodes.all[number].process.terminate().success());
            nodes.plan.node(&own)
        });
        nodes.all[number] = new;
        let client = nodes.all[number].client(token);
        soon("an answer", async || matches!(relay(&client).await, Relayed::With(_)).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_with_both_master_keys_go_on_serving_while_one_takes_the_place_of_the_other() {
    let database = Database::new();
    let (old, new) = (master_key(), master_key());
    let mut nodes = Plan::new(&database.url()).await.with(KEY, &old).start(NODES);
    let warm = nodes.tenant(3).await;
    let mut tenants = Vec::new();
    for _ in 0..WORKSPACES {
        tenants.push(nodes.tenant(1).await);
    }
    // First every node gets both, one after the other; some know one key and some both meanwhile.
    let both = |deployment: Deployment| deployment.with(KEY, &new).with(OLD_KEYS, &old);
    roll_out(&mut nodes, &warm.token, both).await;
    tenants.push(nodes.tenant(2).await);

    let operator = both(nodes.plan.deployment.beside());
    let load = Load::start(&nodes.clients(&warm.token), CALLERS);
    load.more(50).await;
    let others = JoinedLoads::start(&nodes, &tenants);
    assert_eq!(status(&operator)["left"], 0, "no other one is in use yet");
    // Slow enough to be killed between two data keys.
    database.execute(SLOW);
    let mut rotating = operator.command(&["master-key", "rotate"]).spawn().unwrap();
    let masters = || blocking(|| database.execute("SELECT count(DISTINCT substring(sealed, 3, 8)) FROM data_key;"));
    soon("a data key under the new master key", async || masters().contains('2').then_some(())).await;
    load.more(50).await;
    rotating.kill().unwrap();
    blocking(|| rotating.wait()).unwrap();
    database.execute("DROP TRIGGER slow ON data_key;");
    let left = status(&operator)["left"].as_u64().unwrap();
    assert!((1..=tenants.len() as u64).contains(&left), "{left}");
    let sealed = || database.execute("SELECT owner_id, md5(sealed) FROM data_key ORDER BY 1;");
    let early = nodes.plan.deployment.beside().with(KEY, &new);
    let parts = [&format!("{left} data keys"), "withdrawn too early", "vault.old_master_keys", "master-key status"];
    assert_refused(&early, &[&new, &old], &parts, sealed);
    // Two operators at once.
    let second = operator.command(&["master-key", "rotate"]).spawn().unwrap();
    let ended = blocking(|| operator.run(&["master-key", "rotate"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(blocking(|| second.wait_with_output()).unwrap().status.success());
    assert_eq!(status(&operator)["left"], 0);
    tenants.push(nodes.tenant(1).await);
    assert_eq!(status(&operator)["left"], 0);
    load.more(50).await;
    others.end_well().await;

    // Now the old one is withdrawn, one node after the other.
    let refused = nodes.plan.deployment.beside().with(KEY, &old);
    assert_refused(&refused, &[&new, &old], &["is not the one"], sealed);
    load.end_well().await;
    roll_out(&mut nodes, &warm.token, |deployment| deployment.with(KEY, &new)).await;
    for tenant in &tenants {
        for client in nodes.clients(&tenant.token) {
            assert!(tenant.keys.contains(&relay(&client).await.key()));
        }
    }
    for node in &nodes.all {
        assert_eq!(node.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    }
}

/// Asserts that a rotation is refused for these nodes' sake, and changes nothing.
fn assert_waits(operator: &Deployment, database: &Database, lacking: &[&Running]) {
    let canary = || database.execute("SELECT md5(canary) FROM installation;");
    let before = canary();
    let ran = blocking(|| operator.run(&["master-key", "rotate", "--json"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("(process ").count(), lacking.len(), "{}", ran.stderr);
    for node in lacking {
        assert!(ran.stderr.contains(&format!("(process {})", node.process.id())), "{}", ran.stderr);
    }
    assert!(ran.stderr.contains("not have it yet"), "{}", ran.stderr);
    assert_eq!(canary(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_waits_until_every_node_that_runs_has_the_new_master_key() {
    let database = Database::new();
    let (old, new) = (master_key(), master_key());
    let mut nodes = Plan::new(&database.url()).await.with(KEY, &old).start(NODES);
    let tenant = nodes.tenant(1).await;
    let both = |deployment: Deployment| deployment.with(KEY, &new).with(OLD_KEYS, &old);
    let operator = both(nodes.plan.deployment.beside());
    assert_waits(&operator, &database, &nodes.all.iter().collect::<Vec<_>>());
    for number in 0..2 {
        let node = blocking(|| {
            assert!(nodes.all[number].process.terminate().success());
            both(nodes.plan.deployment.beside()).serve()
        });
        nodes.all[number] = node;
    }
    assert_waits(&operator, &database, &[&nodes.all[2]]);
    let found = status(&operator);
    let shown = found["nodes"].as_array().unwrap();
    let mut counts: Vec<_> = shown.iter().map(|node| node["masterKeys"].as_array().unwrap().len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 2], "{found}");

    // Nobody knows of a node that is killed, until its time is over.
    blocking(|| nodes.all[2].process.kill());
    assert_waits(&operator, &database, &[&nodes.all[2]]);
    database.execute(&format!(
        "UPDATE node SET seen_at = seen_at - 31000 WHERE name LIKE '%(process {})';",
        nodes.all[2].process.id()
    ));
    let rotated = blocking(|| operator.run(&["master-key", "rotate"]));
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    assert_eq!(status(&operator)["nodes"].as_array().unwrap().len(), 2);
    for node in &nodes.all[..2] {
        assert_eq!(relay(&node.client(&tenant.token)).await.key(), tenant.keys[0]);
        assert_eq!(node.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    }
}

/// One caller for each of several tenants.
struct JoinedLoads(Vec<Load>);

impl JoinedLoads {
    fn start(nodes: &Nodes, tenants: &[Tenant]) -> Self {
        Self(tenants.iter().step_by(8).map(|tenant| Load::start(&nodes.clients(&tenant.token), 1)).collect())
    }

    async fn end_well(self) {
        for load in self.0 {
            load.end_well().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_data_key_of_a_workspace_fails_no_request_on_any_node() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.start(2);
    let tenant = nodes.tenant(3).await;
    let load = Load::start(&nodes.clients(&tenant.token), CALLERS);
    load.more(50).await;
    let operator = nodes.plan.deployment.beside();
    for generation in 2..6 {
        let ran = blocking(|| operator.run(&["workspace", "rekey", &tenant.id, "--json"]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let done: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&done["keys"], &done["generation"]), (&3.into(), &generation.into()));
        load.more(20).await;
        // A key beside those that were sealed anew.
        let key = nodes.all[1].key(&tenant.id, PROVIDER, &random_secret()).await;
        nodes.delete_key(0, &tenant.id, &key).await;
    }
    load.end_well().await;
    for key in &nodes.all[0].keys(&tenant.id).await {
        assert_eq!(key["status"], "active");
    }
}
