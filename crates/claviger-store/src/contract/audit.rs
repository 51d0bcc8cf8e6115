//! The audit trail.

use claviger_core::access::TokenRole;
use claviger_core::audit::{Act, AuditEntry, AuditHead, Flaw, Via, Walk};
use claviger_core::{KeyName, Owner};
use futures_util::future::join_all;

use super::Fresh;
use super::console::session;
use super::given::{
    add_number, at, belonging, data_key, fill, hook, key_id, organization, organization_id, pool, pool_of,
    replace_canary, replacement, somebody, token, webhook, workspace, workspace_id, workspace_of,
};
use super::portal::pass;
use crate::{AuditFilter, CopyError, KeyChange, OrganizationChange, Page, Store, TrailCopy, WorkspaceChange};

/// More workspaces than either store takes out of an organization at once.
const MANY: usize = 1_005;

/// A name that tempts whoever writes it into another language.
const ODD: &str = "\"A\\n\\u0041\n\u{2028}😀', '{}";

const ALL: Page<u64> = Page { after: None, limit: 1_000 };

async fn entries(store: &dyn Store, owner: &Owner) -> Vec<AuditEntry> {
    store.audit_entries(owner, &ALL).await.unwrap()
}

async fn actions(store: &dyn Store, owner: &Owner) -> Vec<String> {
    entries(store, owner).await.into_iter().map(|entry| entry.action).collect()
}

async fn verified(store: &dyn Store, owner: &Owner) -> Result<AuditHead, Flaw> {
    let mut walk = Walk::begin(owner.clone(), None);
    entries(store, owner).await.iter().try_for_each(|entry| walk.step(entry))?;
    walk.end(store.audit_head(owner).await.unwrap().unwrap_or(AuditHead::EMPTY))
}

pub async fn every_change_is_entered_in_its_owners_trail(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let group = organization(store, "group").await;
    let pool = pool(store).await;
    let acme = &pool.owner;
    add_number(store, &pool, 1).await.unwrap();
    let key = data_key(store, &pool).await;
    store.replace_key(&pool, &key_id(1), &replacement(7, &key), &somebody()).await.unwrap();
    let change = KeyChange { name: Some(KeyName::parse("Main").unwrap()), enabled: None, at: at(5) };
    store.change_key(acme, &key_id(1), &change, &somebody()).await.unwrap();
    store.delete_key(&pool, &key_id(1), &somebody()).await.unwrap();
    fill(store, &pool, [2, 3]).await;
    store.delete_keys(&pool, &somebody()).await.unwrap();
    let runtime = token("aaaaaaaaaaaaaaaa", TokenRole::Runtime, Some("acme"));
    store.insert_token(&runtime, &somebody()).await.unwrap();
    store.delete_token(&runtime.id, &somebody()).await.unwrap();
    hook(store, &webhook("acme", 1)).await.unwrap();
    store.delete_webhook(&workspace_id("acme"), &webhook("acme", 1).id, &somebody()).await.unwrap();
    let (link, session) = (pass("acme", 'b', 100), pass("acme", 'c', 100));
    store.add_portal_link(&link, &somebody()).await.unwrap();
    store.open_portal_link(&link, &session, &somebody()).await.unwrap();
    store.end_portal_session(&workspace_id("acme"), &session.id, &somebody()).await.unwrap();
    let named =
        WorkspaceChange { id: workspace_id("acme"), name: Some(Some("A".to_owned())), organization: None, at: at(9) };
    store.put_workspace(&named, &somebody()).await.unwrap();
    store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap();
    let expected = [
        "workspace.created",
        "byok_key.created",
        "byok_key.updated",
        "byok_key.updated",
        "byok_key.deleted",
        "byok_key.created",
        "byok_key.created",
        "byok_key.deleted",
        "byok_key.deleted",
        "token.created",
        "token.deleted",
        "webhook.created",
        "webhook.deleted",
        "portal_link.created",
        "portal_session.created",
        "portal_session.deleted",
        "workspace.updated",
        "workspace.deleted",
    ];
    assert_eq!(actions(store, acme).await, expected);
    assert_eq!(verified(store, acme).await.unwrap().sequence, expected.len() as u64);

    let Owner::Organization(id) = &group else { unreachable!("an organization") };
    let off = OrganizationChange { id: id.clone(), name: None, keys_enabled: Some(false), at: at(9) };
    store.put_organization(&off, &somebody()).await.unwrap();
    store.delete_organization(id, &somebody()).await.unwrap();
    assert_eq!(actions(store, &group).await, ["organization.created", "organization.updated", "organization.deleted"]);
    store.insert_token(&token("dddddddddddddddd", TokenRole::Service, None), &somebody()).await.unwrap();
    assert_eq!(actions(store, &Owner::Platform).await, ["token.created"]);
}

