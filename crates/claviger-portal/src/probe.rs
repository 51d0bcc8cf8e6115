//! A key tested at the provider, by a button.

use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::keyring::TestResult;

use crate::Shared;
use crate::change::{Place, permit};
use crate::key_form;
use crate::keys::refuse;
use crate::page::{Refused, see};
use crate::visitor::Posted;

/// The word that the address has for a result; none where the key cannot be read.
fn word(result: Option<TestResult>) -> &'static str {
    match result {
        Some(TestResult::Valid) => "tested-valid",
        Some(TestResult::Invalid) => "tested-invalid",
        Some(TestResult::NoCredit) => "tested-no-credit",
        Some(TestResult::Unreachable) => "tested-unreachable",
        Some(TestResult::NotTestable) => "tested-nothing",
        None => "tested-unreadable",
    }
}

pub(crate) async fn test(
    State(portal): State<Shared>,
    Path(at): Path<(String, String)>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let place = Place::of(&portal, &visitor, &at).await?;
    let tested = key_form::tested(portal.app.keyring.test(&permit, place.id()).await);
    let word = word(tested.map_err(|trouble| refuse(&portal, &visitor, trouble))?);
    Ok(see(&format!("{}?done={word}&key={}", place.address, place.id())))
}
