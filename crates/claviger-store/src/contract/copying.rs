//! Deployments on their way from one database to another.

use claviger_core::access::TokenRole;
use claviger_core::health::{Ailment, AilmentKind};
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::{KeyName, KeyStatus, Owner, ProviderId};

use super::Fresh;
use super::given::{
    add, add_number, ailment, ails, at, belonging, fill, fingerprint, hook, ids, key_id, new_key, organization,
    organization_id, pool_of, positions, read, sealed, somebody, token, used, webhook, workspace, workspace_id,
    workspace_of,
};
use crate::{
    AddKeyError, CopyError, Counts, DataKeyCopy, DataKeyUse, KeyChange, KeyCopy, KeyRecord, KeyUse, NewKey,
    OrganizationChange, OwnerCopy, OwnerKindCopy, Page, PoolCopy, Store, TokenRecord, UseCounts, Webhook,
    WorkspaceChange,
};

/// A deployment with something of everything: four organizations and workspaces, the platform, pools that were changed
/// often and pools that were emptied, keys of every state, tokens of every role.
async fn deployment(store: &dyn Store) {
    let group = OrganizationChange {
        id: organization_id("group"),
        name: Some(Some("Gruppe №1".to_owned())),
        keys_enabled: Some(false),
        at: at(3),
    };
    store.put_organization(&group, &somebody()).await.unwrap();
    organization(store, "acme").await;
    let named = WorkspaceChange { name: Some(Some("Acme".to_owned())), at: at(4), ..belonging("acme", Some("group")) };
    store.put_workspace(&named, &somebody()).await.unwrap();
    workspace_of(store, "beta", None).await;
    let owners =
        [Owner::Organization(organization_id("group")), Owner::Platform, Owner::Workspace(workspace_id("acme"))];
    for owner in &owners {
        let pool = pool_of(owner, "openai");
        fill(store, &pool, 1..=10).await;
        for gone in [2, 5, 10] {
            assert!(store.delete_key(&pool, &key_id(gone), &somebody()).await.unwrap());
        }
        change_the_rest(store, &pool).await;
        // A pool without keys: its positions must not come again.
        let emptied = pool_of(owner, "exa");
        fill(store, &emptied, 20..=22).await;
        store.delete_keys(&emptied, &somebody()).await.unwrap();
    }
    for token in [
        token("aaaaaaaaaaaaaaaa", TokenRole::Service, None),
        TokenRecord { reveal: true, ..token("cccccccccccccccc", TokenRole::Service, None) },
        TokenRecord { expires_at: Some(at(99)), ..token("dddddddddddddddd", TokenRole::Admin, Some("acme")) },
        token("bbbbbbbbbbbbbbbb", TokenRole::Runtime, Some("acme")),
        token("eeeeeeeeeeeeeeee", TokenRole::Member, Some("beta")),
    ] {
        store.insert_token(&token, &somebody()).await.unwrap();
    }
    let wants = vec!["key.rejected".to_owned(), "key.recovered".to_owned()];
    hook(store, &Webhook { events: wants, ..webhook("acme", 1) }).await.unwrap();
    hook(store, &webhook("acme", 2)).await.unwrap();
}

/// One key that is off, one that was used, one that does not open, and one with a name and an author in the lowest
/// free slot.
async fn change_the_rest(store: &dyn Store, pool: &PoolId) {
    let off = KeyChange { name: None, enabled: Some(false), at: at(30) };
    store.change_key(&pool.owner, &key_id(1), &off, &somebody()).await.unwrap();
    let counts = UseCounts { requests: 21, ok: 1, rate_limited: 2, rejected: 3, caller_errors: 4, provider_errors: 5 };
    let domain = Some("org-1".to_owned());
    store.record_uses(&[KeyUse { counts, domain, ..used(pool, 3, 31) }]).await.unwrap();
    let rejected = Ailment { strikes: 7, ..ailment(AilmentKind::Rejected, 33, 34) };
    assert!(store.put_ailment(pool, &key_id(6), &sealed(6), &ails(rejected)).await.unwrap());
    store.mark_readable(pool, &key_id(4), &sealed(4), false).await.unwrap();
    let named = NewKey {
        name: KeyName::parse("Büro").unwrap(),
        created_by: Some("user_1".to_owned()),
        ..new_key(32, DataKeyUse::New(b"a data key".to_vec()))
    };
    add(store, pool, named).await.unwrap();
}

