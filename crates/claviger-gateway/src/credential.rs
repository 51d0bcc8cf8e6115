//! Finds the token that a caller shows, wherever an SDK puts what it takes for the provider's key.

use std::borrow::Cow;

use claviger_core::Provider;
use claviger_core::catalogue::Auth;
use claviger_core::path::parameters;
use data_encoding::BASE64;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// Headers in which official SDKs send a key, beside the provider's own.
pub(crate) const KEY_HEADERS: [&str; 2] = ["x-api-key", "x-goog-api-key"];
/// The query parameter in which Google's SDKs send a key.
pub(crate) const KEY_PARAMETER: &str = "key";

const TOKEN_PREFIX: &[u8] = b"clv_";

/// The text that the caller shows as a token: the first that looks like one, otherwise the first that stands where one
/// should.
pub(crate) fn find<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    provider: Option<&Provider>,
) -> Option<Cow<'a, [u8]>> {
    let mut shown = None;
    let places = in_headers(headers, provider).chain(in_query(query, provider));
    for candidate in places {
        if candidate.starts_with(TOKEN_PREFIX) {
            return Some(candidate);
        }
        shown = shown.or(Some(candidate));
    }
    shown
}

fn in_headers<'a>(headers: &'a HeaderMap, provider: Option<&Provider>) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let authorization = headers.get_all(AUTHORIZATION).iter().filter_map(|value| in_authorization(value.as_bytes()));
    let own = provider.and_then(|provider| match &provider.auth {
        Auth::Header { name, prefix } => {
            let values = headers.get_all(name.as_str()).into_iter();
            Some(values.map(move |value| without_prefix(value.as_bytes(), prefix)))
        }
        Auth::Bearer | Auth::Query { .. } | Auth::Body { .. } | Auth::Basic { .. } => None,
    });
    let well_known = KEY_HEADERS.into_iter().flat_map(|name| headers.get_all(name));
    let plain = well_known.map(|value| value.as_bytes().trim_ascii()).chain(own.into_iter().flatten());
    authorization.chain(plain.map(Cow::Borrowed))
}

/// The value of the provider's own header, without what the provider wants before its key.
fn without_prefix<'a>(value: &'a [u8], prefix: &str) -> &'a [u8] {
    let value = value.trim_ascii();
    let parts = value.split_at_checked(prefix.len());
    let parts = parts.filter(|(begin, _)| begin.eq_ignore_ascii_case(prefix.as_bytes()));
    parts.map_or(value, |(_, token)| token.trim_ascii_start())
}

/// `Bearer <token>`, `Basic <base64 of user:password>`, `<another scheme> <token>`, or the bare token.
fn in_authorization(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = value.trim_ascii();
    let Some(space) = value.iter().position(|byte| *byte == b' ') else {
        return Some(Cow::Borrowed(value));
    };
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Some(Cow::Borrowed(rest));
    }
    let decoded = BASE64.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
    let token = if user.starts_with(TOKEN_PREFIX) { user } else { password };
    Some(Cow::Owned(token.to_vec()))
}

fn in_query<'a>(query: Option<&'a str>, provider: Option<&Provider>) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let own = provider.and_then(|provider| match &provider.auth {
        Auth::Query { name } => Some(name.clone()),
        Auth::Bearer | Auth::Header { .. } | Auth::Body { .. } | Auth::Basic { .. } => None,
    });
    query.into_iter().flat_map(parameters).filter_map(move |parameter| {
        let is_key = parameter.is_named(KEY_PARAMETER) || own.as_deref().is_some_and(|own| parameter.is_named(own));
        is_key.then(|| match parameter.value() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    })
}

#[cfg(test)]
mod tests {
    use claviger_core::Catalogue;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    fn found(pairs: &[(&str, &str)], query: Option<&str>, provider: &str) -> Option<String> {
        let catalogue = Catalogue::builtin().unwrap();
        let provider = catalogue.get(provider).map(AsRef::as_ref);
        find(&headers(pairs), query, provider).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn a_token_is_found_where_sdks_put_keys() {
        let token = Some("clv_t".to_owned());
        assert_eq!(found(&[("authorization", "Bearer clv_t")], None, "openai"), token);
        assert_eq!(found(&[("authorization", "bearer  clv_t")], None, "openai"), token);
        assert_eq!(found(&[("x-api-key", "clv_t")], None, "anthropic"), token);
        assert_eq!(found(&[("x-goog-api-key", "clv_t")], None, "google"), token);
        assert_eq!(found(&[], Some("a=b&key=clv_t"), "google"), token);
        let basic = format!("Basic {}", BASE64.encode(b"clv_t:"));
        assert_eq!(found(&[("authorization", &basic)], None, "openai"), token);
    }

    #[test]
    fn a_token_is_found_where_the_providers_own_sdk_puts_its_key() {
        let token = Some("clv_t".to_owned());
        assert_eq!(found(&[("x-access-token", "clv_t")], None, "dropcontact"), token);
        assert_eq!(found(&[("authorization", "Key clv_t")], None, "falai"), token);
        assert_eq!(found(&[], Some("api_key=clv_t"), "hunter"), token);
        assert_eq!(found(&[], Some("api_key=clv_t"), "openai"), None);
        assert_eq!(found(&[], Some("token=clv_t"), "openai"), None);
    }

    #[test]
    fn a_token_is_found_behind_the_prefix_of_the_providers_own_header() {
        let auth = Auth::Header { name: "x-key".to_owned(), prefix: "Key ".to_owned() };
        let base = "https://api.example.com".parse().unwrap();
        let provider = Provider::custom("prefixed".parse().unwrap(), base, None, auth);
        for (value, token) in [("Key clv_t", "clv_t"), ("key  clv_t", "clv_t"), ("clv_t", "clv_t"), ("Ke", "Ke")] {
            let headers = headers(&[("x-key", value)]);
            assert_eq!(find(&headers, None, Some(&provider)).as_deref(), Some(token.as_bytes()), "{value}");
        }
    }

    #[test]
    fn what_looks_like_a_token_goes_before_what_does_not() {
        let pairs = [("authorization", "Bearer placeholder"), ("x-api-key", "clv_t")];
        assert_eq!(found(&pairs, None, "anthropic"), Some("clv_t".to_owned()));
        assert_eq!(found(&pairs[..1], None, "anthropic"), Some("placeholder".to_owned()));
    }
}
