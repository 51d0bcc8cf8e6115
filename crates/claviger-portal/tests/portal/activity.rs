//! The Activity page: who changed what, and how keys were used.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use claviger_app::ClientAddress;
use claviger_app::access::{ListKeys, ManageKeys, ManageWorkspaces, Permit, Principal};
use claviger_app::portal::CreatePortalLink;
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_app::webhooks::CreateWebhook;
use claviger_app::workspaces::PutWorkspace;
use claviger_core::access::TokenRole;
use claviger_core::portal::PortalRole;
use claviger_core::{KeyId, KeyName, Owner, Timestamp, WorkspaceId};
use claviger_testkit::{answered, put_key, random_secret};
use http::StatusCode;

use crate::world::{Answer, Browser, World};

const PAGE: &str = "/portal/activity";
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// What somebody may do with the keys of a workspace.
fn keys_of(workspace: &WorkspaceId, actor: &str) -> Permit<ManageKeys> {
    let caller = Principal::operator().calling_from(ClientAddress(ADDRESS));
    caller.permit_on(Owner::Workspace(workspace.clone()), Some(actor)).unwrap()
}

fn link(actor: &str, role: PortalRole) -> CreatePortalLink {
    CreatePortalLink { actor: Some(actor.to_owned()), ..CreatePortalLink::new(role) }
}

/// Adds a key with a label.
async fn key(world: &World, actor: &str, provider: &str, name: &str) -> KeyId {
    let named =
        claviger_app::keys::PutKey { name: Some(KeyName::parse(name).unwrap()), ..put_key(provider, &random_secret()) };
    world.test.app.keys.add(&keys_of(&world.acme, actor), named).await.unwrap().key.id
}

/// The sentences of a page, the newest first, without marks.
fn sentences(page: &Answer) -> Vec<String> {
    let items = page.text.split("<li data-change=").skip(1);
    let texts = items.map(|item| item.split_once("<p>").unwrap().1.split_once("</p>").unwrap().0);
    texts.map(|text| text.replace("<bdi class=\"who\">", "").replace("</bdi>", "").replace('\n', "")).collect()
}

/// Where a link leads to.
fn href(page: &Answer, id: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("id=\"{id}\" href=\"")).expect("the link");
    rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

/// Sends requests with the workspace's keys, in their turn.
async fn relay(world: &World, provider: &str, statuses: &[u16]) {
    for status in statuses {
        let (_secret, lease) = world.test.app.keyring.lease(&world.acme, &provider.parse().unwrap()).await.unwrap();
        lease.end(answered(*status));
    }
    world.test.app.keyring.write_uses().await.unwrap();
}

#[tokio::test]
async fn every_change_of_a_key_is_a_sentence() {
    let world = World::new().await;
    let (keys, permit) = (&world.test.app.keys, keys_of(&world.acme, "ada"));
    let id = key(&world, "ada", "openai", "Main").await;
    let first = keys.list(&world.test.list_keys(&world.acme)).await.unwrap()[0].record.masked.clone();
    keys.change(&permit, &id, Some(KeyName::parse("Spare").unwrap()), None).await.unwrap();
    keys.change(&permit, &id, None, Some(false)).await.unwrap();
    keys.change(&permit, &id, None, Some(true)).await.unwrap();
    keys.change(&permit, &id, Some(None), Some(false)).await.unwrap();
    let replaced = keys.replace(&permit, &id, put_key("openai", &random_secret())).await.unwrap().key.masked;
    keys.delete(&permit, &"openai".parse().unwrap(), &id).await.unwrap();
    let page = world.enter(link("bob", PortalRole::Member)).await.get(PAGE).await;
    let said = sentences(&page);
    assert_eq!(
        said[..said.len() - 1],
        [
            "bob opened this page, to look at keys".to_owned(),
            "The operator made a link to this page for bob, to look at keys".to_owned(),
            format!("ada deleted the OpenAI key ({replaced})"),
            format!("ada replaced the secret of the OpenAI key ({replaced}), which was {first}"),
            format!("ada took the label “Spare” from the OpenAI key ({first}), and switched it off"),
            format!("ada switched the OpenAI key “Spare” ({first}) on"),
            format!("ada switched the OpenAI key “Spare” ({first}) off"),
            format!("ada renamed the OpenAI key ({first}) from “Main” to “Spare”"),
            format!("ada added the OpenAI key “Main” ({first})"),
        ]
    );
    assert_eq!(said.last().unwrap(), "The operator made this workspace");
}

