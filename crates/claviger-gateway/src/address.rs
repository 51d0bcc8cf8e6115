//! Where a gateway request is addressed to.

use std::borrow::Cow;

use hyper::Uri;
use percent_encoding::percent_decode_str;

use crate::forward;

/// The first segment of every gateway path.
const MOUNT: &str = "/gateway/";

/// A gateway request's target: `/gateway/{provider}/{path…}?{query}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) provider: &'a str,
    /// What comes after the provider; begins with `/`.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// Whether a request is the gateway's.
pub(crate) fn is_gateway(uri: &Uri) -> bool {
    uri.path().starts_with(MOUNT)
}

impl<'a> Address<'a> {
    /// Takes a gateway request's target apart. The path is not judged yet.
    pub(crate) fn read(uri: &'a Uri) -> Option<Self> {
        let rest = uri.path().strip_prefix(MOUNT)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (provider, path) = rest.split_at(end);
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { provider, path, query: uri.query() })
    }

    /// Whether the caller's token stands in the path, encoded or not, where it would reach the provider.
    pub(crate) fn holds(&self, token: &[u8]) -> bool {
        let decoded: Cow<'_, [u8]> = percent_decode_str(self.path).into();
        forward::holds(self.path.as_bytes(), token) || forward::holds(&decoded, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_provider_path_and_query() {
        let uri: Uri = "/gateway/openai/v1/models?limit=1".parse().unwrap();
        let address = Address::read(&uri).unwrap();
        assert_eq!((address.provider, address.path, address.query), ("openai", "/v1/models", Some("limit=1")));
        let uri: Uri = "/gateway/openai".parse().unwrap();
        assert_eq!(Address::read(&uri).unwrap().path, "/");
        let uri: Uri = "/api/workspaces".parse().unwrap();
        assert!(Address::read(&uri).is_none());
    }
}
