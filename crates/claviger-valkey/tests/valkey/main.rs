//! Shared rotation, on real servers and on such as only pretend to be.

mod cluster;
mod faults;
mod log;
mod refusals;
mod rests;
mod tls;
mod turns;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use claviger_app::coordination::Coordination;
use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_test_services as services;
use claviger_valkey::{Settings, Valkey};

/// Nothing is late by it, however busy the machine is.
const PATIENT: Settings = Settings { budget: Duration::from_secs(5), patience: Duration::from_secs(10) };
/// Late soon, but not by chance.
const HASTY: Settings = Settings { budget: Duration::from_millis(50), patience: Duration::from_secs(1) };
/// When an event that is waited for is not coming.
const NEVER: Duration = Duration::from_secs(30);

async fn node() -> Valkey {
    let valkey = Valkey::connect(&services::shared_valkey().unwrap(), PATIENT).await.unwrap();
    assert!(valkey.ready().await, "CLAVIGER_TEST_VALKEY cannot be reached");
    valkey
}

fn random_pool() -> PoolId {
    let id = format!("test-{:016x}", rand::random::<u64>());
    PoolId { owner: Owner::Workspace(id.parse().unwrap()), provider: "openai".parse().unwrap() }
}

fn key(pool: &PoolId) -> String {
    format!("claviger:pool:{{workspace:{}:openai}}", pool.owner.id())
}

fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn positions(of: &[u64]) -> Vec<Position> {
    of.iter().copied().map(Position).collect()
}

async fn turn(valkey: &Valkey, pool: &PoolId, usable: &[u64]) -> Option<u64> {
    Some(valkey.turn(pool, &positions(usable), None).await?.position?.0)
}

/// Takes turns until one is shared.
async fn shared_again(valkey: &Valkey) {
    let pool = random_pool();
    let again = async {
        while turn(valkey, &pool, &[1]).await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(NEVER, again).await.expect("turns are not shared again");
}

/// Takes turns until one is missed.
async fn missed(valkey: &Valkey) {
    let pool = random_pool();
    let missed = async { while turn(valkey, &pool, &[1]).await.is_some() {} };
    tokio::time::timeout(NEVER, missed).await.expect("turns are still shared");
}

/// Takes turns, which are all missed, until the server counts as away.
async fn given_up(valkey: &Valkey) {
    let pool = random_pool();
    let given_up = async {
        while valkey.counts().sharing {
            assert_eq!(turn(valkey, &pool, &[1]).await, None);
            // A turn that is missed at once lets nobody else run.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, given_up).await.expect("the server is not given up");
}

/// A server that answers all it is sent with the same, and `None` of which hangs up. Its port.
fn pretender(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), Some(answer)) = (stream, answer) else { continue };
            thread::spawn(move || {
                let mut question = [0; 4_096];
                while stream.read(&mut question).is_ok_and(|read| read > 0) {
                    if answer.is_empty() {
                        continue;
                    }
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    port
}
