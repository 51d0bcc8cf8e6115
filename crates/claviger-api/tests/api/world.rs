//! A control plane on throw-away data, and somebody to ask it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use claviger_testkit::{TestApp, TestSettings, random_secret};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode, request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

/// Two workspaces, `acme` and `other`, without keys and without an organization, and the organization `group`.
pub(crate) struct World {
    pub(crate) test: TestApp,
    pub(crate) root: String,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(TestSettings::default()).await
    }

    pub(crate) async fn with(settings: TestSettings) -> Self {
        let test = TestApp::with(settings).await;
        let root = test.root_token().await;
        test.workspace("acme").await;
        test.workspace("other").await;
        test.organization("group", true).await;
        let router = router(&test);
        Self { test, root, router }
    }

    /// Another process on the same database.
    pub(crate) async fn beside(world: &Self) -> Self {
        let test = world.test.beside().await;
        let root = test.root_token().await;
        let router = router(&test);
        Self { test, root, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// Asks with this token and, where it is not null, this body.
    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = with_token(method, path, token);
        let request = if body.is_null() {
            request.body(Body::empty())
        } else {
            request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
        };
        self.send(request.unwrap()).await
    }

    /// Asks as root, and takes only a success for an answer.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(&self.root, method, path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// Makes a token; `rest` adds to or replaces what is asked for.
    pub(crate) async fn token(&self, role: &str, workspace: Option<&str>, rest: Value) -> (String, String) {
        let mut body = json!({"name": "test", "role": role, "workspaceId": workspace});
        body.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap_or_default());
        let made = self.done("POST", "/api/tokens", body).await;
        (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    /// A token whose time is over. Takes the clock a minute on.
    pub(crate) async fn expired_token(&self) -> String {
        let (token, _) = self.token("admin", Some("acme"), json!({"expiresAt": "2026-01-01T00:00:30+00:00"})).await;
        self.test.clock.advance(Duration::from_mins(1));
        token
    }

    /// Adds a key with a random secret to `acme`.
    pub(crate) async fn key(&self, provider: &str) -> Value {
        self.key_at(ACME_KEYS, provider).await
    }

    /// Adds a key with a random secret to an owner's.
    pub(crate) async fn key_at(&self, keys: &str, provider: &str) -> Value {
        let body = json!({"providerId": provider, "apiKey": random_secret()});
        self.done("POST", keys, body).await["key"].clone()
    }

    /// The keys of `acme`.
    pub(crate) async fn keys(&self) -> Vec<Value> {
        self.keys_at(ACME_KEYS).await
    }

    /// An owner's keys.
    pub(crate) async fn keys_at(&self, keys: &str) -> Vec<Value> {
        self.done("GET", keys, Value::Null).await["keys"].as_array().unwrap().clone()
    }

    /// Puts `acme` into `group`.
    pub(crate) async fn join_group(&self) {
        self.done("PUT", "/api/workspaces/acme", json!({"organizationId": "group"})).await;
    }
}

pub(crate) const ACME_KEYS: &str = "/api/workspaces/acme/byok-keys";
pub(crate) const GROUP_KEYS: &str = "/api/organizations/group/byok-keys";
pub(crate) const PLATFORM_KEYS: &str = "/api/platform/byok-keys";

pub(crate) fn router(test: &TestApp) -> Router {
    claviger_api::router(Arc::clone(&test.app), Arc::new(|| "claviger_up 1\n".to_owned()))
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (head, body) = router.clone().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

pub(crate) fn with_token(method: &str, path: &str, token: &str) -> request::Builder {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {token}"))
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status, code, and the field that is named.
    pub(crate) fn refusal(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        assert!(body["error"].as_str().is_some_and(|sentence| sentence.len() > 10), "{body}");
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        (self.status.as_u16(), text("code").unwrap_or_default(), text("field"))
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str, field: Option<&str>) {
        assert_eq!(self.refusal(), (status, code.to_owned(), field.map(str::to_owned)), "{}", self.text);
    }
}
