//! Callers that go on sending, and will not have a request fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claviger_testkit::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fixture::{Relayed, relay};
use crate::{PATIENCE, say};

/// What a caller waits after an answer: enough load to be in the middle of something at any moment.
const PACE: Duration = Duration::from_millis(10);

/// Callers at work.
pub(crate) struct Load {
    callers: JoinSet<()>,
    books: Arc<Books>,
}

struct Books {
    stop: AtomicBool,
    answered: watch::Sender<u64>,
    failed: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Load {
    /// Starts so many callers. Each asks one node after the other.
    pub(crate) fn start(nodes: &[Client], callers: usize) -> Self {
        let books = Arc::new(Books {
            stop: AtomicBool::new(false),
            answered: watch::Sender::new(0),
            failed: Mutex::default(),
            slowest: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let (nodes, books) = (nodes.to_vec(), Arc::clone(&books));
            tasks.spawn(async move {
                for node in (0..nodes.len()).cycle().skip(number) {
                    if books.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let begun = Instant::now();
                    let relayed = relay(&nodes[node]).await;
                    books.note(node, &relayed, begun.elapsed());
                    tokio::time::sleep(PACE).await;
                }
            });
        }
        Self { callers: tasks, books }
    }

    /// Waits until so many requests more were answered.
    pub(crate) async fn more(&self, requests: u64) {
        let mut answered = self.books.answered.subscribe();
        let until = *answered.borrow() + requests;
        let waited = tokio::time::timeout(PATIENCE, answered.wait_for(|answered| *answered >= until)).await;
        assert!(waited.is_ok(), "requests are not answered; failed: {:?}", self.failed());
    }

    /// What failed until now.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.books.failed.lock().unwrap().clone()
    }

    /// Ends, and asserts that no request failed.
    pub(crate) async fn end_well(self) {
        self.books.stop.store(true, Ordering::SeqCst);
        let Self { callers, books } = self;
        callers.join_all().await;
        let failed = books.failed.lock().unwrap();
        let all = *books.answered.borrow();
        say(&format!("{all} requests, the slowest {:?}", books.slowest.lock().unwrap()));
        assert!(failed.is_empty(), "{} of {all} requests failed: {failed:#?}", failed.len());
    }
}

impl Books {
    fn note(&self, node: usize, relayed: &Relayed, took: Duration) {
        if let Relayed::Not(status, code) = relayed {
            self.failed.lock().unwrap().push(format!("node {node}: {status} {code} after {took:?}"));
        }
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
        drop(slowest);
        self.answered.send_modify(|answered| *answered += 1);
    }
}
