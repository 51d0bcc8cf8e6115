//! The command line.

mod usage;

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use claviger_core::audit::AuditHead;
use claviger_core::{KeyId, OrganizationId, ProviderId, TokenId, WorkspaceId};
use serde::Deserialize;

pub(crate) use usage::OrganizationOrNone;
use usage::Unshown;

const KEY_ID: Unshown<KeyId> = Unshown(PhantomData);
const TOKEN_ID: Unshown<TokenId> = Unshown(PhantomData);

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
    /// Make, list, show and delete organizations, whose keys workspaces inherit
    Organization {
        #[command(subcommand)]
        command: OrganizationCommand,
    },
    /// Add, list, change and delete keys of a workspace, an organization, or the platform
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Make, list and delete tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Make a link to a workspace's portal, which opens once
    PortalLink(PortalLinkFlags),
    /// Prove and read the audit trails
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Take in keys that are kept elsewhere; what is there already stays, so that it may be repeated
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Make master keys, see which are needed, and change the one in use for another
    MasterKey {
        #[command(subcommand)]
        command: MasterKeyCommand,
    },
    /// Move deployments between databases
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Exit with 0 where the server at the configured address is ready
    Health,
}

#[derive(Debug, Args)]
pub(crate) struct PortalLinkFlags {
    /// The workspace, by its id
    #[arg(value_name = "WORKSPACE")]
    pub(crate) workspace: WorkspaceId,
    /// Let them manage the keys, or only look at them
    #[arg(long, default_value = "admin")]
    pub(crate) role: PortalRoleFlag,
    /// Who opens it, in your own words; keys that they add name them
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PortalRoleFlag {
    Admin,
    Member,
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
    /// Make a workspace, or change what is named of it
    Create {
        /// The product's own id: 1 to 128 of A-Z a-z 0-9 . _ : -
        id: WorkspaceId,
        /// A name for people; an empty one clears it
        #[arg(long)]
        name: Option<String>,
        /// The organization whose keys it inherits; an empty id takes it out
        #[arg(long, value_name = "ID")]
        organization: Option<OrganizationOrNone>,
    },
    /// Show one workspace
    Show { id: WorkspaceId },
    /// Delete a workspace with its keys and tokens, and destroy its data key
    Delete { id: WorkspaceId },
    /// Seal everything of a workspace anew with a new data key, and destroy the old one
    Rekey { id: WorkspaceId },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrganizationCommand {
    /// List organizations by id
    List,
    /// Make an organization, or change what is named of it
    Create {
        /// The product's own id: 1 to 128 of A-Z a-z 0-9 . _ : -
        id: OrganizationId,
        /// A name for people; an empty one clears it
        #[arg(long)]
        name: Option<String>,
        /// Whether it lends its keys to its workspaces; a new one does
        #[arg(long)]
        keys: Option<Switch>,
    },
    /// Show one organization
    Show { id: OrganizationId },
    /// Delete an organization with its keys, and destroy its data key; its workspaces stay, and belong to none
    Delete { id: OrganizationId },
    /// Seal all keys of an organization anew with a new data key, and destroy the old one
    Rekey { id: OrganizationId },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List keys by provider and in the order of rotation, masked
    List {
        #[command(flatten)]
        owner: OwnerFlags,
        /// Only those of this provider
        #[arg(long, value_name = "ID")]
        provider: Option<ProviderId>,
    },
    /// Add a key at the end of its provider's rotation; its secret is read from standard input
    Add {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The provider whose API it opens
        #[arg(long, value_name = "ID")]
        provider: ProviderId,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        secret: SecretFlags,
    },
    /// Replace a key's secret, read from standard input; its place in the rotation stays
    Replace {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The key, by its id in the list
        #[arg(value_name = "KEY_ID", value_parser = KEY_ID)]
        id: KeyId,
        /// Rename it, too; an empty name clears it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        secret: SecretFlags,
    },
    /// Rename a key
    Rename {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The key, by its id in the list
        #[arg(value_name = "KEY_ID", value_parser = KEY_ID)]
        id: KeyId,
        /// A name for people; an empty one clears it
        name: String,
    },
    /// Let a key take part in rotation
    Enable {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The key, by its id in the list
        #[arg(value_name = "KEY_ID", value_parser = KEY_ID)]
        id: KeyId,
    },
    /// Take a key out of rotation; it stays stored
    Disable {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The key, by its id in the list
        #[arg(value_name = "KEY_ID", value_parser = KEY_ID)]
        id: KeyId,
    },
    /// Delete a key, or all keys of a provider
    Delete {
        #[command(flatten)]
        owner: OwnerFlags,
        /// The key, by its id in the list
        #[arg(
            value_name = "KEY_ID",
            required_unless_present = "all",
            conflicts_with = "all",
            value_parser = KEY_ID
        )]
        id: Option<KeyId>,
        /// The provider whose keys are all deleted
        #[arg(long, value_name = "ID", requires = "all")]
        provider: Option<ProviderId>,
        /// Delete every key of --provider
        #[arg(long, requires = "provider")]
        all: bool,
    },
    /// Seal everything of an owner anew with a new data key, and destroy the old one
    Rekey {
        #[command(flatten)]
        owner: OwnerFlags,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKeyCommand {
    /// Make a new master key and print it; it is in use only after it was given to every node, and `rotate`
    Generate {
        /// Write it to FILE, which must not be there yet, for its owner alone to read
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show which master key is in use, which ones are given here, how many data keys need each, and which nodes have them
    Status,
    /// Put the configured master key into use, beside running servers, and seal every data key anew under it
    ///
    /// Every node must have both first: the new one as `vault.master_key` and the one in use by `vault.old_master_keys`.
    /// While one runs that does not, nothing is done. A rotation that was broken off goes on when it is begun again.
    Rotate {
        /// Go on although a node runs that does not have the new one; it will not be ready from then on
        #[arg(long)]
        force: bool,
    },
}

/// Whose keys: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct OwnerFlags {
    /// The keys of this workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: Option<WorkspaceId>,
    /// The keys of this organization
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// The operator's own keys
    #[arg(long)]
    pub(crate) platform: bool,
}

/// Where a secret comes from. Never from an argument: other users of the machine can see those.
#[derive(Debug, Args)]
pub(crate) struct SecretFlags {
    /// Read the secret from FILE instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk along the audit trails and name what was altered, removed, inserted or moved
    ///
    /// Prints where each trail ends: the number of its last entry, and the hash that holds all of them. Written down
    /// elsewhere, it proves later with --expect-head that nobody made the trail anew. Exits with 1 where anything is wrong.
    Verify {
        #[command(flatten)]
        owner: AuditOwnerFlags,
        /// Where the trail of the one owner ended at some time, as this command printed it then
        #[arg(long, value_name = "NUMBER:HASH")]
        expect_head: Option<AuditHead>,
    },
    /// Print the audit trails as JSON lines, the oldest entry first
    Export {
        #[command(flatten)]
        owner: AuditOwnerFlags,
        /// Only entries after this number; for one owner
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
}

/// Whose audit trail; all of them where none is named. Also that of an owner that is gone.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct AuditOwnerFlags {
    /// The trail of this workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: Option<WorkspaceId>,
    /// The trail of this organization
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// The operator's own trail
    #[arg(long)]
    pub(crate) platform: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Take in the keys of Sim, whether its workspaces have one key a provider or several, and its organizations'
    ///
    /// Sim's database is only read. Workspaces and organizations that are not there are made. Exits with 1 where any key
    /// was left behind; the report says which, and why.
    Sim {
        #[command(flatten)]
        from: SimFlags,
        #[arg(long, value_name = "FILE", help = "Sim's ENCRYPTION_KEY, 64 hexadecimal digits, is in FILE")]
        encryption_key_file: PathBuf,
        /// Take keys of Sim's provider THEIRS for the catalogue's OURS; may be given several times
        #[arg(long = "provider", value_name = "THEIRS=OURS")]
        providers: Vec<String>,
        #[command(flatten)]
        dry: DryRunFlags,
    },
    #[command(
        about = "Take in keys of environment variables such as OPENAI_API_KEY, OPENAI_API_KEY_1, OPENAI_API_KEY_2"
    )]
    Env {
        #[command(flatten)]
        owner: OwnerFlags,
        /// Read NAME=VALUE lines from FILE instead of the process's own environment
        #[arg(long, value_name = "FILE")]
        env_file: Option<PathBuf>,
        #[command(flatten)]
        dry: DryRunFlags,
    },
    /// Take in keys from a file with a JSON object a line
    ///
    /// Each has workspaceId or organizationId or "platform":true, providerId and apiKey, and may have name and
    /// createdBy. Workspaces and organizations that are not there are made.
    Jsonl {
        /// The file; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        dry: DryRunFlags,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DryRunFlags {
    /// Open and judge everything, report what would become of it, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where Sim's database is: exactly one. A URL in an argument has no password, since other users of the machine can see
/// it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SimFlags {
    #[arg(
        long,
        value_name = "URL",
        help = "Sim's database: postgres://USER@HOST/DATABASE, its password by PGPASSWORD or a passfile (~/.pgpass)"
    )]
    pub(crate) from: Option<String>,
    /// Its URL, with the password, is in the environment variable NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) from_env: Option<String>,
    /// Its URL, with the password, is in FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy a deployment to another database; one that was broken off goes on where it ended
    ///
    /// Everything stays sealed as it is: the master key that opens the source opens the copy. The source is only read.
    /// Stop its servers first. Where servers worked on the target since it was copied, nothing is copied.
    Copy {
        #[arg(
            long,
            value_name = "URL",
            help = "The database to read: sqlite:// and a path, or postgres://USER@HOST/DATABASE"
        )]
        from: String,
        /// The database to write to: empty, or with an earlier copy of the same deployment
        #[arg(long, value_name = "URL")]
        to: String,
        /// Copy even where the target was used since: what was changed there is lost, and keys that were replaced and
        /// tokens that were deleted work again
        #[arg(long)]
        overwrite: bool,
    },
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
        #[arg(
            long,
            value_name = "ID",
            required_if_eq_any([("role", "admin"), ("role", "member"), ("role", "runtime")])
        )]
        workspace: Option<WorkspaceId>,
        /// Let it see keys in plain text
        #[arg(long)]
        reveal: bool,
        /// When it stops working, as RFC 3339: 2030-01-31T12:00:00Z
        #[arg(long, value_name = "DATE")]
        expires_at: Option<String>,
    },
    /// Delete a token, which stops working at once
    Delete {
        #[arg(value_parser = TOKEN_ID)]
        id: TokenId,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleFlag {
    Service,
    Admin,
    Member,
    Runtime,
}
