//! The catalogue of providers: data in `providers.toml`, read and checked here.

mod auth;
mod base_url;
mod check;
mod probe;
mod provider;
mod rate;
mod rule;

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

pub use auth::{Auth, InvalidAuth};
pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use check::Problem;
pub use probe::{Case, Cost, Method, Probe};
pub use provider::{AcceptedPlace, ExtraHeaders, KeyHint, Origin, Provider, Section};
pub use rate::{Day, Limit, Rate, Reset, RetryAfter};
pub use rule::{BodyPath, Check, ErrorClass, ErrorRule, InvalidRule, Place, Source, Step, Test};

use crate::id::ProviderId;

/// The providers, in the order of the file.
#[derive(Clone, Default, Debug)]
pub struct Catalogue {
    providers: Vec<Arc<Provider>>,
    by_id: HashMap<ProviderId, usize>,
}

/// A catalogue that cannot be used.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or not a list of providers.
    #[error("the catalogue cannot be read: {0}")]
    Syntax(toml::de::Error),
    /// A field of an entry is missing, unknown, or has the wrong form.
    #[error("provider {provider}: {}", on_one_line(.error))]
    Entry {
        /// The entry's id, or its number where it has none.
        provider: String,
        /// Names the field.
        error: toml::de::Error,
    },
    /// A field of an entry cannot have this value.
    #[error("provider {provider}: {field}: {problem}")]
    Field {
        /// The entry's id.
        provider: ProviderId,
        /// The names that lead to the field.
        field: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Two entries with one id.
    #[error("provider {0} is there twice")]
    DuplicateId(ProviderId),
}

fn on_one_line(error: &toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// The file. Entries are read one by one, so that an error can name the provider it is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<toml::Table>,
}

impl Catalogue {
    /// The catalogue that the binary carries.
    pub fn builtin() -> Result<Self, CatalogueError> {
        Self::parse(include_str!("../../../../providers.toml"))
    }

    /// Reads a catalogue in TOML and checks it.
    pub fn parse(toml: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(toml).map_err(CatalogueError::Syntax)?;
        let mut catalogue = Self::default();
        for (index, entry) in file.provider.into_iter().enumerate() {
            let id = entry.get("id").and_then(toml::Value::as_str);
            let named = id.map_or_else(|| format!("number {}", index + 1), str::to_owned);
            let provider =
                Provider::deserialize(entry).map_err(|error| CatalogueError::Entry { provider: named, error })?;
            if catalogue.get(provider.id.as_str()).is_some() {
                return Err(CatalogueError::DuplicateId(provider.id));
            }
            check::check(&provider).map_err(|(field, problem)| CatalogueError::Field {
                provider: provider.id.clone(),
                field,
                problem,
            })?;
            catalogue.insert(provider);
        }
        Ok(catalogue)
    }

    /// The provider of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Provider>> {
        self.by_id.get(id).map(|index| &self.providers[*index])
    }

    /// Every provider, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.iter()
    }

    /// Puts a provider in the place of the one with its id, or at the end.
    pub fn insert(&mut self, provider: Provider) {
        let id = provider.id.clone();
        let provider = Arc::new(provider);
        if let Some(index) = self.by_id.get(&id) {
            self.providers[*index] = provider;
        } else {
            self.by_id.insert(id, self.providers.len());
            self.providers.push(provider);
        }
    }
}

/// Reads text of a type that parses itself.
fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn catalogue_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BaseUrl, D::Error> {
    let text = String::deserialize(deserializer)?;
    BaseUrl::parse_catalogue(&text).map_err(|reason| D::Error::custom(format_args!("`{text}` {reason}")))
}

fn header_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| !rule::is_header_name(name)) {
        Some(name) => Err(D::Error::custom(format_args!("`{name}` cannot be a header's name"))),
        None => Ok(names),
    }
}

fn lower_header_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(header_names(deserializer)?.into_iter().map(|name| name.to_ascii_lowercase()).collect())
}

#[cfg(test)]
mod tests;
