//! A server, a workspace, and somebody with a browser.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::Command;

use claviger_mock_provider::{ANY_KEY, Behaviour, MockProvider};
use claviger_test_browser::{Manner, Person, Width};
use claviger_testkit::{Deployment, Running, random_secret};
use futures_util::FutureExt;
use hyper::Method;
use serde_json::{Value, json};

/// The workspace of all tests.
pub(crate) const WORKSPACE: &str = "acme";

/// What a test begins with.
pub(crate) struct Stage {
    manner: Manner,
    settings: Vec<(&'static str, String)>,
}

/// A running portal, and somebody who is on their way to it.
pub(crate) struct Scene {
    pub(crate) server: Running,
    deployment: Deployment,
    pub(crate) mock: MockProvider,
    pub(crate) person: Person,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { manner: Manner::default(), settings: Vec::new() }
    }

    /// A browser that runs no scripts.
    pub(crate) fn without_scripts(mut self) -> Self {
        self.manner.scripts = false;
        self
    }

    /// A system that is set to dark.
    pub(crate) fn dark(mut self) -> Self {
        self.manner.dark = true;
        self
    }

    /// A window of 360 pixels.
    pub(crate) fn narrow(mut self) -> Self {
        self.manner.width = Width::Narrow;
        self
    }

    /// A server with this variable in its environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Plays a test, and then looks at what it left behind: no secret may stand in any page that was seen or in what the
    /// browser keeps, and the browser has nothing to complain about. The server's part is looked at as in every test.
    pub(crate) async fn play(self, act: impl AsyncFnOnce(&mut Scene)) {
        let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let new = Deployment::new();
        let new =
            ["openai", "anthropic", "exa"].into_iter().fold(new, |new, id| new.with_provider(id, &mock.base_url(id)));
        let new = self.settings.iter().fold(new, |new, (name, value)| new.with(name, value));
        let server = new.serve();
        server.done(Method::PUT, &format!("/api/workspaces/{WORKSPACE}"), &json!({"name": "Acme"})).await;
        let person = Person::arrives(self.manner).await;
        let mut scene = Scene { server, deployment: new, mock, person };
        match AssertUnwindSafe(act(&mut scene)).catch_unwind().await {
            Ok(()) => scene.ends().await,
            Err(panic) => {
                let last = scene.person.is_interrupted().await;
                say(&format!("The browser was {last}"));
                resume_unwind(panic);
            }
        }
    }
}

impl Scene {
    /// A link to the portal for somebody of this role.
    pub(crate) async fn link(&self, grant: Value) -> String {
        let path = format!("/api/workspaces/{WORKSPACE}/portal-links");
        let made = self.server.done(Method::POST, &path, &grant).await;
        made["url"].as_str().unwrap().to_owned()
    }

    /// Opens such a link, and goes in.
    pub(crate) async fn enters(&mut self, grant: Value) {
        let link = self.link(grant).await;
        self.person.opens(&link).await;
        self.person.sends("Continue").await;
        self.person.sees_heading("API keys").await;
    }

    /// Goes in as an admin.
    pub(crate) async fn enters_as_admin(&mut self) {
        self.enters(json!({"role": "admin"})).await;
    }

    /// Opens a page of the portal.
    pub(crate) async fn opens(&mut self, path: &str) {
        let address = self.address(path);
        self.person.opens(&address).await;
    }

    /// Has the form for a further key before them: it is folded away where there are keys.
    pub(crate) async fn unfolds_the_form(&mut self) {
        if !self.person.has_field("API key").await {
            self.person.clicks("Add key").await;
        }
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server.process.url())
    }

    /// The operator's token, as they have it in their clipboard. It must be seen nowhere.
    pub(crate) fn root_token(&self) -> String {
        self.deployment.root_token().to_owned()
    }

    /// A key that is there already, by its label; answers its secret.
    pub(crate) async fn has_key(&mut self, provider: &str, name: &str) -> String {
        let secret = secret();
        let path = format!("/api/workspaces/{WORKSPACE}/byok-keys");
        let put = json!({"providerId": provider, "apiKey": secret, "name": name});
        self.server.done(Method::POST, &path, &put).await;
        secret
    }

    /// The provider answers every key with this status from now on.
    pub(crate) fn provider_answers(&self, provider: &str, status: u16) {
        self.mock.set_behaviour(provider, ANY_KEY, Behaviour::status(status)).unwrap();
    }

    /// The labels of the keys that are stored, in their order, each with whether it is on.
    pub(crate) async fn stored(&self) -> Vec<(String, bool)> {
        let keys = self.server.keys(WORKSPACE).await;
        let told = |key: &Value| (key["name"].as_str().unwrap_or_default().to_owned(), key["enabled"] == true);
        keys.iter().map(told).collect()
    }

    /// Ends every session of the workspace, as an operator does.
    pub(crate) async fn end_all_sessions(&self) {
        let path = format!("/api/workspaces/{WORKSPACE}/portal-sessions");
        let listed = self.server.done(Method::GET, &path, &Value::Null).await;
        let sessions = listed["sessions"].as_array().unwrap();
        assert!(!sessions.is_empty());
        for session in sessions {
            let one = format!("{path}/{}", session["id"].as_str().unwrap());
            self.server.done(Method::DELETE, &one, &Value::Null).await;
        }
    }

    /// Has every session be an hour older, in the database: nobody waits that long in a test.
    pub(crate) fn an_hour_passes_for_sessions(&self) {
        let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); \
                      print(db.execute(\"UPDATE portal_pass SET created_at = created_at - 3600000, \
                      expires_at = expires_at - 3600000 WHERE kind = 'session'\").rowcount); db.commit()";
        let mut python = Command::new("python3");
        let done = python.args(["-c", script]).arg(self.deployment.data_dir().join("claviger.db")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "1", "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Has every key be used in each hour of the last month and of the next hour, in the database: nobody waits that long
    /// in a test, and the clock may strike in one.
    pub(crate) fn a_month_of_requests_passes(&self) {
        let script = "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], timeout=10); \
                      hour = int(time.time()) // 3600; \
                      keys = db.execute('SELECT owner_kind, owner_id, key_id FROM provider_key').fetchall(); \
                      [db.execute('INSERT INTO key_usage VALUES (?, ?, ?, ?, 1200, 1000, 150, 30, 0, 20)', \
                      (*key, (hour - back) * 3600000)) for key in keys for back in range(-1, 700)]; \
                      print(len(keys)); db.commit()";
        let mut python = Command::new("python3");
        let done = python.args(["-c", script]).arg(self.deployment.data_dir().join("claviger.db")).output().unwrap();
        assert_ne!(String::from_utf8_lossy(&done.stdout).trim(), "0", "{}", String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Looks at what is left behind.
    async fn ends(self) {
        let seen = self.person.leaves().await;
        assert!(seen.pages() > 0, "nothing was looked at");
    }
}

/// A key as somebody has it in their clipboard. It must be seen nowhere.
pub(crate) fn secret() -> String {
    format!("sk-{}", random_secret())
}

/// What the browser says of an answer with an error's status.
pub(crate) fn status(status: u16) -> String {
    format!("the server responded with a status of {status}")
}

#[expect(clippy::print_stdout, reason = "a failed test's output is for whoever looks for the reason")]
fn say(line: &str) {
    println!("{line}");
}
