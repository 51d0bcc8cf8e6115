//! Which key would serve now, and why not the others: told without taking a turn.

use claviger_core::health::{Availability, Condition, KeyHealth};
use claviger_core::pool::Turn;
use claviger_core::{KeyId, KeyStatus, Owner, ProviderId, Scope, Timestamp};

use super::known::Fitness;
use super::lease::Tried;
use super::pool::{Asked, Idle};
use super::{Keyring, LeaseError};
use crate::access::{ListKeys, Permit};

/// The pool that serves a workspace, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Whose pool serves.
    pub scope: Scope,
    /// The key that has the next turn on this node; none where no key can serve.
    pub serving: Option<KeyId>,
    /// All keys of the pool, in creation order.
    pub keys: Vec<Explained>,
}

/// One key of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// Which key.
    pub key: KeyId,
    /// Whether it could be handed out now.
    pub available: bool,
    /// Why not, or what is to be known of it although it can.
    pub reason: Option<String>,
    /// When it can be, at the latest.
    pub available_at: Option<Timestamp>,
}

/// Nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The owner is no workspace: only those are served.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// See [`LeaseError`]: where there is no pool that serves.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// How a key fares, as the outside is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// In one word.
    pub status: KeyStatus,
    /// In words for people, where there is anything to say.
    pub reason: Option<String>,
    /// When it is back, where it rests.
    pub available_at: Option<Timestamp>,
}

impl Standing {
    /// Of a key that opens, or not, and of which this is known.
    #[must_use]
    pub fn of(stored: KeyStatus, fitness: &Fitness, now: Timestamp) -> Self {
        let health = &fitness.health;
        let resting = matches!(health.availability(now), Availability::Resting { .. });
        let status = match (stored, health.condition()) {
            (KeyStatus::Unreadable, _) => KeyStatus::Unreadable,
            (_, Condition::Rejected) => KeyStatus::Rejected,
            (_, Condition::Exhausted) => KeyStatus::Exhausted,
            (_, Condition::RateLimited) if resting => KeyStatus::Cooling,
            (_, Condition::RateLimited | Condition::Well) => KeyStatus::Active,
        };
        match status {
            KeyStatus::Unreadable => {
                let reason = "The key cannot be opened; it must be entered again".to_owned();
                Self { status, reason: Some(reason), available_at: None }
            }
            KeyStatus::Active => Self { status, reason: models(fitness, now), available_at: None },
            KeyStatus::Cooling | KeyStatus::Exhausted | KeyStatus::Rejected => {
                Self { status, reason: health.reason(), available_at: health.until() }
            }
        }
    }
}

/// For which models a key rests.
fn models(fitness: &Fitness, now: Timestamp) -> Option<String> {
    let resting = fitness.models.iter().filter(|(_, until)| *until > now);
    let names: Vec<_> = resting.map(|(model, until)| format!("{model} until {until}")).collect();
    (!names.is_empty()).then(|| format!("Rate limited for {}", names.join(", ")))
}

impl Default for Fitness {
    fn default() -> Self {
        Self { health: KeyHealth::new(), models: Vec::new() }
    }
}

impl Keyring {
    /// Explains the pool that serves a workspace. Where turns are shared by several nodes, another one may take the next
    /// turn first.
    pub async fn explain(&self, permit: &Permit<ListKeys>, provider: &ProviderId) -> Result<Explanation, ExplainError> {
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(ExplainError::NoOwner(permit.on().clone()));
        };
        let (id, slot, pool) = self.serving(workspace, provider).await?;
        let now = self.shared.clock.now();
        let tried = Tried::default();
        let serving = pool.free(&slot.companion, Asked { model: None, tried: &tried, now }).ok().and_then(|free| {
            match slot.companion.cursor.peek(&free) {
                Turn::Use(index) => pool.key(free[index]).map(|key| key.known.id.clone()),
                Turn::Empty => None,
            }
        });
        let usable = pool.usable().iter().map(|key| {
            let known = &key.known;
            let standing = Standing::of(KeyStatus::Active, &known.fitness(), now);
            let explained = match known.availability(None, now) {
                Availability::Now | Availability::Trial => {
                    Explained { key: known.id.clone(), available: true, reason: standing.reason, available_at: None }
                }
                Availability::Resting { until } => Explained {
                    key: known.id.clone(),
                    available: false,
                    reason: standing.reason.or_else(|| Some("Another request tries it".to_owned())),
                    available_at: Some(until),
                },
            };
            (known.position, explained)
        });
        let others = pool.others().iter().map(|key| {
            let reason = match key.why {
                Idle::Off => "The key is switched off",
                Idle::Unreadable => "The key cannot be opened; it must be entered again",
            };
            let explained = Explained {
                key: key.id.clone(),
                available: false,
                reason: Some(reason.to_owned()),
                available_at: None,
            };
            (key.position, explained)
        });
        let mut keys: Vec<_> = usable.chain(others).collect();
        keys.sort_by_key(|(position, _)| *position);
        let keys = keys.into_iter().map(|(_, explained)| explained).collect();
        Ok(Explanation { scope: id.owner.kind(), serving, keys })
    }
}
