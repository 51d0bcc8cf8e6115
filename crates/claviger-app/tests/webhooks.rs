//! Webhooks and their events: what arrives, how often, and when it is given up.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::Webhook;
use claviger_app::access::{ManageKeys, Permit, Principal};
use claviger_app::webhooks::{Courier, CourierError, CreateWebhook, CreateWebhookError, WebhookError};
use claviger_core::net::Reach;
use claviger_core::webhook::{EventKind, WebhookUrl};
use claviger_core::{Clock, EventId, Owner, WorkspaceId};
use claviger_seal::WebhookSecret;
use claviger_store::NewEvent;
use claviger_store::contract::somebody;
use claviger_testkit::{TestApp, TestSettings, answered};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Answers as it was told, and then always well. Keeps what it was given.
#[derive(Debug, Default)]
struct Scripted {
    reach: Reach,
    answers: Mutex<VecDeque<Result<u16, CourierError>>>,
    sent: Mutex<Vec<Sent>>,
    /// How many are under way, and how many were at most.
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// What holds every answer back, where it is held back.
    held: Option<Notify>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Sent {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| *known == name).unwrap().1
    }
}

#[async_trait]
impl Courier for Scripted {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    async fn send(
        &self,
        url: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<u16, CourierError> {
        self.sent.lock().push(Sent { url: url.as_str().to_owned(), headers: headers.to_vec(), body });
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        match &self.held {
            Some(held) => held.notified().await,
            None => tokio::task::yield_now().await,
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.answers.lock().pop_front().unwrap_or(Ok(200))
    }
}

struct World {
    test: TestApp,
    courier: Arc<Scripted>,
    acme: WorkspaceId,
}

impl World {
    async fn new() -> Self {
        Self::with(Scripted::default()).await
    }

    async fn with(courier: Scripted) -> Self {
        let courier = Arc::new(courier);
        let carries: Arc<dyn Courier> = courier.clone();
        let test = TestApp::with(TestSettings { courier: Some(carries), ..TestSettings::default() }).await;
        let acme = test.workspace("acme").await;
        Self { test, courier, acme }
    }

    fn permit(&self) -> Permit<ManageKeys> {
        self.test.manage_keys(&self.acme)
    }

    async fn webhook(&self, path: &str, events: &[EventKind]) -> (WebhookSecret, Webhook) {
        let url = format!("https://example.com/{path}");
        let create = CreateWebhook { url, events: events.iter().copied().collect() };
        self.test.app.webhooks.create(&self.permit(), &create).await.unwrap()
    }

    /// Something happens; answers its id.
    async fn event(&self, name: &str) -> EventId {
        let now = self.test.clock.now();
        let mut random = [0; 10];
        claviger_seal::fill_random(&mut random).unwrap();
        let id = EventId::new(now, random);
        let payload = format!(r#"{{"type":"{name}"}}"#);
        let event = NewEvent { id: id.clone(), event: name.to_owned(), payload, at: now };
        self.test.store.announce(&self.acme, &[event]).await.unwrap();
        id
    }

    fn script(&self, answers: impl IntoIterator<Item = Result<u16, CourierError>>) {
        self.courier.answers.lock().extend(answers);
    }

    /// Delivers what is due; answers what was sent for that.
    async fn deliver(&self) -> Vec<Sent> {
        self.test.app.webhooks.deliver_due().await.unwrap();
        std::mem::take(&mut *self.courier.sent.lock())
    }
}

#[tokio::test]
async fn an_event_arrives_signed_at_the_webhooks_that_want_it_and_only_once() {
    let world = World::new().await;
    let (secret, _) = world.webhook("all", &[]).await;
    world.webhook("exhausted", &[EventKind::KeyExhausted]).await;
    let id = world.event("key.rejected").await;
    let sent = world.deliver().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].url.as_str(), sent[0].body.as_str()),
        ("https://example.com/all", r#"{"type":"key.rejected"}"#)
    );
    assert_eq!(sent[0].header("webhook-id"), id.as_str());
    assert_eq!(sent[0].header("webhook-timestamp"), "1767225600");
    let signature = secret.sign(id.as_str(), 1_767_225_600, sent[0].body.as_bytes());
    assert_eq!(sent[0].header("webhook-signature"), signature);
    world.test.clock.advance(Duration::from_hours(48));
    assert_eq!(world.deliver().await, []);
}

#[tokio::test]
async fn that_a_pool_cannot_serve_is_told_also_where_it_was_changed_meanwhile() {
    let world = World::new().await;
    world.webhook("all", &[EventKind::PoolUnavailable]).await;
    let openai = "openai".parse().unwrap();
    let keys = [world.test.key(&world.acme, "openai").await, world.test.key(&world.acme, "openai").await];
    for key in &keys {
        let (_secret, lease) = world.test.app.keyring.lease(&world.acme, &openai).await.unwrap();
        lease.end(answered(402));
        // So that the pool is not in memory.
        world.test.app.keys.change(&world.permit(), &key.id, Some(None), None).await.unwrap();
    }
    world.test.app.keyring.store_ailments().await.unwrap();
    let sent = world.deliver().await;
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.body.contains("pool.unavailable")), "{sent:?}");
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_sent_again_after_growing_pauses_and_then_given_up() {
    let world = World::new().await;
    let (secret, _) = world.webhook("all", &[]).await;
    let id = world.event("key.rejected").await;
    let failures = [
        Ok(500),
        Ok(301),
        Ok(404),
        Ok(429),
        Err(CourierError::Unreachable),
        Err(CourierError::NoAddress),
        Err(CourierError::TimedOut),
        Err(CourierError::BrokenOff),
        Ok(503),
    ];
    world.script(failures);
    for seconds in [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000] {
        let sent = world.deliver().await;
        assert_eq!(sent.len(), 1, "before {seconds} s");
        assert_eq!(sent[0].header("webhook-id"), id.as_str());
        let second = world.test.clock.now().as_millis() / 1_000;
        let signature = secret.sign(id.as_str(), second, sent[0].body.as_bytes());
        assert_eq!(sent[0].header("webhook-signature"), signature);
        world.test.clock.advance(Duration::from_millis(seconds * 1_000 - 1));
        assert_eq!(world.deliver().await, [], "a moment before {seconds} s");
        // By chance a pause is up to a fifth longer.
        world.test.clock.advance(Duration::from_secs(seconds) / 5 + Duration::from_millis(1));
    }
    assert_eq!(world.deliver().await.len(), 1);
    world.test.clock.advance(Duration::from_hours(1_000));
    assert_eq!(world.deliver().await, []);
}

