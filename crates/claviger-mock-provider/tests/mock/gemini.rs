use serde_json::{Value, json};

use crate::client::{get, post, start};

fn prompt() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

fn text(responses: &[Value]) -> String {
    responses
        .iter()
        .map(|response| response["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn content_is_generated_plain_as_events_and_as_an_array() {
    let mock = start().await;
    let path = |call: &str| format!("/google/v1beta/models/m-1:{call}");
    let plain = post(&mock, &path("generateContent"), &prompt()).await.json();
    assert_eq!(plain["modelVersion"], "m-1");
    assert_eq!(text(&[plain]), "echo: hi");

    let events = post(&mock, &path("streamGenerateContent?alt=sse"), &prompt()).await.events();
    assert_eq!(events.len(), 5);
    assert_eq!(text(&events), "echo: hi");
    assert_eq!(events[4]["candidates"][0]["finishReason"], "STOP");

    let array = post(&mock, &path("streamGenerateContent"), &prompt()).await.json();
    assert_eq!(text(array.as_array().unwrap()), "echo: hi");
}

#[tokio::test]
async fn a_declared_function_is_called() {
    let mock = start().await;
    let mut body = prompt();
    body["tools"] = json!([{"functionDeclarations": [{"name": "look"}]}]);
    let plain = post(&mock, "/google/v1beta/models/m-1:generateContent", &body).await.json();
    assert_eq!(plain["candidates"][0]["content"]["parts"][0]["functionCall"]["name"], "look");
}

#[tokio::test]
async fn models_are_listed() {
    let mock = start().await;
    assert_eq!(get(&mock, "/google/v1beta/models?pageSize=1").await.json()["models"][0]["name"], "models/mock-model");
}
