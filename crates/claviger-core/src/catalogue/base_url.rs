//! Where a provider is reached: scheme, authority and a path prefix, nothing else.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The base of a provider's URLs: `https://host[:port][/prefix]`. A request's path is appended to it as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    https: bool,
    authority: Box<str>,
    prefix: Box<str>,
}

/// Text that cannot be a base URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// Neither `https://` nor `http://`.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// `http://` where only the operator could allow it.
    #[error("must begin with https://")]
    NotHttps,
    /// A user name or password.
    #[error("must not hold a user name or password")]
    UserInfo,
    /// A query or a fragment.
    #[error("must not hold a query or a fragment")]
    QueryOrFragment,
    /// No host, or one that is no name and no address.
    #[error("must name a host of letters, digits, dots and hyphens, or an IPv6 address in brackets")]
    Host,
    /// A port outside 1 to 65535.
    #[error("must have a port from 1 to 65535, where it has one")]
    Port,
    /// A prefix with a `.` or `..` segment, an empty segment, or characters that a path cannot have.
    #[error("must have a plain path: no dot segments, no empty segments, no characters that need escaping")]
    Prefix,
}

impl BaseUrl {
    /// Reads a URL of the catalogue, which must be https. [`BaseUrl::from_str`] also takes http, for what only the
    /// operator can set.
    pub fn parse_catalogue(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url: Self = text.parse()?;
        if url.https { Ok(url) } else { Err(InvalidBaseUrl::NotHttps) }
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case, with its port where the URL names one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What stands before every path: empty, or `/x/y` without a slash at the end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(InvalidBaseUrl::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidBaseUrl::QueryOrFragment);
        }
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        check_authority(authority)?;
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.split('/').skip(1).all(is_plain_segment) {
            return Err(InvalidBaseUrl::Prefix);
        }
        Ok(Self { https, authority: authority.to_ascii_lowercase().into(), prefix: prefix.into() })
    }
}

fn check_authority(authority: &str) -> Result<(), InvalidBaseUrl> {
    if authority.contains('@') {
        return Err(InvalidBaseUrl::UserInfo);
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']').ok_or(InvalidBaseUrl::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| InvalidBaseUrl::Host)?;
        (None, port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        (Some(host), port)
    };
    if host.is_some_and(|host| !host.split('.').all(is_label)) {
        return Err(InvalidBaseUrl::Host);
    }
    if port.is_empty() {
        return Ok(());
    }
    let digits = port.strip_prefix(':').ok_or(InvalidBaseUrl::Host)?;
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().unwrap_or(0));
    if number.unwrap_or(0) == 0 { Err(InvalidBaseUrl::Port) } else { Ok(()) }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A segment that no server reads as "here" or "up", whatever it decodes: `%` is refused altogether.
fn is_plain_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b))
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart_and_prints_as_one() {
        let rows = [
            ("https://api.example.com", true, "api.example.com", ""),
            ("https://api.example.com/", true, "api.example.com", ""),
            ("https://API.Example.com:8443/x/y/", true, "api.example.com:8443", "/x/y"),
            ("http://127.0.0.1:9000/mock", false, "127.0.0.1:9000", "/mock"),
            ("http://[::1]:9000", false, "[::1]:9000", ""),
            ("http://[::1]", false, "[::1]", ""),
            ("http://localhost/v1:x/~a@b", false, "localhost", "/v1:x/~a@b"),
        ];
        for (text, https, authority, prefix) in rows {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.is_https(), url.authority(), url.prefix()), (https, authority, prefix), "{text}");
            assert_eq!(url.to_string().parse::<BaseUrl>(), Ok(url), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use InvalidBaseUrl::*;
        let rows = [
            ("", Scheme),
            ("api.example.com", Scheme),
            ("ftp://api.example.com", Scheme),
            ("https://user@api.example.com", UserInfo),
            ("https://user:word@api.example.com", UserInfo),
            ("https://api.example.com/?a=b", QueryOrFragment),
            ("https://api.example.com?a", QueryOrFragment),
            ("https://api.example.com#a", QueryOrFragment),
            ("https://", Host),
            ("https:///x", Host),
            ("https://api_example.com", Host),
            ("https://api..example.com", Host),
            ("https://-api.example.com", Host),
            ("https://api.example.com.", Host),
            ("https://api example.com", Host),
            ("https://bücher.example", Host),
            ("https://[::1", Host),
            ("https://[::g]", Host),
            ("https://[::1]x", Host),
            ("https://a:b:c", Port),
            ("https://api.example.com:", Port),
            ("https://api.example.com:0", Port),
            ("https://api.example.com:65536", Port),
            ("https://api.example.com:+80", Port),
            ("https://api.example.com/a/../b", Prefix),
            ("https://api.example.com/a/.", Prefix),
            ("https://api.example.com/a//b", Prefix),
            ("https://api.example.com//", Prefix),
            ("https://api.example.com/%2e%2e", Prefix),
            ("https://api.example.com/a b", Prefix),
            ("https://api.example.com/a\\b", Prefix),
            ("https://api.example.com/a\r\nb", Prefix),
        ];
        for (text, reason) in rows {
            assert_eq!(text.parse::<BaseUrl>(), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn the_catalogue_takes_https_only() {
        assert!(BaseUrl::parse_catalogue("https://api.example.com").is_ok());
        assert_eq!(BaseUrl::parse_catalogue("http://api.example.com"), Err(InvalidBaseUrl::NotHttps));
    }
}
