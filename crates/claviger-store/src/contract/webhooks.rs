//! Webhooks, and what is on its way to them.

use futures_util::future::join_all;

use super::Fresh;
use super::given::{
    at, event, hook, key_id, new_key, pool_of, read, sealed, somebody, webhook, workspace, workspace_id,
};
use crate::{AddKeyError, AddWebhookError, DataKeyUse, Delivery, DeliveryEnd, Store, WEBHOOK_CAPACITY, Webhook};

pub async fn webhooks_read_back_and_are_deleted(Fresh { store, .. }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    workspace(&*store, "other").await;
    assert_eq!(store.data_key(&acme).await.unwrap(), None);
    let picky =
        Webhook { events: vec!["key.rejected".to_owned(), "pool.unavailable".to_owned()], ..webhook("acme", 2) };
    let nameless = Webhook { created_by: None, ..webhook("acme", 1) };
    for webhook in [&picky, &nameless, &webhook("other", 3)] {
        hook(&*store, webhook).await.unwrap();
    }
    assert_eq!(store.data_key(&acme).await.unwrap().as_deref(), Some(b"a data key".as_slice()));
    let id = workspace_id("acme");
    assert_eq!(store.webhooks(&id).await.unwrap(), [nameless.clone(), picky.clone()]);

    assert!(
        !store.delete_webhook(&workspace_id("other"), &picky.id, &somebody()).await.unwrap(),
        "it is another workspace's"
    );
    assert!(store.delete_webhook(&id, &picky.id, &somebody()).await.unwrap());
    assert!(!store.delete_webhook(&id, &picky.id, &somebody()).await.unwrap());
    assert_eq!(store.webhooks(&id).await.unwrap(), [nameless]);
    assert!(store.delete_workspace(&id, &somebody()).await.unwrap());
    assert_eq!(store.webhooks(&id).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap().webhooks, 1);
}

pub async fn a_webhook_is_sealed_with_its_workspaces_data_key(Fresh { store, .. }: Fresh) {
    let new = |bytes: &[u8]| DataKeyUse::New(bytes.to_vec());
    let refused = store.add_webhook(&webhook("acme", 1), &new(b"one"), &somebody()).await;
    assert!(matches!(refused, Err(AddWebhookError::NoWorkspace)), "{refused:?}");
    let pool = pool_of(&workspace(&*store, "acme").await, "openai");
    let early = store.add_webhook(&webhook("acme", 1), &DataKeyUse::Stored(b"one".to_vec()), &somebody()).await;
    assert!(matches!(early, Err(AddWebhookError::DataKeyChanged)), "{early:?}");
    store.add_webhook(&webhook("acme", 1), &new(b"one"), &somebody()).await.unwrap();
    let second = store.add_webhook(&webhook("acme", 2), &new(b"two"), &somebody()).await;
    assert!(matches!(second, Err(AddWebhookError::DataKeyChanged)), "{second:?}");
    assert_eq!(read(&*store, &pool).await.data_key.as_deref(), Some(b"one".as_slice()));
    let key = store.add_key(&pool, &new_key(1, new(b"two")), &somebody()).await;
    assert!(matches!(key, Err(AddKeyError::DataKeyChanged)), "{key:?}");
    assert_eq!(
        store.add_key(&pool, &new_key(1, DataKeyUse::Stored(b"one".to_vec())), &somebody()).await.unwrap().id,
        key_id(1)
    );
}

pub async fn ten_webhooks_fit_and_the_eleventh_is_refused(Fresh { store, other }: Fresh) {
    workspace(&*store, "acme").await;
    let webhooks: Vec<_> = (1..=20).map(|number| webhook("acme", number)).collect();
    let adds = webhooks.iter().zip([&*store, &*other].into_iter().cycle());
    let added = join_all(adds.map(|(webhook, store)| hook(store, webhook))).await;
    let (added, refused): (Vec<_>, Vec<_>) = added.into_iter().partition(Result::is_ok);
    assert_eq!(added.len(), WEBHOOK_CAPACITY);
    assert!(refused.iter().all(|refused| matches!(refused, Err(AddWebhookError::TooMany))), "{refused:?}");
    let there = store.webhooks(&workspace_id("acme")).await.unwrap();
    assert_eq!(there.len(), WEBHOOK_CAPACITY);
    assert!(store.delete_webhook(&there[4].workspace, &there[4].id, &somebody()).await.unwrap());
    hook(&*store, &webhook("acme", 30)).await.unwrap();
}

async fn claim(store: &dyn Store, now: u64, until: u64) -> Vec<Delivery> {
    let mut claimed = store.claim_deliveries(at(now), at(until), 100).await.unwrap();
    claimed.sort_by_key(|delivery| (delivery.webhook.clone(), delivery.id.clone()));
    claimed
}

