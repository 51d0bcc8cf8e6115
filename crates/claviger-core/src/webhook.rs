//! Webhooks: what they are told of, and where they are.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The longest address, in bytes.
pub const MAX_URL_LENGTH: usize = 2_048;

/// What webhooks are told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EventKind {
    /// A provider refused a key.
    KeyRejected,
    /// A key's account cannot pay any more.
    KeyExhausted,
    /// A rejected or exhausted key works again.
    KeyRecovered,
    /// No key of a pool is left that works.
    PoolUnavailable,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::KeyRejected, Self::KeyExhausted, Self::KeyRecovered, Self::PoolUnavailable];

    /// The name, as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyRejected => "key.rejected",
            Self::KeyExhausted => "key.exhausted",
            Self::KeyRecovered => "key.recovered",
            Self::PoolUnavailable => "pool.unavailable",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A host, as an address on the network names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// A name, in lower case.
    Name(Box<str>),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Reads `host` or `host:port`, with IPv6 addresses in brackets.
    pub fn parse_authority(text: &str) -> Result<(Self, Option<u16>), InvalidUrl> {
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']').ok_or(InvalidUrl::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidUrl::Host)?;
            (Self::Address(address.into()), port)
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (Self::parse(host)?, port)
        };
        if port.is_empty() {
            return Ok((host, None));
        }
        let digits = port.strip_prefix(':').ok_or(InvalidUrl::Host)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let port = digits.parse().ok().filter(|port| is_number && *port > 0);
        Ok((host, Some(port.ok_or(InvalidUrl::Port)?)))
    }

    /// Resolvers read `127.1`, `0x7f000001` and `2130706433` as addresses, so what ends in a number and is no address in
    /// its plain form is nothing.
    fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_number = last.starts_with(|first: char| first.is_ascii_digit())
            && (last.bytes().all(|byte| byte.is_ascii_digit()) || last[1..].starts_with(['x', 'X']));
        if text.len() > 253 || is_number || !text.split('.').all(is_label) {
            return Err(InvalidUrl::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

/// Names in the wild have underscores too.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Where a webhook is: `https://` or `http://`, host, port, path and query. Prints as its host alone: in many services
/// the path is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    https: bool,
    host: Host,
    port: u16,
    text: Box<str>,
    /// Where the authority and where the path begins in the text.
    authority: usize,
    path: usize,
}

/// Text that cannot be a webhook's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidUrl {
    /// Too long.
    #[error("must have at most {MAX_URL_LENGTH} characters")]
    TooLong,
    /// Neither `https://` nor `http://`.
    #[error("must begin with https://")]
    Scheme,
    /// A user name or password.
    #[error("must not hold a user name or password")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("must not hold a fragment (#)")]
    Fragment,
    /// No host, or one that is no name and no address.
    #[error("must name a host of letters, digits, dots and hyphens, or an address, IPv6 in brackets")]
    Host,
    /// A port outside 1 to 65535.
    #[error("must have a port from 1 to 65535, where it has one")]
    Port,
    /// A path or query with characters that must be escaped there.
    #[error("must have a path and query in which every other character is escaped (%20)")]
    Path,
}

impl WebhookUrl {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, which is the scheme's where none is named.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they are written.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.text[self.authority..self.path]
    }

    /// Path and query as they are written; empty where there is neither, and without a slash in front where there is a
    /// query alone.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.text[self.path..]
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL_LENGTH {
            return Err(InvalidUrl::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidUrl::Scheme),
        };
        if rest.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        // A backslash ends the host for browsers, and not for others: it is refused in both places.
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        let (host, port) = Host::parse_authority(authority)?;
        if !path.bytes().all(is_plain) {
            return Err(InvalidUrl::Path);
        }
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let (begins, path) = (text.len() - rest.len(), text.len() - path.len());
        Ok(Self { https, host, port, text: text.into(), authority: begins, path })
    }
}

/// What a path or query may hold as it is (RFC 3986), and the sign of what is escaped.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &self.text[..self.path])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_address_is_taken_apart() {
        for (text, https, host, port, authority, path) in [
            ("https://example.com", true, "example.com", 443, "example.com", ""),
            ("https://Example.COM/a/b?c=d", true, "example.com", 443, "Example.COM", "/a/b?c=d"),
            ("http://example.com?c", false, "example.com", 80, "example.com", "?c"),
            ("https://my_app.example:8443/%20@:", true, "my_app.example", 8443, "my_app.example:8443", "/%20@:"),
            ("http://10.0.0.5:80/", false, "10.0.0.5", 80, "10.0.0.5:80", "/"),
            ("https://[2606:4700::1]:1/x", true, "2606:4700::1", 1, "[2606:4700::1]:1", "/x"),
        ] {
            let url: WebhookUrl = text.parse().unwrap();
            let parts = (url.is_https(), url.host().to_string(), url.port(), url.authority(), url.path_and_query());
            assert_eq!(parts, (https, host.to_owned(), port, authority, path), "{text}");
            assert_eq!(url.as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use InvalidUrl::*;
        let long = format!("https://a/{}", "x".repeat(MAX_URL_LENGTH));
        let long_label = format!("https://{}.example", "x".repeat(64));
        for (text, reason) in [
            ("", Scheme),
            ("example.com", Scheme),
            ("ftp://example.com", Scheme),
            ("HTTPS://example.com", Scheme),
            (" https://example.com", Scheme),
            ("file:///etc/passwd", Scheme),
            (long.as_str(), TooLong),
            ("https://user@example.com", UserInfo),
            ("https://user:word@example.com/", UserInfo),
            ("https://example.com/#a", Fragment),
            ("https://example.com#a", Fragment),
            ("https://", Host),
            ("https:///x", Host),
            ("https://:443/x", Host),
            ("https://a..b", Host),
            ("https://a.", Host),
            ("https://-a", Host),
            ("https://a b", Host),
            ("https://b\u{fc}cher.example", Host),
            ("https://a\\b/c", Host),
            ("https://a%2eb", Host),
            ("https://[::1", Host),
            ("https://[::1%25eth0]", Host),
            ("https://[10.0.0.1]", Host),
            ("https://[::1]x", Host),
            (&long_label, Host),
            ("https://127.1", Host),
            ("https://2130706433", Host),
            ("https://0x7f000001", Host),
            ("https://0x7f.0.0.0X1", Host),
            ("https://127.0.0.01", Host),
            ("https://a.256", Host),
            ("https://a:b:c", Port),
            ("https://a:", Port),
            ("https://a:0", Port),
            ("https://a:+80", Port),
            ("https://a:65536", Port),
            ("https://a/b c", Path),
            ("https://a/b\\c", Path),
            ("https://a/b\r\nc", Path),
            ("https://a/\u{fc}", Path),
            ("https://a/\"", Path),
        ] {
            assert_eq!(text.parse::<WebhookUrl>(), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn an_address_prints_without_its_path() {
        let url: WebhookUrl = "https://hooks.example/services/hidden?also=hidden".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://hooks.example…");
    }

    #[test]
    fn events_read_back_by_their_names() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(EventKind::parse("key.Rejected"), None);
    }
}
