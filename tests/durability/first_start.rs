//! A first start that is cut short is made good by the next one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use claviger_testkit::{Deployment, random_secret};

use crate::dice::{Dice, idle};
use crate::{PROVIDER, assert_leases, deployment};

/// So long a first start may take until it has come to any of the moments.
const PATIENCE: Duration = Duration::from_secs(10);

fn length(folder: &Path, name: &str) -> Option<u64> {
    fs::metadata(folder.join(name)).ok().map(|file| file.len())
}

/// Steps of a first start, as they show in the data folder.
const MOMENTS: [fn(&Path) -> bool; 8] = [
    |folder| folder.exists(),
    |folder| length(folder, "claviger.db").is_some(),
    |folder| length(folder, "claviger.db-journal").is_some() || length(folder, "claviger.db") > Some(0),
    |folder| length(folder, "claviger.db") > Some(0),
    |folder| length(folder, "claviger.db-wal").is_some(),
    |folder| length(folder, "master.key").is_some(),
    |folder| length(folder, "master.key") > Some(0),
    |folder| length(folder, "master.key") > Some(0) && length(folder, "claviger.db-wal") > Some(0),
];

fn kill_when(deployment: &Deployment, reached: impl FnOnce()) {
    let mut started = deployment.command(&["serve"]).spawn().unwrap();
    reached();
    started.kill().unwrap();
    started.wait().unwrap();
}

#[tokio::test]
async fn a_first_start_that_is_killed_is_made_good_by_the_next() {
    let mut dice = Dice::new(3);
    for round in 0..30 {
        let (mock, deployment) = deployment().await;
        let folder = deployment.data_dir();
        match MOMENTS.get(round) {
            Some(moment) => kill_when(&deployment, || {
                let begun = Instant::now();
                while !moment(&folder) {
                    assert!(begun.elapsed() < PATIENCE, "moment {round} never came");
                }
            }),
            None => kill_when(&deployment, || idle(dice.throw(4_000_000))),
        }
        let server = deployment.serve();
        server.workspace("acme").await;
        let secret = random_secret();
        server.key("acme", PROVIDER, &secret).await;
        let token = server.token("acme", "runtime").await;
        assert_leases(&server, &mock, &token, &[&secret]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_starts_at_once_have_one_master_key() {
    const STARTS: usize = 8;
    let (mock, deployment) = deployment().await;
    let servers: Vec<_> = tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(|| deployment.serve())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        })
    });
    let names = fs::read_dir(deployment.data_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<_> = names.filter(|name| name.to_string_lossy().contains("master.key")).collect();
    assert_eq!(names, BTreeSet::from(["master.key".into()]), "no draft stays behind");
    // What each one seals, all others open.
    for (number, server) in servers.iter().enumerate() {
        let (id, secret) = (format!("tenant-{number}"), random_secret());
        server.workspace(&id).await;
        server.key(&id, PROVIDER, &secret).await;
        let token = server.token(&id, "runtime").await;
        for other in &servers {
            assert_leases(other, &mock, &token, &[&secret]).await;
        }
    }
}
