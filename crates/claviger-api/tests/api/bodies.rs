//! Bodies that are not taken.

use axum::body::{Body, Bytes};
use claviger_testkit::random_secret;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, Answer, World, with_token};

/// Sends a body as it is.
async fn put(world: &World, token: &str, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = with_token("POST", ACME_KEYS, token);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    world.send(request.body(body.into()).unwrap()).await
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let world = World::new().await;
    let good = || json!({"providerId": "openai", "apiKey": random_secret()}).to_string();
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")]
    {
        let answer = put(&world, &world.root, content_type, good()).await;
        answer.assert_refused(415, "unsupported_media_type", None);
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(put(&world, &world.root, Some(content_type), good()).await.status, StatusCode::OK);
    }
    for text in ["", "{", "{\"providerId\": \"openai\",}", "{} {}", "nonsense", "{\"a\": \"\n\"}", "[", "\u{feff}{}"] {
        put(&world, &world.root, JSON, text.to_owned()).await.assert_refused(400, "invalid_json", None);
    }
    put(&world, &world.root, JSON, vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await.assert_refused(
        400,
        "invalid_json",
        None,
    );
}

#[tokio::test]
async fn a_body_must_be_an_object_with_each_field_once() {
    let world = World::new().await;
    let secret = random_secret();
    for text in ["null", "1", "\"text\"", "[]", &format!("[\"openai\", \"{secret}\", null, null]")] {
        put(&world, &world.root, JSON, text.to_owned()).await.assert_refused(400, "invalid_input", None);
    }
    let twice = format!("{{\"providerId\": \"openai\", \"apiKey\": \"{secret}\", \"apiKey\": \"{secret}\"}}");
    put(&world, &world.root, JSON, twice).await.assert_refused(400, "invalid_input", Some("apiKey"));
    assert_eq!(world.keys().await, [Value::Null; 0]);
}

#[tokio::test]
async fn every_operation_with_a_body_refuses_unknown_fields() {
    let world = World::new().await;
    let (revealing, _) = world.token("service", None, json!({"reveal": true})).await;
    let key = format!("{ACME_KEYS}/{}", world.key("openai").await["id"].as_str().unwrap());
    let (resolve, outcome) = (format!("{ACME_KEYS}/resolve"), format!("{key}/outcome"));
    for (method, path, mut body) in [
        ("POST", resolve.as_str(), json!({"providerId": "openai"})),
        ("POST", &outcome, json!({"status": 200})),
        ("POST", ACME_KEYS, json!({"providerId": "openai", "apiKey": random_secret()})),
        ("PATCH", &key, json!({"enabled": false})),
        ("DELETE", ACME_KEYS, json!({"providerId": "openai"})),
        ("PUT", "/api/workspaces/acme", json!({"name": "Acme"})),
        ("PUT", "/api/organizations/group", json!({"name": "Group"})),
        ("POST", "/api/tokens", json!({"name": "a", "role": "member", "workspaceId": "acme"})),
    ] {
        body["surprise"] = json!(true);
        let token = if [&resolve, &outcome].iter().any(|one| *one == path) { &revealing } else { &world.root };
        let answer = world.ask(token, method, path, body).await;
        answer.assert_refused(400, "unknown_field", Some("surprise"));
    }
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_refused_however_it_comes() {
    let world = World::new().await;
    let padded = |length: usize| {
        let mut text = json!({"providerId": "openai", "apiKey": random_secret()}).to_string();
        text.extend(std::iter::repeat_n(' ', length - text.len()));
        text
    };
    put(&world, &world.root, JSON, padded(70 * 1024)).await.assert_refused(413, "body_too_large", None);
    put(&world, &world.root, JSON, padded(64 * 1024 + 1)).await.assert_refused(413, "body_too_large", None);
    assert_eq!(put(&world, &world.root, JSON, padded(64 * 1024)).await.status, StatusCode::OK);
    // Without an end and without a length, so that only a bounded reader comes back.
    let endless =
        Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1_000]))));
    put(&world, &world.root, JSON, endless).await.assert_refused(413, "body_too_large", None);
    let announced = with_token("POST", ACME_KEYS, &world.root).header("content-type", "application/json");
    let announced = announced.header("content-length", "70000").body(Body::from("{}")).unwrap();
    world.send(announced).await.assert_refused(413, "body_too_large", None);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let world = World::new().await;
    let pieces = [Ok(Bytes::from_static(b"{\"providerId\":")), Err(std::io::Error::other("gone"))];
    let broken = Body::from_stream(stream::iter(pieces));
    put(&world, &world.root, JSON, broken).await.assert_refused(400, "body_incomplete", None);
}

#[tokio::test]
async fn the_token_is_looked_at_before_the_body() {
    let world = World::new().await;
    let (member, _) = world.token("member", Some("acme"), json!({})).await;
    for (content_type, body) in [(JSON, "{".to_owned()), (None, "{}".to_owned()), (JSON, " ".repeat(70 * 1024))] {
        put(&world, "nonsense", content_type, body.clone()).await.assert_refused(401, "token_invalid", None);
        put(&world, &member, content_type, body).await.assert_refused(403, "forbidden", None);
    }
    // And the body before what it names.
    let nowhere = "/api/workspaces/nowhere/byok-keys";
    let empty = world.ask(&world.root, "POST", nowhere, json!({"providerId": "openai", "apiKey": ""})).await;
    empty.assert_refused(400, "invalid_input", Some("apiKey"));
}
