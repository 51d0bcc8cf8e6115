//! What the pages show.

use claviger_app::portal::CreatePortalLink;
use claviger_core::Owner;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_testkit::random_secret;
use http::StatusCode;
use http::header::CACHE_CONTROL;

use crate::world::{ADD, Browser, OPENAI, World};

#[tokio::test]
async fn the_first_page_has_every_provider_in_its_section_and_is_small() {
    let world = World::new().await;
    for provider in world.test.app.catalogue.iter() {
        for _ in 0..3 {
            world.test.key(&world.acme, provider.id.as_str()).await;
        }
    }
    let browser = world.admin().await;
    let page = browser.get("/portal?accent=2f4bc7&theme=light&density=compact").await;
    let places = ["<h2 id=\"section-0\">Models", "Search &#38; web", "Enrichment"].map(|words| page.text.find(words));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
    for provider in world.test.app.catalogue.iter() {
        page.assert_shows(&format!("\"/portal/providers/{}\"", provider.id));
    }
    page.assert_shows("3 keys, all working");
    let mut size = page.text.len();
    for asset in ["style.css", "portal.js", "icon.svg", "icons.svg", "accent/2f4bc7.css"] {
        let address = page.asset(asset);
        size += browser.get(address).await.text.len();
    }
    assert!(size < 60_000, "{size} bytes with all that it loads");
}

#[tokio::test]
async fn a_search_finds_by_name_and_purpose_and_says_when_nothing_matches() {
    let world = World::new().await;
    let browser = world.admin().await;
    let found = browser.get("/portal?search=+oPenAi+").await;
    found.assert_shows("<h3>OpenAI</h3>");
    found.assert_lacks("<h3>Exa</h3>");
    found.assert_shows("value=\"oPenAi\"");
    let nothing = browser.get("/portal?search=zzz%26").await;
    nothing.assert_shows("No provider matches “zzz&#38;”.");
    nothing.assert_shows("Clear the search");
}

#[tokio::test]
async fn keys_stand_in_the_order_of_rotation_with_label_mask_and_state() {
    let world = World::new().await;
    let browser = world.admin().await;
    for name in ["First", "", "Third"] {
        let secret = random_secret();
        browser.post(ADD, &[("secret", &secret), ("name", name)]).await.location();
    }
    let page = browser.get(OPENAI).await;
    let places = ["<h3>First</h3>", "<h3>Unnamed key</h3>", "<h3>Third</h3>"].map(|words| page.text.find(words));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
    page.assert_shows("Working");
    page.assert_shows("Never used");
    for key in world.test.app.keys.list(&world.test.list_keys(&world.acme)).await.unwrap() {
        page.assert_shows(&format!("<code>{}</code>", key.record.masked));
    }
}

#[tokio::test]
async fn a_member_is_offered_nothing_but_a_look() {
    let world = World::new().await;
    world.key().await;
    let member = world.member().await;
    let page = member.get("/portal").await;
    page.assert_shows("View<span");
    for offer in ["Add key", "Manage<span"] {
        page.assert_lacks(offer);
    }
    let page = member.get(OPENAI).await;
    page.assert_shows("<h3>Unnamed key</h3>");
    for offer in ["type=\"password\"", "/replace", "/delete", "/switch"] {
        page.assert_lacks(offer);
    }
}

#[tokio::test]
async fn what_is_inherited_says_so_until_there_is_a_key() {
    let world = World::new().await;
    let group = world.test.organization("group", true).await;
    world.test.key_of(Owner::Organization(group.clone()), "openai").await;
    world.test.move_workspace(&world.acme, Some(&group)).await;
    let browser = world.admin().await;
    for page in ["/portal", OPENAI] {
        browser.get(page).await.assert_shows("Inherited from organization");
    }
    world.key().await;
    for page in ["/portal", OPENAI] {
        browser.get(page).await.assert_lacks("Inherited from organization");
    }
}

