//! What other processes are told.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use claviger_core::access::TokenRole;
use futures_util::future::{Either, select};

use super::Fresh;
use super::given::{add_number, at, data_key, key_id, pool_of, replacement, sealed, token, workspace, workspace_id};
use crate::{Change, ChangeSink, KeyChange, KeyUse, Store};

/// A sink that can be waited at.
#[derive(Default)]
struct Ears(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    changes: Vec<Change>,
    waiting: Option<Waker>,
}

impl ChangeSink for Ears {
    fn changed(&self, change: &Change) {
        let mut heard = self.0.lock().unwrap();
        heard.changes.push(change.clone());
        if let Some(waiting) = heard.waiting.take() {
            waiting.wake();
        }
    }
}

impl Ears {
    /// Waits until this change was heard; answers what came before it. Both are forgotten.
    async fn until(&self, wanted: &Change) -> Vec<Change> {
        poll_fn(|context| {
            let mut heard = self.0.lock().unwrap();
            let Some(place) = heard.changes.iter().position(|change| change == wanted) else {
                heard.waiting = Some(context.waker().clone());
                return Poll::Pending;
            };
            let mut before: Vec<_> = heard.changes.drain(..=place).collect();
            before.pop();
            Poll::Ready(before)
        })
        .await
    }
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
    let ears = Arc::default();
    watched(&*store, &ears, async {
        assert_eq!(ears.until(&Change::Everything).await, []);
    })
    .await;
}

pub async fn a_watcher_hears_of_pools_tokens_and_workspaces(Fresh { store, other }: Fresh) {
    let ears = Arc::default();
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
        other.replace_key(&pool, &key_id(1), &replacement(2, &data_key)).await.unwrap();
        ears.until(&changed).await;
        let off = KeyChange { name: None, enabled: Some(false), at: at(3) };
        other.change_key(&acme, &key_id(1), &off).await.unwrap();
        ears.until(&changed).await;
        other.delete_key(&pool, &key_id(1)).await.unwrap();
        ears.until(&changed).await;
        add_number(&*other, &pool, 4).await.unwrap();
        ears.until(&changed).await;
        other.delete_keys(&pool).await.unwrap();
        ears.until(&changed).await;

        let token = token("aaaaaaaaaaaaaaaa", TokenRole::Runtime, Some("acme"));
        other.insert_token(&token).await.unwrap();
        ears.until(&Change::Token(token.id.clone())).await;
        other.delete_token(&token.id).await.unwrap();
        ears.until(&Change::Token(token.id.clone())).await;

        other.delete_workspace(&workspace_id("acme")).await.unwrap();
        ears.until(&workspace).await;
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
    let ears = Arc::default();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        other.record_uses(&[KeyUse { pool: pool.clone(), key: key_id(1), at: at(9) }]).await.unwrap();
        other.mark_readable(&pool, &key_id(1), &sealed(1), false).await.unwrap();
        other.mark_readable(&pool, &key_id(1), &sealed(1), true).await.unwrap();
        nothing_between(&ears, &*other).await;
    })
    .await;
}

pub async fn a_watcher_hears_of_nothing_that_was_refused(Fresh { store, other }: Fresh) {
    let pool = pool_of(&workspace(&*other, "acme").await, "openai");
    add_number(&*other, &pool, 1).await.unwrap();
    let ears = Arc::default();
    watched(&*store, &ears, async {
        ears.until(&Change::Everything).await;
        add_number(&*other, &pool, 1).await.unwrap_err();
        assert!(!other.delete_key(&pool, &key_id(2)).await.unwrap());
        assert_eq!(other.delete_keys(&pool_of(&pool.owner, "exa")).await.unwrap(), 0);
        assert!(!other.delete_workspace(&workspace_id("nobody")).await.unwrap());
        assert!(!other.delete_token(&"aaaaaaaaaaaaaaaa".parse().unwrap()).await.unwrap());
        other.insert_token(&token("aaaaaaaaaaaaaaaa", TokenRole::Admin, Some("nobody"))).await.unwrap_err();
        nothing_between(&ears, &*other).await;
    })
    .await;
}