#[tokio::test]
async fn whatever_else_belongs_to_the_workspace_is_a_sentence_too() {
    let world = World::new().await;
    let app = &world.test.app;
    let operator = Principal::operator();
    let tokens = operator.permit_tokens(Some("ada")).unwrap();
    let holder = TokenHolder::Workspace(TokenRole::Runtime, world.acme.clone());
    let create = CreateToken { name: "CI".to_owned(), holder, reveal: false, expires_at: None };
    let (secret, token) = app.tokens.create(&tokens, create).await.unwrap();
    app.tokens.delete(&tokens, &token.id).await.unwrap();
    let permit = keys_of(&world.acme, "ada");
    let hook = CreateWebhook { url: "https://hooks.example.com/t/kept-back".to_owned(), events: [].into() };
    let (_, hook) = app.webhooks.create(&permit, &hook).await.unwrap();
    app.webhooks.delete(&permit, &hook.id).await.unwrap();
    let workspaces = operator.permit::<ManageWorkspaces>(Some("ada")).unwrap();
    for name in ["One", "Two"] {
        let put = PutWorkspace { name: Some(Some(name.to_owned())), organization: None };
        app.workspaces.put(&workspaces, world.acme.clone(), put).await.unwrap();
    }
    let group = world.test.organization("group", true).await;
    world.test.move_workspace(&world.acme, Some(&group)).await;
    world.test.move_workspace(&world.acme, None).await;
    let ada = world.enter(link("ada", PortalRole::Admin)).await;
    let bob = world.member().await;
    let sessions = ada.get("/portal/sessions").await.text;
    let bobs = sessions.split("id=\"end-").nth(1).unwrap().split('"').next().unwrap().to_owned();
    ada.post(&format!("/portal/sessions/{bobs}/end"), &[]).await.location();
    assert_eq!(bob.get(PAGE).await.status, StatusCode::UNAUTHORIZED);
    let carol = world.enter(link("carol", PortalRole::Member)).await;
    carol.post("/portal/leave", &[]).await;
    let page = ada.get(PAGE).await;
    let said = sentences(&page);
    for sentence in [
        "ada made the access token “CI” of the role runtime",
        "ada deleted the access token “CI”",
        "ada added a webhook to hooks.example.com",
        "ada removed the webhook to hooks.example.com",
        "ada named the workspace “One”",
        "ada renamed the workspace from “One” to “Two”",
        "The operator moved the workspace into the organization group",
        "The operator took the workspace out of the organization group",
        "The operator made a link to this page for ada, to manage keys",
        "The operator made a link to this page for somebody without a name, to look at keys",
        "Somebody by a link opened this page, to look at keys",
        "ada ended the session of somebody without a name",
        "carol ended their own session",
    ] {
        assert!(said.iter().any(|one| one.starts_with(sentence)), "no “{sentence}” in {said:#?}");
    }
    page.assert_lacks("kept-back");
    page.assert_lacks(secret.reveal_once());
}