#[tokio::test]
async fn a_webhook_that_says_it_is_gone_is_not_asked_again_for_that_event() {
    let world = World::new().await;
    world.webhook("all", &[]).await;
    world.event("key.rejected").await;
    world.script([Ok(410)]);
    assert_eq!(world.deliver().await.len(), 1);
    world.test.clock.advance(Duration::from_hours(1_000));
    assert_eq!(world.deliver().await, []);
    world.event("key.recovered").await;
    assert_eq!(world.deliver().await.len(), 1);
}

#[tokio::test]
async fn what_was_claimed_by_a_node_that_died_is_sent_by_another() {
    let world = World::new().await;
    world.webhook("all", &[]).await;
    let id = world.event("key.rejected").await;
    let now = world.test.clock.now();
    let claimed = world.test.store.claim_deliveries(now, now.after(Duration::from_mins(1)), 8).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(world.deliver().await, []);
    world.test.clock.advance(Duration::from_mins(1));
    let sent = world.deliver().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header("webhook-id"), id.as_str());
}

#[tokio::test]
async fn what_was_under_way_when_the_node_stopped_is_sent_again() {
    let world = World::with(Scripted { held: Some(Notify::new()), ..Scripted::default() }).await;
    world.webhook("all", &[]).await;
    let id = world.event("key.rejected").await;
    let stopped = tokio::time::timeout(Duration::from_millis(200), world.test.app.webhooks.deliver_due()).await;
    assert!(stopped.is_err());
    let first = std::mem::take(&mut *world.courier.sent.lock());
    world.test.clock.advance(Duration::from_mins(1));
    world.courier.held.as_ref().unwrap().notify_one();
    let second = world.deliver().await;
    for sent in [first, second] {
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].header("webhook-id"), id.as_str());
    }
}

