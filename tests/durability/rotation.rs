//! `kill -9` of a rotation of the master key, at any moment and under load, costs nothing but time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use claviger_testkit::{Deployment, Running, random_secret};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::dice::{Dice, idle};
use crate::{PROVIDER, assert_leases, deployment, relay};

const WORKSPACES: usize = 40;
const KILLS: u64 = 8;
/// How many master keys come into use, one after the other.
const ROUNDS: usize = 2;
const CALLERS: usize = 3;

struct Tenant {
    token: String,
    secret: String,
}

async fn tenant(server: &Running, id: &str) -> Tenant {
    let secret = random_secret();
    server.workspace(id).await;
    server.key(id, PROVIDER, &secret).await;
    Tenant { token: server.token(id, "runtime").await, secret }
}

fn status(deployment: &Deployment) -> Value {
    let ran = deployment.run(&["master-key", "status", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Callers and an administrator who go on all the while, and what failed.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: JoinSet<Vec<Tenant>>,
}

impl Load {
    fn start(server: &Arc<Running>, tenants: &Arc<Vec<Tenant>>, round: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS {
            let (server, tenants) = (Arc::clone(server), Arc::clone(tenants));
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                for tenant in tenants.iter().cycle().skip(caller * 7) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    assert_eq!(relay(&server, &tenant.token).await.0, 200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
                Vec::new()
            });
        }
        let (server, stopped) = (Arc::clone(server), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut made = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                // Its first key, so a new data key, under whichever master key is in use at the moment.
                made.push(tenant(&server, &format!("late-{round}-{}", made.len())).await);
            }
            made
        });
        Self { stop, done, tasks }
    }

    /// The workspaces that were made meanwhile. Panics where anything failed.
    async fn end_well(self) -> Vec<Tenant> {
        self.stop.store(true, Ordering::SeqCst);
        let made = self.tasks.join_all().await;
        assert!(self.done.load(Ordering::SeqCst) > 0);
        made.into_iter().flatten().collect()
    }
}

/// Lets a call that holds its thread do so, while other threads go on.
fn blocking<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_rotation_that_is_killed_at_any_moment_goes_on_and_fails_no_request() {
    let (mock, mut deployment) = deployment().await;
    let mut dice = Dice::new(11);
    let mut server = deployment.serve();
    let mut tenants = Vec::new();
    for number in 0..WORKSPACES {
        tenants.push(tenant(&server, &format!("tenant-{number}")).await);
    }
    // One that is killed counts as running for a while, and the rotation would wait for it.
    assert!(blocking(|| server.process.terminate()).success());
    let mut old = fs::read_to_string(deployment.data_dir().join("master.key")).unwrap();
    let mut killed_half_way = 0;
    for round in 0..ROUNDS {
        let new = deployment.run(&["master-key", "generate"]).stdout;
        deployment = deployment
            .with("CLAVIGER_VAULT__MASTER_KEY", new.trim())
            .with("CLAVIGER_VAULT__OLD_MASTER_KEYS", old.trim());
        let server = Arc::new(deployment.serve());
        let all = Arc::new(std::mem::take(&mut tenants));
        let load = Load::start(&server, &all, round);
        for number in 0..KILLS {
            let mut rotating = deployment.command(&["master-key", "rotate"]).spawn().unwrap();
            let mut steps = dice.throw(30_000_000);
            // At any moment, and then again at one when data keys are being sealed anew.
            if number % 2 == 1 {
                let mut said = BufReader::new(rotating.stderr.take().unwrap());
                blocking(|| said.read_line(&mut String::new())).unwrap();
                steps /= 20;
            }
            blocking(|| idle(steps));
            rotating.kill().unwrap();
            blocking(|| rotating.wait()).unwrap();
            let left = blocking(|| status(&deployment))["left"].as_u64().unwrap();
            killed_half_way += u64::from((1..all.len() as u64).contains(&left));
        }
        let ended = blocking(|| deployment.run(&["master-key", "rotate"]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // First keys go on coming: none of them is under the old master key.
        assert_eq!(blocking(|| status(&deployment))["left"], 0);
        let late = load.end_well().await;
        assert_eq!(blocking(|| status(&deployment))["left"], 0);
        assert!(!late.is_empty());
        assert!(blocking(|| Arc::into_inner(server).unwrap().process.terminate()).success());

        deployment = deployment.without("CLAVIGER_VAULT__OLD_MASTER_KEYS");
        let mut server = deployment.serve();
        tenants = Arc::into_inner(all).unwrap();
        tenants.extend(late);
        for tenant in &tenants {
            assert_leases(&server, &mock, &tenant.token, &[&tenant.secret]).await;
        }
        assert!(blocking(|| server.process.terminate()).success());
        old = new;
    }
    assert!(killed_half_way > 0, "no rotation was killed between two data keys");
}
