//! Temporary folders, private files in them, and passwords.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

/// A folder that nobody else may enter. It is below `/tmp` whatever the environment says, because the way to it must be
/// open to a server that runs as another user, and short enough for the address of a Unix socket.
pub(crate) fn folder(service: &str) -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("claviger-{service}-"))
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in("/tmp")
        .context("cannot make a temporary folder")
}

/// Writes a file that nobody else may read.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// A random password, of characters that need no escape anywhere.
pub(crate) fn password() -> anyhow::Result<String> {
    let random: [u8; 16] = random()?;
    Ok(format!("{:032x}", u128::from_le_bytes(random)))
}

pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("no randomness")?;
    Ok(bytes)
}
