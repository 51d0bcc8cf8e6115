//! Which master keys there are, and how much is sealed under each, as `claviger master-key status` tells it. Counts end
//! where the overview's do.

use askama::Template;
use axum::response::Response;
use claviger_app::master_keys::{KeyStatus, Standing, Status};
use http::StatusCode;

use crate::console::operator::Entered;
use crate::console::overview::Check;
use crate::console::page::{Frame, Place};
use crate::console::{show, text};
use crate::page::{Refused, render};

#[derive(Template)]
#[template(path = "console/master_keys.html")]
struct MasterKeysPage {
    frame: Frame,
    keys: Vec<MasterKeyShown>,
    /// What is still sealed under older master keys, in words.
    left: String,
    /// Empty where nothing is.
    damaged: String,
}

struct MasterKeyShown {
    id: String,
    data_keys: String,
    /// A word for the style sheet.
    class: &'static str,
    standing: &'static str,
    given: &'static str,
}

impl MasterKeyShown {
    fn of(key: &KeyStatus) -> Self {
        let (class, standing) = match key.standing() {
            Standing::InUse => ("well", text::IN_USE),
            Standing::StillNeeded => ("resting", text::STILL_NEEDED),
            Standing::CanBeWithdrawn => ("off", text::CAN_BE_WITHDRAWN),
            Standing::Next => ("off", text::COMES_INTO_USE),
        };
        Self {
            id: key.id.to_string(),
            data_keys: show::count(key.data_keys),
            class: if is_missing(key) { "broken" } else { class },
            standing,
            given: if key.is_given { text::GIVEN } else { text::NOT_GIVEN },
        }
    }
}

fn is_missing(key: &KeyStatus) -> bool {
    key.is_needed() && !key.is_given
}

fn left(status: &Status) -> String {
    match status.left() {
        0 => text::NOTHING_LEFT.to_owned(),
        left => text::left(&show::count(left)),
    }
}

fn damaged(status: &Status) -> String {
    if status.damaged == 0 { String::new() } else { text::damaged(&show::count(status.damaged)) }
}

pub(crate) async fn show(entered: Entered) -> Result<Response, Refused> {
    let status = entered.console.app().console.master_keys(&entered.operator).await;
    let status = status.map_err(|error| entered.refuse(error))?;
    let page = MasterKeysPage {
        frame: entered.frame(Place::MasterKeys, text::MASTER_KEYS),
        keys: status.keys.iter().map(MasterKeyShown::of).collect(),
        left: left(&status),
        damaged: damaged(&status),
    };
    Ok(render(StatusCode::OK, &page))
}

/// At a glance. A node to which the master key in use is not given does not start; another one may be in use by now.
pub(crate) async fn check(entered: &Entered) -> Check {
    let (class, state, detail) = match entered.console.app().console.master_keys(&entered.operator).await {
        Ok(status) if status.keys.iter().any(is_missing) => ("broken", text::NEEDED_NOT_GIVEN, left(&status)),
        Ok(status) if status.damaged > 0 => ("broken", text::DAMAGED, damaged(&status)),
        Ok(status) if status.left() > 0 => ("resting", text::BEING_CHANGED, left(&status)),
        Ok(_) => ("well", text::PROVEN, text::PROOF.to_owned()),
        Err(error) => {
            tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "nothing is known of the master keys");
            ("off", text::NOT_KNOWN, String::new())
        }
    };
    Check { label: text::MASTER_KEY, class, state: state.to_owned(), detail }
}
