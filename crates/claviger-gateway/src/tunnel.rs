//! Upgraded connections, passed on byte by byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use claviger_app::App;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::limits::Place;

/// How often it is looked whether a connection may go on.
const LOOK: Duration = Duration::from_secs(5);

/// What an upgraded connection is held to.
pub(crate) struct Terms {
    pub(crate) app: Arc<App>,
    /// What let it in. A token that is deleted or expires ends it.
    pub(crate) token: Zeroizing<Vec<u8>>,
    /// The longest silence, in both directions together.
    pub(crate) idle_timeout: Duration,
    /// Among its workspace's streams.
    pub(crate) place: Option<Box<Place>>,
}

/// Joins caller and provider until one of them ends, or the terms end it. However it ends, both sides are closed; there
/// is nobody left to tell.
pub(crate) async fn join(caller: Upgraded, provider: Upgraded, terms: Terms) {
    let moved = AtomicU64::new(0);
    let mut caller = Counted { io: TokioIo::new(caller), moved: &moved };
    let mut provider = Counted { io: TokioIo::new(provider), moved: &moved };
    let copying = copy_bidirectional(&mut caller, &mut provider);
    tokio::select! {
        _ = copying => {}
        why = terms.end(&moved) => tracing::info!(why, "an upgraded connection is closed"),
    }
    drop(terms.place);
}

impl Terms {
    /// Waits until the connection may not go on.
    async fn end(&self, moved: &AtomicU64) -> &'static str {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(LOOK.min(self.idle_timeout)).await;
            let now = moved.load(Ordering::Relaxed);
            if std::mem::replace(&mut seen, now) != now {
                since = Instant::now();
            } else if since.elapsed() >= self.idle_timeout {
                return "silence";
            }
            if !self.app.access.still_admits(&self.token).await {
                return "the token ended";
            }
        }
    }
}

/// One side, of which is counted what it sends.
struct Counted<'a> {
    io: TokioIo<Upgraded>,
    moved: &'a AtomicU64,
}

impl AsyncRead for Counted<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        let came = buffer.filled().len().saturating_sub(before);
        self.moved.fetch_add(came as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
