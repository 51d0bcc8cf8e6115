//! One runtime's connection: made there, driven there, and made again there when it is lost.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use claviger_app::coordination::SharedTurn;
use claviger_core::pool::Position;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};

use crate::error::{Away, OpenError};
use crate::greeting::words;
use crate::health::{self, Health};
use crate::link::Link;
use crate::node::Node;
use crate::open::Opened;
use crate::report::Standing;
use crate::script;

/// How long to wait before the second attempt to connect; each further one waits twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest wait. A connection that lasts that long was a good one: after it, waiting begins anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What came of a first attempt to connect.
pub(crate) type First = Result<Opened, Away>;

/// A runtime's way to the server.
#[derive(Debug)]
pub(crate) struct Line {
    live: ArcSwapOption<Live>,
    /// Whether the first attempt to connect is over.
    tried: watch::Sender<bool>,
    /// The runtime has ended, or nobody needs the line any more.
    gone: AtomicBool,
}

/// A connection that is used.
#[derive(Debug)]
struct Live {
    link: Link,
    hash: String,
    health: Health,
    /// Why it is given up.
    verdict: OnceLock<String>,
    over: Notify,
}

/// Why a turn was missed.
enum Miss {
    Late,
    Error(RedisError),
    Nonsense,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { live: ArcSwapOption::empty(), tried: watch::Sender::new(false), gone: AtomicBool::new(false) }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.live.load().is_some()
    }

    /// Waits until the first attempt to connect is over.
    pub(crate) async fn tried(&self) {
        // An error means that the line is gone, and then there is nothing to wait for.
        let _ = self.tried.subscribe().wait_for(|tried| *tried).await;
    }

    /// Takes a turn. `None` where the line is down, the answer late, or no answer.
    pub(crate) async fn turn(&self, node: &Node, key: &str, usable: &[Position]) -> Option<SharedTurn> {
        let live = self.live.load_full()?;
        let budget = node.target.settings.budget;
        let taken = tokio::time::timeout(budget, live.take(key, usable)).await.unwrap_or(Err(Miss::Late));
        let part = if node.target.address.cluster { health::part(key) } else { 0 };
        let miss = match taken {
            Ok(turn) => {
                live.health.hit(part);
                return Some(turn);
            }
            Err(miss) => miss,
        };
        let words = miss.words(node);
        if miss.is_of_this_pool(&words) {
            live.health.hit(part);
            node.report.complain(key, &words);
            return None;
        }
        let took = if matches!(miss, Miss::Late) { budget } else { Duration::ZERO };
        if live.health.miss(part, took) && live.verdict.set(words).is_ok() {
            self.live.store(None);
            live.over.notify_one();
        }
        None
    }

    /// Keeps the line up, until it is dropped.
    pub(crate) async fn keep(self: Arc<Self>, node: Arc<Node>, mut first: Option<First>) {
        let _mark = Mark(&self);
        let mut standing = Standing::new(&node.report);
        let mut pause = PAUSE;
        loop {
            let attempt = match first.take() {
                Some(first) => first.map_err(OpenError::Away),
                None => node.target.open().await,
            };
            match attempt {
                Ok(opened) => {
                    standing.up();
                    let End { age, served, verdict } = self.serve(&node, opened).await;
                    if age >= LONGEST_PAUSE {
                        pause = PAUSE;
                    }
                    match verdict {
                        Some(reason) => standing.down(&reason),
                        // It may be the connection alone, closed because it was idle: that is no news. If it is more,
                        // connecting fails.
                        None if served || age >= pause => continue,
                        None => standing.down(&"the connection was closed as soon as it was made"),
                    }
                }
                Err(error) => standing.down(&error),
            }
            self.tried.send_replace(true);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Serves turns over a connection until it ends.
    async fn serve(&self, node: &Node, opened: Opened) -> End {
        let Opened { link, driver, hash } = opened;
        let health = Health::new(node.target.settings.budget);
        let live = Arc::new(Live { link, hash, health, verdict: OnceLock::new(), over: Notify::new() });
        // A task of its own: nothing else is looked at when bytes come.
        let driver = driver.map(|driver| AbortOnDrop(node.tasks.spawn(driver)));
        self.live.store(Some(Arc::clone(&live)));
        self.tried.send_replace(true);
        match driver {
            Some(mut driver) => tokio::select! {
                _ = &mut driver.0 => {}
                () = live.over.notified() => {}
            },
            None => live.over.notified().await,
        }
        self.live.store(None);
        End { age: live.health.age(), served: live.health.served(), verdict: live.verdict.get().cloned() }
    }
}

/// How a connection ended.
struct End {
    age: Duration,
    /// Whether a turn was had.
    served: bool,
    /// Why it was given up; `None` if it broke.
    verdict: Option<String>,
}

impl Live {
    async fn take(&self, key: &str, usable: &[Position]) -> Result<SharedTurn, Miss> {
        let question = script::question(Some(&self.hash), key, usable);
        let answer = match self.link.ask(&question).await {
            // The server was restarted behind the connection's back, or somebody threw all scripts away.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.link.ask(&script::question(None, key, usable)).await
            }
            answer => answer,
        };
        script::answer(&answer.map_err(Miss::Error)?, usable).ok_or(Miss::Nonsense)
    }
}

impl Miss {
    fn words(&self, node: &Node) -> String {
        match self {
            Self::Late => format!("no answer within {:?}, several times in a row", node.target.settings.budget),
            Self::Error(error) => words(error, &node.target.address),
            Self::Nonsense => "what is answered is no turn".to_owned(),
        }
    }

    /// Whether other pools are better off.
    fn is_of_this_pool(&self, words: &str) -> bool {
        matches!(self, Self::Error(_)) && words.contains("WRONGTYPE")
    }
}

/// Tells everyone when the line's runtime ends.
struct Mark<'a>(&'a Line);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
        self.0.live.store(None);
        self.0.tried.send_replace(true);
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
