//! The portal: the pages on which the people of a workspace look after its keys, and how far somebody gets on them.

use crate::access::Role;

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
}
