//! Parents of workspaces.

use claviger_core::Owner;

use super::Fresh;
use super::given::{
    add_number, at, belonging, fill, ids, key_id, organization, organization_id, pool_of, positions, read, somebody,
    workspace, workspace_id, workspace_of,
};
use crate::{OrganizationChange, Page, PoolOwner, PutWorkspaceError, Store, WorkspaceChange};

/// Names nothing.
fn untouched(second: u64) -> OrganizationChange {
    OrganizationChange { id: organization_id("group"), name: None, keys_enabled: None, at: at(second) }
}

pub async fn an_organization_is_made_once_and_changed_by_what_is_named(Fresh { store, .. }: Fresh) {
    let named = OrganizationChange { name: Some(Some("Group".to_owned())), ..untouched(1) };
    let made = store.put_organization(&named, &somebody()).await.unwrap();
    assert_eq!((made.name.as_deref(), made.keys_enabled, made.created_at), (Some("Group"), true, at(1)));
    assert_eq!(store.organization(&made.id).await.unwrap().as_ref(), Some(&made));

    assert_eq!(store.put_organization(&untouched(2), &somebody()).await.unwrap(), made);
    let off = OrganizationChange { keys_enabled: Some(false), ..untouched(3) };
    let switched = store.put_organization(&off, &somebody()).await.unwrap();
    assert_eq!((switched.name.as_deref(), switched.keys_enabled, switched.created_at), (Some("Group"), false, at(1)));
    assert_eq!(store.put_organization(&untouched(4), &somebody()).await.unwrap(), switched);
    let cleared =
        store.put_organization(&OrganizationChange { name: Some(None), ..untouched(5) }, &somebody()).await.unwrap();
    assert_eq!((cleared.name.as_deref(), cleared.keys_enabled), (None, false));
    let on = OrganizationChange { keys_enabled: Some(true), ..untouched(6) };
    assert!(store.put_organization(&on, &somebody()).await.unwrap().keys_enabled);
}

pub async fn an_organization_may_be_made_switched_off(Fresh { store, .. }: Fresh) {
    let off = OrganizationChange { keys_enabled: Some(false), ..untouched(1) };
    assert!(!store.put_organization(&off, &somebody()).await.unwrap().keys_enabled);
}

pub async fn an_organization_that_is_not_there_is_none(Fresh { store, .. }: Fresh) {
    assert_eq!(store.organization(&organization_id("group")).await.unwrap(), None);
    assert!(!store.delete_organization(&organization_id("group"), &somebody()).await.unwrap());
}

async fn page(store: &dyn Store, after: Option<&str>, limit: u32) -> Vec<String> {
    let page = Page { after: after.map(organization_id), limit };
    store.organizations(&page).await.unwrap().into_iter().map(|organization| organization.id.to_string()).collect()
}

pub async fn organizations_come_in_pages_by_id(Fresh { store, .. }: Fresh) {
    for id in ["b", "a", "B", "a.1", "a-1", "a_1"] {
        organization(&*store, id).await;
    }
    workspace(&*store, "a.0").await;
    // Ordered by bytes, whatever the database's language.
    assert_eq!(page(&*store, None, 10).await, ["B", "a", "a-1", "a.1", "a_1", "b"]);
    assert_eq!(page(&*store, None, 2).await, ["B", "a"]);
    assert_eq!(page(&*store, Some("a"), 2).await, ["a-1", "a.1"]);
    assert_eq!(page(&*store, Some("a_0"), 2).await, ["a_1", "b"]);
    assert!(page(&*store, Some("b"), 2).await.is_empty());
}

