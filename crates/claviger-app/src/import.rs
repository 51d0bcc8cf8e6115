//! Keys that come from elsewhere, many at once: for each its owner is made where it is not there, and then it is added
//! as any other key. What is there already is left as it is, so that an import may be repeated, and goes on where one
//! that was broken off ended.

use std::collections::HashSet;

use claviger_core::actor::MAX_ACTOR_LENGTH;
use claviger_core::key::{KeyName, MAX_NAME_LENGTH};
use claviger_core::{KeySecret, OrganizationId, Owner, ProviderId, WorkspaceId};
use claviger_seal::{SimKey, SimOpenError};
use claviger_store::{PutWorkspaceError, StoreError};

use crate::App;
use crate::access::{Forbidden, ManageOrganizations, ManageWorkspaces, Permit, Principal};
use crate::keys::{PutKey, PutKeyError};
use crate::organizations::{OrganizationError, PutOrganization};
use crate::owners;
use crate::rehearsal::Rehearsal;
use crate::workspaces::{PutWorkspace, WorkspaceError};

/// An import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Who imports lacks the right.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Where the keys come from does not answer.
    #[error("reading from the source failed")]
    Source(#[source] StoreError),
    /// The database does not take what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A workspace could not be made.
    #[error("a workspace could not be made")]
    Workspace(#[from] PutWorkspaceError),
}

/// A key on its way in.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Whose it is to be.
    pub owner: Owner,
    /// Its provider, by the catalogue's id.
    pub provider: &'a str,
    /// Its secret.
    pub secret: Secret<'a>,
    /// Its name.
    pub name: Option<KeyName>,
    /// Who added it where it comes from.
    pub created_by: Option<String>,
}

/// A secret on its way in.
#[derive(Debug)]
pub enum Secret<'a> {
    /// In plain text.
    Plain(KeySecret),
    /// As Sim sealed it, and the key that opens it.
    Sim(&'a SimKey, &'a str),
}

/// What is known of an owner that may have to be made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Home {
    /// A name for people.
    pub name: Option<String>,
    /// The organization of a workspace, with its name.
    pub organization: Option<(OrganizationId, Option<String>)>,
}

/// What became of a key, or would have become of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was added.
    Taken,
    /// Its pool has this secret.
    AlreadyThere,
    /// Its pool has ten keys.
    OverCap,
    /// It does not open; why.
    Undecryptable(String),
    /// The catalogue does not know its provider.
    UnknownProvider,
    /// It could not be added for another reason.
    Refused(String),
}

/// The owners that were made, or would have been.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Made {
    /// Workspaces that were not there.
    pub workspaces: u64,
    /// Organizations that were not there.
    pub organizations: u64,
    /// Workspaces that were there without an organization, and have one now.
    pub joined: u64,
    /// Workspaces that were there with another organization, and keep it.
    pub elsewhere: u64,
}

/// Takes keys in, or finds out what would become of them.
#[derive(Debug)]
pub struct Importer<'a> {
    app: &'a App,
    principal: Principal,
    workspaces: Permit<ManageWorkspaces>,
    organizations: Permit<ManageOrganizations>,
    rehearsal: Option<Rehearsal>,
    /// Workspaces that are in another organization here.
    elsewhere: HashSet<WorkspaceId>,
    /// The owner that is known to be there.
    at: Option<Owner>,
    made: Made,
}

impl<'a> Importer<'a> {
    /// In the name of this principal. A rehearsal changes nothing.
    pub fn new(app: &'a App, principal: Principal, rehearse: bool) -> Result<Self, Forbidden> {
        Ok(Self {
            app,
            workspaces: principal.permit(None)?,
            organizations: principal.permit(None)?,
            principal,
            rehearsal: rehearse.then(Rehearsal::default),
            elsewhere: HashSet::new(),
            at: None,
            made: Made::default(),
        })
    }

    /// The owners that were made so far.
    #[must_use]
    pub fn made(&self) -> Made {
        self.made
    }

    /// Whether an owner is there.
    pub async fn is_there(&self, owner: &Owner) -> Result<bool, StoreError> {
        owners::exists(&*self.app.store, owner).await
    }

    /// Takes a key in. Only for one that gets as far as its pool, `home` is asked what is known of its owner, once for
    /// keys of one owner that follow each other.
    pub async fn take(
        &mut self,
        arrival: Arrival<'_>,
        home: impl AsyncFnOnce(&Owner) -> Result<Home, StoreError>,
    ) -> Result<Fate, ImportError> {
        let Arrival { owner, provider, secret, name, created_by } = arrival;
        let Some(provider) = self.app.catalogue.get(provider).map(|provider| provider.id.clone()) else {
            return Ok(Fate::UnknownProvider);
        };
        let secret = match opened(secret) {
            Ok(secret) => secret,
            Err(fate) => return Ok(fate),
        };
        if self.at.as_ref() != Some(&owner) {
            let home = home(&owner).await.map_err(ImportError::Source)?;
            self.bring_owner(&owner, home).await?;
            self.at = Some(owner.clone());
        }
        self.put(owner, provider, (secret, name, created_by)).await
    }

    async fn put(
        &mut self,
        owner: Owner,
        provider: ProviderId,
        (secret, name, created_by): (KeySecret, Option<KeyName>, Option<String>),
    ) -> Result<Fate, ImportError> {
        let permit = self.principal.permit_on(owner, created_by.as_deref())?.taking_in();
        let put = PutKey { provider, secret, name: Some(name), verify: false };
        let keys = &self.app.keys;
        let done = match &mut self.rehearsal {
            Some(rehearsal) => rehearsal.add(keys, &permit, &put).await,
            None => keys.add(&permit, put).await.map(|_| Fate::Taken),
        };
        fate(done)
    }

