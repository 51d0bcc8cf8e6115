//! Organizations: seen, made, renamed, switched, deleted.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use claviger_app::Organization;
use claviger_app::organizations::{OrganizationError, PutOrganization};
use claviger_core::{KeyName, OrganizationId, Owner};
use http::StatusCode;

use crate::console::keys::{self, PoolShown};
use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place};
use crate::console::show::{cut, encoded, minute, of_segment, page as rows};
use crate::console::workspace::DeletePage;
use crate::console::workspaces::{self, WorkspaceShown};
use crate::console::{owner, text};
use crate::fields::Fields;
use crate::page::{Refused, render};

#[derive(Template)]
#[template(path = "console/organizations.html")]
struct OrganizationsPage {
    frame: Frame,
    organizations: Vec<OrganizationShown>,
    /// Where the list goes on; empty where it does not.
    next: String,
    typed: Typed,
}

struct OrganizationShown {
    id: String,
    address: String,
    name: String,
    lends: bool,
    made: String,
}

/// What a form for an organization says of itself.
#[derive(Default)]
struct Typed {
    id: String,
    name: String,
    id_error: &'static str,
    name_error: &'static str,
}

impl Typed {
    /// What was typed, with what it means as far as nothing is wrong with it.
    fn of(fields: &Fields) -> (Self, PutOrganization) {
        let (id, name) = (fields.get("id").trim().to_owned(), fields.get("name").trim().to_owned());
        let parsed = KeyName::parse(&name);
        let name_error = parsed.as_ref().err().map_or("", |invalid| crate::text::invalid_name(*invalid));
        let put = parsed.ok().map(|name| name.map(|name| name.as_str().to_owned()));
        (Self { id, name, name_error, id_error: "" }, PutOrganization { name: put, keys_enabled: None })
    }

    fn is_wrong(&self) -> bool {
        !self.id_error.is_empty() || !self.name_error.is_empty()
    }
}

fn of(organization: &Organization) -> Owner {
    Owner::Organization(organization.id.clone())
}

fn shown(base: &str, organization: &Organization) -> OrganizationShown {
    OrganizationShown {
        id: organization.id.to_string(),
        address: format!("{base}{}", owner::path(&of(organization))),
        name: organization.name.clone().unwrap_or_default(),
        lends: organization.keys_enabled,
        made: minute(organization.created_at),
    }
}

pub(crate) async fn list(entered: Entered) -> Result<Response, Refused> {
    list_page(&entered, StatusCode::OK, Typed::default()).await
}

async fn list_page(entered: &Entered, status: StatusCode, typed: Typed) -> Result<Response, Refused> {
    let permit = entered.may_manage_organizations()?;
    let page = rows(entered.asked("cursor").parse().ok());
    let organizations = entered.console.app().organizations.list(&permit, &page).await;
    let mut organizations = organizations.map_err(|error| entered.refuse(error))?;
    let more = cut(&mut organizations);
    let base = &entered.console.base;
    let last = organizations.last().filter(|_| more);
    let next = last.map(|last| format!("{base}/organizations?cursor={}", encoded(last.id.as_str())));
    let page = OrganizationsPage {
        frame: entered.frame(Place::Organizations, text::ORGANIZATIONS),
        organizations: organizations.iter().map(|organization| shown(base, organization)).collect(),
        next: next.unwrap_or_default(),
        typed,
    };
    Ok(render(status, &page))
}