pub async fn an_entry_says_who_when_from_where_and_what_was_before(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    add_number(&*store, &pool, 1).await.unwrap();
    let act = Act {
        actor: "eve \"x\"".to_owned(),
        token: "aaaaaaaaaaaaaaaa".parse().ok(),
        via: Via::Portal,
        address: "2001:db8::1".parse().ok(),
        at: at(77),
    };
    let change = KeyChange { name: Some(KeyName::parse("Main").unwrap()), enabled: Some(false), at: at(77) };
    store.change_key(&pool.owner, &key_id(1), &change, &act).await.unwrap();
    let entry = entries(&*store, &pool.owner).await.pop().unwrap();
    assert_eq!((entry.at, entry.actor.as_str(), entry.target), (at(77), "eve \"x\"", key_id(1).to_string()));
    assert_eq!(entry.provider, Some(pool.provider.clone()));
    let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap();
    let expected = serde_json::json!({
        "via": "portal",
        "tokenId": "aaaaaaaaaaaaaaaa",
        "address": "2001:db8::1",
        "before": {"name": null, "maskedKey": "sk-abc...0001", "enabled": true},
        "after": {"name": "Main", "maskedKey": "sk-abc...0001", "enabled": false},
    });
    assert_eq!(details, expected);
}

pub async fn what_changes_nothing_or_is_refused_is_not_entered(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    add_number(&*store, &pool, 1).await.unwrap();
    let before = entries(&*store, &pool.owner).await;
    workspace(&*store, "acme").await;
    let same = KeyChange { name: None, enabled: Some(true), at: at(5) };
    store.change_key(&pool.owner, &key_id(1), &same, &somebody()).await.unwrap();
    store.change_key(&pool.owner, &key_id(2), &same, &somebody()).await.unwrap_err();
    add_number(&*store, &pool, 1).await.unwrap_err();
    let key = data_key(&*store, &pool).await;
    store.replace_key(&pool, &key_id(2), &replacement(7, &key), &somebody()).await.unwrap_err();
    assert!(!store.delete_key(&pool, &key_id(2), &somebody()).await.unwrap());
    assert!(!store.delete_key(&pool_of(&pool.owner, "exa"), &key_id(1), &somebody()).await.unwrap());
    assert_eq!(store.delete_keys(&pool_of(&pool.owner, "exa"), &somebody()).await.unwrap(), 0);
    assert!(!store.delete_workspace(&workspace_id("nobody"), &somebody()).await.unwrap());
    assert_eq!(entries(&*store, &pool.owner).await, before);
    let nobody = Owner::Workspace(workspace_id("nobody"));
    assert_eq!(store.audit_head(&nobody).await.unwrap(), None);
}

pub async fn a_trail_outlives_its_owner_and_goes_on_when_it_comes_again(Fresh { store, .. }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap();
    workspace(&*store, "acme").await;
    assert_eq!(actions(&*store, &acme).await, ["workspace.created", "workspace.deleted", "workspace.created"]);
    assert_eq!(verified(&*store, &acme).await.unwrap().sequence, 3);
}

pub async fn changes_of_two_processes_at_once_make_one_chain(Fresh { store, other }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    let (ours, theirs) = (pool_of(&acme, "openai"), pool_of(&acme, "exa"));
    add_number(&*store, &ours, 1).await.unwrap();
    let ours = join_all((2..8).map(|number| add_number(&*store, &ours, number)));
    let theirs = join_all((12..18).map(|number| add_number(&*other, &theirs, number)));
    let (ours, theirs) = futures_util::future::join(ours, theirs).await;
    assert!(ours.iter().chain(&theirs).all(Result::is_ok));
    assert_eq!(verified(&*store, &acme).await.unwrap().sequence, 14);
}

