//! Keys that rest, keys that come back, and keys that nothing is held against.

use std::collections::HashMap;
use std::time::Duration;

use claviger_mock_provider::Behaviour;
use claviger_testkit::Answer;
use hyper::Method;
use serde_json::json;

use crate::fixture::Fixture;

const MODELS: &str = "/gateway/openai/v1/models";

async fn ask(fixture: &Fixture) -> Answer {
    fixture.client().send(Method::GET, MODELS, &json!(null)).await
}

async fn keys(fixture: &Fixture, provider: &str, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(fixture.key(provider).await);
    }
    keys
}

fn uses(fixture: &Fixture, provider: &str, keys: &[String]) -> Vec<u64> {
    let counts = fixture.mock.counts();
    keys.iter().map(|key| counts.of(provider, key)).collect()
}

/// Makes requests that must succeed, and tells how often each key was used for them.
async fn spread(fixture: &Fixture, keys: &[String], requests: usize) -> Vec<u64> {
    let before = uses(fixture, "openai", keys);
    for _ in 0..requests {
        let answer = ask(fixture).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    }
    uses(fixture, "openai", keys).iter().zip(before).map(|(after, before)| after - before).collect()
}

fn advance(fixture: &Fixture, seconds: u64) {
    fixture.test.clock.advance(Duration::from_secs(seconds));
}

#[tokio::test]
async fn a_limited_key_rests_as_long_as_told_and_one_request_tries_it_then() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 3).await;
    fixture.mock.set_behaviour("openai", &keys[0], Behaviour::status(429).with_header("retry-after", "30")).unwrap();
    assert_eq!(spread(&fixture, &keys, 6).await, [1, 3, 3]);
    advance(&fixture, 29);
    assert_eq!(spread(&fixture, &keys, 6).await, [0, 3, 3]);
    advance(&fixture, 1);
    assert_eq!(spread(&fixture, &keys, 6).await, [1, 3, 3], "it is still limited");
    advance(&fixture, 30);
    fixture.mock.clear_behaviours();
    assert_eq!(spread(&fixture, &keys, 6).await, [2, 2, 2], "it is back");
    fixture.close().await;
}

#[tokio::test]
async fn a_sick_key_gets_one_request_a_rest_and_the_others_share_the_rest_evenly() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 4).await;
    fixture.mock.set_behaviour("openai", &keys[2], Behaviour::status(429)).unwrap();
    for _ in 0..500 {
        assert_eq!(ask(&fixture).await.status.as_u16(), 200);
        fixture.test.clock.advance(Duration::from_millis(10));
    }
    let used = uses(&fixture, "openai", &keys);
    // Five seconds, with rests of one and two and four.
    assert_eq!(used[2], 3);
    let others = [used[0], used[1], used[3]];
    assert!(others.iter().max().unwrap() - others.iter().min().unwrap() <= 1, "{used:?}");
    assert_eq!(others.iter().sum::<u64>(), 500);
    fixture.close().await;
}

#[tokio::test]
async fn no_error_of_a_caller_rests_a_key() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 2).await;
    for status in [400, 403, 404, 413, 422] {
        fixture.mock.set_behaviour("openai", "*", Behaviour::status(status)).unwrap();
        for _ in 0..300 {
            let answer = ask(&fixture).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-claviger-attempts")), (status, "1"));
            fixture.test.clock.advance(Duration::from_millis(1));
        }
    }
    fixture.mock.clear_behaviours();
    assert_eq!(spread(&fixture, &keys, 10).await, [5, 5]);
    fixture.close().await;
}

