//! The forms: a key added, replaced, renamed, switched, deleted.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::access::{ManageKeys, Permit};
use claviger_app::keyring::TestResult;
use claviger_app::keys::{ChangeKeyError, ListedKey, PutDone, PutKey, PutKeyError};
use claviger_core::{KeyId, KeyName, KeySecret, Provider};
use http::StatusCode;

use crate::fields::Fields;
use crate::keys::{lent, listed, provider};
use crate::page::{self, Frame, render, see, tell};
use crate::provider::{SecretFields, Typed, full, provider_page};
use crate::text;
use crate::visitor::{Posted, Visitor};
use crate::words::{self, KeyShown};
use crate::{Portal, Shared};

/// What a path names: a provider that the session shows, its keys, and one of them.
pub(crate) struct Place {
    provider: Arc<Provider>,
    pool: Vec<ListedKey>,
    /// Which key of the pool.
    index: usize,
    /// The provider's page.
    pub(crate) address: String,
}

impl Place {
    pub(crate) async fn of(
        portal: &Portal,
        visitor: &Visitor,
        (id, key): &(String, String),
    ) -> Result<Self, Box<Response>> {
        let gone = || Box::new(tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE));
        let provider = provider(portal, visitor, id).ok_or_else(gone)?;
        let keys = listed(portal, visitor).await?.into_iter();
        let pool: Vec<_> = keys.filter(|key| key.record.provider == provider.id).collect();
        let index = pool.iter().position(|one| one.record.id.as_str() == key).ok_or_else(gone)?;
        let address = format!("{}/providers/{}", portal.base, provider.id);
        Ok(Self { provider, pool, index, address })
    }

    fn key(&self) -> &ListedKey {
        &self.pool[self.index]
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.key().record.id
    }

    fn shown(&self, portal: &Portal) -> KeyShown {
        words::shown(self.key(), &self.pool, portal.app.portal.now())
    }
}

/// The permit of somebody who may change keys.
pub(crate) fn permit(portal: &Portal, visitor: &Visitor) -> Result<Permit<ManageKeys>, Box<Response>> {
    visitor.may_manage().map_err(|_| Box::new(tell(portal, visitor, StatusCode::FORBIDDEN, &text::FORBIDDEN)))
}

/// What a form for a key holds, read as far as it can be.
pub(crate) fn read(fields: &Fields) -> (Result<KeySecret, String>, Result<Option<KeyName>, String>, Typed) {
    let secret = KeySecret::parse(fields.get("secret")).map_err(|invalid| text::invalid_secret(invalid).to_owned());
    let name = KeyName::parse(fields.get("name")).map_err(|invalid| text::invalid_name(invalid).to_owned());
    let typed = Typed {
        name: fields.get("name").to_string(),
        verify: !fields.get("verify").is_empty(),
        secret_error: secret.as_ref().err().cloned().unwrap_or_default(),
        name_error: name.as_ref().err().cloned().unwrap_or_default(),
        error: String::new(),
    };
    (secret, name, typed)
}

/// What the address says after the redirect.
pub(crate) fn word(done: &PutDone, what: &'static str) -> String {
    let tested = done.tested.as_ref().map(|tested| match tested.result {
        TestResult::Valid => "-valid",
        TestResult::NoCredit => "-no-credit",
        TestResult::Invalid | TestResult::Unreachable | TestResult::NotTestable => "-untested",
    });
    format!("{what}{}", tested.unwrap_or_default())
}

/// Why a key was not put: what the form says of it, or a page in its place.
fn refused(
    portal: &Portal,
    visitor: &Visitor,
    (provider, pool): (&Provider, &[ListedKey]),
    error: PutKeyError,
    typed: Typed,
) -> Result<Typed, Box<Response>> {
    match error {
        PutKeyError::LimitReached => Ok(Typed { error: text::ENGLISH.limit_reached.to_owned(), ..typed }),
        PutKeyError::Duplicate(twin) => {
            let twin = pool.iter().find(|key| key.record.id == twin).map_or(text::ENGLISH.unnamed, words::label);
            Ok(Typed { secret_error: text::duplicate(twin), ..typed })
        }
        PutKeyError::Rejected(_) => Ok(Typed { secret_error: text::refused_by(&provider.name), ..typed }),
        PutKeyError::NoOwner(_) | PutKeyError::NoKey | PutKeyError::Given(_) => {
            Err(Box::new(tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE)))
        }
        PutKeyError::Unreadable(error) => Err(Box::new(page::unavailable(portal, visitor.look, &error))),
        PutKeyError::Seal(error) => Err(Box::new(page::unavailable(portal, visitor.look, &error))),
        PutKeyError::Store(error) => Err(Box::new(page::unavailable(portal, visitor.look, &error))),
    }
}

