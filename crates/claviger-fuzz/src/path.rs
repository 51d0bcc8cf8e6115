//! Request paths, queries and addresses. What is judged here is read once more by `url`, which reads as browsers do:
//! with other eyes than ours, it must lead to the same place.

use std::sync::LazyLock;

use claviger_core::catalogue::BaseUrl;
use claviger_core::path::{check, parameters};
use claviger_core::webhook::{Host, WebhookUrl};
use claviger_core::{Catalogue, Provider};
use http::uri::PathAndQuery;
use url::Url;

const PREFIX: &str = "/tenant/v1";

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the catalogue"));

/// An input is a path and a query, or an address.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(target) = PathAndQuery::try_from(text)
        && target.path().starts_with('/')
    {
        for provider in CATALOGUE.iter() {
            is_routed_whole(provider, target.path());
        }
        stays_where_it_belongs(target.path());
        query_comes_apart(target.query().unwrap_or_default());
    }
    base_url(text);
    webhook_url(text);
}

fn is_routed_whole(provider: &Provider, path: &str) {
    let (origin, routed) = provider.route(path);
    assert!(routed.starts_with('/'));
    assert!(provider.origins.iter().any(|other| std::ptr::eq(other, origin)));
    let aliased = format!("/{}{}", origin.alias, routed);
    assert!(path == routed || path == aliased || format!("{path}/") == aliased, "{path} became {routed}");
    if check(routed).is_ok() {
        stays_where_it_belongs(routed);
    }
}

/// What passes stays at its origin, and under its prefix, for whoever reads it.
fn stays_where_it_belongs(path: &str) {
    if check(path).is_err() {
        return;
    }
    let mut decoded = path.to_owned();
    for _ in 0..4 {
        let base = Url::parse("https://provider.example").expect("an address");
        // `url` drops what no request line could hold; only a path that was decoded may have it.
        if !decoded.contains(|c: char| c.is_ascii_control()) {
            let joined = base.join(&decoded).expect("a path");
            assert_eq!(joined.host_str(), Some("provider.example"), "{path} leads away as {decoded}");
            let under = Url::parse(&format!("https://provider.example{PREFIX}{decoded}")).expect("a path");
            assert!(under.path().starts_with(&format!("{PREFIX}/")), "{path} climbs as {decoded}");
        }
        let next: Vec<u8> = percent_decoded(decoded.as_bytes());
        let Ok(next) = String::from_utf8(next) else {
            return;
        };
        // What was escaped is a name's, and would not end the path: `url` alone would take it for the end.
        decoded = next.replace(['?', '#'], "_");
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| byte == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(escaped) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            decoded.push(escaped);
            rest = &tail[2..];
        } else {
            decoded.push(byte);
            rest = tail;
        }
    }
    decoded
}

fn query_comes_apart(query: &str) {
    let kept: Vec<&str> = query.split('&').filter(|raw| !raw.is_empty()).collect();
    let read: Vec<_> = parameters(query).collect();
    assert_eq!(read.iter().map(|parameter| parameter.raw).collect::<Vec<_>>(), kept);
    for ((name, value), parameter) in url::form_urlencoded::parse(query.as_bytes()).zip(&read) {
        assert!(parameter.is_named(&name), "{query}: {name} has another name here");
        assert_eq!(parameter.value(), value, "{query}");
    }
}

fn base_url(text: &str) {
    let Ok(read) = text.parse::<BaseUrl>() else {
        return;
    };
    let printed = read.to_string();
    assert_eq!(printed.parse::<BaseUrl>().as_ref(), Ok(&read), "{printed}");
    // A name that ends in a number is the resolver's to refuse; only the operator can set one here.
    let Ok(other) = Url::parse(&printed) else {
        return;
    };
    assert_eq!(other.scheme() == "https", read.is_https());
    assert_eq!(other.path().trim_end_matches('/'), read.prefix(), "{printed}");
    assert_eq!((other.username(), other.query(), other.fragment()), ("", None, None));
}

fn webhook_url(text: &str) {
    let Ok(read) = text.parse::<WebhookUrl>() else {
        return;
    };
    assert_eq!(read.as_str().parse::<WebhookUrl>().as_ref(), Ok(&read));
    let other = Url::parse(read.as_str()).expect("an address");
    assert_eq!((other.username(), other.password(), other.fragment()), ("", None, None));
    assert_eq!(other.port_or_known_default(), Some(read.port()), "{text}");
    // Whose address is judged is whom a careless reader would connect to.
    match (read.host(), other.host().expect("a host")) {
        (Host::Address(std::net::IpAddr::V4(ours)), url::Host::Ipv4(theirs)) => assert_eq!(*ours, theirs),
        (Host::Address(std::net::IpAddr::V6(ours)), url::Host::Ipv6(theirs)) => assert_eq!(*ours, theirs),
        (Host::Name(ours), url::Host::Domain(theirs)) => assert_eq!(**ours, *theirs),
        (ours, theirs) => panic!("{text}: {ours} here is {theirs} elsewhere"),
    }
}
