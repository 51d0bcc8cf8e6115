//! SIGTERM, with many streams open.

use std::time::{Duration, Instant};

use claviger_testkit::Deployment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::database::Database;
use crate::upstream::{HEAD, Upstream};
use crate::{acme, ask, on_postgres, read_until};

const STREAMS: usize = 200;
const GRACE: Duration = Duration::from_secs(2);
/// How long the rest of the end may take: what was noted is written, the database is closed.
const REST: Duration = Duration::from_secs(8);

/// Every other stream goes on after the signal, and ends as it should; the others never do.
async fn ends_with_many_streams(deployment: Deployment) {
    let upstream = Upstream::start(|mut stream, mut books| {
        Box::pin(async move {
            stream.write_all(format!("{HEAD}5\r\nfirst\r\n").as_bytes()).await.unwrap();
            if books.number % 2 == 0 {
                books.may_go_on.wait_for(|&may| may).await.unwrap();
                stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
            }
            books.until_left(&mut stream).await;
        })
    });
    let upstream = upstream.await;
    let grace = format!("{}s", GRACE.as_secs());
    let mut server = upstream.before(deployment).with("CLAVIGER_SERVER__SHUTDOWN_GRACE", &grace).serve();
    let token = acme(&server).await;
    let mut callers = Vec::new();
    for _ in 0..STREAMS {
        let mut caller = ask(&server, &token).await;
        // One after the other, so that the provider's numbers are these.
        read_until(&mut caller, "first").await;
        callers.push(caller);
    }

    let begun = Instant::now();
    server.process.ask_to_end();
    upstream.go_on();
    let mut whole = 0;
    for caller in &mut callers {
        let mut rest = Vec::new();
        // However the connection ends, it ends.
        let _ = caller.read_to_end(&mut rest).await;
        whole += usize::from(rest.ends_with(b"4\r\nlast\r\n0\r\n\r\n"));
        assert!(rest.is_empty() || rest == b"\r\n" || rest.ends_with(b"last\r\n0\r\n\r\n"), "{rest:?}");
    }
    let status = tokio::task::block_in_place(|| server.process.wait());
    assert!(status.success(), "{status}");
    assert!((GRACE..GRACE + REST).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(whole, STREAMS / 2);
    assert!(server.process.stderr().contains("broken off"), "{}", server.process.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_file_ends_in_time_with_two_hundred_streams_open() {
    ends_with_many_streams(Deployment::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgresql_ends_in_time_with_two_hundred_streams_open() {
    let database = Database::new();
    ends_with_many_streams(on_postgres(&database)).await;
}