pub(crate) async fn add(State(portal): State<Shared>, Path(id): Path<String>, posted: Posted) -> Response {
    try_add(&portal, &id, &posted).await.unwrap_or_else(|refused| *refused)
}

async fn try_add(portal: &Portal, id: &str, Posted { visitor, fields }: &Posted) -> Result<Response, Box<Response>> {
    let permit = permit(portal, visitor)?;
    let Some(provider) = provider(portal, visitor, id) else {
        return Err(Box::new(tell(portal, visitor, StatusCode::NOT_FOUND, &text::NOTHING_HERE)));
    };
    let pool: Vec<_> =
        listed(portal, visitor).await?.into_iter().filter(|key| key.record.provider == provider.id).collect();
    let (secret, name, typed) = read(fields);
    let again = |typed| provider_page(portal, visitor, &provider, StatusCode::UNPROCESSABLE_ENTITY, typed);
    if let Some(full) = full(visitor.session.pass.grant.mode, pool.len()) {
        return Ok(again(Typed { error: full.to_owned(), ..typed }).await);
    }
    let (Ok(secret), Ok(name)) = (secret, name) else {
        return Ok(again(typed).await);
    };
    let put = PutKey { provider: provider.id.clone(), secret, name: Some(name), verify: typed.verify };
    match portal.app.keys.add(&permit, put).await {
        Ok(done) => Ok(see(&format!("{}/providers/{}?done={}", portal.base, provider.id, word(&done, "added")))),
        Err(error) => Ok(again(refused(portal, visitor, (&provider, &pool), error, typed)?).await),
    }
}

#[derive(Template)]
#[template(path = "replace.html")]
struct ReplacePage {
    frame: Frame,
    address: String,
    key: KeyShown,
    fields: SecretFields,
    typed: Typed,
}

fn replace_page(portal: &Portal, visitor: &Visitor, place: &Place, status: StatusCode, typed: Typed) -> Response {
    let page = ReplacePage {
        frame: Frame::of(portal, visitor, &text::replace_title(words::label(place.key()))),
        address: place.address.clone(),
        key: place.shown(portal),
        fields: SecretFields::of(&place.provider),
        typed,
    };
    render(status, &page)
}

pub(crate) async fn replace_form(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    visitor: Visitor,
) -> Response {
    let found = async {
        permit(&portal, &visitor)?;
        let place = Place::of(&portal, &visitor, &at).await?;
        let name = place.key().record.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
        Ok::<_, Box<Response>>(replace_page(
            &portal,
            &visitor,
            &place,
            StatusCode::OK,
            Typed { name, ..Typed::default() },
        ))
    };
    found.await.unwrap_or_else(|refused| *refused)
}

pub(crate) async fn replace(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    posted: Posted,
) -> Response {
    try_replace(&portal, &at, &posted).await.unwrap_or_else(|refused| *refused)
}

async fn try_replace(
    portal: &Portal,
    at: &(String, String),
    Posted { visitor, fields }: &Posted,
) -> Result<Response, Box<Response>> {
    let permit = permit(portal, visitor)?;
    let place = Place::of(portal, visitor, at).await?;
    let (secret, name, typed) = read(fields);
    let again = |typed| replace_page(portal, visitor, &place, StatusCode::UNPROCESSABLE_ENTITY, typed);
    let (Ok(secret), Ok(name)) = (secret, name) else {
        return Ok(again(typed));
    };
    let put = PutKey { provider: place.provider.id.clone(), secret, name: Some(name), verify: typed.verify };
    match portal.app.keys.replace(&permit, place.id(), put).await {
        Ok(done) => Ok(see(&format!("{}?done={}", place.address, word(&done, "replaced")))),
        Err(error) => Ok(again(refused(portal, visitor, (&place.provider, &place.pool), error, typed)?)),
    }
}

#[derive(Template)]
#[template(path = "rename.html")]
struct RenamePage {
    frame: Frame,
    address: String,
    key: KeyShown,
    typed: Typed,
}

fn rename_page(portal: &Portal, visitor: &Visitor, place: &Place, status: StatusCode, typed: Typed) -> Response {
    let page = RenamePage {
        frame: Frame::of(portal, visitor, &text::rename_title(words::label(place.key()))),
        address: place.address.clone(),
        key: place.shown(portal),
        typed,
    };
    render(status, &page)
}

