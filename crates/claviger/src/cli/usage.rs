//! What flags mean, and what of good usage their types do not tell.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, Parser};
use claviger_core::access::TokenRole;
use claviger_core::portal::PortalRole;
use claviger_core::{InvalidId, OrganizationId, Owner};

use super::{AuditCommand, AuditOwnerFlags, Cli, Command, OwnerFlags, PortalRoleFlag, RoleFlag, TokenCommand};

impl Cli {
    /// Reads the command line. Bad usage ends the process with exit code 2.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        if let Some(wrong) = cli.does_not_fit() {
            Self::command().error(ErrorKind::ArgumentConflict, wrong).exit();
        }
        cli
    }

    /// What does not go together, where clap cannot be told of it.
    fn does_not_fit(&self) -> Option<&'static str> {
        let reads_settings = self.settings.config.is_some() || self.settings.data_dir.is_some();
        match &self.command {
            Command::Dev(_) if reads_settings => {
                Some("dev takes no --config or --data-dir: it runs on throw-away data with the default settings")
            }
            Command::Token { command: TokenCommand::Create { role: RoleFlag::Service, workspace: Some(_), .. } } => {
                Some("--workspace: a service token belongs to no workspace")
            }
            Command::Audit { command: AuditCommand::Verify { owner, expect_head: Some(_) } }
                if owner.owner().is_none() =>
            {
                Some("--expect-head is of one trail: name it by --workspace, --organization or --platform")
            }
            Command::Audit { command: AuditCommand::Export { owner, after } }
                if *after > 0 && owner.owner().is_none() =>
            {
                Some("--after is of one trail: name it by --workspace, --organization or --platform")
            }
            _ => None,
        }
    }
}

impl OwnerFlags {
    pub(crate) fn owner(&self) -> Owner {
        match (&self.workspace, &self.organization) {
            (Some(id), _) => Owner::Workspace(id.clone()),
            (None, Some(id)) => Owner::Organization(id.clone()),
            // One of the three is there.
            (None, None) => Owner::Platform,
        }
    }
}

impl AuditOwnerFlags {
    /// The one owner, where one is named.
    pub(crate) fn owner(&self) -> Option<Owner> {
        match self {
            Self { workspace: Some(id), .. } => Some(Owner::Workspace(id.clone())),
            Self { organization: Some(id), .. } => Some(Owner::Organization(id.clone())),
            Self { platform: true, .. } => Some(Owner::Platform),
            Self { .. } => None,
        }
    }
}

impl From<PortalRoleFlag> for PortalRole {
    fn from(role: PortalRoleFlag) -> Self {
        match role {
            PortalRoleFlag::Admin => Self::Admin,
            PortalRoleFlag::Member => Self::Member,
        }
    }
}

impl From<RoleFlag> for TokenRole {
    fn from(role: RoleFlag) -> Self {
        match role {
            RoleFlag::Service => Self::Service,
            RoleFlag::Admin => Self::Admin,
            RoleFlag::Member => Self::Member,
            RoleFlag::Runtime => Self::Runtime,
        }
    }
}

/// An organization to belong to. An empty id is none, as an empty name is.
#[derive(Clone, Debug)]
pub(crate) struct OrganizationOrNone(pub(crate) Option<OrganizationId>);

impl FromStr for OrganizationOrNone {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        if id.is_empty() { Ok(Self(None)) } else { id.parse().map(|id| Self(Some(id))) }
    }
}

/// Parses an id where somebody may paste the secret itself: a wrong one is refused without being shown.
#[derive(Clone)]
pub(super) struct Unshown<T>(pub(super) PhantomData<T>);

impl<T> TypedValueParser for Unshown<T>
where
    T: FromStr<Err = InvalidId> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parsed = value.to_str().unwrap_or_default().parse::<T>();
        parsed.map_err(|wrong| command.clone().error(ErrorKind::ValueValidation, wrong))
    }
}
