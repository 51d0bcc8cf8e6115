//! Load, made by wrk: a fixed number of connections, each with one request at a time.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::servers::Endpoint;
use super::{Mode, http};
use crate::run;

const PATH: &str = "/v1/chat/completions";
/// Events of text in a streamed answer.
const CHUNKS: &str = "20";

/// The end of the script: wrk's own summary as one line of JSON. Times are in microseconds.
const DONE: &str = r#"
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests":%d,"time":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"#;

/// Workspaces that requests are for, one after the other and around.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workspaces {
    /// The first one's number.
    pub(super) first: u64,
    /// From one number to the next.
    pub(super) step: u64,
    pub(super) count: u64,
}

impl Workspaces {
    /// The header in which a service names the workspace.
    const HEADER: &str = "x-claviger-workspace";

    fn id(number: u64) -> String {
        format!("ws-{number:07}")
    }

    /// wrk asks this for every request.
    fn lua(self) -> String {
        let Self { first, step, count } = self;
        format!(
            "local turn = 0\nfunction request()\n    \
             wrk.headers['{}'] = string.format('ws-%07d', {first} + turn % {count} * {step})\n    \
             turn = turn + 1\n    return wrk.format()\nend\n",
            Self::HEADER
        )
    }
}

/// One kind of request to one target.
pub(super) struct Load {
    mode: Mode,
    address: SocketAddr,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    script: PathBuf,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) requests: f64,
    pub(super) time: Duration,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) errors: Errors,
}

/// What went wrong, in numbers of requests or connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    connect: f64,
    read: f64,
    write: f64,
    /// Answers with a status of 400 and above.
    status: f64,
    timeout: f64,
}

impl Load {
    pub(super) fn new(endpoint: &Endpoint, mode: Mode, dir: &Path) -> anyhow::Result<Self> {
        let messages = json!([{ "role": "user", "content": "Say hello." }]);
        let mut headers = vec![("authorization", format!("Bearer {}", endpoint.token))];
        let body = match mode {
            Mode::Plain => json!({ "model": "gpt-4.1-mini", "messages": messages }),
            Mode::Stream => {
                headers.push(("x-mock-chunks", CHUNKS.to_owned()));
                json!({ "model": "gpt-4.1-mini", "messages": messages, "stream": true })
            }
        };
        let body = body.to_string();
        let script = dir.join(format!("{mode}-{}.lua", endpoint.address.port()));
        fs::write(&script, lua(&headers, &body)).with_context(|| format!("cannot write {}", script.display()))?;
        let path = format!("{}{PATH}", endpoint.prefix);
        Ok(Self { mode, address: endpoint.address, path, headers, body, script })
    }

    /// Plain requests for many workspaces.
    pub(super) fn over(endpoint: &Endpoint, workspaces: Workspaces, dir: &Path) -> anyhow::Result<Self> {
        let mut load = Self::new(endpoint, Mode::Plain, dir)?;
        let mut script = fs::OpenOptions::new().append(true).open(&load.script)?;
        script.write_all(workspaces.lua().as_bytes())?;
        load.headers.push((Workspaces::HEADER, Workspaces::id(workspaces.first)));
        Ok(load)
    }

    /// Asks once and looks at the answer, which wrk does not.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::ask(self.address, "POST", &self.path, &headers, &self.body)?;
        let complete = match self.mode {
            Mode::Plain => answer.body.contains("\"chat.completion\""),
            Mode::Stream => answer.body.contains("data: [DONE]"),
        };
        if answer.status != 200 || !complete {
            bail!("it answered {}: {}", answer.status, answer.body);
        }
        Ok(())
    }

    pub(super) fn run(&self, connections: u32, time: Duration) -> anyhow::Result<Outcome> {
        let mut wrk = run::command("wrk");
        wrk.args(["--threads", "1", "--latency", "--timeout", "10s"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", time.as_secs())])
            .arg("--script")
            .arg(&self.script)
            .arg(format!("http://{}{}", self.address, self.path));
        let output = run::output(&mut wrk)?;
        outcome(&output).with_context(|| format!("wrk printed no summary:\n{output}"))
    }
}

fn lua(headers: &[(&str, String)], body: &str) -> String {
    let mut script =
        format!("wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = [==[{body}]==]\n");
    for (name, value) in headers {
        let _infallible = writeln!(script, "wrk.headers['{name}'] = '{value}'");
    }
    script + DONE
}

fn outcome(output: &str) -> Option<Outcome> {
    let line = output.lines().rev().find(|line| line.starts_with('{'))?;
    let summary: Value = serde_json::from_str(line).ok()?;
    let number = |name: &str| summary[name].as_f64();
    let micros = |name: &str| summary[name].as_u64().map(Duration::from_micros);
    Some(Outcome {
        requests: number("requests")?,
        time: micros("time")?,
        p50: micros("p50")?,
        p99: micros("p99")?,
        errors: Errors {
            connect: number("connect")?,
            read: number("read")?,
            write: number("write")?,
            status: number("status")?,
            timeout: number("timeout")?,
        },
    })
}

impl Errors {
    fn named(&self) -> [(&'static str, f64); 5] {
        let Self { connect, read, write, status, timeout } = *self;
        [("connect", connect), ("read", read), ("write", write), ("status", status), ("timeout", timeout)]
    }

    pub(super) fn total(&self) -> f64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.connect += other.connect;
        self.read += other.read;
        self.write += other.write;
        self.status += other.status;
        self.timeout += other.timeout;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self
            .named()
            .into_iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if named.is_empty() { f.write_str("none") } else { write!(f, "**FAILED: {}**", named.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_wrk_is_read() {
        let output = "Requests/sec: 10\n\n{\"requests\":20,\"time\":2000000,\"p50\":150,\"p99\":900,\
                      \"connect\":0,\"read\":1,\"write\":0,\"status\":3,\"timeout\":0}\n";
        let outcome = outcome(output).unwrap();
        assert_eq!(outcome.requests.to_string(), "20");
        assert_eq!((outcome.time, outcome.p99), (Duration::from_secs(2), Duration::from_micros(900)));
        assert_eq!(outcome.errors.to_string(), "**FAILED: 1 read, 3 status**");
    }

    #[test]
    fn a_run_without_errors_says_so() {
        assert_eq!(Errors::default().to_string(), "none");
    }
}
