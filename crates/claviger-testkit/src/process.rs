//! The product's binaries as real processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::place::Place;

/// A started binary, which is ended with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Lines of stdout up to the one that says where it listens.
    pub said: Vec<String>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Where what it wrote is looked through at the end, and the token that opens everything there.
    place: Option<(Arc<Place>, String)>,
}

/// Where cargo puts the workspace's binaries: beside the folder of the test that runs.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace --bins` first", path.display());
    path
}

impl Process {
    /// A command of a binary, with nothing of this process's environment that could be a setting.
    #[must_use]
    pub fn command(name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a server and waits until it says where it listens. `Err` holds what it wrote to stderr instead.
    pub fn start(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.spawn().expect("the binary starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut pipe = child.stderr.take().expect("stderr is piped");
        let sink = Arc::clone(&stderr);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                sink.lock().expect("no panic").push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        let mut process = Self { child, said: Vec::new(), stderr, reader: Some(reader), place: None };
        let stdout = process.child.stdout.take().expect("stdout is piped");
        for line in BufReader::new(stdout).lines() {
            process.said.push(line.expect("text"));
            if process.said.last().is_some_and(|line| line.starts_with("listening on ")) {
                return Ok(process);
            }
        }
        let status = process.child.wait().expect("the process ends");
        Err((status, process.stderr()))
    }

    /// Has what it writes and tells looked through for secrets at the end.
    pub(crate) fn belongs_to(&mut self, place: &Arc<Place>, root_token: &str) {
        // A root token that is shown once is a secret from then on.
        self.said.iter().for_each(|line| place.shown.note(line));
        self.place = Some((Arc::clone(place), root_token.to_owned()));
    }

    /// Runs a command to its end: status, stdout, stderr.
    pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        name: &str,
        arguments: I,
        environment: &[(&str, &str)],
    ) -> (ExitStatus, String, String) {
        let mut command = Self::command(name);
        let output = command.args(arguments).envs(environment.iter().copied()).output().expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status, text(output.stdout), text(output.stderr))
    }

    /// The address it said it listens on.
    #[must_use]
    pub fn url(&self) -> &str {
        let line = self.said.last().expect("it said where it listens");
        line.strip_prefix("listening on ").expect("a line of that form")
    }

    /// What it wrote to stderr until now. All of it, once the process has ended.
    pub fn stderr(&mut self) -> String {
        if matches!(self.child.try_wait(), Ok(Some(_)))
            && let Some(reader) = self.reader.take()
        {
            reader.join().expect("the reader ends");
        }
        self.stderr.lock().expect("no panic").clone()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, as `kill` does, and does not wait for it.
    pub fn ask_to_end(&self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
    }

    /// Waits until it has ended. The thread waits with it.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let place = self.place.take();
        if let Some((place, root_token)) = &place
            && matches!(self.child.try_wait(), Ok(None))
            && let Some(address) = self.url().strip_prefix("http://")
        {
            place.note_told(address, root_token);
        }
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some((place, _)) = place {
            place.note("the log", self.stderr().into_bytes());
        }
    }
}