pub(crate) async fn rename_form(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    visitor: Visitor,
) -> Response {
    let found = async {
        permit(&portal, &visitor)?;
        let place = Place::of(&portal, &visitor, &at).await?;
        let name = place.key().record.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
        Ok::<_, Box<Response>>(rename_page(
            &portal,
            &visitor,
            &place,
            StatusCode::OK,
            Typed { name, ..Typed::default() },
        ))
    };
    found.await.unwrap_or_else(|refused| *refused)
}

pub(crate) async fn rename(State(portal): State<Shared>, Path(at): Path<(String, String)>, posted: Posted) -> Response {
    let Posted { visitor, fields } = &posted;
    let done = async {
        let permit = permit(&portal, visitor)?;
        let place = Place::of(&portal, visitor, &at).await?;
        match KeyName::parse(fields.get("name")) {
            Ok(name) => {
                let changed = portal.app.keys.change(&permit, place.id(), Some(name), None).await;
                Ok::<_, Box<Response>>(after(
                    &portal,
                    visitor,
                    changed.map(drop),
                    &format!("{}?done=renamed", place.address),
                ))
            }
            Err(invalid) => {
                let name_error = text::invalid_name(invalid).to_owned();
                let typed = Typed { name: fields.get("name").to_string(), name_error, ..Typed::default() };
                Ok(rename_page(&portal, visitor, &place, StatusCode::UNPROCESSABLE_ENTITY, typed))
            }
        }
    };
    done.await.unwrap_or_else(|refused| *refused)
}

/// On to the address, where the change was made.
fn after(portal: &Portal, visitor: &Visitor, changed: Result<(), ChangeKeyError>, address: &str) -> Response {
    match changed {
        Ok(()) => see(address),
        Err(ChangeKeyError::NoOwner(_) | ChangeKeyError::NoKey | ChangeKeyError::Given(_)) => {
            tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE)
        }
        Err(ChangeKeyError::Store(error)) => page::unavailable(portal, visitor.look, &error),
    }
}

/// The form says what to switch to, so that two pages that are open at once do not switch back and forth.
pub(crate) async fn switch(State(portal): State<Shared>, Path(at): Path<(String, String)>, posted: Posted) -> Response {
    let Posted { visitor, fields } = &posted;
    let done = async {
        let permit = permit(&portal, visitor)?;
        let place = Place::of(&portal, visitor, &at).await?;
        let (on, word) = match fields.get("to").as_str() {
            "on" => (true, "switched-on"),
            "off" => (false, "switched-off"),
            _ => return Ok(tell(&portal, visitor, StatusCode::BAD_REQUEST, &text::BAD_FORM)),
        };
        let changed = portal.app.keys.change(&permit, place.id(), None, Some(on)).await;
        Ok::<_, Box<Response>>(after(&portal, visitor, changed.map(drop), &format!("{}?done={word}", place.address)))
    };
    done.await.unwrap_or_else(|refused| *refused)
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    frame: Frame,
    address: String,
    key: KeyShown,
    consequence: String,
}

pub(crate) async fn delete_form(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    visitor: Visitor,
) -> Response {
    let found = async {
        permit(&portal, &visitor)?;
        let place = Place::of(&portal, &visitor, &at).await?;
        let lends = lent(&portal, &visitor).await?.contains(&place.provider.id);
        let others = place.pool.iter().filter(|key| key.record.id != *place.id());
        let on = others.filter(|key| key.record.enabled).count();
        let page = DeletePage {
            frame: Frame::of(&portal, &visitor, &text::delete_title(words::label(place.key()))),
            address: place.address.clone(),
            key: place.shown(&portal),
            consequence: text::after_deletion(place.pool.len() - 1, on, lends, &place.provider.name),
        };
        Ok::<_, Box<Response>>(render(StatusCode::OK, &page))
    };
    found.await.unwrap_or_else(|refused| *refused)
}

pub(crate) async fn delete(State(portal): State<Shared>, Path(at): Path<(String, String)>, posted: Posted) -> Response {
    let visitor = &posted.visitor;
    let done = async {
        let permit = permit(&portal, visitor)?;
        let place = Place::of(&portal, visitor, &at).await?;
        let deleted = portal.app.keys.delete(&permit, &place.provider.id, place.id()).await;
        Ok::<_, Box<Response>>(after(&portal, visitor, deleted, &format!("{}?done=deleted", place.address)))
    };
    done.await.unwrap_or_else(|refused| *refused)
}
