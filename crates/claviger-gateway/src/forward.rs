//! The request as the provider gets it: the caller's, without the caller's token, with the leased key.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use claviger_core::catalogue::{Auth, Origin, Probe};
use claviger_core::path::parameters;
use claviger_core::{KeySecret, Provider};
use data_encoding::BASE64;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
};
use hyper::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::http::uri::{PathAndQuery, Scheme};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::{RawValue, to_raw_value};
use zeroize::Zeroizing;

use crate::credential::{KEY_HEADERS, KEY_PARAMETER};
use crate::upstream::Address;

/// What a value in a query string need not have encoded.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A provider with its origins taken apart, ready to address requests to.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) provider: Arc<Provider>,
    bases: Vec<Base>,
    /// Headers that the provider requires, for callers that send none.
    required: Vec<(HeaderName, HeaderValue)>,
    /// See [`Provider::told_in_bodies`]; empty for most providers.
    told_in_bodies: Vec<u16>,
}

#[derive(Debug)]
struct Base {
    address: Address,
    /// The authority as the `Host` header has it.
    host: HeaderValue,
}

impl Route {
    /// Takes a provider's origins apart. They are numbered from `first` on.
    pub(crate) fn new(provider: Arc<Provider>, first: usize) -> Result<Self, Unwritable> {
        let base = |(number, origin): (usize, &Origin)| {
            let scheme = if origin.url.is_https() { Scheme::HTTPS } else { Scheme::HTTP };
            let authority = origin.url.authority().parse().map_err(|_| Unwritable)?;
            let host = HeaderValue::from_str(origin.url.authority()).map_err(|_| Unwritable)?;
            Ok(Base { address: Address { number, scheme, authority }, host })
        };
        let bases = (first..).zip(&provider.origins).map(base).collect::<Result<_, _>>()?;
        let required = provider.extra_headers.required.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unwritable)?;
            Ok((name, HeaderValue::from_str(value).map_err(|_| Unwritable)?))
        });
        let required = required.collect::<Result<_, _>>()?;
        let told_in_bodies = provider.told_in_bodies().collect();
        Ok(Self { provider, bases, required, told_in_bodies })
    }

    fn base_of(&self, origin: &Origin) -> Option<&Base> {
        let index = self.provider.origins.iter().position(|other| std::ptr::eq(other, origin))?;
        self.bases.get(index)
    }
}

/// Something about a request that cannot be written for the provider.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request cannot be written for the provider")]
pub(crate) struct Unwritable;

/// Where one request goes, and how it shows its key there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'route, 'request> {
    route: &'route Route,
    origin: &'route Origin,
    auth: &'route Auth,
    path: &'request str,
    query: Option<&'request str>,
}

impl<'route, 'request> Destination<'route, 'request> {
    /// Resolves what comes after the provider in a gateway path.
    pub(crate) fn new(route: &'route Route, path: &'request str, query: Option<&'request str>) -> Self {
        let (origin, path) = route.provider.route(path);
        Self { route, origin, auth: route.provider.auth_at(origin), path, query }
    }

    /// Where a probe of the catalogue's goes.
    pub(crate) fn of_probe(
        route: &'route Route,
        probe: &'route Probe,
        path: &'request str,
        query: Option<&'request str>,
    ) -> Result<Self, Unwritable> {
        let origin = route.provider.origins.iter().find(|origin| origin.alias == probe.origin).ok_or(Unwritable)?;
        let auth = probe.auth.as_ref().unwrap_or_else(|| route.provider.auth_at(origin));
        Ok(Self { route, origin, auth, path, query })
    }

