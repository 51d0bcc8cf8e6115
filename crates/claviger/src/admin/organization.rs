//! `claviger organization`

use claviger_app::access::{ManageOrganizations, Principal};
use claviger_app::organizations::PutOrganization;
use claviger_app::{App, Organization};
use claviger_core::{OrganizationId, Owner};
use serde_json::{Value, json};

use super::{Listed, list, new_name_text, rekey, show, show_deleted};
use crate::cli::{OrganizationCommand, Switch};

pub(super) async fn run(app: &App, json: bool, command: OrganizationCommand) -> anyhow::Result<()> {
    let permit = Principal::operator().permit::<ManageOrganizations>(None)?;
    match command {
        OrganizationCommand::List => list(json, async |page| app.organizations.list(&permit, page).await).await,
        OrganizationCommand::Create { id, name, keys } => {
            let name = new_name_text(name.as_deref())?;
            let put = PutOrganization { name, keys_enabled: keys.map(|keys| keys == Switch::On) };
            let made = app.organizations.put(&permit, id, put).await?;
            show(json, &json!({"organization": made.json()}), || made.id.to_string())
        }
        OrganizationCommand::Show { id } => {
            let found = app.organizations.get(&permit, &id).await?;
            show(json, &json!({"organization": found.json()}), || found.line())
        }
        OrganizationCommand::Delete { id } => {
            app.organizations.delete(&permit, &id).await?;
            show_deleted(json, id.as_str())
        }
        OrganizationCommand::Rekey { id } => rekey::run(app, json, Owner::Organization(id)).await,
    }
}

impl Listed for Organization {
    type Id = OrganizationId;
    const MANY: &'static str = "organizations";

    fn id(&self) -> OrganizationId {
        self.id.clone()
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "keysEnabled": self.keys_enabled,
            "createdAt": self.created_at,
        })
    }

    fn line(&self) -> String {
        let name = self.name.as_deref().unwrap_or("-");
        let keys = if self.keys_enabled { "on" } else { "off" };
        format!("{}\t{name}\t{keys}\t{}", self.id, self.created_at)
    }
}
