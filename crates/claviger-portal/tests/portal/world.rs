//! A portal on throw-away data, and somebody with a browser.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use claviger_app::access::{ManagePortal, Principal};
use claviger_app::portal::CreatePortalLink;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Owner, WorkspaceId};
use claviger_testkit::{TestApp, TestSettings};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tower_service::Service;

pub(crate) const OPENAI: &str = "/portal/providers/openai";
pub(crate) const ADD: &str = "/portal/providers/openai/keys";
pub(crate) const HERE: &str = "https://keys.example.com";

/// The workspace `acme`, without keys.
pub(crate) struct World {
    pub(crate) test: TestApp,
    pub(crate) acme: WorkspaceId,
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

    /// The address at which the page has something that it loads.
    #[track_caller]
    pub(crate) fn asset(&self, name: &str) -> &str {
        let found = self.text.split(['"', '#']).find(|part| part.starts_with(&format!("/portal/{name}?v=")));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(TestSettings::default()).await
    }

    pub(crate) async fn with(settings: TestSettings) -> Self {
        let test = TestApp::with(settings).await;
        let acme = test.workspace("acme").await;
        let router = claviger_portal::router(Arc::clone(&test.app));
        Self { test, acme, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A link's path.
    pub(crate) async fn link(&self, create: CreatePortalLink) -> String {
        let permit =
            Principal::operator().permit_on::<ManagePortal>(Owner::Workspace(self.acme.clone()), None).unwrap();
        let link = self.test.app.portal.create(&permit, create).await.unwrap();
        self.test
            .app
            .portal
            .reveal_url(&link)
            .split_once("/portal/")
            .map(|(_, rest)| format!("/portal/{rest}"))
            .unwrap()
    }

    pub(crate) async fn enter(&self, create: CreatePortalLink) -> Browser<'_> {
        let link = self.link(create).await;
        let answer = self.send(Request::post(&link).header(ORIGIN, HERE).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.location(), "/portal");
        let cookie = answer.header(SET_COOKIE).split(';').next().unwrap().to_owned();
        Browser { world: self, cookie }
    }

    pub(crate) async fn admin(&self) -> Browser<'_> {
        self.enter(CreatePortalLink::new(PortalRole::Admin)).await
    }

    pub(crate) async fn member(&self) -> Browser<'_> {
        self.enter(CreatePortalLink::new(PortalRole::Member)).await
    }

    pub(crate) async fn single(&self) -> Browser<'_> {
        self.enter(CreatePortalLink { mode: PortalMode::Single, ..CreatePortalLink::new(PortalRole::Admin) }).await
    }

    /// The names of the workspace's keys, in the order of rotation, with whether they are switched on.
    pub(crate) async fn keys(&self) -> Vec<(String, bool)> {
        let listed = self.test.app.keys.list(&self.test.list_keys(&self.acme)).await.unwrap();
        let name = |key: &claviger_app::keys::ListedKey| {
            key.record.name.as_ref().map_or("", claviger_core::KeyName::as_str).to_owned()
        };
        listed.iter().map(|key| (name(key), key.record.enabled)).collect()
    }

    /// Adds a key to the workspace's pool, and brings the path of its pages.
    pub(crate) async fn key(&self) -> String {
        format!("{ADD}/{}", self.test.key(&self.acme, "openai").await.id)
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

    /// The session's form token, as its pages have it.
    pub(crate) async fn form_token(&self) -> String {
        let page = self.get("/portal").await;
        let (_, rest) = page.text.split_once("name=\"form\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form as a page of the portal does.
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
        let mut form = format!("form={token}");
        for (name, value) in fields {
            form.extend(["&", name, "=", &encode(value)]);
        }
        let request =
            Request::post(path).header(COOKIE, &self.cookie).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.world.send(request.body(Body::from(form)).unwrap()).await
    }
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
