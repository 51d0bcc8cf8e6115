//! The keys of any owner: seen, added, replaced, renamed, switched, tested, deleted. What is said of a key, and what its
//! forms hold, is the portal's.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use claviger_app::keyring::TestResult;
use claviger_app::keys::{ChangeKeyError, ListedKey, PutKey, PutKeyError};
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{KeyName, Owner, Provider, ProviderId};
use http::StatusCode;

use crate::change::{read, word};
use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place, Refused, Trouble};
use crate::console::show::minute;
use crate::console::{owner, text};
use crate::page::render;
use crate::provider::Typed;
use crate::words::{self, KeyShown};

type Names = Path<HashMap<String, String>>;

/// The keys of one provider.
pub(crate) struct PoolShown {
    pub(crate) provider: String,
    pub(crate) name: String,
    pub(crate) keys: Vec<Row>,
    pub(crate) is_full: bool,
}

pub(crate) struct Row {
    pub(crate) key: KeyShown,
    pub(crate) made: String,
    /// Who added it; empty where nobody said.
    pub(crate) by: String,
    /// Given by a setting, so that nothing can be done to it here.
    pub(crate) is_given: bool,
}

fn provider<'a>(entered: &'a Entered, id: &str) -> Option<&'a Provider> {
    entered.console.app().catalogue.get(id).map(AsRef::as_ref)
}

/// What people call a provider, also one that the catalogue lacks by now.
fn provider_name(entered: &Entered, id: &ProviderId) -> String {
    provider(entered, id.as_str()).map_or_else(|| id.to_string(), |provider| provider.name.clone())
}

async fn listed(entered: &Entered, owner: &Owner) -> Result<Vec<ListedKey>, Refused> {
    let permit = entered.may_list(owner)?;
    entered.console.app().keys.list(&permit).await.map_err(|error| entered.refuse(error))
}

/// An owner's keys, by provider and in the order of rotation.
pub(crate) async fn pools(entered: &Entered, owner: &Owner) -> Result<Vec<PoolShown>, Refused> {
    let keys = listed(entered, owner).await?;
    let now = entered.console.app().console.now();
    let pools = keys.chunk_by(|one, other| one.record.provider == other.record.provider).map(|pool| {
        let rows = pool.iter().map(|key| Row {
            key: words::shown(key, pool, now),
            made: minute(key.record.created_at),
            by: key.record.created_by.clone().unwrap_or_default(),
            is_given: *owner == Owner::Platform && key.record.created_by.as_deref() == Some("settings"),
        });
        let id = &pool[0].record.provider;
        PoolShown {
            provider: id.to_string(),
            name: provider_name(entered, id),
            keys: rows.collect(),
            is_full: pool.len() >= POOL_CAPACITY,
        }
    });
    Ok(pools.collect())
}

#[derive(Template)]
#[template(path = "console/platform.html")]
struct PlatformPage {
    frame: Frame,
    address: String,
    pools: Vec<PoolShown>,
}

pub(crate) async fn platform(entered: Entered) -> Result<Response, Refused> {
    let pools = pools(&entered, &Owner::Platform).await?;
    let address = format!("{}{}", entered.console.base, owner::path(&Owner::Platform));
    Ok(render(StatusCode::OK, &PlatformPage { frame: entered.frame(Place::Platform, "Platform keys"), address, pools }))
}

fn named(entered: &Entered, names: &HashMap<String, String>) -> Result<Owner, Refused> {
    owner::named(names).ok_or_else(|| entered.tell(StatusCode::NOT_FOUND, &text::NO_OWNER))
}

#[derive(Template)]
#[template(path = "console/key_new.html")]
struct NewPage {
    frame: Frame,
    /// Whose keys these are.
    owner: String,
    address: String,
    providers: Vec<Choice>,
    provider_error: &'static str,
    typed: Typed,
}

struct Choice {
    id: String,
    name: String,
    is_chosen: bool,
}

