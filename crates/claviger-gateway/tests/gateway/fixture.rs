//! A gateway before a mock provider.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_app::ClientAddress;
use claviger_app::access::Principal;
use claviger_core::catalogue::BaseUrl;
use claviger_core::proxy::TrustedProxies;
use claviger_core::{Catalogue, WorkspaceId};
use claviger_gateway::{
    CallerBody, ControlPlane, Front, FrontSettings, Gateway, GatewaySettings, Listeners, Patience, Reply,
};
use claviger_mock_provider::MockProvider;
use claviger_testkit::{Client, TestApp, TestSettings, put_key, random_secret};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Fixture {
    pub(crate) test: TestApp,
    pub(crate) mock: MockProvider,
    pub(crate) workspace: WorkspaceId,
    pub(crate) token: String,
    pub(crate) gateway: Arc<Gateway>,
    front: Front,
}

/// Has nothing but the callers' own addresses.
struct NoControlPlane;

impl ControlPlane for NoControlPlane {
    fn answer(&self, request: Request<CallerBody>) -> Pin<Box<dyn Future<Output = Response<Reply>> + Send>> {
        let ClientAddress(address) = *request.extensions().get().unwrap();
        let mut response = Response::new(Reply::Full(Some(Bytes::from(address.to_string()))));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Box::pin(async move { response })
    }
}

pub(crate) fn patient() -> GatewaySettings {
    GatewaySettings {
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_mins(1),
        idle_timeout: Duration::from_mins(1),
        replay_limit: 8 * 1024 * 1024,
        replay_budget: 64 * 1024 * 1024,
        retry_overloaded: 0,
        stall_timeout: Duration::from_mins(1),
        workspace_requests: 0,
        workspace_streams: 0,
    }
}

pub(crate) fn open_door() -> FrontSettings {
    FrontSettings {
        grace: Duration::from_secs(5),
        trusted_proxies: TrustedProxies::default(),
        max_connections: 1_000,
        max_connections_per_address: 0,
        patience: Patience::default(),
        certificate: None,
    }
}

/// What a fixture is made with.
pub(crate) struct Setup {
    pub(crate) door: FrontSettings,
    pub(crate) gateway: GatewaySettings,
    pub(crate) bad_token_limit: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self { door: open_door(), gateway: patient(), bad_token_limit: 0 }
    }
}

/// The catalogue with every provider behind the mock.
pub(crate) fn mounted(mock: &MockProvider) -> Catalogue {
    let builtin = Catalogue::builtin().unwrap();
    let mut mounted = builtin.clone();
    for provider in builtin.iter() {
        let base: BaseUrl = mock.base_url(provider.id.as_str()).parse().unwrap();
        mounted.insert(provider.as_ref().clone().with_base_url(base));
    }
    mounted
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(patient(), |_| {}).await
    }

    pub(crate) async fn with(settings: GatewaySettings, adapt: impl FnOnce(&mut Catalogue)) -> Self {
        Self::open(Setup { gateway: settings, ..Setup::default() }, adapt).await
    }

    pub(crate) async fn open(setup: Setup, adapt: impl FnOnce(&mut Catalogue)) -> Self {
        let Setup { door, gateway, bad_token_limit } = setup;
        let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let mut catalogue = mounted(&mock);
        adapt(&mut catalogue);
        let test = TestApp::with(TestSettings { catalogue, bad_token_limit, ..TestSettings::default() }).await;
        let workspace = test.workspace("w").await;
        let token = test.runtime_token(&workspace).await;
        let gateway = Arc::new(Gateway::new(Arc::clone(&test.app), gateway).unwrap());
        let control: Arc<dyn ControlPlane> = Arc::new(NoControlPlane);
        let listeners = Listeners::bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        let front = Front::open(listeners, door, &gateway, &control).unwrap();
        Self { test, mock, workspace, token, gateway, front }
    }

    /// Stores a key; answers its secret.
    pub(crate) async fn key(&self, provider: &str) -> String {
        let secret = random_secret();
        let permit = self.test.manage_keys(&self.workspace);
        self.test.app.keys.add(&permit, put_key(provider, &secret)).await.unwrap();
        secret
    }

    /// Replaces the secret of the provider's first key; answers the new one.
    pub(crate) async fn replace_first_key(&self, provider: &str) -> String {
        let listed = self.test.app.keys.list(&self.test.list_keys(&self.workspace)).await.unwrap();
        let first = listed.into_iter().find(|key| key.record.provider.as_str() == provider).unwrap();
        let secret = random_secret();
        let permit = self.test.manage_keys(&self.workspace);
        self.test.app.keys.replace(&permit, &first.record.id, put_key(provider, &secret)).await.unwrap();
        secret
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.front.address()), &self.token)
    }

    /// The same, over HTTP/2.
    pub(crate) fn http2_client(&self) -> Client {
        Client::http2(&format!("http://{}", self.front.address()), &self.token)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Deletes the fixture's token.
    pub(crate) async fn delete_token(&self) {
        let id = self.token.split('_').nth(1).unwrap().parse().unwrap();
        let permit = Principal::operator().permit_tokens(None).unwrap();
        self.test.app.tokens.delete(&permit, &id).await.unwrap();
    }

    /// How often requests to a provider ended how.
    pub(crate) fn ends(&self, provider: &str) -> Vec<(&'static str, u64)> {
        let counts = self.test.app.keyring.counts().find(|(known, _)| known.as_str() == provider).unwrap().1;
        counts.by_class().filter(|(_, count)| *count > 0).collect()
    }

    /// A bare connection to the gateway.
    pub(crate) async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.front.address()).await.unwrap())
    }

    pub(crate) async fn close(self) {
        self.front.close().await;
    }
}

/// HTTP by hand, for what a client library would not send.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until the text has been seen; panics where the connection ends before.
    pub(crate) async fn read_until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut buffer = [0; 4_096];
            let length = self.0.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads to the end, however it ends.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut seen = Vec::new();
        // A connection that is reset has ended too; what came before counts.
        let _ = self.0.read_to_end(&mut seen).await;
        String::from_utf8_lossy(&seen).into_owned()
    }
}