/// All owners, in pages of two.
async fn all(store: &dyn Store) -> Vec<OwnerCopy> {
    let mut copies: Vec<OwnerCopy> = Vec::new();
    loop {
        let after = copies.last().map(|copy| copy.owner.clone());
        let page = store.owners(&Page { after, limit: 2 }).await.unwrap();
        if page.is_empty() {
            return copies;
        }
        assert!(page.len() <= 2);
        copies.extend(page);
    }
}

async fn copy_of(store: &dyn Store, owner: &Owner) -> OwnerCopy {
    all(store).await.into_iter().find(|copy| copy.owner == *owner).unwrap()
}

/// Makes the database as empty as it can be made.
async fn delete_all(store: &dyn Store, copies: &[OwnerCopy]) {
    for copy in copies {
        match &copy.owner {
            Owner::Workspace(id) => assert!(store.delete_workspace(id, &somebody()).await.unwrap()),
            Owner::Organization(id) => assert!(store.delete_organization(id, &somebody()).await.unwrap()),
            Owner::Platform => store.put_owners(&[nothing_of_the_platform()]).await.unwrap(),
        }
    }
}

fn nothing_of_the_platform() -> OwnerCopy {
    OwnerCopy {
        owner: Owner::Platform,
        kind: OwnerKindCopy::Platform,
        data_key: None,
        pools: Vec::new(),
        tokens: Vec::new(),
        webhooks: Vec::new(),
    }
}

fn named(copies: &[OwnerCopy]) -> Vec<String> {
    copies.iter().map(|copy| copy.owner.to_string()).collect()
}

pub async fn an_empty_deployment_has_nothing_but_the_platform(Fresh { store, .. }: Fresh) {
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    assert_eq!(all(&*store).await, [nothing_of_the_platform()]);
    store.put_owners(&[]).await.unwrap();
    assert_eq!(all(&*store).await, [nothing_of_the_platform()]);
}

pub async fn everything_is_counted(Fresh { store, .. }: Fresh) {
    deployment(&*store).await;
    let expected = Counts { organizations: 2, workspaces: 2, data_keys: 3, pools: 6, keys: 24, tokens: 5, webhooks: 2 };
    assert_eq!(store.counts().await.unwrap(), expected);
}

pub async fn owners_come_in_pages_by_kind_and_id(Fresh { store, .. }: Fresh) {
    for id in ["b", "B", "a.1", "a-1"] {
        organization(&*store, id).await;
        workspace(&*store, id).await;
    }
    let expected = [
        "organization B",
        "organization a-1",
        "organization a.1",
        "organization b",
        "platform",
        "workspace B",
        "workspace a-1",
        "workspace a.1",
        "workspace b",
    ];
    assert_eq!(named(&all(&*store).await), expected);
    let at_once = store.owners(&Page { after: None, limit: 1_000 }).await.unwrap();
    assert_eq!(named(&at_once), expected);
    // A cursor need not be there any more.
    let after = Some(Owner::Workspace(workspace_id("a.0")));
    let later = store.owners(&Page { after, limit: 10 }).await.unwrap();
    assert_eq!(named(&later), ["workspace a.1", "workspace b"]);
}

pub async fn a_copied_deployment_reads_back_equal(Fresh { store, other }: Fresh) {
    deployment(&*store).await;
    let copies = all(&*store).await;
    let counts = store.counts().await.unwrap();
    check_that_nothing_is_missing(&copies);
    // Larger pages tell the same.
    assert_eq!(store.owners(&Page { after: None, limit: 1_000 }).await.unwrap(), copies);

    delete_all(&*store, &copies).await;
    assert_eq!(all(&*store).await, [nothing_of_the_platform()]);
    assert_eq!(store.counts().await.unwrap(), Counts::default());

    for batch in copies.chunks(2) {
        other.put_owners(batch).await.unwrap();
    }
    assert_eq!(all(&*store).await, copies);
    assert_eq!(store.counts().await.unwrap(), counts);
}

