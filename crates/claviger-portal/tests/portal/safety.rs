//! What must not happen.

use axum::body::Body;
use claviger_testkit::{TestSettings, random_secret};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Request, StatusCode};

use crate::world::{ADD, HERE, OPENAI, World};

#[tokio::test]
async fn a_form_of_another_page_changes_nothing() {
    let world = World::new().await;
    let browser = world.admin().await;
    let (token, secret) = (browser.form_token().await, random_secret());
    let fields = [("secret", secret.as_str())];
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", HERE)],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://keys.example.com.evil.example")],
    ];
    for headers in foreign {
        let refused = browser.post_with(ADD, &token, &fields, headers).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let stranger = world.admin().await;
    for token in ["", "x", &stranger.form_token().await] {
        let refused = browser.post_with(ADD, token, &fields, &[("origin", HERE)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{token}");
        refused.assert_shows("Nothing was changed");
    }
    assert!(world.keys().await.is_empty());
    for headers in
        [&[("origin", HERE)][..], &[("sec-fetch-site", "same-origin")], &[("origin", "http://h:1"), ("host", "h:1")]]
    {
        let secret = random_secret();
        let accepted = browser.post_with(ADD, &token, &[("secret", &secret)], headers).await;
        assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{headers:?}");
    }
}

#[tokio::test]
async fn a_member_changes_nothing() {
    let world = World::new().await;
    let key = world.key().await;
    let member = world.member().await;
    let secret = random_secret();
    for (path, fields) in [
        (ADD.to_owned(), [("secret", secret.as_str())]),
        (format!("{key}/replace"), [("secret", secret.as_str())]),
        (format!("{key}/rename"), [("name", "Mine")]),
        (format!("{key}/switch"), [("to", "off")]),
        (format!("{key}/delete"), [("", "")]),
        (format!("{key}/test"), [("", "")]),
    ] {
        let refused = member.post(&path, &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        refused.assert_shows("You cannot change keys here");
    }
    for page in ["replace", "rename", "delete"] {
        assert_eq!(member.get(&format!("{key}/{page}")).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.keys().await, [(String::new(), true)]);
}

#[tokio::test]
async fn no_page_and_no_address_holds_a_key() {
    let world = World::new().await;
    let browser = world.admin().await;
    let secret = random_secret();
    let added = browser.post(ADD, &[("secret", &secret), ("name", "Production")]).await;
    let mut texts = vec![added.location().to_owned()];
    for wrong in [secret.clone(), format!("{secret} {secret}"), "x".repeat(5_000)] {
        let answer = browser.post(ADD, &[("secret", &wrong), ("name", "Production")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        answer.assert_shows("value=\"Production\"");
        texts.push(answer.text);
    }
    let key = browser.get(OPENAI).await.text;
    let id = key.split("/keys/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    for page in ["/portal", OPENAI] {
        texts.push(browser.get(page).await.text);
    }
    for page in ["replace", "rename", "delete"] {
        texts.push(browser.get(&format!("{ADD}/{id}/{page}")).await.text);
    }
    for text in texts {
        assert!(!text.contains(&secret) && !text.contains("xxxxxxxx"), "{text}");
    }
}

#[tokio::test]
async fn what_a_form_cannot_be_is_refused() {
    let world = World::new().await;
    let browser = world.admin().await;
    let huge = "x".repeat(70_000);
    let refused = browser.post(ADD, &[("secret", &huge)]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let key = world.key().await;
    assert_eq!(browser.post(&format!("{key}/switch"), &[("to", "sideways")]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_answer_keeps_other_pages_scripts_and_caches_away() {
    let world = World::new().await;
    let browser = world.admin().await;
    for path in ["/portal", OPENAI, "/portal/nowhere", "/portal/providers/nobody", "/portal/open/acme/x"] {
        let answer = browser.get(path).await;
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        let expected = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                        form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        assert_eq!(policy, expected, "{path}");
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(REFERRER_POLICY), "same-origin");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
        let own = format!("<script src=\"{}\" defer></script>", answer.asset("portal.js"));
        assert_eq!((answer.text.matches("<script").count(), answer.text.matches(&own).count()), (1, 1), "{path}");
        for forbidden in ["<style", "style=\"", "onclick", "javascript:"] {
            answer.assert_lacks(forbidden);
        }
    }
    for (asset, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("portal.js", "text/javascript; charset=utf-8"),
        ("icons.svg", "image/svg+xml"),
        ("accent/2f4bc7.css", "text/css; charset=utf-8"),
    ] {
        let answer = browser.get(&format!("/portal/{asset}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, kind), "{asset}");
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    assert_eq!(browser.get("/portal/accent/red.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn names_are_shown_and_not_run() {
    let world = World::new().await;
    let browser = world.admin().await;
    let secret = random_secret();
    browser.post(ADD, &[("secret", &secret), ("name", "<script>alert(1)</script>")]).await.location();
    let page = browser.get(OPENAI).await;
    page.assert_shows("&#60;script&#62;alert(1)");
    page.assert_lacks("<script>");
    browser.get("/portal?search=%22%3E%3Cscript%3E").await.assert_lacks("<script>");
}

#[tokio::test]
async fn whoever_tries_links_is_told_to_wait_and_those_who_are_in_stay_in() {
    let world = World::with(TestSettings { bad_token_limit: 2, ..TestSettings::default() }).await;
    let browser = world.admin().await;
    let guess = async || world.send(Request::get("/portal/open/acme/nonsense").body(Body::empty()).unwrap()).await;
    for _ in 0..2 {
        assert_eq!(guess().await.status, StatusCode::NOT_FOUND);
    }
    let refused = guess().await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header(RETRY_AFTER), "30");
    refused.assert_shows("Please wait a moment");
    assert_eq!(browser.get(OPENAI).await.status, StatusCode::OK);
}
