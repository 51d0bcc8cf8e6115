//! `claviger workspace`

use claviger_app::access::{ManageWorkspaces, Principal};
use claviger_app::workspaces::PutWorkspace;
use claviger_app::{App, Workspace};
use claviger_core::{OrganizationId, Owner, WorkspaceId};
use serde_json::{Value, json};

use super::{Listed, list, new_name_text, rekey, show, show_deleted};
use crate::cli::{OrganizationOrNone, WorkspaceCommand};

pub(super) async fn run(app: &App, json: bool, command: WorkspaceCommand) -> anyhow::Result<()> {
    let permit = Principal::operator().permit::<ManageWorkspaces>(None)?;
    match command {
        WorkspaceCommand::List => list(json, async |page| app.workspaces.list(&permit, page).await).await,
        WorkspaceCommand::Create { id, name, organization } => {
            let name = new_name_text(name.as_deref())?;
            let organization = organization.map(|OrganizationOrNone(id)| id);
            let made = app.workspaces.put(&permit, id, PutWorkspace { name, organization }).await?;
            show(json, &json!({"workspace": made.json()}), || made.id.to_string())
        }
        WorkspaceCommand::Show { id } => {
            let found = app.workspaces.get(&permit, &id).await?;
            show(json, &json!({"workspace": found.json()}), || found.line())
        }
        WorkspaceCommand::Delete { id } => {
            app.workspaces.delete(&permit, &id).await?;
            show_deleted(json, id.as_str())
        }
        WorkspaceCommand::Rekey { id } => rekey::run(app, json, Owner::Workspace(id)).await,
    }
}

impl Listed for Workspace {
    type Id = WorkspaceId;
    const MANY: &'static str = "workspaces";

    fn id(&self) -> WorkspaceId {
        self.id.clone()
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "organizationId": self.organization_id,
            "createdAt": self.created_at,
        })
    }

    fn line(&self) -> String {
        let name = self.name.as_deref().unwrap_or("-");
        let organization = self.organization_id.as_ref().map_or("-", OrganizationId::as_str);
        format!("{}\t{name}\t{}\t{organization}", self.id, self.created_at)
    }
}
