//! Where the master key comes from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use claviger_seal::MasterKey;
use zeroize::Zeroizing;

use crate::settings::Vault;

/// The master key that the settings name, if they name one. Touches nothing.
pub(crate) fn given(vault: &Vault) -> anyhow::Result<Option<MasterKey>> {
    match (&vault.master_key, &vault.master_key_file) {
        (Some(_), Some(_)) => {
            bail!("settings vault.master_key and vault.master_key_file are both set: keep one of them")
        }
        (Some(key), None) => MasterKey::parse(key.expose()).context("setting vault.master_key").map(Some),
        (None, Some(file)) => {
            let key = read(file).with_context(|| format!("setting vault.master_key_file {}", file.display()))?;
            Ok(Some(key))
        }
        (None, None) => Ok(None),
    }
}

/// The master key that is kept in the data folder, made where there is none. `sealed_before` says whether the database
/// was sealed under one already: then a missing file is an error, and nothing is made in its place.
pub(crate) fn kept(data_dir: &Path, sealed_before: bool) -> anyhow::Result<MasterKey> {
    let file = data_dir.join("master.key");
    match read(&file) {
        Err(error) if is_missing(&error) && sealed_before => bail!(
            "the master key is missing: the database was sealed under one, and {} is not there. Put it back, or set \
             vault.master_key or vault.master_key_file",
            file.display()
        ),
        Err(error) if is_missing(&error) => {
            make(&file).with_context(|| format!("a master key cannot be written to {}", file.display()))
        }
        read => read.with_context(|| format!("the master key in {}", file.display())),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read(file: &Path) -> anyhow::Result<MasterKey> {
    let text = Zeroizing::new(fs::read_to_string(file)?);
    Ok(MasterKey::parse(&text)?)
}

/// Makes a master key. The file appears under its name only when it is whole and on the disk: sealed data must never be
/// there before the key that opens it.
fn make(file: &Path) -> anyhow::Result<MasterKey> {
    let text = MasterKey::generate()?;
    let key = MasterKey::parse(&text)?;
    let folder = file.parent().context("the file has no folder")?;
    let draft = folder.join(format!("master.key.{}", std::process::id()));
    let written = write(&draft, &text).and_then(|()| fs::hard_link(&draft, file));
    // Whether it was linked or not, the draft has done its work.
    let removed = fs::remove_file(&draft);
    match written {
        // Another process was first; its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && file.exists() => return read(file),
        written => written?,
    }
    removed?;
    fs::File::open(folder)?.sync_all()?;
    tracing::warn!(
        file = %file.display(),
        id = %key.id(),
        "made a master key: keep a copy of it apart from the database; without it no stored key can be opened"
    );
    Ok(key)
}

fn write(draft: &Path, text: &str) -> io::Result<()> {
    // A draft of this name is left of a process that was killed.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    open.write_all(text.as_bytes())?;
    open.write_all(b"\n")?;
    open.sync_all()
}
