//! An answer before it becomes an HTTP response.

use std::fmt::{self, Write};
use std::ops::Range;

use bytes::Bytes;
use http::StatusCode;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// All answers bear one date, so that they can be compared; nothing depends on it.
pub(crate) const CREATED: u64 = 1_750_000_000;
/// [`CREATED`] as RFC 3339.
pub(crate) const CREATED_AT: &str = "2025-06-15T15:06:40Z";
/// The model that the lists of models offer.
pub(crate) const MODEL: &str = "mock-model";

/// What a provider answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Frames(Frames),
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, content: Content::Whole(body.into()) }
    }

    pub(crate) fn json(body: String) -> Self {
        Self::new(StatusCode::OK, JSON, body)
    }

    pub(crate) fn events(frames: FrameWriter) -> Self {
        Self { status: StatusCode::OK, content_type: EVENTS, content: Content::Frames(frames.finish()) }
    }
}

/// The frames of a streamed body: one buffer, cut where a frame ends, so that a stream costs few allocations.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: Bytes,
    ranges: std::vec::IntoIter<Range<usize>>,
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.ranges.next().map(|range| self.bytes.slice(range))
    }
}

impl Frames {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.len() == 0
    }
}

/// Writes the frames of a streamed body.
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl FrameWriter {
    /// Room for `frames` frames of a few hundred bytes.
    pub(crate) fn with_capacity(frames: usize) -> Self {
        Self { text: String::with_capacity(frames * 256), ranges: Vec::with_capacity(frames) }
    }

    pub(crate) fn push(&mut self, frame: fmt::Arguments<'_>) {
        let start = self.text.len();
        self.text.write_fmt(frame).expect("a string takes any text");
        self.ranges.push(start..self.text.len());
    }

    fn finish(self) -> Frames {
        Frames { bytes: self.text.into(), ranges: self.ranges.into_iter() }
    }
}

/// A text as a JSON string, written in place.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        let mut plain = 0;
        for (at, byte) in self.0.bytes().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            formatter.write_str(&self.0[plain..at])?;
            write!(formatter, "\\u{byte:04x}")?;
            plain = at + 1;
        }
        formatter.write_str(&self.0[plain..])?;
        formatter.write_char('"')
    }
}

/// Tokens as the mock counts them: four bytes each.
pub(crate) fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// `text` in exactly `count` pieces of at least one character, for a stream; when it is too short for that, words
/// are added.
pub(crate) fn pieces(text: &str, count: u32) -> impl Iterator<Item = &str> {
    let ends: Vec<usize> = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]).collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let split = count.min(ends.len());
    let whole = (0..split).map(move |piece| {
        let start = if piece == 0 { 0 } else { ends[piece * ends.len() / split - 1] };
        &text[start..ends[(piece + 1) * ends.len() / split - 1]]
    });
    whole.chain(std::iter::repeat_n(" more", count - split))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_text_again() {
        for count in 1..=8 {
            let pieces: Vec<_> = pieces("echo: ä€", count).collect();
            assert_eq!(pieces.len(), count as usize);
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.concat(), "echo: ä€");
        }
        assert_eq!(pieces("ab", 3).collect::<Vec<_>>(), ["a", "b", " more"]);
    }

    #[test]
    fn any_text_is_quoted_so_that_json_reads_it_back() {
        let text = "a\"b\\c\n\u{1}d\u{7f}ä€😀";
        let read: String = serde_json::from_str(&Quoted(text).to_string()).unwrap();
        assert_eq!(read, text);
    }
}
