//! `claviger store`

use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use claviger_app::Store;
use claviger_app::copy::{CopyError, Counted, Existing, copy};
use serde_json::json;
use tracing::level_filters::LevelFilter;

use super::progress::Meter;
use super::show;
use crate::cli::{LogFormat, StoreCommand};
use crate::open::Database;
use crate::serve::Stop;
use crate::{log, print};

/// Copying does one thing after the other.
const CONNECTIONS: u32 = 2;

pub(crate) async fn run(json: bool, command: StoreCommand) -> anyhow::Result<()> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    let StoreCommand::Copy { from, to, overwrite } = command;
    if [&from, &to].into_iter().any(|url| holds_password(url)) {
        print::problem(
            "claviger: other users of this machine can see the password in the argument; PGPASSWORD in the environment \
             or a passfile (~/.pgpass) keep it out of sight",
        );
    }
    let from = Database::parse(&from).context("--from")?;
    let to = Database::parse(&to).context("--to")?;
    let existing = if overwrite { Existing::Overwrite } else { Existing::Keep };
    let stop = Stop::listen()?;
    tokio::select! {
        done = copy_between(json, &from, &to, existing) => done,
        () = stop.told() => bail!("told to stop; what was copied stays, and the same command goes on where this one ended"),
    }
}

async fn copy_between(json: bool, from: &Database, to: &Database, existing: Existing) -> anyhow::Result<()> {
    let (source, target) = open(from, to).await?;
    let meter = Meter::new("owners", "copied");
    let last = Cell::new(None);
    let copied = copy(&*source, &*target, existing, |progress| {
        last.set(Some(progress));
        meter.see(progress.done, progress.all);
    });
    let copied = copied.await;
    meter.end();
    target.close().await;
    source.close().await;
    let counts = copied.map_err(|error| match error {
        CopyError::Changed(_) | CopyError::Gone(_) => {
            anyhow!("{error}. --overwrite makes the target what the source is all the same")
        }
        other => other.into(),
    })?;
    let value = json!({
        "organizations": counts.organizations,
        "workspaces": counts.workspaces,
        "dataKeys": counts.data_keys,
        "pools": counts.pools,
        "keys": counts.keys,
        "tokens": counts.tokens,
    });
    show(json, &json!({"success": true, "counts": value}), || {
        let nothing_to_do = last.get().is_some_and(|progress| progress.unchanged == progress.done);
        let before = if nothing_to_do { " (all of it was there before)" } else { "" };
        format!("copied {}{before}", Counted(counts))
    })
}

/// Opens both. Nothing is changed of the source, nor of the target where it is another deployment's.
async fn open(from: &Database, to: &Database) -> anyhow::Result<(Arc<dyn Store>, Arc<dyn Store>)> {
    if let Database::Sqlite(file) = from
        && !file.exists()
    {
        bail!("--from: there is no file {}", file.display());
    }
    if is_same(from, to) {
        bail!("--from and --to name the same database");
    }
    let source = from.find(CONNECTIONS).await.context("--from")?;
    let Some(canary) = source.canary().map(<[u8]>::to_vec) else {
        bail!("--from: {from} holds no deployment: no master key was ever used with it");
    };
    if !source.is_up_to_date() {
        bail!(
            "--from: {from} was written by an older version of Claviger, and is not changed by copying it; start this \
             version's server on it once, which brings its schema up to date, and copy again"
        );
    }
    let target = to.find(CONNECTIONS).await.context("--to")?;
    if target.canary().is_some_and(|there| there != canary) {
        bail!(
            "--to: {to} holds another deployment, sealed under another master key or begun apart from this one; name an \
             empty database"
        );
    }
    let source = source.bring_up_to_date().await.context("--from")?;
    let target = target.bring_up_to_date().await.context("--to")?;
    Ok((source, target))
}

/// A server's database that is named in two ways is not recognised. That does no harm: it has everything already.
fn is_same(from: &Database, to: &Database) -> bool {
    match (from, to) {
        (Database::Sqlite(from), Database::Sqlite(to)) => is_same_file(from, to),
        (Database::Postgres(from), Database::Postgres(to)) => from.expose() == to.expose(),
        (Database::Sqlite(_), Database::Postgres(_)) | (Database::Postgres(_), Database::Sqlite(_)) => false,
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino()));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

pub(super) fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres")) else {
        return false;
    };
    let (authority, more) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let parameters = more.split_once('?').map_or("", |(_, parameters)| parameters);
    user.contains(':') || parameters.split('&').any(|parameter| parameter.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_databases_of_one_server_are_two() {
        let [one, same, other] =
            ["one", "one", "other"].map(|name| Database::parse(&format!("postgres://me@db.example/{name}")).unwrap());
        assert!(is_same(&one, &same));
        assert!(!is_same(&one, &other));
    }

    #[test]
    fn a_password_in_an_argument_is_noticed() {
        for url in ["postgres://me:x@db/c", "postgresql://me:x@db?a=b", "postgres://db/c?sslmode=require&password=x"] {
            assert!(holds_password(url), "{url}");
        }
        for url in ["postgres://me@db:5432/c", "postgres://db:5432/c?passfile=x", "sqlite:///a:b@c", "x"] {
            assert!(!holds_password(url), "{url}");
        }
    }
}
