//! `kill -9` at any moment loses nothing that was acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use claviger_testkit::{Process, Running};
use tokio::task::JoinSet;

use crate::dice::{Dice, idle};
use crate::tenant::Tenant;
use crate::{assert_leases, deployment};

const ROUNDS: u64 = 80;
const TENANTS: u64 = 4;

/// When the server is killed.
enum Moment {
    /// When so many changes have been acknowledged, while others are under way.
    Acknowledged(u64),
    /// After so many steps of nothing, whatever the server does then.
    Steps(u64),
}

/// Kills a server in the middle of things.
struct Killer {
    process: Mutex<Process>,
    acknowledged: AtomicU64,
    at: Option<u64>,
}

impl Killer {
    fn kill(&self) {
        self.process.lock().unwrap().kill();
    }

    fn acknowledged(&self) {
        if Some(self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1) == self.at {
            self.kill();
        }
    }
}

/// Lets every tenant change its keys until the server is gone.
async fn change_until_killed(server: Running, tenants: Vec<Tenant>, moment: &Moment) -> (Vec<Tenant>, u64) {
    let Running { process, root, .. } = server;
    let at = match moment {
        Moment::Acknowledged(count) => Some(*count),
        Moment::Steps(_) => None,
    };
    let killer = Arc::new(Killer { process: Mutex::new(process), acknowledged: AtomicU64::new(0), at });
    let mut tasks = JoinSet::new();
    for mut tenant in tenants {
        let (root, killer) = (root.clone(), Arc::clone(&killer));
        tasks.spawn(async move {
            while tenant.change(&root).await {
                killer.acknowledged();
            }
            tenant
        });
    }
    if let Moment::Steps(steps) = *moment {
        let killer = Arc::clone(&killer);
        std::thread::spawn(move || {
            idle(steps);
            killer.kill();
        });
    }
    let tenants = tasks.join_all().await;
    (tenants, killer.acknowledged.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let (mock, deployment) = deployment().await;
    let mut dice = Dice::new(7);
    let mut server = deployment.serve();
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(Tenant::new(&server, number).await);
    }
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let moment = match round % 3 {
            0 | 1 => Moment::Acknowledged(1 + dice.throw(24)),
            _ => Moment::Steps(dice.throw(12_000_000)),
        };
        let changed;
        (tenants, changed) = change_until_killed(server, tenants, &moment).await;
        acknowledged += changed;
        server = deployment.serve();
        for tenant in &mut tenants {
            tenant.settle(&server).await;
            assert_leases(&server, &mock, &tenant.token, &tenant.secrets()).await;
        }
    }
    assert!(acknowledged > ROUNDS * 4, "only {acknowledged} changes were made in {ROUNDS} rounds");
}