#[tokio::test]
async fn changes_are_found_by_provider_and_person() {
    let world = World::new().await;
    key(&world, "ada", "openai", "Of Ada").await;
    key(&world, "bob@example.com & sons", "openai", "Of Bob").await;
    key(&world, "ada", "exa", "Other").await;
    let browser = world.admin().await;
    let all = browser.get(PAGE).await;
    all.assert_shows("<option value=\"exa\">Exa</option>");
    all.assert_shows("<option value=\"ada\">ada</option>");
    all.assert_shows("<option value=\"shell\">The operator, at the shell</option>");
    all.assert_lacks("id=\"filter-clear\"");
    let found = browser.get(&format!("{PAGE}?range=7d&provider=openai&person=bob%40example.com+%26+sons")).await;
    let said = sentences(&found);
    assert!(said.len() == 1 && said[0].contains("Of Bob"), "{said:?}");
    found.assert_shows("<option value=\"openai\" selected>");
    found.assert_shows("<input type=\"hidden\" name=\"range\" value=\"7d\">");
    let month = href(&found, "range-30d");
    assert_eq!(month, "/portal/activity?range=30d&provider=openai&person=bob%40example%2Ecom%20%26%20sons");
    assert_eq!(sentences(&browser.get(&month).await), said, "the filter is kept");
    let unfiltered = browser.get(&href(&found, "filter-clear")).await;
    assert_eq!(sentences(&unfiltered).len(), sentences(&all).len());
    let nobody = browser.get(&format!("{PAGE}?person=nobody")).await;
    nobody.assert_shows("Nothing matches this filter.");
    nobody.assert_shows("<option value=\"nobody\" selected>nobody</option>");
    // What makes no sense is no filter.
    let odd = browser.get(&format!("{PAGE}?provider=none&range=1y&before=x")).await;
    assert_eq!(sentences(&odd).len(), sentences(&all).len());
}

#[tokio::test]
async fn older_changes_come_in_pages_by_the_day() {
    let world = World::new().await;
    let id = key(&world, "ada", "openai", "Main").await;
    let permit = keys_of(&world.acme, "ada");
    for number in 0..60 {
        world.test.clock.advance(Duration::from_hours(1));
        world.test.app.keys.change(&permit, &id, None, Some(number % 2 == 1)).await.unwrap();
    }
    let browser = world.admin().await;
    let first = browser.get(&format!("{PAGE}?person=ada")).await;
    let second = browser.get(&href(&first, "older")).await;
    assert_eq!((sentences(&first).len(), sentences(&second).len()), (50, 11));
    assert!(sentences(&second)[10].starts_with("ada added"));
    second.assert_lacks("id=\"older\"");
    second.assert_lacks("id=\"usage\"");
    assert_eq!(sentences(&browser.get(&href(&second, "newest")).await), sentences(&first));
    let today = world.test.app.usage.now().to_string();
    first.assert_shows(&format!("<h3><time datetime=\"{}\">", &today[..10]));
    first.assert_shows(&format!("<time datetime=\"{today}\">{}</time>", &today[11..16]));
    assert!(first.text.matches("<h3><time").count() >= 3, "50 hours are 3 days at least");
}

#[tokio::test]
async fn a_page_that_is_just_full_has_no_older_one() {
    let world = World::new().await;
    let id = key(&world, "ada", "openai", "Main").await;
    let permit = keys_of(&world.acme, "ada");
    for number in 0..49 {
        world.test.app.keys.change(&permit, &id, None, Some(number % 2 == 1)).await.unwrap();
    }
    let page = world.admin().await.get(&format!("{PAGE}?person=ada")).await;
    assert_eq!(sentences(&page).len(), 50);
    page.assert_lacks("id=\"older\"");
}

/// What a page says that there was in a range, by its total rows: requests, rate limits and errors.
fn totals(page: &Answer) -> [u64; 3] {
    let feet = page.text.split("<tfoot>").skip(1).map(|rest| rest.split("</tfoot>").next().unwrap());
    feet.fold([0; 3], |sums, foot| {
        let cells = foot.split("<td>").skip(1).map(|cell| cell.split("</td>").next().unwrap().replace(',', ""));
        let cells: Vec<u64> = cells.map(|cell| cell.parse().unwrap()).collect();
        [0, 1, 2].map(|index| sums[index] + cells[index])
    })
}

