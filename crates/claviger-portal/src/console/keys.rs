//! The keys of any owner: seen, added, replaced, renamed, switched, tested, deleted. What is said of a key, and what its
//! forms hold, is the portal's.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use claviger_app::keyring::TestResult;
use claviger_app::keys::{ChangeKeyError, ListedKey};
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{Owner, Provider, ProviderId};
use http::StatusCode;

use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place, Trouble};
use crate::console::show::minute;
use crate::console::{owner, text};
use crate::key_form::{self, KeyForm, KeyTrouble, Put, Typed};
use crate::page::{Refused, render};
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
    entered.console.app().keys.list(&permit).await.map_err(|error| entered.refuse(KeyTrouble::from(error)))
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
    Ok(render(
        StatusCode::OK,
        &PlatformPage { frame: entered.frame(Place::Platform, text::PLATFORM_KEYS), address, pools },
    ))
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
        frame: entered.frame(owner::place(owner), text::ADD_A_KEY),
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
    let form = KeyForm::read(&fields);
    let chosen = fields.get("provider").as_str();
    let again = |wrong, typed| Ok(new_page(&entered, &owner, StatusCode::UNPROCESSABLE_ENTITY, (chosen, wrong), typed));
    let Some(provider) = provider(&entered, chosen) else {
        return again(text::NO_PROVIDER, form.typed);
    };
    let keys = listed(&entered, &owner).await?;
    let provider = (&provider.id, provider.name.as_str());
    let put = form.put(&entered.console.app().keys, &permit, provider, &keys, None).await;
    match put.map_err(|trouble| entered.refuse(trouble))? {
        Put::Done(word) => Ok(entered.after(&owner::path(&owner), &word)),
        Put::Refused(typed) => again("", typed),
    }
}

/// What a path names: an owner, and one of its keys.
struct Found {
    owner: Owner,
    /// The key, and all that its owner has.
    key: ListedKey,
    keys: Vec<ListedKey>,
    shown: KeyShown,
    provider: String,
    /// The owner's page.
    address: String,
}

async fn found(entered: &Entered, names: &HashMap<String, String>) -> Result<Found, Refused> {
    let owner = named(entered, names)?;
    let keys = listed(entered, &owner).await?;
    let wanted = names.get("key").map_or("", String::as_str);
    let key = keys.iter().find(|key| key.record.id.as_str() == wanted).cloned();
    let key = key.ok_or_else(|| entered.tell(StatusCode::NOT_FOUND, &text::NO_KEY))?;
    Ok(Found {
        shown: words::shown(&key, &keys, entered.console.app().console.now()),
        provider: provider_name(entered, &key.record.provider),
        address: format!("{}{}", entered.console.base, owner::path(&owner)),
        key,
        keys,
        owner,
    })
}

impl Found {
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
    let typed = Typed::of(&found.key);
    Ok(replace_page(&entered, found, StatusCode::OK, typed))
}

pub(crate) async fn replace(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let permit = entered.may_manage(&found.owner)?;
    let provider = (&found.key.record.provider, found.provider.as_str());
    let keys = &entered.console.app().keys;
    let put = KeyForm::read(&fields).put(keys, &permit, provider, &found.keys, Some(&found.key.record.id)).await;
    Ok(match put.map_err(|trouble| entered.refuse(trouble))? {
        Put::Done(word) => entered.after(&owner::path(&found.owner), &word),
        Put::Refused(typed) => replace_page(&entered, found, StatusCode::UNPROCESSABLE_ENTITY, typed),
    })
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
    let typed = Typed::of(&found.key);
    Ok(rename_page(&entered, found, StatusCode::OK, typed))
}

pub(crate) async fn rename(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    match key_form::name(&fields) {
        Ok(name) => {
            let permit = entered.may_manage(&found.owner)?;
            let keys = &entered.console.app().keys;
            let renamed = keys.change(&permit, &found.key.record.id, Some(name), None).await;
            after(&entered, &found, renamed, "renamed")
        }
        Err(typed) => Ok(rename_page(&entered, found, StatusCode::UNPROCESSABLE_ENTITY, typed)),
    }
}

/// On to the owner's page, where the change was made.
fn after<T>(
    entered: &Entered,
    found: &Found,
    changed: Result<T, ChangeKeyError>,
    done: &str,
) -> Result<Response, Refused> {
    changed.map_err(|error| entered.refuse(KeyTrouble::from(error)))?;
    Ok(entered.after(&owner::path(&found.owner), done))
}

pub(crate) async fn switch(Path(names): Names, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let Some((on, done)) = key_form::switch(&fields) else {
        return Err(entered.tell(StatusCode::BAD_REQUEST, &crate::text::BAD_FORM));
    };
    let permit = entered.may_manage(&found.owner)?;
    let switched = entered.console.app().keys.change(&permit, &found.key.record.id, None, Some(on)).await;
    after(&entered, &found, switched, done)
}

/// Asks the provider whether it takes the key; its health follows the answer.
pub(crate) async fn test(Path(names): Names, Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let found = found(&entered, &names).await?;
    let permit = entered.may_manage(&found.owner)?;
    let tested = key_form::tested(entered.console.app().keyring.test(&permit, &found.key.record.id).await);
    let done = match tested.map_err(|trouble| entered.refuse(trouble))? {
        Some(TestResult::Valid) => "tested-valid",
        Some(TestResult::Invalid) => "tested-invalid",
        Some(TestResult::NoCredit) => "tested-no-credit",
        Some(TestResult::Unreachable) => "tested-unreachable",
        Some(TestResult::NotTestable) => "tested-not-testable",
        None => return Err(entered.refuse(Trouble::Unfit(&text::UNREADABLE_KEY))),
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
