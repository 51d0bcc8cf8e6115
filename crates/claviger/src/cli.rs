//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use claviger_core::access::TokenRole;
use serde::Deserialize;

/// Claviger keeps the keys that the customers of an AI product bring along, and sends every request with the next one.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsFlags,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where settings come from, beside the environment.
#[derive(Debug, Args)]
pub(crate) struct SettingsFlags {
    /// Read settings from FILE instead of ./claviger.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep database and master key in DIR
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try the whole product on throw-away data, with a mock provider behind every catalogue entry
    Dev(DevFlags),
    /// Run the server
    Serve(ServeFlags),
    /// Make, list, show and delete workspaces
    Workspace {
        #[command(subcommand)]
        command: WorkspaceCommand,
    },
    /// Make, list and delete tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Exit with 0 where the server at the configured address is ready
    Health,
}

#[derive(Debug, Args)]
pub(crate) struct DevFlags {
    /// Listen on ADDRESS; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Listen on ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Write log lines in this form
    #[arg(long, value_name = "FORM")]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, Deserialize, ValueEnum)]
#[serde(try_from = "String")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// List workspaces by id
    List,
    /// Make a workspace, or change its name
    Create {
        /// The product's own id: 1 to 128 of A-Z a-z 0-9 . _ : -
        id: String,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// Show one workspace
    Show { id: String },
    /// Delete a workspace with its keys and tokens, and destroy its data key
    Delete { id: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List tokens by id, without their secrets
    List,
    /// Make a token; it is printed this once
    Create {
        /// A name for people
        #[arg(long)]
        name: String,
        /// What it is for
        #[arg(long)]
        role: RoleFlag,
        /// The workspace it belongs to; for every role but service
        #[arg(long, value_name = "ID")]
        workspace: Option<String>,
        /// Let it see keys in plain text
        #[arg(long)]
        reveal: bool,
        /// When it stops working, as RFC 3339: 2030-01-31T12:00:00Z
        #[arg(long, value_name = "DATE")]
        expires_at: Option<String>,
    },
    /// Delete a token, which stops working at once
    Delete { id: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleFlag {
    Service,
    Admin,
    Member,
    Runtime,
}

impl From<RoleFlag> for TokenRole {
    fn from(role: RoleFlag) -> Self {
        match role {
            RoleFlag::Service => Self::Service,
            RoleFlag::Admin => Self::Admin,
            RoleFlag::Member => Self::Member,
            RoleFlag::Runtime => Self::Runtime,
        }
    }
}
