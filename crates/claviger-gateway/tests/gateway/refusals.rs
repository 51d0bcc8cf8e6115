//! What the gateway answers by itself.

use claviger_core::catalogue::{Auth, BaseUrl};
use claviger_core::{Catalogue, Provider};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Setup, patient};

async fn refused(fixture: &Fixture, path: &str, token: &str) -> (StatusCode, String, Value) {
    let client = fixture.client().with_token(token);
    let answer = client.send(Method::GET, path, &json!(null)).await;
    assert_eq!(answer.header("x-claviger-attempts"), "0");
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(answer.json["type"], "error");
    (answer.status, answer.code().to_owned(), answer.json["error"]["type"].clone())
}

#[tokio::test]
async fn a_refusal_has_a_status_a_code_and_a_class() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let good = fixture.token.clone();
    let mut mistyped = good.clone();
    mistyped.replace_range(30..31, if &good[30..31] == "a" { "b" } else { "a" });
    let rows = [
        ("/gateway/openai/v1/models", mistyped.as_str(), 401, "token_invalid", "authentication_error"),
        ("/gateway/openai/v1/models", &good[..70], 401, "token_invalid", "authentication_error"),
        ("/gateway/openai/v1/models", "something", 401, "token_invalid", "authentication_error"),
        ("/gateway/nobody/v1/models", &good, 404, "unknown_provider", "not_found_error"),
        ("/gateway/anthropic/v1/models", &good, 404, "no_key", "not_found_error"),
        ("/gateway/openai/v1/../models", &good, 400, "invalid_path", "invalid_request_error"),
        ("/gateway/openai/v1/%2e%2e/models", &good, 400, "invalid_path", "invalid_request_error"),
        ("/gateway/openai//evil.example/v1", &good, 400, "invalid_path", "invalid_request_error"),
        ("/gateway/openai/%2fevil.example/v1", &good, 400, "invalid_path", "invalid_request_error"),
    ];
    for (path, token, status, code, class) in rows {
        let (got_status, got_code, got_class) = refused(&fixture, path, token).await;
        assert_eq!((got_status.as_u16(), got_code.as_str(), &got_class), (status, code, &json!(class)), "{path}");
    }
    for in_path in [format!("/gateway/openai/v1/{good}"), format!("/gateway/openai/v1/%63{}", &good[1..])] {
        assert_eq!(refused(&fixture, &in_path, &good).await.1, "invalid_path");
    }
    assert_eq!(fixture.mock.counts().of_provider("openai"), 0);
    fixture.close().await;
}

#[tokio::test]
async fn what_stands_in_a_providers_place_is_not_repeated() {
    let fixture = Fixture::new().await;
    let text = claviger_testkit::random_secret();
    let answer = fixture.client().send(Method::GET, &format!("/gateway/{text}/v1/models"), &json!(null)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "unknown_provider"));
    assert!(!format!("{answer:?} {}", answer.json).contains(&text), "{answer:?}");
    fixture.close().await;
}

#[tokio::test]
async fn too_many_bad_tokens_are_told_to_wait_and_good_ones_go_on() {
    let fixture = Fixture::open(Setup { bad_token_limit: 2, ..Setup::default() }, |_| {}).await;
    fixture.key("openai").await;
    let models = "/gateway/openai/v1/models";
    for _ in 0..2 {
        assert_eq!(refused(&fixture, models, "something").await.1, "token_invalid");
    }
    let expected = (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts".to_owned(), json!("rate_limit_error"));
    assert_eq!(refused(&fixture, models, "something").await, expected);
    let answer = fixture.client().with_token("something").send(Method::GET, models, &json!(null)).await;
    assert_eq!(answer.header("retry-after"), "30");
    assert_eq!(fixture.client().send(Method::GET, models, &json!(null)).await.status, StatusCode::OK);
    fixture.close().await;
}

#[tokio::test]
async fn a_token_in_the_wrong_place_is_no_token() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    for head in [
        format!("GET /gateway/openai/v1/models?token={} HTTP/1.1\r\nhost: x\r\n", fixture.token),
        format!("GET /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\ncookie: key={}\r\n", fixture.token),
        format!("GET /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\nx-token: {}\r\n", fixture.token),
    ] {
        let mut raw = fixture.connect().await;
        raw.write(&format!("{head}connection: close\r\n\r\n")).await;
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("token_missing"), "{answer}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_method_that_has_a_server_repeat_the_request_is_not_passed_on() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    for method in ["TRACE", "CONNECT"] {
        let mut raw = fixture.connect().await;
        let head = format!("authorization: Bearer {}\r\nconnection: close\r\n\r\n", fixture.token);
        raw.write(&format!("{method} /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\n{head}")).await;
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("method_not_allowed"), "{method}: {answer}");
    }
    assert_eq!(fixture.mock.counts().of_provider("openai"), 0);
    fixture.close().await;
}

#[tokio::test]
async fn an_alias_hides_no_second_slash() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let (_, code, _) = refused(&fixture, "/gateway/openai/eu//evil.example/v1", &fixture.token).await;
    assert_eq!(code, "invalid_path");
    fixture.close().await;
}

