//! What the server is asked and told, and what it answers.

use std::time::Duration;

use claviger_app::coordination::{Rest, SharedTurn, TRIAL};
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use redis::{Cmd, Value};

/// The rule of rotation, run by the server: nothing comes between reading the last turn and writing the next one.
const TURN: &str = include_str!("rotation.lua");
/// The rule by which a rest is only ever lengthened.
const REST: &str = include_str!("rest.lua");
/// All of it, in the order of [`Hashes`].
pub(crate) const SOURCES: [&str; 2] = [TURN, REST];
/// How long a pool that nobody uses is remembered. Longer than a weekend, and than any rest; and a pool that was
/// forgotten only begins with its first key again.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// For how many models a key may rest at once. Their names come from callers.
const MODELS: usize = 32;
/// The longest name of a model, in bytes.
const LONGEST_MODEL: usize = 128;
/// A pool of nobody's, on which a new connection is tried: no owner's kind is called so.
const NOBODYS: &str = "claviger:pool:{trial}";
const NOBODYS_KEPT: Duration = Duration::from_secs(1);

/// The hashes that the server gave the scripts.
#[derive(Clone, Debug)]
pub(crate) struct Hashes {
    pub(crate) turn: String,
    pub(crate) rest: String,
}

impl From<[String; SOURCES.len()]> for Hashes {
    fn from([turn, rest]: [String; SOURCES.len()]) -> Self {
        Self { turn, rest }
    }
}

/// A question for a turn.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: String,
    pub(crate) usable: Vec<Position>,
    pub(crate) model: Option<String>,
}

/// What is told of a key.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) model: Option<String>,
    pub(crate) what: What,
}

/// What happened to a key: see `Coordination`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Rest(Duration),
    Healed,
    TrialOver,
    Forget,
}

/// The name of a pool's key. The braces make it one place of a cluster, together with whatever else is ever kept for
/// this pool.
pub(crate) fn key(pool: &PoolId) -> String {
    let PoolId { owner, provider } = pool;
    let (kind, id, provider) = (owner.kind().as_str(), owner.id(), provider.as_str());
    let mut key = String::with_capacity(64);
    for part in ["claviger:pool:{", kind, ":", id, ":", provider, "}"] {
        key.push_str(part);
    }
    key
}

/// The model that is meant by what stands in a caller's path. What is too long to be one is none: nobody fills the
/// server with it.
pub(crate) fn model(name: Option<&str>) -> Option<String> {
    name.filter(|name| (1..=LONGEST_MODEL).contains(&name.len())).map(str::to_owned)
}

/// Leaves a script with the server, which answers its hash.
pub(crate) fn load(source: &str) -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(source);
    command
}

/// Everything that is ever asked and told, for the pool that is nobody's: whoever is refused none of it has all rights
/// that are needed. The turn comes first.
pub(crate) fn trials(hashes: &Hashes) -> [Cmd; 3] {
    let question = Question { key: NOBODYS.to_owned(), usable: vec![Position(1)], model: None };
    let news = |what| News { key: NOBODYS.to_owned(), position: Position(1), model: None, what };
    [
        question.command(Some(hashes), NOBODYS_KEPT),
        news(What::Rest(Duration::ZERO)).command(Some(hashes), NOBODYS_KEPT),
        news(What::Healed).command(Some(hashes), NOBODYS_KEPT),
    ]
}

impl Question {
    /// Asks by the script's hash, or, where there is none, brings the script along.
    pub(crate) fn ask(&self, hashes: Option<&Hashes>) -> Cmd {
        self.command(hashes, KEPT)
    }

    fn command(&self, hashes: Option<&Hashes>, kept: Duration) -> Cmd {
        let Self { key, usable, model } = self;
        let mut command = Cmd::with_capacity(7 + usable.len(), 192 + 8 * usable.len());
        run(&mut command, hashes.map(|hashes| hashes.turn.as_str()), TURN);
        command.arg(1).arg(key).arg(millis(kept)).arg(millis(TRIAL)).arg(model.as_deref().unwrap_or_default());
        for position in usable {
            command.arg(position.0);
        }
        command
    }

    /// Reads an answer. `None` where it is not one to this question: nothing that the script answers.
    pub(crate) fn answer(&self, value: &Value) -> Option<SharedTurn> {
        let Value::Array(parts) = value else { return None };
        let [turn, trial, rests @ ..] = parts.as_slice() else { return None };
        let position = match turn {
            Value::BulkString(nobody) if nobody.is_empty() => None,
            turn => Some(self.usable(turn)?),
        };
        let (rests, []) = rests.as_chunks::<3>() else { return None };
        let rests = rests.iter().map(|[position, remaining, of_model]| {
            let remaining = Duration::from_millis(number(remaining)?);
            Some(Rest { position: self.usable(position)?, remaining, of_model: flag(of_model)? })
        });
        Some(SharedTurn { position, trial: flag(trial)?, rests: rests.collect::<Option<_>>()? })
    }

    /// A position that was named.
    fn usable(&self, value: &Value) -> Option<Position> {
        let position = Position(number(value)?);
        self.usable.contains(&position).then_some(position)
    }
}

