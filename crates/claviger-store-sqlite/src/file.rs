//! The database's file: made here, and watched for its name.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use claviger_store::StoreError;

/// Whether there is a file. It is only looked at: opening and closing it here would drop the locks that this process may
/// have on it.
pub(crate) fn exists(path: &Path) -> Result<bool, String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err("it is a folder".to_owned()),
        Ok(found) if !found.is_file() => Err("it is not a file".to_owned()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(in_words(&error)),
    }
}

/// Makes an empty file where there is none, that only its owner may read; SQLite gives its other files the same
/// permissions.
pub(crate) fn make(path: &Path) -> Result<(), String> {
    if exists(path)? {
        return Ok(());
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(in_words(&error)),
    }
}

pub(crate) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "the permissions of the file or its folder forbid it".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "its file system may only be read, not written".to_owned(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

/// The file that was opened, as the file system knows it whatever its name.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    identity: (u64, u64),
}

impl Opened {
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        Ok(Self { identity: identity(&path)?, path })
    }

    /// Whether the file still has its name. SQLite goes on writing to a file that was deleted or moved, and all of that
    /// would be lost at the next start, so nobody must be told that it was stored.
    pub(crate) fn is_in_place(&self) -> Result<(), StoreError> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(StoreError::Unavailable("the file was replaced while it was open".into())),
            Err(error) => Err(StoreError::Unavailable(Box::new(error))),
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_file_from_being_made_is_said_plainly() {
        let words = |kind: io::ErrorKind| in_words(&io::Error::from(kind));
        assert_eq!(words(io::ErrorKind::NotFound), "its folder does not exist");
        assert_eq!(words(io::ErrorKind::ReadOnlyFilesystem), "its file system may only be read, not written");
        assert_eq!(words(io::ErrorKind::PermissionDenied), "the permissions of the file or its folder forbid it");
        assert_eq!(words(io::ErrorKind::StorageFull), "the disk is full");
    }
}
