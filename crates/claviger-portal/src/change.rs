//! The forms: a key added, replaced, renamed, switched, deleted.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::access::{ManageKeys, Permit};
use claviger_app::keys::{ChangeKeyError, ListedKey};
use claviger_core::{KeyId, Provider};
use http::StatusCode;

use crate::key_form::{self, KeyForm, Put, Typed};
use crate::keys::{lent, pool, provider, refuse};
use crate::page::{Frame, Refused, render, see, tell};
use crate::provider::{SecretFields, full, provider_page};
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
    pub(crate) async fn of(portal: &Portal, visitor: &Visitor, (id, key): &(String, String)) -> Result<Self, Refused> {
        let gone = || tell(portal, visitor, StatusCode::NOT_FOUND, &text::GONE);
        let provider = provider(portal, visitor, id).ok_or_else(gone)?;
        let pool = pool(portal, visitor, &provider).await?;
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

    /// On to the provider's page, which says what was done.
    fn after(&self, done: &str) -> Response {
        see(&format!("{}?done={done}", self.address))
    }
}

/// The permit of somebody who may change keys.
pub(crate) fn permit(portal: &Portal, visitor: &Visitor) -> Result<Permit<ManageKeys>, Refused> {
    visitor.may_manage().map_err(|_| tell(portal, visitor, StatusCode::FORBIDDEN, &text::FORBIDDEN))
}

pub(crate) async fn add(
    State(portal): State<Shared>,
    Path(id): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let Some(provider) = provider(&portal, &visitor, &id) else {
        return Err(tell(&portal, &visitor, StatusCode::NOT_FOUND, &text::NOTHING_HERE));
    };
    let pool = pool(&portal, &visitor, &provider).await?;
    let form = KeyForm::read(&fields);
    let put = match full(visitor.session.pass.grant.mode, pool.len()) {
        Some(full) => Ok(Put::Refused(Typed { error: full.to_owned(), ..form.typed })),
        None => form.put(&portal.app.keys, &permit, (&provider.id, &provider.name), &pool, None).await,
    };
    match put.map_err(|trouble| refuse(&portal, &visitor, trouble))? {
        Put::Done(word) => Ok(see(&format!("{}/providers/{}?done={word}", portal.base, provider.id))),
        Put::Refused(typed) => {
            provider_page(&portal, &visitor, &provider, StatusCode::UNPROCESSABLE_ENTITY, typed).await
        }
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
) -> Result<Response, Refused> {
    permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    Ok(replace_page(&portal, &visitor, &place, StatusCode::OK, Typed::of(place.key())))
}

pub(crate) async fn replace(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    let provider = (&place.provider.id, place.provider.name.as_str());
    let put = KeyForm::read(&fields).put(&portal.app.keys, &permit, provider, &place.pool, Some(place.id())).await;
    Ok(match put.map_err(|trouble| refuse(&portal, &visitor, trouble))? {
        Put::Done(word) => place.after(&word),
        Put::Refused(typed) => replace_page(&portal, &visitor, &place, StatusCode::UNPROCESSABLE_ENTITY, typed),
    })
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
) -> Result<Response, Refused> {
    permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    Ok(rename_page(&portal, &visitor, &place, StatusCode::OK, Typed::of(place.key())))
}

pub(crate) async fn rename(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    match key_form::name(&fields) {
        Ok(name) => {
            let changed = portal.app.keys.change(&permit, place.id(), Some(name), None).await;
            after(&portal, &visitor, &place, changed, "renamed")
        }
        Err(typed) => Ok(rename_page(&portal, &visitor, &place, StatusCode::UNPROCESSABLE_ENTITY, typed)),
    }
}

/// On to the provider's page, where the change was made.
fn after<T>(
    portal: &Portal,
    visitor: &Visitor,
    place: &Place,
    changed: Result<T, ChangeKeyError>,
    done: &str,
) -> Result<Response, Refused> {
    changed.map(|_| place.after(done)).map_err(|error| refuse(portal, visitor, error))
}

pub(crate) async fn switch(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    let Some((on, done)) = key_form::switch(&fields) else {
        return Err(tell(&portal, &visitor, StatusCode::BAD_REQUEST, &text::BAD_FORM));
    };
    let changed = portal.app.keys.change(&permit, place.id(), None, Some(on)).await;
    after(&portal, &visitor, &place, changed, done)
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
) -> Result<Response, Refused> {
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
    Ok(render(StatusCode::OK, &page))
}

pub(crate) async fn delete(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    let deleted = portal.app.keys.delete(&permit, &place.provider.id, place.id()).await;
    after(&portal, &visitor, &place, deleted, "deleted")
}
