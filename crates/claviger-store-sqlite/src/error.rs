//! From what SQLite says to what a caller is told.

use claviger_store::StoreError;
use sqlx::sqlite::SqliteQueryResult;

/// SQLite's result codes (<https://sqlite.org/rescode.html>). The low byte of an extended code is its primary code.
pub(crate) mod code {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const READONLY: i32 = 8;
    pub(crate) const IOERR: i32 = 10;
    pub(crate) const CORRUPT: i32 = 11;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CANTOPEN: i32 = 14;
    pub(crate) const CONSTRAINT: i32 = 19;
    pub(crate) const NOTADB: i32 = 26;

    /// A process died in the middle of a write, and reading takes undoing it first.
    pub(crate) const READONLY_ROLLBACK: i32 = READONLY | 3 << 8;
    /// A write failed for a reason other than `ENOSPC`, which is [`FULL`]: a quota or a limit on file sizes, mostly.
    pub(crate) const IOERR_WRITE: i32 = IOERR | 3 << 8;
    /// The index of the write-ahead log cannot grow.
    pub(crate) const IOERR_SHMSIZE: i32 = IOERR | 19 << 8;
}

/// The extended result code, where the error is SQLite's own.
pub(crate) fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The primary result code, where the error is SQLite's own.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    extended_code(error).map(|code| code & 0xff)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// What a failed read means.
pub(crate) fn on_read(error: sqlx::Error) -> StoreError {
    meaning(error, Access::Read)
}

/// What a failed write means.
pub(crate) fn on_write(error: sqlx::Error) -> StoreError {
    meaning(error, Access::Write)
}

fn meaning(error: sqlx::Error, access: Access) -> StoreError {
    match error {
        // These are of a row that is not what the schema promises.
        sqlx::Error::RowNotFound
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. } => StoreError::Unexpected(error.to_string()),
        sqlx::Error::Database(_) => of_sqlite(error, access),
        // The library's enum grows; whatever else it says is that there was no answer.
        other => StoreError::Unavailable(Box::new(other)),
    }
}

fn of_sqlite(error: sqlx::Error, access: Access) -> StoreError {
    let extended = extended_code(&error).unwrap_or_default();
    if matches!(extended, code::IOERR_WRITE | code::IOERR_SHMSIZE) {
        return StoreError::Full(Box::new(error));
    }
    match (extended & 0xff, access) {
        (code::FULL, _) => StoreError::Full(Box::new(error)),
        (code::READONLY, _) | (code::CANTOPEN, Access::Write) => StoreError::ReadOnly(Box::new(error)),
        // A constraint that no operation has a word for means that a caller or a row breaks a rule of the schema.
        // SQLite's message names columns, never values.
        (code::CONSTRAINT | code::CORRUPT | code::NOTADB, _) => StoreError::Unexpected(error.to_string()),
        // SQLite has about thirty codes; that it is busy, failed to read, or was interrupted all mean the same here.
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// A row that does not have the form in which this program writes.
pub(crate) fn malformed(what: &'static str) -> StoreError {
    StoreError::Unexpected(format!("{what} of an impossible form"))
}

/// Verifies that a statement touched exactly one row.
pub(crate) fn one_row(result: &SqliteQueryResult, what: &'static str) -> Result<(), StoreError> {
    rows(result, 1, what)
}

/// Verifies that a statement touched exactly so many rows.
pub(crate) fn rows(result: &SqliteQueryResult, expected: usize, what: &'static str) -> Result<(), StoreError> {
    let rows = result.rows_affected();
    if u64::try_from(expected) == Ok(rows) {
        return Ok(());
    }
    Err(StoreError::Unexpected(format!("{what} touched {rows} rows where there must be {expected}")))
}

/// Verifies that a statement touched one row or none, and tells which.
pub(crate) fn one_row_or_none(result: &SqliteQueryResult, what: &'static str) -> Result<bool, StoreError> {
    match result.rows_affected() {
        0 => Ok(false),
        _ => one_row(result, what).map(|()| true),
    }
}
