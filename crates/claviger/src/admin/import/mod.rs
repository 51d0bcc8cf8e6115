//! `claviger import`

mod env;
mod jsonl;
mod report;
mod sim;

use anyhow::bail;
use claviger_app::App;
use claviger_app::access::Principal;
use claviger_app::import::Importer;
use tracing::level_filters::LevelFilter;

use crate::cli::{ImportCommand, LogFormat, SettingsFlags};
use crate::open::Absent;
use crate::settings::Settings;
use crate::{log, open};
use report::Report;

/// What there is to say to an import that did not come to its end.
const BROKEN_OFF: &str = "What was taken stays, and the same command goes on where this one ended";

pub(crate) async fn run(flags: &SettingsFlags, json: bool, command: ImportCommand) -> anyhow::Result<()> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    let settings = Settings::load(flags, None)?;
    match command {
        ImportCommand::Sim { from, encryption_key_file, providers, dry } => {
            // Before the target is opened, which may make it: whether there is something to import.
            let providers = (&providers[..], &settings.catalogue()?);
            let source = sim::Source::open(&from, &encryption_key_file, providers).await?;
            with_app(&settings, (json, dry.dry_run), async |importer, report| source.import(importer, report).await)
                .await
        }
        ImportCommand::Env { owner, env_file, dry } => {
            let owner = owner.owner();
            let variables = env::Variables::read(&settings.catalogue()?, env_file.as_deref())?;
            with_app(&settings, (json, dry.dry_run), async |importer, report| {
                variables.import(&owner, importer, report).await
            })
            .await
        }
        ImportCommand::Jsonl { file, dry } => {
            let lines = jsonl::Lines::open(&file)?;
            with_app(&settings, (json, dry.dry_run), async |importer, report| lines.import(importer, report).await)
                .await
        }
    }
}

/// Imports, and reports also where that was broken off by an error: what was taken until then stays.
async fn with_app(
    settings: &Settings,
    (json, dry_run): (bool, bool),
    import: impl AsyncFnOnce(&mut Importer<'_>, &mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (app, folder) =
        if dry_run { open::to_look_at(settings).await? } else { (open::app(settings, Absent::Made).await?, None) };
    let imported = import_and_report(&app, (json, dry_run), import).await;
    let closed = app.close().await;
    drop(folder);
    // What importing met says more than what closing met after it.
    imported?;
    Ok(closed?)
}

async fn import_and_report(
    app: &App,
    (json, dry_run): (bool, bool),
    import: impl AsyncFnOnce(&mut Importer<'_>, &mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut report = Report::new(dry_run);
    let mut importer = Importer::new(app, Principal::operator(), dry_run)?;
    let done = import(&mut importer, &mut report).await;
    report.show(json, importer.made(), done.is_ok())?;
    done?;
    match report.left_behind() {
        0 => Ok(()),
        left => bail!(
            "{left} of {} keys {} left behind; see above",
            report.seen(),
            if dry_run { "would be" } else { "were" }
        ),
    }
}