#[tokio::test]
async fn one_refusal_is_forgiven_and_a_second_one_rejects_the_key_until_it_is_healed() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 2).await;
    fixture.mock.set_behaviour("openai", &keys[0], Behaviour::status(401).times(1)).unwrap();
    assert_eq!(spread(&fixture, &keys, 1).await, [1, 1], "the hiccup goes to the other key");
    advance(&fixture, 1);
    assert_eq!(spread(&fixture, &keys, 4).await, [2, 2], "and is forgotten");
    advance(&fixture, 1);
    fixture.mock.set_behaviour("openai", &keys[0], Behaviour::status(401)).unwrap();
    for expected in [[2, 2], [1, 2], [0, 2]] {
        assert_eq!(spread(&fixture, &keys, 2).await, expected);
        advance(&fixture, 1);
    }
    fixture.mock.clear_behaviours();
    advance(&fixture, 60);
    assert_eq!(spread(&fixture, &keys, 4).await, [2, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn keys_that_were_all_rejected_come_back_by_themselves() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 3).await;
    fixture.mock.set_behaviour("openai", "*", Behaviour::status(401)).unwrap();
    assert_eq!(ask(&fixture).await.status.as_u16(), 401);
    advance(&fixture, 1);
    assert_eq!(ask(&fixture).await.status.as_u16(), 401);
    let cooling = ask(&fixture).await;
    assert_eq!((cooling.status.as_u16(), cooling.code(), cooling.header("retry-after")), (429, "pool_cooling", "60"));
    fixture.mock.clear_behaviours();
    advance(&fixture, 60);
    assert_eq!(spread(&fixture, &keys, 6).await, [2, 2, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn an_empty_account_rests_its_key_for_minutes_though_it_is_told_as_a_limit_of_seconds() {
    let quota = json!({"error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 2).await;
    let behaviour = Behaviour::status(429).with_header("retry-after", "1").with_body(quota);
    fixture.mock.set_behaviour("openai", &keys[0], behaviour).unwrap();
    assert_eq!(spread(&fixture, &keys, 2).await, [1, 2]);
    advance(&fixture, 299);
    assert_eq!(spread(&fixture, &keys, 2).await, [0, 2]);
    advance(&fixture, 1);
    assert_eq!(spread(&fixture, &keys, 2).await, [1, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn a_key_with_nothing_left_rests_before_it_is_refused() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 2).await;
    let behaviour = Behaviour::default()
        .with_header("x-ratelimit-remaining-requests", "0")
        .with_header("x-ratelimit-reset-requests", "20s")
        .times(1);
    fixture.mock.set_behaviour("openai", &keys[0], behaviour).unwrap();
    assert_eq!(spread(&fixture, &keys, 5).await, [1, 4]);
    advance(&fixture, 20);
    assert_eq!(spread(&fixture, &keys, 4).await, [2, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn a_limited_account_is_left_for_another_one() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 3).await;
    for (key, account) in keys.iter().zip(["org-one", "org-one", "org-two"]) {
        let named = Behaviour::default().with_header("openai-organization", account);
        fixture.mock.set_behaviour("openai", key, named).unwrap();
    }
    assert_eq!(spread(&fixture, &keys, 3).await, [1, 1, 1]);
    fixture.mock.set_behaviour("openai", &keys[0], Behaviour::status(429)).unwrap();
    assert_eq!(ask(&fixture).await.header("x-claviger-attempts"), "2");
    assert_eq!(uses(&fixture, "openai", &keys), [2, 1, 2], "not the other key of the same account");
    fixture.close().await;
}

#[tokio::test]
async fn a_limit_of_one_model_rests_the_key_for_that_model_alone() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "google", 2).await;
    let of_model = |model: &str| format!("/gateway/google/v1beta/models/{model}:generateContent");
    let body = json!({"contents": [{"parts": [{"text": "hello"}]}]});
    let client = fixture.client();
    fixture.mock.set_behaviour("google", &keys[0], Behaviour::status(429).times(1)).unwrap();
    let answer = client.send(Method::POST, &of_model("large"), &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-claviger-attempts")), (200, "2"));
    let mut used = HashMap::new();
    for model in ["large", "small"] {
        fixture.mock.reset();
        for _ in 0..4 {
            assert_eq!(client.send(Method::POST, &of_model(model), &body).await.status.as_u16(), 200);
        }
        used.insert(model, uses(&fixture, "google", &keys));
    }
    assert_eq!(used["large"], [0, 4]);
    assert_eq!(used["small"], [2, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn a_replaced_secret_starts_healthy() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "openai", 2).await;
    fixture.mock.set_behaviour("openai", &keys[0], Behaviour::status(402)).unwrap();
    assert_eq!(spread(&fixture, &keys, 3).await, [1, 3]);
    advance(&fixture, 1);
    let new = fixture.replace_first_key("openai").await;
    assert_eq!(spread(&fixture, &[new, keys[1].clone()], 4).await, [2, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn a_failure_in_the_body_of_a_good_answer_goes_to_the_next_key_and_rests_its_own() {
    let rows = [
        ("neverbounce", json!({"status": "throttle_triggered", "message": "slow down"}), "rate_limited"),
        ("google_cloud", json!({"status": "OVER_QUERY_LIMIT", "results": []}), "rate_limited"),
        ("millionverifier", json!({"error": "Insufficient credits"}), "no_credit"),
        ("zerobounce", json!({"error": "Your account ran out of credits"}), "no_credit"),
        ("wiza", json!({"data": {"status": "failed", "fail_error": "billing_issue"}}), "no_credit"),
    ];
    let fixture = Fixture::new().await;
    for (provider, body, class) in rows {
        let keys = keys(&fixture, provider, 2).await;
        fixture.mock.set_behaviour(provider, &keys[0], Behaviour::default().with_body(body)).unwrap();
        for attempts in ["2", "1", "1"] {
            let answer = fixture.client().send(Method::GET, &format!("/gateway/{provider}/x"), &json!(null)).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-claviger-attempts")), (200, attempts), "{provider}");
            assert_eq!(answer.json["provider"], provider);
        }
        assert_eq!(uses(&fixture, provider, &keys), [1, 3], "{provider}");
        assert_eq!(fixture.ends(provider), [("ok", 3), (class, 1)], "{provider}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_refusal_in_the_body_of_a_good_answer_rejects_the_key() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, "neverbounce", 2).await;
    let refusal = json!({"status": "auth_failure", "message": "no"});
    fixture.mock.set_behaviour("neverbounce", &keys[0], Behaviour::default().with_body(refusal)).unwrap();
    for _ in 0..4 {
        let answer = fixture.client().send(Method::GET, "/gateway/neverbounce/x", &json!(null)).await;
        assert_eq!(answer.json["provider"], "neverbounce");
        advance(&fixture, 1);
    }
    assert_eq!(uses(&fixture, "neverbounce", &keys), [2, 4]);
    fixture.close().await;
}

#[tokio::test]
async fn a_good_answer_of_a_provider_that_tells_failures_so_passes_whole() {
    let fixture = Fixture::new().await;
    keys(&fixture, "neverbounce", 2).await;
    let small = json!({"status": "success", "result": "valid"}).to_string();
    let large = json!({"status": "success", "result": "x".repeat(3 * 1024 * 1024)}).to_string();
    let plain = Behaviour::default();
    let png = Behaviour::default().with_header("content-type", "image/png");
    let rows = [
        (plain.clone(), small.clone()),
        (plain.clone(), large),
        (plain, String::new()),
        (png, json!({"status": "throttle_triggered"}).to_string()),
    ];
    for (behaviour, body) in rows {
        fixture.mock.set_behaviour("neverbounce", "*", behaviour.with_body(body.as_str())).unwrap();
        let answer = fixture.client().send(Method::GET, "/gateway/neverbounce/x", &json!(null)).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-claviger-attempts")), (200, "1"));
        assert!(answer.bytes == body.as_bytes(), "{} bytes of {}", answer.bytes.len(), body.len());
    }
    assert_eq!(fixture.ends("neverbounce"), [("ok", 4)]);
    // And none ends as if it were whole.
    let cut = Behaviour { cut_after_bytes: Some(10), ..Behaviour::default() }.with_body(small);
    fixture.mock.set_behaviour("neverbounce", "*", cut).unwrap();
    assert!(fixture.client().try_send(Method::GET, "/gateway/neverbounce/x", &json!(null)).await.is_err());
    fixture.close().await;
}
