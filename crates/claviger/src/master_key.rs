//! Where master keys come from.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use claviger_seal::{MasterKey, MasterKeyId, MasterKeys};
use zeroize::Zeroizing;

use crate::secret_command::{self, LIMIT};
use crate::settings::{Secret, Vault};

/// The master keys that the settings give.
pub(crate) struct Given {
    wanted: Option<Found>,
    older: Vec<Found>,
}

/// A master key, and where it was found.
struct Found {
    key: MasterKey,
    at: String,
}

/// All master keys of this process.
pub(crate) struct Loaded {
    pub(crate) keys: MasterKeys,
    /// Where each was found.
    pub(crate) places: Vec<(MasterKeyId, String)>,
}

impl Given {
    /// Whether the one that is to be in use is among them.
    pub(crate) fn names_one(&self) -> bool {
        self.wanted.is_some()
    }

    /// With the master key that is kept in the data folder, where the settings name none. `sealed_before` says whether
    /// the database was sealed under one already.
    pub(crate) fn or_kept(self, data_dir: &Path, sealed_before: bool) -> anyhow::Result<Loaded> {
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => kept(data_dir, sealed_before)?,
        };
        let places = std::iter::once(&wanted).chain(&self.older).map(|found| (found.key.id(), found.at.clone()));
        let places = places.collect();
        Ok(Loaded { keys: MasterKeys::new(wanted.key, self.older.into_iter().map(|found| found.key)), places })
    }
}

/// The master keys that the settings name. Makes nothing; runs the commands that they name.
pub(crate) async fn given(vault: &Vault) -> anyhow::Result<Given> {
    let wanted = source([
        ("vault.master_key", vault.master_key.as_ref().map(Way::Text)),
        ("vault.master_key_file", vault.master_key_file.as_deref().map(Way::File)),
        ("vault.master_key_command", vault.master_key_command.as_deref().map(Way::Command)),
    ])?;
    let older = source([
        ("vault.old_master_keys", vault.old_master_keys.as_ref().map(Way::Text)),
        ("vault.old_master_keys_file", vault.old_master_keys_file.as_deref().map(Way::File)),
        ("vault.old_master_keys_command", vault.old_master_keys_command.as_deref().map(Way::Command)),
    ])?;
    let wanted = match wanted {
        None => None,
        Some(source) => {
            let text = source.read().await?;
            let key = MasterKey::parse(&text).with_context(|| source.name())?;
            Some(Found { key, at: source.name() })
        }
    };
    let mut found = Vec::new();
    if let Some(source) = older {
        let text = source.read().await?;
        for part in text.split([' ', '\t', '\r', '\n', ',']).filter(|part| !part.is_empty()) {
            let key = MasterKey::parse(&Zeroizing::new(part.to_owned())).with_context(|| source.name())?;
            found.push(Found { key, at: source.name() });
        }
    }
    Ok(Given { wanted, older: found })
}

/// What a setting says of where keys are.
enum Way<'a> {
    Text(&'a Secret),
    File(&'a Path),
    Command(&'a str),
}

struct Source<'a> {
    setting: &'static str,
    way: Way<'a>,
}

fn source<'a>(settings: [(&'static str, Option<Way<'a>>); 3]) -> anyhow::Result<Option<Source<'a>>> {
    let mut set = settings.into_iter().filter_map(|(setting, way)| way.map(|way| Source { setting, way }));
    match (set.next(), set.next()) {
        (Some(one), Some(other)) => {
            bail!("settings {} and {} are both set: keep one of them", one.setting, other.setting)
        }
        (source, _) => Ok(source),
    }
}

impl Source<'_> {
    /// Never the command itself: a secret may stand in it.
    fn name(&self) -> String {
        match self.way {
            Way::Text(_) | Way::Command(_) => format!("setting {}", self.setting),
            Way::File(file) => format!("setting {} {}", self.setting, file.display()),
        }
    }

    async fn read(&self) -> anyhow::Result<Zeroizing<String>> {
        match self.way {
            Way::Text(text) => Ok(text.expose().clone()),
            Way::File(file) => text_of(file).with_context(|| self.name()),
            Way::Command(command) => secret_command::output(command).await.with_context(|| self.name()),
        }
    }
}

/// Where the master key that is wanted in use comes from, in words for people.
pub(crate) fn place(vault: &Vault, data_dir: &Path) -> String {
    match (&vault.master_key, &vault.master_key_file, &vault.master_key_command) {
        (Some(_), _, _) => "the setting vault.master_key".to_owned(),
        (None, Some(file), _) => format!("the file {}, which vault.master_key_file names", file.display()),
        (None, None, Some(_)) => "the command of the setting vault.master_key_command".to_owned(),
        (None, None, None) => format!("the file {}", kept_in(data_dir).display()),
    }
}

