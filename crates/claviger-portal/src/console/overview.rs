//! How many there are of everything, and how this node, the database and the rest are.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::console::operator::Entered;
use crate::console::page::{Frame, Place};
use crate::console::show::{self, grouped};
use crate::console::{Console, Shared, master_keys, text};
use crate::page::{Refused, render, see};

/// A number that is of interest, with where to see what it counts.
struct CountShown {
    label: &'static str,
    number: String,
    /// Empty where there is no such page.
    address: String,
}

/// Something that is well or not.
pub(crate) struct Check {
    pub(crate) label: &'static str,
    /// A word for the style sheet: `well`, `resting`, `broken` or `off`.
    pub(crate) class: &'static str,
    pub(crate) state: String,
    /// What follows from it; empty for nothing.
    pub(crate) detail: String,
}

/// A fact of a node.
struct Fact {
    label: &'static str,
    value: String,
}

/// How requests with a provider's keys ended since the node started.
struct Attempts {
    provider: String,
    all: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage {
    frame: Frame,
    counts: Vec<CountShown>,
    checks: Vec<Check>,
}

#[derive(Template)]
#[template(path = "console/health.html")]
struct HealthPage {
    frame: Frame,
    checks: Vec<Check>,
    facts: Vec<Fact>,
    attempts: Vec<Attempts>,
}

pub(crate) async fn home(State(console): State<Shared>) -> Response {
    see(&console.base)
}

pub(crate) async fn overview(entered: Entered) -> Result<Response, Refused> {
    let console = &entered.console;
    // Where the database does not answer, the page still says so.
    let counts = match console.app().console.counts(&entered.operator).await {
        Ok(counts) => {
            let shown = |label, number, path: &str| CountShown {
                label,
                number: show::count(number),
                address: if path.is_empty() { String::new() } else { format!("{}{path}", console.base) },
            };
            vec![
                shown(text::WORKSPACES, counts.workspaces, "/workspaces"),
                shown(text::ORGANIZATIONS, counts.organizations, "/organizations"),
                shown(text::PROVIDER_KEYS, counts.keys, ""),
                shown(text::TOKENS, counts.tokens, "/tokens"),
                shown(text::WEBHOOKS, counts.webhooks, ""),
            ]
        }
        Err(error) => {
            tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "nothing could be counted");
            Vec::new()
        }
    };
    let checks = checks(&entered).await;
    Ok(render(StatusCode::OK, &OverviewPage { frame: entered.frame(Place::Overview, text::OVERVIEW), counts, checks }))
}

pub(crate) async fn health(entered: Entered) -> Result<Response, Refused> {
    let console = &entered.console;
    let page = HealthPage {
        frame: entered.frame(Place::Health, text::HEALTH),
        checks: checks(&entered).await,
        facts: facts(console),
        attempts: attempts(console),
    };
    Ok(render(StatusCode::OK, &page))
}

async fn checks(entered: &Entered) -> Vec<Check> {
    let console = &*entered.console;
    let (database, is_ready) = database(console).await;
    let (class, state) = if is_ready { ("well", text::READY) } else { ("broken", text::NOT_READY) };
    let readiness = Check { label: text::THIS_NODE, class, state: state.to_owned(), detail: String::new() };
    vec![readiness, database, feed(console), valkey(console), master_keys::check(entered).await]
}

async fn database(console: &Console) -> (Check, bool) {
    let app = console.app();
    let began = app.console.uptime();
    let answered = app.ready().await;
    let took = app.console.uptime().saturating_sub(began);
    let label = text::DATABASE;
    match answered {
        Ok(()) => {
            let state = text::answers(took.as_millis());
            (Check { label, class: "well", state, detail: console.node.database.clone() }, true)
        }
        Err(error) => {
            tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "the database is not well");
            (Check { label, class: "broken", state: error.to_string(), detail: console.node.database.clone() }, false)
        }
    }
}

fn feed(console: &Console) -> Check {
    let keyring = &console.app().keyring;
    let ago = keyring.heard_ago().map(|ago| text::span(ago.as_secs()));
    let label = text::CHANGES;
    match (keyring.is_hearing(), ago) {
        (true, Some(ago)) => {
            Check { label, class: "well", state: text::HEARD_OF.to_owned(), detail: text::proven(&ago) }
        }
        // A process that does not watch has nobody beside it.
        (true, None) => Check { label, class: "off", state: text::NOT_LISTENED_TO.to_owned(), detail: String::new() },
        (false, ago) => {
            Check { label, class: "broken", state: text::NOT_HEARD_OF.to_owned(), detail: text::deaf(ago.as_deref()) }
        }
    }
}

fn valkey(console: &Console) -> Check {
    let label = text::VALKEY;
    match console.app().keyring.sharing() {
        None => Check { label, class: "off", state: text::NOT_SET_UP.to_owned(), detail: text::ALONE.to_owned() },
        Some(counts) => {
            let (class, state) =
                if counts.sharing { ("well", text::TURNS_SHARED) } else { ("broken", text::NOT_REACHED) };
            let detail = text::turns([counts.shared, counts.missed, counts.lost].map(grouped));
            Check { label, class, state: state.to_owned(), detail }
        }
    }
}

fn facts(console: &Console) -> Vec<Fact> {
    let app = console.app();
    let pools = u64::try_from(app.keyring.pools_in_memory()).unwrap_or(u64::MAX);
    vec![
        Fact { label: text::VERSION, value: console.node.version.to_owned() },
        Fact { label: text::UPTIME, value: text::span(app.console.uptime().as_secs()) },
        Fact { label: text::PUBLIC_ADDRESS, value: app.portal.public_url().to_owned() },
        Fact { label: text::DATABASE, value: console.node.database.clone() },
        Fact { label: text::MASTER_KEY, value: console.node.master_key.clone() },
        Fact { label: text::POOLS, value: grouped(pools) },
        Fact { label: text::MEMORY, value: text::kibibytes(&grouped(app.keyring.bytes_in_memory() / 1_024)) },
    ]
}

fn attempts(console: &Console) -> Vec<Attempts> {
    let shown = console.app().keyring.counts().map(|(provider, counts)| {
        let ends: Vec<_> = counts.by_class().filter(|(_, count)| *count > 0).collect();
        let all = ends.iter().map(|(_, count)| count).sum();
        let ends: Vec<_> = ends.iter().map(|(end, count)| format!("{} {end}", grouped(*count))).collect();
        (all, Attempts { provider: provider.to_string(), all: grouped(all), ends: ends.join(", ") })
    });
    let mut shown: Vec<(u64, Attempts)> = shown.filter(|(all, _)| *all > 0).collect();
    shown.sort_by(|(one, _), (other, _)| other.cmp(one));
    shown.into_iter().map(|(_, shown)| shown).collect()
}
