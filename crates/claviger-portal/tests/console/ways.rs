//! Ways in and out.

use std::time::Duration;

use axum::body::Body;
use claviger_app::access::Principal;
use claviger_app::portal::PortalPlace;
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_testkit::{TestApp, TestSettings, random_secret};
use http::header::{COOKIE, ORIGIN, SET_COOKIE};
use http::{Request, StatusCode};

use crate::world::{HERE, World, console, form, send};

async fn service_token(test: &TestApp) -> String {
    let permit = Principal::operator().permit_tokens(None).unwrap();
    let create =
        CreateToken { name: "backend".to_owned(), holder: TokenHolder::Service, reveal: true, expires_at: None };
    test.app.tokens.create(&permit, create).await.unwrap().0.reveal_once().to_owned()
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_asked_for_the_root_token() {
    let world = World::new().await;
    for path in ["/console", "/console/workspaces", "/console/tokens", "/console/health", "/console/platform"] {
        let asked = world.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{path}");
        asked.assert_shows("type=\"password\" id=\"token\"");
        asked.assert_shows("autocomplete=\"off\"");
        asked.assert_lacks("Sign out");
    }
}

#[tokio::test]
async fn the_root_token_alone_opens_the_console() {
    let world = World::new().await;
    let acme = world.test.workspace("acme").await;
    let (service, runtime) = (service_token(&world.test).await, world.test.runtime_token(&acme).await);
    let (other, cut) = (random_secret(), &world.root[..world.root.len() - 1]);
    for wrong in ["", "x", &service, &runtime, &other, cut] {
        let refused = world.try_token(wrong).await;
        assert_eq!((refused.status, refused.header(SET_COOKIE)), (StatusCode::FORBIDDEN, ""));
        refused.assert_shows("This is not the root token.");
        assert!(wrong.len() < 2 || !refused.text.contains(wrong));
    }
    world.operator().await.page("/console").await.assert_shows("Sign out");
}

#[tokio::test]
async fn another_sites_page_signs_nobody_in() {
    let world = World::new().await;
    for headers in [&[][..], &[("origin", "https://evil.example")], &[("sec-fetch-site", "cross-site")]] {
        let request = Request::post("/console/sign-in");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let refused = world.send(request.body(Body::from(form(&[("token", &world.root)]))).unwrap()).await;
        assert_eq!((refused.status, refused.header(SET_COOKIE)), (StatusCode::FORBIDDEN, ""), "{headers:?}");
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_over_https_for_no_script_and_no_other_site() {
    let world = World::new().await;
    let answer = world.try_token(&world.root).await;
    let (pair, attributes) = answer.header(SET_COOKIE).split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-claviger_console=clv_"), "{pair}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=3600");
    assert!(answer.headers[SET_COOKIE].is_sensitive());
    assert!(!pair.contains(&world.root));
}

#[tokio::test]
async fn without_https_and_below_a_path_cookie_and_addresses_follow() {
    let portal = PortalPlace { public_url: "http://localhost:8787/keys".to_owned(), ..PortalPlace::default() };
    let world = World::with(TestSettings { portal, ..TestSettings::default() }).await;
    let request = Request::post("/console/sign-in").header(ORIGIN, "http://localhost:8787");
    let entered = world.send(request.body(Body::from(form(&[("token", &world.root)]))).unwrap()).await;
    assert_eq!(entered.location(), "/keys/console");
    let (pair, attributes) = entered.header(SET_COOKIE).split_once("; ").unwrap();
    assert!(pair.starts_with("claviger_console=clv_"), "{pair}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
    let page = world.send(Request::get("/console").header(COOKIE, pair).body(Body::empty()).unwrap()).await;
    for address in ["/keys/console/console.css?v=", "/keys/portal/style.css?v=", "/keys/console/workspaces\""] {
        page.assert_shows(&format!("href=\"{address}"));
    }
}

#[tokio::test]
async fn a_session_lasts_an_hour() {
    let world = World::new().await;
    let browser = world.operator().await;
    world.test.clock.advance(Duration::from_secs(3_599));
    let token = browser.form_token().await;
    world.test.clock.advance(Duration::from_secs(1));
    let late = browser.get("/console").await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    late.assert_shows("Your session has expired");
    let late = browser.post_with("/console/workspaces", &token, &[("id", "acme")], &[("origin", HERE)]).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    late.assert_shows("nothing was changed");
    world.operator().await.page("/console/workspaces").await.assert_shows("There are none.");
}

#[tokio::test]
async fn whoever_signs_out_is_out_on_every_page() {
    let world = World::new().await;
    let browser = world.operator().await;
    let left = browser.post("/console/sign-out", &[]).await;
    assert_eq!(left.status, StatusCode::OK);
    left.assert_shows("You are signed out.");
    assert!(left.header(SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(browser.get("/console").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_each_knows_itself() {
    let world = World::new().await;
    let (one, other) = (world.operator().await, world.operator().await);
    let page = one.page("/console/sessions").await;
    assert_eq!(page.text.matches("/end\"").count(), 2);
    assert_eq!(page.text.matches("This one").count(), 1);
    let id = other.cookie.split("clv_").nth(1).unwrap()[..16].to_owned();
    let path = format!("/console/sessions/{id}/end");
    assert_eq!(one.post(&path, &[]).await.location(), "/console/sessions?done=session-ended");
    assert_eq!(one.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(one.post("/console/sessions/x/end", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/console").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(one.page("/console/sessions").await.text.matches("/end\"").count(), 1);
}

#[tokio::test]
async fn a_session_of_one_node_is_one_on_another_until_the_root_token_changes() {
    let test = TestApp::new().await;
    let made = test.app.admit_root(None).await.unwrap().expect("a first start makes a root token");
    let request = Request::post("/console/sign-in").header(ORIGIN, HERE);
    let request = request.body(Body::from(form(&[("token", made.reveal_once())]))).unwrap();
    let entered = send(&console(&test.app), request).await;
    let cookie = entered.header(SET_COOKIE).split(';').next().unwrap();
    let look = || Request::get("/console/sessions").header(COOKIE, cookie).body(Body::empty()).unwrap();

    let same = test.beside().await;
    assert!(same.app.admit_root(None).await.unwrap().is_none());
    assert_eq!(send(&console(&same.app), look()).await.status, StatusCode::OK);

    let changed = test.beside().await;
    let root = changed.root_token().await;
    assert_eq!(send(&console(&changed.app), look()).await.status, StatusCode::UNAUTHORIZED);
    let request = Request::post("/console/sign-in").header(ORIGIN, HERE).body(Body::from(form(&[("token", &root)])));
    let entered = send(&console(&changed.app), request.unwrap()).await;
    let cookie = entered.header(SET_COOKIE).split(';').next().unwrap();
    let look = Request::get("/console/sessions").header(COOKIE, cookie).body(Body::empty()).unwrap();
    let listed = send(&console(&changed.app), look).await;
    assert_eq!(listed.text.matches("/end\"").count(), 1, "the old one is none: {}", listed.text);
}

#[tokio::test]
async fn a_cookie_that_is_none_lets_nobody_in() {
    let world = World::new().await;
    let browser = world.operator().await;
    let mut forged = browser.cookie.clone();
    forged.replace_range(forged.len() - 20..forged.len() - 19, "!");
    for cookie in ["", "__Host-claviger_console=", "__Host-claviger_console=x", &forged, &world.root] {
        let request = Request::get("/console").header(COOKIE, cookie).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
}
