//! Who may do what: the table of roles and actions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator.
    Root,
    /// The product's backend: every workspace.
    Service,
    /// Manages one workspace.
    Admin,
    /// Looks at one workspace.
    Member,
    /// Sends requests for one workspace.
    Runtime,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Root, Self::Service, Self::Admin, Self::Member, Self::Runtime];

    /// The role's name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Service => "service",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Runtime => "runtime",
        }
    }

    /// Whether tokens of this role belong to one workspace.
    #[must_use]
    pub fn is_of_one_workspace(self) -> bool {
        match self {
            Self::Root | Self::Service => false,
            Self::Admin | Self::Member | Self::Runtime => true,
        }
    }

    /// What this role grants for an action.
    #[must_use]
    pub fn grant(self, action: Action) -> Grant {
        use Grant::{Everywhere, Nowhere, OwnWorkspace};
        match action {
            Action::ReadCatalogue => Everywhere,
            Action::ListKeys | Action::ReadAudit => match self {
                Self::Root | Self::Service => Everywhere,
                Self::Admin | Self::Member => OwnWorkspace,
                Self::Runtime => Nowhere,
            },
            Action::ManageKeys | Action::ManageTokens | Action::ManagePortal => match self {
                Self::Root | Self::Service => Everywhere,
                Self::Admin => OwnWorkspace,
                Self::Member | Self::Runtime => Nowhere,
            },
            Action::ManageWorkspaces | Action::ManageOrganizations | Action::ManageOrganizationKeys => match self {
                Self::Root | Self::Service => Everywhere,
                Self::Admin | Self::Member | Self::Runtime => Nowhere,
            },
            Action::ManageServiceTokens | Action::ManagePlatformKeys => match self {
                Self::Root => Everywhere,
                Self::Service | Self::Admin | Self::Member | Self::Runtime => Nowhere,
            },
            Action::UseGateway | Action::ResolveKeys => match self {
                Self::Service => Everywhere,
                Self::Runtime => OwnWorkspace,
                Self::Root | Self::Admin | Self::Member => Nowhere,
            },
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles that a token can be made with; root is not one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// See [`Role::Service`].
    Service,
    /// See [`Role::Admin`].
    Admin,
    /// See [`Role::Member`].
    Member,
    /// See [`Role::Runtime`].
    Runtime,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::Service => Self::Service,
            TokenRole::Admin => Self::Admin,
            TokenRole::Member => Self::Member,
            TokenRole::Runtime => Self::Runtime,
        }
    }
}

impl TokenRole {
    /// Reads a role as it is stored and shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "service" => Some(Self::Service),
            "admin" => Some(Self::Admin),
            "member" => Some(Self::Member),
            "runtime" => Some(Self::Runtime),
            _ => None,
        }
    }
}

/// Something a token may or may not do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// See the catalogue of providers.
    ReadCatalogue,
    /// See a workspace's keys, masked.
    ListKeys,
    /// Read a workspace's audit trail.
    ReadAudit,
    /// Add, change and delete a workspace's keys.
    ManageKeys,
    /// Make, see and delete a workspace's tokens.
    ManageTokens,
    /// Make links to a workspace's portal, and see and end its sessions.
    ManagePortal,
    /// Make and delete tokens of the role service.
    ManageServiceTokens,
    /// Make, change, see and delete workspaces.
    ManageWorkspaces,
    /// Make, change, see and delete organizations.
    ManageOrganizations,
    /// See, add, change and delete an organization's keys.
    ManageOrganizationKeys,
    /// See, add, change and delete the operator's own keys.
    ManagePlatformKeys,
    /// Send requests through the gateway.
    UseGateway,
    /// Be handed a key in plain text. Only for tokens that have `reveal`.
    ResolveKeys,
}

/// How far a grant reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// Every workspace.
    Everywhere,
    /// The workspace that the token belongs to.
    OwnWorkspace,
    /// Nothing.
    Nowhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of contract §4, row by row: root, service, admin, member, runtime.
    #[test]
    fn the_table_of_rights_is_the_contracts() {
        use Grant::{Everywhere as E, Nowhere as N, OwnWorkspace as O};
        let rows = [
            (Action::ReadCatalogue, [E, E, E, E, E]),
            (Action::ListKeys, [E, E, O, O, N]),
            (Action::ReadAudit, [E, E, O, O, N]),
            (Action::ManageKeys, [E, E, O, N, N]),
            (Action::ManageTokens, [E, E, O, N, N]),
            (Action::ManagePortal, [E, E, O, N, N]),
            (Action::UseGateway, [N, E, N, N, O]),
            (Action::ManageWorkspaces, [E, E, N, N, N]),
            (Action::ManageServiceTokens, [E, N, N, N, N]),
            (Action::ManageOrganizations, [E, E, N, N, N]),
            (Action::ManageOrganizationKeys, [E, E, N, N, N]),
            (Action::ManagePlatformKeys, [E, N, N, N, N]),
            (Action::ResolveKeys, [N, E, N, N, O]),
        ];
        for (action, grants) in rows {
            for (role, grant) in Role::ALL.into_iter().zip(grants) {
                assert_eq!(role.grant(action), grant, "{role} {action:?}");
            }
        }
    }
}
