//! The report: medians over the rounds as Markdown.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::load::Errors;
use super::machine::Machine;
use super::{Case, Options, Samples, Target};
use crate::run;

/// One measurement, or the medians of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(super) requests_a_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Of the proxy's processes; none where there is no proxy.
    pub(super) cpu_a_request: Option<Duration>,
    pub(super) memory_kib: Option<f64>,
    pub(super) errors: Errors,
}

impl Sample {
    /// Medians, with the sum of the errors.
    pub(super) fn median(samples: &[Self]) -> Option<Self> {
        let mut errors = Errors::default();
        for sample in samples {
            errors.add(&sample.errors);
        }
        Some(Self {
            requests_a_second: median(samples.iter().map(|sample| sample.requests_a_second))?,
            p50: median(samples.iter().map(|sample| sample.p50))?,
            p99: median(samples.iter().map(|sample| sample.p99))?,
            cpu_a_request: median(samples.iter().filter_map(|sample| sample.cpu_a_request)),
            memory_kib: median(samples.iter().filter_map(|sample| sample.memory_kib)),
            errors,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (micros(self.p50), micros(self.p99));
        write!(f, "{:.0} req/s, p50 {p50:.0} µs, p99 {p99:.0} µs", self.requests_a_second)?;
        if let Some(cpu) = self.cpu_a_request {
            write!(f, ", CPU {:.1} µs a request", micros(cpu))?;
        }
        if self.errors.total() > 0.0 { write!(f, ", {}", self.errors) } else { Ok(()) }
    }
}

/// The middle one; of an even number the lower of the two, so that the value is one that was measured.
pub(super) fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len().saturating_sub(1) / 2).copied()
}

pub(super) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The machine, and what was measured on it.
pub(super) struct Facts {
    machine: Machine,
    nginx: String,
}

impl Facts {
    pub(super) fn gather() -> anyhow::Result<Self> {
        // nginx prints its version where errors go.
        let nginx = run::output(run::command("sh").args(["-c", "nginx -v 2>&1"]))?;
        let nginx = nginx.trim().trim_start_matches("nginx version: ").to_owned();
        Ok(Self { machine: Machine::gather()?, nginx })
    }
}

pub(super) fn markdown(samples: &Samples, facts: &Facts, lease: &[String], options: &Options) -> String {
    let Facts { machine, nginx } = facts;
    let (rounds, seconds) = (options.rounds, options.seconds);
    let mut text = format!(
        "{machine}, {nginx}; load by wrk on the same cores.\n\
         Medians of {rounds} rounds of {seconds} s.\n\n"
    );
    absolute(&mut text, samples);
    ratios(&mut text, samples, Target::Nginx);
    ratios(&mut text, samples, Target::Before);
    if !lease.is_empty() {
        let _infallible = write!(
            text,
            "\nOne lease (`cargo bench -p claviger-app --bench lease`):\n\n```text\n{}\n```\n",
            lease.join("\n")
        );
    }
    text
}

fn absolute(text: &mut String, samples: &Samples) {
    text.push_str("| mode | connections | target | req/s | p50 µs | p99 µs | CPU µs/request | RSS MiB | errors |\n");
    text.push_str("|---|--:|---|--:|--:|--:|--:|--:|---|\n");
    for (Case { mode, connections, target }, samples) in samples {
        let Some(median) = Sample::median(samples) else { continue };
        let (p50, p99) = (micros(median.p50), micros(median.p99));
        let cpu = median.cpu_a_request.map_or("–".to_owned(), |cpu| format!("{:.1}", micros(cpu)));
        let memory = median.memory_kib.map_or("–".to_owned(), |kib| format!("{:.1}", kib / 1024.0));
        let Sample { requests_a_second, errors, .. } = median;
        let _infallible = writeln!(
            text,
            "| {mode} | {connections} | {target} | {requests_a_second:.0} | {p50:.0} | {p99:.0} | {cpu} | {memory} | {errors} |"
        );
    }
}

/// Of the medians. Below 1.00 Claviger needs less; for req/s above 1.00 it does more.
fn ratios(text: &mut String, samples: &Samples, other: Target) {
    let mut rows = String::new();
    let medians = |case: &Case| samples.get(case).and_then(|samples| Sample::median(samples));
    for case in samples.keys().filter(|case| case.target == Target::Claviger) {
        let Some(claviger) = medians(case) else { continue };
        let Some(other) = medians(&Case { target: other, ..*case }) else { continue };
        let (p50, p99) = (over(micros(claviger.p50), micros(other.p50)), over(micros(claviger.p99), micros(other.p99)));
        let cpu = claviger.cpu_a_request.zip(other.cpu_a_request);
        let cpu = cpu.map_or("–".to_owned(), |(claviger, other)| over(micros(claviger), micros(other)));
        let rate = over(claviger.requests_a_second, other.requests_a_second);
        let Case { mode, connections, .. } = case;
        let _infallible = writeln!(rows, "| {mode} | {connections} | {cpu} | {p50} | {p99} | {rate} |");
    }
    if !rows.is_empty() {
        let _infallible =
            write!(text, "\nClaviger ÷ {other}:\n\n| mode | connections | CPU/request | p50 | p99 | req/s |\n");
        text.push_str("|---|--:|--:|--:|--:|--:|\n");
        text.push_str(&rows);
    }
}

fn over(numerator: f64, denominator: f64) -> String {
    if denominator > 0.0 { format!("{:.2}", numerator / denominator) } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Mode;

    fn sample(requests_a_second: f64, cpu: u64) -> Sample {
        Sample {
            requests_a_second,
            p50: Duration::from_micros(100),
            p99: Duration::from_micros(400),
            cpu_a_request: Some(Duration::from_micros(cpu)),
            memory_kib: Some(10240.0),
            errors: Errors::default(),
        }
    }

    #[test]
    fn the_median_is_a_measured_value() {
        assert_eq!(median([9, 1, 5].into_iter()), Some(5));
        assert_eq!(median([9, 1, 5, 4].into_iter()), Some(4));
        assert_eq!(median(std::iter::empty::<u8>()), None);
    }

    #[test]
    fn claviger_is_shown_as_a_ratio_of_nginx() {
        let case = |target| Case { mode: Mode::Plain, connections: 64, target };
        let samples = Samples::from([
            (case(Target::Nginx), vec![sample(1000.0, 50)]),
            (case(Target::Claviger), vec![sample(900.0, 40), sample(800.0, 60), sample(500.0, 90)]),
        ]);
        let mut text = String::new();
        absolute(&mut text, &samples);
        assert!(text.ends_with("| plain | 64 | claviger | 800 | 100 | 400 | 60.0 | 10.0 | none |\n"), "{text}");
        ratios(&mut text, &samples, Target::Nginx);
        assert!(text.ends_with("| plain | 64 | 1.20 | 1.00 | 1.00 | 0.80 |\n"), "{text}");
    }
}