pub async fn an_organizations_workspaces_come_in_pages_by_id(Fresh { store, .. }: Fresh) {
    for id in ["group", "other"] {
        organization(&*store, id).await;
    }
    for (id, organization) in [
        ("b", Some("group")),
        ("B", Some("group")),
        ("a", Some("other")),
        ("c", None),
        ("a.1", Some("group")),
        ("a-1", Some("group")),
        ("gone", Some("group")),
    ] {
        workspace_of(&*store, id, organization).await;
    }
    store.put_workspace(&belonging("gone", None), &somebody()).await.unwrap();
    let page = async |organization, after: Option<&str>, limit| {
        let page = Page { after: after.map(workspace_id), limit };
        let found = store.workspaces_of(&organization_id(organization), &page).await.unwrap();
        found.into_iter().map(|workspace| workspace.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page("group", None, 10).await, ["B", "a-1", "a.1", "b"]);
    assert_eq!(page("group", None, 2).await, ["B", "a-1"]);
    assert_eq!(page("group", Some("a-1"), 2).await, ["a.1", "b"]);
    assert_eq!(page("other", None, 10).await, ["a"]);
    assert!(page("group", Some("b"), 2).await.is_empty() && page("nobody", None, 2).await.is_empty());
}

pub async fn deleting_an_organization_takes_its_keys_and_leaves_other_owners(Fresh { store, .. }: Fresh) {
    let group = organization(&*store, "group").await;
    let gone = [pool_of(&group, "openai"), pool_of(&group, "exa")];
    let neighbour = organization(&*store, "group.eu").await;
    let tenant = workspace_of(&*store, "group", Some("group")).await;
    let kept = [&neighbour, &tenant, &Owner::Platform].map(|owner| pool_of(owner, "openai"));
    for (pool, first) in gone.iter().chain(&kept).zip([1, 3, 1, 1, 1]) {
        fill(&*store, pool, first..=first + 1).await;
    }

    assert!(store.delete_organization(&organization_id("group"), &somebody()).await.unwrap());
    assert!(!store.delete_organization(&organization_id("group"), &somebody()).await.unwrap());

    assert_eq!(store.organization(&organization_id("group")).await.unwrap(), None);
    assert_eq!(store.keys(&group).await.unwrap(), []);
    for pool in gone {
        let pool = read(&*store, &pool).await;
        assert!(pool.owner.is_none() && pool.data_key.is_none() && pool.keys.is_empty());
    }
    for pool in kept {
        let found = read(&*store, &pool).await;
        assert!(found.owner.is_some() && found.data_key.is_some() && found.keys.len() == 2, "{pool}: {found:?}");
    }
}

/// The organization that a workspace belongs to, asked in every way there is.
async fn parent_of(store: &dyn Store, id: &str) -> Option<String> {
    let found = store.workspace(&workspace_id(id)).await.unwrap().unwrap();
    let listed = store.workspaces(&Page { after: None, limit: 100 }).await.unwrap();
    assert_eq!(listed.iter().find(|workspace| workspace.id == found.id), Some(&found));
    let pool = read(store, &pool_of(&Owner::Workspace(found.id), "openai")).await;
    assert_eq!(pool.owner, Some(PoolOwner::Workspace(found.organization_id.clone())));
    found.organization_id.map(|organization| organization.to_string())
}

pub async fn an_organization_that_goes_leaves_its_workspaces_without_one(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    organization(&*store, "other").await;
    for (id, parent) in [("acme", Some("group")), ("beta", Some("group")), ("gamma", Some("other")), ("delta", None)] {
        workspace_of(&*store, id, parent).await;
    }
    store.delete_organization(&organization_id("group"), &somebody()).await.unwrap();
    for id in ["acme", "beta", "delta"] {
        assert_eq!(parent_of(&*store, id).await, None, "{id}");
    }
    assert_eq!(parent_of(&*store, "gamma").await.as_deref(), Some("other"));

    // Nor do they belong to one that comes later, and happens to have the same id.
    organization(&*store, "group").await;
    assert_eq!(parent_of(&*store, "acme").await, None);
}

pub async fn an_organization_made_again_starts_empty(Fresh { store, .. }: Fresh) {
    let pool = pool_of(&organization(&*store, "group").await, "openai");
    fill(&*store, &pool, 1..=2).await;
    let off = OrganizationChange { keys_enabled: Some(false), ..untouched(2) };
    store.put_organization(&off, &somebody()).await.unwrap();
    store.delete_organization(&organization_id("group"), &somebody()).await.unwrap();

    organization(&*store, "group").await;
    let empty = read(&*store, &pool).await;
    assert_eq!(empty.owner, Some(PoolOwner::Organization { keys_enabled: true }));
    assert!(empty.data_key.is_none() && empty.keys.is_empty());
    add_number(&*store, &pool, 1).await.unwrap();
    assert_eq!(positions(&*store, &pool).await.len(), 1);
}

pub async fn a_workspace_of_an_unknown_organization_is_refused(Fresh { store, .. }: Fresh) {
    let refused = store.put_workspace(&belonging("acme", Some("nobody")), &somebody()).await;
    assert!(matches!(refused, Err(PutWorkspaceError::NoOrganization)), "{refused:?}");
    assert_eq!(store.workspace(&workspace_id("acme")).await.unwrap(), None);
    assert_eq!(read(&*store, &pool_of(&Owner::Workspace(workspace_id("acme")), "openai")).await.owner, None);

    // The same for one that exists. A workspace is no organization, either.
    organization(&*store, "group").await;
    workspace_of(&*store, "acme", Some("group")).await;
    let before = store.workspace(&workspace_id("acme")).await.unwrap();
    let change = WorkspaceChange { name: Some(Some("Acme".to_owned())), ..belonging("acme", Some("acme")) };
    let refused = store.put_workspace(&change, &somebody()).await;
    assert!(matches!(refused, Err(PutWorkspaceError::NoOrganization)), "{refused:?}");
    assert_eq!(store.workspace(&workspace_id("acme")).await.unwrap(), before);
}

pub async fn a_workspace_joins_moves_and_leaves(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    organization(&*store, "other").await;
    workspace(&*store, "acme").await;
    assert_eq!(parent_of(&*store, "acme").await, None);
    for parent in [Some("group"), Some("other"), Some("other"), None] {
        let put = store.put_workspace(&belonging("acme", parent), &somebody()).await.unwrap();
        assert_eq!(put.organization_id, parent.map(organization_id));
        assert_eq!(parent_of(&*store, "acme").await.as_deref(), parent);
    }
}

pub async fn an_organization_that_is_not_named_stays(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    workspace_of(&*store, "acme", Some("group")).await;
    let renaming = WorkspaceChange {
        id: workspace_id("acme"),
        name: Some(Some("Acme".to_owned())),
        organization: None,
        at: at(2),
    };
    let renamed = store.put_workspace(&renaming, &somebody()).await.unwrap();
    assert_eq!((renamed.name.as_deref(), renamed.organization_id), (Some("Acme"), Some(organization_id("group"))));
    let moved = store.put_workspace(&belonging("acme", None), &somebody()).await.unwrap();
    assert_eq!((moved.name.as_deref(), moved.organization_id), (Some("Acme"), None));
}

pub async fn a_workspace_and_an_organization_of_one_id_are_two(Fresh { store, .. }: Fresh) {
    let pools = [organization(&*store, "acme").await, workspace_of(&*store, "acme", Some("acme")).await]
        .map(|owner| pool_of(&owner, "openai"));
    add_number(&*store, &pools[0], 1).await.unwrap();
    add_number(&*store, &pools[1], 2).await.unwrap();
    assert_eq!(ids(&*store, &pools[0]).await, [key_id(1)]);
    assert_eq!(ids(&*store, &pools[1]).await, [key_id(2)]);

    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
    assert_eq!(ids(&*store, &pools[0]).await, [key_id(1)]);
    assert!(store.organization(&organization_id("acme")).await.unwrap().is_some());
}

pub async fn a_pool_tells_what_rotation_needs_of_its_owner(Fresh { store, .. }: Fresh) {
    let group = organization(&*store, "group").await;
    let inside = workspace_of(&*store, "inside", Some("group")).await;
    let alone = workspace(&*store, "alone").await;
    let nobody = Owner::Organization(organization_id("nobody"));
    let expected = [
        (&group, Some(PoolOwner::Organization { keys_enabled: true })),
        (&inside, Some(PoolOwner::Workspace(Some(organization_id("group"))))),
        (&alone, Some(PoolOwner::Workspace(None))),
        (&Owner::Platform, Some(PoolOwner::Platform)),
        (&nobody, None),
    ];
    // With keys and without.
    for round in 0..2 {
        for (owner, expected) in &expected {
            let pool = pool_of(owner, "openai");
            assert_eq!(read(&*store, &pool).await.owner, *expected, "{owner}");
            if round == 0 && expected.is_some() {
                fill(&*store, &pool, 1..=2).await;
            }
        }
    }
    let off = OrganizationChange { keys_enabled: Some(false), ..untouched(9) };
    store.put_organization(&off, &somebody()).await.unwrap();
    let found = read(&*store, &pool_of(&group, "openai")).await;
    assert_eq!((found.owner, found.keys.len()), (Some(PoolOwner::Organization { keys_enabled: false }), 2));
}
