//! How keys fare: tested, verified, used.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::keyring::{ProbeAnswer, Prober, Unreachable};
use claviger_core::catalogue::Probe;
use claviger_core::health::Headers;
use claviger_core::{KeySecret, Provider};
use claviger_testkit::{TestSettings, answered, random_secret};
use http::StatusCode;

use crate::world::{ADD, OPENAI, World};

/// Answers every probe with this status and body; the provider cannot be reached while there is none.
#[derive(Debug, Default)]
struct Script(Mutex<Option<(u16, &'static str)>>);

#[async_trait]
impl Prober for Script {
    async fn probe(&self, _: &Provider, _: &Probe, _: &KeySecret) -> Result<ProbeAnswer, Unreachable> {
        let (status, body) = self.0.lock().unwrap().ok_or(Unreachable)?;
        Ok(ProbeAnswer { status, headers: Vec::new(), body: body.as_bytes().to_vec() })
    }
}

const GOOD: Option<(u16, &str)> = Some((200, r#"{"data":[]}"#));
const REFUSED: Option<(u16, &str)> = Some((401, r#"{"error":{"code":"invalid_api_key"}}"#));
const BROKE: Option<(u16, &str)> = Some((429, r#"{"error":{"code":"insufficient_quota"}}"#));
const ELSEWHERE: Option<(u16, &str)> = Some((404, ""));

async fn world() -> (World, Arc<Script>) {
    let script = Arc::new(Script::default());
    let prober: Arc<dyn Prober> = Arc::clone(&script) as _;
    (World::with(TestSettings { prober: Some(prober), ..TestSettings::default() }).await, script)
}

#[tokio::test]
async fn a_test_tells_in_words_what_the_provider_says_of_which_key() {
    let (world, script) = world().await;
    let key = world.key().await;
    let browser = world.admin().await;
    for (answer, words) in [
        (GOOD, "“Unnamed key”: The provider accepts this key."),
        (REFUSED, "“Unnamed key”: The provider refuses this key. Replace it."),
        (BROKE, "“Unnamed key”: The provider knows this key, but its account has no credit."),
        (None, "“Unnamed key”: The provider could not be reached, so nothing is known of this key."),
        (ELSEWHERE, "“Unnamed key”: The provider’s answer says nothing about this key."),
    ] {
        *script.0.lock().unwrap() = answer;
        let tested = browser.post(&format!("{key}/test"), &[]).await;
        browser.get(tested.location()).await.assert_shows(words);
    }
    browser.post(&format!("{key}/delete"), &[]).await.location();
    assert_eq!(browser.post(&format!("{key}/test"), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_test_shows_stands_at_the_key_with_its_reason_and_return() {
    let (world, script) = world().await;
    let key = world.key().await;
    let browser = world.admin().await;
    *script.0.lock().unwrap() = REFUSED;
    browser.post(&format!("{key}/test"), &[]).await.location();
    let page = browser.get(OPENAI).await;
    page.assert_shows("data-state=\"broken\"");
    page.assert_shows("Refused by the provider");
    browser.get("/portal?search=openai").await.assert_shows("1 key, not working");
}

#[tokio::test]
async fn a_key_that_is_verified_is_saved_with_the_result_or_refused_beside_its_field() {
    let (world, script) = world().await;
    let browser = world.admin().await;
    browser.get(OPENAI).await.assert_shows("name=\"verify\"");
    for (answer, words) in [
        (GOOD, "The key was added. The provider accepts it."),
        (BROKE, "The key was added. The provider knows it, but its account has no credit."),
        (None, "The key was added. It could not be tested."),
    ] {
        *script.0.lock().unwrap() = answer;
        let secret = random_secret();
        let added = browser.post(ADD, &[("secret", &secret), ("verify", "yes")]).await;
        browser.get(added.location()).await.assert_shows(words);
    }
    *script.0.lock().unwrap() = REFUSED;
    let secret = random_secret();
    let refused = browser.post(ADD, &[("secret", &secret), ("name", "Kept"), ("verify", "yes")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("id=\"add-secret-error\">OpenAI does not accept this key, so it was not saved.");
    refused.assert_shows("value=\"Kept\"");
    refused.assert_shows("value=\"yes\" checked");
    refused.assert_lacks(&secret);
    assert_eq!(world.keys().await.len(), 3);
}

#[tokio::test]
async fn a_keys_day_is_drawn_by_the_hour_and_said_in_words() {
    let (world, _) = world().await;
    world.key().await;
    world.key().await;
    let openai = "openai".parse().unwrap();
    let relay = async |statuses: &[u16]| {
        for status in statuses {
            let (_secret, lease) = world.test.app.keyring.lease(&world.acme, &openai).await.unwrap();
            lease.end(answered(*status));
        }
        world.test.app.keyring.write_uses().await.unwrap();
    };
    relay(&[200, 200]).await;
    world.test.clock.advance(Duration::from_hours(2));
    relay(&[200, 200, 500, 400]).await;
    let page = world.member().await.get(OPENAI).await;
    page.assert_shows("3 requests in the last 24 hours, 1 of them met a limit or an error");
    page.assert_shows("<p class=\"quiet\">3 requests in the last 24 hours</p>");
    page.assert_shows("role=\"img\" aria-label=\"Most were between 02:00 and 03:00 UTC: 2.\"");
    world.test.clock.advance(Duration::from_hours(24));
    let page = world.admin().await.get(OPENAI).await;
    page.assert_shows("No requests in the last 24 hours");
    page.assert_lacks("role=\"img\"");
}

#[tokio::test]
async fn a_limited_key_says_when_it_is_back() {
    let (world, _) = world().await;
    world.key().await;
    let openai = "openai".parse().unwrap();
    let (_secret, lease) = world.test.app.keyring.lease(&world.acme, &openai).await.unwrap();
    lease.end(answered(429));
    let page = world.admin().await.get(OPENAI).await;
    page.assert_shows("data-state=\"resting\"");
    page.assert_shows("Rate limited, back in ");
}

/// An answer that names an account.
struct Account;

impl Headers for Account {
    fn get(&self, name: &str) -> Option<&str> {
        (name == "openai-organization").then_some("org-one")
    }
}

#[tokio::test]
async fn keys_of_one_account_warn_that_they_share_its_limits() {
    let (world, _) = world().await;
    let browser = world.admin().await;
    let openai = "openai".parse().unwrap();
    for name in ["First", "Second", "Third"] {
        let secret = random_secret();
        browser.post(ADD, &[("secret", &secret), ("name", name)]).await.location();
    }
    for account in [Some(Account), Some(Account), None] {
        let (_secret, lease) = world.test.app.keyring.lease(&world.acme, &openai).await.unwrap();
        if let Some(account) = account {
            lease.learn_domain(&account);
        }
        lease.end(answered(200));
    }
    let page = browser.get(OPENAI).await;
    page.assert_shows("Shares its account’s limits with Second.");
    page.assert_shows("Shares its account’s limits with First.");
    assert_eq!(page.text.matches("class=\"warning\"").count(), 2);
}