#[tokio::test]
async fn what_the_page_counts_is_what_the_store_has_in_each_range() {
    let world = World::new().await;
    key(&world, "ada", "openai", "Main").await;
    key(&world, "ada", "exa", "Search").await;
    let browser = world.member().await;
    browser.get(PAGE).await.assert_shows("No requests in the last 24 hours.");
    for days in [20, 4, 2] {
        relay(&world, "openai", &[200, 400, 500]).await;
        world.test.clock.advance(Duration::from_hours(days * 24));
    }
    relay(&world, "openai", &[200, 200, 429]).await;
    relay(&world, "exa", &[401]).await;
    let browser = world.member().await;
    let permit: Permit<ListKeys> = world.test.list_keys(&world.acme);
    let now = world.test.app.usage.now();
    let mut seen = Vec::new();
    for (range, hours, slot) in [("24h", 24, 1), ("7d", 168, 6), ("30d", 720, 24)] {
        let page = browser.get(&format!("{PAGE}?range={range}")).await;
        let length = slot * 3_600_000;
        let end = (now.as_millis() / length + 1) * length;
        let begin = Timestamp::from_millis(end - hours * 3_600_000);
        let stored = world.test.app.usage.hours(&permit, None, begin, Timestamp::from_millis(end)).await.unwrap();
        let stored = stored.iter().fold([0; 3], |[requests, limits, errors], hour| {
            let counts = &hour.counts;
            [
                requests + counts.requests,
                limits + counts.rate_limited,
                errors + counts.rejected + counts.provider_errors,
            ]
        });
        assert_eq!(totals(&page), stored, "{range}");
        assert_eq!(page.text.matches("role=\"img\"").count(), 2, "{range}");
        page.assert_shows(&format!(
            "id=\"range-{range}\" href=\"/portal/activity?range={range}\" aria-current=\"true\""
        ));
        seen.push(stored);
    }
    assert_eq!(seen, [[4, 1, 1], [10, 1, 3], [13, 1, 4]]);
    let filtered = browser.get(&format!("{PAGE}?provider=exa")).await;
    assert_eq!(totals(&filtered), [1, 0, 1]);
    filtered.assert_shows("1 request, 1 error in the last 24 hours, with 1 key.");
}

#[tokio::test]
async fn a_deleted_key_takes_its_usage_along_and_an_idle_one_is_only_counted() {
    let world = World::new().await;
    let id = key(&world, "ada", "openai", "Main").await;
    relay(&world, "openai", &[200]).await;
    key(&world, "ada", "exa", "Idle one").await;
    let browser = world.admin().await;
    let page = browser.get(PAGE).await;
    page.assert_shows("1 request in the last 24 hours, with 1 key. 1 other key had none.");
    page.assert_shows(&format!("data-used=\"{id}\""));
    page.assert_lacks("<h4>Idle one</h4>");
    let permit = keys_of(&world.acme, "ada");
    world.test.app.keys.delete(&permit, &"openai".parse().unwrap(), &id).await.unwrap();
    browser.get(PAGE).await.assert_lacks("data-used");
}

#[tokio::test]
async fn members_see_the_same_without_addresses_and_find_it_in_the_header() {
    let world = World::new().await;
    key(&world, "ada", "openai", "Main").await;
    let (admin, member) = (world.admin().await, world.member().await);
    let (full, less) = (admin.get(PAGE).await, member.get(PAGE).await);
    full.assert_shows("<small>from 203.0.113.7</small>");
    less.assert_lacks("203.0.113.7");
    assert_eq!(sentences(&full).len(), sentences(&less).len());
    for (browser, sessions) in [(&admin, 1), (&member, 0)] {
        let page = browser.get("/portal").await;
        page.assert_shows("id=\"nav-activity\" href=\"/portal/activity\">");
        assert_eq!(page.text.matches("id=\"nav-sessions\"").count(), sessions);
        browser.get(PAGE).await.assert_shows("id=\"nav-activity\" href=\"/portal/activity\" aria-current=\"page\"");
    }
}

