//! The servers that all tests share.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context;
use claviger_test_services::{POSTGRES_VARIABLE, Postgres, Search, VALKEY_VARIABLE, Valkey};

use crate::install;

/// A PostgreSQL and a Valkey, which end with this value.
pub(crate) struct Services {
    postgres: Postgres,
    valkey: Valkey,
}

impl Services {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (postgres, valkey) = (Postgres::start()?, Valkey::start()?);
        eprintln!("PostgreSQL at port {}, Valkey at port {}", postgres.port(), valkey.port());
        Ok(Self { postgres, valkey })
    }

    /// What tells a test where they are.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(POSTGRES_VARIABLE, self.postgres.url("postgres")), (VALKEY_VARIABLE, self.valkey.url())]
    }

    /// Every place of these texts in what they hold and have written.
    pub(crate) fn search(&self, search: &Search) -> anyhow::Result<Vec<String>> {
        let mut places = self.postgres.search(search)?;
        let files = search.in_folder(self.valkey.folder()).into_iter();
        places.extend(files.map(|(file, found)| format!("{}: {found:?}", file.display())));
        Ok(places)
    }
}

/// Runs a command where this process was started, with servers beside it that end after it.
pub(crate) fn run_with(command: &[String]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    install::services()?;
    let services = Services::start()?;
    let status = Command::new(program).args(arguments).envs(services.variables()).status();
    Ok(exit_code(status.with_context(|| format!("cannot start {program}"))?))
}

/// As a shell passes it on: 128 and the signal, for a process that was ended by one.
fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(exit_number(status))
}

fn exit_number(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_as_it_would_in_a_shell() {
        let ended = |script: &str| exit_number(Command::new("sh").args(["-c", script]).status().unwrap());
        assert_eq!(ended("true"), 0);
        assert_eq!(ended("exit 7"), 7);
        assert_eq!(ended("kill -s TERM $$"), 143);
    }
}
