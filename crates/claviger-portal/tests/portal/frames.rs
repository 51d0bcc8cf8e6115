//! The portal in a frame of another page.

use axum::body::Body;
use claviger_app::portal::{CreatePortalLink, PortalPlace};
use claviger_core::portal::PortalRole;
use claviger_testkit::{TestSettings, random_secret};
use http::header::{CONTENT_SECURITY_POLICY, COOKIE, ORIGIN, SET_COOKIE};
use http::{Request, StatusCode};

use crate::world::{ADD, Answer, Browser, HERE, OPENAI, World};

const HOSTS: [&str; 2] = ["https://app.example.com", "http://localhost:3000"];

async fn world() -> World {
    let portal = PortalPlace {
        public_url: HERE.to_owned(),
        embed_hosts: HOSTS.iter().map(|host| host.parse().unwrap()).collect(),
        ..PortalPlace::default()
    };
    World::with(TestSettings { portal, ..TestSettings::default() }).await
}

fn framed() -> CreatePortalLink {
    CreatePortalLink { embedded: true, ..CreatePortalLink::new(PortalRole::Admin) }
}

fn holders(answer: &Answer) -> &str {
    answer.header(CONTENT_SECURITY_POLICY).rsplit_once("frame-ancestors ").unwrap().1
}

#[tokio::test]
async fn a_session_for_a_frame_has_a_partitioned_cookie_and_is_held_by_the_listed_hosts() {
    let world = world().await;
    let link = world.link(framed()).await;
    let seen = world.send(Request::get(&link).body(Body::empty()).unwrap()).await;
    assert_eq!(holders(&seen), HOSTS.join(" "));
    let opened = world.send(Request::post(&link).header(ORIGIN, HERE).body(Body::empty()).unwrap()).await;
    let cookies: Vec<_> = opened.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    let (pair, attributes) = cookies[0].split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-claviger_embed=clv_"), "{pair}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=None; Secure; Partitioned; Max-Age=86400");
    assert_eq!(cookies[1], "__Host-claviger_portal=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");

    let browser = Browser { world: &world, cookie: pair.to_owned() };
    for path in ["/portal", OPENAI, "/portal/sessions", "/portal/nowhere"] {
        let page = browser.get(path).await;
        assert_eq!(holders(&page), HOSTS.join(" "), "{path}");
    }
    let secret = random_secret();
    assert_eq!(browser.post(ADD, &[("secret", &secret)]).await.location(), format!("{OPENAI}?done=added"));
    let foreign = browser.post_with(ADD, "x", &[], &[("origin", HOSTS[0]), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "who holds the frame does not write in it");
    let page = browser.get("/portal?theme=dark").await;
    let look = page.header(SET_COOKIE);
    assert_eq!(look, "claviger_look=dark; Path=/; HttpOnly; SameSite=None; Secure; Partitioned");
}

#[tokio::test]
async fn any_other_session_and_link_is_held_by_nobody() {
    let world = world().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let seen = world.send(Request::get(&link).body(Body::empty()).unwrap()).await;
    assert_eq!(holders(&seen), "'none'");
    let browser = world.admin().await;
    for path in ["/portal", OPENAI, "/portal/nowhere"] {
        assert_eq!(holders(&browser.get(path).await), "'none'", "{path}");
    }
}

#[tokio::test]
async fn a_cookie_counts_for_its_own_way_alone() {
    let world = world().await;
    let (page, frame) = (world.admin().await, world.enter(framed()).await);
    let (page, frame) = (page.cookie.split_once('=').unwrap(), frame.cookie.split_once('=').unwrap());
    for cookie in [
        format!("{}={}", page.0, frame.1),
        format!("{}={}", frame.0, page.1),
        // What a frame's cookie opens the gate for is never the other session.
        format!("{}={}; {}=x", page.0, page.1, frame.0),
    ] {
        let answer = world.send(Request::get("/portal").header(COOKIE, &cookie).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
    let both = format!("{}={}; {}={}", page.0, page.1, frame.0, frame.1);
    let answer = world.send(Request::get("/portal").header(COOKIE, &both).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, holders(&answer)), (StatusCode::OK, HOSTS.join(" ").as_str()));
}

#[tokio::test]
async fn that_a_session_is_over_is_said_in_a_frame_too() {
    let world = world().await;
    let answer = world.send(Request::get("/portal").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, holders(&answer)), (StatusCode::UNAUTHORIZED, HOSTS.join(" ").as_str()));
}

#[tokio::test]
async fn the_way_back_leads_out_of_the_frame() {
    let portal = PortalPlace {
        embed_hosts: vec![HOSTS[0].parse().unwrap()],
        return_hosts: claviger_core::net::Reach::new(["app.example.com"]).unwrap(),
        public_url: HERE.to_owned(),
    };
    let world = World::with(TestSettings { portal, ..TestSettings::default() }).await;
    let link = CreatePortalLink { return_url: Some("https://app.example.com/".to_owned()), ..framed() };
    let page = world.enter(link).await.get("/portal").await;
    page.assert_shows("href=\"https://app.example.com/\" rel=\"noreferrer\" target=\"_top\"");
}