pub async fn a_trail_is_read_from_either_end_in_pages_and_by_provider_and_actor(Fresh { store, .. }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    fill(&*store, &pool_of(&acme, "openai"), [1, 2]).await;
    fill(&*store, &pool_of(&acme, "exa"), [3]).await;
    let eve = Act { actor: "eve".to_owned(), ..somebody() };
    assert!(store.delete_key(&pool_of(&acme, "openai"), &key_id(1), &eve).await.unwrap());
    let log = async |filter: &AuditFilter, after, limit| {
        let entries = store.audit_log(&acme, filter, 0, &Page { after, limit }).await.unwrap();
        entries.into_iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    let all = AuditFilter::default();
    assert_eq!(log(&all, None, 3).await, [5, 4, 3]);
    assert_eq!(log(&all, Some(3), 3).await, [2, 1]);
    let openai = AuditFilter { provider: "openai".parse().ok(), actor: None };
    assert_eq!(log(&openai, None, 9).await, [5, 3, 2]);
    assert_eq!(log(&AuditFilter { actor: Some("ada".to_owned()), ..openai }, None, 9).await, [3, 2]);
    let from = store.audit_log(&acme, &all, 3, &Page { after: Some(5), limit: 9 }).await.unwrap();
    assert_eq!(from.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(store.audit_actors(&acme, 9, 9).await.unwrap(), ["eve", "ada"]);
    assert_eq!(store.audit_actors(&acme, 9, 1).await.unwrap(), ["eve"]);
    assert_eq!(store.audit_actors(&acme, 1, 9).await.unwrap(), ["eve"]);
    let page = Page { after: Some(2), limit: 2 };
    let onward = store.audit_entries(&acme, &page).await.unwrap();
    assert_eq!(onward.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
}

pub async fn heads_come_in_pages_by_kind_and_id(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    for id in ["acme", "other"] {
        workspace(&*store, id).await;
    }
    store.insert_token(&token("dddddddddddddddd", TokenRole::Service, None), &somebody()).await.unwrap();
    let mut page = Page { after: None, limit: 3 };
    let first = store.audit_heads(&page).await.unwrap();
    page.after = Some(first[2].0.clone());
    let second = store.audit_heads(&page).await.unwrap();
    let owners: Vec<_> = first.iter().chain(&second).map(|(owner, _)| owner.to_string()).collect();
    assert_eq!(owners, ["organization group", "platform", "workspace acme", "workspace other"]);
    for (owner, head) in first.iter().chain(&second) {
        assert_eq!(verified(&*store, owner).await, Ok(*head));
    }
}

pub async fn trails_are_found_by_their_entries_and_by_their_heads(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    for id in ["acme", "other"] {
        workspace(&*store, id).await;
    }
    let all = store.audit_owners(&Page { after: None, limit: 10 }).await.unwrap();
    assert_eq!(
        all.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["organization group", "workspace acme", "workspace other"]
    );
    let page = Page { after: Some(all[0].clone()), limit: 1 };
    assert_eq!(store.audit_owners(&page).await.unwrap(), all[1..2]);
    let page = Page { after: Some(all[2].clone()), limit: 1 };
    assert_eq!(store.audit_owners(&page).await.unwrap(), []);
}

fn end(entries: &[AuditEntry]) -> AuditHead {
    entries.last().map_or(AuditHead::EMPTY, |last| AuditHead { sequence: last.sequence, hash: last.hash })
}

pub async fn copied_entries_follow_what_was_there_or_take_its_place(Fresh { store, .. }: Fresh) {
    let (acme, other) = (workspace(&*store, "acme").await, workspace(&*store, "other").await);
    fill(&*store, &pool_of(&acme, "openai"), [1, 2, 3]).await;
    fill(&*store, &pool_of(&other, "openai"), [4]).await;
    let (whole, others) = (entries(&*store, &acme).await, entries(&*store, &other).await);
    let copy = async |owner: &Owner, there, entries: &[AuditEntry]| {
        let trail = TrailCopy { owner: owner.clone(), there, entries: entries.to_vec() };
        store.put_audit(&[trail]).await
    };
    copy(&acme, end(&whole), &whole).await.unwrap();
    assert_eq!(entries(&*store, &acme).await, whole);
    copy(&acme, end(&whole), &whole[..1]).await.unwrap();
    assert_eq!(entries(&*store, &acme).await, whole[..1]);
    copy(&acme, end(&whole[..1]), &whole[1..3]).await.unwrap();
    assert_eq!(verified(&*store, &acme).await, Ok(end(&whole[..3])));
    copy(&Owner::Platform, AuditHead::EMPTY, &whole[..2]).await.unwrap();
    assert_eq!(entries(&*store, &Owner::Platform).await, whole[..2]);
    assert_eq!(entries(&*store, &other).await, others);
}

pub async fn copied_entries_are_refused_where_the_trail_ends_otherwise(Fresh { store, .. }: Fresh) {
    let (acme, other) = (workspace(&*store, "acme").await, workspace(&*store, "other").await);
    fill(&*store, &pool_of(&acme, "openai"), [1, 2]).await;
    let (whole, others) = (entries(&*store, &acme).await, entries(&*store, &other).await);
    let mut next = whole[2].clone();
    next.sequence = 4;
    next.hash = next.link(&acme, whole[2].hash);
    for (there, copied) in [
        // What was looked at has grown since, or was never there.
        (end(&whole[..2]), vec![whole[2].clone()]),
        (AuditHead { sequence: 3, hash: whole[1].hash }, vec![next.clone()]),
        (AuditHead::EMPTY, whole.clone()),
        // Neither the whole trail nor what follows it.
        (end(&whole), vec![whole[2].clone()]),
    ] {
        let trails = [
            TrailCopy { owner: other.clone(), there: end(&others), entries: others.clone() },
            TrailCopy { owner: acme.clone(), there, entries: copied },
        ];
        let refused = store.put_audit(&trails).await;
        assert!(matches!(&refused, Err(CopyError::TrailChanged(owner)) if *owner == acme), "{refused:?}");
        assert_eq!(entries(&*store, &acme).await, whole);
    }
    let follows = TrailCopy { owner: acme.clone(), there: end(&whole), entries: vec![next] };
    store.put_audit(&[follows]).await.unwrap();
    assert_eq!(verified(&*store, &acme).await.unwrap().sequence, 4);
}

pub async fn a_workspace_says_in_its_own_trail_why_it_lost_its_organization(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let group = organization(store, "group").await;
    organization(store, "other").await;
    // More than are taken out at once.
    let many = join_all((0..MANY).map(|number| {
        let id = format!("w{number}");
        async move { workspace_of(store, &id, Some("group")).await }
    }));
    let many = many.await;
    let odd = WorkspaceChange { name: Some(Some(ODD.to_owned())), ..belonging("odd", Some("group")) };
    store.put_workspace(&odd, &somebody()).await.unwrap();
    let stranger = workspace_of(store, "stranger", Some("other")).await;
    store.delete_organization(&organization_id("group"), &somebody()).await.unwrap();
    for owner in &many {
        let last = entries(store, owner).await.pop().unwrap();
        assert_eq!((last.sequence, last.action.as_str(), last.target.as_str()), (2, "workspace.updated", owner.id()));
        let details: serde_json::Value = serde_json::from_str(&last.details).unwrap();
        assert_eq!(details["before"], serde_json::json!({"name": null, "organizationId": "group"}));
        let after = serde_json::json!({"name": null, "organizationId": null, "organizationDeleted": true});
        assert_eq!(details["after"], after);
        assert_eq!(verified(store, owner).await.unwrap().sequence, 2);
    }
    let odd = Owner::Workspace(workspace_id("odd"));
    assert_eq!(verified(store, &odd).await.unwrap().sequence, 2);
    let details: serde_json::Value = serde_json::from_str(&entries(store, &odd).await[1].details).unwrap();
    assert_eq!(details["before"]["name"], ODD);
    assert_eq!(actions(store, &stranger).await, ["workspace.created"]);
    let deleted = entries(store, &group).await.pop().unwrap();
    let details: serde_json::Value = serde_json::from_str(&deleted.details).unwrap();
    assert_eq!(details["before"], serde_json::json!({"workspaces": MANY + 1}));
    assert_eq!(verified(store, &group).await.unwrap().sequence, 2);
}

pub async fn master_keys_data_keys_and_the_console_are_in_the_trails(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let canary = |letter: u8| [&[1, 2][..], &[letter; 8], b"canary"].concat();
    store.put_canary_if_absent(&canary(0xaa)).await.unwrap();
    assert!(replace_canary(store, &canary(0xaa), &canary(0xbb)).await);
    assert!(!replace_canary(store, &canary(0xaa), &canary(0xcc)).await);
    let session = session('a', 100);
    store.begin_console_session(&session, &somebody()).await.unwrap();
    assert!(store.end_console_session(&session.id, &somebody()).await.unwrap());
    assert!(!store.end_console_session(&session.id, &somebody()).await.unwrap());
    let expected = ["master_key.rotated", "console_session.created", "console_session.deleted"];
    assert_eq!(actions(store, &Owner::Platform).await, expected);
    let rotated = entries(store, &Owner::Platform).await.swap_remove(0);
    assert_eq!(rotated.target, "bb".repeat(8));
    assert_eq!(verified(store, &Owner::Platform).await.unwrap().sequence, 3);
}
