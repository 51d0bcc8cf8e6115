//! Callers over HTTP/2 that do not read their answers.

use bytes::Bytes;
use claviger_gateway::{FrontSettings, GatewaySettings, Patience};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::fixture::{Fixture, Setup, open_door};
use crate::slow::{CHAT, MOMENT, impatient, prompt, streaming};

/// A connection of HTTP/2, that answers pings by itself.
struct Caller {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
    token: String,
}

impl Caller {
    /// One that gives so many bytes of room to each stream, and so many to all of them together.
    async fn with_room(fixture: &Fixture, stream: u32, connection: u32) -> Self {
        let io = TokioIo::new(fixture.connect().await.0);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(stream).initial_connection_window_size(connection);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        let connection = TaskTracker::new().spawn(connection);
        Self { sender, connection, token: fixture.token.clone() }
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::from(body))
            .unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    /// Asks for a stream.
    async fn ask(&mut self) -> Response<Incoming> {
        let answer = self.send(Method::POST, CHAT, prompt().to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer
    }
}

const ROOM: u32 = 1024 * 1024;

#[tokio::test]
async fn a_stream_that_is_not_read_ends_and_its_neighbours_go_on() {
    let fixture = streaming(impatient(), 100_000, 0).await;
    let mut caller = Caller::with_room(&fixture, 65_535, ROOM).await;
    let unread = caller.ask().await;
    fixture.mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
    fixture.mock.clear_behaviours();
    let read = caller.ask().await;
    assert!(!read.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert!(unread.into_body().collect().await.is_err());
    fixture.close().await;
}

#[tokio::test]
async fn a_stream_without_any_room_gives_back_the_providers_stream_and_its_place() {
    let fixture = streaming(GatewaySettings { workspace_requests: 1, ..impatient() }, 100_000, 0).await;
    let mut caller = Caller::with_room(&fixture, 0, ROOM).await;
    let unread = caller.ask().await;
    fixture.mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
    fixture.mock.clear_behaviours();
    assert_eq!(fixture.client().send(Method::POST, CHAT, &prompt()).await.status, StatusCode::OK);
    assert!(unread.into_body().collect().await.is_err());
    fixture.close().await;
}

#[tokio::test]
async fn an_answer_of_one_piece_without_any_room_gives_back_its_place() {
    let fixture = Fixture::with(GatewaySettings { workspace_requests: 1, ..impatient() }, |_| {}).await;
    fixture.key("openai").await;
    let mut caller = Caller::with_room(&fixture, 0, ROOM).await;
    let unread = caller.send(Method::GET, "/gateway/openai/v1/models", String::new()).await;
    assert_eq!(unread.status(), StatusCode::OK);
    assert!(unread.into_body().collect().await.is_err());
    let next = caller.send(Method::GET, "/gateway/openai/v1/models", String::new()).await;
    assert_eq!(next.status(), StatusCode::OK);
    fixture.close().await;
}

#[tokio::test]
async fn streams_that_an_unread_neighbour_leaves_no_room_end_too() {
    let fixture = streaming(impatient(), 100_000, 0).await;
    let mut caller = Caller::with_room(&fixture, ROOM, 65_535).await;
    let unread = [caller.ask().await, caller.ask().await, caller.ask().await];
    fixture.mock.wait_until(|counts| counts.cancelled == 3 && counts.active == 0).await;
    drop(unread);
    fixture.close().await;
}

#[tokio::test]
async fn a_connection_whose_answers_are_not_read_is_closed() {
    let patience = Patience { look: 2 * MOMENT, ..Patience::default() };
    let door = FrontSettings { patience, ..open_door() };
    let fixture = Fixture::open(Setup { door, gateway: impatient(), ..Setup::default() }, |_| {}).await;
    let mut caller = Caller::with_room(&fixture, 0, ROOM).await;
    // One of the control plane's, for which nobody needs a token.
    let unread = caller.send(Method::GET, "/", String::new()).await;
    assert_eq!(unread.status(), StatusCode::IM_A_TEAPOT);
    // Its end shows in the other side's: the sender is kept, so that this side goes on.
    let _ = caller.connection.await.unwrap();
    assert!(unread.into_body().collect().await.is_err());
    drop(caller.sender);
    fixture.close().await;
}

#[tokio::test]
async fn a_stream_that_waits_for_its_provider_is_not_the_callers_fault() {
    let gap = u64::try_from(3 * MOMENT.as_millis()).unwrap();
    let fixture = streaming(impatient(), 3, gap).await;
    let mut caller = Caller::with_room(&fixture, ROOM, ROOM).await;
    let read = caller.ask().await.into_body().collect().await.unwrap().to_bytes();
    assert!(read.ends_with(b"data: [DONE]\n\n"), "{read:?}");
    fixture.close().await;
}
