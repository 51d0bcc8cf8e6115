//! Rests by model, for providers whose limits are by model.

use std::time::Duration;

use super::class::Class;
use super::state::{Availability, Event, KeyHealth};
use crate::time::Timestamp;

/// How long a rest is remembered after its end, where no request asks for the model to try it. Longer than any rest that
/// grows with strikes.
const REMEMBERED: Duration = Duration::from_mins(10);

/// How many models of a key may rest at once. With more, those whose rests end soonest are forgotten.
pub const MAX_MODELS: usize = 32;

/// The longest name that is kept: names come from callers' paths. A model of a longer name does not rest.
const MAX_NAME: usize = 128;

/// Which models of one key rest. Used beside the key's own [`KeyHealth`], where [`crate::catalogue::Rate::model_of`] finds
/// a model: rate limits go here, everything else goes to the key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ModelRests {
    models: Vec<(Box<str>, KeyHealth)>,
}

impl ModelRests {
    /// Whether the key can be handed out for this model, as far as the model's limits go.
    #[must_use]
    pub fn availability(&self, model: &str, now: Timestamp) -> Availability {
        self.health(model).map_or(Availability::Now, |health| health.availability(now))
    }

    /// What is known of the key with this model.
    #[must_use]
    pub fn health(&self, model: &str) -> Option<&KeyHealth> {
        self.models.iter().find(|(name, _)| **name == *model).map(|(_, health)| health)
    }

    /// Every model that is limited, though its rest may be over: see [`ModelRests::expire`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &KeyHealth)> {
        let limited = self.models.iter().filter(|(_, health)| health.until().is_some());
        limited.map(|(name, health)| (&**name, health))
    }

    /// Takes an event of a request for this model, as [`KeyHealth::next`] does.
    pub fn next(&mut self, model: &str, event: &Event, now: Timestamp) {
        let event = match event {
            // The whole key's matter. Here only a trial may have ended with it.
            Event::Answer { verdict, began } if matches!(verdict.class, Class::NoCredit | Class::KeyInvalid) => {
                &Event::NoAnswer { began: *began }
            }
            Event::Stored { .. } | Event::Probed { .. } => return,
            Event::Replaced => return self.models.clear(),
            event => event,
        };
        if let Some((_, health)) = self.models.iter_mut().find(|(name, _)| **name == *model) {
            // One that is well again stays while there is room: it knows which late answers are old news.
            *health = health.next(event, now);
            return;
        }
        let health = KeyHealth::new().next(event, now);
        if health.until().is_some() && model.len() <= MAX_NAME {
            self.add(model, health);
        }
    }

    /// Forgets the rests that are long over and that nobody tried to end: callers need not ask for a model ever again.
    pub fn expire(&mut self, now: Timestamp) {
        self.models.retain(|(_, health)| {
            let resting = matches!(health.availability(now), Availability::Resting { .. });
            // An end that is ahead of a key that does not rest was noted before the clock jumped back.
            resting || health.until().is_none_or(|until| until <= now && now < until.after(REMEMBERED))
        });
    }

    fn add(&mut self, model: &str, health: KeyHealth) {
        if self.models.len() >= MAX_MODELS {
            let soonest = (0..self.models.len()).min_by_key(|index| self.models[*index].1.until());
            soonest.map(|index| self.models.swap_remove(index));
        }
        self.models.push((model.into(), health));
    }
}
