//! Lists, searches and what there is at a glance.

use std::collections::BTreeSet;

use claviger_app::NodesWithoutIt;
use claviger_app::access::{ManageWorkspaces, Principal};
use claviger_app::master_keys::Progress;
use claviger_app::workspaces::PutWorkspace;
use tokio::sync::Notify;

use crate::world::{Answer, Browser, World};

async fn named(world: &World, id: &str, name: &str) {
    let permit = Principal::operator().permit::<ManageWorkspaces>(None).unwrap();
    let put = PutWorkspace { name: Some(Some(name.to_owned())), organization: None };
    world.test.app.workspaces.put(&permit, id.parse().unwrap(), put).await.unwrap();
}

/// The ids of the workspaces on a page, in order.
fn ids(page: &Answer) -> Vec<String> {
    let rows = page.text.split("<th scope=\"row\"><a href=\"/console/workspaces/").skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

/// Follows “Next page” to the end.
async fn all_pages(browser: &Browser<'_>, first: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), first.to_owned());
    loop {
        let page = browser.page(&path).await;
        pages.push(ids(&page));
        let Some((before, _)) = page.text.split_once("\">Next page") else { return pages };
        path = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
}

#[tokio::test]
async fn workspaces_come_in_pages_of_fifty() {
    let world = World::new().await;
    for number in 0..120 {
        world.test.workspace(&format!("w{number:03}")).await;
    }
    let browser = world.operator().await;
    let pages = all_pages(&browser, "/console/workspaces").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let all: BTreeSet<_> = pages.concat().into_iter().collect();
    assert_eq!((all.len(), all.first().unwrap().as_str(), all.last().unwrap().as_str()), (120, "w000", "w119"));
    browser.page("/console/workspaces?cursor=w050").await.assert_shows("First page");

    let tens = all_pages(&browser, "/console/workspaces?search=w0").await;
    assert_eq!(tens.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50]);
    assert_eq!(ids(&browser.page("/console/workspaces?search=w117").await), ["w117"]);
}

#[tokio::test]
async fn an_organizations_workspaces_come_in_pages_on_its_own_page() {
    let world = World::new().await;
    let (group, other) = (world.test.organization("group", true).await, world.test.organization("other", true).await);
    for number in 0..60 {
        let workspace = world.test.workspace(&format!("w{number:02}")).await;
        world.test.move_workspace(&workspace, Some(if number == 7 { &other } else { &group })).await;
    }
    let browser = world.operator().await;
    let pages = all_pages(&browser, "/console/organizations/group").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 9]);
    let all: BTreeSet<_> = pages.concat().into_iter().collect();
    assert!(all.len() == 59 && !all.contains("w07"), "{all:?}");
    assert_eq!(ids(&browser.page("/console/organizations/other").await), ["w07"]);
    browser.page("/console/organizations/other?cursor=w07").await.assert_shows("There are none further on.");
    world.test.organization("empty", true).await;
    browser.page("/console/organizations/empty").await.assert_shows("No workspace belongs to it.");
}

#[tokio::test]
async fn a_search_is_for_ids_and_where_there_are_none_for_names() {
    let world = World::new().await;
    for number in 0..60 {
        named(&world, &format!("w{number:02}"), if number % 2 == 0 { "Acme" } else { "acme & Söhne" }).await;
    }
    named(&world, "acme", "Zebra").await;
    let browser = world.operator().await;

    let by_id = browser.page("/console/workspaces?search=acme").await;
    assert_eq!(ids(&by_id), ["acme"]);
    by_id.assert_shows("Workspaces whose ids begin with “acme”");
    by_id.assert_shows("Find by name");
    let by_name = all_pages(&browser, "/console/workspaces?search=acme&by=name").await;
    assert_eq!(by_name.iter().map(Vec::len).collect::<Vec<_>>(), [50, 10]);
    assert_eq!(by_name.concat().into_iter().collect::<BTreeSet<_>>().len(), 60);

    let by_itself = all_pages(&browser, "/console/workspaces?search=ACME+%26").await;
    assert_eq!(by_itself.concat().len(), 30);
    let nothing = browser.page("/console/workspaces?search=nobody").await;
    nothing.assert_shows("There are none.");
    nothing.assert_shows("value=\"nobody\"");
    for odd in ["%25", "_", "%00", "w0%27%20OR%201", &"x".repeat(500)] {
        assert!(ids(&browser.page(&format!("/console/workspaces?search={odd}x")).await).is_empty(), "{odd}");
    }
}

#[tokio::test]
async fn tokens_and_organizations_come_in_pages_too() {
    let world = World::new().await;
    let (acme, other) = (world.test.workspace("acme").await, world.test.workspace("other").await);
    for number in 0..51 {
        world.test.runtime_token(&acme).await;
        world.test.organization(&format!("group{number}"), true).await;
    }
    world.test.runtime_token(&other).await;
    let browser = world.operator().await;
    for (path, rows) in [("/console/tokens", [50, 2]), ("/console/tokens?workspace=acme", [50, 1])] {
        let first = browser.page(path).await;
        assert_eq!(first.text.matches("/delete\">Delete").count(), rows[0], "{path}");
        let (before, _) = first.text.split_once("\">Next page").expect("another page");
        let next = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
        let second = browser.page(&next).await;
        assert_eq!(second.text.matches("/delete\">Delete").count(), rows[1], "{next}");
        second.assert_lacks("Next page");
    }
    let first = browser.page("/console/organizations").await;
    assert_eq!(first.text.matches("<th scope=\"row\">").count(), 50);
    let (before, _) = first.text.split_once("\">Next page").expect("another page");
    let second = browser.page(before.rsplit("href=\"").next().unwrap()).await;
    assert_eq!(second.text.matches("<th scope=\"row\">").count(), 1);
}

