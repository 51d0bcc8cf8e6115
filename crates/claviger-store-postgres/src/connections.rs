//! Connections, deadlines, and second attempts.
//!
//! A question is asked on one connection of a pool. Where that turns out to be dead, nothing has happened, and it is
//! asked again on another one until [`PATIENCE`] is over: a database that starts anew is away for a second or two, and
//! requests ride through that. Everything has a deadline, because a connection whose other end vanished without a word
//! never answers. A connection that failed, or whose question was given up, is closed and never used again.

use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use claviger_store::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::error::{Failure, Refusal, Remedy, meaning, meaning_of_commit, remedy_for, unavailable};

/// How long a question is asked again on other connections.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a caller waits for a free connection, or for a new one to be opened.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that nobody needed for so long goes.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
/// Connections are made anew now and then, so that they spread over servers that were added, and memory that the server
/// keeps for each is freed.
const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// How long a connection on its way back to the pool may take to answer that it is well.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long closing waits for what is under way: longer than an ordinary write may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// What every connection of the pool begins with. They end on the server what this side has given up: without the first
/// a transaction whose client vanished would keep its locks for hours.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '15s'; SET statement_timeout = '60s'";

/// How a question is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    deadline: Duration,
    /// The statement that begins a transaction, where there is more than one statement.
    begin: Option<&'static str>,
    /// Whether it may have the connection that is kept free for proofs of hearing.
    proof: bool,
}

/// One statement that reads.
pub(crate) const READ: Manner = Manner { deadline: Duration::from_secs(5), begin: None, proof: false };
/// One statement that writes, and does no harm when it is done twice.
pub(crate) const TOUCH: Manner = Manner { deadline: Duration::from_secs(10), begin: None, proof: false };
/// One statement by which this process proves that it hears of changes. It does not wait behind requests: a node that is
/// busy would count as deaf, ask the database for every request, and be busier still.
pub(crate) const PROOF: Manner = Manner { deadline: Duration::from_secs(10), begin: None, proof: true };
/// A change.
pub(crate) const WRITE: Manner =
    Manner { deadline: Duration::from_secs(10), begin: Some("BEGIN ISOLATION LEVEL READ COMMITTED"), proof: false };
/// One statement that reads everything.
pub(crate) const COUNT: Manner = Manner { deadline: Duration::from_mins(1), begin: None, proof: false };
/// Many rows of several tables, of one instant.
pub(crate) const COPY_OUT: Manner = Manner {
    deadline: Duration::from_mins(1),
    begin: Some("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
    proof: false,
};
/// Many changes at once.
pub(crate) const COPY_IN: Manner =
    Manner { deadline: Duration::from_mins(1), begin: Some("BEGIN ISOLATION LEVEL READ COMMITTED"), proof: false };

/// An answer on its way, over a connection that is borrowed for `'c`; what the question borrows beside lives for `'a`,
/// which is at least as long.
pub(crate) struct Asked<'a, 'c, T> {
    answer: Pin<Box<dyn Future<Output = T> + Send + 'c>>,
    outlived: PhantomData<&'c &'a ()>,
}

pub(crate) fn asked<'a: 'c, 'c, T>(answer: impl Future<Output = T> + Send + 'c) -> Asked<'a, 'c, T> {
    Asked { answer: Box::pin(answer), outlived: PhantomData }
}

/// A pool of connections to one database.
#[derive(Debug)]
pub(crate) struct Connections {
    pool: PgPool,
    /// Turns at all connections but one.
    turns: Semaphore,
    returning: TaskTracker,
}

