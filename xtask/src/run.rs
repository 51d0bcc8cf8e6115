//! Processes: run to their end, or kept for a while and then ended by their id.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::root;

/// How long a server may take to say that it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to end in an orderly way.
const END_LIMIT: Duration = Duration::from_secs(10);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// `cargo`, in the repository's root.
pub(crate) fn cargo() -> Command {
    command("cargo")
}

/// A program, in the repository's root, without input.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs to the end with this process's output. Fails where the program does.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// What the program wrote to its standard output; its errors go to ours. Fails where the program does.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed what is not text", shown(command)))
}

/// Whether the program can be started and ends well; its output is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs to the end, passing what it writes through while `line` sees each line of it, and whether it is an error's. Tells
/// whether the program ended well.
pub(crate) fn watched(command: &mut Command, line: impl FnMut(&str, Stream) + Send) -> anyhow::Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let (stdout, stderr, line) = (child.stdout.take(), child.stderr.take(), Mutex::new(line));
    let see = |text: &str, stream| {
        if let Ok(mut line) = line.lock() {
            line(text, stream);
        }
    };
    thread::scope(|scope| {
        let errors = scope.spawn(|| pass(stderr, std::io::stderr(), |text| see(text, Stream::Errors)));
        let passed = pass(stdout, std::io::stdout(), |text| see(text, Stream::Output));
        passed.and(errors.join().unwrap_or_else(|_| bail!("its errors could not be read")))
    })?;
    Ok(child.wait()?.success())
}

/// Where a line was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Output,
    Errors,
}

fn pass(from: Option<impl Read>, mut to: impl Write, line: impl Fn(&str)) -> anyhow::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let (mut from, mut bytes) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut bytes)? > 0 {
        to.write_all(&bytes)?;
        to.flush()?;
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let mut shown = format!("`{}", command.get_program().to_string_lossy());
    for argument in command.get_args() {
        let _infallible = write!(shown, " {}", argument.to_string_lossy());
    }
    shown.push('`');
    shown
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it, with its output in a log file in `dir`.
    pub(crate) fn start(name: &'static str, command: &mut Command, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", shown(command)))?;
        Ok(Self { name, child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its line `listening on http://ADDRESS`.
    pub(crate) fn address(&mut self) -> anyhow::Result<SocketAddr> {
        self.wait_for(|log| log.lines().find_map(|line| line.split_once("listening on http://")?.1.trim().parse().ok()))
    }

    /// Waits until `ready` finds in its output, or elsewhere, what it looks for.
    pub(crate) fn wait_for<T>(&mut self, ready: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(found) = ready(&log) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start ({status}):\n{log}", self.name);
            }
            if started.elapsed() > START_LIMIT {
                bail!("{} is not ready after {START_LIMIT:?}:\n{log}", self.name);
            }
            pause();
        }
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            pause();
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // nginx ends its workers when it is asked to end, and orphans them when it is killed.
        signal("TERM", self.id());
        if self.ended_within(END_LIMIT) {
            return;
        }
        eprintln!("{} does not end when asked; killing it", self.name);
        for id in process_tree(self.id()) {
            signal("KILL", id);
        }
        let _ended = self.child.wait();
    }
}

fn signal(signal: &str, id: u32) {
    let _sent = works(Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &id.to_string()]));
}

/// The process and everything it started, itself first.
pub(crate) fn process_tree(id: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?)))
        .collect();
    let mut tree = vec![id];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(id, _)| id));
        next += 1;
    }
    tree
}

/// The parent in a line of `/proc/PID/stat`, whose second field is a name in brackets that may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here, and no event to wait for in another process")]
fn pause() {
    thread::sleep(POLL_PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_seen_that_a_program_writes_and_how_it_ends() {
        let mut script = command("sh");
        script.args(["-c", "echo out; echo err >&2; printf last; exit 3"]);
        let mut seen = Vec::new();
        let ended_well = watched(&mut script, |line, stream| seen.push((line.to_owned(), stream))).unwrap();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        let [out, err, last] = ["out", "err", "last"].map(str::to_owned);
        assert_eq!(seen, [(err, Stream::Errors), (last, Stream::Output), (out, Stream::Output)]);
        assert!(!ended_well);
    }

    #[test]
    fn a_process_name_with_brackets_and_blanks_is_stepped_over() {
        assert_eq!(parent("17 (a) b (c)) S 12 17 17 0"), Some(12));
    }

    #[test]
    fn a_server_ends_with_its_guard() {
        let dir = tempfile::tempdir().unwrap();
        let mut script = Command::new("sh");
        script.args(["-c", "echo listening on http://127.0.0.1:9; sleep 60 & wait"]);
        let mut server = Server::start("script", &mut script, dir.path()).unwrap();
        assert_eq!(server.address().unwrap(), "127.0.0.1:9".parse().unwrap());
        let tree = process_tree(server.id());
        assert_eq!(tree.first(), Some(&server.id()));
        drop(server);
        assert!(!Path::new(&format!("/proc/{}", tree[0])).exists());
        // The shell leaves its child behind, as we asked only the shell.
        tree[1..].iter().for_each(|id| signal("TERM", *id));
    }

    #[test]
    fn a_server_that_ends_at_its_start_shows_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut script = Command::new("sh");
        script.args(["-c", "echo no port >&2; exit 3"]);
        let error = Server::start("script", &mut script, dir.path()).unwrap().address().unwrap_err().to_string();
        assert!(error.contains("no port"), "{error}");
    }
}