    /// Says that no further keys of earlier owners follow, so that a rehearsal may forget them.
    pub fn next_owner(&mut self) {
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.forget();
        }
    }

    /// Makes an owner where it is not there. A workspace that is there and belongs to no organization joins its own.
    pub async fn bring_owner(&mut self, owner: &Owner, home: Home) -> Result<(), ImportError> {
        match owner {
            Owner::Workspace(id) => self.bring_workspace(id, home).await,
            Owner::Organization(id) => self.bring_organization(id, home.name).await,
            Owner::Platform => Ok(()),
        }
    }

    async fn bring_workspace(&mut self, id: &WorkspaceId, home: Home) -> Result<(), ImportError> {
        let Home { name, organization } = home;
        let wanted = organization.as_ref().map(|(organization, _)| organization.clone());
        let there = match self.app.workspaces.get(&self.workspaces, id).await {
            Ok(workspace) => Some(workspace.organization_id),
            Err(WorkspaceError::NoWorkspace) => None,
            Err(WorkspaceError::Store(error)) => return Err(error.into()),
        };
        let put = match there {
            None if self.is_imagined(&Owner::Workspace(id.clone())) => return Ok(()),
            None => {
                self.made.workspaces += 1;
                PutWorkspace { name: Some(name), organization: Some(wanted) }
            }
            Some(Some(current)) => {
                if wanted.is_some_and(|wanted| wanted != current) && self.elsewhere.insert(id.clone()) {
                    self.made.elsewhere += 1;
                }
                return Ok(());
            }
            Some(None) if wanted.is_none() => return Ok(()),
            Some(None) => {
                self.made.joined += u64::from(!self.is_imagined(&Owner::Workspace(id.clone())));
                PutWorkspace { name: None, organization: Some(wanted) }
            }
        };
        if let Some((organization, name)) = organization {
            self.bring_organization(&organization, name).await?;
        }
        if self.rehearsal.is_none() {
            self.app.workspaces.put(&self.workspaces, id.clone(), put).await?;
        }
        Ok(())
    }

    async fn bring_organization(&mut self, id: &OrganizationId, name: Option<String>) -> Result<(), ImportError> {
        match self.app.organizations.get(&self.organizations, id).await {
            Ok(_) => return Ok(()),
            Err(OrganizationError::NoOrganization) => {}
            Err(OrganizationError::Store(error)) => return Err(error.into()),
        }
        if self.is_imagined(&Owner::Organization(id.clone())) {
            return Ok(());
        }
        self.made.organizations += 1;
        if self.rehearsal.is_none() {
            let put = PutOrganization { name: Some(name), keys_enabled: None };
            self.app.organizations.put(&self.organizations, id.clone(), put).await?;
        }
        Ok(())
    }

    /// Whether a rehearsal has been here before.
    fn is_imagined(&mut self, owner: &Owner) -> bool {
        self.rehearsal.as_mut().is_some_and(|rehearsal| rehearsal.has_made(owner))
    }
}

fn opened(secret: Secret<'_>) -> Result<KeySecret, Fate> {
    match secret {
        Secret::Plain(secret) => Ok(secret),
        Secret::Sim(key, sealed) => key.open(sealed).map_err(|error| match error {
            SimOpenError::Form | SimOpenError::Refused => Fate::Undecryptable(error.to_string()),
            SimOpenError::NoKey(_) => Fate::Refused(error.to_string()),
        }),
    }
}

fn fate(done: Result<Fate, PutKeyError>) -> Result<Fate, ImportError> {
    match done {
        Ok(fate) => Ok(fate),
        Err(PutKeyError::Duplicate(_)) => Ok(Fate::AlreadyThere),
        Err(PutKeyError::LimitReached) => Ok(Fate::OverCap),
        Err(PutKeyError::Store(error)) => Err(error.into()),
        Err(
            error @ (PutKeyError::NoOwner(_)
            | PutKeyError::NoKey
            | PutKeyError::Rejected(_)
            | PutKeyError::Given(_)
            | PutKeyError::Unreadable(_)
            | PutKeyError::Seal(_)),
        ) => Ok(Fate::Refused(error.to_string())),
    }
}

/// As much of a name as a name can hold: elsewhere other rules may have held.
#[must_use]
pub fn fitted_name(text: &str) -> Option<KeyName> {
    KeyName::parse(&fitted(text, MAX_NAME_LENGTH)).ok().flatten()
}

/// As much of the name of an acting user as one can hold.
#[must_use]
pub fn fitted_actor(text: &str) -> Option<String> {
    Some(fitted(text, MAX_ACTOR_LENGTH)).filter(|name| !name.is_empty())
}

fn fitted(text: &str, length: usize) -> String {
    let sound: String = text.chars().filter(|c| !c.is_control()).collect();
    sound.trim().chars().take(length).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_elsewhere_are_cut_to_what_fits() {
        assert_eq!(fitted_name(" Team\u{7}\n ").unwrap().as_str(), "Team");
        assert_eq!(fitted_name(&"é".repeat(500)).unwrap().as_str().chars().count(), MAX_NAME_LENGTH);
        assert_eq!(fitted_name(" \n"), None);
        assert_eq!(fitted_actor(&"x".repeat(500)).unwrap().len(), MAX_ACTOR_LENGTH);
        assert_eq!(fitted_actor("\t"), None);
    }
}
