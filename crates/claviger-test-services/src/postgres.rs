//! PostgreSQL.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::server::Server;
use crate::{Search, database, files, port};

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
const SUPERUSER: &str = "postgres";
const NAME: &str = "PostgreSQL";
/// Ends connections and then itself.
const FAST: &str = "INT";
/// Ends at once, as in a crash, and takes its processes with it.
const IMMEDIATE: &str = "QUIT";
/// Nobody comes in without a password, and over the network only encrypted.
const TLS_ONLY: &str = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";

/// A PostgreSQL server with an empty database `postgres`, which goes with this value.
#[derive(Debug)]
pub struct Postgres {
    // Dropped before its folder.
    server: Option<Server>,
    programs: Programs,
    folder: TempDir,
    password: String,
    tls: bool,
    port: u16,
}

impl Postgres {
    /// Whether PostgreSQL's programs are on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        Programs::find().is_ok()
    }

    /// A new one, which speaks no TLS.
    pub fn start() -> anyhow::Result<Self> {
        Self::new(None)
    }

    /// A new one with this certificate and its key, which refuses network connections without TLS.
    pub fn start_with_tls(cert_pem: &str, key_pem: &str) -> anyhow::Result<Self> {
        Self::new(Some((cert_pem, key_pem)))
    }

    fn new(tls: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let programs = Programs::find()?;
        let folder = files::folder("postgres")?;
        programs.give(folder.path())?;
        let password = files::password()?;
        let mut postgres = Self { server: None, programs, folder, password, tls: tls.is_some(), port: 0 };
        postgres.make_data()?;
        if let Some((cert, key)) = tls {
            postgres.write("server.crt", cert)?;
            postgres.write("server.key", key)?;
            fs::write(postgres.data().join("pg_hba.conf"), TLS_ONLY).context("cannot write pg_hba.conf")?;
        }
        port::on_a_free_one(|port| {
            postgres.port = port;
            postgres.start_again()
        })?;
        Ok(postgres)
    }

    /// The URL of a database, for the superuser. It says nothing of TLS: a test adds `?sslmode=…`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Its port on 127.0.0.1, which it keeps while it is stopped.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks all connections off and ends it. Its data stays.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.server.take().context("PostgreSQL is stopped already")?.end(FAST)
    }

    /// Starts it on the same data and port, after [`Postgres::stop`].
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.start_as(self.programs.as_user("postgres"))
    }

    fn start_as(&mut self, mut command: Command) -> anyhow::Result<()> {
        if self.server.is_some() {
            bail!("PostgreSQL is running already");
        }
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let options = ["fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=32MB"];
        command.args(options.iter().flat_map(|option| ["-c", option]));
        if self.tls {
            for (option, file) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
                command.arg("-c").arg(format!("{option}={}", self.folder.path().join(file).display()));
            }
            command.args(["-c", "ssl=on"]);
        }
        let mut server = Server::start(NAME, &mut command, self.folder.path(), IMMEDIATE)?;
        // Asked at its own socket: at the port, another server could answer.
        server.wait_until(|| {
            let mut ready = Command::new(self.programs.path("pg_isready"));
            ready.args(["-q", "-p", &self.port.to_string(), "-h"]).arg(self.folder.path());
            ready.status().is_ok_and(|status| status.success())
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Stops it, and starts it again on a disk that has no page more for the tables of a database, whose URL is that of
    /// [`Postgres::url`]. `strace` has the system tell the server so, which then does what it does on a full disk.
    pub fn restart_on_a_full_disk(&mut self, database: &str) -> anyhow::Result<()> {
        // 16384 is the first number of what is not the server's own.
        let files = "SELECT pg_relation_filepath(oid) FROM pg_class
                     WHERE oid >= 16384 AND pg_relation_filepath(oid) IS NOT NULL";
        let files = self.execute(database, files)?;
        self.stop()?;
        // The server is the process that is started, and the tracer its child, which ends at a signal.
        let mut strace = self.programs.as_user_found("strace");
        // Without its filter for system calls, which outlives it.
        strace.args(["-D", "-I", "1", "-f", "-qqq", "-o", "/dev/null"]);
        strace.args(["-e", "trace=pwrite64,pwritev,fallocate", "-e"]);
        strace.arg("inject=pwrite64,pwritev,fallocate:error=ENOSPC");
        strace.args(files.lines().flat_map(|file| ["-P".into(), self.data().join(file)]));
        strace.arg(self.programs.path("postgres"));
        self.start_as(strace)
    }

    /// Gives room to a server that was started on a full disk.
    pub fn make_room(&mut self) -> anyhow::Result<()> {
        let status = format!("/proc/{}/status", self.server.as_ref().context("PostgreSQL is stopped")?.id());
        let tracer = || {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().to_owned();
            (tracer != "0").then_some(tracer)
        };
        let strace = tracer().context("there is room already")?;
        let ended = Command::new("sh").args(["-c", r#"kill "$0""#, &strace]).status().context("cannot start sh")?;
        if !ended.success() {
            bail!("strace cannot be ended ({ended})");
        }
        let server = self.server.as_mut().context("PostgreSQL is stopped")?;
        server.wait_until(|| tracer().is_none())
    }

    /// Stops it and starts it again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Runs statements as the superuser, each in a transaction of its own, up to the first that fails. Answers the
    /// rows: one a line, columns with `|` between them, without names.
    pub fn execute(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        // As a file, so that passwords in it do not show in the list of processes.
        let mut statements = tempfile::tempfile().context("cannot make a temporary file")?;
        statements.write_all(sql.as_bytes())?;
        statements.rewind()?;
        let output = Command::new(self.programs.path("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--username", SUPERUSER, "--port", &self.port.to_string(), "--dbname", database, "--host"])
            .arg(self.folder.path())
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PGPASSWORD", &self.password)
            .stdin(statements)
            .output()
            .context("cannot start psql")?;
        if !output.status.success() {
            bail!("psql failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
        }
        let rows = String::from_utf8(output.stdout).context("psql printed what is not text")?;
        Ok(rows.trim_end_matches('\n').to_owned())
    }

    /// Every place of these texts in its files, and in the databases that it has.
    pub fn search(&self, search: &Search) -> anyhow::Result<Vec<String>> {
        let files = search.in_folder(self.folder.path()).into_iter();
        let mut places: Vec<_> = files.map(|(file, found)| format!("{}: {found:?}", file.display())).collect();
        let server = self.url("postgres");
        for name in database::names(&server)? {
            let contents = database::contents(&database::url_of(&server, &name))?;
            places.extend(search.in_bytes(&contents).map(|found| format!("database {name}: {found:?}")));
        }
        Ok(places)
    }

    fn make_data(&self) -> anyhow::Result<()> {
        let password = self.write("password", &self.password)?;
        let output = self
            .programs
            .as_user("initdb")
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", SUPERUSER, "--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .context("cannot start initdb")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("initdb failed ({}):\n{}", output.status, String::from_utf8_lossy(&said));
        }
        fs::remove_file(&password).context("cannot remove the password's file")
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        files::write_private(&path, text)?;
        self.programs.give(&path)?;
        Ok(path)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Where a client program is that belongs to the server's version.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(Programs::find()?.path(name))
}

/// PostgreSQL's programs, and the user that its server runs as where this process is root's: as root, it refuses to.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    user: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> anyhow::Result<Self> {
        let folder = newest_version().or_else(folder_by_pg_config).context("PostgreSQL's server is not installed")?;
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let user = if is_root {
            let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
            Some(ids(&passwd, "postgres").context("there is no user `postgres`")?)
        } else {
            None
        };
        Ok(Self { folder, user })
    }

    fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A program that works on the server's files. The process that is started becomes it, and keeps its id.
    fn as_user(&self, program: &str) -> Command {
        self.as_user_found(self.path(program))
    }

    /// The same of a program that is none of PostgreSQL's.
    fn as_user_found(&self, path: impl AsRef<Path>) -> Command {
        let path = path.as_ref();
        let mut command = match self.user {
            None => Command::new(path),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]).arg("--clear-groups").arg(path);
                command
            }
        };
        command.env("LC_ALL", "C");
        command
    }

    /// Makes the server's user the owner.
    fn give(&self, path: &Path) -> anyhow::Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} away", path.display()))
    }
}

fn newest_version() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    let servers = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path().join("bin");
        has_server(&folder).then_some((version, folder))
    });
    Some(servers.max()?.1)
}

fn folder_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    has_server(&folder).then_some(folder)
}

/// Clients are packaged by themselves.
fn has_server(folder: &Path) -> bool {
    ["postgres", "initdb", "psql", "pg_dump", "pg_isready"].iter().all(|program| folder.join(program).exists())
}

/// User and group id in the text of `/etc/passwd`.
fn ids(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some((ids.next()?.ok()?, ids.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:a:/b:/bin/sh\n";
        assert_eq!(ids(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids(passwd, "post"), None);
    }
}
