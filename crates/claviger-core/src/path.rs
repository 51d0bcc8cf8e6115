//! A gateway request's path must stay under its provider's origin.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A path that could lead out of the provider's origin or base path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnsafePath {
    /// A segment `.` or `..`, also encoded, also encoded twice, also before a `;`.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// It begins like `//host`, which many URL readers take for another host.
    #[error("the path begins with two slashes")]
    DoubleSlash,
    /// It is encoded more often than any caller has reason to.
    #[error("the path is encoded too many times")]
    Encoding,
}

/// How often a path is decoded to see what a careless reader behind the provider's front door would see.
const DECODINGS: usize = 4;

/// Checks a path that begins with `/`. It is judged, never changed: what passes is sent on as it came.
///
/// Slashes inside are left alone, since some providers take a whole URL as the path (`/https://example.com//a`).
pub fn check(path: &str) -> Result<(), UnsafePath> {
    check_decoded(path.as_bytes())?;
    if !path.contains('%') {
        return Ok(());
    }
    let mut current = Cow::Borrowed(path.as_bytes());
    for _ in 0..DECODINGS {
        let decoded: Vec<u8> = percent_encoding::percent_decode(&current).collect();
        if decoded == *current {
            return Ok(());
        }
        check_decoded(&decoded)?;
        current = Cow::Owned(decoded);
    }
    Err(UnsafePath::Encoding)
}

fn check_decoded(path: &[u8]) -> Result<(), UnsafePath> {
    let separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    if path.get(1).is_some_and(separator) {
        return Err(UnsafePath::DoubleSlash);
    }
    for segment in path.split(separator) {
        if segment.first() == Some(&b'.') && is_dot_segment(segment) {
            return Err(UnsafePath::DotSegment);
        }
    }
    Ok(())
}

/// Some servers cut a segment at `;` before they resolve it.
fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    name == b"." || name == b".."
}

/// One parameter of a query string, as it stands there.
#[derive(Clone, Copy, Debug)]
pub struct QueryParameter<'a> {
    /// The whole `name=value`, as it came.
    pub raw: &'a str,
    name: &'a str,
    value: &'a str,
}

impl<'a> QueryParameter<'a> {
    /// Whether the parameter's name, decoded, is this one.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || decode(self.name) == name
    }

    /// Name and value, decoded.
    #[must_use]
    pub fn decoded(&self) -> Cow<'a, str> {
        decode(self.raw)
    }

    /// The value, decoded.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        decode(self.value)
    }
}

/// The parameters of a query string, in order. Empty ones are left out.
pub fn parameters(query: &str) -> impl Iterator<Item = QueryParameter<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        QueryParameter { raw, name, value }
    })
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        return Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "/",
            "/v1/chat/completions",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/https://example.com//a/b.html",
            "/v1/files/a%2Fb",
            "/.well-known/x",
            "/v1/..a/...",
            "/v1/%20",
            "/100%",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_refused_in_every_spelling() {
        for path in [
            "/..",
            "/v1/../admin",
            "/v1/./x",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/v1%2f..%2fadmin",
            "/v1/%252e%252e/admin",
            "/v1/%25252e%25252e/admin",
            "/v1/..%5cadmin",
            "/v1\\..\\admin",
            "/v1/..;x/admin",
        ] {
            assert_eq!(check(path), Err(UnsafePath::DotSegment), "{path}");
        }
    }

    #[test]
    fn a_path_that_names_a_host_is_refused_in_every_spelling() {
        for path in
            ["//evil.example/v1", "/%2fevil.example", "/%5cevil.example", "/\\evil.example", "/%252fevil.example"]
        {
            assert_eq!(check(path), Err(UnsafePath::DoubleSlash), "{path}");
        }
    }

    #[test]
    fn a_path_encoded_without_end_is_refused() {
        assert_eq!(check("/%2525252525252541"), Err(UnsafePath::Encoding));
    }

    #[test]
    fn parameters_are_found_by_their_decoded_names() {
        let all: Vec<_> = parameters("a=1&&k%65y=x%2By+z&flag").collect();
        assert_eq!(all.len(), 3);
        assert!(all[1].is_named("key"));
        assert_eq!(all[1].value(), "x+y z");
        assert_eq!(all[2].raw, "flag");
    }
}
