//! Finds the caller's key wherever a provider may want it.

use std::borrow::Cow;

use data_encoding::{BASE64, BASE64_NOPAD};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::prompt::Text;

/// Words before the key in `Authorization`. Some providers want the bare key there.
const SCHEMES: [&str; 4] = ["bearer", "key", "api-key", "token"];
const HEADERS: [&str; 4] = ["x-api-key", "x-goog-api-key", "x-key", "x-access-token"];
const QUERY_NAMES: [&str; 4] = ["key", "api_key", "apiId", "api"];

/// The caller's key: from the headers, else from the query, else from the body. An empty key is none.
pub(crate) fn find<'a>(head: &'a Parts, body: &'a [u8]) -> Option<Cow<'a, str>> {
    in_headers(&head.headers)
        .or_else(|| in_query(head.uri.query()?))
        .or_else(|| in_body(&head.headers, body))
        .filter(|key| !key.is_empty())
}

/// Whether the query parameter `name` holds, or by its name may hold, a secret.
pub(crate) fn is_key_like(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let exact = QUERY_NAMES.iter().any(|known| known.eq_ignore_ascii_case(&name));
    exact || ["key", "token", "secret", "auth", "password"].iter().any(|word| name.contains(word))
}

fn in_headers(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    if let Some(key) = headers.get(AUTHORIZATION).and_then(|value| in_authorization(value.as_bytes())) {
        return Some(key);
    }
    let values = HEADERS.iter().filter_map(|name| headers.get(*name));
    let mut keys = values.map(|value| String::from_utf8_lossy(value.as_bytes())).filter(|key| !key.is_empty());
    keys.next()
}

fn in_authorization(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = value.trim_ascii();
    let (scheme, rest) = match value.iter().position(|byte| *byte == b' ') {
        Some(space) => (&value[..space], value[space..].trim_ascii()),
        None => (value, &value[value.len()..]),
    };
    let key = if scheme.eq_ignore_ascii_case(b"basic") {
        return in_basic(rest);
    } else if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())) {
        rest
    } else {
        value
    };
    Some(String::from_utf8_lossy(key)).filter(|key| !key.is_empty())
}

/// The user of Basic credentials, or the password where the user is empty.
fn in_basic(encoded: &[u8]) -> Option<Cow<'_, str>> {
    let decoded = BASE64.decode(encoded).or_else(|_| BASE64_NOPAD.decode(encoded)).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    let key = if user.is_empty() { password } else { user };
    (!key.is_empty()).then(|| Cow::Owned(key.to_owned()))
}

fn in_query(query: &str) -> Option<Cow<'_, str>> {
    let mut keys = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| QUERY_NAMES.contains(name) && !value.is_empty())
        .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy());
    keys.next()
}

#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow, default)]
    api_key: Text<'a>,
}

fn in_body<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Cow<'a, str>> {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/x-www-form-urlencoded") {
        return in_query(std::str::from_utf8(body).ok()?);
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let keyed: Keyed<'_> = serde_json::from_slice(body).ok()?;
    [keyed.key, keyed.api_key].into_iter().map(|text| text.words).find(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn found(head: http::request::Builder, body: &str) -> Option<String> {
        let (head, body) = head.body(body).unwrap().into_parts();
        find(&head, body.as_bytes()).map(Cow::into_owned)
    }

    fn authorized(value: &str) -> Option<String> {
        found(Request::get("/").header("authorization", value), "")
    }

    #[test]
    fn the_scheme_word_is_no_part_of_the_key() {
        for value in ["Bearer k-1", "bearer  k-1", "Key k-1", "Api-Key k-1", "Token k-1", "k-1"] {
            assert_eq!(authorized(value).as_deref(), Some("k-1"), "{value}");
        }
        for value in ["Bearer", "Bearer ", "Basic", "Basic Og=="] {
            assert_eq!(authorized(value), None, "{value}");
        }
    }

    #[test]
    fn basic_credentials_give_the_user_or_else_the_password() {
        for credentials in ["k-1:", "k-1", ":k-1", "k-1:other"] {
            let value = format!("Basic {}", BASE64.encode(credentials.as_bytes()));
            assert_eq!(authorized(&value).as_deref(), Some("k-1"), "{credentials}");
        }
    }

    #[test]
    fn every_header_query_parameter_and_body_field_may_hold_the_key() {
        for name in HEADERS {
            assert_eq!(found(Request::get("/").header(name, "k-1"), "").as_deref(), Some("k-1"), "{name}");
        }
        for name in QUERY_NAMES {
            let head = Request::get(format!("/a?q=1&{name}=k%2D1"));
            assert_eq!(found(head, "").as_deref(), Some("k-1"), "{name}");
        }
        for name in ["key", "api_key"] {
            let body = format!(r#"{{"other":[1,{{}}],"{name}":"k-1"}}"#);
            assert_eq!(found(Request::post("/"), &body).as_deref(), Some("k-1"), "{name}");
        }
        let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(found(form, "a=b&key=k-1").as_deref(), Some("k-1"));
    }

    #[test]
    fn a_request_without_a_key_has_none() {
        assert_eq!(found(Request::post("/a?keys=1&key="), r#"{"keys":"k"}"#), None);
        assert_eq!(found(Request::post("/"), "no json"), None);
    }
}
