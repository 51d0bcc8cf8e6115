//! `claviger token`

use anyhow::Context;
use claviger_app::access::Principal;
use claviger_app::tokens::{CreateToken, CreateTokenError, TokenHolder};
use claviger_app::{App, TokenRecord};
use claviger_core::access::TokenRole;
use claviger_core::{KeyName, Role, Timestamp, TokenId, WorkspaceId};
use serde_json::{Value, json};

use super::{Listed, list, show, show_deleted};
use crate::cli::TokenCommand;

pub(super) async fn run(app: &App, json: bool, command: TokenCommand) -> anyhow::Result<()> {
    let permit = Principal::operator().permit_tokens(None)?;
    match command {
        TokenCommand::List => list(json, async |page| app.tokens.list(&permit, page).await).await,
        TokenCommand::Create { name, role, workspace, reveal, expires_at } => {
            let (name, holder) = (name_of(&name)?, holder(role.into(), workspace));
            let create = CreateToken { name, holder, reveal, expires_at: end(expires_at)? };
            let created = app.tokens.create(&permit, create).await.map_err(|error| match error {
                CreateTokenError::AlreadyExpired => anyhow::Error::new(error).context("--expires-at"),
                other => other.into(),
            });
            let (token, record) = created?;
            let mut value = record.json();
            value["token"] = token.reveal_once().into();
            show(json, &value, || token.reveal_once().to_owned())
        }
        TokenCommand::Delete { id } => {
            app.tokens.delete(&permit, &id).await?;
            show_deleted(json, id.as_str())
        }
    }
}

fn name_of(text: &str) -> anyhow::Result<String> {
    let name = KeyName::parse(text).context("--name")?.context("--name must not be empty")?;
    Ok(name.as_str().to_owned())
}

/// A workspace is there for every role but service.
fn holder(role: TokenRole, workspace: Option<WorkspaceId>) -> TokenHolder {
    workspace.map_or(TokenHolder::Service, |workspace| TokenHolder::Workspace(role, workspace))
}

fn end(date: Option<String>) -> anyhow::Result<Option<Timestamp>> {
    let parsed =
        date.map(|date| Timestamp::parse(&date).context("--expires-at must be RFC 3339: 2030-01-31T12:00:00Z"));
    parsed.transpose()
}

impl Listed for TokenRecord {
    type Id = TokenId;
    const MANY: &'static str = "tokens";

    fn id(&self) -> TokenId {
        self.id.clone()
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "role": Role::from(self.role),
            "workspaceId": self.workspace,
            "reveal": self.reveal,
            "expiresAt": self.expires_at,
            "createdAt": self.created_at,
        })
    }

    fn line(&self) -> String {
        let workspace = self.workspace.as_ref().map_or("-", WorkspaceId::as_str);
        format!("{}\t{}\t{workspace}\t{}", self.id, Role::from(self.role), self.name)
    }
}
