//! A console on throw-away data, and the operator with a browser.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use claviger_app::App;
use claviger_portal::console::{Node, router};
use claviger_testkit::{TestApp, TestSettings};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tower_service::Service;

pub(crate) const HERE: &str = "https://keys.example.com";

/// An app with a root token, and its console.
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

impl Answer {
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where it leads to.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.header(LOCATION)
    }

    #[track_caller]
    pub(crate) fn assert_shows(&self, words: &str) {
        assert!(self.text.contains(words), "no “{words}” in {}: {}", self.status, self.text);
    }

    #[track_caller]
    pub(crate) fn assert_lacks(&self, words: &str) {
        assert!(!self.text.contains(words), "“{words}” in {}: {}", self.status, self.text);
    }

    /// What stands between two texts, the first time.
    #[track_caller]
    pub(crate) fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.text.split_once(before).unwrap_or_else(|| panic!("no “{before}” in {}", self.text));
        rest.split(after).next().unwrap()
    }
}

/// The console of an app.
pub(crate) fn console(app: &Arc<App>) -> Router {
    let (database, master_key) = ("SQLite, in a test".to_owned(), "the file master.key".to_owned());
    router(Arc::clone(app), Node { version: "0.0.0-test", database, master_key })
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (head, body) = router.clone().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(TestSettings::default()).await
    }

    pub(crate) async fn with(settings: TestSettings) -> Self {
        Self::of(TestApp::with(settings).await).await
    }

    pub(crate) async fn of(test: TestApp) -> Self {
        let root = test.root_token().await;
        let router = console(&test.app);
        Self { test, root, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    pub(crate) async fn try_token(&self, token: &str) -> Answer {
        let request = Request::post("/console/sign-in").header(ORIGIN, HERE).header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::from(form(&[("token", token)]))).unwrap()).await
    }

    /// Signs in.
    pub(crate) async fn operator(&self) -> Browser<'_> {
        let answer = self.try_token(&self.root).await;
        assert_eq!(answer.location(), "/console");
        let cookie = answer.header(SET_COOKIE).split(';').next().unwrap().to_owned();
        Browser { world: self, cookie }
    }
}

/// Somebody in a session.
pub(crate) struct Browser<'a> {
    pub(crate) world: &'a World,
    pub(crate) cookie: String,
}

impl Browser<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.world.send(Request::get(path).header(COOKIE, &self.cookie).body(Body::empty()).unwrap()).await
    }

    /// The page, which is there.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> impl Future<Output = Answer> {
        let path = path.to_owned();
        async move {
            let answer = self.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            answer
        }
    }

    /// The session's form token, as its pages have it.
    pub(crate) async fn form_token(&self) -> String {
        self.get("/console").await.between("name=\"form\" value=\"", "\"").to_owned()
    }

    /// Sends a form as a page of the console does.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token().await;
        self.post_with(path, &token, fields, &[("origin", HERE), ("sec-fetch-site", "same-origin")]).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        token: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let form = [form(fields), format!("form={token}")].join("&");
        let request =
            Request::post(path).header(COOKIE, &self.cookie).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.world.send(request.body(Body::from(form)).unwrap()).await
    }
}
