//! `claviger import env`

use std::path::Path;

use anyhow::{Context, bail};
use claviger_app::import::{Arrival, Fate, Home, Importer, Secret};
use claviger_core::{Catalogue, KeyName, KeySecret, Owner, ProviderId};
use zeroize::Zeroizing;

use super::BROKEN_OFF;
use super::report::{Report, Told};
use crate::admin::secret;
use crate::print;
use crate::settings::process_environment;

/// What may hold a key, by its name.
const USUAL: &str = "_API_KEY";

/// The variables that hold keys, in the order in which they are taken.
pub(super) struct Variables(Vec<Variable>);

struct Variable {
    /// The provider, which of its names it is, and its number. By these it is ordered.
    place: (ProviderId, usize, u64),
    name: String,
    value: Zeroizing<String>,
}

impl Variables {
    /// From a file, or from the process's own environment.
    pub(super) fn read(catalogue: &Catalogue, file: Option<&Path>) -> anyhow::Result<Self> {
        let all: Vec<_> = match file {
            Some(file) => {
                let text = secret::read_file("--env-file", file)?;
                parse(&text).with_context(|| format!("--env-file {}", file.display()))?
            }
            None => process_environment().map(|(name, value)| (name, Zeroizing::new(value))).collect(),
        };
        let names = Names::of(catalogue);
        let mut variables = Vec::new();
        for (name, value) in all.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            match names.place(&name) {
                Some(place) => variables.push(Variable { place, name, value }),
                None if file.is_some() && seems_a_key(&name) => {
                    print::problem(&format!("{name} is not the name of a provider's key, and is left out"));
                }
                None => {}
            }
        }
        variables.sort_by(|one, other| one.place.cmp(&other.place));
        if variables.is_empty() {
            bail!("no variable holds a key: they are named such as OPENAI_API_KEY, OPENAI_API_KEY_1, OPENAI_API_KEY_2");
        }
        Ok(Self(variables))
    }

    pub(super) async fn import(
        self,
        owner: &Owner,
        importer: &mut Importer<'_>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        if !importer.is_there(owner).await? {
            bail!("{owner} does not exist");
        }
        let shown = owner.to_string();
        for Variable { place: (provider, _, _), name, value } in self.0 {
            let told = Told { at: &name, owner: &shown, provider: provider.as_str() };
            let fate = match KeySecret::parse(&value) {
                Ok(secret) => {
                    let arrival = Arrival {
                        owner: owner.clone(),
                        provider: provider.as_str(),
                        secret: Secret::Plain(secret),
                        name: KeyName::parse(&name).unwrap_or_default(),
                        created_by: None,
                    };
                    importer.take(arrival, async |_| Ok(Home::default())).await.context(BROKEN_OFF)?
                }
                Err(why) => Fate::Refused(format!("it cannot be a provider key: it {why}")),
            };
            report.note(told, fate);
        }
        Ok(())
    }
}

/// The names of variables that the catalogue knows.
struct Names(Vec<(String, ProviderId, usize)>);

impl Names {
    fn of(catalogue: &Catalogue) -> Self {
        let of_provider = catalogue.iter().flat_map(|provider| {
            provider.env_names().enumerate().map(|(index, name)| (name, provider.id.clone(), index))
        });
        Self(of_provider.collect())
    }

    /// Where a variable has its place, if it is a provider's name alone or with a number.
    fn place(&self, variable: &str) -> Option<(ProviderId, usize, u64)> {
        self.0.iter().find_map(|(name, provider, index)| {
            let number = number(variable.strip_prefix(name.as_str())?)?;
            Some((provider.clone(), *index, number))
        })
    }
}

/// What follows a name, as a place: nothing comes first, and then `_` and a number.
fn number(rest: &str) -> Option<u64> {
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix('_')?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u32>().ok().filter(|_| are_digits).map(|number| u64::from(number) + 1)
}

fn seems_a_key(name: &str) -> bool {
    name.rsplit_once(USUAL).is_some_and(|(_, rest)| number(rest).is_some())
}

/// `NAME=VALUE` lines as `.env` files have them: with `export` or without, in quotes or not, and comments.
fn parse(text: &str) -> anyhow::Result<Vec<(String, Zeroizing<String>)>> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // Without the line: it may hold a secret.
        let broken = || format!("line {} is not NAME=VALUE", number + 1);
        let (name, value) = line.split_once('=').with_context(broken)?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            bail!(broken());
        }
        all.push((name.to_owned(), Zeroizing::new(unquoted(value.trim()).with_context(broken)?.to_owned())));
    }
    Ok(all)
}

/// A value without its quotes, or without the comment after it.
fn unquoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inside, after) = rest.split_once(quote)?;
            let after = after.trim_start();
            return (after.is_empty() || after.starts_with('#')).then_some(inside);
        }
    }
    Some(value.split_once(" #").map_or(value, |(value, _)| value.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variable: &str) -> Option<(String, usize, u64)> {
        let names = Names::of(&Catalogue::builtin().unwrap());
        names.place(variable).map(|(provider, index, number)| (provider.to_string(), index, number))
    }

    #[test]
    fn a_variable_is_a_providers_by_its_name_with_a_number_or_without() {
        let openai = |number| Some(("openai".to_owned(), 0, number));
        assert_eq!(place("OPENAI_API_KEY"), openai(0));
        assert_eq!(place("OPENAI_API_KEY_1"), openai(2));
        assert_eq!(place("OPENAI_API_KEY_10"), openai(11));
        assert_eq!(place("GEMINI_API_KEY_2"), Some(("google".to_owned(), 1, 3)));
        assert_eq!(place("OLLAMA_CLOUD_API_KEY"), Some(("ollama-cloud".to_owned(), 0, 0)));
        for other in
            ["OPENAI_API_KEY_", "OPENAI_API_KEY_COUNT", "OPENAI_API_KEY_+1", "MY_OPENAI_API_KEY", "openai_api_key"]
        {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn no_two_providers_share_a_variable() {
        let Names(names) = Names::of(&Catalogue::builtin().unwrap());
        let mut once: Vec<_> = names.iter().map(|(name, ..)| name).collect();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn a_file_of_variables_is_read_as_shells_write_it() {
        let text = "# a comment\n\nA=1\nexport B_2=\"two words\" # why\n C = 'it''\nD='x'\nE=five # more\nF=\n";
        assert!(parse(text).unwrap_err().to_string().contains("line 5"));
        let text = text.replace(" C = 'it''\n", "");
        let read: Vec<_> = parse(&text).unwrap().into_iter().map(|(name, value)| (name, value.to_string())).collect();
        let pairs = [("A", "1"), ("B_2", "two words"), ("D", "x"), ("E", "five"), ("F", "")];
        assert_eq!(read, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (text, line) in [("A=1\nhush", "line 2"), ("hush word=1", "line 1"), ("A=\"hush", "line 1")] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains(line) && !refused.contains("hush"), "{refused}");
        }
    }
}
