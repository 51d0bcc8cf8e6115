//! Webhooks: made, seen, deleted, and told of what happened.
//!
//! What they are told of was written in the transaction in which it happened, and stays until it has arrived or was tried
//! for long enough: every event arrives once or more often, from whichever node.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claviger_core::net::{OutOfReach, Reach};
use claviger_core::webhook::{EventKind, InvalidUrl, WebhookUrl};
use claviger_core::{Clock, Owner, WebhookId, WorkspaceId};
use claviger_seal::{DataKey, MasterKeys, OpenError, SealError, WebhookPlace, WebhookSecret};
use claviger_store::{
    AddWebhookError, DataKeyUse, Delivery, DeliveryEnd, Store, StoreError, WEBHOOK_CAPACITY, Webhook,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::access::{ManageKeys, Permit};
use crate::master_keys::{InUseError, in_use};

/// How often making a webhook begins again because the workspace's data key changed under it. It changes when it comes, when
/// it is sealed anew, and when there is a new one: hardly ever, and hardly ever twice in a row.
const TRIES: usize = 5;
/// How many events are sent at once.
const AT_ONCE: usize = 8;
/// How long a webhook has to answer, from the look-up of its name on.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a claimed event is this node's alone: longer than an attempt takes, with what it does in the database.
const CLAIM: Duration = Duration::from_mins(1);
/// How often it is looked for more while some are under way.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The pauses between attempts, as Standard Webhooks recommends them: nine attempts in two days and three hours.
const PAUSES: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
];
/// How much longer a pause may get, by chance, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;

/// A webhook could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateWebhookError {
    /// The workspace does not exist. Other owners have no webhooks.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// The address is none.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The address is one that Claviger does not go to.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// The workspace has ten.
    #[error("a workspace can have at most {WEBHOOK_CAPACITY} webhooks")]
    LimitReached,
    /// The workspace's data key does not open, so nothing can be sealed for it.
    #[error("the workspace's data key does not open")]
    Unreadable(#[source] OpenError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InUseError> for CreateWebhookError {
    fn from(error: InUseError) -> Self {
        match error {
            InUseError::Open(error) => Self::Unreadable(error),
            InUseError::Store(error) => Self::Store(error),
        }
    }
}

/// Webhooks could not be listed, or one could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The workspace does not exist. Other owners have no webhooks.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// The workspace has no such webhook.
    #[error("there is no such webhook")]
    NoWebhook,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook to make.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateWebhook {
    /// Where events go.
    pub url: String,
    /// Which events it wants; all where there are none.
    pub events: BTreeSet<EventKind>,
}

impl fmt::Debug for CreateWebhook {
    /// Without the address: in many services its path is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWebhook").field("events", &self.events).finish_non_exhaustive()
    }
}

/// What carries events to webhooks.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug {
    /// Where it goes at all.
    fn reach(&self) -> &Reach;

    /// Sends a POST request with these headers and this body, once, follows no redirect, and brings the status.
    async fn send(
        &self,
        url: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<u16, CourierError>;
}

/// Why there is no answer of a webhook's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CourierError {
    /// Its address is one that Claviger does not go to.
    #[error("its address {0}")]
    OutOfReach(#[from] OutOfReach),
    /// Its name leads nowhere.
    #[error("its name is not known")]
    NoAddress,
    /// No connection.
    #[error("it cannot be connected to")]
    Unreachable,
    /// No TLS: its certificate is not trusted, or not its own.
    #[error("its certificate is not trusted, or TLS failed")]
    Untrusted,
    /// The connection broke before there was an answer.
    #[error("its connection broke")]
    BrokenOff,
    /// It took too long.
    #[error("it did not answer in time")]
    TimedOut,
}

/// The use cases around webhooks.
#[derive(Debug)]
pub struct Webhooks {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) master_keys: Arc<MasterKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) courier: Option<Arc<dyn Courier>>,
}

