//! JSON bodies, by the control plane's own routes.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use claviger_testkit::TestApp;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

/// The operations with a body. The first byte of an input picks one.
const OPERATIONS: [(&str, &str); 10] = [
    ("PUT", "/api/workspaces/acme"),
    ("PUT", "/api/organizations/group"),
    ("POST", "/api/workspaces/acme/byok-keys"),
    ("DELETE", "/api/workspaces/acme/byok-keys"),
    ("PATCH", "/api/workspaces/acme/byok-keys/KEY"),
    ("POST", "/api/workspaces/acme/byok-keys/KEY/outcome"),
    ("POST", "/api/workspaces/acme/byok-keys/resolve"),
    ("POST", "/api/workspaces/acme/webhooks"),
    ("POST", "/api/workspaces/acme/portal-links"),
    ("POST", "/api/tokens"),
];

/// How many inputs a deployment takes before it is made anew, so that what they leave behind stays little.
const INPUTS: u32 = 5_000;
/// What is shorter may stand in an answer by chance, or as the name of a field that is not known.
const SECRET_LENGTH: usize = 33;

type Answer = (StatusCode, Bytes);
/// The routes, without the type that they have.
type Routes = Box<dyn Fn(Request<Full<Bytes>>) -> Pin<Box<dyn Future<Output = Answer>>>>;

struct World {
    runtime: Runtime,
    routes: Routes,
    root: String,
    key: String,
    inputs: u32,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (test, root, key) = runtime.block_on(async {
            let test = TestApp::new().await;
            let root = test.root_token().await;
            test.organization("group", true).await;
            let acme = test.workspace("acme").await;
            let key = test.key(&acme, "openai").await.id.to_string();
            (test, root, key)
        });
        let routes = routes(test);
        Self { runtime, routes, root, key, inputs: 0 }
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path.replace("KEY", &self.key))
            .header(AUTHORIZATION, format!("Bearer {}", self.root))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("a request");
        self.runtime.block_on((self.routes)(request))
    }
}

fn routes(test: TestApp) -> Routes {
    let router = claviger_api::router(Arc::clone(&test.app), Arc::new(String::new));
    Box::new(move |request| {
        // The data stay as long as what asks for them.
        let _data = &test;
        let mut router = router.clone();
        Box::pin(async move {
            let Ok(answer) = router.call(request).await;
            let status = answer.status();
            (status, answer.into_body().collect().await.expect("an answer").to_bytes())
        })
    })
}

/// Any body is answered, never with a server error, and a refusal says nothing of a secret that stood in it.
pub fn bodies(data: &[u8]) {
    let Some((&picked, body)) = data.split_first() else {
        return;
    };
    let (method, path) = OPERATIONS[usize::from(picked) % OPERATIONS.len()];
    let (status, answer) = WORLD.with_borrow_mut(|world| {
        let world = match world {
            Some(world) if world.inputs < INPUTS => world,
            world => world.insert(World::new()),
        };
        world.inputs += 1;
        world.ask(method, path, body)
    });
    let shown = || format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
    assert!(!status.is_server_error(), "{}", shown());
    if status == StatusCode::NO_CONTENT {
        return;
    }
    let read: Value = serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{}: {error}", shown()));
    if status.is_success() {
        assert!(serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object()), "{}", shown());
        return;
    }
    assert!(status.is_client_error(), "{}", shown());
    assert!(read["code"].is_string() && read["error"].is_string(), "{}", shown());
    if let Ok(Value::Object(sent)) = serde_json::from_slice(body) {
        let secrets = sent.values().filter_map(Value::as_str).filter(|text| text.len() >= SECRET_LENGTH);
        for secret in secrets {
            assert!(!shown().contains(secret), "a refusal repeats what it refuses: {}", shown());
        }
    }
}
