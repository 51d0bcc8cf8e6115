//! How far copying has come, on stderr: a bar at a terminal, otherwise a line now and then.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use claviger_app::copy::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::print;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress, and keeps the last of it.
pub(super) struct Watcher {
    shown: Shown,
    last: Cell<Option<Progress>>,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Cell<Instant> },
}

impl Watcher {
    pub(super) fn new() -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {pos} of {len} owners, {eta} left");
            Shown::Bar(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        } else {
            Shown::Lines { last: Cell::new(Instant::now()) }
        };
        Self { shown, last: Cell::new(None) }
    }

    pub(super) fn see(&self, progress: Progress) {
        self.last.set(Some(progress));
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_length(progress.all);
                bar.set_position(progress.done);
            }
            Shown::Lines { last } => {
                if last.get().elapsed() >= LINE_EVERY {
                    last.set(Instant::now());
                    print::problem(&format!("{} of {} owners are copied", progress.done, progress.all));
                }
            }
        }
    }

    /// Leaves the line to what is printed next.
    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    /// Whether there was nothing to do.
    pub(super) fn all_unchanged(&self) -> bool {
        self.last.get().is_some_and(|progress| progress.unchanged == progress.done)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Copying may be broken off at any point.
        self.end();
    }
}