    /// How this destination wants its key.
    pub(crate) fn auth(&self) -> &'route Auth {
        self.auth
    }

    /// The provider.
    pub(crate) fn provider(&self) -> &'route Provider {
        &self.route.provider
    }

    /// Whether the body of a good answer of this status may tell a failure.
    pub(crate) fn tells_in_body(&self, status: u16) -> bool {
        self.route.told_in_bodies.contains(&status)
    }

    /// The path, without an alias.
    pub(crate) fn path(&self) -> &'request str {
        self.path
    }

    /// Where to connect to.
    pub(crate) fn address(&self) -> Result<&'route Address, Unwritable> {
        self.route.base_of(self.origin).map(|base| &base.address).ok_or(Unwritable)
    }

    /// Path and query, with the key in it where the provider wants it in the query.
    pub(crate) fn target(&self, token: &[u8], secret: &KeySecret) -> Result<PathAndQuery, Unwritable> {
        let prefix = self.origin.url.prefix();
        let query = self.query.unwrap_or_default();
        let mut target = String::with_capacity(prefix.len() + self.path.len() + query.len() + 1);
        target.push_str(prefix);
        target.push_str(self.path);
        self.push_query(&mut target, query, token, secret)?;
        PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| Unwritable)
    }

    /// Parameters that hold a key, the caller's token among them, stay behind; the others go as they came.
    fn push_query(&self, target: &mut String, query: &str, token: &[u8], secret: &KeySecret) -> Result<(), Unwritable> {
        let mut separator = '?';
        let mut push = |text: &str| {
            target.push(separator);
            target.push_str(text);
            separator = '&';
        };
        for parameter in parameters(query) {
            let is_key = self.is_key_parameter(&parameter);
            if !is_key && !holds(parameter.decoded().as_bytes(), token) && !holds(parameter.raw.as_bytes(), token) {
                push(parameter.raw);
            }
        }
        if let Auth::Query { name } = self.auth() {
            let secret = std::str::from_utf8(secret.expose_to_provider()).map_err(|_| Unwritable)?;
            push(&format!("{name}={}", utf8_percent_encode(secret, QUERY_VALUE)));
        }
        Ok(())
    }

    /// Whether a parameter is a place where this provider would take a key from, so that no other key than the leased
    /// one gets there. `key` means something else to many providers, and is a key only where the value is a token.
    fn is_key_parameter(&self, parameter: &claviger_core::path::QueryParameter<'_>) -> bool {
        let places = self.route.provider.also.iter().map(|place| &place.auth).chain([self.auth()]);
        let mut names = places.filter_map(|auth| match auth {
            Auth::Query { name } => Some(name.as_str()),
            Auth::Bearer | Auth::Header { .. } | Auth::Body { .. } | Auth::Basic { .. } => None,
        });
        names.any(|name| parameter.is_named(name))
            || (parameter.is_named(KEY_PARAMETER) && parameter.value().starts_with("clv_"))
    }

    /// Makes the caller's headers the provider's.
    pub(crate) fn headers(&self, headers: &mut HeaderMap, token: &[u8], secret: &KeySecret) -> Result<(), Unwritable> {
        strip_hop_by_hop(headers);
        let dropped: Vec<HeaderName> = headers
            .iter()
            .filter(|(name, value)| {
                is_never_forwarded(name) || self.is_key_header(name) || holds(value.as_bytes(), token)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in dropped {
            headers.remove(name);
        }
        headers.insert(HOST, self.route.base_of(self.origin).ok_or(Unwritable)?.host.clone());
        for (name, value) in &self.route.required {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        let secret = secret.expose_to_provider();
        match self.auth() {
            Auth::Bearer => insert_secret(headers, AUTHORIZATION, &[b"Bearer ", secret]),
            Auth::Header { name, prefix } => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unwritable)?;
                insert_secret(headers, name, &[prefix.as_bytes(), secret])
            }
            Auth::Basic { username } => {
                let pair = match username {
                    Some(username) => Zeroizing::new([username.as_bytes(), b":", secret].concat()),
                    None => Zeroizing::new([secret, b":"].concat()),
                };
                let encoded = Zeroizing::new(BASE64.encode(&pair));
                insert_secret(headers, AUTHORIZATION, &[b"Basic ", encoded.as_bytes()])
            }
            Auth::Query { .. } | Auth::Body { .. } => Ok(()),
        }
    }

    /// Whether a header is a place where this provider would take a key from.
    fn is_key_header(&self, header: &HeaderName) -> bool {
        let also = self.route.provider.also.iter().map(|place| &place.auth);
        also.chain([self.auth()]).any(|auth| match auth {
            Auth::Header { name, .. } => name.eq_ignore_ascii_case(header.as_str()),
            Auth::Bearer | Auth::Query { .. } | Auth::Body { .. } | Auth::Basic { .. } => false,
        })
    }
}

/// Headers that end at Claviger, beside those of the connection: who the caller is, and what is for Claviger.
fn is_never_forwarded(name: &HeaderName) -> bool {
    *name == HOST
        || *name == AUTHORIZATION
        || *name == COOKIE
        || *name == EXPECT
        || KEY_HEADERS.contains(&name.as_str())
        || is_ours(name)
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-claviger-")
}

/// Whether text holds the caller's token. A token is long, so that most texts are told by their length.
pub(crate) fn holds(text: &[u8], token: &[u8]) -> bool {
    !token.is_empty() && text.len() >= token.len() && memmem::find(text, token).is_some()
}

