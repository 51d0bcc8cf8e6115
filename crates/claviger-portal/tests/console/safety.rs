//! What must not happen.

use claviger_core::Owner;
use claviger_testkit::random_secret;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

use crate::world::{HERE, World};

const HOSTILE: &str = "<script>alert(\"1\")</script>";

/// A deployment with something on every page, and every page of it.
async fn pages(world: &World) -> Vec<String> {
    let acme = world.test.workspace("acme").await;
    let group = world.test.organization("group", true).await;
    let token = world.test.runtime_token(&acme).await;
    let mut pages: Vec<String> = [
        "/console",
        "/console/health",
        "/console/master-keys",
        "/console/sessions",
        "/console/workspaces",
        "/console/workspaces/acme",
        "/console/workspaces/acme/delete",
        "/console/organizations",
        "/console/organizations/group",
        "/console/organizations/group/delete",
        "/console/platform",
        "/console/platform/keys/new",
        "/console/tokens",
    ]
    .map(str::to_owned)
    .into();
    pages.push(format!("/console/tokens/{}/delete", &token[4..20]));
    for (owner, page) in [
        (Owner::Workspace(acme), "/console/workspaces/acme"),
        (Owner::Organization(group), "/console/organizations/group"),
        (Owner::Platform, "/console/platform"),
    ] {
        let key = world.test.key_of(owner, "openai").await;
        pages.extend(["replace", "rename", "delete"].map(|action| format!("{page}/keys/{}/{action}", key.id)));
    }
    pages
}

