//! Every form.

use claviger_app::portal::CreatePortalLink;
use claviger_core::Owner;
use claviger_core::portal::PortalRole;
use claviger_testkit::random_secret;
use http::StatusCode;

use crate::world::{ADD, OPENAI, World};

#[tokio::test]
async fn a_key_is_added_with_who_added_it() {
    let world = World::new().await;
    let link = CreatePortalLink { actor: Some("user_7".to_owned()), ..CreatePortalLink::new(PortalRole::Admin) };
    let browser = world.enter(link).await;
    let secret = random_secret();
    let added = browser.post(ADD, &[("secret", &secret), ("name", " Büro ")]).await;
    assert_eq!(added.location(), format!("{OPENAI}?done=added"));
    let page = browser.get(added.location()).await;
    page.assert_shows("The key was added.");
    page.assert_shows("<h3>Büro</h3>");
    let listed = world.test.app.keys.list(&world.test.list_keys(&world.acme)).await.unwrap();
    assert_eq!(listed[0].record.created_by.as_deref(), Some("user_7"));
    browser.get(&format!("{OPENAI}?done=%3Cb%3E")).await.assert_lacks("id=\"notice\"");
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_the_label_stays() {
    let world = World::new().await;
    let browser = world.admin().await;
    let secret = random_secret();
    browser.post(ADD, &[("secret", &secret), ("name", "First")]).await.location();
    let long = "n".repeat(121);
    for (key, name, words) in [
        ("", "Kept", "Enter a key."),
        ("a b", "Kept", "A key has no spaces"),
        (secret.as_str(), "Kept", "This key is here already, as “First”."),
        ("abcdefgh", long.as_str(), "A label has at most 120 characters."),
    ] {
        let answer = browser.post(ADD, &[("secret", key), ("name", name)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        answer.assert_shows(words);
        answer.assert_shows(&format!("value=\"{name}\""));
        answer.assert_shows("aria-invalid=\"true\"");
    }
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test]
async fn the_eleventh_key_has_no_form_and_is_refused() {
    let world = World::new().await;
    let browser = world.admin().await;
    for _ in 0..10 {
        world.key().await;
    }
    let page = browser.get(OPENAI).await;
    page.assert_shows("Key limit reached (10 keys per provider)");
    page.assert_lacks("type=\"password\"");
    let secret = random_secret();
    let refused = browser.post(ADD, &[("secret", &secret)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("Key limit reached (10 keys per provider)");
    assert_eq!(world.keys().await.len(), 10);
}

#[tokio::test]
async fn a_key_is_replaced_in_its_place() {
    let world = World::new().await;
    let (first, _second) = (world.key().await, world.key().await);
    let browser = world.admin().await;
    let path = format!("{first}/replace");
    browser.get(&path).await.assert_shows("type=\"password\"");
    let empty = browser.post(&path, &[("secret", ""), ("name", "New")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    empty.assert_shows("value=\"New\"");
    let secret = random_secret();
    let replaced = browser.post(&path, &[("secret", &secret), ("name", "New")]).await;
    assert_eq!(replaced.location(), format!("{OPENAI}?done=replaced"));
    assert_eq!(world.keys().await, [("New".to_owned(), true), (String::new(), true)]);
    let listed = world.test.app.keys.list(&world.test.list_keys(&world.acme)).await.unwrap();
    assert!(listed[0].record.masked.ends_with(&secret[secret.len() - 4..]));
}

#[tokio::test]
async fn a_key_is_renamed_and_switched() {
    let world = World::new().await;
    let key = world.key().await;
    let browser = world.admin().await;
    browser.get(&format!("{key}/rename")).await.assert_shows("Rename “Unnamed key”");
    let renamed = browser.post(&format!("{key}/rename"), &[("name", "Main")]).await;
    assert_eq!(renamed.location(), format!("{OPENAI}?done=renamed"));
    let long = "n".repeat(121);
    let refused = browser.post(&format!("{key}/rename"), &[("name", &long)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (to, on, button) in [("off", false, "Switch on"), ("off", false, "Switch on"), ("on", true, "Switch off")] {
        let switched = browser.post(&format!("{key}/switch"), &[("to", to)]).await;
        assert_eq!(switched.location(), format!("{OPENAI}?done=switched-{to}"));
        assert_eq!(world.keys().await, [("Main".to_owned(), on)]);
        browser.get(OPENAI).await.assert_shows(button);
    }
}

#[tokio::test]
async fn deleting_says_what_follows_first() {
    let world = World::new().await;
    let keys = [world.key().await, world.key().await, world.key().await];
    let browser = world.admin().await;
    browser.get(&format!("{}/delete", keys[0])).await.assert_shows("Requests continue on the remaining 2 keys.");
    browser.post(&format!("{}/switch", keys[1]), &[("to", "off")]).await.location();
    browser.get(&format!("{}/delete", keys[0])).await.assert_shows("Requests continue on the remaining key.");
    browser.post(&format!("{}/switch", keys[2]), &[("to", "off")]).await.location();
    browser.get(&format!("{}/delete", keys[0])).await.assert_shows("The other keys are switched off");
    for key in &keys[1..] {
        let deleted = browser.post(&format!("{key}/delete"), &[]).await;
        assert_eq!(deleted.location(), format!("{OPENAI}?done=deleted"));
    }
    browser.get(&format!("{}/delete", keys[0])).await.assert_shows("This is the last key: nothing will be used");
    let group = world.test.organization("group", true).await;
    world.test.key_of(Owner::Organization(group.clone()), "openai").await;
    world.test.move_workspace(&world.acme, Some(&group)).await;
    browser.get(&format!("{}/delete", keys[0])).await.assert_shows("your organization’s keys will be used");
    browser.post(&format!("{}/delete", keys[0]), &[]).await.location();
    let gone = browser.post(&format!("{}/delete", keys[0]), &[]).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    gone.assert_shows("This key is not here any more");
}

#[tokio::test]
async fn a_key_is_found_only_where_it_belongs() {
    let world = World::new().await;
    let id = world.key().await.rsplit('/').next().unwrap().to_owned();
    let exa = vec!["exa".parse().unwrap()];
    let browser = world.enter(CreatePortalLink { providers: exa, ..CreatePortalLink::new(PortalRole::Admin) }).await;
    for path in [format!("/portal/providers/exa/keys/{id}/delete"), format!("{ADD}/{id}/delete")] {
        assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(browser.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    }
    let secret = random_secret();
    assert_eq!(browser.post(ADD, &[("secret", &secret)]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.keys().await.len(), 1);
}