/// Two copies that both lack something would be equal.
fn check_that_nothing_is_missing(copies: &[OwnerCopy]) {
    assert_eq!(
        named(copies),
        ["organization acme", "organization group", "platform", "workspace acme", "workspace beta"]
    );
    let acme = &copies[3];
    let kind = OwnerKindCopy::Workspace {
        name: Some("Acme".to_owned()),
        organization: Some(organization_id("group")),
        created_at: at(4),
    };
    assert_eq!(acme.kind, kind);
    let kind =
        OwnerKindCopy::Organization { name: Some("Gruppe №1".to_owned()), keys_enabled: false, created_at: at(3) };
    assert_eq!(copies[1].kind, kind);
    assert_eq!(acme.data_key, Some(DataKeyCopy { sealed: b"a data key".to_vec(), created_at: at(1) }));
    let tokens = |copy: &OwnerCopy| copy.tokens.iter().map(|token| token.id.to_string()).collect::<Vec<_>>();
    assert_eq!(tokens(acme), ["bbbbbbbbbbbbbbbb", "dddddddddddddddd"]);
    assert_eq!(tokens(&copies[2]), ["aaaaaaaaaaaaaaaa", "cccccccccccccccc"]);
    for copy in &copies[1..=3] {
        let [emptied, pool] = copy.pools.as_slice() else { panic!("{copy:?}") };
        assert_eq!((emptied.provider.as_str(), emptied.next_position), ("exa", Position(4)));
        assert_eq!((emptied.generation, emptied.keys.len()), (4, 0));
        assert_eq!((pool.provider.as_str(), pool.next_position, pool.generation), ("openai", Position(12), 15));
        let keys: Vec<_> = pool.keys.iter().map(|key| (key.record.id.clone(), key.slot, key.position.0)).collect();
        let expected = [(1, 0, 1), (3, 2, 3), (4, 3, 4), (6, 5, 6), (7, 6, 7), (8, 7, 8), (9, 8, 9), (32, 1, 11)];
        assert_eq!(keys, expected.map(|(number, slot, position)| (key_id(number), slot, position)));
        assert_eq!((&pool.keys[0].sealed, pool.keys[0].fingerprint), (&sealed(1), fingerprint(1)));
        let [used, ails] = [&pool.keys[1].record, &pool.keys[3].record];
        assert_eq!((used.domain.as_deref(), used.counts.requests, used.counts.provider_errors), (Some("org-1"), 21, 5));
        assert_eq!(ails.ailment.map(|ailment| ailment.strikes), Some(7));
    }
    let [first, second] = acme.webhooks.as_slice() else { panic!("{acme:?}") };
    assert_eq!(first.events, ["key.rejected", "key.recovered"]);
    assert_eq!(*second, webhook("acme", 2));
}

/// An owner with one key, as it may come from elsewhere.
fn copied(owner: &Owner) -> OwnerCopy {
    let provider: ProviderId = "openai".parse().unwrap();
    let record = KeyRecord {
        id: key_id(77),
        provider: provider.clone(),
        name: None,
        masked: "sk-abc...0077".to_owned(),
        enabled: true,
        status: KeyStatus::Unreadable,
        ailment: Some(ailment(AilmentKind::Exhausted, 73, 74)),
        domain: Some("org-2".to_owned()),
        counts: UseCounts { requests: 9, ok: 8, ..UseCounts::default() },
        created_by: None,
        created_at: at(70),
        updated_at: at(71),
        last_used_at: Some(at(72)),
    };
    let key = KeyCopy { record, slot: 4, position: Position(70), sealed: sealed(77), fingerprint: fingerprint(77) };
    let kind = match owner {
        Owner::Workspace(_) => OwnerKindCopy::Workspace { name: None, organization: None, created_at: at(60) },
        Owner::Organization(_) => OwnerKindCopy::Organization { name: None, keys_enabled: true, created_at: at(60) },
        Owner::Platform => OwnerKindCopy::Platform,
    };
    OwnerCopy {
        owner: owner.clone(),
        kind,
        data_key: Some(DataKeyCopy { sealed: b"another data key".to_vec(), created_at: at(61) }),
        pools: vec![PoolCopy { provider, generation: 700, next_position: Position(90), keys: vec![key] }],
        tokens: Vec::new(),
        webhooks: Vec::new(),
    }
}