fn kept_in(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// The master key that is kept in the data folder, made where there is none. Where the database was sealed before, a
/// missing file is an error, and nothing is made in its place.
fn kept(data_dir: &Path, sealed_before: bool) -> anyhow::Result<Found> {
    let file = kept_in(data_dir);
    let key = match read(&file) {
        Err(error) if is_missing(&error) && sealed_before => bail!(
            "the master key is missing: the database was sealed under one, and {} is not there. Put it back, or set \
             vault.master_key, vault.master_key_file or vault.master_key_command",
            file.display()
        ),
        Err(error) if is_missing(&error) => {
            make(&file).with_context(|| format!("a master key cannot be written to {}", file.display()))
        }
        read => read.with_context(|| format!("the master key in {}", file.display())),
    };
    if key.is_ok() && !sealed_before {
        // Another process may have put the file there just now: nothing is sealed before a power cut leaves it there.
        fs::File::open(data_dir)?.sync_all()?;
    }
    Ok(Found { key: key?, at: file.display().to_string() })
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read(file: &Path) -> anyhow::Result<MasterKey> {
    Ok(MasterKey::parse(&text_of(file)?)?)
}

/// What a file with master keys holds; also one whose length is not known, such as a pipe.
fn text_of(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it at once: a buffer that grows leaves copies behind, which nobody wipes.
    let mut bytes = Zeroizing::new(vec![0; LIMIT + 1]);
    let (mut open, mut length) = (fs::File::open(file)?, 0);
    while length <= LIMIT {
        match open.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if length > LIMIT {
        bail!("it holds more than {LIMIT} bytes, which are not master keys");
    }
    let text = std::str::from_utf8(&bytes[..length]).ok().context("it holds no text: keys are to be in base64")?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Makes the master key of the data folder, or finds the one that another process made meanwhile.
fn make(file: &Path) -> anyhow::Result<MasterKey> {
    let made = match write_new(file, &MasterKey::generate()?) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        written => written.map(|()| true)?,
    };
    // Of several that start at once, each uses what the file holds, and nobody what it made itself.
    let key = read(file)?;
    if made {
        tracing::warn!(
            file = %file.display(),
            id = %key.id(),
            "made a master key: keep a copy of it apart from the database; without it no stored key can be opened"
        );
    }
    Ok(key)
}

/// Writes a master key to a file that is not there yet, for its owner alone. The file appears under its name only when it
/// is whole and on the disk: sealed data must never be there before the key that opens it. [`io::ErrorKind::AlreadyExists`]
/// where there is one.
pub(crate) fn write_new(file: &Path, text: &Zeroizing<String>) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut prefix = file.file_name().ok_or_else(|| io::Error::other("it is not the name of a file"))?.to_owned();
    prefix.push(".");
    // Under a name that nobody else has, whatever they share: containers on one volume are all process 1. The library
    // opens it as a new file with mode 0600, and removes it wherever this ends.
    let mut draft = tempfile::Builder::new().prefix(&prefix).suffix(".draft").tempfile_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.write_all(b"\n")?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(file)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// As many containers do that share a volume: they all have one process id.
    const STARTS: usize = 16;

    fn names(folder: &Path) -> BTreeSet<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn first_starts_at_once_end_with_one_master_key() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let barrier = Barrier::new(STARTS);
            let start = || {
                barrier.wait();
                kept(folder.path(), false).unwrap().key.id().to_string()
            };
            let ids: BTreeSet<_> = thread::scope(|scope| {
                let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let file = kept_in(folder.path());
            assert_eq!(ids, BTreeSet::from([read(&file).unwrap().id().to_string()]));
            assert_eq!(names(folder.path()), BTreeSet::from(["master.key".to_owned()]), "no draft stays behind");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn of_many_that_write_a_new_file_at_once_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new.key");
        let barrier = Barrier::new(STARTS);
        let write = || {
            let text = MasterKey::generate().unwrap();
            barrier.wait();
            (write_new(&file, &text), text)
        };
        let written: Vec<_> = thread::scope(|scope| {
            let writes: Vec<_> = (0..STARTS).map(|_| scope.spawn(write)).collect();
            writes.into_iter().map(|write| write.join().unwrap()).collect()
        });
        let (done, refused): (Vec<_>, Vec<_>) = written.into_iter().partition(|(result, _)| result.is_ok());
        let stored = fs::read_to_string(&file).unwrap();
        assert_eq!(done.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), [stored.trim()]);
        for (result, _) in refused {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(names(folder.path()).len(), 1, "no draft stays behind");
    }
}
