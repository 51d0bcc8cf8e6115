//! No answer and no log line holds a secret, however it was sent.

use axum::body::Body;
use claviger_testkit::random_secret;
use http::Request;
use serde_json::{Value, json};

use crate::log::Log;
use crate::world::{ACME_KEYS, Answer, GROUP_KEYS, PLATFORM_KEYS, World, with_token};

/// Everything of an answer that a caller, or whoever is in between, sees.
fn seen(answer: &Answer) -> String {
    format!("{} {:?} {}", answer.status, answer.headers, answer.text)
}

#[tokio::test]
async fn a_secret_in_any_place_of_a_request_comes_out_nowhere() {
    let world = World::new().await;
    let (token, _) = world.token("admin", Some("acme"), json!({})).await;
    let (revealing, _) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    let key = world.key("openai").await["id"].clone();
    let log = Log::begin();

    let secret = random_secret();
    let secrets = [secret.clone(), format!("sk-{secret}"), format!("{secret}\"\\")];
    let mut answers = Vec::new();
    for secret in &secrets {
        for body in [
            json!({"providerId": "openai", "apiKey": secret}),
            json!({"providerId": "openai", "apiKey": secret}),
            json!({"providerId": "openai", "apiKey": secret, "keyId": key}),
            json!({"providerId": "openai", "apiKey": format!("{secret} {secret}")}),
            json!({"providerId": "openai", "apiKey": secret, "verify": secret}),
            json!({"providerId": "openai", "apiKey": [secret]}),
            json!({"providerId": "openai", "apiKey": {"value": secret}}),
            json!({"providerId": secret, "apiKey": secret}),
            json!({"providerId": "openai", "apiKey": secret, "keyId": secret}),
            json!({"providerId": "openai", "apiKey": secret, "extra": secret}),
            json!({"providerId": "openai", "apiKey": secret, secret: true}),
            json!([secret]),
            json!(secret),
        ] {
            answers.push(world.ask(&token, "POST", ACME_KEYS, body.clone()).await);
            answers.push(world.ask(&world.root, "POST", GROUP_KEYS, body.clone()).await);
            answers.push(world.ask(&world.root, "POST", PLATFORM_KEYS, body).await);
        }
        let (resolve, outcome) =
            (format!("{ACME_KEYS}/resolve"), format!("{ACME_KEYS}/{}/outcome", key.as_str().unwrap()));
        for (path, body) in [
            (&resolve, json!({"providerId": secret})),
            (&resolve, json!({"providerId": {"id": secret}})),
            (&resolve, json!({"providerId": "anthropic", secret: secret})),
            (&outcome, json!({"status": secret})),
            (&outcome, json!({"status": 401, "retryAfter": [secret]})),
            (&outcome, json!({"status": 401, "retryAfter": secret, "body": secret})),
            (&outcome, json!({"status": 401, "body": {"error": {"message": secret}}})),
            (&outcome, json!({"status": 401, secret: secret})),
        ] {
            answers.push(world.ask(&revealing, "POST", path, body).await);
        }
        for (path, body) in [
            ("/api/workspaces/acme", json!({"organizationId": secret})),
            ("/api/workspaces/acme", json!({"organizationId": [secret]})),
            ("/api/organizations/group", json!({"keysEnabled": secret})),
            ("/api/organizations/group", json!({secret: secret})),
        ] {
            answers.push(world.ask(&world.root, "PUT", path, body).await);
        }
        let change = format!("{ACME_KEYS}/{}", key.as_str().unwrap());
        answers.push(world.ask(&token, "PATCH", &change, json!({"enabled": secret})).await);
        answers.push(world.ask(&token, "DELETE", ACME_KEYS, json!({"providerId": secret, "keyId": secret})).await);
        answers.push(world.ask(&token, "POST", "/api/tokens", json!({"name": "a", "role": secret})).await);
        answers.push(
            world.ask(&token, "POST", "/api/tokens", json!({"name": "a", "role": "member", "reveal": secret})).await,
        );
        answers.push(
            world.ask(&token, "POST", "/api/tokens", json!({"name": "a", "role": "member", "expiresAt": secret})).await,
        );
        for text in [format!("{{\"apiKey\": \"{secret}"), format!("{{\"apiKey\": {secret}}}"), secret.clone()] {
            let request = with_token("POST", ACME_KEYS, &token).header("content-type", "application/json");
            answers.push(world.send(request.body(Body::from(text)).unwrap()).await);
        }
        answers.push(world.ask(secret, "GET", ACME_KEYS, Value::Null).await);
    }
    for path in [
        format!("{ACME_KEYS}?key={token}"),
        format!("/api/workspaces/{token}/byok-keys"),
        format!("/api/workspaces/{token}/byok-keys/inherited-status"),
        format!("/api/workspaces/acme/byok-keys/explain?providerId={token}"),
        format!("/api/workspaces/acme/usage?providerId={token}"),
        format!("/api/workspaces/acme/usage?from={token}"),
        format!("/api/workspaces/acme/usage?bucket={token}"),
        format!("/api/organizations/{token}/byok-keys"),
        format!("/api/organizations/{token}"),
        format!("/api/organizations?cursor=%2F{token}"),
        format!("/api/workspaces?limit={token}"),
        format!("/api/workspaces?cursor=%2F{token}"),
        format!("/api/{token}"),
    ] {
        answers.push(world.ask(&token, "GET", &path, Value::Null).await);
        answers.push(world.ask(&world.root, "GET", &path, Value::Null).await);
        answers.push(world.send(Request::builder().uri(&path).body(Body::empty()).unwrap()).await);
    }
    answers.push(world.ask(&token, "GET", ACME_KEYS, Value::Null).await);

    for text in answers.iter().map(seen).chain([log.end()]) {
        assert!(!text.contains(&secret) && !text.contains(&token[21..]), "{text}");
    }
}
