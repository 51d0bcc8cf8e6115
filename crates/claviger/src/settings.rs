//! Settings: the defaults in `claviger.toml`, then a file, then the environment, then flags.

mod layers;
mod platform;
mod provider;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use claviger_app::Cache;
use claviger_app::keyring::PlatformKey;
use claviger_app::portal::PortalPlace;
use claviger_core::net::Reach;
use claviger_core::proxy::TrustedProxies;
use claviger_core::{Catalogue, ProviderId};
use claviger_seal::MasterKey;
use serde::Deserialize;

pub(crate) use layers::process_environment;
use platform::Platform;
use provider::ProviderSettings;
pub(crate) use values::{Level, Secret, Span};
use values::{Size, SpanOrNone, Texts};

use crate::cli::{LogFormat, ServeFlags, SettingsFlags};

/// Every setting. What each one means stands in `claviger.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) server: Server,
    pub(crate) log: Log,
    pub(crate) database: DatabaseSettings,
    #[serde(default)]
    pub(crate) vault: Vault,
    pub(crate) auth: AuthSettings,
    platform: Platform,
    #[serde(default)]
    pub(crate) valkey: Valkey,
    cache: CacheSettings,
    pub(crate) gateway: GatewayLimits,
    pub(crate) webhooks: WebhookSettings,
    portal: PortalSettings,
    #[serde(default)]
    providers: BTreeMap<String, ProviderSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) workers: Option<usize>,
    trusted_proxies: Texts,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) stall_timeout: Span,
    #[serde(default)]
    tls: ServerTls,
    pub(crate) shutdown_grace: Span,
}

