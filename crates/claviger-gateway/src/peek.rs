//! The little that is looked into of an answer's body before anything goes out: an error's, or of what may hide one,
//! and whether a stream begins with one.

use std::time::Duration;

use bytes::BytesMut;
use claviger_core::health::{Headers, MAX_BODY, Verdict, judge_event, may_begin_error_event};
use claviger_core::{Provider, Timestamp};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, timeout_at};

use crate::body::BoxError;

/// How long an error's body may take to come. Then it is judged by what is there.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);
const EVENT_STREAM: &str = "text/event-stream";
/// How the content types begin of what hides no failure.
const BINARY: [&str; 7] =
    ["image/", "audio/", "video/", "font/", "application/octet-stream", "application/pdf", "application/zip"];

/// Headers as the rules want them.
pub(crate) struct View<'a>(pub(crate) &'a HeaderMap);

impl Headers for View<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// A body of which the beginning was taken off.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) begun: BytesMut,
    pub(crate) next: Next,
    pub(crate) rest: Incoming,
}

/// What comes after the beginning.
#[derive(Debug)]
pub(crate) enum Next {
    /// The rest of the body.
    Rest,
    /// This, and then nothing.
    Last(Result<Frame<bytes::Bytes>, BoxError>),
    /// Nothing.
    End,
}

impl Opened {
    pub(crate) fn new(rest: Incoming) -> Self {
        let next = if rest.is_end_stream() { Next::End } else { Next::Rest };
        Self { begun: BytesMut::new(), next, rest }
    }

    /// Whether nothing of it is still to come.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.next, Next::End) || self.rest.is_end_stream()
    }

    /// Takes the next piece off. False where there is none, or none in time.
    async fn take(&mut self, until: Instant) -> bool {
        if !matches!(self.next, Next::Rest) {
            return false;
        }
        match timeout_at(until, self.rest.frame()).await {
            Err(_late) => return false,
            Ok(None) => self.next = Next::End,
            Ok(Some(Err(error))) => self.next = Next::Last(Err(error.into())),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    self.begun.extend_from_slice(&data);
                    return true;
                }
                Err(trailers) => self.next = Next::Last(Ok(trailers)),
            },
        }
        false
    }

    /// Reads the body of what is an error or may hide one, as much of it as is ever looked at.
    pub(crate) async fn read_error(&mut self) {
        let until = Instant::now() + ERROR_PATIENCE;
        while self.begun.len() < MAX_BODY && self.take(until).await {}
    }

    /// Reads a stream's beginning until it is known whether that is an error, and judges it then.
    pub(crate) async fn read_event(
        &mut self,
        provider: &Provider,
        headers: &HeaderMap,
        until: Instant,
        now: impl Fn() -> Timestamp,
    ) -> Option<Verdict> {
        loop {
            if !may_begin_error_event(&self.begun) || self.begun.len() >= MAX_BODY {
                return None;
            }
            if has_event(&self.begun) || matches!(self.next, Next::End) {
                return judge_event(provider, &View(headers), &self.begun, now());
            }
            if !self.take(until).await && !matches!(self.next, Next::End) {
                return None;
            }
        }
    }
}

/// Whether a whole event is there: a line that is not blank, and then a blank one.
fn has_event(begun: &[u8]) -> bool {
    let mut lines = begun.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // What stands behind the last line break is no line yet.
    lines.next_back();
    lines.skip_while(|line| !line.starts_with(b"data")).any(<[u8]>::is_empty)
}

/// Whether it is a stream of events, and one that can be read as it is.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    has_type(headers, EVENT_STREAM) && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether a good answer may hide a failure. A stream is not waited for here, and pictures and their like hide none.
pub(crate) fn may_hide_error(headers: &HeaderMap) -> bool {
    !has_type(headers, EVENT_STREAM) && !BINARY.iter().any(|begin| has_type(headers, begin))
}

fn has_type(headers: &HeaderMap, begin: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let begins = value.and_then(|value| value.get(..begin.len()));
    begins.is_some_and(|begins| begins.eq_ignore_ascii_case(begin.as_bytes()))
}

/// An error's body as it is read: without its encoding, as far as that can be undone.
pub(crate) fn decoded(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    crate::encoding::decode(encoding, body, MAX_BODY).unwrap_or_default()
}
