//! What other processes are told.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use claviger_core::Owner;
use claviger_core::access::TokenRole;
use claviger_core::health::AilmentKind;
use futures_util::future::{Either, select};

use super::Fresh;
use super::given::{
    add_number, ailment, ails, at, belonging, data_key, heals, key_id, organization, organization_id, pool_of,
    replacement, sealed, somebody, token, used, workspace, workspace_id, workspace_of,
};
use super::resealing::to_rekey;
use crate::{Change, ChangeSink, KeyChange, OrganizationChange, Page, Store};

/// A sink that can be waited at.
struct Ears {
    since: Instant,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    events: Vec<Event>,
    waiting: Option<Waker>,
}

#[derive(Clone, PartialEq, Debug)]
enum Event {
    Changed(Change),
    Heard { until: Duration, said_at: Duration },
}

impl Event {
    fn is(&self, wanted: &Change) -> bool {
        matches!(self, Self::Changed(change) if change == wanted)
    }

    fn is_heard(&self, moment: Duration) -> bool {
        matches!(self, Self::Heard { until, .. } if *until >= moment)
    }
}

impl ChangeSink for Ears {
    fn changed(&self, change: &Change) {
        self.note(Event::Changed(change.clone()));
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    fn heard(&self, until: Duration) {
        self.note(Event::Heard { until, said_at: self.now() });
    }
}

impl Ears {
    fn new() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), told: Mutex::default() })
    }

    fn note(&self, event: Event) {
        let mut told = self.told.lock().unwrap();
        told.events.push(event);
        if let Some(waiting) = told.waiting.take() {
            waiting.wake();
        }
    }

    /// Waits for such an event; answers it and what came before it, and forgets them.
    async fn up_to(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        poll_fn(|context| {
            let mut told = self.told.lock().unwrap();
            let Some(place) = told.events.iter().position(&wanted) else {
                told.waiting = Some(context.waker().clone());
                return Poll::Pending;
            };
            Poll::Ready(told.events.drain(..=place).collect())
        })
        .await
    }

    /// Waits until this change was told; answers the changes that were told before it. All are forgotten.
    async fn until(&self, wanted: &Change) -> Vec<Change> {
        let mut told = changes(self.up_to(|event| event.is(wanted)).await);
        told.pop();
        told
    }
}

fn changes(events: Vec<Event>) -> Vec<Change> {
    let changes = events.into_iter().filter_map(|event| match event {
        Event::Changed(change) => Some(change),
        Event::Heard { .. } => None,
    });
    changes.collect()
}

/// Plays a scene while the store is watched.
async fn watched(store: &dyn Store, ears: &Arc<Ears>, scene: impl Future<Output = ()>) {
    let watching = store.watch(Arc::clone(ears) as Arc<dyn ChangeSink>);
    match select(pin!(watching), pin!(scene)).await {
        Either::Left((error, _)) => panic!("watching ended: {error}"),
        Either::Right(((), _)) => {}
    }
}

pub async fn a_watcher_begins_with_nothing_to_trust(Fresh { store, .. }: Fresh) {
    let ears = Ears::new();
    let before = ears.now();
    watched(&*store, &ears, async {
        let beginning = ears.up_to(|event| event.is_heard(before)).await;
        let [everything, Event::Heard { .. }] = beginning.as_slice() else { panic!("{beginning:?}") };
        assert!(everything.is(&Change::Everything), "{beginning:?}");
    })
    .await;
}

pub async fn a_watcher_proves_again_and_again_that_it_hears(Fresh { store, .. }: Fresh) {
    let ears = Ears::new();
    let begun = ears.now();
    watched(&*store, &ears, async {
        let mut last = begun;
        for _ in 0..4 {
            let told = ears.up_to(|event| event.is_heard(Duration::ZERO)).await;
            let Some(&Event::Heard { until, said_at }) = told.last() else { panic!("{told:?}") };
            assert!(last <= until, "a proof went back from {last:?} to {until:?}");
            assert!(until <= said_at, "a proof of {until:?}, which was not yet at {said_at:?}");
            last = until;
        }
        // Not the same moment for ever.
        ears.up_to(|event| event.is_heard(last + Duration::from_nanos(1))).await;
    })
    .await;
}

pub async fn what_was_committed_before_a_proof_was_told_before_it(Fresh { store, other }: Fresh) {
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        let mut committed = Vec::new();
        for number in 1..=30 {
            let id = format!("workspace-{number}");
            workspace(&*other, &id).await;
            committed.push((Change::Workspace(workspace_id(&id)), ears.now()));
        }
        let (_, after_all) = committed.last().unwrap();
        let told = ears.up_to(|event| event.is_heard(*after_all)).await;
        for (place, event) in told.iter().enumerate() {
            let Event::Heard { until, .. } = event else { continue };
            for (change, _) in committed.iter().filter(|(_, moment)| moment <= until) {
                assert!(told[..place].iter().any(|event| event.is(change)), "{change:?} was not told before {event:?}");
            }
        }
    })
    .await;
}

