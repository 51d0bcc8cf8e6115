//! The database is restarted, and nodes are killed.

use std::time::{Duration, Instant};

use claviger_test_services::{Postgres, search_for_secrets};
use claviger_testkit::Client;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::fixture::{Plan, Relayed, relay};
use crate::load::Load;
use crate::revocation::out_of_use;
use crate::{blocking, say, soon};

const NODES: usize = 3;
const CALLERS: usize = 6;
/// How long the database is away at least, beside what stopping and starting take: as in a restart, and as in a slow one.
const AWAY: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1)];

/// How many connections listen for changes.
fn listeners(postgres: &Postgres) -> usize {
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'";
    blocking(|| postgres.execute("postgres", listening)).unwrap().parse().unwrap()
}

/// Sends one request to every node, all at once; what it comes to, and how long it takes.
fn ask_all(clients: Vec<Client>) -> JoinSet<(Relayed, Duration)> {
    let ask = async |client: Client| {
        let begun = Instant::now();
        (relay(&client).await, begun.elapsed())
    };
    clients.into_iter().map(ask).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_of_the_database_fails_no_request_not_even_of_a_workspace_that_is_not_in_memory() {
    let mut postgres = blocking(Postgres::start).unwrap();
    let mut nodes = Plan::new(&postgres.url("postgres")).await.start(NODES);
    let warm = nodes.tenant(3).await;
    let mut cold = Vec::new();
    for away in AWAY {
        cold.push((away, [nodes.tenant(1).await, nodes.tenant(1).await]));
    }
    let victim = nodes.tenant(1).await;
    nodes.everywhere(&victim.token, &Relayed::With(victim.keys[0].clone())).await;
    let load = Load::start(&nodes.clients(&warm.token), CALLERS);
    load.more(50).await;
    assert_eq!(listeners(&postgres), NODES);

    for (away, [before, during]) in cold {
        let begun = Instant::now();
        let asking_before = ask_all(nodes.clients(&before.token));
        blocking(|| postgres.stop()).unwrap();
        let asking_during = ask_all(nodes.clients(&during.token));
        tokio::time::sleep(away).await;
        blocking(|| postgres.start_again()).unwrap();
        say(&format!("the database was away for {:?}", begun.elapsed()));
        for (tenant, asking) in [(&before, asking_before), (&during, asking_during)] {
            let expected = Relayed::With(tenant.keys[0].clone());
            let relayed = asking.join_all().await;
            let good = relayed.iter().all(|(relayed, _)| *relayed == expected);
            assert!(good, "{relayed:?}\n{}", nodes.all[0].process.stderr());
        }
        say(&format!("requests of workspaces that are not in memory were answered after {:?}", begun.elapsed()));
        soon("listening", async || (listeners(&postgres) == NODES).then_some(())).await;
        load.more(20).await;
    }
    nodes.delete_key(0, &victim.id, &victim.keys[0]).await;
    let took = out_of_use(nodes.clients(&victim.token), Instant::now(), &Relayed::no_key()).await;
    say(&format!("a deletion after the restarts is effective after {took:?}"));
    load.end_well().await;
    let places = blocking(|| postgres.search(&search_for_secrets())).unwrap();
    assert!(places.is_empty(), "secrets were written: {places:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_no_loss_to_the_others_and_a_new_one_works_at_once() {
    let database = Database::new();
    let mut nodes = Plan::new(&database.url()).await.start(NODES);
    let tenant = nodes.tenant(3).await;
    let clients = nodes.clients(&tenant.token);
    let (to_kill, others) = clients.split_last().unwrap();
    let load = Load::start(others, CALLERS);
    let doomed = Load::start(std::slice::from_ref(to_kill), CALLERS);
    load.more(50).await;
    nodes.all.last_mut().unwrap().process.kill();
    load.more(100).await;
    assert!(!doomed.failed().is_empty(), "the load goes to the node that was killed, too");
    drop(doomed);

    *nodes.all.last_mut().unwrap() = nodes.plan.node(|deployment| deployment);
    let new = nodes.all.last().unwrap().client(&tenant.token);
    assert!(tenant.keys.contains(&relay(&new).await.key()));
    let more = Load::start(&[new], CALLERS);
    more.more(50).await;
    nodes.everywhere(&tenant.token, &Relayed::With(tenant.keys[1].clone())).await;
    nodes.delete_key(2, &tenant.id, &tenant.keys[0]).await;
    nodes.delete_key(0, &tenant.id, &tenant.keys[1]).await;
    nodes.everywhere(&tenant.token, &Relayed::With(tenant.keys[2].clone())).await;
    load.end_well().await;
    more.end_well().await;
}