impl Webhooks {
    /// Makes a webhook of a workspace. Its secret is in the answer, and from then on only sealed.
    pub async fn create(
        &self,
        permit: &Permit<ManageKeys>,
        create: &CreateWebhook,
    ) -> Result<(WebhookSecret, Webhook), CreateWebhookError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(CreateWebhookError::NoWorkspace);
        };
        let url: WebhookUrl = create.url.parse()?;
        match &self.courier {
            Some(courier) => courier.reach().permits(&url)?,
            None => Reach::default().permits(&url)?,
        }
        for _ in 0..TRIES {
            if let Some(created) = self.try_create(workspace, permit, &url, &create.events).await? {
                return Ok(created);
            }
        }
        Err(StoreError::Unexpected("the workspace's data key changed at every try".to_owned()).into())
    }

    /// `None` where the workspace's data key is another one by now: begin again.
    async fn try_create(
        &self,
        workspace: &WorkspaceId,
        permit: &Permit<ManageKeys>,
        url: &WebhookUrl,
        events: &BTreeSet<EventKind>,
    ) -> Result<Option<(WebhookSecret, Webhook)>, CreateWebhookError> {
        if self.store.workspace(workspace).await?.is_none() {
            return Err(CreateWebhookError::NoWorkspace);
        }
        if self.store.webhooks(workspace).await?.len() >= WEBHOOK_CAPACITY {
            return Err(CreateWebhookError::LimitReached);
        }
        let owner = Owner::Workspace(workspace.clone());
        let (data_key, data_key_use) = if let Some(sealed) = self.store.data_key(&owner).await? {
            let opened = self.master_keys.open_data_key(&owner, &sealed).map_err(CreateWebhookError::Unreadable)?;
            (opened, DataKeyUse::Stored(sealed))
        } else {
            let in_use = in_use(&*self.store, &self.master_keys).await?;
            let (made, sealed) = in_use.new_data_key(&owner, 1)?;
            (made, DataKeyUse::New(sealed))
        };
        let (secret, webhook) = self.seal(&data_key, workspace, permit.actor(), url, events)?;
        let act = permit.act(webhook.created_at);
        match self.store.add_webhook(&webhook, &data_key_use, &act).await {
            Ok(()) => Ok(Some((secret, webhook))),
            Err(AddWebhookError::TooMany) => Err(CreateWebhookError::LimitReached),
            Err(AddWebhookError::NoWorkspace) => Err(CreateWebhookError::NoWorkspace),
            Err(AddWebhookError::DataKeyChanged) => Ok(None),
            Err(AddWebhookError::Store(error)) => Err(error.into()),
        }
    }

    fn seal(
        &self,
        data_key: &DataKey,
        workspace: &WorkspaceId,
        actor: Option<&str>,
        url: &WebhookUrl,
        events: &BTreeSet<EventKind>,
    ) -> Result<(WebhookSecret, Webhook), SealError> {
        let now = self.clock.now();
        let mut random = [0; 10];
        claviger_seal::fill_random(&mut random)?;
        let id = WebhookId::new(now, random);
        let secret = WebhookSecret::generate()?;
        let webhook = Webhook {
            sealed: data_key.seal_webhook(WebhookPlace { webhook: &id }, &secret)?,
            id,
            workspace: workspace.clone(),
            url: url.as_str().to_owned(),
            events: events.iter().map(|event| event.as_str().to_owned()).collect(),
            created_at: now,
            created_by: actor.map(str::to_owned),
        };
        Ok((secret, webhook))
    }

    /// A workspace's webhooks, oldest first.
    pub async fn list(&self, permit: &Permit<ManageKeys>) -> Result<Vec<Webhook>, WebhookError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(WebhookError::NoWorkspace);
        };
        let webhooks = self.store.webhooks(workspace).await?;
        if webhooks.is_empty() && self.store.workspace(workspace).await?.is_none() {
            return Err(WebhookError::NoWorkspace);
        }
        Ok(webhooks)
    }

    /// Deletes a webhook. What is on its way to it is not tried again.
    pub async fn delete(&self, permit: &Permit<ManageKeys>, id: &WebhookId) -> Result<(), WebhookError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(WebhookError::NoWorkspace);
        };
        if self.store.delete_webhook(workspace, id, &permit.act(self.clock.now())).await? {
            return Ok(());
        }
        match self.store.workspace(workspace).await? {
            Some(_) => Err(WebhookError::NoWebhook),
            None => Err(WebhookError::NoWorkspace),
        }
    }

    /// Sends what is due, until nothing is due and nothing is under way. Dropped before that, what was under way is sent
    /// again once its claim is over. Does nothing where there is no courier.
    pub async fn deliver_due(&self) -> Result<(), StoreError> {
        let Some(courier) = self.courier.as_deref() else {
            return Ok(());
        };
        let mut steps = FuturesUnordered::new();
        steps.push(self.step(courier, Step::Claim(AT_ONCE)));
        let (mut claiming, mut under_way, mut failed) = (true, 0, None);
        loop {
            // One that answers late keeps nothing from the others: more are taken while it is waited for.
            match tokio::time::timeout(LOOK_AGAIN, steps.next()).await {
                Err(_elapsed) => {}
                Ok(None) => return failed.map_or(Ok(()), Err),
                Ok(Some(Stepped::Claimed(claimed))) => {
                    claiming = false;
                    under_way += claimed.len();
                    let none = claimed.is_empty();
                    steps.extend(claimed.into_iter().map(|claimed| self.step(courier, Step::Deliver(claimed))));
                    if none {
                        continue;
                    }
                }
                Ok(Some(Stepped::Ended)) => under_way -= 1,
                // Nothing more is begun; what is under way is finished.
                Ok(Some(Stepped::Failed(error))) => failed = Some(error),
            }
            if !claiming && under_way < AT_ONCE && failed.is_none() {
                claiming = true;
                steps.push(self.step(courier, Step::Claim(AT_ONCE - under_way)));
            }
        }
    }

    /// All steps are polled together. One that held a place at the database and were not polled, while another waits for
    /// that place, would never give it back.
    async fn step(&self, courier: &dyn Courier, step: Step) -> Stepped {
        let stepped = match step {
            Step::Claim(limit) => self.claim(limit).await.map(Stepped::Claimed),
            Step::Deliver(delivery) => self.deliver(courier, delivery).await.map(|()| Stepped::Ended),
        };
        stepped.unwrap_or_else(Stepped::Failed)
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let now = self.clock.now();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.store.claim_deliveries(now, now.after(CLAIM), limit).await
    }

    async fn deliver(&self, courier: &dyn Courier, delivery: Delivery) -> Result<(), StoreError> {
        let Err(failure) = self.attempt(courier, &delivery).await else {
            return self.store.end_delivery(&delivery, DeliveryEnd::Done).await;
        };
        let pause = pause(delivery.attempts, rand::random()).filter(|_| !failure.is_final());
        let end = pause.map_or(DeliveryEnd::GaveUp, |pause| DeliveryEnd::Again { at: self.clock.now().after(pause) });
        self.store.end_delivery(&delivery, end).await?;
        failure.tell(&delivery, pause.is_some());
        Ok(())
    }

    async fn attempt(&self, courier: &dyn Courier, delivery: &Delivery) -> Result<(), Failure> {
        let url: WebhookUrl = delivery.url.parse()?;
        let headers = self.headers(delivery)?;
        let sending = courier.send(&url, &headers, delivery.payload.clone());
        match tokio::time::timeout(PATIENCE, sending).await.unwrap_or(Err(CourierError::TimedOut))? {
            200..=299 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }

    /// Signed anew at every attempt, with its own time: receivers refuse what was signed long ago.
    fn headers(&self, delivery: &Delivery) -> Result<[(&'static str, String); 3], OpenError> {
        let owner = Owner::Workspace(delivery.workspace.clone());
        let data_key = self.master_keys.open_data_key(&owner, &delivery.data_key)?;
        let secret = data_key.open_webhook(WebhookPlace { webhook: &delivery.webhook }, &delivery.sealed)?;
        let second = self.clock.now().as_millis() / 1_000;
        Ok([
            ("webhook-id", delivery.id.to_string()),
            ("webhook-timestamp", second.to_string()),
            ("webhook-signature", secret.sign(delivery.id.as_str(), second, delivery.payload.as_bytes())),
        ])
    }
}

/// What delivering is made of.
enum Step {
    Claim(usize),
    Deliver(Delivery),
}

/// What came of a step.
enum Stepped {
    Claimed(Vec<Delivery>),
    Ended,
    Failed(StoreError),
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it answered {0}")]
    Status(u16),
    #[error(transparent)]
    Courier(#[from] CourierError),
    #[error("its stored address is none: it {0}")]
    Url(#[from] InvalidUrl),
    #[error("its secret does not open: {0}")]
    Sealed(#[from] OpenError),
}

impl Failure {
    /// Says what became of an attempt, neither the address, whose path is a secret in many services, nor what was sent.
    fn tell(&self, delivery: &Delivery, again: bool) {
        let Delivery { workspace, webhook, id: event, attempts, .. } = delivery;
        let (failure, attempt) = (self, attempts.saturating_add(1));
        if again {
            tracing::info!(%workspace, %webhook, %event, attempt, %failure, "a webhook did not take an event; it is tried again");
        } else {
            tracing::warn!(%workspace, %webhook, %event, attempt, %failure, "a webhook did not take an event, and it is not tried again");
        }
    }

    /// Whether the webhook said itself that it is gone for good.
    fn is_final(&self) -> bool {
        matches!(self, Self::Status(410))
    }
}

/// How long to wait after an attempt that failed, with so many before it; `None` after the last one. `chance` is 0 to 1.
fn pause(attempts: u32, chance: f64) -> Option<Duration> {
    let pause = PAUSES.get(usize::try_from(attempts).ok()?)?;
    Some(pause.mul_f64(1.0 + JITTER * chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut last = Duration::ZERO;
        for attempts in 0..8 {
            let [shortest, longest] = [0.0, 1.0].map(|chance| pause(attempts, chance).unwrap());
            assert!(last < shortest && shortest < longest, "after {attempts}");
            last = longest;
        }
        assert_eq!(pause(0, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(pause(7, 1.0), Some(Duration::from_hours(24)));
        assert_eq!(pause(8, 0.0), None);
        assert_eq!(pause(u32::MAX, 0.0), None);
    }

    #[test]
    fn a_webhook_to_make_prints_without_its_address() {
        let url = "https://hooks.example/services/hidden".to_owned();
        let text = format!("{:?}", CreateWebhook { url, events: BTreeSet::from([EventKind::KeyRejected]) });
        assert_eq!(text, "CreateWebhook { events: {KeyRejected}, .. }");
    }
}
