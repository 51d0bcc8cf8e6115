//! Providers that cut, fall silent, dawdle or never stop, and callers that leave.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use claviger_testkit::Deployment;
use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::{Books, HEAD, Upstream};
use crate::{PROVIDER, acme, ask, most_memory, read_until, soon};

const GIB: u64 = 1 << 30;
/// How much memory a server may need beyond what it had, whatever a provider sends: in KiB.
const MARGIN: u64 = 64 * 1024;
/// How much may lie between provider and caller: the buffers of two sockets at either end, and the gateway's.
const UNDER_WAY: u64 = 64 << 20;

#[tokio::test]
async fn a_stream_that_is_cut_does_not_look_whole() {
    let upstream = Upstream::start(|mut stream, mut books| {
        Box::pin(async move {
            stream.write_all(format!("{HEAD}5\r\nfirst\r\n").as_bytes()).await.unwrap();
            books.may_go_on.wait_for(|&may| may).await.unwrap();
        })
    });
    let upstream = upstream.await;
    let server = upstream.before(Deployment::new()).serve();
    let token = acme(&server).await;
    let mut caller = ask(&server, &token).await;
    read_until(&mut caller, "first").await;
    upstream.go_on();
    let mut rest = Vec::new();
    // However the connection ends, it ends.
    let _ = caller.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
}

/// Asks for an answer that has a second to begin in; status, code and the time it took.
async fn asked(upstream: &Upstream) -> (u16, String, Duration) {
    let deployment = Deployment::new().with("CLAVIGER_GATEWAY__RESPONSE_TIMEOUT", "1s");
    let server = upstream.before(deployment).serve();
    let token = acme(&server).await;
    let begun = Instant::now();
    let answer = server.client(&token).send(Method::GET, &format!("/gateway/{PROVIDER}/x"), &Value::Null).await;
    (answer.status.as_u16(), answer.code().to_owned(), begun.elapsed())
}

#[tokio::test]
async fn a_provider_that_sends_no_byte_is_given_up() {
    let upstream = Upstream::start(|mut stream, books| Box::pin(async move { books.until_left(&mut stream).await }));
    let upstream = upstream.await;
    let (status, code, took) = asked(&upstream).await;
    assert_eq!((status, code.as_str()), (504, "provider_timeout"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    soon("the provider's release", async || (upstream.left() == 1).then_some(())).await;
}

/// Sends header after header, with so much between them, until the other end leaves.
async fn dawdle(mut stream: TcpStream, books: Books, between: Duration) {
    let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
    while sent.is_ok() {
        if !between.is_zero() {
            tokio::time::sleep(between).await;
        }
        sent = stream.write_all(b"x-and-on: y\r\n").await;
    }
    books.left.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test]
async fn a_provider_that_sends_headers_one_by_one_has_no_more_time_than_others() {
    let upstream = Upstream::start(|stream, books| Box::pin(dawdle(stream, books, Duration::from_millis(50)))).await;
    let (status, code, took) = asked(&upstream).await;
    assert_eq!((status, code.as_str()), (504, "provider_timeout"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    soon("the provider's release", async || (upstream.left() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_provider_that_sends_headers_one_by_one_may_send_only_so_many() {
    let upstream = Upstream::start(|stream, books| Box::pin(dawdle(stream, books, Duration::ZERO))).await;
    let (status, code, _) = asked(&upstream).await;
    assert_eq!((status, code.as_str()), (502, "provider_disconnected"));
    soon("the provider's release", async || (upstream.left() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_provider_whose_headers_never_end_takes_no_memory() {
    let upstream = Upstream::start(|mut stream, books| {
        Box::pin(async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").await;
            while sent.is_ok() {
                sent = stream.write_all(&vec![b'y'; 64 * 1024]).await;
            }
            books.left.fetch_add(1, Ordering::SeqCst);
        })
    });
    let upstream = upstream.await;
    let server = upstream.before(Deployment::new()).serve();
    let token = acme(&server).await;
    let before = most_memory(&server);
    let answer = server.client(&token).send(Method::GET, &format!("/gateway/{PROVIDER}/x"), &Value::Null).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (502, "provider_disconnected"), "{}", answer.json);
    soon("the provider's release", async || (upstream.left() == 1).then_some(())).await;
    assert!(most_memory(&server) < before + MARGIN);
}

/// Announces 10 GiB, and sends them as fast as they are taken.
async fn endless() -> Upstream {
    Upstream::start(|mut stream, books| {
        Box::pin(async move {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", 10 * GIB);
            stream.write_all(head.as_bytes()).await.unwrap();
            let zeros = vec![0; 256 * 1024];
            while books.written.load(Ordering::SeqCst) < 10 * GIB && books.send(&mut stream, &zeros).await {}
            books.until_left(&mut stream).await;
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gigabytes_are_passed_on_as_they_come_and_kept_nowhere() {
    let upstream = endless().await;
    let server = upstream.before(Deployment::new()).serve();
    let token = acme(&server).await;
    let before = most_memory(&server);
    let mut caller = ask(&server, &token).await;
    let head = read_until(&mut caller, "\r\n\r\n").await;
    let (_, body) = head.split_once("\r\n\r\n").unwrap();
    let (mut passed, mut buffer) = (body.len() as u64, vec![0; 256 * 1024]);
    let begun = Instant::now();
    while passed < 10 * GIB {
        let length = caller.read(&mut buffer).await.unwrap();
        assert!(length > 0, "it ended after {passed} bytes");
        passed += length as u64;
    }
    println!("10 GiB took {:?}", begun.elapsed());
    assert_eq!(passed, 10 * GIB);
    assert!(most_memory(&server) < before + MARGIN, "{} KiB, and {before} before", most_memory(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_does_not_take_is_not_taken_from_the_provider() {
    let upstream = endless().await;
    // So long a caller may take nothing; then the request is broken off.
    let server = upstream.before(Deployment::new().with("CLAVIGER_SERVER__STALL_TIMEOUT", "2s")).serve();
    let token = acme(&server).await;
    let before = most_memory(&server);
    let caller = ask(&server, &token).await;
    soon("the provider's release", async || (upstream.left() == 1).then_some(())).await;
    assert!(upstream.books.written.load(Ordering::SeqCst) < UNDER_WAY);
    assert!(most_memory(&server) < before + MARGIN);
    drop(caller);
}

#[tokio::test]
async fn a_caller_that_leaves_gives_the_provider_and_its_place_free() {
    let upstream = Upstream::start(|mut stream, books| {
        Box::pin(async move {
            stream.write_all(format!("{HEAD}5\r\nfirst\r\n").as_bytes()).await.unwrap();
            books.until_left(&mut stream).await;
        })
    });
    let upstream = upstream.await;
    let limited = Deployment::new().with("CLAVIGER_GATEWAY__WORKSPACE_REQUESTS", "1");
    let server = upstream.before(limited).serve();
    let token = acme(&server).await;
    for round in 1..=3 {
        // The one place that the workspace has is free again soon after the caller before has left.
        let mut caller = soon("a free place", async || {
            let mut caller = ask(&server, &token).await;
            let head = read_until(&mut caller, "\r\n\r\n").await;
            head.starts_with("HTTP/1.1 200").then_some(caller)
        })
        .await;
        caller.shutdown().await.unwrap();
        drop(caller);
        soon("the provider's release", async || (upstream.left() == round).then_some(())).await;
    }
}
