//! The machine that is measured on.

use std::fmt;
use std::fs;
use std::thread;

use crate::run;

pub(super) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    rustc: String,
}

impl Machine {
    pub(super) fn gather() -> anyhow::Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        // Without the distributor's suffix.
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let kernel = release.trim().split('-').next().unwrap_or_default().to_owned();
        Ok(Self {
            cores: thread::available_parallelism()?.get(),
            processor: model.map_or("unknown processor", |(_, model)| model).to_owned(),
            kernel,
            rustc: run::output(run::command("rustc").arg("--version"))?.trim().to_owned(),
        })
    }

    /// How many tasks wanted a core, on average over the last minute.
    pub(super) fn load() -> anyhow::Result<String> {
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(load.split_whitespace().next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, rustc } = self;
        write!(f, "{cores} cores ({processor}), Linux {kernel}, {rustc}")
    }
}