#[tokio::test]
async fn the_overview_counts_and_tells_how_everything_is() {
    let world = World::new().await;
    let acme = world.test.workspace("acme").await;
    world.test.organization("group", true).await;
    world.test.key(&acme, "openai").await;
    world.test.key(&acme, "openai").await;
    let browser = world.operator().await;
    let page = browser.page("/console").await;
    for (label, number) in [("Workspaces</a>", "1"), ("Organizations</a>", "1"), ("Provider keys", "2")] {
        let (_, rest) = page.text.split_once(&format!("{label}</dt>")).expect(label);
        assert!(rest.trim_start().starts_with(&format!("<dd>{number}</dd>")), "{label}: {rest}");
    }
    for words in ["Ready", "Answers, in 0 ms", "SQLite, in a test", "Not set up", "Proven"] {
        page.assert_shows(words);
    }
    let health = browser.page("/console/health").await;
    for words in ["0.0.0-test", "https://keys.example.com", "the file master.key", "Running for", "None yet."] {
        health.assert_shows(words);
    }
}

/// What the page of master keys says of each: its id, and the texts of its row.
async fn master_keys(browser: &Browser<'_>) -> Vec<(String, Vec<String>)> {
    let page = browser.page("/console/master-keys").await;
    let rows = page.text.split("<th scope=\"row\"><code>").skip(1);
    let texts = |row: &str| row.split('>').map(|part| part.split('<').next().unwrap().trim().to_owned()).collect();
    let rows = rows.map(|row| row.split("</tr>").next().unwrap().split_once("</code>").unwrap());
    rows.map(|(id, row)| {
        let texts: Vec<String> = texts(row);
        (id.to_owned(), texts.into_iter().filter(|text| !text.is_empty()).collect())
    })
    .collect()
}

#[tokio::test]
async fn master_keys_are_shown_with_what_is_sealed_under_each_until_the_old_one_can_be_withdrawn() {
    let world = World::new().await;
    // More than a rotation seals anew at once.
    for number in 0..20 {
        let workspace = world.test.workspace(&format!("ws-{number}")).await;
        world.test.key(&workspace, "openai").await;
    }
    let before = world.operator().await;
    let old = master_keys(&before).await[0].0.clone();
    let row = |id: &String, texts: [&str; 3]| (id.clone(), texts.map(str::to_owned).to_vec());
    assert_eq!(master_keys(&before).await, [row(&old, ["20", "In use", "Given"])]);
    before.page("/console/master-keys").await.assert_shows("Every data key is sealed under the master key in use.");

    let next = World::of(world.test.beside_with_next_master_key().await).await;
    let browser = next.operator().await;
    let new = master_keys(&browser).await[1].0.clone();
    let rows = [row(&old, ["20", "In use", "Given"]), row(&new, ["0", "Comes into use by a rotation", "Given"])];
    assert_eq!(master_keys(&browser).await, rows);

    // A rotation that is broken off after the first data key.
    let begun = Notify::new();
    let rotating = next.test.app.rotate_master_key(NodesWithoutIt::Wait, |progress: Progress| {
        if progress.done == 1 {
            begun.notify_one();
        }
    });
    tokio::select! {
        biased;
        ended = rotating => panic!("{ended:?}"),
        () = begun.notified() => {}
    }
    let shown = master_keys(&browser).await;
    let [done, left] = [0, 1].map(|at: usize| shown[at].1[0].parse::<u32>().unwrap());
    assert!(done >= 1 && left >= 1 && done + left == 20, "{done} {left}");
    let (done, left) = (done.to_string(), left.to_string());
    let rows = [row(&new, [&done, "In use", "Given"]), row(&old, [&left, "Still needed", "Given"])];
    assert_eq!(shown, rows);
    let under = format!("under older master keys: {left}.");
    for (page, words) in [("/console", "Being changed"), ("/console/master-keys", under.as_str())] {
        browser.page(page).await.assert_shows(words);
    }
    // The node that has the old one alone.
    assert_eq!(master_keys(&before).await[0], row(&new, [&done, "In use", "Not given"]));
    before.page("/console").await.assert_shows("One that is needed is not given to this node");

    next.test.app.rotate_master_key(NodesWithoutIt::Wait, |_| {}).await.unwrap();
    let rows = [row(&new, ["20", "In use", "Given"]), row(&old, ["0", "Can be withdrawn", "Given"])];
    assert_eq!(master_keys(&browser).await, rows);
    browser.page("/console").await.assert_shows("Proven");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_no_secret() {
    let world = World::new().await;
    let browser = world.operator().await;
    world.test.store.close().await;
    let answer = browser.get("/console").await;
    assert_eq!(answer.status, http::StatusCode::SERVICE_UNAVAILABLE);
    answer.assert_shows("This does not work at the moment");
}
