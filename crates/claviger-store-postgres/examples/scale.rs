//! A PostgreSQL with very many workspaces: fills one, and measures what a lease costs whose pool is not in memory.
//! `cargo xtask bench scale` runs it.
//!
//! ```text
//! scale populate WORKSPACES            on an empty database; prints a service token
//! scale cold-leases WORKSPACES ROUNDS  prints, for each way to ask, p50 and p99 in microseconds
//! ```
//!
//! The database's URL comes from `CLAVIGER_SCALE_DATABASE`, and the master key, in base64, from
//! `CLAVIGER_SCALE_MASTER_KEY`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for xtask and for the person who runs it")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_core::owner::PoolId;
use claviger_core::{Owner, ProviderId};
use claviger_store::Store;
use claviger_store_postgres::PostgresStore;
use claviger_testkit::Population;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection};
use zeroize::Zeroizing;

/// As many as a node has by default.
const CONNECTIONS: u32 = 10;
/// Rounds that are not counted: statements get prepared, connections opened, caches warm.
const WARM_UP: u32 = 200;
/// After each sample, so that what it left to be done is not done in the next one's time.
const SETTLE: Duration = Duration::from_micros(300);
const WAYS: [&str; 4] = ["lease", "store", "pooled", "bare"];
/// Prime, so that steps of it visit every workspace once, in an order that no cache foresees.
const STRIDE: u64 = 514_229;

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments[..] {
        ["populate", workspaces] => runtime.block_on(populate(workspaces.parse()?)),
        ["cold-leases", workspaces, rounds] => runtime.block_on(cold_leases(workspaces.parse()?, rounds.parse()?)),
        _ => Err("populate WORKSPACES, or cold-leases WORKSPACES ROUNDS".into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "what this program is given; it is no setting of the product")]
fn variable(name: &str) -> Done<Zeroizing<String>> {
    Ok(Zeroizing::new(std::env::var(name).map_err(|_| format!("{name} is not set"))?))
}

async fn store() -> Done<Arc<dyn Store>> {
    Ok(Arc::new(PostgresStore::open(&variable("CLAVIGER_SCALE_DATABASE")?, CONNECTIONS).await?))
}

async fn population(store: &Arc<dyn Store>) -> Done<Population> {
    Ok(Population::of(Arc::clone(store), &variable("CLAVIGER_SCALE_MASTER_KEY")?).await)
}

async fn populate(workspaces: u32) -> Done<()> {
    let store = store().await?;
    let population = population(&store).await?;
    let begun = Instant::now();
    population
        .grow(workspaces, |made| eprint!("\r{made} workspaces after {:.0} s", begun.elapsed().as_secs_f64()))
        .await;
    eprintln!();
    println!("{}", population.service_token().await);
    store.close().await;
    Ok(())
}

async fn cold_leases(workspaces: u32, rounds: u32) -> Done<()> {
    let store = store().await?;
    let app = population(&store).await?.app;
    let provider: ProviderId = "openai".parse()?;
    // The pool of the library as the store uses it, once asked as it is, and once for a connection that stays out.
    let url = variable("CLAVIGER_SCALE_DATABASE")?;
    let pooled = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false).connect(&url).await?;
    let mut bare = pooled.acquire().await?;
    store.pool(&PoolId { owner: Owner::Workspace(Population::workspace(1)), provider: provider.clone() }).await?;
    let statement = statement(&mut bare).await?;

    let total = u64::from(rounds + WARM_UP) * WAYS.len() as u64;
    if total > u64::from(workspaces) {
        return Err(format!("{total} workspaces are needed, each for one sample").into());
    }
    let mut times: [Vec<Duration>; WAYS.len()] = Default::default();
    for sample in 0..total {
        // Each way comes first, second, third and fourth equally often.
        let way = usize::try_from(sample + sample / WAYS.len() as u64)? % WAYS.len();
        let number = sample * STRIDE % u64::from(workspaces) + 1;
        let workspace = Population::workspace(u32::try_from(number)?);
        let query = || {
            let query = sqlx::query(AssertSqlSafe(statement.as_str())).bind("workspace");
            query.bind(workspace.as_str()).bind(provider.as_str())
        };
        let begun = Instant::now();
        let keys = match way {
            0 => app.keyring.lease(&workspace, &provider).await.map(|_| 3)?,
            1 => {
                let id = PoolId { owner: Owner::Workspace(workspace.clone()), provider: provider.clone() };
                store.pool(&id).await?.keys.len()
            }
            2 => query().fetch_all(&pooled).await?.len(),
            _ => query().fetch_all(&mut *bare).await?.len(),
        };
        let took = begun.elapsed();
        if keys != 3 {
            return Err(format!("{workspace} has {keys} keys").into());
        }
        if sample >= u64::from(WARM_UP) * WAYS.len() as u64 {
            times[way].push(took);
        }
        while begun.elapsed() < took + SETTLE {
            tokio::task::yield_now().await;
        }
    }
    for (way, mut times) in WAYS.into_iter().zip(times) {
        times.sort_unstable();
        let micros = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        println!("{way} {:.1} {:.1}", micros(50), micros(99));
    }
    store.close().await;
    Ok(())
}

/// What the store asked last, as the server saw it: a copy of the text here could go stale.
async fn statement(db: &mut PgConnection) -> Done<String> {
    let asked = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%provider_key%' \
                 AND pid <> pg_backend_pid()";
    Ok(sqlx::query_scalar(asked).fetch_one(db).await?)
}
