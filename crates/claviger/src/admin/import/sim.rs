//! `claviger import sim`

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};
use claviger_app::import::{Arrival, Fate, Home, Importer, Secret, fitted_actor, fitted_name};
use claviger_core::{Catalogue, Owner, OwnerKind};
use claviger_seal::SimKey;
use claviger_store_postgres::{SimKeyRow, SimKeys, SimOwner, SimSource};
use zeroize::Zeroizing;

use super::BROKEN_OFF;
use super::report::{Report, Told};
use crate::admin::progress::Meter;
use crate::admin::secret;
use crate::admin::store::holds_password;
use crate::cli::SimFlags;
use crate::print;
use crate::serve::Stop;
use crate::settings::process_environment;

/// Sim's database and what opens its keys.
pub(super) struct Source {
    database: SimSource,
    key: SimKey,
    /// The catalogue's id for an id of Sim's, where they differ.
    providers: HashMap<String, String>,
}

impl Source {
    pub(super) async fn open(
        from: &SimFlags,
        key_file: &Path,
        (providers, catalogue): (&[String], &Catalogue),
    ) -> anyhow::Result<Self> {
        let providers = providers.iter().map(|pair| renamed(pair, catalogue)).collect::<anyhow::Result<_>>()?;
        let url = url(from)?;
        let key = SimKey::parse(&secret::read_file("--encryption-key-file", key_file)?)
            .with_context(|| format!("--encryption-key-file {}", key_file.display()))?;
        let database = SimSource::open(&url).await.context("the source")?;
        Ok(Self { database, key, providers })
    }

    /// Imports until the end, or until it is told to stop.
    pub(super) async fn import(mut self, importer: &mut Importer<'_>, report: &mut Report) -> anyhow::Result<()> {
        let stop = Stop::listen()?;
        tokio::select! {
            done = self.import_all(importer, report) => done?,
            () = stop.told() => bail!("told to stop. {BROKEN_OFF}"),
        }
        // Everything was read.
        Ok(self.database.close().await?)
    }

    async fn import_all(&mut self, importer: &mut Importer<'_>, report: &mut Report) -> anyhow::Result<()> {
        let tables = self.database.keys().to_vec();
        let all = tables.iter().map(|table| table.count).sum();
        for table in &tables {
            print::problem(&found(self.database.name(), *table));
        }
        let meter = Meter::new("keys", "done");
        for table in tables {
            self.database.begin_keys(table.owners).await.context("the source")?;
            let mut last = String::new();
            loop {
                let page = self.database.next_keys().await.context("the source")?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    if row.owner != last {
                        importer.next_owner();
                        last.clone_from(&row.owner);
                    }
                    self.take(table.owners, &row, importer, report).await?;
                    meter.see(report.seen(), all);
                }
            }
        }
        self.bring_members(importer).await
    }

    async fn take(
        &mut self,
        owners: OwnerKind,
        row: &SimKeyRow,
        importer: &mut Importer<'_>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let Self { database, key, providers } = self;
        let told = Told {
            at: &format!("{}_byok_keys {}", owners.as_str(), row.id),
            owner: &format!("{} {}", owners.as_str(), row.owner),
            provider: &row.provider,
        };
        let owner = match owner(owners, &row.owner) {
            Ok(owner) => owner,
            Err(why) => {
                report.note(told, Fate::Refused(why));
                return Ok(());
            }
        };
        let arrival = Arrival {
            owner,
            provider: providers.get(&row.provider).unwrap_or(&row.provider),
            secret: Secret::Sim(key, &row.sealed),
            name: row.name.as_deref().and_then(fitted_name),
            created_by: row.created_by.as_deref().and_then(fitted_actor),
        };
        let ask = async |_: &Owner| {
            let mut home = home(database.owner(owners, &row.owner).await?);
            if let Some((id, name)) = &mut home.organization {
                *name = self::home(database.owner(OwnerKind::Organization, id.as_str()).await?).name;
            }
            Ok(home)
        };
        let fate = importer.take(arrival, ask).await.context(BROKEN_OFF)?;
        report.note(told, fate);
        Ok(())
    }

    /// The workspaces of organizations that have keys. Those that have none of their own inherit them.
    async fn bring_members(&mut self, importer: &mut Importer<'_>) -> anyhow::Result<()> {
        if !self.database.tells_members() {
            return Ok(());
        }
        self.database.begin_members().await.context("the source")?;
        loop {
            let page = self.database.next_members().await.context("the source")?;
            if page.is_empty() {
                return Ok(());
            }
            for (id, workspace) in page {
                // An id that cannot be one here has no keys here either.
                if let Ok(owner) = owner(OwnerKind::Workspace, &id) {
                    importer.bring_owner(&owner, home(workspace)).await.context(BROKEN_OFF)?;
                }
            }
        }
    }
}

fn found(database: &str, table: SimKeys) -> String {
    let SimKeys { owners, count, several } = table;
    let shape = if several { "several keys a provider" } else { "one key a provider" };
    format!("{database}: {}_byok_keys has {count} keys ({shape})", owners.as_str())
}

fn home(told: SimOwner) -> Home {
    let name = |text: Option<String>| text.as_deref().and_then(fitted_name).map(|name| name.as_str().to_owned());
    let organization = told.organization.and_then(|id| id.parse().ok()).map(|id| (id, None));
    Home { name: name(told.name), organization }
}

fn owner(kind: OwnerKind, id: &str) -> Result<Owner, String> {
    match kind {
        OwnerKind::Workspace => id.parse().map(Owner::Workspace).map_err(|error| format!("{error}")),
        OwnerKind::Organization => id.parse().map(Owner::Organization).map_err(|error| format!("{error}")),
        OwnerKind::Platform => Ok(Owner::Platform),
    }
}

fn renamed(pair: &str, catalogue: &Catalogue) -> anyhow::Result<(String, String)> {
    let (theirs, ours) = pair
        .split_once('=')
        .with_context(|| format!("--provider {pair}: must be THEIRS=OURS, Sim's id and the catalogue's"))?;
    if catalogue.get(ours).is_none() {
        bail!("--provider {pair}: there is no provider {ours} in the catalogue");
    }
    Ok((theirs.to_owned(), ours.to_owned()))
}

/// The URL of Sim's database. One with a password is taken from where other users cannot see it only.
fn url(from: &SimFlags) -> anyhow::Result<Zeroizing<String>> {
    if let Some(url) = &from.from {
        if holds_password(url) {
            bail!(
                "--from: other users of this machine can see the password in the argument; give it by PGPASSWORD in the \
                 environment or a passfile (~/.pgpass), or the whole URL by --from-env or --from-file"
            );
        }
        return Ok(Zeroizing::new(url.clone()));
    }
    if let Some(name) = &from.from_env {
        let value = process_environment().find(|(known, _)| known == name).map(|(_, value)| Zeroizing::new(value));
        return value.with_context(|| format!("--from-env: there is no variable {name} in the environment"));
    }
    // One of the three is there.
    let file = from.from_file.as_deref().context("name Sim's database")?;
    Ok(Zeroizing::new(secret::read_file("--from-file", file)?.trim().to_owned()))
}
