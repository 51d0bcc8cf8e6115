//! The question that takes a turn, and its answer.

use std::time::Duration;

use claviger_app::coordination::{Rest, SharedTurn};
use claviger_core::Timestamp;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use redis::{Cmd, Value};

/// The rule of rotation, run by the server: nothing comes between reading the last turn and writing the next one.
pub(crate) const SOURCE: &str = include_str!("rotation.lua");
/// How long a pool that nobody uses is remembered. Longer than a weekend; and a pool that was forgotten only begins
/// with its first key again.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// A pool of nobody's, on which a new connection is tried: no owner's kind is called so.
const TRIAL: &str = "claviger:pool:{trial}";
const TRIAL_KEPT: Duration = Duration::from_secs(1);

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

/// Asks for a turn by the script's hash, or, where there is none, brings the script along.
pub(crate) fn question(hash: Option<&str>, key: &str, usable: &[Position]) -> Cmd {
    ask(hash, key, KEPT, usable)
}

/// Asks for a turn of the pool that is nobody's.
pub(crate) fn trial(hash: &str) -> Cmd {
    ask(Some(hash), TRIAL, TRIAL_KEPT, &[Position(1)])
}

/// Leaves the script with the server, which answers its hash.
pub(crate) fn load() -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(SOURCE);
    command
}

fn ask(hash: Option<&str>, key: &str, kept: Duration, usable: &[Position]) -> Cmd {
    let mut command = Cmd::with_capacity(5 + usable.len(), 128 + 8 * usable.len());
    match hash {
        Some(hash) => command.arg("EVALSHA").arg(hash),
        None => command.arg("EVAL").arg(SOURCE),
    };
    command.arg(1).arg(key).arg(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
    for position in usable {
        command.arg(position.0);
    }
    command
}

/// Reads an answer. `None` where it is not one to this question: nothing that the script answers.
pub(crate) fn answer(value: &Value, usable: &[Position]) -> Option<SharedTurn> {
    let Value::Array(parts) = value else { return None };
    let (turn, rests) = parts.split_first()?;
    let position = Position(number(turn)?);
    if !usable.contains(&position) {
        return None;
    }
    let (pairs, _) = rests.as_chunks::<2>();
    // What another program wrote there is no rest.
    let rests = pairs.iter().filter_map(|[position, until]| {
        let until = i64::try_from(number(until)?).ok()?;
        Some(Rest { position: Position(number(position)?), until: Timestamp::from_millis(until) })
    });
    Some(SharedTurn { position, rests: rests.collect() })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
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
        let value = Value::Array(vec![text("3"), text("4"), text("1700000000000"), text("2"), text("soon")]);
        let turn = answer(&value, &[Position(2), Position(3)]).unwrap();
        let rests = vec![Rest { position: Position(4), until: Timestamp::from_millis(1_700_000_000_000) }];
        assert_eq!(turn, SharedTurn { position: Position(3), rests });
    }

    #[test]
    fn what_is_not_an_answer_is_not_taken_for_one() {
        let usable = [Position(1)];
        let values = [
            Value::Nil,
            Value::Okay,
            Value::Array(vec![]),
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![text("2")]),
            Value::Array(vec![text("one")]),
        ];
        for value in values {
            assert_eq!(answer(&value, &usable), None, "{value:?}");
        }
    }
}
