//! What is in SQLite's files, as it reads and not as it is stored: long values are cut into pieces there, in which nobody
//! finds anything.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a database begins.
const HEADER: &[u8; 15] = b"SQLite format 3";
/// Prints the table definitions and every value of every table of these databases. What a test has broken has nothing to
/// read; the files themselves are looked through as well.
const SCRIPT: &str = r#"
import sqlite3, sys
out = sys.stdout.buffer
for path in sys.argv[1:]:
    database = sqlite3.connect(path)
    database.text_factory = bytes
    try:
        for name, sql in database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
            out.write(sql or b"")
            for row in database.execute(f'SELECT * FROM "{name.decode()}"'):
                out.writelines((value if isinstance(value, bytes) else str(value).encode()) + b"\n" for value in row)
    except sqlite3.DatabaseError:
        continue
"#;

/// All values in the databases of a folder, one a line. `Err` says why they cannot be read.
pub(crate) fn contents(folder: &Path) -> Result<Vec<u8>, String> {
    let databases = databases(folder);
    if databases.is_empty() {
        return Ok(Vec::new());
    }
    let mut python = Command::new("python3");
    let output = python.args(["-c", SCRIPT]).args(databases).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("python3: {error}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn databases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => databases(&entry.path()),
        Ok(kind) if kind.is_file() && is_database(&entry.path()) => vec![entry.path()],
        _ => Vec::new(),
    });
    found.collect()
}

fn is_database(path: &Path) -> bool {
    let mut begin = [0; HEADER.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == *HEADER
}
