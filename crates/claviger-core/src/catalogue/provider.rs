//! One provider of the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::auth::Auth;
use super::base_url::BaseUrl;
use super::probe::{Cost, Probe};
use super::rate::Rate;
use super::rule::{ErrorRule, Place};
use crate::id::ProviderId;

/// An upstream API: where it is, where its key goes, and how it speaks of keys, credit and limits.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// How the API names it.
    #[serde(deserialize_with = "super::parsed")]
    pub id: ProviderId,
    /// How people name it.
    pub name: String,
    /// Where in the list it stands.
    pub section: Section,
    /// What it is for, in a few words.
    pub description: String,
    /// What an empty key field shows.
    pub placeholder: String,
    /// Environment variables in which programs look for its key, beside the usual one: see [`Provider::env_names`].
    #[serde(default)]
    pub env: Vec<String>,
    /// Pages that were read for this entry.
    #[serde(default)]
    pub docs: Vec<String>,
    /// Pages that are likely the right ones, but were not read.
    #[serde(default)]
    pub docs_unopened: Vec<String>,
    /// Its hosts; never empty, the first is the default.
    pub origins: Vec<Origin>,
    /// Where the key goes, unless an origin says otherwise.
    pub auth: Auth,
    /// Other places where it takes the same key.
    #[serde(default)]
    pub also: Vec<AcceptedPlace>,
    /// Headers of its own.
    #[serde(default)]
    pub extra_headers: ExtraHeaders,
    /// What its keys look like.
    #[serde(default)]
    pub key_hint: KeyHint,
    /// The request that shows whether a key is real.
    pub probe: Option<Probe>,
    /// Another such request, for where the first proves nothing.
    pub alternative_probe: Option<Probe>,
    /// Headers of its answers that name the account whose limits a key shares, in lower case, widest first.
    #[serde(default, deserialize_with = "super::lower_header_names")]
    pub domain_headers: Vec<String>,
    /// How it speaks of rate limits.
    pub rate: Rate,
    /// What its errors mean, most specific first: the first match counts.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// What a person who debugs this provider should know.
    #[serde(default)]
    pub quirks: Vec<String>,
}

/// What a provider is for, in the widest sense. Providers are listed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Language, embedding and image models.
    Models,
    /// Search and the web.
    Search,
    /// Data on people and companies.
    Enrichment,
    /// Defined by the operator, so it cannot stand in the catalogue.
    #[serde(skip_deserializing)]
    Custom,
}

/// One host of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The path segment that picks it.
    pub alias: String,
    /// Where it is.
    #[serde(deserialize_with = "super::catalogue_url")]
    pub url: BaseUrl,
    /// What its paths begin with.
    pub paths: Vec<String>,
    /// Whether few callers need it.
    #[serde(default)]
    pub optional: bool,
    /// A word for people.
    pub note: Option<String>,
    /// Where the key goes, where this host differs from the provider.
    pub auth: Option<Auth>,
}

/// Another place where a provider takes its key, such as an SDK may use.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedPlace {
    /// The place.
    pub auth: Auth,
    /// It holds for paths that begin with one of these; for every path where there are none.
    #[serde(default)]
    pub only_paths: Vec<String>,
    /// The aliases of origins for which it does not hold.
    #[serde(default)]
    pub not_origins: Vec<String>,
}

/// Headers that a provider knows beside the usual ones.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraHeaders {
    /// Needed with every request, with the value to send where the caller sends none.
    #[serde(default)]
    pub required: BTreeMap<String, String>,
    /// Such as callers may send.
    #[serde(default, deserialize_with = "super::header_names")]
    pub optional: Vec<String>,
}

/// What a provider's keys look like: a hint for people, never a reason to refuse a key.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyHint {
    /// What keys begin with, as far as known.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// What the provider's other secrets begin with, which do not serve here.
    #[serde(default)]
    pub reject_prefixes: Vec<String>,
    /// A word for people.
    pub note: Option<String>,
}

impl Provider {
    /// A provider that the operator defines: one origin for every path, and no facts.
    #[must_use]
    pub fn custom(id: ProviderId, base: BaseUrl, name: Option<String>, auth: Auth) -> Self {
        let name = name.unwrap_or_else(|| id.to_string());
        Self {
            section: Section::Custom,
            description: "Defined by the operator".to_owned(),
            placeholder: format!("Enter your {name} API key"),
            env: Vec::new(),
            docs: Vec::new(),
            docs_unopened: Vec::new(),
            origins: vec![Origin {
                alias: "main".to_owned(),
                url: base,
                paths: vec!["/".to_owned()],
                optional: false,
                note: None,
                auth: None,
            }],
            auth,
            also: Vec::new(),
            extra_headers: ExtraHeaders::default(),
            key_hint: KeyHint::default(),
            probe: None,
            alternative_probe: None,
            domain_headers: Vec::new(),
            rate: Rate::default(),
            errors: Vec::new(),
            quirks: Vec::new(),
            id,
            name,
        }
    }

    /// The environment variables in which programs look for its key. The usual one is its id in capitals with `_API_KEY`.
    pub fn env_names(&self) -> impl Iterator<Item = String> {
        let usual = self.id.as_str().to_ascii_uppercase().replace('-', "_") + "_API_KEY";
        std::iter::once(usual).chain(self.env.iter().cloned())
    }

    /// The same provider at one other base URL, which stands for all origins. Aliases still pick an origin, for what it
    /// says on auth, and are removed.
    #[must_use]
    pub fn with_base_url(mut self, base: BaseUrl) -> Self {
        for (origin, base) in self.origins.iter_mut().zip(std::iter::repeat(base)) {
            origin.url = base;
        }
        self
    }

    /// Which origin a gateway path goes to, and the path there. Both paths begin with `/`.
    ///
    /// Where there are several origins, a first segment that is an alias picks its origin and is removed; any other
    /// path goes to the default origin as it is. With one origin no path is touched, even one that begins with its
    /// alias.
    #[must_use]
    pub fn route<'a>(&self, path: &'a str) -> (&Origin, &'a str) {
        let aliased = (self.origins.len() > 1).then(|| self.aliased(path)).flatten();
        aliased.unwrap_or((&self.origins[0], path))
    }

    fn aliased<'a>(&self, path: &'a str) -> Option<(&Origin, &'a str)> {
        let segments = path.strip_prefix('/')?;
        let (first, rest) = segments.split_at(segments.find('/').unwrap_or(segments.len()));
        let origin = self.origins.iter().find(|origin| origin.alias == first)?;
        Some((origin, if rest.is_empty() { "/" } else { rest }))
    }

    /// The request that shows whether a key is real, where there is one that costs nothing.
    #[must_use]
    pub fn free_probe(&self) -> Option<&Probe> {
        [&self.probe, &self.alternative_probe].into_iter().flatten().find(|probe| probe.cost == Cost::Free)
    }

    /// The statuses of good answers of which the body may tell a failure.
    pub fn told_in_bodies(&self) -> impl Iterator<Item = u16> {
        let rules = self.errors.iter().filter(|rule| matches!(rule.at, Place::Body(_) | Place::Text));
        rules.flat_map(|rule| rule.statuses.iter().copied()).filter(|status| *status < 400)
    }

    /// Where the key goes at an origin: as the origin says, else as the provider says.
    #[must_use]
    pub fn auth_at<'a>(&'a self, origin: &'a Origin) -> &'a Auth {
        origin.auth.as_ref().unwrap_or(&self.auth)
    }
}

#[cfg(test)]
mod tests;