impl News {
    /// Tells it by the script's hash, or, where there is none, brings the script along.
    pub(crate) fn tell(&self, hashes: Option<&Hashes>) -> Cmd {
        self.command(hashes, KEPT)
    }

    fn command(&self, hashes: Option<&Hashes>, kept: Duration) -> Cmd {
        match self.what {
            // No rest is longer than its pool is kept, so that none is lost before its time.
            What::Rest(remaining) => self.script(hashes, kept, Some(millis(remaining.min(KEPT)))),
            What::Forget => self.script(hashes, kept, None),
            What::Healed => self.delete(&["rest:", "trial:"]),
            What::TrialOver => self.delete(&["trial:"]),
        }
    }

    fn script(&self, hashes: Option<&Hashes>, kept: Duration, remaining: Option<u64>) -> Cmd {
        let mut command = Cmd::new();
        run(&mut command, hashes.map(|hashes| hashes.rest.as_str()), REST);
        command.arg(1).arg(&self.key).arg(millis(kept)).arg(MODELS);
        command.arg(self.position.0).arg(self.model.as_deref().unwrap_or_default());
        match remaining {
            Some(remaining) => command.arg(remaining),
            None => command.arg(""),
        };
        command
    }

    /// Takes fields of the whole key away, and of the model, which is one command as it is.
    fn delete(&self, kinds: &[&str]) -> Cmd {
        let mut command = redis::cmd("HDEL");
        command.arg(&self.key);
        for kind in kinds {
            command.arg(format!("{kind}{}", self.position.0));
            if let Some(model) = &self.model {
                command.arg(format!("{kind}{}/{model}", self.position.0));
            }
        }
        command
    }
}

fn run(command: &mut Cmd, hash: Option<&str>, source: &str) {
    match hash {
        Some(hash) => command.arg("EVALSHA").arg(hash),
        None => command.arg("EVAL").arg(source),
    };
}

/// Rounded up: a rest is never shortened.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::Owner;

    use super::*;

    fn text(of: &str) -> Value {
        Value::BulkString(of.as_bytes().to_vec())
    }

    fn question(usable: &[u64]) -> Question {
        let usable = usable.iter().copied().map(Position).collect();
        Question { key: NOBODYS.to_owned(), usable, model: None }
    }

    #[test]
    fn a_pool_is_named_after_its_owner_and_its_provider() {
        let provider = "openai".parse().unwrap();
        let pool = PoolId { owner: Owner::Workspace("acme".parse().unwrap()), provider };
        assert_eq!(key(&pool), "claviger:pool:{workspace:acme:openai}");
        let platform = PoolId { owner: Owner::Platform, ..pool };
        assert_eq!(key(&platform), "claviger:pool:{platform::openai}");
    }

    #[test]
    fn an_answer_holds_the_turn_and_the_rests() {
        let rest = |position, remaining, of_model| Rest {
            position: Position(position),
            remaining: Duration::from_millis(remaining),
            of_model,
        };
        let three = [text("2"), Value::Int(1_500), Value::Int(0), text("4"), Value::Int(0), Value::Int(1)];
        let value = Value::Array([vec![text("3"), Value::Int(1)], three.to_vec()].concat());
        let turn = question(&[2, 3, 4]).answer(&value).unwrap();
        let rests = vec![rest(2, 1_500, false), rest(4, 0, true)];
        assert_eq!(turn, SharedTurn { position: Some(Position(3)), trial: true, rests: rests.clone() });
        let value = Value::Array([vec![text(""), Value::Int(0)], three.to_vec()].concat());
        assert_eq!(question(&[2, 4]).answer(&value), Some(SharedTurn { position: None, trial: false, rests }));
    }

    #[test]
    fn what_is_not_an_answer_is_not_taken_for_one() {
        let no = Value::Int(0);
        let values = [
            Value::Nil,
            Value::Okay,
            Value::Array(vec![]),
            Value::Array(vec![text("1")]),
            Value::Array(vec![Value::Nil, no.clone()]),
            Value::Array(vec![text("2"), no.clone()]),
            Value::Array(vec![text("one"), no.clone()]),
            Value::Array(vec![text("1"), Value::Int(2)]),
            Value::Array(vec![text("1"), no.clone(), text("1")]),
            Value::Array(vec![text("1"), no.clone(), text("2"), no.clone(), no.clone()]),
            Value::Array(vec![text("1"), no.clone(), text("1"), Value::Int(-1), no]),
        ];
        for value in values {
            assert_eq!(question(&[1]).answer(&value), None, "{value:?}");
        }
    }

    #[test]
    fn a_model_is_one_whatever_its_name_unless_that_is_absurdly_long_or_empty() {
        for name in ["gemini-2", "a/b:c", "\0\r\n", &"é".repeat(64)] {
            assert_eq!(model(Some(name)).as_deref(), Some(name));
        }
        for name in [None, Some(""), Some(&*"m".repeat(129))] {
            assert_eq!(model(name), None);
        }
    }

    #[test]
    fn a_rest_is_told_in_whole_milliseconds_and_never_shortened() {
        let times = [(Duration::ZERO, 0), (Duration::from_nanos(1), 1), (Duration::from_millis(2), 2)];
        for (duration, expected) in times {
            assert_eq!(millis(duration), expected);
        }
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