#[tokio::test]
async fn a_form_of_another_page_changes_nothing() {
    let world = World::new().await;
    let browser = world.operator().await;
    let token = browser.form_token().await;
    let fields = [("id", "acme")];
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", HERE)],
        &[("sec-fetch-site", "none")],
    ];
    for headers in foreign {
        let refused = browser.post_with("/console/workspaces", &token, &fields, headers).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
        refused.assert_shows("Nothing was changed");
    }
    let stranger = world.operator().await;
    for token in ["", "x", &stranger.form_token().await] {
        let refused = browser.post_with("/console/workspaces", token, &fields, &[("origin", HERE)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{token}");
    }
    browser.page("/console/workspaces").await.assert_shows("There are none.");
    let accepted = browser.post_with("/console/workspaces", &token, &fields, &[("origin", HERE)]).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_write_takes_the_sessions_own_form() {
    let world = World::new().await;
    let browser = world.operator().await;
    let page = "/console/workspaces/acme";
    let mut writes: Vec<String> = [
        "/console/sign-out",
        "/console/sessions/aaaaaaaaaaaaaaaa/end",
        "/console/workspaces",
        page,
        "/console/workspaces/acme/delete",
        "/console/workspaces/acme/links",
        "/console/workspaces/acme/sessions/aaaaaaaaaaaaaaaa/end",
        "/console/organizations",
        "/console/organizations/group",
        "/console/organizations/group/lending",
        "/console/organizations/group/delete",
        "/console/tokens",
        "/console/tokens/aaaaaaaaaaaaaaaa/delete",
    ]
    .map(str::to_owned)
    .into();
    for owner in [page, "/console/organizations/group", "/console/platform"] {
        writes.push(format!("{owner}/keys"));
        let actions = ["replace", "rename", "switch", "test", "delete"];
        writes.extend(actions.map(|action| format!("{owner}/keys/key_{:026}/{action}", 1)));
    }
    for path in &writes {
        let refused = browser.post_with(path, "x", &[], &[("origin", HERE)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        let refused = browser.post_with(path, &browser.form_token().await, &[], &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    browser.page("/console").await.assert_shows("Sign out");
}

#[tokio::test]
async fn every_answer_keeps_other_pages_scripts_and_caches_away() {
    let world = World::new().await;
    let browser = world.operator().await;
    let mut paths = pages(&world).await;
    paths.extend(["/console/nowhere".to_owned(), "/console/workspaces/nobody".to_owned()]);
    for path in paths {
        let answer = browser.get(&path).await;
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        for part in ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(REFERRER_POLICY), "same-origin");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
        for forbidden in ["<script", "<style", "style=\"", "onclick", "javascript:"] {
            answer.assert_lacks(forbidden);
        }
    }
    let page = browser.page("/console").await;
    let version = page.between("href=\"/console/console.css", "\"");
    for (address, kept) in [(version, "public, max-age=31536000, immutable"), ("", "no-store")] {
        let style = browser.page(&format!("/console/console.css{address}")).await;
        assert_eq!((style.header("content-type"), style.header(CACHE_CONTROL)), ("text/css; charset=utf-8", kept));
    }
}

#[tokio::test]
async fn every_page_has_its_landmarks_and_a_label_for_every_field() {
    let world = World::new().await;
    let browser = world.operator().await;
    for path in pages(&world).await {
        let page = browser.page(&path).await;
        for part in
            ["<html lang=\"en\">", "<main id=\"content\"", "class=\"skip\"", "aria-label=\"Console\"", "<title>"]
        {
            page.assert_shows(part);
        }
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}");
        let fields =
            page.text.split('<').filter(|tag| ["input ", "select ", "textarea "].iter().any(|t| tag.starts_with(t)));
        for field in fields.filter(|tag| !tag.contains("type=\"hidden\"")) {
            let id = field.split("id=\"").nth(1).expect(field).split('"').next().unwrap();
            assert_eq!(page.text.matches(&format!("for=\"{id}\"")).count(), 1, "{path}: {id}");
            assert_eq!(page.text.matches(&format!(" id=\"{id}\"")).count(), 1, "{path}: {id}");
        }
    }
}

#[tokio::test]
async fn no_page_holds_a_secret() {
    let world = World::new().await;
    let browser = world.operator().await;
    let (secret, second) = (random_secret(), random_secret());
    let fields = [("provider", "openai"), ("secret", secret.as_str()), ("name", "Production")];
    let added = browser.post("/console/platform/keys", &fields).await;
    let mut texts = vec![added.location().to_owned()];
    let too_long = second.repeat(100);
    for wrong in [secret.as_str(), &format!("{secret} {secret}"), &too_long] {
        let fields = [("provider", "openai"), ("secret", wrong), ("name", "Kept")];
        let answer = browser.post("/console/platform/keys", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        texts.push(answer.text);
    }
    for page in pages(&world).await {
        texts.push(browser.page(&page).await.text);
    }
    let session = browser.cookie.split('=').nth(1).unwrap();
    for text in texts {
        for secret in [secret.as_str(), &second, &world.root, &session[21..]] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn hostile_names_are_shown_and_not_run() {
    let world = World::new().await;
    let browser = world.operator().await;
    browser.post("/console/workspaces", &[("id", "acme"), ("name", HOSTILE)]).await.location();
    browser.post("/console/organizations", &[("id", "group"), ("name", HOSTILE)]).await.location();
    let secret = random_secret();
    let fields = [("provider", "openai"), ("secret", secret.as_str()), ("name", HOSTILE)];
    browser.post("/console/workspaces/acme/keys", &fields).await.location();
    browser.post("/console/tokens", &[("name", HOSTILE), ("role", "service")]).await;
    browser.post("/console/workspaces/acme/links", &[("role", "admin"), ("actor", HOSTILE)]).await;
    for path in [
        "/console/workspaces",
        "/console/workspaces/acme",
        "/console/organizations",
        "/console/organizations/group",
        "/console/tokens",
    ] {
        let page = browser.page(path).await;
        page.assert_lacks("<script");
        page.assert_shows("&#60;script&#62;");
    }
    for path in [
        "/console/workspaces?search=%22%3E%3Cscript%3E",
        "/console/workspaces?search=a&cursor=%22%3E%3Cscript%3E&after=%3Cscript%3E&by=name",
        "/console/tokens?workspace=%22%3E%3Cscript%3E",
        "/console?done=%3Cscript%3E",
        "/console/platform/keys/new?provider=%22%3E%3Cscript%3E",
    ] {
        browser.page(path).await.assert_lacks("<script");
    }
}

#[tokio::test]
async fn what_a_form_cannot_be_is_refused() {
    let world = World::new().await;
    let browser = world.operator().await;
    let huge = "x".repeat(70_000);
    assert_eq!(browser.post("/console/workspaces", &[("id", &huge)]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get("/console/tokens/%00/delete").await.status, StatusCode::NOT_FOUND);
}
