//! One runtime's connection: made there, driven there, and made again there when it is lost.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use claviger_app::coordination::SharedTurn;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::asked::Asked;
use crate::error::{Away, OpenError};
use crate::greeting::words;
use crate::health::{self, Health};
use crate::link::Link;
use crate::node::Node;
use crate::open::Opened;
use crate::report::Standing;
use crate::script::{Hashes, News, Question};
use crate::word::{self, Errand, Word};

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
pub(crate) struct Live {
    link: Link,
    hashes: Hashes,
    health: Health,
    words: mpsc::Sender<Errand>,
    /// Why it is given up.
    verdict: OnceLock<String>,
    over: Notify,
}

/// Why a turn was missed, or something not told.
pub(crate) enum Miss {
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
    pub(crate) async fn turn(&self, node: &Arc<Node>, question: Question) -> Option<SharedTurn> {
        let live = self.live.load_full()?;
        let question = Arc::new(question);
        self.had(node, &live, &question.key, Asked::new(&question, &live, node)).await
    }

    /// Hands over something to tell, and does not wait. It is lost where the line is down, or busy beyond hope.
    pub(crate) fn say(&self, word: Word) {
        if let Some(live) = &*self.live.load() {
            live.say(word);
        }
    }

    /// Waits until everything that was said before is told or lost.
    pub(crate) async fn told(&self) {
        let Some(live) = self.live.load_full() else { return };
        let (mark, reached) = oneshot::channel();
        if live.words.send(Errand::Mark(mark)).await.is_ok() {
            // An error means that the connection ended, and all that waited is lost.
            let _ = reached.await;
        }
    }

    /// Waits for an answer that is about this pool, for as long as the budget allows, and judges the connection by it.
    async fn had<T>(
        &self,
        node: &Node,
        live: &Live,
        key: &str,
        answer: impl Future<Output = Result<T, Miss>>,
    ) -> Option<T> {
        let budget = node.target.settings.budget;
        let part = if node.target.address.cluster { health::part(key) } else { 0 };
        let miss = match tokio::time::timeout(budget, answer).await.unwrap_or(Err(Miss::Late)) {
            Ok(had) => {
                live.health.hit(part);
                return Some(had);
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
        let Opened { link, driver, hashes } = opened;
        let health = Health::new(node.target.settings.budget);
        let (words, errands) = word::queue();
        let live = Arc::new(Live { link, hashes, health, words, verdict: OnceLock::new(), over: Notify::new() });
        // A task of its own: nothing else is looked at when bytes come.
        let mut driver = driver.map(|driver| AbortOnDrop(node.tasks.spawn(driver)));
        let broken = async {
            match &mut driver {
                Some(driver) => drop((&mut driver.0).await),
                None => std::future::pending().await,
            }
        };
        self.live.store(Some(Arc::clone(&live)));
        self.tried.send_replace(true);
        tokio::select! {
            () = broken => {}
            () = live.over.notified() => {}
            () = self.tell(node, &live, errands) => {}
        }
        self.live.store(None);
        End { age: live.health.age(), served: live.health.served(), verdict: live.verdict.get().cloned() }
    }

    /// Tells what there is to tell, in order: each waits until the one before is done with. Does not end by itself, for
    /// the connection keeps its queue open.
    async fn tell(&self, node: &Node, live: &Live, mut errands: mpsc::Receiver<Errand>) {
        while let Some(errand) = errands.recv().await {
            match errand {
                Errand::Tell(word) => {
                    if self.had(node, live, &word.news.key, live.tell(&word.news)).await.is_some() {
                        word.told();
                    }
                }
                Errand::Mark(mark) => {
                    // Whoever waited for it may have left.
                    let _ = mark.send(());
                }
            }
        }
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
    pub(crate) async fn take(&self, question: &Question) -> Result<SharedTurn, Miss> {
        let answer = self.ask(|hashes| question.ask(hashes)).await?;
        question.answer(&answer).ok_or(Miss::Nonsense)
    }

    async fn tell(&self, news: &News) -> Result<(), Miss> {
        self.ask(|hashes| news.tell(hashes)).await.map(drop)
    }

    async fn ask(&self, command: impl Fn(Option<&Hashes>) -> Cmd) -> Result<Value, Miss> {
        let answer = match self.link.ask(&command(Some(&self.hashes))).await {
            // The server was restarted behind the connection's back, or somebody threw all scripts away.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.link.ask(&command(None)).await
            }
            answer => answer,
        };
        answer.map_err(Miss::Error)
    }

    /// Puts something into the queue, if there is room.
    pub(crate) fn say(&self, word: Word) {
        // What finds no room comes back, and counts as lost.
        let _ = self.words.try_send(Errand::Tell(word));
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
