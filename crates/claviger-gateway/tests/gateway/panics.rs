//! A panic in the middle of a request. The clock is looked at all over the way of a request, and panics at any of the looks.

use claviger_gateway::GatewaySettings;
use claviger_mock_provider::{ANY_KEY, Behaviour};
use claviger_testkit::{Answer, Client};
use hyper::Method;
use serde_json::json;

use crate::fixture::{Fixture, patient};

const PATH: &str = "/gateway/openai/v1/chat/completions";

async fn ask(client: &Client, stream: bool) -> Answer {
    client.send(Method::POST, PATH, &json!({"model": "m", "stream": stream, "messages": []})).await
}

/// Asks again and again, with a panic at each look, until a request has none; answers how many had one.
async fn panic_everywhere(fixture: &Fixture, client: &Client, stream: bool) -> u64 {
    for number in 1.. {
        fixture.test.clock.panic_at_look(number);
        let answer = ask(client, stream).await;
        if !fixture.test.clock.has_panicked() {
            assert_eq!(answer.status, 200, "{}", answer.json);
            return number.unsigned_abs() - 1;
        }
        assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"), "look {number}: {}", answer.json);
        assert!(!answer.header("x-request-id").is_empty());
        // The one place that its workspace has is free, and the key is lent again.
        let next = ask(client, stream).await;
        assert_eq!(next.status, 200, "after look {number}: {}", next.json);
    }
    unreachable!("a request has only so many looks")
}

#[tokio::test]
async fn a_panic_ends_its_request_alone_and_gives_everything_back() {
    let settings = GatewaySettings { workspace_requests: 1, workspace_streams: 1, ..patient() };
    let fixture = Fixture::with(settings, |_| {}).await;
    fixture.key("openai").await;
    let (http1, http2) = (fixture.client(), fixture.http2_client());
    let mut panics = 0;
    for client in [&http1, &http2] {
        for stream in [false, true] {
            let more = panic_everywhere(&fixture, client, stream).await;
            assert!(more > 1, "the clock was never looked at");
            panics += more;
        }
    }
    // Its own connection and nobody else's: one a client, for all of these requests.
    assert_eq!(fixture.gateway.metrics.connections(), 2);
    assert_eq!(fixture.gateway.metrics.refusals().get("internal"), Some(&panics));
    let ends = fixture.ends("openai");
    let abandoned = ends.iter().find(|(end, _)| *end == "abandoned").unwrap().1;
    assert!(abandoned > 0 && abandoned < panics, "{ends:?} of {panics} panics");
    drop((http1, http2));
    fixture.close().await;
}

#[tokio::test]
async fn a_panic_while_another_key_is_tried_keeps_neither_key_nor_place() {
    let fixture = Fixture::with(GatewaySettings { workspace_requests: 1, ..patient() }, |_| {}).await;
    let client = fixture.client();
    let (permit, openai) = (fixture.test.manage_keys(&fixture.workspace), "openai".parse().unwrap());
    for number in 1.. {
        // The first key has no credit, and so the second is tried.
        fixture.key("openai").await;
        fixture.key("openai").await;
        fixture.mock.set_behaviour("openai", ANY_KEY, Behaviour::status(402).times(1)).unwrap();
        fixture.test.clock.panic_at_look(number);
        let answer = ask(&client, false).await;
        let panicked = fixture.test.clock.has_panicked();
        assert_eq!(answer.status, if panicked { 500 } else { 200 }, "look {number}: {}", answer.json);
        fixture.mock.clear_behaviours();
        assert_eq!(ask(&client, false).await.status, 200, "after look {number}");
        if !panicked {
            assert_eq!(answer.header("x-claviger-attempts"), "2");
            break;
        }
        fixture.test.app.keys.delete_all(&permit, &openai).await.unwrap();
    }
    fixture.close().await;
}
