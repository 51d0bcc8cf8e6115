//! A provider key on its way in: from standard input or a file, and wiped afterwards.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use claviger_core::KeySecret;
use zeroize::Zeroizing;

use crate::cli::SecretFlags;
use crate::print;

/// As much as the API takes of a request.
const LIMIT: usize = 64 * 1024;

pub(super) fn read(flags: &SecretFlags) -> anyhow::Result<KeySecret> {
    let text = match &flags.secret_file {
        Some(path) => read_file("--secret-file", path)?,
        None if io::stdin().is_terminal() => ask()?,
        // Without the standard library's buffer, which nobody wipes.
        None => read_all(&File::from(io::stdin().as_fd().try_clone_to_owned()?)).context("standard input")?,
    };
    KeySecret::parse(&text).context("the secret cannot be a provider key")
}

/// A file with a secret in it, which a flag names.
pub(super) fn read_file(flag: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let name = || format!("{flag} {}", path.display());
    read_all(&File::open(path).with_context(name)?).with_context(name)
}

/// At a terminal: nothing of what is typed or pasted shows.
fn ask() -> anyhow::Result<Zeroizing<String>> {
    print::problem("The secret (it does not show): ");
    Ok(Zeroizing::new(rpassword::read_password().context("the secret cannot be read from the terminal")?))
}

fn read_all(mut from: &File) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it at once: a buffer that grows leaves copies behind, which nobody wipes.
    let mut bytes = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut length = 0;
    while length <= LIMIT {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::ensure!(length <= LIMIT, "there is too much of it: more than {LIMIT} bytes");
    let text = std::str::from_utf8(&bytes[..length]).ok().context("it is not text")?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn read_of(bytes: &[u8]) -> anyhow::Result<Zeroizing<String>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        read_all(&file)
    }

    #[test]
    fn what_is_read_is_bounded() {
        assert_eq!(read_of(b" abc \n").unwrap().as_str(), " abc \n");
        assert_eq!(read_of(&vec![b'x'; LIMIT]).unwrap().len(), LIMIT);
        assert!(read_of(&vec![b'x'; LIMIT + 1]).unwrap_err().to_string().contains("too much"));
        assert!(read_of(&[0xff]).unwrap_err().to_string().contains("not text"));
    }
}