impl Connections {
    /// Opens none yet.
    pub(crate) fn new(options: PgConnectOptions, most: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(most.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(MAX_LIFETIME)
            // A dead connection shows by its first answer as well, and then the question is asked again.
            .test_before_acquire(false)
            .after_connect(|db, _| Box::pin(async move { db.execute(SESSION).await.map(drop) }))
            .connect_lazy_with(options);
        let turns = Semaphore::new(usize::try_from(most.max(2) - 1).unwrap_or(Semaphore::MAX_PERMITS));
        Self { pool, turns, returning: TaskTracker::new() }
    }

    /// Asks a question, again where that may help and does no harm.
    pub(crate) async fn ask<'a, T, E, F>(&self, manner: Manner, question: F) -> Result<T, E>
    where
        T: Send,
        E: Refusal,
        F: for<'c> Fn(&'c mut PgConnection) -> Asked<'a, 'c, Result<T, E>> + Send + Sync,
    {
        let begun = Instant::now();
        let mut attempts = 0;
        loop {
            let Ok(answer) = timeout_at(begun + manner.deadline, self.once(manner, &question)).await else {
                // Whatever swallowed this question may have swallowed the idle connections' other ends, too.
                self.drop_idle();
                return Err(unavailable("no answer within the time a question may take").into());
            };
            match answer {
                Err(refusal) if remedy_for(&refusal) != Remedy::None && begun.elapsed() < PATIENCE => {
                    attempts += 1;
                    // At once where a pooled connection was dead, and slower where even new ones are.
                    sleep(Duration::from_millis(5) * attempts.min(20)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn once<'a, T, E, F>(&self, manner: Manner, question: &F) -> Result<T, E>
    where
        T: Send,
        E: Refusal,
        F: for<'c> Fn(&'c mut PgConnection) -> Asked<'a, 'c, Result<T, E>> + Send + Sync,
    {
        let _turn = if manner.proof {
            None
        } else {
            let turn = timeout(ACQUIRE_TIMEOUT, self.turns.acquire()).await;
            turn.map_err(|_late| unavailable("no connection became free in time"))?.ok()
        };
        let mut held = Held { connection: Some(self.pool.acquire().await.map_err(meaning)?), by: self };
        let Some(db) = held.connection.as_deref_mut() else {
            return Err(unavailable("no connection").into());
        };
        let answer = match manner.begin {
            None => question(db).answer.await,
            Some(begin) => in_transaction(db, begin, question).await,
        };
        if answer.as_ref().err().is_none_or(leaves_connection_sound) {
            held.give_back();
        }
        answer
    }

    fn drop_idle(&self) {
        while let Some(idle) = self.pool.try_acquire() {
            drop(idle.detach());
        }
    }

    /// Comes back when the connections were closed.
    pub(crate) async fn closed(&self) {
        self.pool.close_event().await;
    }

    pub(crate) async fn close(&self) {
        let closing = async {
            self.pool.close().await;
            self.returning.close();
            self.returning.wait().await;
        };
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("connections to PostgreSQL were left to themselves: they did not come back in time");
        }
    }
}

async fn in_transaction<'a, T, E, F>(db: &mut PgConnection, begin: &'static str, question: &F) -> Result<T, E>
where
    T: Send,
    E: Refusal,
    F: for<'c> Fn(&'c mut PgConnection) -> Asked<'a, 'c, Result<T, E>> + Send + Sync,
{
    let mut transaction = db.begin_with(begin).await.map_err(meaning)?;
    let answer = question(&mut transaction).answer.await;
    match answer {
        Ok(answer) => {
            transaction.commit().await.map_err(meaning_of_commit)?;
            Ok(answer)
        }
        Err(refusal) if leaves_connection_sound(&refusal) => {
            transaction.rollback().await.map_err(meaning)?;
            Err(refusal)
        }
        // The connection goes, and the transaction with it.
        Err(refusal) => Err(refusal),
    }
}

/// Whether a connection may be used again after this. Not where the server gave no answer, nor where it may no longer
/// be written to: then it may have become a copy of another server, which a new connection finds.
fn leaves_connection_sound(refusal: &impl Refusal) -> bool {
    match refusal.of_store() {
        None | Some(StoreError::Unexpected(_) | StoreError::Full(_)) => true,
        Some(StoreError::ReadOnly(_)) => false,
        Some(StoreError::Unavailable(source)) => {
            source.downcast_ref().is_some_and(|failure: &Failure| failure.remedy == Remedy::FromTheBeginning)
        }
    }
}

/// A connection in use. Unless it is given back, it is closed at once and without a word: its caller gave up, or it is
/// dead.
struct Held<'p> {
    connection: Option<PoolConnection<Postgres>>,
    by: &'p Connections,
}

impl Held<'_> {
    /// The library asks a connection on its way back whether it is well, and would wait for the answer for ever.
    fn give_back(mut self) {
        if let Some(mut connection) = self.connection.take() {
            let back = connection.return_to_pool();
            self.by.returning.spawn(async move {
                if timeout(RETURN_TIMEOUT, back).await.is_err() {
                    tracing::debug!("a connection to PostgreSQL fell silent");
                }
            });
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
