//! Sessions of the operator's console, and what it looks for.

use claviger_core::TokenId;

use super::Fresh;
use super::given::{at, organization, somebody, workspace, workspace_id};
use crate::{ConsoleSession, Page, Store, Workspace, WorkspaceChange};

/// A session whose id is this letter, from the first second to this one.
pub(super) fn session(letter: char, until: u64) -> ConsoleSession {
    ConsoleSession { id: id(letter), hash: [9; 32], root: [8; 32], created_at: at(1), expires_at: at(until) }
}

fn id(letter: char) -> TokenId {
    letter.to_string().repeat(16).parse().unwrap()
}

async fn listed(store: &dyn Store, after: Option<char>, limit: u32) -> Vec<TokenId> {
    let page = Page { after: after.map(id), limit };
    store.console_sessions(at(50), &page).await.unwrap().into_iter().map(|session| session.id).collect()
}

pub async fn a_console_session_reads_back_on_every_node_until_it_is_ended(Fresh { store, other }: Fresh) {
    let begun = session('a', 100);
    store.begin_console_session(&begun, &somebody()).await.unwrap();
    assert_eq!(other.console_session(&begun.id).await.unwrap().as_ref(), Some(&begun));
    assert_eq!(other.console_session(&id('b')).await.unwrap(), None);
    assert!(other.end_console_session(&begun.id, &somebody()).await.unwrap());
    assert!(!store.end_console_session(&begun.id, &somebody()).await.unwrap());
    assert_eq!(store.console_session(&begun.id).await.unwrap(), None);
}

pub async fn console_sessions_that_last_are_listed_by_id(Fresh { store, .. }: Fresh) {
    for (letter, until) in [('d', 100), ('b', 51), ('c', 50), ('a', 100)] {
        store.begin_console_session(&session(letter, until), &somebody()).await.unwrap();
    }
    assert_eq!(listed(&*store, None, 10).await, [id('a'), id('b'), id('d')]);
    assert_eq!(listed(&*store, Some('a'), 1).await, [id('b')]);
}

pub async fn expired_console_sessions_are_forgotten(Fresh { store, .. }: Fresh) {
    for (letter, until) in [('a', 20), ('b', 30), ('c', 40)] {
        store.begin_console_session(&session(letter, until), &somebody()).await.unwrap();
    }
    assert_eq!(store.forget_console(at(20)).await.unwrap(), 0);
    assert_eq!(store.forget_console(at(40)).await.unwrap(), 2);
    assert!(store.console_session(&id('c')).await.unwrap().is_some());
}

async fn named(store: &dyn Store, id: &str, name: &str) {
    let name = Some(Some(name.to_owned()));
    store
        .put_workspace(&WorkspaceChange { id: workspace_id(id), name, organization: None, at: at(1) }, &somebody())
        .await
        .unwrap();
}

fn ids(workspaces: &[Workspace]) -> Vec<&str> {
    workspaces.iter().map(|workspace| workspace.id.as_str()).collect()
}

pub async fn workspaces_are_found_by_how_their_ids_begin(Fresh { store, .. }: Fresh) {
    for id in ["acme", "acme.eu", "acme_us", "Acme", "acmf", "zebra", "acm"] {
        workspace(&*store, id).await;
    }
    let page = async |prefix: &str, after: Option<&str>, limit| {
        let page = Page { after: after.map(workspace_id), limit };
        store.workspaces_by_id(prefix, &page).await.unwrap()
    };
    assert_eq!(ids(&page("acme", None, 10).await), ["acme", "acme.eu", "acme_us"]);
    assert_eq!(ids(&page("acme", None, 2).await), ["acme", "acme.eu"]);
    assert_eq!(ids(&page("acme", Some("acme.eu"), 2).await), ["acme_us"]);
    assert_eq!(ids(&page("acme", Some("Acme"), 1).await), ["acme"], "a cursor from before the first");
    assert_eq!(ids(&page("zebra", None, 10).await), ["zebra"]);
    for nobody in ["acme%", "acme\\", "b", "é", "acme.eu "] {
        assert!(page(nobody, None, 10).await.is_empty(), "{nobody}");
    }
    assert_eq!(page("", None, 10).await.len(), 7);
}

pub async fn workspaces_are_found_by_how_their_names_begin(Fresh { store, .. }: Fresh) {
    for (id, name) in [
        ("w3", "Acme"),
        ("w1", "acme"),
        ("w2", "ACME"),
        ("w4", "Acme Europe"),
        ("w5", "Acmf"),
        ("w6", "Émile"),
        ("w7", "50% off"),
    ] {
        named(&*store, id, name).await;
    }
    workspace(&*store, "acme").await;
    let page = async |prefix: &str, after: Option<(&str, &str)>, limit| {
        let after = after.map(|(name, id)| (name.to_owned(), workspace_id(id)));
        store.workspaces_by_name(prefix, &Page { after, limit }).await.unwrap()
    };
    assert_eq!(ids(&page("aCmE", None, 10).await), ["w1", "w2", "w3", "w4"]);
    assert_eq!(ids(&page("acme", None, 2).await), ["w1", "w2"]);
    assert_eq!(ids(&page("acme", Some(("ACME", "w2")), 2).await), ["w3", "w4"]);
    assert_eq!(ids(&page("acme", Some(("Acme Europe", "w4")), 2).await), [""; 0]);
    assert_eq!(ids(&page("Ém", None, 2).await), ["w6"]);
    for (nobody, found) in [("50%", 1), ("5%", 0), ("_cme", 0), ("acme ", 1)] {
        assert_eq!(page(nobody, None, 10).await.len(), found, "{nobody}");
    }
    assert_eq!(page("", None, 10).await.len(), 7, "those that have a name");
}

pub async fn counting_ends_where_it_is_told_to(Fresh { store, .. }: Fresh) {
    for id in ["a", "b", "c"] {
        workspace(&*store, id).await;
    }
    organization(&*store, "group").await;
    for (most, workspaces) in [(2, 2), (3, 3), (4, 3)] {
        let counts = store.counts_up_to(most).await.unwrap();
        assert_eq!((counts.workspaces, counts.organizations, counts.keys), (workspaces, 1, 0), "{most}");
    }
    assert_eq!(store.counts_up_to(100).await.unwrap(), store.counts().await.unwrap());
}
