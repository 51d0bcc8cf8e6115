//! Ways in and out.

use std::time::Duration;

use axum::body::Body;
use claviger_app::portal::{CreatePortalLink, PortalPlace};
use claviger_core::portal::PortalRole;
use claviger_testkit::TestSettings;
use http::header::{COOKIE, ORIGIN, SET_COOKIE};
use http::{Method, Request, StatusCode};

use crate::world::{HERE, World};

fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(ORIGIN, HERE)
}

#[tokio::test]
async fn a_link_opens_once() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let post = || request(Method::POST, &link).body(Body::empty()).unwrap();
    assert_eq!(world.send(post()).await.location(), "/portal");
    let again = world.send(post()).await;
    assert_eq!((again.status, again.header(SET_COOKIE)), (StatusCode::NOT_FOUND, ""));
    again.assert_shows("It was used already");
}

#[tokio::test]
async fn looking_at_a_link_does_not_use_it_up() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let seen = world.send(request(method, &link).body(Body::empty()).unwrap()).await;
        assert_eq!((seen.status, seen.header(SET_COOKIE)), (StatusCode::OK, ""));
    }
    let page = world.send(request(Method::GET, &link).body(Body::empty()).unwrap()).await;
    page.assert_shows("<form method=\"post\" id=\"open-form\">");
    assert_eq!(world.send(request(Method::POST, &link).body(Body::empty()).unwrap()).await.location(), "/portal");
}

#[tokio::test]
async fn a_link_that_is_wrong_or_too_late_says_so() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let cut = &link[..link.len() - 1];
    let elsewhere = link.replace("/acme/", "/other/");
    for path in [cut, &elsewhere, "/portal/open/acme/x", "/portal/open/a%20b/x"] {
        for method in [Method::GET, Method::POST] {
            let answer = world.send(request(method, path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            answer.assert_shows("This link does not work");
        }
    }
    world.test.clock.advance(Duration::from_mins(10));
    for method in [Method::GET, Method::POST] {
        let late = world.send(request(method, &link).body(Body::empty()).unwrap()).await;
        assert_eq!(late.status, StatusCode::NOT_FOUND);
        late.assert_shows("This link has expired");
    }
}

#[tokio::test]
async fn whoever_goes_back_to_a_used_link_is_shown_the_way_to_the_keys() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let opened = world.send(request(Method::POST, &link).body(Body::empty()).unwrap()).await;
    let cookie = opened.header(SET_COOKIE).split(';').next().unwrap();
    let back = world.send(request(Method::GET, &link).header(COOKIE, cookie).body(Body::empty()).unwrap()).await;
    back.assert_shows("href=\"/portal\"");
}

#[tokio::test]
async fn a_sessions_cookie_is_for_this_host_over_https_and_no_script() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let opened = world.send(request(Method::POST, &link).body(Body::empty()).unwrap()).await;
    let (pair, attributes) = opened.header(SET_COOKIE).split_once("; ").unwrap();
    let (secret, workspace) = pair.split_once('.').unwrap();
    assert!(secret.starts_with("__Host-claviger_portal=clv_"), "{pair}");
    assert_eq!(workspace, "acme");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=86400");
    assert!(opened.headers[SET_COOKIE].is_sensitive());
}

#[tokio::test]
async fn a_session_lasts_an_hour() {
    let world = World::new().await;
    let browser = world.admin().await;
    world.test.clock.advance(Duration::from_secs(3_599));
    assert_eq!(browser.get("/portal").await.status, StatusCode::OK);
    let token = browser.form_token().await;
    world.test.clock.advance(Duration::from_secs(1));
    let late = browser.get("/portal").await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    late.assert_shows("Your session has expired");

    let secret = claviger_testkit::random_secret();
    let fields = [("name", "Küche & Co"), ("secret", secret.as_str())];
    let late = browser.post_with(crate::world::ADD, &token, &fields, &[("origin", HERE)]).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    late.assert_shows("The label that you typed: <strong>Küche &#38; Co</strong>");
    late.assert_lacks(&secret);
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_see() {
    let world = World::new().await;
    let admin = world.admin().await;
    let forged = admin.cookie.replace(".acme", ".other");
    for cookie in ["", "__Host-claviger_portal=x", "__Host-claviger_portal=x.acme", forged.as_str()] {
        let request = Request::get("/portal").header(COOKIE, cookie).body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{cookie}");
        answer.assert_shows(if cookie.is_empty() { "You are not signed in" } else { "Your session is over" });
    }
}

#[tokio::test]
async fn whoever_signs_out_is_out() {
    let world = World::new().await;
    let browser = world.admin().await;
    let left = browser.post("/portal/leave", &[]).await;
    assert_eq!(left.status, StatusCode::OK);
    assert!(left.header(SET_COOKIE).contains("Max-Age=0"));
    let out = browser.get("/portal").await;
    assert_eq!(out.status, StatusCode::UNAUTHORIZED);
    out.assert_shows("Your session is over");
}

#[tokio::test]
async fn without_https_and_below_a_path_cookie_and_addresses_follow() {
    let portal = PortalPlace { public_url: "http://localhost:8787/keys".to_owned(), ..PortalPlace::default() };
    let world = World::with(TestSettings { portal, ..TestSettings::default() }).await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let post = Request::post(&link).header(ORIGIN, "http://localhost:8787").body(Body::empty()).unwrap();
    let opened = world.send(post).await;
    assert_eq!(opened.location(), "/keys/portal");
    let (pair, attributes) = opened.header(SET_COOKIE).split_once("; ").unwrap();
    assert!(pair.starts_with("claviger_portal=clv_"), "{pair}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Max-Age=86400");
    let page = world.send(Request::get("/portal").header(COOKIE, pair).body(Body::empty()).unwrap()).await;
    page.assert_shows("href=\"/keys/portal/style.css?v=");
    page.assert_shows("href=\"/keys/portal/providers/openai\"");
}

#[tokio::test]
async fn whoever_comes_too_late_is_shown_the_way_back_to_a_new_link() {
    let world = World::new().await;
    let url = "https://app.example.com/settings";
    let link = CreatePortalLink { return_url: Some(url.to_owned()), ..CreatePortalLink::new(PortalRole::Admin) };
    let browser = world.enter(link).await;
    world.test.clock.advance(Duration::from_hours(1));
    let late = browser.get("/portal").await;
    late.assert_shows("Your session has expired");
    late.assert_shows(&format!("href=\"{url}\""));
}
