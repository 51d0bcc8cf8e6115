//! Keys of workspaces, organizations and the platform.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_app::keyring::{PlatformKey, ProbeAnswer, Prober, Unreachable};
use claviger_core::catalogue::Probe;
use claviger_core::{KeySecret, Owner, Provider};
use claviger_testkit::{TestSettings, random_secret};
use http::StatusCode;
use zeroize::Zeroizing;

use crate::world::World;

/// Every kind of owner, with its page.
async fn owners(world: &World) -> [(Owner, &'static str); 3] {
    [
        (Owner::Workspace(world.test.workspace("acme").await), "/console/workspaces/acme"),
        (Owner::Organization(world.test.organization("group", true).await), "/console/organizations/group"),
        (Owner::Platform, "/console/platform"),
    ]
}

async fn names(world: &World, owner: &Owner) -> Vec<(String, bool)> {
    let keys = world.test.app.keys.list(&world.test.list_keys_of(owner.clone())).await.unwrap();
    let name = |key: &claviger_app::keys::ListedKey| {
        key.record.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default()
    };
    keys.iter().map(|key| (name(key), key.record.enabled)).collect()
}

#[tokio::test]
async fn keys_of_every_owner_are_added_replaced_renamed_switched_and_deleted() {
    let world = World::new().await;
    let browser = world.operator().await;
    for (owner, page) in owners(&world).await {
        browser.page(&format!("{page}/keys/new?provider=openai")).await.assert_shows("value=\"openai\" selected");
        let secret = random_secret();
        let fields = [("provider", "openai"), ("secret", secret.as_str()), ("name", "First")];
        let added = browser.post(&format!("{page}/keys"), &fields).await;
        assert_eq!(added.location(), format!("{page}?done=added"));
        browser.page(added.location()).await.assert_shows("The key was added.");
        assert_eq!(names(&world, &owner).await, [("First".to_owned(), true)]);
        let listed = world.test.app.keys.list(&world.test.list_keys_of(owner.clone())).await.unwrap();
        assert!(listed[0].record.created_by.as_deref().unwrap().starts_with("console:"));

        let key = format!("{page}/keys/{}", listed[0].record.id);
        browser.page(&format!("{key}/replace")).await.assert_shows("type=\"password\"");
        let second = random_secret();
        let fields = [("secret", second.as_str()), ("name", "Second")];
        assert_eq!(browser.post(&format!("{key}/replace"), &fields).await.location(), format!("{page}?done=replaced"));
        browser.page(&format!("{key}/rename")).await.assert_shows("value=\"Second\"");
        let renamed = browser.post(&format!("{key}/rename"), &[("name", "Third")]).await;
        assert_eq!(renamed.location(), format!("{page}?done=renamed"));
        for (to, on) in [("off", false), ("on", true)] {
            let switched = browser.post(&format!("{key}/switch"), &[("to", to)]).await;
            assert_eq!(switched.location(), format!("{page}?done=switched-{to}"));
            assert_eq!(names(&world, &owner).await, [("Third".to_owned(), on)]);
        }
        assert_eq!(browser.post(&format!("{key}/switch"), &[("to", "")]).await.status, StatusCode::BAD_REQUEST);
        let tested = browser.post(&format!("{key}/test"), &[]).await;
        assert_eq!(tested.location(), format!("{page}?done=tested-not-testable"));
        browser.page(&format!("{key}/delete")).await.assert_shows("Delete “Third”?");
        assert_eq!(browser.post(&format!("{key}/delete"), &[]).await.location(), format!("{page}?done=deleted"));
        assert_eq!(browser.post(&format!("{key}/delete"), &[]).await.status, StatusCode::NOT_FOUND);
        assert!(names(&world, &owner).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_key_stands_beside_its_field() {
    let world = World::new().await;
    let browser = world.operator().await;
    let secret = random_secret();
    let fields = [("provider", "openai"), ("secret", secret.as_str()), ("name", "First")];
    browser.post("/console/platform/keys", &fields).await.location();
    for (provider, secret, words) in [
        ("openai", secret.as_str(), "This key is here already, as “First”."),
        ("openai", "", "Enter a key."),
        ("openai", "a b", "A key has no spaces"),
        ("", "abcdefgh", "Choose a provider."),
        ("nobody", "abcdefgh", "Choose a provider."),
    ] {
        let fields = [("provider", provider), ("secret", secret), ("name", "Kept")];
        let refused = browser.post("/console/platform/keys", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        refused.assert_shows(words);
        refused.assert_shows("value=\"Kept\"");
    }
    for _ in 1..10 {
        world.test.key_of(Owner::Platform, "openai").await;
    }
    let eleventh = random_secret();
    let refused = browser.post("/console/platform/keys", &[("provider", "openai"), ("secret", &eleventh)]).await;
    refused.assert_shows("Key limit reached");
    browser.page("/console/platform").await.assert_shows("Full");
}

#[tokio::test]
async fn a_key_is_found_only_where_it_belongs() {
    let world = World::new().await;
    let browser = world.operator().await;
    let [(acme, _), (_, group), (_, platform)] = owners(&world).await;
    let key = world.test.key_of(acme, "openai").await;
    for page in [group, platform, "/console/workspaces/nobody", "/console/organizations/nobody"] {
        for action in ["replace", "rename", "delete"] {
            let path = format!("{page}/keys/{}/{action}", key.id);
            assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(browser.post(&path, &[("name", "x")]).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    assert_eq!(browser.get("/console/workspaces/nobody/keys/new").await.status, StatusCode::NOT_FOUND);
    let secret = random_secret();
    let fields = [("provider", "openai"), ("secret", secret.as_str())];
    assert_eq!(browser.post("/console/workspaces/nobody/keys", &fields).await.status, StatusCode::NOT_FOUND);
}

/// A provider that refuses every key.
#[derive(Debug)]
struct Refusing;

#[async_trait]
impl Prober for Refusing {
    async fn probe(&self, _: &Provider, _: &Probe, _: &KeySecret) -> Result<ProbeAnswer, Unreachable> {
        Ok(ProbeAnswer { status: 401, headers: Vec::new(), body: Vec::new() })
    }
}

#[tokio::test]
async fn a_test_asks_the_provider_and_the_key_shows_what_it_said() {
    let world = World::with(TestSettings { prober: Some(Arc::new(Refusing)), ..TestSettings::default() }).await;
    let browser = world.operator().await;
    let key = world.test.key_of(Owner::Platform, "openai").await;
    let tested = browser.post(&format!("/console/platform/keys/{}/test", key.id), &[]).await;
    assert_eq!(tested.location(), "/console/platform?done=tested-invalid");
    let page = browser.page(tested.location()).await;
    page.assert_shows("The provider refuses the key.");
    page.assert_shows("Refused by the provider");

    let secret = random_secret();
    let fields = [("provider", "openai"), ("secret", secret.as_str()), ("verify", "yes")];
    let refused = browser.post("/console/platform/keys", &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("does not accept this key, so it was not saved.");
}

#[tokio::test]
async fn a_key_that_a_setting_gives_is_shown_and_changed_only_there() {
    let secret = random_secret();
    let given = PlatformKey {
        provider: "openai".parse().unwrap(),
        number: 1,
        setting: "platform.openai_api_key_1".to_owned(),
        secret: KeySecret::parse(&Zeroizing::new(secret.clone())).unwrap(),
    };
    let world = World::with(TestSettings { platform_keys: vec![given], ..TestSettings::default() }).await;
    let browser = world.operator().await;
    let page = browser.page("/console/platform").await;
    page.assert_shows("platform.openai_api_key_1");
    page.assert_shows("Given by a setting");
    page.assert_lacks("/delete\"");
    page.assert_lacks(&secret);
    let id = page.between("/console/platform/keys/key_", "/").to_owned();
    let refused = browser.post(&format!("/console/platform/keys/key_{id}/delete"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.assert_shows("This key is given by a setting");
}