fn new_page(
    entered: &Entered,
    owner: &Owner,
    status: StatusCode,
    (chosen, provider_error): (&str, &'static str),
    typed: Typed,
) -> Response {
    let providers = entered.console.app().catalogue.iter().map(|provider| Choice {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        is_chosen: provider.id.as_str() == chosen,
    });
    let page = NewPage {
        frame: entered.frame(owner::place(owner), "Add a key"),
        owner: owner.to_string(),
        address: format!("{}{}", entered.console.base, owner::path(owner)),
        providers: providers.collect(),
        provider_error,
        typed,
    };
    render(status, &page)
}

pub(crate) async fn new(Path(names): Names, entered: Entered) -> Result<Response, Refused> {
    let owner = named(&entered, &names)?;
    // So that nobody types a key for an owner that is not there.
    listed(&entered, &owner).await?;
    Ok(new_page(&entered, &owner, StatusCode::OK, (entered.asked("provider"), ""), Typed::default()))
}

pub(crate) async fn add(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let owner = named(&entered, &names)?;
    let permit = entered.may_manage(&owner)?;
    let (secret, name, typed) = read(&fields);
    let chosen = fields.get("provider").as_str();
    let again = |wrong, typed| Ok(new_page(&entered, &owner, StatusCode::UNPROCESSABLE_ENTITY, (chosen, wrong), typed));
    let Some(provider) = provider(&entered, chosen) else {
        return again(text::NO_PROVIDER, typed);
    };
    let (Ok(secret), Ok(name)) = (secret, name) else {
        return again("", typed);
    };
    let put = PutKey { provider: provider.id.clone(), secret, name: Some(name), verify: typed.verify };
    match entered.console.app().keys.add(&permit, put).await {
        Ok(done) => Ok(entered.after(&owner::path(&owner), &word(&done, "added"))),
        Err(error) => {
            let typed = refused(&entered, &owner, provider, error, typed).await?;
            again("", typed)
        }
    }
}

/// Why a key was not put: what the form says of it, or a page in its place.
async fn refused(
    entered: &Entered,
    owner: &Owner,
    provider: &Provider,
    error: PutKeyError,
    typed: Typed,
) -> Result<Typed, Refused> {
    match error {
        PutKeyError::LimitReached => Ok(Typed { error: crate::text::ENGLISH.limit_reached.to_owned(), ..typed }),
        PutKeyError::Duplicate(twin) => {
            let keys = listed(entered, owner).await?;
            let twin = keys.iter().find(|key| key.record.id == twin);
            let twin = twin.map_or(crate::text::ENGLISH.unnamed, words::label);
            Ok(Typed { secret_error: crate::text::duplicate(twin), ..typed })
        }
        PutKeyError::Rejected(_) => Ok(Typed { secret_error: crate::text::refused_by(&provider.name), ..typed }),
        PutKeyError::NoOwner(_) => Err(entered.refuse(Trouble::Gone(&text::NO_OWNER))),
        PutKeyError::NoKey => Err(entered.refuse(Trouble::Gone(&text::NO_KEY))),
        PutKeyError::Given(_) => Err(entered.refuse(Trouble::Unfit(&text::GIVEN_KEY))),
        PutKeyError::Unreadable(error) => Err(entered.refuse(Trouble::Failed(Box::new(error)))),
        PutKeyError::Seal(error) => Err(entered.refuse(Trouble::Failed(Box::new(error)))),
        PutKeyError::Store(error) => Err(entered.refuse(error)),
    }
}

/// What a path names: an owner, and one of its keys.
struct Found {
    owner: Owner,
    key: ListedKey,
    shown: KeyShown,
    provider: String,
    /// The owner's page.
    address: String,
}

async fn found(entered: &Entered, names: &HashMap<String, String>) -> Result<Found, Refused> {
    let owner = named(entered, names)?;
    let keys = listed(entered, &owner).await?;
    let wanted = names.get("key").map_or("", String::as_str);
    let key = keys.iter().find(|key| key.record.id.as_str() == wanted);
    let key = key.ok_or_else(|| entered.tell(StatusCode::NOT_FOUND, &text::NO_KEY))?;
    Ok(Found {
        shown: words::shown(key, &keys, entered.console.app().console.now()),
        provider: provider_name(entered, &key.record.provider),
        address: format!("{}{}", entered.console.base, owner::path(&owner)),
        key: key.clone(),
        owner,
    })
}

impl Found {
    fn label(&self) -> String {
        self.key.record.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default()
    }

    fn frame(&self, entered: &Entered, title: &str) -> Frame {
        entered.frame(owner::place(&self.owner), title)
    }
}

#[derive(Template)]
#[template(path = "console/key_replace.html")]
struct ReplacePage {
    frame: Frame,
    found: Found,
    typed: Typed,
}

fn replace_page(entered: &Entered, found: Found, status: StatusCode, typed: Typed) -> Response {
    let frame = found.frame(entered, &crate::text::replace_title(words::label(&found.key)));
    render(status, &ReplacePage { frame, found, typed })
}

pub(crate) async fn replace_form(Path(names): Names, entered: Entered) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let typed = Typed { name: found.label(), ..Typed::default() };
    Ok(replace_page(&entered, found, StatusCode::OK, typed))
}

