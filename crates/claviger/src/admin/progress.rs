//! How far a long command has come, on stderr: a bar at a terminal, otherwise a line now and then.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::print;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress.
pub(super) struct Meter {
    /// What is counted.
    unit: &'static str,
    /// What has become of those that are counted.
    done: &'static str,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Cell<Instant> },
}

impl Meter {
    /// For so many `unit`s that in the end are all `done`.
    pub(super) fn new(unit: &'static str, done: &'static str) -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {pos} of {len} {msg}, {eta} left");
            let bar = ProgressBar::new(0).with_message(unit);
            Shown::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        } else {
            Shown::Lines { last: Cell::new(Instant::now()) }
        };
        Self { unit, done, shown }
    }

    pub(super) fn see(&self, done: u64, all: u64) {
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_length(all);
                bar.set_position(done);
            }
            Shown::Lines { last } => {
                if last.get().elapsed() >= LINE_EVERY {
                    last.set(Instant::now());
                    print::problem(&format!("{done} of {all} {} are {}", self.unit, self.done));
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
}

impl Drop for Meter {
    fn drop(&mut self) {
        // The command may be broken off at any point.
        self.end();
    }
}