pub async fn a_watcher_hears_of_pools_tokens_and_workspaces(Fresh { store, other }: Fresh) {
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        let acme = workspace(&*other, "acme").await;
        let workspace = Change::Workspace(workspace_id("acme"));
        ears.until(&workspace).await;

        let pool = pool_of(&acme, "openai");
        let changed = Change::Pool(pool.clone());
        add_number(&*other, &pool, 1).await.unwrap();
        ears.until(&changed).await;
        let data_key = data_key(&*other, &pool).await;
        other.replace_key(&pool, &key_id(1), &replacement(2, &data_key), &somebody()).await.unwrap();
        ears.until(&changed).await;
        let off = KeyChange { name: None, enabled: Some(false), at: at(3) };
        other.change_key(&acme, &key_id(1), &off, &somebody()).await.unwrap();
        ears.until(&changed).await;
        other.delete_key(&pool, &key_id(1), &somebody()).await.unwrap();
        ears.until(&changed).await;
        add_number(&*other, &pool, 4).await.unwrap();
        ears.until(&changed).await;
        other.delete_keys(&pool, &somebody()).await.unwrap();
        ears.until(&changed).await;

        let token = token("aaaaaaaaaaaaaaaa", TokenRole::Runtime, Some("acme"));
        other.insert_token(&token, &somebody()).await.unwrap();
        ears.until(&Change::Token(token.id.clone())).await;
        other.delete_token(&token.id, &somebody()).await.unwrap();
        ears.until(&Change::Token(token.id.clone())).await;

        other.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap();
        ears.until(&workspace).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_organizations_and_of_who_belongs_to_them(Fresh { store, other }: Fresh) {
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        let changed = Change::Organization(organization_id("group"));
        let moved = Change::Workspace(workspace_id("acme"));
        let group = organization(&*other, "group").await;
        ears.until(&changed).await;
        workspace_of(&*other, "acme", None).await;
        ears.until(&moved).await;

        workspace_of(&*other, "acme", Some("group")).await;
        ears.until(&moved).await;
        let off = OrganizationChange { id: organization_id("group"), name: None, keys_enabled: Some(false), at: at(2) };
        other.put_organization(&off, &somebody()).await.unwrap();
        ears.until(&changed).await;
        let pool = pool_of(&group, "openai");
        add_number(&*other, &pool, 1).await.unwrap();
        ears.until(&Change::Pool(pool)).await;
        workspace_of(&*other, "acme", None).await;
        ears.until(&moved).await;

        other.delete_organization(&organization_id("group"), &somebody()).await.unwrap();
        ears.until(&changed).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_owners_that_were_put(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let copies = other.owners(&Page { after: None, limit: 10 }).await.unwrap();
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        other.put_owners(&copies).await.unwrap();
        // Each by name, or all at once.
        ears.up_to(|event| event.is(&Change::Workspace(workspace_id("acme"))) || event.is(&Change::Everything)).await;
    })
    .await;
}

/// Checks that nothing was heard up to a change made now: changes are told in the order in which they were made.
async fn nothing_between(ears: &Ears, other: &dyn Store) {
    let marker = Change::Workspace(workspace_id("marker"));
    workspace(other, "marker").await;
    assert_eq!(ears.until(&marker).await, []);
}

pub async fn a_watcher_does_not_hear_of_uses_and_marks(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        other.record_uses(&[used(&pool, 1, 9)]).await.unwrap();
        other.mark_readable(&pool, &key_id(1), &sealed(1), false).await.unwrap();
        other.mark_readable(&pool, &key_id(1), &sealed(1), true).await.unwrap();
        nothing_between(&ears, &*other).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_pools_under_a_new_data_key(Fresh { store, other }: Fresh) {
    let (pools, rekey) = to_rekey(&*other).await;
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        assert!(other.rekey(&pools[0].owner, &rekey, &somebody()).await.unwrap());
        let [exa, openai] = pools.map(Change::Pool);
        let before = ears.until(&openai).await;
        assert!(before.contains(&exa) || ears.until(&exa).await.is_empty(), "both are told");
        assert!(!other.rekey(&Owner::Platform, &rekey, &somebody()).await.unwrap());
        nothing_between(&ears, &*other).await;
    })
    .await;
}

pub async fn a_watcher_does_not_hear_of_data_keys_that_are_sealed_anew(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        let was = data_key(&*other, &pool).await;
        assert!(other.reseal_data_key(&pool.owner, &was, b"the same one, sealed anew").await.unwrap());
        nothing_between(&ears, &*other).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_nothing_that_was_refused(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        add_number(&*other, &pool, 1).await.unwrap_err();
        assert!(!other.delete_key(&pool, &key_id(2), &somebody()).await.unwrap());
        assert_eq!(other.delete_keys(&pool_of(&pool.owner, "exa"), &somebody()).await.unwrap(), 0);
        assert!(!other.delete_workspace(&workspace_id("nobody"), &somebody()).await.unwrap());
        assert!(!other.delete_organization(&organization_id("nobody"), &somebody()).await.unwrap());
        assert!(!other.delete_token(&"aaaaaaaaaaaaaaaa".parse().unwrap(), &somebody()).await.unwrap());
        other
            .insert_token(&token("aaaaaaaaaaaaaaaa", TokenRole::Admin, Some("nobody")), &somebody())
            .await
            .unwrap_err();
        other.put_workspace(&belonging("acme", Some("nobody")), &somebody()).await.unwrap_err();
        nothing_between(&ears, &*other).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_ailments_that_change_something(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let ears = Ears::new();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        let put = async |change| other.put_ailment(&pool, &key_id(1), &sealed(1), &change).await.unwrap();
        assert!(put(ails(ailment(AilmentKind::Rejected, 10, 20))).await);
        ears.until(&Change::Pool(pool.clone())).await;
        assert!(!put(ails(ailment(AilmentKind::Rejected, 9, 90))).await);
        assert!(!put(heals(9)).await);
        nothing_between(&ears, &*other).await;
        assert!(put(heals(10)).await);
        ears.until(&Change::Pool(pool.clone())).await;
    })
    .await;
}