pub(crate) async fn replace(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let permit = entered.may_manage(&found.owner)?;
    let (secret, name, typed) = read(&fields);
    let (Ok(secret), Ok(name)) = (secret, name) else {
        return Ok(replace_page(&entered, found, StatusCode::UNPROCESSABLE_ENTITY, typed));
    };
    let id = found.key.record.provider.clone();
    let put = PutKey { provider: id.clone(), secret, name: Some(name), verify: typed.verify };
    match entered.console.app().keys.replace(&permit, &found.key.record.id, put).await {
        Ok(done) => Ok(entered.after(&owner::path(&found.owner), &word(&done, "replaced"))),
        Err(error) => {
            let Some(provider) = provider(&entered, id.as_str()) else {
                return Err(entered.refuse(Trouble::Failed(Box::new(error))));
            };
            let typed = refused(&entered, &found.owner, provider, error, typed).await?;
            Ok(replace_page(&entered, found, StatusCode::UNPROCESSABLE_ENTITY, typed))
        }
    }
}

#[derive(Template)]
#[template(path = "console/key_rename.html")]
struct RenamePage {
    frame: Frame,
    found: Found,
    typed: Typed,
}

fn rename_page(entered: &Entered, found: Found, status: StatusCode, typed: Typed) -> Response {
    let frame = found.frame(entered, &crate::text::rename_title(words::label(&found.key)));
    render(status, &RenamePage { frame, found, typed })
}

pub(crate) async fn rename_form(Path(names): Names, entered: Entered) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let typed = Typed { name: found.label(), ..Typed::default() };
    Ok(rename_page(&entered, found, StatusCode::OK, typed))
}

pub(crate) async fn rename(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    match KeyName::parse(fields.get("name")) {
        Ok(name) => {
            let permit = entered.may_manage(&found.owner)?;
            let keys = &entered.console.app().keys;
            let renamed = keys.change(&permit, &found.key.record.id, Some(name), None).await;
            after(&entered, &found, renamed, "renamed")
        }
        Err(invalid) => {
            let name_error = crate::text::invalid_name(invalid).to_owned();
            let typed = Typed { name: fields.get("name").to_string(), name_error, ..Typed::default() };
            Ok(rename_page(&entered, found, StatusCode::UNPROCESSABLE_ENTITY, typed))
        }
    }
}

/// On to the owner's page, where the change was made.
fn after<T>(
    entered: &Entered,
    found: &Found,
    changed: Result<T, ChangeKeyError>,
    done: &str,
) -> Result<Response, Refused> {
    changed.map_err(|error| entered.refuse(error))?;
    Ok(entered.after(&owner::path(&found.owner), done))
}

/// The form says what to switch to, as in the portal.
pub(crate) async fn switch(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let (on, done) = match fields.get("to").as_str() {
        "on" => (true, "switched-on"),
        "off" => (false, "switched-off"),
        _ => return Err(entered.tell(StatusCode::BAD_REQUEST, &crate::text::BAD_FORM)),
    };
    let permit = entered.may_manage(&found.owner)?;
    let switched = entered.console.app().keys.change(&permit, &found.key.record.id, None, Some(on)).await;
    after(&entered, &found, switched, done)
}

/// Asks the provider whether it takes the key; its health follows the answer.
pub(crate) async fn test(Path(names): Names, Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let permit = entered.may_manage(&found.owner)?;
    let tested = entered.console.app().keyring.test(&permit, &found.key.record.id).await;
    let done = match tested.map_err(|error| entered.refuse(error))?.result {
        TestResult::Valid => "tested-valid",
        TestResult::Invalid => "tested-invalid",
        TestResult::NoCredit => "tested-no-credit",
        TestResult::Unreachable => "tested-unreachable",
        TestResult::NotTestable => "tested-not-testable",
    };
    Ok(entered.after(&owner::path(&found.owner), done))
}

#[derive(Template)]
#[template(path = "console/key_delete.html")]
struct DeletePage {
    frame: Frame,
    found: Found,
}

pub(crate) async fn delete_form(Path(names): Names, entered: Entered) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let frame = found.frame(&entered, &crate::text::delete_title(words::label(&found.key)));
    Ok(render(StatusCode::OK, &DeletePage { frame, found }))
}

pub(crate) async fn delete(Path(names): Names, Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let permit = entered.may_manage(&found.owner)?;
    let key = &found.key.record;
    let deleted = entered.console.app().keys.delete(&permit, &key.provider, &key.id).await;
    after(&entered, &found, deleted, "deleted")
}
