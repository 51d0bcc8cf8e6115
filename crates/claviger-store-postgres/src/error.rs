//! From what PostgreSQL says to what a caller is told.

use std::fmt;

use claviger_store::{
    AddKeyError, AddPortalLinkError, AddWebhookError, ChangeKeyError, CopyError, InsertTokenError, PutWorkspaceError,
    ReplaceKeyError, StoreError,
};
use sqlx::postgres::PgQueryResult;

/// PostgreSQL's codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). The first two characters are
/// the class.
pub(crate) mod code {
    pub(crate) const CLASS_CONNECTION: &str = "08";
    pub(crate) const CLASS_DATA: &str = "22";
    pub(crate) const CLASS_INTEGRITY: &str = "23";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const NOT_LET_IN: &str = "28000";
    pub(crate) const WRONG_PASSWORD: &str = "28P01";
    pub(crate) const NO_DATABASE: &str = "3D000";
    pub(crate) const NO_SCHEMA: &str = "3F000";
    pub(crate) const SERIALIZATION: &str = "40001";
    pub(crate) const DEADLOCK: &str = "40P01";
    pub(crate) const FORBIDDEN: &str = "42501";
    pub(crate) const DISK_FULL: &str = "53100";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const LOCK_TIMEOUT: &str = "55P03";
    pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(crate) const CRASH_SHUTDOWN: &str = "57P02";
    pub(crate) const STARTING_UP: &str = "57P03";
    pub(crate) const IDLE_SESSION: &str = "57P05";
}

/// The server's code, where the error is its own.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// What may be done about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remedy {
    /// The connection is dead, and what was under way on it did not happen: try on another one.
    AnotherConnection,
    /// The server gave way to another transaction: try again from the beginning.
    FromTheBeginning,
    /// None that this program knows.
    None,
}

/// A failure in words that are fit for a log. The server's `detail` and `hint` are not kept: they hold the values of
/// rows, sealed secrets among them.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) remedy: Remedy,
    words: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

/// The database did not answer, for a reason of our own finding.
pub(crate) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(Box::new(Failure { remedy: Remedy::None, words: why.to_owned() }))
}

/// What a failure means.
pub(crate) fn meaning(error: sqlx::Error) -> StoreError {
    match error {
        // These are of a row that is not what the schema promises.
        sqlx::Error::RowNotFound
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. } => StoreError::Unexpected(error.to_string()),
        sqlx::Error::Database(_) => of_postgres(&error),
        other => StoreError::Unavailable(Box::new(Failure { remedy: remedy(&other), words: one_line(&other) })),
    }
}

/// What it means that a commit failed. Where its answer was lost, nobody knows whether it happened, so that it must not
/// be tried again.
pub(crate) fn meaning_of_commit(error: sqlx::Error) -> StoreError {
    match meaning(error) {
        StoreError::Unavailable(source) => match source.downcast::<Failure>() {
            Ok(failure) if failure.remedy == Remedy::AnotherConnection => {
                let words = format!("the answer to a commit was lost: {}", failure.words);
                StoreError::Unavailable(Box::new(Failure { remedy: Remedy::None, words }))
            }
            Ok(failure) => StoreError::Unavailable(failure),
            Err(other) => StoreError::Unavailable(other),
        },
        other => other,
    }
}

fn of_postgres(error: &sqlx::Error) -> StoreError {
    let sqlstate = sqlstate(error).unwrap_or_default();
    let class = sqlstate.get(..2).unwrap_or_default();
    // The message names tables and constraints; only of a refused value it may hold the value itself.
    let words = match error.as_database_error() {
        Some(of_server) if class != code::CLASS_DATA => format!("{} ({sqlstate})", in_one_line(of_server.message())),
        _ => format!("PostgreSQL refuses a value ({sqlstate})"),
    };
    if matches!(class, code::CLASS_INTEGRITY | code::CLASS_DATA) {
        return StoreError::Unexpected(words);
    }
    let failure = Box::new(Failure { remedy: remedy(error), words });
    match sqlstate.as_str() {
        code::DISK_FULL => StoreError::Full(failure),
        code::READ_ONLY | code::FORBIDDEN => StoreError::ReadOnly(failure),
        // PostgreSQL has some 250 codes; whatever else it says is that it could not do it now.
        _ => StoreError::Unavailable(failure),
    }
}

fn remedy(error: &sqlx::Error) -> Remedy {
    match error {
        sqlx::Error::Io(_) => Remedy::AnotherConnection,
        sqlx::Error::Database(_) => match sqlstate(error).unwrap_or_default().as_str() {
            code::SERIALIZATION | code::DEADLOCK => Remedy::FromTheBeginning,
            code::ADMIN_SHUTDOWN | code::CRASH_SHUTDOWN | code::STARTING_UP | code::IDLE_SESSION => {
                Remedy::AnotherConnection
            }
            other if other.starts_with(code::CLASS_CONNECTION) => Remedy::AnotherConnection,
            _ => Remedy::None,
        },
        _ => Remedy::None,
    }
}

/// An error's words without line breaks.
pub(crate) fn one_line(error: &sqlx::Error) -> String {
    in_one_line(&error.to_string())
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row that does not have the form in which this program writes.
pub(crate) fn malformed(what: &'static str) -> StoreError {
    StoreError::Unexpected(format!("{what} of an impossible form"))
}

/// Verifies that a statement touched exactly one row.
pub(crate) fn one_row(result: &PgQueryResult, what: &'static str) -> Result<(), StoreError> {
    rows(result, 1, what)
}

/// Verifies that a statement touched exactly so many rows.
pub(crate) fn rows(result: &PgQueryResult, expected: usize, what: &'static str) -> Result<(), StoreError> {
    let rows = result.rows_affected();
    if u64::try_from(expected) == Ok(rows) {
        return Ok(());
    }
    Err(StoreError::Unexpected(format!("{what} touched {rows} rows where there must be {expected}")))
}

/// Verifies that a statement touched one row or none, and tells which.
pub(crate) fn one_row_or_none(result: &PgQueryResult, what: &'static str) -> Result<bool, StoreError> {
    match result.rows_affected() {
        0 => Ok(false),
        _ => one_row(result, what).map(|()| true),
    }
}

/// An operation's error, which may be the database's.
pub(crate) trait Refusal: From<StoreError> + Send {
    /// The database's error, where it is that.
    fn of_store(&self) -> Option<&StoreError>;
}

impl Refusal for StoreError {
    fn of_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

macro_rules! refusals {
    ($($error:ident)*) => {
        $(impl Refusal for $error {
            fn of_store(&self) -> Option<&StoreError> {
                if let Self::Store(error) = self { Some(error) } else { None }
            }
        })*
    };
}

refusals!(AddKeyError AddPortalLinkError AddWebhookError ChangeKeyError CopyError InsertTokenError PutWorkspaceError ReplaceKeyError);

/// What may be done about an operation's error.
pub(crate) fn remedy_for(refusal: &impl Refusal) -> Remedy {
    match refusal.of_store() {
        Some(StoreError::Unavailable(source)) => {
            source.downcast_ref().map_or(Remedy::None, |failure: &Failure| failure.remedy)
        }
        _ => Remedy::None,
    }
}
