//! Keeping what is in memory out of files: keys that are in use are there in plain text.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Switches core dumps off, and with them that other processes of the same user may look into this one.
pub(crate) fn keep_out_of_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit alone does not count where the system pipes dumps to a program.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Keeps memory out of swap, where the system allows that without a limit.
///
/// All of it, and not only where the master key is: the ciphers that are made of keys lie where the crypto library puts
/// them, and provider keys on their way lie in buffers of HTTP and TLS. Pages are locked as they are first used, so that
/// nothing is taken that is not needed. What it costs: memory that was used once is not given back to the system. Where
/// there is a limit nothing is locked, since a process that meets it gets no memory at all.
pub(crate) fn lock() -> Swap {
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Swap(may_lock_all().and_then(|may| if may { mlockall(all).map(|()| true) } else { Ok(false) }))
}

/// Whether memory is locked, to be told once the server runs: a start that is refused says that alone.
#[must_use]
pub(crate) struct Swap(rustix::io::Result<bool>);

impl Swap {
    pub(crate) fn tell(self) {
        match self.0 {
            Ok(true) => tracing::debug!("memory is locked"),
            Ok(false) => tracing::info!(
                "memory may be swapped out: give the process CAP_IPC_LOCK or no limit of locked memory, or have no swap"
            ),
            Err(error) => tracing::warn!(%error, "memory could not be locked, and may be swapped out"),
        }
    }
}

/// Whether there is no limit, or one that can be lifted or does not count.
fn may_lock_all() -> rustix::io::Result<bool> {
    if capabilities(None)?.effective.contains(CapabilitySet::IPC_LOCK) {
        return Ok(true);
    }
    if getrlimit(Resource::Memlock).maximum.is_some() {
        return Ok(false);
    }
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })?;
    Ok(true)
}
