use claviger_mock_provider::{Counts, MockProvider, RecordedRequest};
use serde_json::{Value, json};

use crate::client::{KEY, Reply, get, post, request, send, start};

async fn control(mock: &MockProvider, method: &str, endpoint: &str, body: &Value) -> Reply {
    send(request(mock, method, &format!("/_mock/{endpoint}"), body.to_string())).await
}

#[tokio::test]
async fn a_behaviour_is_set_and_removed_by_request() {
    let mock = start().await;
    let behaviour = json!({"status": 429, "headers": {"retry-after": "2"}, "body": {"a": 1}, "times": null,
        "delay_ms": 0, "cut_after_bytes": null, "never_answer": false, "chunks": 2, "gap_ms": 1});
    let placed = json!({"provider": "openai", "key": KEY, "behaviour": behaviour});
    assert_eq!(control(&mock, "PUT", "behaviours", &placed).await.status, 204);
    let reply = get(&mock, "/openai/v1/models").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (429, json!({"a": 1})));
    assert_eq!(control(&mock, "DELETE", "behaviours", &Value::Null).await.status, 204);
    assert_eq!(get(&mock, "/openai/v1/models").await.status, 200);
}

#[tokio::test]
async fn what_the_control_does_not_know_is_refused() {
    let mock = start().await;
    let refused = [
        json!({"provider": "p", "key": "k", "behaviour": {"stauts": 429}}),
        json!({"provider": "p", "key": "k", "behaviour": {"status": 99}}),
        json!({"provider": "p", "key": "k", "behaviour": {}, "more": 1}),
        json!({"provider": "p", "behaviour": {}}),
    ];
    for body in refused {
        let reply = control(&mock, "PUT", "behaviours", &body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.json()["error"].is_string());
    }
    assert_eq!(control(&mock, "GET", "nothing", &Value::Null).await.status, 404);
    assert_eq!(control(&mock, "POST", "counts", &Value::Null).await.status, 405);
}

#[tokio::test]
async fn requests_are_counted_by_provider_and_key() {
    let mock = start().await;
    get(&mock, "/openai/v1/models").await;
    get(&mock, "/openai/v1/models").await;
    let mut other = request(&mock, "GET", "/hunter/v2/account?api_key=key-2", "");
    other.headers_mut().remove("authorization");
    send(other).await;
    mock.wait_until(|counts| counts.active == 0).await;
    let counts = control(&mock, "GET", "counts", &Value::Null).await.json();
    assert_eq!(
        counts,
        json!({"counts": [
            {"provider": "hunter", "key": "key-2", "requests": 1},
            {"provider": "openai", "key": KEY, "requests": 2},
        ], "active": 0, "cancelled": 0})
    );
    control(&mock, "POST", "reset", &Value::Null).await;
    assert_eq!(mock.counts(), Counts::default());
}

#[tokio::test]
async fn only_a_switched_on_recording_keeps_requests() {
    let mock = start().await;
    post(&mock, "/openai/v1/chat/completions", &json!({"messages": []})).await;
    assert!(mock.requests().is_empty());

    control(&mock, "PUT", "recording", &json!({"enabled": true})).await;
    post(&mock, "/serper/search%20it?q=%41&b", &json!({"q": "a"})).await;
    let recorded: Vec<RecordedRequest> =
        serde_json::from_slice(&control(&mock, "GET", "requests", &Value::Null).await.body).unwrap();
    assert_eq!(recorded, mock.requests());
    let [recorded] = &recorded[..] else { panic!("{recorded:?}") };
    assert_eq!(recorded.method, "POST");
    assert_eq!(recorded.target, "/serper/search%20it?q=%41&b");
    assert_eq!(recorded.version, "HTTP/1.1");
    assert_eq!(recorded.header("authorization"), Some("Bearer key-1"));
    assert_eq!((recorded.body.as_str(), recorded.body_bytes), (r#"{"q":"a"}"#, 9));

    mock.reset();
    get(&mock, "/openai/v1/models").await;
    assert!(mock.requests().is_empty());
}
