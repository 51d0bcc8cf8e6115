//! Administration from the shell: the same use cases as the API, straight on the database, beside running servers.

mod audit;
mod import;
mod key;
mod master_key;
mod organization;
mod portal_link;
mod progress;
mod rekey;
mod secret;
mod store;
mod token;
mod workspace;

use anyhow::Context;
use claviger_app::{App, Page, StoreError};
use claviger_core::KeyName;
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;

use crate::cli::{
    AuditCommand, KeyCommand, LogFormat, OrganizationCommand, PortalLinkFlags, SettingsFlags, TokenCommand,
    WorkspaceCommand,
};
use crate::open::Absent;
use crate::settings::Settings;
use crate::{log, open, print};

pub(crate) use import::run as import;
pub(crate) use master_key::run as master_key;
pub(crate) use store::run as store;

/// How many of a list are asked for at once.
const PAGE: u32 = 500;

pub(crate) async fn workspace(flags: &SettingsFlags, json: bool, command: WorkspaceCommand) -> anyhow::Result<()> {
    let absent = Absent::unless_made_by(matches!(command, WorkspaceCommand::Create { .. }));
    with_app(flags, absent, async |app| workspace::run(app, json, command).await).await
}

pub(crate) async fn organization(
    flags: &SettingsFlags,
    json: bool,
    command: OrganizationCommand,
) -> anyhow::Result<()> {
    let absent = Absent::unless_made_by(matches!(command, OrganizationCommand::Create { .. }));
    with_app(flags, absent, async |app| organization::run(app, json, command).await).await
}

pub(crate) async fn key(flags: &SettingsFlags, json: bool, command: KeyCommand) -> anyhow::Result<()> {
    let absent = Absent::unless_made_by(matches!(command, KeyCommand::Add { .. }));
    with_app(flags, absent, async |app| key::run(app, json, command).await).await
}

pub(crate) async fn token(flags: &SettingsFlags, json: bool, command: TokenCommand) -> anyhow::Result<()> {
    let absent = Absent::unless_made_by(matches!(command, TokenCommand::Create { .. }));
    with_app(flags, absent, async |app| token::run(app, json, command).await).await
}

pub(crate) async fn portal_link(flags: &SettingsFlags, json: bool, link: PortalLinkFlags) -> anyhow::Result<()> {
    with_app(flags, Absent::Refused, async |app| portal_link::run(app, json, link).await).await
}

pub(crate) async fn audit(flags: &SettingsFlags, json: bool, command: AuditCommand) -> anyhow::Result<()> {
    with_app(flags, Absent::Refused, async |app| audit::run(app, json, command).await).await
}

async fn with_app(
    flags: &SettingsFlags,
    absent: Absent,
    run: impl AsyncFnOnce(&App) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    let app = open::app(&Settings::load(flags, None)?, absent).await?;
    let done = run(&app).await;
    let closed = app.close().await;
    // What the command met says more than what closing met after it.
    done?;
    Ok(closed?)
}

/// Prints a result: JSON for programs, or a line for people.
fn show(json: bool, value: &Value, line: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = if json { value.to_string() } else { line() };
    Ok(print::result(&text)?)
}

/// Says that something is no more.
fn show_deleted(json: bool, what: &str) -> anyhow::Result<()> {
    show(json, &json!({"success": true}), || format!("deleted {what}"))
}

/// Something that lists have.
trait Listed {
    /// What it is listed by.
    type Id;
    /// What a list of it is called in JSON.
    const MANY: &'static str;

    fn id(&self) -> Self::Id;
    /// As the API shows it.
    fn json(&self) -> Value;
    /// For people: columns with tabs between them.
    fn line(&self) -> String;
}

/// Asks for one page after the other, and prints what comes.
async fn list<T: Listed>(
    json: bool,
    ask: impl AsyncFn(&Page<T::Id>) -> Result<Vec<T>, StoreError>,
) -> anyhow::Result<()> {
    let mut page = Page { after: None, limit: PAGE };
    let mut all = Vec::new();
    loop {
        let part = ask(&page).await?;
        page.after = part.last().map(T::id);
        if json {
            all.extend(part.iter().map(T::json));
        } else {
            part.iter().try_for_each(|one| print::result(&one.line()))?;
        }
        if part.len() < PAGE as usize {
            break;
        }
    }
    if json { show_list(T::MANY, all) } else { Ok(()) }
}

fn show_list(many: &str, all: Vec<Value>) -> anyhow::Result<()> {
    let list = Map::from_iter([(many.to_owned(), Value::Array(all))]);
    Ok(print::result(&Value::Object(list).to_string())?)
}

/// What to set, `Some(None)` for nothing at all; `None` to leave it as it is.
type New<T> = Option<Option<T>>;

fn new_name(name: Option<&str>) -> anyhow::Result<New<KeyName>> {
    name.map(KeyName::parse).transpose().context("--name")
}

fn new_name_text(name: Option<&str>) -> anyhow::Result<New<String>> {
    Ok(new_name(name)?.map(|name| name.map(|name| name.as_str().to_owned())))
}
