//! Connections to providers: used again, and replaced when they are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_core::Catalogue;
use claviger_core::catalogue::BaseUrl;
use hyper::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::fixture::{Fixture, Raw, patient};

/// A provider that answers so many requests on a connection and then closes it, without saying so beforehand.
struct Closing {
    base: BaseUrl,
    connections: Arc<AtomicUsize>,
    /// One permit for each connection that both sides have closed.
    closed: Arc<Semaphore>,
}

impl Closing {
    async fn after(answers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let closed = Arc::new(Semaphore::new(0));
        let closing = Arc::clone(&closed);
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(answer(Raw(stream), answers, Arc::clone(&closing)));
            }
        });
        Self { base, connections, closed }
    }
}

async fn answer(mut raw: Raw, answers: usize, closed: Arc<Semaphore>) {
    for _ in 0..answers {
        raw.read_until("\r\n\r\n").await;
        raw.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    }
    // The peer may be gone already.
    let _ = raw.0.shutdown().await;
    raw.read_to_end().await;
    closed.add_permits(1);
}

async fn fixture_before(provider: &Closing) -> Fixture {
    let base = provider.base.clone();
    let fixture = Fixture::with(patient(), |catalogue: &mut Catalogue| {
        let exa = catalogue.get("exa").unwrap().as_ref().clone();
        catalogue.insert(exa.with_base_url(base));
    });
    let fixture = fixture.await;
    fixture.key("exa").await;
    fixture
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let provider = Closing::after(100).await;
    let fixture = fixture_before(&provider).await;
    let client = fixture.client();
    for _ in 0..10 {
        assert_eq!(client.send(Method::GET, "/gateway/exa/x", &json!(null)).await.status, 200);
    }
    assert_eq!(provider.connections.load(Ordering::SeqCst), 1);
    drop(client);
    fixture.close().await;
}

#[tokio::test]
async fn a_parked_connection_that_was_closed_is_replaced() {
    let provider = Closing::after(1).await;
    let fixture = fixture_before(&provider).await;
    let client = fixture.client();
    for _ in 0..20 {
        let answer = client.send(Method::GET, "/gateway/exa/x", &json!(null)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // Otherwise the next request could be written in the moment in which the connection goes.
        provider.closed.acquire().await.unwrap().forget();
    }
    assert_eq!(provider.connections.load(Ordering::SeqCst), 20);
    drop(client);
    fixture.close().await;
}
