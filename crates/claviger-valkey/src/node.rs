//! What a node's lines have in common, and which of them is whose.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::line::{First, Line};
use crate::open::Target;
use crate::report::Report;

static NUMBER: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The lines that this thread has used lately, so that a turn takes no lock. Mostly one.
    static LATELY: RefCell<Vec<(u64, runtime::Id, Arc<Line>)>> = const { RefCell::new(Vec::new()) };
}

/// One node's share in the rotation of all.
#[derive(Debug)]
pub(crate) struct Node {
    number: u64,
    pub(crate) target: Target,
    pub(crate) report: Arc<Report>,
    pub(crate) tasks: TaskTracker,
    stop: CancellationToken,
    lines: Mutex<Vec<(runtime::Id, Arc<Line>)>>,
}

impl Node {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            target,
            report: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            lines: Mutex::default(),
        }
    }

    /// The line of the runtime that this thread works for. It is begun here, if it is not there yet.
    pub(crate) fn line(self: &Arc<Self>) -> Option<Arc<Line>> {
        let runtime = Handle::try_current().ok()?.id();
        LATELY.with_borrow_mut(|lately| {
            let mine = |(number, id, line): &&(u64, runtime::Id, Arc<Line>)| {
                *number == self.number && *id == runtime && !line.is_gone()
            };
            if let Some((_, _, line)) = lately.iter().find(mine) {
                return Some(Arc::clone(line));
            }
            let line = self.begin(runtime, None)?;
            // A runtime's id may come again once it has ended: then its line is gone.
            lately.retain(|(_, _, line)| !line.is_gone());
            lately.push((self.number, runtime, Arc::clone(&line)));
            Some(line)
        })
    }

    /// Some line that is up.
    pub(crate) fn line_that_is_up(&self) -> Option<Arc<Line>> {
        self.lines.lock().iter().find(|(_, line)| line.is_up()).map(|(_, line)| Arc::clone(line))
    }

    /// The line of this runtime, which is the present one; begun with what came of a first attempt, if there was one.
    pub(crate) fn begin(self: &Arc<Self>, runtime: runtime::Id, first: Option<First>) -> Option<Arc<Line>> {
        let mut lines = self.lines.lock();
        lines.retain(|(_, line)| !line.is_gone());
        if let Some((_, line)) = lines.iter().find(|(id, _)| *id == runtime) {
            return Some(Arc::clone(line));
        }
        if self.stop.is_cancelled() {
            return None;
        }
        let line = Arc::new(Line::new());
        let keep = Box::pin(Arc::clone(&line).keep(Arc::clone(self), first));
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled_owned(keep).await });
        lines.push((runtime, Arc::clone(&line)));
        Some(line)
    }

    /// Ends all lines.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }
}
