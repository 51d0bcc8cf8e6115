//! What a lease costs more with Valkey: `cargo run --release -p claviger-valkey --example shared_lease --
//! redis://127.0.0.1:6379`. `cargo xtask bench scale` runs it.
//!
//! In turns, on one thread: a lease of a pool in memory, one that takes its turn from Valkey, and the same script call
//! over a plain connection, which is the least that a round trip can be. Prints p50 and p99 of each in microseconds.

#![expect(clippy::print_stdout, reason = "a program for xtask and for the person who runs it")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_app::keyring::Rotation;
use claviger_core::{ProviderId, WorkspaceId};
use claviger_testkit::{TestApp, TestSettings, answered};
use claviger_valkey::{Settings, Valkey};

const ROUNDS: usize = 200;
/// Short, so that what else the machine does meets all alike.
const BATCH: usize = 100;
const WARM_UP: usize = 10;
const WAYS: [&str; 3] = ["alone", "shared", "bare"];
const SCRIPT: &str = include_str!("../src/rotation.lua");

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let address = url.strip_prefix("redis://").ok_or("a URL of the form redis://HOST:PORT")?;
    let mut bare = Bare::connect(address)?;
    let hash = bare.load()?;
    let (pool, kept, trial, model) = ("claviger:pool:{bare:bench:openai}", "604800000", "60000", "");
    let script = command(&["EVALSHA", &hash, "1", pool, kept, trial, model, "1", "2", "3"]);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = Settings { budget: Duration::from_secs(1), ..Settings::default() };
    let valkey = Arc::new(runtime.block_on(Valkey::connect(&url, settings))?);
    let alone = runtime.block_on(Leases::of(TestSettings::default()));
    let rotation = Rotation { coordination: Some(valkey), random_start: false, platform_fallback: false };
    let shared = runtime.block_on(Leases::of(TestSettings { rotation, ..TestSettings::default() }));

    let mut times: [Vec<Duration>; WAYS.len()] = Default::default();
    for round in 0..ROUNDS + WARM_UP {
        let alone = runtime.block_on(alone.take(BATCH));
        let shared = runtime.block_on(shared.take(BATCH));
        let bare = (0..BATCH).map(|_| timed(|| bare.ask(&script))).collect::<Result<Vec<_>, _>>()?;
        if round >= WARM_UP {
            for (times, more) in times.iter_mut().zip([alone, shared, bare]) {
                times.extend(more);
            }
        }
    }
    let counts = shared.test.app.keyring.sharing().ok_or("nothing is shared")?;
    if counts.missed > 0 {
        return Err(format!("{} turns were missed", counts.missed).into());
    }
    for (way, mut times) in WAYS.into_iter().zip(times) {
        times.sort_unstable();
        let micros = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        println!("{way} {:.2} {:.2}", micros(50), micros(99));
    }
    Ok(())
}

/// Leases of one pool with three keys.
struct Leases {
    test: TestApp,
    workspace: WorkspaceId,
    provider: ProviderId,
}

impl Leases {
    async fn of(settings: TestSettings) -> Self {
        let test = TestApp::with(settings).await;
        let workspace = test.workspace("bench").await;
        for _ in 0..3 {
            test.key(&workspace, "openai").await;
        }
        Self { test, workspace, provider: "openai".parse().expect("a provider id") }
    }

    async fn take(&self, count: usize) -> Vec<Duration> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            let (secret, lease) = self.test.app.keyring.lease(&self.workspace, &self.provider).await.expect("a key");
            std::hint::black_box(secret.expose_to_provider());
            lease.end(answered(200));
            times.push(begun.elapsed());
        }
        times
    }
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn command(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<String> = parts.iter().map(|part| format!("${}\r\n{part}\r\n", part.len())).collect();
    format!("*{}\r\n{}", parts.len(), parts.concat()).into_bytes()
}

/// A write and a read.
struct Bare(TcpStream);

impl Bare {
    fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn ask(&mut self, command: &[u8]) -> std::io::Result<Vec<u8>> {
        self.0.write_all(command)?;
        let mut answer = [0; 512];
        let read = self.0.read(&mut answer)?;
        Ok(answer[..read].to_vec())
    }

    fn load(&mut self) -> Done<String> {
        let answer = String::from_utf8(self.ask(&command(&["SCRIPT", "LOAD", SCRIPT]))?)?;
        Ok(answer.lines().nth(1).ok_or("the server does not take the script")?.to_owned())
    }
}
