use data_encoding::BASE64;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::client::{get, post, request, send, start};

fn prompt(stream: bool) -> Value {
    json!({"model": "m-1", "stream": stream, "messages": [{"role": "user", "content": "hi \"there\""}]})
}

fn with_tools(mut prompt: Value) -> Value {
    prompt["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": {}}}]);
    prompt
}

#[tokio::test]
async fn a_chat_repeats_the_last_words_and_the_model() {
    let mock = start().await;
    let reply = post(&mock, "/openai/v1/chat/completions", &prompt(false)).await;
    assert_eq!(reply.headers["content-type"], "application/json");
    let chat = reply.json();
    assert_eq!(chat["model"], "m-1");
    assert_eq!(chat["choices"][0]["message"]["content"], "echo: hi \"there\"");
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
    assert!(chat["usage"]["total_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_prompt_of_megabytes_is_read_whole() {
    let mock = start().await;
    let words = "w\n".repeat(1 << 20);
    let body = json!({"model": "m-1", "messages": [{"role": "user", "content": words}]});
    let chat = post(&mock, "/openai/v1/chat/completions", &body).await.json();
    let content = chat["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.ends_with("(prompt_bytes: 2097152)"), "{content}");
}

#[tokio::test]
async fn a_streamed_chat_has_as_many_chunks_as_asked() {
    let mock = start().await;
    for chunks in [1u16, 5, 40] {
        let mut body = prompt(true);
        body["stream_options"] = json!({"include_usage": true});
        let mut request = request(&mock, "POST", "/openai/v1/chat/completions", body.to_string());
        request.headers_mut().insert("x-mock-chunks", HeaderValue::from(chunks));
        let reply = send(request).await;
        assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        assert!(reply.text().ends_with("data: [DONE]\n\n"));
        let events = reply.events();
        let deltas = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        let texts: Vec<_> = deltas.filter(|text| !text.is_empty()).collect();
        assert_eq!(texts.len(), usize::from(chunks));
        assert!(texts.concat().starts_with("echo: hi \"there\""));
        assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "stop");
        assert!(events[events.len() - 1]["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    }
}

#[tokio::test]
async fn a_chat_with_tools_calls_the_first() {
    let mock = start().await;
    let plain = post(&mock, "/openai/v1/chat/completions", &with_tools(prompt(false))).await.json();
    let choice = &plain["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["tool_calls"][0]["function"], json!({"name": "look", "arguments": "{}"}));

    let events = post(&mock, "/openai/v1/chat/completions", &with_tools(prompt(true))).await.events();
    let calls: Vec<_> = events
        .iter()
        .map(|event| &event["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(calls[0]["function"]["name"], "look");
    let arguments: String = calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, "{}");
}

#[tokio::test]
async fn a_chat_that_is_no_json_is_refused() {
    let mock = start().await;
    let reply = send(request(&mock, "POST", "/openai/v1/chat/completions", "no json")).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_response_comes_plain_or_as_numbered_events() {
    let mock = start().await;
    let plain = post(&mock, "/openai/v1/responses", &json!({"model": "m-1", "input": "hi"})).await.json();
    assert_eq!(plain["status"], "completed");
    assert_eq!(plain["output"][0]["content"][0]["text"], "echo: hi");

    let body = json!({"model": "m-1", "input": "hi", "stream": true});
    let events = post(&mock, "/openai/v1/responses", &body).await.events();
    assert_eq!(events[0]["type"], "response.created");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], deltas);
    assert_eq!(deltas, "echo: hi");
}

#[tokio::test]
async fn a_response_with_tools_calls_the_first() {
    let mock = start().await;
    let tools = json!([{"type": "function", "name": "look", "parameters": {}}]);
    let body = json!({"model": "m-1", "input": "hi", "tools": tools});
    let plain = post(&mock, "/openai/v1/responses", &body).await.json();
    assert_eq!(plain["output"][0]["type"], "function_call");
    let body = json!({"model": "m-1", "input": "hi", "tools": tools, "stream": true});
    let events = post(&mock, "/openai/v1/responses", &body).await.events();
    assert_eq!(events.last().unwrap()["response"]["output"][0]["name"], "look");
}

#[tokio::test]
async fn both_encodings_give_the_same_embedding() {
    let mock = start().await;
    let body = |format| json!({"model": "m-1", "input": ["a", "b"], "encoding_format": format, "dimensions": 3});
    let floats = post(&mock, "/openai/v1/embeddings", &body("float")).await.json();
    let base64 = post(&mock, "/openai/v1/embeddings", &body("base64")).await.json();
    for index in 0..2 {
        let encoded = base64["data"][index]["embedding"].as_str().unwrap();
        let bytes = BASE64.decode(encoded.as_bytes()).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!(json!(decoded), floats["data"][index]["embedding"]);
        assert_eq!(decoded.len(), 3);
    }
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
    let of_tokens = json!({"model": "m-1", "input": [[1, 2], [3]]});
    let of_tokens = post(&mock, "/openai/v1/embeddings", &of_tokens).await.json();
    assert_eq!(of_tokens["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_is_known_until_it_is_deleted() {
    let mock = start().await;
    let content = vec![0u8; 3 << 20];
    let mut body = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    body.extend(&content);
    body.extend(b"\r\n--b--\r\n");
    let mut upload = request(&mock, "POST", "/openai/v1/files", body);
    upload.headers_mut().insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=b"));
    let file = send(upload).await.json();
    assert_eq!(file["bytes"], content.len());
    assert_eq!(file["filename"], "a.bin");

    let path = format!("/openai/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(get(&mock, &path).await.json(), file);
    assert_eq!(send(request(&mock, "DELETE", &path, "")).await.json()["deleted"], true);
    assert_eq!(get(&mock, &path).await.status, 404);
}

#[tokio::test]
async fn other_providers_speak_openai_under_their_own_prefix() {
    let mock = start().await;
    for path in
        ["/zai/api/paas/v4/chat/completions", "/perplexity/chat/completions", "/google/v1beta/openai/chat/completions"]
    {
        let chat = post(&mock, path, &prompt(false)).await.json();
        assert_eq!(chat["object"], "chat.completion", "{path}");
    }
    assert_eq!(get(&mock, "/fireworks/inference/v1/models").await.json()["object"], "list");
}
