//! What a change says to other processes: one letter and ids, on one channel, sent by the commit of the change itself.

use claviger_core::owner::PoolId;
use claviger_core::{OrganizationId, Owner, TokenId, WorkspaceId};
use claviger_store::{Change, StoreError};
use sqlx::PgConnection;

use crate::error::meaning;
use crate::read;

/// The channel of changes.
pub(crate) const CHANNEL: &str = "claviger";

pub(crate) async fn pool(db: &mut PgConnection, pool: &PoolId) -> Result<(), StoreError> {
    announce(db, &Change::Pool(pool.clone())).await
}

pub(crate) async fn token(db: &mut PgConnection, token: &TokenId) -> Result<(), StoreError> {
    announce(db, &Change::Token(token.clone())).await
}

pub(crate) async fn workspace(db: &mut PgConnection, workspace: &WorkspaceId) -> Result<(), StoreError> {
    announce(db, &Change::Workspace(workspace.clone())).await
}

pub(crate) async fn organization(db: &mut PgConnection, organization: &OrganizationId) -> Result<(), StoreError> {
    announce(db, &Change::Organization(organization.clone())).await
}

pub(crate) async fn everything(db: &mut PgConnection) -> Result<(), StoreError> {
    announce(db, &Change::Everything).await
}

async fn announce(db: &mut PgConnection, change: &Change) -> Result<(), StoreError> {
    notify(db, CHANNEL, &payload(change)).await
}

/// Sent when the transaction commits, and not at all where it does not.
pub(crate) async fn notify(db: &mut PgConnection, channel: &str, payload: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload).execute(db).await.map(drop).map_err(meaning)
}

/// No id has a space. The platform's is empty, so an owner's id comes last.
fn payload(change: &Change) -> String {
    match change {
        Change::Pool(PoolId { owner, provider }) => format!("p {provider} {} {}", owner.kind().as_str(), owner.id()),
        Change::Token(token) => format!("t {token}"),
        Change::Workspace(workspace) => format!("w {workspace}"),
        Change::Organization(organization) => format!("o {organization}"),
        Change::Everything => "e".to_owned(),
    }
}

/// What cannot be read, perhaps from a later version of this program, may mean anything.
pub(crate) fn told(payload: &str) -> Change {
    read_payload(payload).unwrap_or(Change::Everything)
}

fn read_payload(payload: &str) -> Option<Change> {
    let words: Vec<&str> = payload.split(' ').collect();
    match *words.as_slice() {
        ["p", provider, kind, id] => {
            let owner: Owner = read::owner(kind, id).ok()?;
            Some(Change::Pool(PoolId { owner, provider: provider.parse().ok()? }))
        }
        ["t", token] => token.parse().ok().map(Change::Token),
        ["w", workspace] => workspace.parse().ok().map(Change::Workspace),
        ["o", organization] => organization.parse().ok().map(Change::Organization),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_reads_back() {
        let provider: claviger_core::ProviderId = "openai".parse().unwrap();
        let pool = |owner| Change::Pool(PoolId { owner, provider: provider.clone() });
        for change in [
            pool(Owner::Workspace("acme:eu".parse().unwrap())),
            pool(Owner::Organization("acme".parse().unwrap())),
            pool(Owner::Platform),
            Change::Token("aaaaaaaaaaaaaaaa".parse().unwrap()),
            Change::Workspace("acme".parse().unwrap()),
            Change::Organization("acme".parse().unwrap()),
            Change::Everything,
        ] {
            assert_eq!(told(&payload(&change)), change);
        }
    }

    #[test]
    fn what_cannot_be_read_means_everything() {
        for odd in ["", "e", "p openai workspace", "p openai team acme", "w", "w a b", "t short", "x acme"] {
            assert_eq!(told(odd), Change::Everything, "{odd:?}");
        }
    }
}