/// Removes the headers that are between two neighbours only, also those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let named = named.flat_map(|value| value.split(','));
        let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [TE, TRAILER, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Makes the provider's headers the caller's. A receipt is none that the provider writes. Where the key stood in the
/// query, a redirect may repeat it: there it is cut out.
pub(crate) fn answer_headers(headers: &mut HeaderMap, auth: &Auth) {
    strip_hop_by_hop(headers);
    headers.remove(SET_COOKIE);
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if let Auth::Query { name } = auth {
        let parameter = format!("{name}=");
        for value in headers.values_mut() {
            if memmem::find(value.as_bytes(), parameter.as_bytes()).is_some() {
                *value = without(value, &parameter);
            }
        }
    }
}

/// A header's value without what stands behind `parameter`, up to where a URL's parameter ends.
fn without(value: &HeaderValue, parameter: &str) -> HeaderValue {
    let text = String::from_utf8_lossy(value.as_bytes());
    let mut parts = text.split(parameter);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |end: char| matches!(end, '&' | '#' | '>' | '"' | '\'' | ';' | ',') || end.is_whitespace();
        let is_parameter = kept.ends_with(['?', '&']);
        let from = if is_parameter { part.find(ends).unwrap_or(part.len()) } else { 0 };
        kept.push_str(parameter);
        kept.push_str(&part[from..]);
    }
    HeaderValue::from_str(&kept).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn insert_secret(headers: &mut HeaderMap, name: HeaderName, parts: &[&[u8]]) -> Result<(), Unwritable> {
    let value = parts.concat();
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| Unwritable)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Puts the key into a JSON object, in the place of a field of that name if there is one. The other fields' values stay
/// as they are written: no number is rounded.
pub(crate) fn body_with_key(body: &[u8], field: &str, secret: &KeySecret) -> Option<Bytes> {
    let mut object: BTreeMap<String, Box<RawValue>> = match body {
        [] => BTreeMap::new(),
        body => serde_json::from_slice(body).ok()?,
    };
    let secret = std::str::from_utf8(secret.expose_to_provider()).ok()?;
    object.insert(field.to_owned(), to_raw_value(secret).ok()?);
    serde_json::to_vec(&object).ok().map(Bytes::from)
}

/// The length of a body that was rewritten.
pub(crate) fn set_length(headers: &mut HeaderMap, length: usize) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

#[cfg(test)]
mod tests {
    use claviger_core::Catalogue;
    use claviger_core::catalogue::BaseUrl;
    use serde_json::{Value, json};

    use super::*;

    const TOKEN: &[u8] = b"clv_0123456789abcdef_0123456789abcdef";

    fn secret() -> KeySecret {
        KeySecret::parse(&Zeroizing::new("a+b/c=".to_owned())).unwrap()
    }

    fn route(provider: &str) -> Route {
        Route::new(Arc::clone(Catalogue::builtin().unwrap().get(provider).unwrap()), 0).unwrap()
    }

    fn uri(provider: &str, path: &str, query: Option<&str>) -> String {
        let route = route(provider);
        full(Destination::new(&route, path, query))
    }

    fn full(destination: Destination<'_, '_>) -> String {
        let Address { scheme, authority, .. } = destination.address().unwrap();
        format!("{scheme}://{authority}{}", destination.target(TOKEN, &secret()).unwrap())
    }

    fn sent(provider: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let route = route(provider);
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        Destination::new(&route, "/", None).headers(&mut headers, TOKEN, &secret()).unwrap();
        headers.remove(HOST).unwrap();
        let mut sent: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        sent.sort();
        sent
    }

    #[test]
    fn paths_and_queries_go_as_they_came() {
        assert_eq!(uri("openai", "/v1/models", Some("a=%2F&b")), "https://api.openai.com/v1/models?a=%2F&b");
        assert_eq!(uri("openai", "/v1/a%2Fb", None), "https://api.openai.com/v1/a%2Fb");
        assert_eq!(uri("jina", "/https://example.com//a", None), "https://r.jina.ai/https://example.com//a");
    }

    #[test]
    fn an_alias_selects_the_origin() {
        assert_eq!(uri("openai", "/eu/v1/models", None), "https://eu.api.openai.com/v1/models");
        assert_eq!(
            uri("google_cloud", "/maps/maps/api/geocode/json", Some("address=x")),
            "https://maps.googleapis.com/maps/api/geocode/json?address=x&key=a%2Bb%2Fc%3D"
        );
    }

    #[test]
    fn a_base_url_with_a_path_goes_before_the_callers_path() {
        let base: BaseUrl = "http://127.0.0.1:8080/mock/openai".parse().unwrap();
        let provider = Catalogue::builtin().unwrap().get("openai").unwrap().as_ref().clone().with_base_url(base);
        let route = Route::new(Arc::new(provider), 0).unwrap();
        assert_eq!(full(Destination::new(&route, "/v1/models", None)), "http://127.0.0.1:8080/mock/openai/v1/models");
    }

    #[test]
    fn keys_and_tokens_in_the_query_stay_behind() {
        let token = std::str::from_utf8(TOKEN).unwrap();
        let query = format!("key={token}&alt=sse&x={token}");
        assert_eq!(
            uri("google", "/v1beta/models", Some(&query)),
            "https://generativelanguage.googleapis.com/v1beta/models?alt=sse"
        );
        assert_eq!(
            uri("hunter", "/v2/account", Some("api_key=other&a=1")),
            "https://api.hunter.io/v2/account?a=1&api_key=a%2Bb%2Fc%3D"
        );
        assert_eq!(uri("openai", "/v1/models", Some("key=sort")), "https://api.openai.com/v1/models?key=sort");
    }

    #[test]
    fn the_leased_key_is_the_only_credential_that_is_sent() {
        let token = std::str::from_utf8(TOKEN).unwrap();
        let bearer = format!("Bearer {token}");
        let pairs = [
            ("authorization", bearer.as_str()),
            ("x-api-key", token),
            ("x-custom", &bearer),
            ("cookie", "a=b"),
            ("x-claviger-workspace", "w"),
            ("host", "claviger.example"),
            ("accept", "*/*"),
        ];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(sent("openai", &pairs), [pair("accept", "*/*"), pair("authorization", "Bearer a+b/c=")]);
        let version = pair("anthropic-version", "2023-06-01");
        assert_eq!(sent("anthropic", &pairs), [pair("accept", "*/*"), version, pair("x-api-key", "a+b/c=")]);
        assert_eq!(sent("falai", &pairs), [pair("accept", "*/*"), pair("authorization", "Key a+b/c=")]);
        assert_eq!(sent("hunter", &pairs), [pair("accept", "*/*")]);
    }

    #[test]
    fn a_required_header_is_the_callers_where_the_caller_sends_one() {
        let own = sent("anthropic", &[("anthropic-version", "2099-01-01")]);
        assert_eq!(own[0].1, "2099-01-01");
        assert_eq!(own.len(), 2);
    }

    #[test]
    fn a_key_that_a_redirect_repeats_is_cut_out() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("https://api.example/v2?a=1&api_key=secret&b=2"));
        headers.insert("link", HeaderValue::from_static("<https://api.example/?api_key=secret>; rel=next"));
        answer_headers(&mut headers, &Auth::Query { name: "api_key".to_owned() });
        assert_eq!(headers["location"], "https://api.example/v2?a=1&api_key=&b=2");
        headers.insert("x-other", HeaderValue::from_static("my_api_key=stays"));
        answer_headers(&mut headers, &Auth::Query { name: "api_key".to_owned() });
        assert_eq!(headers["link"], "<https://api.example/?api_key=>; rel=next");
        assert_eq!(headers["x-other"], "my_api_key=stays");
    }

    #[test]
    fn a_provider_puts_no_receipt_on_its_answer() {
        let mut headers = HeaderMap::new();
        headers.insert("x-claviger-key-id", HeaderValue::from_static("key_forged"));
        headers.append("x-claviger-not-retried", HeaderValue::from_static("a"));
        headers.append("x-claviger-not-retried", HeaderValue::from_static("b"));
        headers.insert("x-request-id", HeaderValue::from_static("theirs"));
        answer_headers(&mut headers, &Auth::Bearer);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-request-id"]);
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let pairs = [
            ("connection", "keep-alive, X-Private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic eA=="),
        ];
        assert_eq!(sent("hunter", &pairs), []);
    }

    #[test]
    fn a_key_in_a_json_body_takes_the_place_of_the_callers() {
        let body = body_with_key(br#"{"q":1,"key":"mine"}"#, "key", &secret()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"key": "a+b/c=", "q": 1}));
        assert_eq!(body_with_key(b"", "key", &secret()).unwrap(), r#"{"key":"a+b/c="}"#);
        assert!(body_with_key(b"[1]", "key", &secret()).is_none());
        assert!(body_with_key(br#"{"q":1"#, "key", &secret()).is_none());
    }

    #[test]
    fn a_key_in_a_json_body_leaves_the_other_values_as_they_are_written() {
        let body = r#"{"id":12345678901234567890123,"\u006bey":"mine","large":1e400,"x":{"b":1.10, "a":"\u00e9"}}"#;
        let expected = r#"{"id":12345678901234567890123,"key":"a+b/c=","large":1e400,"x":{"b":1.10, "a":"\u00e9"}}"#;
        assert_eq!(body_with_key(body.as_bytes(), "key", &secret()).unwrap(), expected);
    }
}
