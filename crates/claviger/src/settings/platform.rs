//! The operator's own keys.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use claviger_app::keyring::PlatformKey;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{Catalogue, KeySecret};
use serde::Deserialize;

use super::{Secret, provider_id};

/// `[platform]`: beside `fallback`, keys by names such as `openai_api_key_1`.
#[derive(Debug, Deserialize)]
pub(super) struct Platform {
    pub(super) fallback: bool,
    #[serde(flatten)]
    keys: BTreeMap<String, Secret>,
}

impl Platform {
    pub(super) fn keys(&self, catalogue: &Catalogue) -> anyhow::Result<Vec<PlatformKey>> {
        let mut keys: Vec<PlatformKey> = Vec::new();
        for (name, secret) in &self.keys {
            let key = key(catalogue, name, secret).with_context(|| format!("setting platform.{name}"))?;
            let beside = keys.iter().filter(|other| other.provider == key.provider);
            if beside.clone().count() >= POOL_CAPACITY {
                bail!("setting platform.{name}: a provider can have at most {POOL_CAPACITY} keys");
            }
            for other in beside {
                if other.number == key.number {
                    bail!("setting platform.{name}: number {} is given twice", key.number);
                }
                if other.secret.expose_to_provider() == key.secret.expose_to_provider() {
                    bail!("setting platform.{name}: this is the same key as platform.{}", other.setting);
                }
            }
            keys.push(key);
        }
        for key in &mut keys {
            key.setting = format!("platform.{}", key.setting);
        }
        Ok(keys)
    }
}

fn key(catalogue: &Catalogue, name: &str, secret: &Secret) -> anyhow::Result<PlatformKey> {
    let Some((provider, number)) = name.rsplit_once("_api_key_") else {
        bail!(
            "unknown; a key of the operator's is named after its provider and a number, as in \
             platform.openai_api_key_1 (CLAVIGER_PLATFORM__OPENAI_API_KEY_1)"
        );
    };
    let provider = provider_id(catalogue, provider)?;
    if catalogue.get(provider.as_str()).is_none() {
        bail!("there is no provider {provider}");
    }
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits).context("must end with a number, such as _1")?;
    let secret = KeySecret::parse(secret.expose())?;
    Ok(PlatformKey { provider, number, setting: name.to_owned(), secret })
}
