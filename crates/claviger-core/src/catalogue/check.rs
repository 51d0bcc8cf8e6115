//! What an entry must keep beyond the form of its fields: names that refer to each other, and paths that can be told
//! apart.

use std::collections::HashSet;

use serde::de::IgnoredAny;

use super::probe::{Case, Method, Probe};
use super::provider::{Origin, Provider};
use super::rate::Reset;
use super::rule::is_header_name;

/// What is wrong with a field of an entry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// Nothing where something is needed.
    #[error("must not be empty")]
    Empty,
    /// An alias that could not be told from other text in a path.
    #[error("`{0}` cannot be an alias: must be letters a-z, digits, - or _")]
    Alias(String),
    /// Two origins with one alias.
    #[error("alias `{0}` is there twice")]
    DuplicateAlias(String),
    /// An alias that a path of the default origin begins with, so that the path could mean either.
    #[error("alias `{alias}` is also how the default origin's path `{path}` begins")]
    AmbiguousAlias {
        /// The alias.
        alias: String,
        /// The path.
        path: String,
    },
    /// An alias that no origin has.
    #[error("there is no origin `{0}`")]
    UnknownOrigin(String),
    /// A path that is none.
    #[error("`{0}` is no path: must begin with / and hold no spaces and no fragment")]
    Path(String),
    /// A header's name that HTTP does not allow.
    #[error("`{0}` cannot be a header's name")]
    HeaderName(String),
    /// A header's value that HTTP does not allow.
    #[error("the value of `{0}` must be visible ASCII characters")]
    HeaderValue(String),
    /// Text that cannot be an environment variable's name.
    #[error("`{0}` must be capital letters, digits and _")]
    EnvName(String),
    /// A link that is no web page.
    #[error("`{0}` must begin with https://")]
    Link(String),
    /// A body that is not JSON.
    #[error("must be JSON")]
    NotJson,
    /// A body where none is sent.
    #[error("GET has no body")]
    BodyOfGet,
    /// A path into the body where the time does not stand in the body.
    #[error("is only for `reset = \"body\"`")]
    NotInBody,
    /// Text that a whole segment of a path cannot follow.
    #[error("`{0}` must begin and end with /")]
    NotBeforeSegment(String),
}

/// A field, by the names that lead to it, and what is wrong with it.
pub(super) type Fault = (String, Problem);

/// Checks one entry; the first fault counts.
pub(super) fn check(provider: &Provider) -> Result<(), Fault> {
    texts(provider)?;
    origins(&provider.origins)?;
    for (index, place) in provider.also.iter().enumerate() {
        let field = |name: &str| format!("also[{index}].{name}");
        place.only_paths.iter().try_for_each(|path| is_path(path).map_err(|problem| (field("only_paths"), problem)))?;
        place.not_origins.iter().try_for_each(|alias| known(provider, alias, &field("not_origins")))?;
    }
    headers(provider)?;
    for (field, asked) in [("probe", &provider.probe), ("alternative_probe", &provider.alternative_probe)] {
        asked.as_ref().map_or(Ok(()), |asked| probe(provider, asked, field))?;
    }
    if provider.rate.reset_path.is_some() && provider.rate.reset != Reset::Body {
        return Err(("rate.reset_path".to_owned(), Problem::NotInBody));
    }
    if provider.rate.day.as_ref().is_some_and(|day| day.text.is_empty()) {
        return Err(("rate.day.text".to_owned(), Problem::Empty));
    }
    if let Some(after) = &provider.rate.model_after
        && (is_path(after).is_err() || !after.ends_with('/'))
    {
        return Err(("rate.model_after".to_owned(), Problem::NotBeforeSegment(after.clone())));
    }
    Ok(())
}

fn texts(provider: &Provider) -> Result<(), Fault> {
    let texts =
        [("name", &provider.name), ("description", &provider.description), ("placeholder", &provider.placeholder)];
    if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.trim().is_empty()) {
        return Err((field.to_owned(), Problem::Empty));
    }
    let is_env_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if let Some(name) = provider.env.iter().find(|name| !is_env_name(name)) {
        return Err(("env".to_owned(), Problem::EnvName(name.clone())));
    }
    for (field, links) in [("docs", &provider.docs), ("docs_unopened", &provider.docs_unopened)] {
        if let Some(link) = links.iter().find(|link| !link.starts_with("https://")) {
            return Err((field.to_owned(), Problem::Link(link.clone())));
        }
    }
    Ok(())
}

fn origins(origins: &[Origin]) -> Result<(), Fault> {
    let Some(default) = origins.first() else {
        return Err(("origins".to_owned(), Problem::Empty));
    };
    let mut seen = HashSet::new();
    for (index, origin) in origins.iter().enumerate() {
        let fault = |name: &str, problem| Err((format!("origins[{index}].{name}"), problem));
        let alias = &origin.alias;
        if !is_alias(alias) {
            return fault("alias", Problem::Alias(alias.clone()));
        }
        if !seen.insert(alias) {
            return fault("alias", Problem::DuplicateAlias(alias.clone()));
        }
        if origin.paths.is_empty() {
            return fault("paths", Problem::Empty);
        }
        if let Some(problem) = origin.paths.iter().find_map(|path| is_path(path).err()) {
            return fault("paths", problem);
        }
        // With one origin no alias is looked for.
        let ambiguous = default.paths.iter().find(|path| origins.len() > 1 && first_segment(path) == alias);
        if let Some(path) = ambiguous {
            return fault("alias", Problem::AmbiguousAlias { alias: alias.clone(), path: path.clone() });
        }
    }
    Ok(())
}

fn headers(provider: &Provider) -> Result<(), Fault> {
    for (name, value) in &provider.extra_headers.required {
        let field = || "extra_headers.required".to_owned();
        if !is_header_name(name) {
            return Err((field(), Problem::HeaderName(name.clone())));
        }
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err((field(), Problem::HeaderValue(name.clone())));
        }
    }
    match &provider.rate.retry_hint_header {
        Some(name) if !is_header_name(name) => {
            Err(("rate.retry_hint_header".to_owned(), Problem::HeaderName(name.clone())))
        }
        _ => Ok(()),
    }
}

fn probe(provider: &Provider, probe: &Probe, field: &str) -> Result<(), Fault> {
    let at = |name: &str| format!("{field}.{name}");
    known(provider, &probe.origin, &at("origin"))?;
    is_path(&probe.path).map_err(|problem| (at("path"), problem))?;
    if let Some(body) = &probe.body {
        if probe.method == Method::Get {
            return Err((at("body"), Problem::BodyOfGet));
        }
        serde_json::from_str::<IgnoredAny>(body).map_err(|_| (at("body"), Problem::NotJson))?;
    }
    let lists: [(&str, &[Case]); 2] = [("valid", &probe.valid), ("invalid", &probe.invalid)];
    match lists.into_iter().find(|(_, cases)| cases.is_empty()) {
        Some((name, _)) => Err((at(name), Problem::Empty)),
        None => Ok(()),
    }
}

fn known(provider: &Provider, alias: &str, field: &str) -> Result<(), Fault> {
    if provider.origins.iter().any(|origin| origin.alias == alias) {
        Ok(())
    } else {
        Err((field.to_owned(), Problem::UnknownOrigin(alias.to_owned())))
    }
}

fn is_path(text: &str) -> Result<(), Problem> {
    let sound = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if sound { Ok(()) } else { Err(Problem::Path(text.to_owned())) }
}

fn is_alias(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn first_segment(path: &str) -> &str {
    path.split(['/', '?']).nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests;
