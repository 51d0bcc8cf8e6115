//! Tenants.

use claviger_core::access::TokenRole;

use super::Fresh;
use super::given::{add_number, at, fill, ids, pool_of, positions, read, somebody, token, workspace, workspace_id};
use crate::{Page, Store, WorkspaceChange};

pub async fn a_workspace_is_made_once_and_changed_by_what_is_named(Fresh { store, .. }: Fresh) {
    let change = |name: Option<Option<&str>>, second| WorkspaceChange {
        id: workspace_id("acme"),
        name: name.map(|name| name.map(str::to_owned)),
        organization: None,
        at: at(second),
    };
    let made = store.put_workspace(&change(Some(Some("Acme")), 1), &somebody()).await.unwrap();
    assert_eq!((made.name.as_deref(), made.created_at), (Some("Acme"), at(1)));
    assert_eq!(store.workspace(&made.id).await.unwrap().as_ref(), Some(&made));

    let unchanged = store.put_workspace(&change(None, 2), &somebody()).await.unwrap();
    assert_eq!(unchanged, made);
    let cleared = store.put_workspace(&change(Some(None), 3), &somebody()).await.unwrap();
    assert_eq!((cleared.name.as_deref(), cleared.created_at), (None, at(1)));
}

pub async fn a_workspace_that_is_not_there_is_none(Fresh { store, .. }: Fresh) {
    assert_eq!(store.workspace(&workspace_id("acme")).await.unwrap(), None);
    assert!(!store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
}

async fn page(store: &dyn Store, after: Option<&str>, limit: u32) -> Vec<String> {
    let page = Page { after: after.map(workspace_id), limit };
    store.workspaces(&page).await.unwrap().into_iter().map(|workspace| workspace.id.to_string()).collect()
}

pub async fn workspaces_come_in_pages_by_id(Fresh { store, .. }: Fresh) {
    for id in ["b", "a", "B", "a.1", "a-1", "a_1"] {
        workspace(&*store, id).await;
    }
    // Ordered by bytes, whatever the database's language.
    assert_eq!(page(&*store, None, 10).await, ["B", "a", "a-1", "a.1", "a_1", "b"]);
    assert_eq!(page(&*store, None, 2).await, ["B", "a"]);
    assert_eq!(page(&*store, Some("a"), 2).await, ["a-1", "a.1"]);
    assert_eq!(page(&*store, Some("a_0"), 2).await, ["a_1", "b"]);
    assert!(page(&*store, Some("b"), 2).await.is_empty());
}

pub async fn deleting_a_workspace_takes_everything_of_it(Fresh { store, .. }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    let pools = [pool_of(&acme, "openai"), pool_of(&acme, "exa")];
    fill(&*store, &pools[0], 1..=3).await;
    fill(&*store, &pools[1], 4..=5).await;
    store.insert_token(&token("aaaaaaaaaaaaaaaa", TokenRole::Runtime, Some("acme")), &somebody()).await.unwrap();

    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
    assert!(!store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());

    assert_eq!(store.workspace(&workspace_id("acme")).await.unwrap(), None);
    assert_eq!(store.keys(&acme).await.unwrap(), []);
    assert_eq!(store.token("aaaaaaaaaaaaaaaa").await.unwrap(), None);
    for pool in pools {
        let pool = read(&*store, &pool).await;
        assert!(pool.owner.is_none() && pool.data_key.is_none() && pool.keys.is_empty());
    }
}

pub async fn deleting_a_workspace_leaves_the_others(Fresh { store, .. }: Fresh) {
    let neighbour = pool_of(&workspace(&*store, "acme.eu").await, "openai");
    fill(&*store, &neighbour, 1..=2).await;
    store.insert_token(&token("aaaaaaaaaaaaaaaa", TokenRole::Admin, Some("acme.eu")), &somebody()).await.unwrap();
    store.insert_token(&token("bbbbbbbbbbbbbbbb", TokenRole::Service, None), &somebody()).await.unwrap();
    let acme = pool_of(&workspace(&*store, "acme").await, "openai");
    fill(&*store, &acme, 3..=4).await;

    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());

    assert_eq!(ids(&*store, &neighbour).await.len(), 2);
    assert!(read(&*store, &neighbour).await.data_key.is_some());
    assert!(store.token("aaaaaaaaaaaaaaaa").await.unwrap().is_some());
    assert!(store.token("bbbbbbbbbbbbbbbb").await.unwrap().is_some());
}

pub async fn a_workspace_made_again_starts_empty(Fresh { store, .. }: Fresh) {
    let pool = pool_of(&workspace(&*store, "acme").await, "openai");
    fill(&*store, &pool, 1..=2).await;
    store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap();

    workspace(&*store, "acme").await;
    let empty = read(&*store, &pool).await;
    assert!(empty.owner.is_some() && empty.data_key.is_none() && empty.keys.is_empty());
    add_number(&*store, &pool, 1).await.unwrap();
    assert_eq!(positions(&*store, &pool).await.len(), 1);
}