pub async fn putting_an_owner_replaces_what_was_there(Fresh { store, .. }: Fresh) {
    deployment(&*store).await;
    let before = all(&*store).await;
    let replaced = [1, 2, 3].map(|place| copied(&before[place].owner));
    store.put_owners(&replaced).await.unwrap();
    let after = all(&*store).await;
    assert_eq!(after[1..=3], replaced);
    assert_eq!((&after[0], &after[4]), (&before[0], &before[4]));
    assert_eq!(store.token("bbbbbbbbbbbbbbbb").await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().keys, 3);
}

pub async fn putting_an_owner_again_changes_nothing(Fresh { store, .. }: Fresh) {
    deployment(&*store).await;
    let copies = all(&*store).await;
    for _ in 0..2 {
        store.put_owners(&copies).await.unwrap();
        assert_eq!(all(&*store).await, copies);
    }
}

pub async fn putting_an_organization_leaves_its_workspaces(Fresh { store, .. }: Fresh) {
    deployment(&*store).await;
    let acme = Owner::Workspace(workspace_id("acme"));
    let before = copy_of(&*store, &acme).await;
    store.put_owners(&[copied(&Owner::Organization(organization_id("group")))]).await.unwrap();
    assert_eq!(copy_of(&*store, &acme).await, before);
}

pub async fn an_owner_that_was_put_can_be_used(Fresh { store, .. }: Fresh) {
    organization(&*store, "group").await;
    for owner in [
        Owner::Workspace(workspace_id("acme")),
        Owner::Organization(organization_id("group")),
        Owner::Organization(organization_id("new")),
        Owner::Platform,
    ] {
        store.put_owners(&[copied(&owner)]).await.unwrap();
        let pool = pool_of(&owner, "openai");
        assert_eq!(read(&*store, &pool).await.data_key.as_deref(), Some(b"another data key".as_slice()));
        fill(&*store, &pool, 1..=9).await;
        let refused = add_number(&*store, &pool, 10).await;
        assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{refused:?}");
        assert_eq!(positions(&*store, &pool).await, [70, 90, 91, 92, 93, 94, 95, 96, 97, 98]);
        assert_eq!(ids(&*store, &pool).await[0], key_id(77));
        let copy = copy_of(&*store, &owner).await;
        let mut slots: Vec<_> = copy.pools[0].keys.iter().map(|key| key.slot).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..10).collect::<Vec<_>>());
        assert_eq!(copy.pools[0].generation, 709);
    }
}

pub async fn a_workspace_before_its_organization_is_refused(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    let before = all(&*store).await;
    let early = Owner::Workspace(workspace_id("early"));
    let of_group =
        OwnerKindCopy::Workspace { name: None, organization: Some(organization_id("group")), created_at: at(60) };
    let batch = [
        copied(&Owner::Platform),
        copied(&Owner::Workspace(workspace_id("acme"))),
        OwnerCopy { kind: of_group, ..copied(&early) },
    ];
    let refused = store.put_owners(&batch).await;
    assert!(matches!(&refused, Err(CopyError::NoOrganization(who)) if *who == early), "{refused:?}");
    assert_eq!(all(&*store).await, before);

    store.put_owners(&[copied(&Owner::Organization(organization_id("group")))]).await.unwrap();
    store.put_owners(&batch).await.unwrap();
    assert_eq!(copy_of(&*store, &early).await, batch[2]);
}
