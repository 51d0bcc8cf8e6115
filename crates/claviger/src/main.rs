//! The Claviger binary.

mod admin;
mod cli;
mod clock;
mod control;
mod dev;
mod health;
mod log;
mod master_key;
mod memory;
mod metrics;
mod open;
mod print;
mod secret_command;
mod serve;
mod settings;

use std::panic;
use std::process::ExitCode;

use cli::{Cli, Command};

/// The relay makes many small, short-lived buffers on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|panic| print::problem(&print::of_panic(panic))));
    // Bad usage ends here, with exit code 2.
    let cli = Cli::read();
    // Before any key is read. A system that does not allow it is no reason not to run.
    if let Err(error) = memory::keep_out_of_dumps() {
        print::problem(&format!("claviger: core dumps could not be switched off: {error}"));
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::problem(&format!("claviger: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // The gateway has threads of its own; this runtime is for everything else.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let Cli { settings, json, command } = cli;
    runtime.block_on(async move {
        match command {
            Command::Dev(dev) => dev::run(json, &dev).await,
            Command::Serve(serve) => serve::run(&settings, json, &serve).await,
            Command::Workspace { command } => admin::workspace(&settings, json, command).await,
            Command::Organization { command } => admin::organization(&settings, json, command).await,
            Command::Key { command } => admin::key(&settings, json, command).await,
            Command::Token { command } => admin::token(&settings, json, command).await,
            Command::PortalLink(link) => admin::portal_link(&settings, json, link).await,
            Command::Audit { command } => admin::audit(&settings, json, command).await,
            Command::Import { command } => admin::import(&settings, json, command).await,
            Command::MasterKey { command } => admin::master_key(&settings, json, command).await,
            Command::Store { command } => admin::store(json, command).await,
            Command::Health => health::run(&settings),
        }
    })
}
