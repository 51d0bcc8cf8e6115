//! Who keys belong to.

use std::fmt;

use serde::Serialize;

use crate::id::{OrganizationId, ProviderId, WorkspaceId};

/// The owner of a pool of keys.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A tenant of the product.
    Workspace(WorkspaceId),
    /// A parent of workspaces, whose keys they inherit.
    Organization(OrganizationId),
    /// The operator.
    Platform,
}

impl Owner {
    /// What kind of owner this is.
    #[must_use]
    pub fn kind(&self) -> OwnerKind {
        match self {
            Self::Workspace(_) => OwnerKind::Workspace,
            Self::Organization(_) => OwnerKind::Organization,
            Self::Platform => OwnerKind::Platform,
        }
    }

    /// The owner's id; the platform, of which there is one, has the empty id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Workspace(id) => id.as_str(),
            Self::Organization(id) => id.as_str(),
            Self::Platform => "",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(id) => write!(f, "workspace {id}"),
            Self::Organization(id) => write!(f, "organization {id}"),
            Self::Platform => f.write_str("platform"),
        }
    }
}

/// The three kinds of owner. `scope` in answers: whose key served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// See [`Owner::Workspace`].
    Workspace,
    /// See [`Owner::Organization`].
    Organization,
    /// See [`Owner::Platform`].
    Platform,
}

/// Whose key served a request.
pub type Scope = OwnerKind;

impl OwnerKind {
    /// The kind's name as the outside and the database write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Organization => "organization",
            Self::Platform => "platform",
        }
    }
}

/// Names one pool: the keys of one owner for one provider.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolId {
    /// Whose keys.
    pub owner: Owner,
    /// For which provider.
    pub provider: ProviderId,
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.owner, self.provider)
    }
}