#[tokio::test]
async fn a_deleted_webhook_gets_nothing_more() {
    let world = World::new().await;
    let (_, doomed) = world.webhook("doomed", &[]).await;
    world.webhook("kept", &[]).await;
    world.event("key.rejected").await;
    world.script([Ok(500), Ok(500)]);
    assert_eq!(world.deliver().await.len(), 2);
    world.event("key.recovered").await;
    world.test.app.webhooks.delete(&world.permit(), &doomed.id).await.unwrap();
    world.test.clock.advance(Duration::from_hours(1));
    let sent = world.deliver().await;
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.url == "https://example.com/kept"), "{sent:?}");
    let again = world.test.app.webhooks.delete(&world.permit(), &doomed.id).await;
    assert!(matches!(again, Err(WebhookError::NoWebhook)));
}

#[tokio::test]
async fn eight_are_sent_at_once_and_all_arrive() {
    let world = World::new().await;
    world.webhook("all", &[]).await;
    for _ in 0..30 {
        world.event("key.rejected").await;
    }
    let sent = world.deliver().await;
    let ids: BTreeSet<_> = sent.iter().map(|sent| sent.header("webhook-id")).collect();
    assert_eq!((sent.len(), ids.len()), (30, 30));
    assert_eq!(world.courier.most.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_webhooks_secret_is_sealed_by_the_data_key_that_keys_are_sealed_by() {
    let world = World::new().await;
    let (first, made) = world.webhook("first", &[]).await;
    // Made with the webhook, and the same for the key that comes later.
    let owner = Owner::Workspace(world.acme.clone());
    let data_key = world.test.store.data_key(&owner).await.unwrap().unwrap();
    world.test.key(&world.acme, "openai").await;
    world.webhook("second", &[]).await;
    assert_eq!(world.test.store.data_key(&owner).await.unwrap().unwrap(), data_key);
    let shown = first.reveal_once();
    let sealed = &world.test.store.webhooks(&world.acme).await.unwrap()[0].sealed;
    assert!(!sealed.windows(8).any(|window| shown.as_bytes().windows(8).any(|part| part == window)));
    let printed = format!("{first:?} {made:?} {:?}", world.test.app.webhooks);
    assert!(!printed.contains(&shown[6..]) && !printed.contains("example.com"), "{printed}");
}

#[tokio::test]
async fn a_secret_moved_to_another_webhook_signs_nothing() {
    let world = World::new().await;
    let (_, one) = world.webhook("one", &[]).await;
    let (_, other) = world.webhook("other", &[]).await;
    let mut moved = other.clone();
    moved.sealed.clone_from(&one.sealed);
    let owner = Owner::Workspace(world.acme.clone());
    let data_key = world.test.store.data_key(&owner).await.unwrap().unwrap();
    world.test.store.delete_webhook(&world.acme, &other.id, &somebody()).await.unwrap();
    world.test.store.add_webhook(&moved, &claviger_store::DataKeyUse::Stored(data_key), &somebody()).await.unwrap();
    world.event("key.rejected").await;
    let sent = world.deliver().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].url, "https://example.com/one");
}

#[tokio::test]
async fn only_a_workspace_that_is_there_has_webhooks() {
    let world = World::new().await;
    let webhooks = &world.test.app.webhooks;
    let create = CreateWebhook { url: "https://example.com".to_owned(), events: BTreeSet::new() };
    let organization = world.test.organization("group", true).await;
    let nowhere = Owner::Workspace("nowhere".parse().unwrap());
    for owner in [Owner::Platform, Owner::Organization(organization), nowhere] {
        let permit: Permit<ManageKeys> = Principal::operator().permit_on(owner, None).unwrap();
        let refused = webhooks.create(&permit, &create).await;
        assert!(matches!(refused, Err(CreateWebhookError::NoWorkspace)), "{refused:?}");
        assert!(matches!(webhooks.list(&permit).await, Err(WebhookError::NoWorkspace)));
    }
}

#[tokio::test]
async fn without_a_courier_events_wait() {
    let world = World::new().await;
    let alone = world.test.beside().await;
    world.webhook("all", &[]).await;
    world.event("key.rejected").await;
    alone.app.webhooks.deliver_due().await.unwrap();
    assert_eq!(world.deliver().await.len(), 1);
}