#[tokio::test]
async fn a_session_of_some_providers_shows_the_activity_of_no_others() {
    let world = World::new().await;
    let id = key(&world, "ada", "exa", "Shown").await;
    key(&world, "ada", "openai", "Not shown").await;
    let permit = keys_of(&world.acme, "ada");
    relay(&world, "openai", &[200]).await;
    relay(&world, "exa", &[200]).await;
    let other = world.test.key(&world.acme, "openai").await.id;
    for number in 0..60 {
        world.test.app.keys.change(&permit, &other, None, Some(number % 2 == 1)).await.unwrap();
    }
    let narrow =
        CreatePortalLink { providers: vec!["exa".parse().unwrap()], ..CreatePortalLink::new(PortalRole::Admin) };
    let browser = world.enter(narrow).await;
    let page = browser.get(PAGE).await;
    page.assert_shows("added the Exa key “Shown”");
    page.assert_shows(&format!("data-used=\"{id}\""));
    assert_eq!(totals(&page), [1, 0, 0]);
    for hidden in ["OpenAI", "Not shown", "id=\"older\""] {
        page.assert_lacks(hidden);
    }
    assert!(sentences(&browser.get(&format!("{PAGE}?provider=openai")).await).len() == sentences(&page).len());
}

#[tokio::test]
async fn nothing_of_another_workspace_is_shown() {
    let world = World::new().await;
    let other = world.test.workspace("other").await;
    let named = put_key("openai", &random_secret());
    let theirs = world.test.app.keys.add(&keys_of(&other, "mallory"), named).await.unwrap().key;
    let (_secret, lease) = world.test.app.keyring.lease(&other, &"openai".parse().unwrap()).await.unwrap();
    lease.end(answered(200));
    world.test.app.keyring.write_uses().await.unwrap();
    let browser = world.admin().await;
    for query in ["", "?person=mallory", "?provider=openai&range=30d"] {
        let page = browser.get(&format!("{PAGE}{query}")).await;
        for trace in [theirs.id.to_string().as_str(), theirs.masked.as_str(), "mallory added", "role=\"img\""] {
            page.assert_lacks(trace);
        }
    }
}

#[tokio::test]
async fn hostile_names_are_words_and_no_marks() {
    let world = World::new().await;
    let evil = "\"><script>alert(1)</script>";
    key(&world, evil, "openai", evil).await;
    relay(&world, "openai", &[200]).await;
    let browser = world.enter(link(evil, PortalRole::Admin)).await;
    for query in ["", "?person=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"] {
        let page = browser.get(&format!("{PAGE}{query}")).await;
        assert_eq!(page.status, StatusCode::OK);
        page.assert_lacks("<script>alert");
        page.assert_lacks("\"><script");
        page.assert_shows("alert(1)");
    }
}

#[tokio::test]
async fn nobody_without_a_session_sees_it() {
    let world = World::new().await;
    key(&world, "ada", "openai", "Main").await;
    let nobody = Browser { world: &world, cookie: String::new() };
    let page = nobody.get(PAGE).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    page.assert_lacks("ada");
}

#[tokio::test]
async fn a_full_page_is_small_and_needs_no_style_or_script_of_its_own() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(key(&world, "ada", "openai", &format!("Key {number}")).await);
    }
    for _ in 0..24 {
        relay(&world, "openai", &[200, 200, 200, 500, 200, 200, 200, 200, 500, 200]).await;
        world.test.clock.advance(Duration::from_hours(1));
    }
    let permit = keys_of(&world.acme, "ada");
    for number in 0..50 {
        world.test.app.keys.change(&permit, &ids[0], None, Some(number % 2 == 1)).await.unwrap();
    }
    let browser = world.admin().await;
    let page = browser.get(&format!("{PAGE}?range=24h")).await;
    assert_eq!((sentences(&page).len(), page.text.matches("role=\"img\"").count()), (50, 10));
    let style = browser.get(page.asset("activity.css")).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(page.text.len() + style.text.len() < 90_000, "{} + {}", page.text.len(), style.text.len());
    for inline in ["style=", "<style", "onclick", "<script>"] {
        page.assert_lacks(inline);
    }
    browser.get("/portal").await.assert_lacks("activity.css");
}
