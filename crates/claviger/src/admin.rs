//! Administration from the shell: the same use cases as the API, straight on the database, beside running servers.

use anyhow::{Context, bail};
use claviger_app::access::{ManageWorkspaces, Principal};
use claviger_app::tokens::{CreateToken, CreateTokenError, TokenHolder};
use claviger_app::{App, Page, TokenRecord, Workspace};
use claviger_core::access::TokenRole;
use claviger_core::{KeyName, Role, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::cli::{LogFormat, SettingsFlags, TokenCommand, WorkspaceCommand};
use crate::settings::Settings;
use crate::{log, open, print};

/// How many of a list are asked for at once.
const PAGE: u32 = 500;

async fn app(flags: &SettingsFlags) -> anyhow::Result<App> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    open::app(&Settings::load(flags, None)?).await
}

/// Prints a result: JSON for programs, or a line for people.
fn show(json: bool, value: &Value, line: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = if json { value.to_string() } else { line() };
    Ok(print::result(&text)?)
}

pub(crate) async fn workspace(flags: &SettingsFlags, json: bool, command: WorkspaceCommand) -> anyhow::Result<()> {
    let app = app(flags).await?;
    let done = run_workspace(&app, json, command).await;
    app.close().await?;
    done
}

async fn run_workspace(app: &App, json: bool, command: WorkspaceCommand) -> anyhow::Result<()> {
    let permit = Principal::operator().permit::<ManageWorkspaces>(None)?;
    match command {
        WorkspaceCommand::List => list_workspaces(app, &permit, json).await,
        WorkspaceCommand::Create { id, name } => {
            let name = name.map(|name| KeyName::parse(&name)).transpose().context("--name")?;
            let name = name.map(|name| name.map(|name| name.as_str().to_owned()));
            let made = app.workspaces.put(&permit, id.parse()?, name).await?;
            show(json, &json!({"workspace": workspace_json(&made)}), || made.id.to_string())
        }
        WorkspaceCommand::Show { id } => {
            let found = app.workspaces.get(&permit, &id.parse()?).await?;
            show(json, &json!({"workspace": workspace_json(&found)}), || workspace_line(&found))
        }
        WorkspaceCommand::Delete { id } => {
            app.workspaces.delete(&permit, &id.parse()?).await?;
            show(json, &json!({"success": true}), || format!("deleted {id}"))
        }
    }
}

async fn list_workspaces(
    app: &App,
    permit: &claviger_app::access::Permit<ManageWorkspaces>,
    json: bool,
) -> anyhow::Result<()> {
    let mut page = Page { after: None, limit: PAGE };
    let mut all = Vec::new();
    loop {
        let part = app.workspaces.list(permit, &page).await?;
        page.after = part.last().map(|workspace| workspace.id.clone());
        let last = part.len() < PAGE as usize;
        if !json {
            part.iter().try_for_each(|workspace| print::result(&workspace_line(workspace)))?;
        }
        all.extend(part.iter().filter(|_| json).map(workspace_json));
        if last {
            break;
        }
    }
    if json { Ok(print::result(&json!({"workspaces": all}).to_string())?) } else { Ok(()) }
}

fn workspace_json(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id,
        "name": workspace.name,
        "organizationId": workspace.organization_id,
        "createdAt": workspace.created_at,
    })
}

fn workspace_line(workspace: &Workspace) -> String {
    let name = workspace.name.as_deref().unwrap_or("-");
    format!("{}\t{name}\t{}", workspace.id, workspace.created_at)
}

pub(crate) async fn token(flags: &SettingsFlags, json: bool, command: TokenCommand) -> anyhow::Result<()> {
    let app = app(flags).await?;
    let done = run_token(&app, json, command).await;
    app.close().await?;
    done
}

async fn run_token(app: &App, json: bool, command: TokenCommand) -> anyhow::Result<()> {
    let permit = Principal::operator().permit_tokens(None)?;
    match command {
        TokenCommand::List => {
            let mut page = Page { after: None, limit: PAGE };
            let mut all = Vec::new();
            loop {
                let part = app.tokens.list(&permit, &page).await?;
                page.after = part.last().map(|token| token.id.clone());
                let last = part.len() < PAGE as usize;
                all.extend(part);
                if last {
                    break;
                }
            }
            if json {
                let all: Vec<_> = all.iter().map(token_json).collect();
                return Ok(print::result(&json!({"tokens": all}).to_string())?);
            }
            all.iter().try_for_each(|token| print::result(&token_line(token)))?;
            Ok(())
        }
        TokenCommand::Create { name, role, workspace, reveal, expires_at } => {
            let create =
                CreateToken { name, holder: holder(role.into(), workspace)?, reveal, expires_at: end(expires_at)? };
            let created = app.tokens.create(&permit, create).await.map_err(|error| match error {
                CreateTokenError::AlreadyExpired => anyhow::Error::new(error).context("--expires-at"),
                other => other.into(),
            });
            let (token, record) = created?;
            let mut value = token_json(&record);
            value["token"] = token.reveal_once().into();
            show(json, &value, || token.reveal_once().to_owned())
        }
        TokenCommand::Delete { id } => {
            app.tokens.delete(&permit, &id.parse()?).await?;
            show(json, &json!({"success": true}), || format!("deleted {id}"))
        }
    }
}

fn holder(role: TokenRole, workspace: Option<String>) -> anyhow::Result<TokenHolder> {
    match (role, workspace) {
        (TokenRole::Service, None) => Ok(TokenHolder::Service),
        (TokenRole::Service, Some(_)) => bail!("--workspace: a service token belongs to no workspace"),
        (_, None) => bail!("--workspace is needed for the role {}", Role::from(role)),
        (_, Some(workspace)) => Ok(TokenHolder::Workspace(role, workspace.parse::<WorkspaceId>()?)),
    }
}

fn end(date: Option<String>) -> anyhow::Result<Option<Timestamp>> {
    let parsed =
        date.map(|date| Timestamp::parse(&date).context("--expires-at must be RFC 3339: 2030-01-31T12:00:00Z"));
    parsed.transpose()
}

fn token_json(token: &TokenRecord) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "role": Role::from(token.role),
        "workspaceId": token.workspace,
        "reveal": token.reveal,
        "expiresAt": token.expires_at,
        "createdAt": token.created_at,
    })
}

fn token_line(token: &TokenRecord) -> String {
    let workspace = token.workspace.as_ref().map_or("-", WorkspaceId::as_str);
    format!("{}\t{}\t{workspace}\t{}", token.id, Role::from(token.role), token.name)
}
