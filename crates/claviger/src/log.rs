//! Log lines: one an event, on stderr.

use tracing_subscriber::filter::LevelFilter;

use crate::cli::LogFormat;

/// Begins to write log lines. Only the first call counts.
pub(crate) fn begin(format: LogFormat, level: LevelFilter) {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    let begun = match format {
        LogFormat::Text => lines.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_target(false).try_init(),
    };
    // Another subscriber is in place already: then that one is the log.
    drop(begun);
}