/// TLS for callers: both, or none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTls {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Server {
    /// The files of certificate and key, where callers are to speak TLS.
    pub(crate) fn tls(&self) -> anyhow::Result<Option<(&Path, &Path)>> {
        match (&self.tls.cert_file, &self.tls.key_file) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (Some(_), None) => bail!("setting server.tls.key_file: must be given, as server.tls.cert_file is"),
            (None, Some(_)) => bail!("setting server.tls.cert_file: must be given, as server.tls.key_file is"),
        }
    }

    /// How the server is reached where it listens.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.cert_file.is_some() { "https" } else { "http" }
    }

    /// Whose word on where a request comes from is believed.
    pub(crate) fn trusted_proxies(&self) -> anyhow::Result<TrustedProxies> {
        let blocks = self.trusted_proxies.0.iter().map(String::as_str);
        TrustedProxies::new(blocks).context("setting server.trusted_proxies: each")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: Level,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSettings {
    /// May hold a password.
    pub(crate) url: Option<Secret>,
    pub(crate) connections: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Valkey {
    /// May hold a password.
    pub(crate) url: Option<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vault {
    pub(crate) master_key: Option<Secret>,
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) master_key_command: Option<String>,
    pub(crate) old_master_keys: Option<Secret>,
    pub(crate) old_master_keys_file: Option<PathBuf>,
    pub(crate) old_master_keys_command: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthSettings {
    pub(crate) root_token: Option<Secret>,
    pub(crate) bad_token_limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheSettings {
    entries: usize,
    bytes: Size,
    stale_grace: SpanOrNone,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayLimits {
    pub(crate) connect_timeout: Span,
    pub(crate) response_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) replay_limit: Size,
    pub(crate) replay_budget: Size,
    pub(crate) retry_overloaded: u32,
    pub(crate) workspace_requests: u32,
    pub(crate) workspace_streams: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    allowed_hosts: Texts,
}

impl WebhookSettings {
    /// Where webhooks may be.
    pub(crate) fn reach(&self) -> anyhow::Result<Reach> {
        let hosts = self.allowed_hosts.0.iter().map(String::as_str);
        Reach::new(hosts).context("setting webhooks.allowed_hosts: each")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortalSettings {
    return_hosts: Texts,
    embed_hosts: Texts,
}

impl Settings {
    /// Reads the settings for a command.
    pub(crate) fn load(flags: &SettingsFlags, serve: Option<&ServeFlags>) -> anyhow::Result<Self> {
        layers::load(flags, serve, None)
    }

    /// The settings of a demonstration: the defaults alone, with every provider behind one mock.
    pub(crate) fn for_demonstration(listen: SocketAddr, data_dir: &Path, mock: &str) -> anyhow::Result<Self> {
        let mut settings = layers::defaults()?;
        settings.server.listen = listen;
        // In memory only: there is no later start that would need it.
        settings.vault.master_key = Some(Secret::new(MasterKey::generate()?));
        data_dir.clone_into(&mut settings.data_dir);
        for provider in settings.catalogue()?.iter() {
            let mounted = ProviderSettings::at(format!("http://{mock}/{}", provider.id));
            settings.providers.insert(provider.id.to_string(), mounted);
        }
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(token) = &self.auth.root_token {
            let text = token.expose();
            if !(32..=256).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                bail!("setting auth.root_token: must be 32 to 256 visible ASCII characters without spaces");
            }
        }
        if let Some(url) = &self.server.public_url
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            bail!("setting server.public_url: must begin with http:// or https://");
        }
        if self.cache.entries == 0 {
            bail!("setting cache.entries: must be at least 1");
        }
        if self.cache.bytes.0 < 1024 * 1024 {
            bail!("setting cache.bytes: must be at least 1MiB");
        }
        if !(2..=1_000).contains(&self.database.connections) {
            bail!("setting database.connections: must be 2 to 1000");
        }
        if self.server.workers.is_some_and(|workers| workers == 0 || workers > 1_024) {
            bail!("setting server.workers: must be 1 to 1024");
        }
        if self.server.max_connections == 0 {
            bail!("setting server.max_connections: must be at least 1");
        }
        self.server.tls()?;
        self.server.trusted_proxies()?;
        self.webhooks.reach()?;
        self.portal()?;
        let catalogue = self.catalogue()?;
        self.platform.keys(&catalogue).map(drop)
    }

    /// Where the portal is: at the public address, or else where the server listens.
    pub(crate) fn portal(&self) -> anyhow::Result<PortalPlace> {
        let listening = || format!("{}://{}", self.server.scheme(), self.server.listen);
        let public_url = self.server.public_url.clone().unwrap_or_else(listening);
        let hosts = self.portal.return_hosts.0.iter().map(String::as_str);
        let return_hosts = Reach::new(hosts).context("setting portal.return_hosts: each")?;
        let embed_hosts: Result<_, _> = self.portal.embed_hosts.0.iter().map(|origin| origin.parse()).collect();
        let embed_hosts = embed_hosts.context("setting portal.embed_hosts: each")?;
        Ok(PortalPlace { public_url: public_url.trim_end_matches('/').to_owned(), return_hosts, embed_hosts })
    }

    /// What is kept in memory.
    pub(crate) fn cache(&self) -> Cache {
        let settings = &self.cache;
        Cache { entries: settings.entries, bytes: settings.bytes.0 as u64, stale_grace: settings.stale_grace.0 }
    }

    /// Whether workspaces without keys of their own or their organization's get the operator's.
    pub(crate) fn platform_fallback(&self) -> bool {
        self.platform.fallback
    }

    /// The operator's keys that the settings give.
    pub(crate) fn platform_keys(&self, catalogue: &Catalogue) -> anyhow::Result<Vec<PlatformKey>> {
        self.platform.keys(catalogue)
    }

    /// The catalogue, with the operator's providers and addresses.
    pub(crate) fn catalogue(&self) -> anyhow::Result<Catalogue> {
        let mut catalogue = Catalogue::builtin().context("the compiled-in catalogue of providers")?;
        for (name, settings) in &self.providers {
            let id = provider_id(&catalogue, name)?;
            let known = catalogue.get(id.as_str()).map(AsRef::as_ref);
            let provider = settings.apply(&id, known).with_context(|| format!("setting providers.{id}"))?;
            catalogue.insert(provider);
        }
        Ok(catalogue)
    }
}

/// The provider that a setting's name means. The environment cannot write `-`, so a `_` may stand for one.
fn provider_id(catalogue: &Catalogue, name: &str) -> anyhow::Result<ProviderId> {
    let spelled = catalogue.get(name).or_else(|| {
        let mut providers = catalogue.iter();
        providers.find(|provider| provider.id.as_str().replace('-', "_") == name)
    });
    match spelled {
        Some(provider) => Ok(provider.id.clone()),
        None => name.parse().with_context(|| format!("setting providers.{name}")),
    }
}

#[cfg(test)]
mod tests;
