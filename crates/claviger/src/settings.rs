//! Settings: the defaults in `claviger.toml`, then a file, then the environment, then flags.

mod layers;
mod provider;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use claviger_core::{Catalogue, ProviderId};
use claviger_seal::MasterKey;
use serde::Deserialize;

use provider::ProviderSettings;
use values::Size;
pub(crate) use values::{Level, Secret, Span};

use crate::cli::{LogFormat, ServeFlags, SettingsFlags};

/// Every setting. What each one means stands in `claviger.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) server: Server,
    pub(crate) log: Log,
    #[serde(default)]
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) vault: Vault,
    #[serde(default)]
    pub(crate) auth: AuthSettings,
    platform: Platform,
    pub(crate) cache: Cache,
    pub(crate) gateway: GatewayLimits,
    #[serde(default)]
    providers: BTreeMap<String, ProviderSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) workers: Option<usize>,
    pub(crate) shutdown_grace: Span,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: Level,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// May hold a password.
    pub(crate) url: Option<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vault {
    pub(crate) master_key: Option<Secret>,
    pub(crate) master_key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthSettings {
    pub(crate) root_token: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Platform {
    fallback: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    pub(crate) entries: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayLimits {
    pub(crate) connect_timeout: Span,
    pub(crate) response_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) replay_limit: Size,
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
        if self.platform.fallback {
            bail!("setting platform.fallback: this version has no platform keys to fall back to; set it to false");
        }
        if self.cache.entries == 0 {
            bail!("setting cache.entries: must be at least 1");
        }
        if self.server.workers.is_some_and(|workers| workers == 0 || workers > 1_024) {
            bail!("setting server.workers: must be 1 to 1024");
        }
        self.catalogue().map(drop)
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
