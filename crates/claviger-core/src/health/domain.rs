//! Quota domains: the account whose limits a key shares, as the provider's answers name it.

use super::verdict::Headers;
use crate::catalogue::Provider;

/// The longest name of a domain that is taken.
const MAX_LENGTH: usize = 200;

/// The domain that an answer names: the values of the catalogue's `domain_headers`, with `/` between.
#[must_use]
pub fn domain(provider: &Provider, headers: &dyn Headers) -> Option<String> {
    let mut domain = String::new();
    for value in values(provider, headers) {
        if !domain.is_empty() {
            domain.push('/');
        }
        domain.push_str(value);
    }
    (!domain.is_empty() && domain.len() <= MAX_LENGTH).then_some(domain)
}

/// Whether an answer names this domain, a part of it, or none: whether [`domain`] would tell nothing new. Some of a
/// provider's answers name the organization alone, and others its project as well. Allocates nothing.
#[must_use]
pub fn same_domain(provider: &Provider, headers: &dyn Headers, known: &str) -> bool {
    let mut known = known.split('/');
    let mut named = values(provider, headers).flat_map(|value| value.split('/'));
    named.all(|part| known.any(|known| known == part))
}

/// Only what can stand in a header or a page as it is: the value is shown to people.
fn values<'a>(provider: &'a Provider, headers: &'a dyn Headers) -> impl Iterator<Item = &'a str> {
    let sound = |value: &&str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
    provider.domain_headers.iter().filter_map(|name| headers.get(name)).filter(sound)
}
