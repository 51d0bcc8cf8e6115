//! Where the master key comes from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use claviger_seal::MasterKey;
use zeroize::Zeroizing;

use crate::settings::Vault;

/// Finds the master key. `sealed_before` says whether the database was sealed under one already: then a missing file is
/// an error, and nothing is made in its place.
pub(crate) fn find(vault: &Vault, data_dir: &Path, sealed_before: bool) -> anyhow::Result<MasterKey> {
    match (&vault.master_key, &vault.master_key_file) {
        (Some(_), Some(_)) => bail!("vault.master_key and vault.master_key_file are both set: keep one of them"),
        (Some(key), None) => MasterKey::parse(key.expose()).context("vault.master_key"),
        (None, Some(file)) => read(file).with_context(|| format!("vault.master_key_file {}", file.display())),
        (None, None) => from_data_dir(data_dir, sealed_before),
    }
}

fn from_data_dir(data_dir: &Path, sealed_before: bool) -> anyhow::Result<MasterKey> {
    let file = data_dir.join("master.key");
    match read(&file) {
        Err(error) if is_missing(&error) && sealed_before => bail!(
            "the master key is missing: the database was sealed under one, and {} is not there. Put it back, or set \
             vault.master_key or vault.master_key_file",
            file.display()
        ),
        Err(error) if is_missing(&error) => make(&file),
        read => read.with_context(|| format!("the master key in {}", file.display())),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read(file: &PathBuf) -> anyhow::Result<MasterKey> {
    let text = Zeroizing::new(fs::read_to_string(file)?);
    Ok(MasterKey::parse(&text)?)
}

fn make(file: &PathBuf) -> anyhow::Result<MasterKey> {
    let text = MasterKey::generate()?;
    let key = MasterKey::parse(&text)?;
    let cannot = || format!("a master key cannot be written to {}", file.display());
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(cannot)?;
    open.write_all(text.as_bytes()).with_context(cannot)?;
    open.write_all(b"\n").with_context(cannot)?;
    // Sealed data must never be on the disk before the key that opens it.
    open.sync_all().with_context(cannot)?;
    if let Some(parent) = file.parent() {
        fs::File::open(parent).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    }
    tracing::warn!(
        file = %file.display(),
        id = %key.id(),
        "made a master key: keep a copy of it apart from the database; without it no stored key can be opened"
    );
    Ok(key)
}