pub async fn each_webhook_is_told_what_it_wants_once(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    workspace(&*store, "other").await;
    let picky = Webhook { events: vec!["key.recovered".to_owned(), "key.rejected".to_owned()], ..webhook("acme", 1) };
    for webhook in [&picky, &webhook("acme", 2), &webhook("other", 3)] {
        hook(&*store, webhook).await.unwrap();
    }
    let id = workspace_id("acme");
    let events = [event(5, "key.rejected"), event(6, "key"), event(7, "pool.unavailable")];
    store.announce(&id, &events).await.unwrap();
    store.announce(&id, &events[..1]).await.unwrap();
    store.announce(&id, &[]).await.unwrap();
    store.announce(&workspace_id("nobody"), &events).await.unwrap();
    let claimed = claim(&*store, 10, 20).await;
    let told: Vec<_> = claimed.iter().map(|delivery| (&delivery.webhook, &delivery.id)).collect();
    let other = webhook("acme", 2).id;
    let expected =
        [(&picky.id, &events[0].id), (&other, &events[0].id), (&other, &events[1].id), (&other, &events[2].id)];
    assert_eq!(told, expected);
    let first = Delivery {
        id: events[0].id.clone(),
        webhook: picky.id.clone(),
        workspace: id,
        url: picky.url.clone(),
        sealed: sealed(1),
        data_key: b"a data key".to_vec(),
        event: "key.rejected".to_owned(),
        payload: events[0].payload.clone(),
        attempts: 0,
        created_at: at(5),
        claimed_until: at(20),
    };
    assert_eq!(claimed[0], first);
}

pub async fn a_delivery_is_tried_until_it_is_done_or_given_up(Fresh { store, other }: Fresh) {
    workspace(&*store, "acme").await;
    hook(&*store, &webhook("acme", 1)).await.unwrap();
    let id = workspace_id("acme");
    store.announce(&id, &[event(5, "key.rejected"), event(6, "key.recovered")]).await.unwrap();
    assert_eq!(claim(&*store, 4, 20).await, [], "it is not time yet");
    let claimed = claim(&*store, 10, 20).await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claim(&*other, 19, 30).await, []);
    store.end_delivery(&claimed[0], DeliveryEnd::Done).await.unwrap();
    store.end_delivery(&claimed[1], DeliveryEnd::Again { at: at(40) }).await.unwrap();
    assert_eq!(claim(&*other, 39, 60).await, []);
    let again = claim(&*other, 40, 60).await;
    assert_eq!((again.len(), &again[0].id, again[0].attempts), (1, &claimed[1].id, 1));
    // Its node died, and another one takes it; the first comes back late.
    let taken = claim(&*store, 60, 80).await;
    assert_eq!((taken.len(), taken[0].attempts), (1, 2));
    other.end_delivery(&again[0], DeliveryEnd::GaveUp).await.unwrap();
    other.end_delivery(&again[0], DeliveryEnd::Again { at: at(61) }).await.unwrap();
    assert_eq!(claim(&*other, 79, 90).await, []);
    store.end_delivery(&taken[0], DeliveryEnd::GaveUp).await.unwrap();
    store.end_delivery(&taken[0], DeliveryEnd::Done).await.unwrap();
    assert_eq!(claim(&*store, 1_000, 2_000).await, []);
}

pub async fn what_is_on_its_way_goes_with_its_webhook(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    let id = workspace_id("acme");
    for number in 1..=2 {
        hook(&*store, &webhook("acme", number)).await.unwrap();
    }
    store.announce(&id, &[event(5, "key.rejected")]).await.unwrap();
    assert!(store.delete_webhook(&id, &webhook("acme", 1).id, &somebody()).await.unwrap());
    assert_eq!(claim(&*store, 10, 20).await.len(), 1);
    assert!(store.delete_workspace(&id, &somebody()).await.unwrap());
    assert_eq!(claim(&*store, 30, 40).await, []);
}

pub async fn two_nodes_never_claim_the_same_delivery(Fresh { store, other }: Fresh) {
    workspace(&*store, "acme").await;
    for number in 1..=3 {
        hook(&*store, &webhook("acme", number)).await.unwrap();
    }
    let events: Vec<_> = (1..=10).map(|number| event(number, "key.rejected")).collect();
    store.announce(&workspace_id("acme"), &events).await.unwrap();
    let mut claimed = Vec::new();
    // What is being claimed by one is passed over by the other, so it may take several rounds.
    for _ in 0..20 {
        let claims = join_all((0..8).map(|node| {
            let store = if node % 2 == 0 { &*store } else { &*other };
            store.claim_deliveries(at(20), at(60), 3)
        }));
        for claims in claims.await {
            let claims = claims.unwrap();
            assert!(claims.len() <= 3);
            claimed.extend(claims.into_iter().map(|delivery| (delivery.webhook, delivery.id)));
        }
    }
    assert_eq!(claimed.len(), 30);
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 30);
}
