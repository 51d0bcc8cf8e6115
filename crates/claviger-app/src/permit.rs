//! Who asks, and what they may do.
//!
//! A [`Principal`] comes only from a token that was proven, or stands for the operator at the shell; a [`Permit`] only
//! from a principal whose role grants the right, and the use cases take permits: code that forgets to ask has nothing to
//! call them with.

use std::marker::PhantomData;
use std::net::IpAddr;

use claviger_core::access::Grant;
use claviger_core::actor;
use claviger_core::audit::{Act, Via};
use claviger_core::{Action, Owner, Role, Timestamp, TokenId, WorkspaceId};
use claviger_store::{ConsoleSession, PortalPass, TokenRecord};

use crate::client::ClientAddress;

/// Somebody who showed a valid token.
#[derive(Clone, Debug)]
pub struct Principal {
    token: Option<TokenId>,
    /// Who acts where no token tells.
    known_as: Option<String>,
    /// The session of the console, which only the audit trail names: whoever opens a link that was made there is not the
    /// one who made it.
    in_console: Option<TokenId>,
    via: Via,
    address: Option<IpAddr>,
    role: Role,
    workspace: Option<WorkspaceId>,
    reveal: bool,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    /// The operator at the shell: whoever has the database and the master key.
    #[must_use]
    pub fn operator() -> Self {
        Self::root(Via::Shell)
    }

    /// The operator, by this way.
    pub(crate) fn root(via: Via) -> Self {
        Self {
            token: None,
            known_as: None,
            in_console: None,
            via,
            address: None,
            role: Role::Root,
            workspace: None,
            reveal: false,
            expires_at: None,
        }
    }

    /// The operator in this session of the console, which was proven.
    pub(crate) fn in_console(session: &ConsoleSession) -> Self {
        Self { in_console: Some(session.id.clone()), ..Self::root(Via::Console) }
    }

    /// The same, who calls from this address.
    #[must_use]
    pub fn calling_from(self, from: ClientAddress) -> Self {
        Self { address: from.known(), ..self }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn of(record: &TokenRecord) -> Self {
        Self {
            token: Some(record.id.clone()),
            known_as: None,
            in_console: None,
            via: Via::Api,
            address: None,
            role: record.role.into(),
            workspace: record.workspace.clone(),
            reveal: record.reveal,
            expires_at: record.expires_at,
        }
    }

    /// Whoever is in the portal with this session, which was proven.
    pub(crate) fn in_portal(session: &PortalPass) -> Self {
        let actor = session.grant.actor.clone().unwrap_or_else(|| format!("{}{}", actor::PORTAL, session.id));
        Self {
            token: None,
            known_as: Some(actor),
            in_console: None,
            via: Via::Portal,
            address: None,
            role: session.grant.role.into(),
            workspace: Some(session.grant.workspace.clone()),
            reveal: false,
            expires_at: Some(session.expires_at),
        }
    }

    fn may_name_actors(&self) -> bool {
        matches!(self.role, Role::Root | Role::Service)
    }

    fn reach(&self, action: Action) -> Result<Reach<'_>, Forbidden> {
        match (self.role.grant(action), &self.workspace) {
            (Grant::Everywhere, _) => Ok(Reach::Everywhere),
            (Grant::OwnWorkspace, Some(workspace)) => Ok(Reach::Workspace(workspace)),
            (Grant::OwnWorkspace, None) | (Grant::Nowhere, _) => Err(Forbidden { role: self.role }),
        }
    }

    /// What the audit trail is told of who acts now. Who has no name is the operator.
    pub(crate) fn act(&self, named: Option<&str>, at: Timestamp) -> Act {
        let actor = match (self.via, &self.in_console) {
            (_, Some(session)) => console_actor(session),
            (Via::Shell, None) => self.actor(named).unwrap_or_else(|| actor::SHELL.to_owned()),
            (_, None) => self.actor(named).unwrap_or_else(|| actor::ROOT.to_owned()),
        };
        Act { actor, token: self.token.clone(), via: self.via, address: self.address, at }
    }

    /// How the acting user is named: by root and service in the caller's own words, in the portal as its link says,
    /// otherwise by the token.
    fn actor(&self, named: Option<&str>) -> Option<String> {
        let named = named.filter(|_| self.may_name_actors()).map(str::to_owned);
        let known = || self.token.as_ref().map(|id| format!("{}{id}", actor::TOKEN));
        named.or_else(|| self.known_as.clone()).or_else(known)
    }
}

/// How whoever acts in this session of the console is named.
pub(crate) fn console_actor(session: &TokenId) -> String {
    format!("{}{session}", actor::CONSOLE)
}

enum Reach<'a> {
    Everywhere,
    Workspace(&'a WorkspaceId),
}

/// A valid token without the right that is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a token with the role {role} may not do this here")]
pub struct Forbidden {
    role: Role,
}

/// A kind of permission: for which action, and on what it is given.
pub trait Right {
    /// The row of the table of rights.
    const ACTION: Action;
    /// What the permission is given on.
    type On;
}

macro_rules! right {
    ($(#[$doc:meta])* $name:ident, $action:ident, $on:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Right for $name {
            const ACTION: Action = Action::$action;
            type On = $on;
        }
    };
}