#[tokio::test]
async fn single_mode_has_one_key_a_provider_to_update_and_delete() {
    let world = World::new().await;
    let browser = world.single().await;
    browser.get("/portal").await.assert_shows("Add key<span");
    let secret = random_secret();
    browser.post(ADD, &[("secret", &secret)]).await.location();
    let page = browser.get("/portal?search=openai").await;
    page.assert_shows("Update<span");
    page.assert_shows("Delete<span");
    page.assert_lacks("Manage<span");
    let page = browser.get(OPENAI).await;
    page.assert_lacks("type=\"password\"");
    page.assert_lacks("/switch");
    let second = random_secret();
    let refused = browser.post(ADD, &[("secret", &second)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("There is a key already");
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test]
async fn a_link_says_which_providers_there_are_and_where_to_go_back_to() {
    let world = World::new().await;
    let link = CreatePortalLink {
        providers: vec!["exa".parse().unwrap()],
        return_url: Some("https://app.example.com/settings".to_owned()),
        mode: PortalMode::Multi,
        ..CreatePortalLink::new(PortalRole::Admin)
    };
    let browser = world.enter(link).await;
    let page = browser.get("/portal").await;
    page.assert_shows("<h3>Exa</h3>");
    page.assert_lacks("<h3>OpenAI</h3>");
    page.assert_shows("href=\"https://app.example.com/settings\"");
    assert_eq!(browser.get(OPENAI).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_look_is_taken_from_the_address_and_remembered() {
    let world = World::new().await;
    let browser = world.admin().await;
    let page = browser.get("/portal?theme=dark&accent=%23FFcc00&density=compact").await;
    page.assert_shows("data-theme=\"dark\" data-density=\"compact\"");
    page.assert_shows("href=\"/portal/accent/ffcc00.css?v=");
    let cookie = "claviger_look=dark.ffcc00.compact";
    assert_eq!(page.header("set-cookie"), format!("{cookie}; Path=/; HttpOnly; SameSite=Lax; Secure"));
    let later = Browser { cookie: format!("{}; {cookie}", browser.cookie), ..world.admin().await };
    let page = later.get(OPENAI).await;
    assert_eq!(page.header("set-cookie"), "");
    page.assert_shows("data-theme=\"dark\" data-density=\"compact\"");
    page.assert_shows("href=\"/portal/accent/ffcc00.css?v=");
    let page = later.get("/portal?theme=auto&density=comfortable").await;
    page.assert_lacks("data-theme");
    page.assert_lacks("data-density");
    assert!(page.header("set-cookie").starts_with("claviger_look=auto.ffcc00; "));
}

#[tokio::test]
async fn what_is_no_look_is_passed_over() {
    let world = World::new().await;
    let browser = world.admin().await;
    for query in ["theme=%22", "accent=red", "accent=%23fff%7d", "density=%3Cb%3E", "theme=DARK"] {
        let page = browser.get(&format!("/portal?{query}")).await;
        assert_eq!((page.status, page.header("set-cookie")), (StatusCode::OK, ""), "{query}");
        for trace in ["data-theme", "data-density", "/accent/"] {
            page.assert_lacks(trace);
        }
    }
}

#[tokio::test]
async fn a_link_may_say_the_look() {
    let world = World::new().await;
    let link = world.link(CreatePortalLink::new(PortalRole::Admin)).await;
    let opened = world.admin().await.get(&format!("{link}?theme=light")).await;
    assert!(opened.header("set-cookie").starts_with("claviger_look=light; "));
    opened.assert_shows("data-theme=\"light\"");
}

#[tokio::test]
async fn a_provider_has_its_picture_or_its_first_letter() {
    let world = World::new().await;
    let browser = world.admin().await;
    let page = browser.get("/portal").await;
    page.assert_shows(&format!("<use href=\"{}#anthropic\"/>", page.asset("icons.svg")));
    page.assert_shows("aria-hidden=\"true\">O</span>");
    let icons = browser.get("/portal/icons.svg").await;
    for symbol in icons.text.split("<symbol id=\"").skip(1) {
        let id = symbol.split('"').next().unwrap();
        assert!(world.test.app.catalogue.get(id).is_some(), "{id} is in the catalogue");
    }
}

#[tokio::test]
async fn what_pages_load_is_kept_for_good_under_the_address_of_its_version_alone() {
    let world = World::new().await;
    let browser = world.admin().await;
    let page = browser.get("/portal?accent=2f4bc7").await;
    for asset in ["style.css", "portal.js", "icon.svg", "icons.svg", "accent/2f4bc7.css"] {
        let address = page.asset(asset);
        let kept = browser.get(address).await;
        assert_eq!((kept.status, kept.header(CACHE_CONTROL)), (StatusCode::OK, "public, max-age=31536000, immutable"));
        // What another release's page asks for while nodes are replaced.
        for other in [address.split('?').next().unwrap(), &format!("/portal/{asset}?v=0"), &format!("{address}0")] {
            let passing = browser.get(other).await;
            assert_eq!((passing.status, passing.header(CACHE_CONTROL)), (StatusCode::OK, "no-store"), "{other}");
            assert_eq!(passing.text, kept.text);
        }
    }
}
