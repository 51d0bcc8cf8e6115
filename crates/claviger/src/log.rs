//! Log lines: one an event, on stderr.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::cli::LogFormat;

/// Begins to write log lines. Only the first call counts.
pub(crate) fn begin(format: LogFormat, level: LevelFilter) {
    // The level is for our own events. Libraries log pieces of requests at the lower ones, and tokens may be in them.
    let ours = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("claviger", level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.with_filter(ours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(ours).boxed(),
    };
    let begun = tracing_subscriber::registry().with(lines).try_init();
    // Another subscriber is in place already: then that one is the log.
    drop(begun);
}
