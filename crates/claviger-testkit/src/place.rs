//! A deployment's folder and all that its processes wrote, in which no secret may be left.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger_test_services::accuse;
use tempfile::TempDir;

use crate::secrets::Shown;
use crate::sqlite;

/// The file in which the server keeps the master key that it made, and may.
const MASTER_KEY: &str = "master.key";
/// Files beside the data folder in which tests hand secrets over.
const HANDED_OVER: [&str; 3] = ["secret", "keys.env", "keys.jsonl"];
/// How long a server that is about to end is waited for.
const SOON: Duration = Duration::from_secs(2);
/// What every server tells whoever asks.
const TOLD: [&str; 4] = ["/metrics", "/readyz", "/healthz", "/api/platform/audit-log"];

/// A temporary folder. When the last part of a test lets it go, everything in it and everything that was noted is looked
/// through for secrets, and the test fails where there is one; where it fails already, it says so.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) shown: Arc<Shown>,
    written: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Place {
    #[expect(clippy::expect_used, reason = "in a test, a panic with its message is the failure report")]
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, shown: Arc::default(), written: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Notes what was written elsewhere than in the folder.
    pub(crate) fn note(&self, what: &str, bytes: Vec<u8>) {
        if let Ok(mut written) = self.written.lock() {
            written.push((what.to_owned(), bytes));
        }
    }

    /// Notes what a server tells, while it still does.
    pub(crate) fn note_told(&self, address: &str, root_token: &str) {
        for path in TOLD {
            let mut told = Vec::new();
            // A server that is gone, or speaks TLS, tells nothing here.
            let _ = ask(address, path, root_token, &mut told);
            self.note(path, told);
        }
    }

    fn may_hold_secrets(&self, file: &Path) -> bool {
        let within = file.strip_prefix(self.path()).unwrap_or(file);
        within.ends_with(MASTER_KEY) || HANDED_OVER.iter().any(|name| within == Path::new(name))
    }

    /// Every place of a secret, in words without it.
    fn leaks(&self) -> Vec<String> {
        if let Ok(made) = std::fs::read_to_string(self.path().join("data").join(MASTER_KEY)) {
            self.shown.note_secret(made.trim());
        }
        let search = self.shown.search();
        let files = search.in_folder(self.path()).into_iter();
        let files = files.filter(|(file, _)| !self.may_hold_secrets(file));
        let mut leaks: Vec<_> = files.map(|(file, found)| format!("{}: {found:?}", file.display())).collect();
        // After the files, since whoever opens a database may write into it.
        match sqlite::contents(self.path()) {
            Ok(values) => self.note("a table of SQLite", values),
            Err(error) => leaks.push(format!("SQLite's tables cannot be looked through: {error}")),
        }
        let written = self.written.lock().map(|mut written| std::mem::take(&mut *written)).unwrap_or_default();
        let noted = written.iter().filter_map(|(what, bytes)| Some((what, search.in_bytes(bytes)?)));
        leaks.extend(noted.map(|(what, found)| format!("{what}: {found:?}")));
        leaks
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let leaks = self.leaks();
        if !leaks.is_empty() {
            accuse(&format!("secrets were written: {leaks:#?}"));
        }
    }
}

fn ask(address: &str, path: &str, token: &str, told: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.read_to_end(told)
}
