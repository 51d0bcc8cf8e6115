//! A key tested at the provider, by a button.

use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::keyring::{TestKeyError, TestResult};
use http::StatusCode;

use crate::Shared;
use crate::change::{Place, permit};
use crate::page::{self, see, tell};
use crate::text;
use crate::visitor::Posted;

/// The word that the address has for a result.
fn word(result: TestResult) -> &'static str {
    match result {
        TestResult::Valid => "tested-valid",
        TestResult::Invalid => "tested-invalid",
        TestResult::NoCredit => "tested-no-credit",
        TestResult::Unreachable => "tested-unreachable",
        TestResult::NotTestable => "tested-nothing",
    }
}

pub(crate) async fn test(State(portal): State<Shared>, Path(at): Path<(String, String)>, posted: Posted) -> Response {
    let visitor = &posted.visitor;
    let done = async {
        let permit = permit(&portal, visitor)?;
        let place = Place::of(&portal, visitor, &at).await?;
        let see_word = |word| see(&format!("{}?done={word}&key={}", place.address, place.id()));
        Ok::<_, Box<Response>>(match portal.app.keyring.test(&permit, place.id()).await {
            Ok(tested) => see_word(word(tested.result)),
            Err(TestKeyError::Unreadable) => see_word("tested-unreadable"),
            Err(TestKeyError::NoOwner(_) | TestKeyError::NoKey) => {
                tell(&portal, visitor, StatusCode::NOT_FOUND, &text::GONE)
            }
            Err(TestKeyError::Store(error)) => page::unavailable(&portal, visitor.look, &error),
        })
    };
    done.await.unwrap_or_else(|refused| *refused)
}
