use serde_json::{Value, json};

use crate::client::{get, post, request, send, start};

fn prompt(stream: bool) -> Value {
    json!({"model": "m-1", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test]
async fn a_message_repeats_the_last_words() {
    let mock = start().await;
    let message = post(&mock, "/anthropic/v1/messages", &prompt(false)).await.json();
    assert_eq!(message["content"][0]["text"], "echo: hi");
    assert_eq!(message["stop_reason"], "end_turn");
    assert_eq!(message["model"], "m-1");
}

#[tokio::test]
async fn a_streamed_message_has_its_events_in_order() {
    let mock = start().await;
    let events = post(&mock, "/anthropic/v1/messages", &prompt(true)).await.events();
    let mut kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.dedup();
    let order = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, order);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "echo: hi");
}

#[tokio::test]
async fn a_message_with_tools_uses_the_first() {
    let mock = start().await;
    for stream in [false, true] {
        let mut body = prompt(stream);
        body["tools"] = json!([{"name": "look", "input_schema": {"type": "object"}}]);
        let reply = post(&mock, "/anthropic/v1/messages", &body).await;
        let block =
            if stream { reply.events()[1]["content_block"].clone() } else { reply.json()["content"][0].clone() };
        assert_eq!((&block["type"], &block["name"], &block["input"]), (&json!("tool_use"), &json!("look"), &json!({})));
    }
}

#[tokio::test]
async fn tokens_models_and_files_have_their_shapes() {
    let mock = start().await;
    let counted = post(&mock, "/anthropic/v1/messages/count_tokens", &prompt(false)).await.json();
    assert!(counted["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(get(&mock, "/anthropic/v1/models?limit=1").await.json()["data"][0]["type"], "model");
    let file = send(request(&mock, "POST", "/anthropic/v1/files", "12345")).await.json();
    assert_eq!((&file["type"], &file["size_bytes"]), (&json!("file"), &json!(5)));
}
