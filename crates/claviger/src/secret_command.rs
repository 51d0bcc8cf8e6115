//! Secrets that a command prints, such as the command line of a key management service.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a command has until it has ended and nobody holds its output open.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much is read of its output, or of a file: many keys.
pub(crate) const LIMIT: usize = 4096;

/// Runs a command by `/bin/sh -c`, with nothing on stdin, and answers what it printed; that is never part of an error.
/// What it writes to stderr goes to ours. It gets our environment without our own settings, which may be secrets that are
/// none of its business.
pub(crate) async fn output(command: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // A group of its own, so that it can be ended with everything that it started.
    shell.process_group(0).kill_on_drop(true);
    for name in our_settings() {
        shell.env_remove(name);
    }
    let mut child = shell.spawn().context("/bin/sh, which runs it, cannot be started")?;
    let answer = timeout(PATIENCE, read(&mut child)).await.unwrap_or_else(|_elapsed| {
        Err(anyhow!(
            "it had not ended after {} seconds, and was killed with all that it started; it is given no input and no \
             terminal",
            PATIENCE.as_secs()
        ))
    });
    // It has no number any more where its end was seen.
    if let Some(group) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // It may have ended by itself just now.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    answer
}

async fn read(child: &mut Child) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it at once: a buffer that grows leaves copies behind, which nobody wipes.
    let mut bytes = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut length = 0;
    let mut stdout = child.stdout.take().context("it has no output")?;
    while length <= LIMIT {
        match stdout.read(&mut bytes[length..]).await.context("its output cannot be read")? {
            0 => break,
            more => length += more,
        }
    }
    if length > LIMIT {
        bail!("it printed more than {LIMIT} bytes, which are not shown");
    }
    let status = child.wait().await?;
    if !status.success() {
        bail!("it failed ({status}); what it said of that is above");
    }
    let text = std::str::from_utf8(&bytes[..length]).ok();
    let text = text.context("it printed something that is not text, and is not shown: keys are to be in base64")?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn our_settings() -> impl Iterator<Item = OsString> {
    #[expect(clippy::disallowed_methods, reason = "no setting is read here, but kept from a command")]
    let all = std::env::vars_os();
    all.map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"CLAVIGER_"))
}