/// Makes an organization. One that is there is not changed by this: that is for its own page.
pub(crate) async fn create(Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let permit = entered.may_manage_organizations()?;
    let (mut typed, put) = Typed::of(&fields);
    let organizations = &entered.console.app().organizations;
    let id: Option<OrganizationId> = typed.id.parse().ok();
    match &id {
        None => typed.id_error = text::BAD_ID,
        Some(id) => match organizations.get(&permit, id).await {
            Ok(_) => typed.id_error = text::TAKEN,
            Err(OrganizationError::NoOrganization) => {}
            Err(error) => return Err(entered.refuse(error)),
        },
    }
    let Some(id) = id.filter(|_| !typed.is_wrong()) else {
        return list_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    let made = organizations.put(&permit, id, put).await;
    let made = made.map_err(|error| entered.refuse(error))?;
    Ok(entered.after(&owner::path(&of(&made)), "organization-made"))
}

/// The organization that a path names.
async fn found(entered: &Entered, segment: &str) -> Result<Organization, Refused> {
    let id: Option<OrganizationId> = of_segment(segment);
    let id = id.ok_or_else(|| entered.tell(StatusCode::NOT_FOUND, &text::NO_ORGANIZATION))?;
    let permit = entered.may_manage_organizations()?;
    let organization = entered.console.app().organizations.get(&permit, &id).await;
    organization.map_err(|error| entered.refuse(error))
}

#[derive(Template)]
#[template(path = "console/organization.html")]
struct OrganizationPage {
    frame: Frame,
    id: String,
    lends: bool,
    made: String,
    /// This page's own.
    address: String,
    pools: Vec<PoolShown>,
    workspaces: Vec<WorkspaceShown>,
    /// Where the list of its workspaces begins; empty where this is the beginning.
    first: String,
    /// Where it goes on; empty where it does not.
    next: String,
    typed: Typed,
}

async fn whole_page(
    entered: &Entered,
    organization: &Organization,
    status: StatusCode,
    typed: Typed,
) -> Result<Response, Refused> {
    let pools = keys::pools(entered, &of(organization)).await?;
    let permit = entered.may_manage_workspaces()?;
    let cursor = entered.asked("cursor");
    let found = entered.console.app().workspaces.of(&permit, &organization.id, &rows(cursor.parse().ok())).await;
    let mut found = found.map_err(|error| entered.refuse(error))?;
    let more = cut(&mut found);
    let base = &entered.console.base;
    let address = format!("{base}{}", owner::path(&of(organization)));
    let at = |cursor: &str| format!("{address}{cursor}#workspaces");
    let next = found.last().filter(|_| more).map(|last| at(&format!("?cursor={}", encoded(last.id.as_str()))));
    let title = organization.name.as_deref().unwrap_or(organization.id.as_str());
    let page = OrganizationPage {
        frame: entered.frame(Place::Organizations, title),
        id: organization.id.to_string(),
        lends: organization.keys_enabled,
        made: minute(organization.created_at),
        pools,
        workspaces: found.iter().map(|workspace| workspaces::shown(base, workspace)).collect(),
        first: if cursor.is_empty() { String::new() } else { at("") },
        next: next.unwrap_or_default(),
        address,
        typed,
    };
    Ok(render(status, &page))
}

pub(crate) async fn show(Path(segment): Path<String>, entered: Entered) -> Result<Response, Refused> {
    let organization = found(&entered, &segment).await?;
    let typed = Typed { name: organization.name.clone().unwrap_or_default(), ..Typed::default() };
    whole_page(&entered, &organization, StatusCode::OK, typed).await
}

pub(crate) async fn rename(
    Path(segment): Path<String>,
    Posted { entered, fields }: Posted,
) -> Result<Response, Refused> {
    let organization = found(&entered, &segment).await?;
    let (typed, change) = Typed::of(&fields);
    if typed.is_wrong() {
        return whole_page(&entered, &organization, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    }
    put(&entered, &organization, change, "organization-changed").await
}

async fn put(
    entered: &Entered,
    organization: &Organization,
    put: PutOrganization,
    done: &str,
) -> Result<Response, Refused> {
    let permit = entered.may_manage_organizations()?;
    let changed = entered.console.app().organizations.put(&permit, organization.id.clone(), put).await;
    changed.map_err(|error| entered.refuse(error))?;
    Ok(entered.after(&owner::path(&of(organization)), done))
}

/// The form says what to switch to, so that two pages that are open at once do not switch back and forth.
pub(crate) async fn lend(Path(segment): Path<String>, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let organization = found(&entered, &segment).await?;
    let (on, done) = match fields.get("to").as_str() {
        "on" => (true, "lends"),
        "off" => (false, "lends-not"),
        _ => return Err(entered.tell(StatusCode::BAD_REQUEST, &crate::text::BAD_FORM)),
    };
    put(&entered, &organization, PutOrganization { name: None, keys_enabled: Some(on) }, done).await
}

fn delete_page(entered: &Entered, organization: &Organization, status: StatusCode, wrong: &'static str) -> Response {
    let title = text::delete_title(text::AN_ORGANIZATION, organization.id.as_str());
    let page = DeletePage {
        frame: entered.frame(Place::Organizations, &title),
        id: organization.id.to_string(),
        address: format!("{}{}", entered.console.base, owner::path(&of(organization))),
        consequence: text::DELETES_ORGANIZATION,
        wrong,
    };
    render(status, &page)
}

pub(crate) async fn delete_form(Path(segment): Path<String>, entered: Entered) -> Result<Response, Refused> {
    let organization = found(&entered, &segment).await?;
    Ok(delete_page(&entered, &organization, StatusCode::OK, ""))
}

/// Whoever deletes types the id: it cannot be taken back.
pub(crate) async fn delete(
    Path(segment): Path<String>,
    Posted { entered, fields }: Posted,
) -> Result<Response, Refused> {
    let organization = found(&entered, &segment).await?;
    if fields.get("confirm").trim() != organization.id.as_str() {
        return Ok(delete_page(&entered, &organization, StatusCode::UNPROCESSABLE_ENTITY, text::NOT_CONFIRMED));
    }
    let permit = entered.may_manage_organizations()?;
    let deleted = entered.console.app().organizations.delete(&permit, &organization.id).await;
    deleted.map_err(|error| entered.refuse(error))?;
    Ok(entered.after("/organizations", "organization-deleted"))
}
