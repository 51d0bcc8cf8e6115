//! How keys fare: tested, verified, listed and explained.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::keyring::{ProbeAnswer, Prober, Unreachable};
use claviger_core::catalogue::Probe;
use claviger_core::health::Headers;
use claviger_core::{KeySecret, Provider};
use claviger_testkit::{TestSettings, answered, random_secret};
use http::StatusCode;
use serde_json::{Value, json};

use crate::log::Log;
use crate::world::{ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS, World};

/// Answers probes by the secret they come with; the provider cannot be reached for all others.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<HashMap<String, (u16, &'static str)>>,
    /// What the answers name as the key's account, if anything.
    account: Mutex<Option<(&'static str, &'static str)>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Prober for Script {
    async fn probe(&self, _: &Provider, _: &Probe, secret: &KeySecret) -> Result<ProbeAnswer, Unreachable> {
        *self.asked.lock().unwrap() += 1;
        let secret = str::from_utf8(secret.expose_to_provider()).unwrap();
        let (status, body) = self.answers.lock().unwrap().get(secret).copied().ok_or(Unreachable)?;
        let account = *self.account.lock().unwrap();
        let headers = account.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(ProbeAnswer { status, headers, body: body.as_bytes().to_vec() })
    }
}

impl Script {
    fn answer(&self, secret: &str, (status, body): (u16, &'static str)) {
        self.answers.lock().unwrap().insert(secret.to_owned(), (status, body));
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

const GOOD: (u16, &str) = (200, r#"{"data":[]}"#);
const REFUSED: (u16, &str) = (401, r#"{"error":{"code":"invalid_api_key"}}"#);
const BROKE: (u16, &str) = (429, r#"{"error":{"code":"insufficient_quota"}}"#);
const DOWN: (u16, &str) = (503, "");
const ELSEWHERE: (u16, &str) = (404, "");

/// What a provider answers, and what is told of it.
const RESULTS: [((u16, &str), &str, &str); 5] = [
    (GOOD, "valid", "The provider takes the key"),
    (REFUSED, "invalid", "The provider refused the key (HTTP 401)"),
    (BROKE, "no_credit", "The account has no credit left (HTTP 429)"),
    (DOWN, "unreachable", "The provider could not answer (HTTP 503)"),
    (ELSEWHERE, "not_testable", "The provider answered 404, which says nothing about the key"),
];

async fn world() -> (World, Arc<Script>) {
    let script = Arc::new(Script::default());
    let prober: Arc<dyn Prober> = Arc::clone(&script) as _;
    let world = World::with(TestSettings { prober: Some(prober), ..TestSettings::default() }).await;
    (world, script)
}

/// Adds a key with a known secret.
async fn add(world: &World, keys: &str) -> (String, String) {
    let secret = random_secret();
    let added = world.done("POST", keys, json!({"providerId": "openai", "apiKey": secret})).await;
    (added["key"]["id"].as_str().unwrap().to_owned(), secret)
}

async fn test(world: &World, keys: &str, id: &str) -> Value {
    world.done("POST", &format!("{keys}/{id}/test"), Value::Null).await
}

/// Tells how a key of `acme` fared.
async fn tell(world: &World, token: &str, id: &str, outcome: Value) {
    let answer = world.ask(token, "POST", &format!("{ACME_KEYS}/{id}/outcome"), outcome).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

async fn reveal(world: &World) -> String {
    world.token("runtime", Some("acme"), json!({"reveal": true})).await.0
}

#[track_caller]
fn assert_stands(key: &Value, status: &str, reason: Option<&str>, available_at: Option<&str>) {
    assert_eq!(key["status"], status, "{key}");
    assert_eq!(key.get("statusReason"), reason.map(Value::from).as_ref(), "{key}");
    assert_eq!(key.get("availableAt"), available_at.map(Value::from).as_ref(), "{key}");
}

#[tokio::test]
async fn a_test_tells_what_the_provider_says() {
    let (world, script) = world().await;
    for keys in [ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS] {
        let (id, secret) = add(&world, keys).await;
        let unreachable = json!({"result": "unreachable", "reason": "The provider could not be reached"});
        assert_eq!(test(&world, keys, &id).await, unreachable, "{keys}");
        for (answer, result, reason) in RESULTS {
            script.answer(&secret, answer);
            assert_eq!(test(&world, keys, &id).await, json!({"result": result, "reason": reason}), "{keys}");
        }
    }
}

#[tokio::test]
async fn without_a_way_to_providers_nothing_can_be_tested() {
    let world = World::new().await;
    let id = world.key("openai").await["id"].as_str().unwrap().to_owned();
    assert_eq!(test(&world, ACME_KEYS, &id).await["result"], "not_testable");
    let body = json!({"providerId": "openai", "apiKey": random_secret(), "verify": true});
    assert_eq!(world.done("POST", ACME_KEYS, body).await["verification"]["result"], "not_testable");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_tested() {
    let (world, script) = world().await;
    let (id, _) = add(&world, ACME_KEYS).await;
    let ask = async |path: String| world.ask(&world.root, "POST", &path, Value::Null).await;
    for id in ["key_01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"] {
        ask(format!("{ACME_KEYS}/{id}/test")).await.assert_refused(404, "unknown_key", None);
    }
    ask(format!("{GROUP_KEYS}/{id}/test")).await.assert_refused(404, "unknown_key", None);
    let nowhere = ask(format!("/api/workspaces/nowhere/byok-keys/{id}/test")).await;
    nowhere.assert_refused(404, "unknown_workspace", None);
    let nowhere = ask(format!("/api/organizations/nowhere/byok-keys/{id}/test")).await;
    nowhere.assert_refused(404, "unknown_organization", None);
    assert_eq!(script.asked(), 0);
}

#[tokio::test]
async fn a_keys_health_follows_its_test() {
    let (world, script) = world().await;
    let (id, secret) = add(&world, ACME_KEYS).await;
    script.answer(&secret, REFUSED);
    test(&world, ACME_KEYS, &id).await;
    let (reason, minute) = (Some("The provider refused the key (HTTP 401)"), Some("2026-01-01T00:01:00.000Z"));
    assert_stands(&world.keys().await[0], "rejected", reason, minute);
    // Whoever renames it is told the same.
    let renamed = world.done("PATCH", &format!("{ACME_KEYS}/{id}"), json!({"name": "a"})).await;
    assert_stands(&renamed["key"], "rejected", reason, minute);
    // So is another process, which has it from the database.
    let other = World::beside(&world).await;
    assert_stands(&other.keys().await[0], "rejected", reason, minute);

    world.test.clock.advance(Duration::from_secs(1));
    script.answer(&secret, GOOD);
    test(&world, ACME_KEYS, &id).await;
    assert_stands(&world.keys().await[0], "active", None, None);
    world.test.clock.advance(Duration::from_secs(1));
    script.answer(&secret, BROKE);
    test(&world, ACME_KEYS, &id).await;
    let reason = Some("The account has no credit left (HTTP 429)");
    assert_stands(&world.keys().await[0], "exhausted", reason, Some("2026-01-01T00:05:02.000Z"));
    // A new secret starts anew.
    let body = json!({"providerId": "openai", "keyId": id, "apiKey": random_secret()});
    world.done("POST", ACME_KEYS, body).await;
    assert_stands(&world.keys().await[0], "active", None, None);
}

#[tokio::test]
async fn a_key_that_its_provider_refuses_is_not_stored() {
    let (world, script) = world().await;
    for keys in [ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS] {
        let (id, _) = add(&world, keys).await;
        let before = world.keys_at(keys).await;
        let secret = random_secret();
        script.answer(&secret, REFUSED);
        let log = Log::begin();
        for mut body in [json!({}), json!({"keyId": id, "name": "other"})] {
            let rest = json!({"providerId": "openai", "apiKey": secret, "verify": true});
            body.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
            let answer = world.ask(&world.root, "POST", keys, body).await;
            answer.assert_refused(400, "key_rejected_by_provider", Some("apiKey"));
            assert_eq!(answer.json()["error"], "The provider refused the key (HTTP 401)");
            assert_eq!(world.keys_at(keys).await, before, "{keys}");
        }
        assert!(!log.end().contains(&secret));
    }
}

#[tokio::test]
async fn any_other_key_is_stored_and_told_of() {
    let (world, script) = world().await;
    for (answer, result, reason) in RESULTS.into_iter().filter(|(_, result, _)| *result != "invalid") {
        let secret = random_secret();
        script.answer(&secret, answer);
        let body = json!({"providerId": "openai", "apiKey": secret, "verify": true});
        let added = world.done("POST", ACME_KEYS, body).await;
        assert_eq!(added["verification"], json!({"result": result, "reason": reason}));
        let (id, secret) = (&added["key"]["id"], random_secret());
        script.answer(&secret, answer);
        let body = json!({"providerId": "openai", "apiKey": secret, "keyId": id, "verify": true});
        let replaced = world.done("POST", ACME_KEYS, body).await;
        assert_eq!((&replaced["verification"]["result"], &replaced["key"]["id"]), (&json!(result), id));
    }
    assert_eq!((world.keys().await.len(), script.asked()), (4, 8));
    // Who does not ask for it has no answer to it.
    for body in [json!({}), json!({"verify": false})] {
        let mut all = json!({"providerId": "exa", "apiKey": random_secret()});
        all.as_object_mut().unwrap().extend(body.as_object().cloned().unwrap());
        let answer = world.done("POST", ACME_KEYS, all).await;
        let names: BTreeSet<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(Vec::from_iter(names), ["key", "success"]);
    }
    assert_eq!(script.asked(), 8);
    let body = json!({"providerId": "openai", "apiKey": random_secret(), "verify": "yes"});
    world.ask(&world.root, "POST", ACME_KEYS, body).await.assert_refused(400, "invalid_input", Some("verify"));
}

#[tokio::test]
async fn what_is_refused_without_the_provider_is_not_verified() {
    let (world, script) = world().await;
    let (id, secret) = add(&world, ACME_KEYS).await;
    let unknown = json!("key_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    for (body, status, code) in [
        (json!({"providerId": "openai", "apiKey": secret}), 409, "duplicate_key"),
        (json!({"providerId": "openai", "apiKey": random_secret(), "keyId": unknown}), 404, "unknown_key"),
        (json!({"providerId": "exa", "apiKey": random_secret(), "keyId": id}), 404, "unknown_key"),
    ] {
        let mut body = body;
        body["verify"] = json!(true);
        world.ask(&world.root, "POST", ACME_KEYS, body).await.assert_refused(status, code, None);
    }
    for _ in 0..9 {
        add(&world, ACME_KEYS).await;
    }
    let body = json!({"providerId": "openai", "apiKey": random_secret(), "verify": true});
    world.ask(&world.root, "POST", ACME_KEYS, body).await.assert_refused(400, "key_limit_reached", None);
    assert_eq!(script.asked(), 0);
}

#[tokio::test]
async fn what_is_told_of_a_key_rests_it() {
    let world = World::new().await;
    let token = reveal(&world).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(add(&world, ACME_KEYS).await.0);
    }
    let refused = json!({"status": 401});
    tell(&world, &token, &ids[0], refused.clone()).await;
    assert_stands(&world.keys().await[0], "active", None, None);
    world.test.clock.advance(Duration::from_secs(1));
    tell(&world, &token, &ids[0], refused).await;
    tell(&world, &token, &ids[1], json!({"status": 429, "retryAfter": "30"})).await;
    tell(&world, &token, &ids[2], json!({"status": 429, "retryAfter": 1.5})).await;
    let broke = json!({"error": {"code": "insufficient_quota"}});
    tell(&world, &token, &ids[3], json!({"status": 429, "body": broke})).await;
    tell(&world, &token, &ids[4], json!({"status": 429, "body": broke.to_string()})).await;
    let keys = world.keys().await;
    let (refused, limited) = ("The provider refused the key (HTTP 401)", "The provider answered 429: rate limited");
    assert_stands(&keys[0], "rejected", Some(refused), Some("2026-01-01T00:01:01.000Z"));
    assert_stands(&keys[1], "cooling", Some(limited), Some("2026-01-01T00:00:31.000Z"));
    assert_stands(&keys[2], "cooling", Some(limited), Some("2026-01-01T00:00:02.500Z"));
    let broke = "The account has no credit left (HTTP 429)";
    for key in &keys[3..] {
        assert_stands(key, "exhausted", Some(broke), Some("2026-01-01T00:05:01.000Z"));
    }
    // Callers' mistakes do nothing, and neither do providers' troubles.
    let mild = add(&world, ACME_KEYS).await.0;
    for status in [400, 403, 404, 413, 422, 500, 503, 529] {
        tell(&world, &token, &mild, json!({"status": status})).await;
        tell(&world, &token, &mild, json!({"status": status})).await;
    }
    assert_stands(&world.keys().await[5], "active", None, None);
    // A new secret starts anew.
    let body = json!({"providerId": "openai", "keyId": ids[2], "apiKey": random_secret()});
    world.done("POST", ACME_KEYS, body).await;
    assert_stands(&world.keys().await[2], "active", None, None);
    world.test.clock.advance(Duration::from_mins(1));
    assert_stands(&world.keys().await[1], "active", None, None);
}

#[tokio::test]
async fn where_every_key_rests_none_is_handed_out_until_one_is_back() {
    let world = World::new().await;
    let token = reveal(&world).await;
    let (one, other) = (add(&world, ACME_KEYS).await.0, add(&world, ACME_KEYS).await.0);
    let body = json!({"providerId": "openai"});
    let resolve = || world.ask(&token, "POST", "/api/workspaces/acme/byok-keys/resolve", body.clone());
    tell(&world, &token, &one, json!({"status": 429, "retryAfter": "30"})).await;
    assert_eq!(resolve().await.json()["keyId"], other.as_str());
    tell(&world, &token, &other, json!({"status": 429, "retryAfter": 1.2})).await;
    for (wait, seconds) in [(0, "2"), (300, "1"), (899, "1")] {
        world.test.clock.advance(Duration::from_millis(wait));
        let answer = resolve().await;
        answer.assert_refused(429, "pool_cooling", None);
        assert_eq!(answer.headers["retry-after"], seconds);
        let sentence = format!("all of this workspace's openai keys rest; the first one is back in {seconds} s");
        assert_eq!(answer.json()["error"], sentence);
    }
    world.test.clock.advance(Duration::from_millis(1));
    assert_eq!(resolve().await.json()["keyId"], other.as_str());
}

#[tokio::test]
async fn it_is_explained_which_key_serves_and_nothing_moves() {
    let world = World::new().await;
    let token = reveal(&world).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(add(&world, ACME_KEYS).await.0);
    }
    world.done("PATCH", &format!("{ACME_KEYS}/{}", ids[1]), json!({"enabled": false})).await;
    let resolve = async || {
        let body = json!({"providerId": "openai"});
        world.ask(&token, "POST", &format!("{ACME_KEYS}/resolve"), body).await.json()["keyId"].clone()
    };
    let explain = || world.done("GET", "/api/workspaces/acme/byok-keys/explain?providerId=openai", Value::Null);
    let free = |id: &str| json!({"keyId": id, "available": true, "reason": null, "availableAt": null});
    let off = json!({
        "keyId": ids[1], "available": false, "reason": "The key is switched off", "availableAt": null
    });
    let all = [free(&ids[0]), off.clone(), free(&ids[2]), free(&ids[3])];
    for turn in [0, 2, 3, 0] {
        for _ in 0..3 {
            let expected = json!({"scope": "workspace", "serving": ids[turn], "keys": all});
            assert_eq!(explain().await, expected);
        }
        assert_eq!(resolve().await, ids[turn].as_str());
    }
    tell(&world, &token, &ids[2], json!({"status": 429, "retryAfter": "30"})).await;
    let rests = json!({
        "keyId": ids[2], "available": false, "reason": "The provider answered 429: rate limited",
        "availableAt": "2026-01-01T00:00:30.000Z"
    });
    let expected = json!({"scope": "workspace", "serving": ids[3], "keys": [free(&ids[0]), off, rests, free(&ids[3])]});
    assert_eq!(explain().await, expected);
    world.test.clock.advance(Duration::from_secs(1));
    for id in &ids {
        tell(&world, &token, id, json!({"status": 429, "retryAfter": "60"})).await;
    }
    let explained = explain().await;
    assert_eq!(explained["serving"], Value::Null);
    assert_eq!(explained["keys"][2]["availableAt"], "2026-01-01T00:01:01.000Z");
}

#[tokio::test]
async fn the_pool_that_serves_is_the_one_that_is_explained() {
    let world = World::new().await;
    let path = |rest: &str| format!("/api/workspaces/acme/byok-keys/explain{rest}");
    let ask = async |path: String| world.ask(&world.root, "GET", &path, Value::Null).await;
    ask(path("?providerId=openai")).await.assert_refused(404, "no_key", None);
    let (id, _) = add(&world, GROUP_KEYS).await;
    ask(path("?providerId=openai")).await.assert_refused(404, "no_key", None);
    world.join_group().await;
    let explained = ask(path("?providerId=openai")).await.json();
    assert_eq!((&explained["scope"], &explained["serving"]), (&json!("organization"), &json!(id)));
    for (rest, code) in [
        ("", "invalid_input"),
        ("?providerId=", "invalid_input"),
        ("?providerId=openai&providerId=openai", "invalid_input"),
        ("?providerId=nonsense", "unknown_provider"),
    ] {
        ask(path(rest)).await.assert_refused(400, code, Some("providerId"));
    }
    let nowhere = path("?providerId=openai").replace("acme", "nowhere");
    ask(nowhere).await.assert_refused(404, "unknown_workspace", None);
    // Where there are keys, and all are off, that is what is to be explained.
    let (own, _) = add(&world, ACME_KEYS).await;
    world.done("PATCH", &format!("{ACME_KEYS}/{own}"), json!({"enabled": false})).await;
    let explained = ask(path("?providerId=openai")).await.json();
    assert_eq!((&explained["scope"], &explained["serving"]), (&json!("workspace"), &Value::Null));
}

/// An answer that names an account.
struct Account(&'static str);

impl Headers for Account {
    fn get(&self, name: &str) -> Option<&str> {
        (name == "anthropic-organization-id").then_some(self.0)
    }
}

#[tokio::test]
async fn keys_of_one_account_are_listed_with_a_warning() {
    let world = World::new().await;
    let (acme, anthropic) = ("acme".parse().unwrap(), "anthropic".parse().unwrap());
    let mut ids = Vec::new();
    for account in ["one", "other", "one", "", "one"] {
        ids.push(world.key("anthropic").await["id"].clone());
        // Its turn is the next one: whatever came before has had one.
        let (_secret, lease) = world.test.app.keyring.lease(&acme, &anthropic).await.unwrap();
        assert_eq!(json!(lease.key_id()), *ids.last().unwrap());
        lease.learn_domain(&Account(account));
        lease.end(answered(200));
    }
    world.key("openai").await;
    let keys = world.keys().await;
    let domains: Vec<_> = keys.iter().map(|key| key["domain"].as_str()).collect();
    assert_eq!(domains, [Some("one"), Some("other"), Some("one"), None, Some("one"), None]);
    let warning = json!({
        "code": "shared_limit", "message": "These 3 keys share one limit.", "keyIds": [ids[0], ids[2], ids[4]]
    });
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(key.get("warning"), [0, 2, 4].contains(&at).then_some(&warning), "{key}");
    }
    // Whoever changes a key is told, too.
    for at in [0, 1] {
        let change = format!("{ACME_KEYS}/{}", ids[at].as_str().unwrap());
        let changed = world.done("PATCH", &change, json!({"enabled": at == 1})).await;
        assert_eq!(changed["key"].get("warning"), (at == 0).then_some(&warning));
    }
    // Another process has it from the database.
    world.test.app.keyring.write_uses().await.unwrap();
    assert_eq!(World::beside(&world).await.keys().await[0]["warning"], warning);
}

#[tokio::test]
async fn a_key_is_stored_with_the_account_that_its_verification_named() {
    let (world, script) = world().await;
    let put = async |account: Option<&'static str>, id: Option<&Value>| {
        let secret = random_secret();
        script.answer(&secret, GOOD);
        *script.account.lock().unwrap() = account.map(|account| ("openai-organization", account));
        let mut body = json!({"providerId": "openai", "apiKey": secret, "verify": true});
        if let Some(id) = id {
            body["keyId"] = id.clone();
        }
        world.done("POST", ACME_KEYS, body).await["key"].clone()
    };
    let warning = |ids: &[&Value]| {
        let message = format!("These {} keys share one limit.", ids.len());
        json!({"code": "shared_limit", "message": message, "keyIds": ids})
    };
    let [one, other, unnamed] = [put(Some("one"), None).await, put(Some("other"), None).await, put(None, None).await];
    for first in [&one, &other, &unnamed] {
        assert_eq!(first.get("warning"), None);
    }
    let twin = put(Some("one"), None).await;
    assert_eq!(twin["warning"], warning(&[&one["id"], &twin["id"]]));
    assert_eq!(world.keys().await[0]["warning"], twin["warning"]);
    let replaced = put(Some("one"), Some(&other["id"])).await;
    assert_eq!(replaced["warning"], warning(&[&one["id"], &other["id"], &twin["id"]]));
    let moved = put(None, Some(&other["id"])).await;
    assert_eq!(moved.get("warning"), None);
    let domains: Vec<_> = world.keys().await.iter().map(|key| key["domain"].clone()).collect();
    assert_eq!(domains, [json!("one"), Value::Null, Value::Null, json!("one")]);
}

#[tokio::test]
async fn requests_are_counted_by_their_ends_and_by_the_hour() {
    let world = World::new().await;
    let (id, _) = add(&world, ACME_KEYS).await;
    let (acme, openai) = ("acme".parse().unwrap(), "openai".parse().unwrap());
    let relay = async |statuses: &[u16]| {
        for status in statuses {
            let (_secret, lease) = world.test.app.keyring.lease(&acme, &openai).await.unwrap();
            lease.end(answered(*status));
            world.test.clock.advance(Duration::from_secs(10));
        }
        // A lease that is dropped is a request, too.
        drop(world.test.app.keyring.lease(&acme, &openai).await.unwrap());
    };
    relay(&[200, 204, 302, 400, 403, 500, 401]).await;
    let first = json!({
        "requests": 8, "ok": 3, "rateLimited": 0, "rejected": 1, "callerErrors": 2, "providerErrors": 1
    });
    assert_eq!(world.keys().await[0]["counts"], first);
    world.test.app.keyring.write_uses().await.unwrap();
    assert_eq!(world.keys().await[0]["counts"], first);
    for _ in 0..2 {
        world.test.clock.advance(Duration::from_hours(1));
        relay(&[200, 429]).await;
        world.test.app.keyring.write_uses().await.unwrap();
    }
    assert_eq!(world.keys().await[0]["counts"]["requests"], 14);
    assert_eq!(world.keys().await[0]["lastUsedAt"], "2026-01-01T02:01:50.000Z");

    let bucket = |start: &str, counts: &Value| {
        let mut bucket = json!({"start": start, "keyId": id});
        bucket.as_object_mut().unwrap().extend(counts.as_object().cloned().unwrap());
        bucket
    };
    let usage = async |rest: &str| {
        let token = world.token("member", Some("acme"), json!({})).await.0;
        let answer = world.ask(&token, "GET", &format!("/api/workspaces/acme/usage{rest}"), Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["buckets"].clone()
    };
    let later = json!({
        "requests": 3, "ok": 1, "rateLimited": 1, "rejected": 0, "callerErrors": 0, "providerErrors": 0
    });
    let hours = [
        bucket("2026-01-01T00:00:00.000Z", &first),
        bucket("2026-01-01T01:00:00.000Z", &later),
        bucket("2026-01-01T02:00:00.000Z", &later),
    ];
    for rest in ["", "?bucket=hour", "?providerId=openai", "?from=2026-01-01T00:00:00Z&to=2026-01-02T01:00:00%2B01:00"]
    {
        assert_eq!(usage(rest).await, json!(hours), "{rest}");
    }
    assert_eq!(usage("?from=2026-01-01T01:00:00Z&to=2026-01-01T02:00:00Z").await, json!(hours[1..2]));
    assert_eq!(usage("?providerId=anthropic").await, json!([]));
    let sum = json!({
        "requests": 14, "ok": 5, "rateLimited": 2, "rejected": 1, "callerErrors": 2, "providerErrors": 1
    });
    assert_eq!(usage("?bucket=day").await, json!([bucket("2026-01-01T00:00:00.000Z", &sum)]));
}

#[tokio::test]
async fn usage_comes_in_pages_that_are_the_whole_together() {
    let world = World::new().await;
    for _ in 0..3 {
        world.key("openai").await;
    }
    let (acme, openai) = ("acme".parse().unwrap(), "openai".parse().unwrap());
    // Over more days than are read at once, and with gaps.
    for hours in [0, 1, 24, 24 * 9, 24 * 20] {
        world.test.clock.advance(Duration::from_hours(hours));
        for _ in 0..3 {
            let (_secret, lease) = world.test.app.keyring.lease(&acme, &openai).await.unwrap();
            lease.end(answered(200));
        }
        world.test.app.keyring.write_uses().await.unwrap();
    }
    let ask = async |rest: String| {
        let path = format!("/api/workspaces/acme/usage?from=2026-01-01T00:00:00Z&to=2026-02-01T12:00:00Z{rest}");
        world.done("GET", &path, Value::Null).await
    };
    for (bucket, count) in [("hour", 15), ("day", 12)] {
        let whole = ask(format!("&bucket={bucket}")).await;
        let buckets = whole["buckets"].as_array().unwrap();
        assert_eq!((buckets.len(), whole.get("nextCursor")), (count, None));
        for limit in [1, 2, 3, 5, count - 1, count] {
            let (mut all, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = ask(format!("&bucket={bucket}&limit={limit}{cursor}")).await;
                all.extend(page["buckets"].as_array().unwrap().clone());
                let Some(next) = page.get("nextCursor") else { break };
                assert_eq!(page["buckets"].as_array().unwrap().len(), limit);
                cursor = format!("&cursor={}", next.as_str().unwrap());
            }
            assert_eq!(&all, buckets, "{bucket}, {limit} a page");
        }
    }
}

#[tokio::test]
async fn a_question_for_usage_has_its_form() {
    let world = World::new().await;
    let path = |rest: &str| format!("/api/workspaces/acme/usage?{rest}");
    for (rest, code, field) in [
        ("bucket=week", "invalid_input", "bucket"),
        ("bucket=hour&bucket=hour", "invalid_input", "bucket"),
        ("from=yesterday", "invalid_input", "from"),
        ("to=2026-13-01T00:00:00Z", "invalid_input", "to"),
        ("from=2026-01-02T00:00:00Z", "invalid_input", "from"),
        ("from=2026-01-01T00:00:00Z&to=2026-02-05T00:00:00.001Z", "invalid_input", "from"),
        ("limit=0", "invalid_input", "limit"),
        ("limit=10001", "invalid_input", "limit"),
        ("cursor=1", "invalid_input", "cursor"),
        ("cursor=1.nonsense", "invalid_input", "cursor"),
        ("providerId=nonsense", "unknown_provider", "providerId"),
    ] {
        let answer = world.ask(&world.root, "GET", &path(rest), Value::Null).await;
        answer.assert_refused(400, code, Some(field));
    }
    let whole = path("from=2026-01-01T00:00:00Z&to=2026-02-05T00:00:00Z");
    assert_eq!(world.done("GET", &whole, Value::Null).await, json!({"buckets": []}));
    let nowhere = whole.replace("acme", "nowhere");
    world.ask(&world.root, "GET", &nowhere, Value::Null).await.assert_refused(404, "unknown_workspace", None);
}
