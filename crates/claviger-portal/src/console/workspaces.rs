//! The list of workspaces, which may be very long, and making one.

use askama::Template;
use axum::response::Response;
use claviger_app::workspaces::PutWorkspace;
use claviger_app::{PutWorkspaceError, Workspace};
use claviger_core::{Owner, WorkspaceId};
use http::StatusCode;

use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place};
use crate::console::show::{cut, encoded, minute, page as rows};
use crate::console::{owner, text};
use crate::fields::Fields;
use crate::page::{Refused, render};

/// The longest search that is looked for and repeated: as long as an id.
const MAX_SEARCH: usize = 128;

#[derive(Template)]
#[template(path = "console/workspaces.html")]
struct WorkspacesPage {
    frame: Frame,
    search: String,
    /// What the search was looked for in, for people.
    found_in: &'static str,
    /// The same search in the other place, and what that is; empty without a search.
    elsewhere: String,
    workspaces: Vec<WorkspaceShown>,
    /// Where the list begins; empty where this is the beginning.
    first: String,
    /// Where it goes on; empty where it does not.
    next: String,
    typed: TypedWorkspace,
}

/// A workspace in the list.
pub(crate) struct WorkspaceShown {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) name: String,
    /// Empty where it belongs to none.
    pub(crate) organization: String,
    pub(crate) organization_address: String,
    pub(crate) made: String,
}

/// What a form for a workspace says of itself.
#[derive(Default)]
pub(crate) struct TypedWorkspace {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) organization: String,
    pub(crate) id_error: &'static str,
    pub(crate) name_error: &'static str,
    pub(crate) organization_error: &'static str,
}

impl TypedWorkspace {
    pub(crate) fn is_wrong(&self) -> bool {
        [self.id_error, self.name_error, self.organization_error].iter().any(|error| !error.is_empty())
    }

    pub(crate) fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).trim().to_owned();
        Self { id: text("id"), name: text("name"), organization: text("organization"), ..Self::default() }
    }

    /// Checks name and organization, and notes what is wrong with them.
    pub(crate) fn check(&mut self) -> PutWorkspace {
        let name = claviger_core::KeyName::parse(&self.name);
        self.name_error = name.as_ref().err().map_or("", |invalid| crate::text::invalid_name(*invalid));
        let organization = (!self.organization.is_empty()).then(|| self.organization.parse()).transpose();
        self.organization_error = organization.as_ref().err().map_or("", |_| text::BAD_ID);
        PutWorkspace {
            name: name.ok().map(|name| name.map(|name| name.as_str().to_owned())),
            organization: organization.ok(),
        }
    }
}

/// Where a search looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Id,
    Name,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
        }
    }
}

struct Listed {
    by: By,
    workspaces: Vec<Workspace>,
    more: bool,
}

/// What is there, by id or by name. A search that does not say looks for ids, and for names where there are none.
async fn listed(entered: &Entered, search: &str) -> Result<Listed, Refused> {
    let permit = entered.may_manage_workspaces()?;
    let workspaces = &entered.console.app().workspaces;
    let cursor: Option<WorkspaceId> = entered.asked("cursor").parse().ok();
    let said = [By::Id, By::Name].into_iter().find(|by| by.as_str() == entered.asked("by"));
    if said != Some(By::Name) {
        let found = workspaces.with_id(&permit, search, &rows(cursor.clone())).await;
        let mut found = found.map_err(|error| entered.refuse(error))?;
        let more = cut(&mut found);
        if !found.is_empty() || search.is_empty() || said.is_some() {
            return Ok(Listed { by: By::Id, workspaces: found, more });
        }
    }
    let after = cursor.map(|id| (entered.asked("after").replace('\0', ""), id));
    let found = workspaces.with_name(&permit, search, &rows(after)).await;
    let mut found = found.map_err(|error| entered.refuse(error))?;
    let more = cut(&mut found);
    Ok(Listed { by: By::Name, workspaces: found, more })
}

pub(crate) async fn list(entered: Entered) -> Result<Response, Refused> {
    list_page(&entered, StatusCode::OK, TypedWorkspace::default()).await
}

async fn list_page(entered: &Entered, status: StatusCode, typed: TypedWorkspace) -> Result<Response, Refused> {
    let search: String = entered.asked("search").chars().filter(|sign| !sign.is_control()).take(MAX_SEARCH).collect();
    let Listed { by, workspaces, more } = listed(entered, &search).await?;
    let base = &entered.console.base;
    let at = |by: By| format!("{base}/workspaces?search={}&by={}", encoded(&search), by.as_str());
    let next = workspaces.last().filter(|_| more).map(|last| match by {
        By::Id => format!("{}&cursor={}", at(by), encoded(last.id.as_str())),
        By::Name => {
            let name = last.name.as_deref().unwrap_or_default();
            format!("{}&cursor={}&after={}", at(by), encoded(last.id.as_str()), encoded(name))
        }
    });
    let (found_in, other) = match by {
        By::Id => (text::IDS, By::Name),
        By::Name => (text::NAMES, By::Id),
    };
    let page = WorkspacesPage {
        frame: entered.frame(Place::Workspaces, text::WORKSPACES),
        found_in,
        elsewhere: if search.is_empty() { String::new() } else { at(other) },
        workspaces: workspaces.iter().map(|workspace| shown(base, workspace)).collect(),
        first: if entered.asked("cursor").is_empty() { String::new() } else { at(by) },
        next: next.unwrap_or_default(),
        search,
        typed,
    };
    Ok(render(status, &page))
}

pub(crate) fn shown(base: &str, workspace: &Workspace) -> WorkspaceShown {
    let organization = workspace.organization_id.clone();
    let organization_path = organization.clone().map(|id| owner::path(&Owner::Organization(id)));
    WorkspaceShown {
        id: workspace.id.to_string(),
        address: format!("{base}{}", owner::path(&Owner::Workspace(workspace.id.clone()))),
        name: workspace.name.clone().unwrap_or_default(),
        organization: organization.map(|id| id.to_string()).unwrap_or_default(),
        organization_address: organization_path.map(|path| format!("{base}{path}")).unwrap_or_default(),
        made: minute(workspace.created_at),
    }
}

/// Makes a workspace. One that is there is not changed by this: that is for its own page.
pub(crate) async fn create(Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let permit = entered.may_manage_workspaces()?;
    let mut typed = TypedWorkspace::of(&fields);
    let put = typed.check();
    let id: Option<WorkspaceId> = typed.id.parse().ok();
    let workspaces = &entered.console.app().workspaces;
    match &id {
        None => typed.id_error = text::BAD_ID,
        Some(id) => match workspaces.get(&permit, id).await {
            Ok(_) => typed.id_error = text::TAKEN,
            Err(claviger_app::workspaces::WorkspaceError::NoWorkspace) => {}
            Err(error) => return Err(entered.refuse(error)),
        },
    }
    let Some(id) = id.filter(|_| !typed.is_wrong()) else {
        return list_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    match workspaces.put(&permit, id, put).await {
        Ok(made) => Ok(entered.after(&owner::path(&Owner::Workspace(made.id)), "workspace-made")),
        Err(PutWorkspaceError::NoOrganization) => {
            typed.organization_error = text::UNKNOWN_ORGANIZATION;
            list_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, typed).await
        }
        Err(PutWorkspaceError::Store(error)) => Err(entered.refuse(error)),
    }
}
