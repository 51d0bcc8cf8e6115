//! Providers of the operator's own, and other addresses for the catalogue's.

use anyhow::{Context, bail};
use claviger_core::catalogue::{Auth, BaseUrl};
use claviger_core::{Provider, ProviderId};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderSettings {
    base_url: Option<String>,
    name: Option<String>,
    auth: Option<Auth>,
}

impl ProviderSettings {
    /// A provider at another address.
    pub(super) fn at(base_url: String) -> Self {
        Self { base_url: Some(base_url), name: None, auth: None }
    }

    /// The provider that these settings make, of one that is known or anew.
    pub(super) fn apply(&self, id: &ProviderId, known: Option<&Provider>) -> anyhow::Result<Provider> {
        let base = self.base_url.as_deref().map(str::parse::<BaseUrl>).transpose().context("base_url")?;
        let Some(known) = known else {
            let Some(base) = base else {
                bail!("base_url is needed: the catalogue has no provider of this name");
            };
            let auth = self.auth.clone().unwrap_or(Auth::Bearer);
            return Ok(Provider::custom(id.clone(), base, self.name.clone(), auth));
        };
        let mut provider = known.clone();
        if let Some(name) = &self.name {
            provider.name.clone_from(name);
        }
        if let Some(auth) = &self.auth {
            provider.auth = auth.clone();
        }
        Ok(match base {
            Some(base) => provider.with_base_url(base),
            None => provider,
        })
    }
}