right!(/** To see the catalogue. */ ReadCatalogue, ReadCatalogue, ());
right!(/** To see an owner's keys, masked. */ ListKeys, ListKeys, Owner);
right!(/** To read an owner's audit trail. */ ReadAudit, ReadAudit, Owner);
right!(/** To add, change and delete an owner's keys. */ ManageKeys, ManageKeys, Owner);
right!(/** To make, change, see and delete workspaces. */ ManageWorkspaces, ManageWorkspaces, ());
right!(/** To make, change, see and delete organizations. */ ManageOrganizations, ManageOrganizations, ());
right!(/** To be handed a workspace's keys in plain text. */ ResolveKeys, ResolveKeys, WorkspaceId);
right!(/** To make links to a workspace's portal, and to see and end its sessions. */ ManagePortal, ManagePortal, Owner);
right!(/** To make, see and delete tokens. */ ManageTokens, ManageTokens, TokenReach);

/// Which tokens a permit is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenReach {
    /// Those of every workspace, and of the role service if `service` says so.
    All {
        /// Whether tokens of the role service may be made and deleted.
        service: bool,
    },
    /// Those of one workspace.
    Workspace(WorkspaceId),
}

/// The permission to do something, given once it was proven. Only this module makes one.
#[derive(Debug)]
pub struct Permit<R: Right> {
    on: R::On,
    actor: Option<String>,
    act: Act,
    names_actors: bool,
    reveal: bool,
    right: PhantomData<R>,
}

impl<R: Right> Permit<R> {
    /// On what it was given.
    #[must_use]
    pub fn on(&self) -> &R::On {
        &self.on
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// What the audit trail is told of who acts now.
    pub(crate) fn act(&self, at: Timestamp) -> Act {
        Act { at, ..self.act.clone() }
    }

    /// The same for whoever takes in what others made: they are named in what is made, and the operator in the audit trail.
    pub(crate) fn taking_in(mut self) -> Self {
        actor::SHELL.clone_into(&mut self.act.actor);
        self
    }

    /// Whether who acts may pass the right to see plain text on.
    pub(crate) fn may_grant_reveal(&self) -> bool {
        self.reveal
    }

    /// Whether who acts may say who somebody else is.
    pub(crate) fn may_name_actors(&self) -> bool {
        self.names_actors
    }

    fn new(principal: &Principal, actor: Option<&str>, on: R::On) -> Self {
        Self {
            on,
            actor: principal.actor(actor),
            // The time is each deed's own.
            act: principal.act(actor, Timestamp::from_millis(0)),
            names_actors: principal.may_name_actors(),
            reveal: principal.reveal || principal.role == Role::Root,
            right: PhantomData,
        }
    }
}

impl Principal {
    /// Asks for a right that is not on any owner.
    pub fn permit<R: Right<On = ()>>(&self, actor: Option<&str>) -> Result<Permit<R>, Forbidden> {
        match self.reach(R::ACTION)? {
            Reach::Everywhere => Ok(Permit::new(self, actor, ())),
            Reach::Workspace(_) => Err(Forbidden { role: self.role }),
        }
    }

    /// Asks for a right on an owner. What the table says of a right is of workspaces; organizations and the platform
    /// have rows of their own.
    pub fn permit_on<R: Right<On = Owner>>(&self, owner: Owner, actor: Option<&str>) -> Result<Permit<R>, Forbidden> {
        let action = match owner {
            Owner::Workspace(_) => R::ACTION,
            Owner::Organization(_) => Action::ManageOrganizationKeys,
            Owner::Platform => Action::ManagePlatformKeys,
        };
        let permitted = match (self.reach(action)?, &owner) {
            (Reach::Everywhere, _) => true,
            (Reach::Workspace(own), Owner::Workspace(asked)) => own == asked,
            (Reach::Workspace(_), Owner::Organization(_) | Owner::Platform) => false,
        };
        if permitted { Ok(Permit::new(self, actor, owner)) } else { Err(Forbidden { role: self.role }) }
    }

    /// Asks to be handed a workspace's keys in plain text, which takes a token with `reveal`.
    pub fn permit_resolve(&self, workspace: WorkspaceId) -> Result<Permit<ResolveKeys>, Forbidden> {
        let reaches = match self.reach(Action::ResolveKeys)? {
            Reach::Everywhere => true,
            Reach::Workspace(own) => *own == workspace,
        };
        if reaches && self.reveal { Ok(Permit::new(self, None, workspace)) } else { Err(Forbidden { role: self.role }) }
    }

    /// Asks for the right to manage tokens, as far as the principal reaches.
    pub fn permit_tokens(&self, actor: Option<&str>) -> Result<Permit<ManageTokens>, Forbidden> {
        let reach = match self.reach(Action::ManageTokens)? {
            Reach::Everywhere => {
                TokenReach::All { service: self.role.grant(Action::ManageServiceTokens) == Grant::Everywhere }
            }
            Reach::Workspace(own) => TokenReach::Workspace(own.clone()),
        };
        Ok(Permit::new(self, actor, reach))
    }

    /// Asks to use the gateway: for the token's own workspace, or for the one that a service names. A token of one
    /// workspace may name its own.
    pub fn permit_gateway(&self, named: Option<&WorkspaceId>) -> Result<WorkspaceId, GatewayForbidden> {
        match (self.reach(Action::UseGateway)?, named) {
            (Reach::Everywhere, Some(named)) => Ok(named.clone()),
            (Reach::Everywhere, None) => Err(GatewayForbidden::NoWorkspaceNamed),
            (Reach::Workspace(own), Some(named)) if own != named => Err(Forbidden { role: self.role }.into()),
            (Reach::Workspace(own), _) => Ok(own.clone()),
        }
    }
}

/// Why a valid token may not use the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GatewayForbidden {
    /// See [`Forbidden`].
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A service token must say for which workspace.
    #[error("a service token must name the workspace in x-claviger-workspace")]
    NoWorkspaceNamed,
}
