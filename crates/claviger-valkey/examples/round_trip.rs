//! What a shared turn costs beside the bare round trip: `cargo run --release -p claviger-valkey --example round_trip --
//! redis://127.0.0.1:6379`.
//!
//! Both send the same script call over loopback, on one thread, in turns of a thousand, so that what else the machine
//! does meets both alike. Then how long it takes from telling that a key rests until another node passes it over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use claviger_app::coordination::Coordination;
use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_valkey::{Settings, Valkey};

const ROUNDS: usize = 60;
const BATCH: usize = 1_000;
const SCRIPT: &str = include_str!("../src/rotation.lua");

#[expect(clippy::print_stdout, reason = "an example that prints what it measured")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let address = url.strip_prefix("redis://").ok_or("a URL of the form redis://HOST:PORT")?;
    let mut bare = Bare::connect(address)?;
    let hash = bare.load()?;
    let ping = command(&["PING"]);
    let mut script = vec!["EVALSHA", &hash, "1", "claviger:pool:{bare}", "604800000", "60000", ""];
    script.extend(["1", "2", "3", "4", "5"]);
    let script = command(&script);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = Settings { budget: Duration::from_secs(1), ..Settings::default() };
    let valkey = runtime.block_on(Valkey::connect(&url, settings))?;
    let pool = PoolId { owner: Owner::Platform, provider: "round-trip".parse()? };
    let usable: Vec<_> = (1..=5).map(Position).collect();

    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..=ROUNDS {
        let pings = (0..BATCH).map(|_| timed(|| bare.ask(&ping))).collect::<Result<Vec<_>, _>>()?;
        let scripts = (0..BATCH).map(|_| timed(|| bare.ask(&script))).collect::<Result<Vec<_>, _>>()?;
        let turns: Vec<_> = runtime.block_on(async {
            let mut turns = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                let begun = Instant::now();
                let turn = valkey.turn(&pool, &usable, None).await;
                turns.push((begun.elapsed(), turn.is_some()));
            }
            turns
        });
        assert!(turns.iter().all(|(_, had)| *had), "a turn was missed");
        // The first round warms up.
        if round > 0 {
            times[0].extend(pings);
            times[1].extend(scripts);
            times[2].extend(turns.into_iter().map(|(took, _)| took));
        }
    }
    let other = runtime.block_on(Valkey::connect(&url, settings))?;
    let mut heard = Vec::with_capacity(BATCH);
    runtime.block_on(async {
        for _ in 0..BATCH {
            let begun = Instant::now();
            valkey.rest(&pool, Position(5), None, Duration::from_mins(1));
            while other.turn(&pool, &usable[4..], None).await.is_none_or(|turn| turn.position.is_some()) {}
            heard.push(begun.elapsed());
            valkey.healed(&pool, Position(5), None);
            valkey.told().await;
        }
    });
    let ([ping, script, turn], heard) = (times.map(percentiles), percentiles(heard));
    let all = [("bare PING", ping), ("bare EVALSHA", script), ("turn", turn), ("rest is heard", heard)];
    for (name, (p50, p99)) in all {
        println!("{name:<14} p50 {p50:>9.2?}   p99 {p99:>9.2?}");
    }
    println!("turn / bare EVALSHA, p50: {:.2}", turn.0.as_secs_f64() / script.0.as_secs_f64());
    Ok(())
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn command(parts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![format!("*{}\r\n", parts.len())];
    bytes.extend(parts.iter().map(|part| format!("${}\r\n{part}\r\n", part.len())));
    bytes.concat().into_bytes()
}

/// The least that a round trip can be: a write and a read.
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

    fn load(&mut self) -> Result<String, Box<dyn std::error::Error>> {
        let answer = String::from_utf8(self.ask(&command(&["SCRIPT", "LOAD", SCRIPT]))?)?;
        Ok(answer.lines().nth(1).ok_or("the server does not take the script")?.to_owned())
    }
}
