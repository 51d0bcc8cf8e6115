//! What is told of keys, on its way to the server.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::report::Report;
use crate::script::News;

/// How many words may wait on a line: more than requests that fail within a round trip. Beyond it they are lost, for
/// whoever has so much to say is heard too late.
const WAITING: usize = 1_024;

/// One thing to tell. Unless it is told, it counts as lost when it is dropped, wherever that is.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) news: News,
    told: bool,
    report: Arc<Report>,
}

impl Word {
    pub(crate) fn new(news: News, report: &Arc<Report>) -> Self {
        Self { news, told: false, report: Arc::clone(report) }
    }

    pub(crate) fn told(mut self) {
        self.told = true;
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.report.count_word(self.told);
    }
}

/// What stands in a connection's queue.
#[derive(Debug)]
pub(crate) enum Errand {
    Tell(Word),
    /// Someone waits until everything before it is done with.
    Mark(oneshot::Sender<()>),
}

/// What a connection still has to tell, in order.
pub(crate) fn queue() -> (mpsc::Sender<Errand>, mpsc::Receiver<Errand>) {
    mpsc::channel(WAITING)
}