#[tokio::test]
async fn a_redirect_does_not_repeat_the_key() {
    let fixture = Fixture::new().await;
    let secret = fixture.key("hunter").await;
    let location = format!("https://api.hunter.io/v2/account?api_key={secret}&a=1");
    let behaviour = claviger_mock_provider::Behaviour::status(301).with_header("location", &location);
    fixture.mock.set_behaviour("hunter", "*", behaviour).unwrap();
    let answer = fixture.client().send(Method::GET, "/gateway/hunter/account", &json!(null)).await;
    assert_eq!(answer.header("location"), "https://api.hunter.io/v2/account?api_key=&a=1");
    fixture.close().await;
}

#[tokio::test]
async fn a_deleted_token_is_refused_at_once() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let client = fixture.client();
    assert_eq!(client.send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await.status, 200);
    let permit = claviger_app::access::Principal::operator().permit_tokens(None).unwrap();
    let id = fixture.token[4..20].parse().unwrap();
    fixture.test.app.tokens.delete(&permit, &id).await.unwrap();
    assert_eq!(refused(&fixture, "/gateway/openai/v1/models", &fixture.token).await.1, "token_invalid");
    fixture.close().await;
}

#[tokio::test]
async fn a_provider_nobody_listens_for_is_unreachable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let adapt = |catalogue: &mut Catalogue| {
        let base: BaseUrl = format!("http://{nobody}").parse().unwrap();
        let provider = catalogue.get("exa").unwrap().as_ref().clone();
        catalogue.insert(provider.with_base_url(base));
    };
    let fixture = Fixture::with(patient(), adapt).await;
    fixture.key("exa").await;
    let answer = fixture.client().send(Method::POST, "/gateway/exa/search", &json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (502, "provider_unreachable"));
    assert_eq!(answer.header("x-claviger-attempts"), "1");
    assert!(answer.header("x-claviger-key-id").starts_with("key_"));
    fixture.close().await;
}

#[tokio::test]
async fn a_provider_that_wants_its_key_in_the_body_gets_it_there() {
    let adapt = |catalogue: &mut Catalogue| {
        let base = catalogue.get("exa").unwrap().origins[0].url.clone();
        let auth = Auth::Body { field: "api_key".to_owned() };
        catalogue.insert(Provider::custom("inbody".parse().unwrap(), base.clone(), None, auth));
        let auth = Auth::Basic { username: Some("api".to_owned()) };
        catalogue.insert(Provider::custom("basic".parse().unwrap(), base, None, auth));
    };
    let fixture = Fixture::with(patient(), adapt).await;
    fixture.mock.set_recording(true);
    let secret = fixture.key("inbody").await;
    let client = fixture.client();
    let answer = client.send(Method::POST, "/gateway/inbody/x", &json!({"q": 1, "api_key": fixture.token})).await;
    assert_eq!(answer.status, 200);
    let body: Value = serde_json::from_str(&fixture.mock.requests().pop().unwrap().body).unwrap();
    assert_eq!(body, json!({"q": 1, "api_key": secret}));

    let answer = client.send(Method::POST, "/gateway/inbody/x", &json!([1])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid_json"));
    let answer = client.send(Method::POST, "/gateway/inbody/x", &json!("x".repeat(8 * 1024 * 1024 + 1))).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "body_too_large"));

    let secret = fixture.key("basic").await;
    assert_eq!(client.send(Method::POST, "/gateway/basic/x", &json!({})).await.status, 200);
    let recorded = fixture.mock.requests().pop().unwrap();
    let expected = data_encoding::BASE64.encode(format!("api:{secret}").as_bytes());
    assert_eq!(recorded.header("authorization"), Some(format!("Basic {expected}").as_str()));
    fixture.close().await;
}

#[tokio::test]
async fn a_service_token_names_the_workspace() {
    use claviger_app::access::Principal;
    use claviger_app::tokens::{CreateToken, TokenHolder};

    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let create =
        CreateToken { name: "backend".to_owned(), holder: TokenHolder::Service, reveal: false, expires_at: None };
    let permit = Principal::operator().permit_tokens(None).unwrap();
    let (token, _) = fixture.test.app.tokens.create(&permit, create).await.unwrap();
    let token = token.reveal_once();
    let (status, code, _) = refused(&fixture, "/gateway/openai/v1/models", token).await;
    assert_eq!((status.as_u16(), code.as_str()), (400, "workspace_required"));
    let twice = "w\r\nx-claviger-workspace: nobody";
    for (named, status) in [("w", 200), ("nobody", 404), ("a b", 400), (twice, 400)] {
        let mut raw = fixture.connect().await;
        let head = format!(
            "GET /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             x-claviger-workspace: {named}\r\nconnection: close\r\n\r\n"
        );
        raw.write(&head).await;
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{named}: {answer}");
        assert_eq!(answer.contains("workspace_required"), status == 400, "{named}: {answer}");
    }
    let root = fixture.test.root_token().await;
    assert_eq!(refused(&fixture, "/gateway/openai/v1/models", &root).await.0, 403);
    fixture.close().await;
}
