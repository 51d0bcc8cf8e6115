//! The portal: the pages on which the people of a workspace look after its keys, and how far somebody gets on them.

use std::fmt;
use std::str::FromStr;

use crate::access::Role;
use crate::webhook::Host;

/// What somebody may do in the portal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortalRole {
    /// Manages the workspace's keys.
    Admin,
    /// Looks at them.
    Member,
}

impl PortalRole {
    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Role::from(self).as_str()
    }

    /// Reads a role as it is stored and shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Member].into_iter().find(|role| role.as_str() == text)
    }
}

impl From<PortalRole> for Role {
    fn from(role: PortalRole) -> Self {
        match role {
            PortalRole::Admin => Self::Admin,
            PortalRole::Member => Self::Member,
        }
    }
}

/// How many keys of a provider the portal deals with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PortalMode {
    /// As many as a pool holds.
    #[default]
    Multi,
    /// One.
    Single,
}

impl PortalMode {
    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Multi => "multi",
            Self::Single => "single",
        }
    }

    /// Reads a mode as it is stored and shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Multi, Self::Single].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// An origin whose pages may hold the portal in a frame. Prints as browsers write it: `https://app.example.com`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameOrigin {
    is_https: bool,
    host: Host,
    port: Option<u16>,
}

/// An entry that is no origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an origin or a host: https://app.example.com, app.example.com, http://localhost:3000")]
pub struct InvalidOrigin;

impl FromStr for FrameOrigin {
    type Err = InvalidOrigin;

    /// Without a scheme it is https. It is put together anew from what was read, so that nothing else gets into a header.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").unwrap_or(("https", text));
        let is_https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidOrigin),
        };
        let (host, port) = Host::parse_authority(authority).map_err(|_| InvalidOrigin)?;
        Ok(Self { is_https, host, port })
    }
}

impl fmt::Display for FrameOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_https { "https://" } else { "http://" })?;
        match &self.host {
            Host::Address(address) if address.is_ipv6() => write!(f, "[{address}]")?,
            host => host.fmt(f)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_modes_read_back_and_nothing_else_is_one() {
        for role in [PortalRole::Admin, PortalRole::Member] {
            assert_eq!(PortalRole::parse(role.as_str()), Some(role));
        }
        for mode in [PortalMode::Multi, PortalMode::Single] {
            assert_eq!(PortalMode::parse(mode.as_str()), Some(mode));
        }
        assert_eq!((PortalRole::parse("root"), PortalMode::parse("")), (None, None));
    }

    #[test]
    fn an_origin_prints_as_browsers_write_it_and_what_is_none_is_refused() {
        for (text, origin) in [
            ("App.example.com", "https://app.example.com"),
            ("https://app.example.com:8443", "https://app.example.com:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(text.parse::<FrameOrigin>().unwrap().to_string(), origin);
        }
        for text in ["", "*", "https://*.example.com", "ftp://a", "a/b", "a b", "a;b", "https://a/", "https://"] {
            assert_eq!(text.parse::<FrameOrigin>(), Err(InvalidOrigin), "{text}");
        }
    }
}
