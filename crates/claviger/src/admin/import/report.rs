//! What became of every key: counts, and what was left behind. Nothing of it holds a secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use claviger_app::import::{Fate, Made};
use claviger_core::pool::POOL_CAPACITY;
use serde_json::{Value, json};

use crate::print;

/// How many keys that were left behind are told one by one, and how many unknown providers.
const TOLD: usize = 1_000;
/// How much of a text from elsewhere is shown.
const SHOWN: usize = 128;

/// Counts, and the first of what was left behind.
pub(super) struct Report {
    dry_run: bool,
    taken: u64,
    already_there: u64,
    over_cap: u64,
    undecryptable: u64,
    unknown_provider: u64,
    refused: u64,
    /// How many keys of which provider that is not in the catalogue.
    unknown: BTreeMap<String, u64>,
    left: Vec<Left>,
}

/// A key that was left behind.
struct Left {
    at: String,
    owner: String,
    provider: String,
    why: &'static str,
    reason: Option<String>,
}

/// A key by what may be told of it.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Where it stands in the source.
    pub(super) at: &'a str,
    /// Whose it is.
    pub(super) owner: &'a str,
    /// The source's name for its provider.
    pub(super) provider: &'a str,
}

impl Report {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            taken: 0,
            already_there: 0,
            over_cap: 0,
            undecryptable: 0,
            unknown_provider: 0,
            refused: 0,
            unknown: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, key: Told<'_>, fate: Fate) {
        let (count, why, reason) = match fate {
            Fate::Taken => {
                self.taken += 1;
                return;
            }
            Fate::AlreadyThere => {
                self.already_there += 1;
                return;
            }
            Fate::OverCap => (&mut self.over_cap, "over_cap", None),
            Fate::Undecryptable(reason) => (&mut self.undecryptable, "undecryptable", Some(reason)),
            Fate::UnknownProvider => (&mut self.unknown_provider, "unknown_provider", None),
            Fate::Refused(reason) => (&mut self.refused, "refused", Some(reason)),
        };
        *count += 1;
        let provider = plain(key.provider);
        if why == "unknown_provider" && (self.unknown.len() < TOLD || self.unknown.contains_key(&provider)) {
            *self.unknown.entry(provider.clone()).or_default() += 1;
        }
        if self.left.len() < TOLD {
            self.left.push(Left { at: plain(key.at), owner: plain(key.owner), provider, why, reason });
        }
    }

    pub(super) fn left_behind(&self) -> u64 {
        self.over_cap + self.undecryptable + self.unknown_provider + self.refused
    }

    pub(super) fn seen(&self) -> u64 {
        self.taken + self.already_there + self.left_behind()
    }

    /// The table for people on stderr, and the result on stdout. The result is there only for an import that came to its
    /// end.
    pub(super) fn show(&self, json: bool, made: Made, whole: bool) -> anyhow::Result<()> {
        if whole || self.seen() > 0 {
            print::problem(self.table(made).trim_end());
        }
        if !whole {
            return Ok(());
        }
        let line = if json { self.json(made).to_string() } else { self.line() };
        Ok(print::result(&line)?)
    }

    fn line(&self) -> String {
        let taken = if self.dry_run { "would take" } else { "took" };
        let Self { taken: keys, already_there, .. } = self;
        format!("{taken} {keys} keys; {already_there} are there already, {} left behind", self.left_behind())
    }

    /// The counts come last, where a long list has not pushed them out of sight.
    fn table(&self, made: Made) -> String {
        let mut text = String::new();
        for Left { at, owner, provider, why, reason } in &self.left {
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let _ = writeln!(text, "left behind: {at}\t{owner}\t{provider}\t{}{reason}", why.replace('_', " "));
        }
        let untold = self.left_behind() - self.left.len() as u64;
        if untold > 0 {
            let _ = writeln!(text, "and {untold} more left behind");
        }
        let mut row = |what: &str, count: u64, more: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", format!("{what:<28}{count:>8}  {more}").trim_end());
        };
        let cap = format!("a provider can have at most {POOL_CAPACITY} keys");
        let unknown: Vec<_> = self.unknown.iter().map(|(id, count)| format!("{id} ({count})")).collect();
        row(if self.dry_run { "would be taken" } else { "taken" }, self.taken, "");
        row("already there", self.already_there, "");
        row("over the cap", self.over_cap, if self.over_cap > 0 { &cap } else { "" });
        row("undecryptable", self.undecryptable, self.hint());
        row("unknown provider", self.unknown_provider, &unknown.join(", "));
        row("refused", self.refused, "");
        row(if self.dry_run { "workspaces to be made" } else { "workspaces made" }, made.workspaces, "");
        row(if self.dry_run { "organizations to be made" } else { "organizations made" }, made.organizations, "");
        if made.joined > 0 {
            row("joined their organization", made.joined, "");
        }
        if made.elsewhere > 0 {
            row("in another organization", made.elsewhere, "workspaces that stay where they are");
        }
        text
    }

    /// One key that opens shows that it is the right one.
    fn hint(&self) -> &'static str {
        let opened = self.taken + self.already_there + self.over_cap;
        if self.undecryptable > 0 && opened == 0 { "none opens: is it the right encryption key?" } else { "" }
    }

    fn json(&self, made: Made) -> Value {
        let left = self.left.iter().map(|Left { at, owner, provider, why, reason }| {
            json!({"at": at, "owner": owner, "providerId": provider, "why": why, "reason": reason})
        });
        json!({
            "success": self.left_behind() == 0,
            "dryRun": self.dry_run,
            "counts": {
                "taken": self.taken,
                "alreadyThere": self.already_there,
                "overCap": self.over_cap,
                "undecryptable": self.undecryptable,
                "unknownProvider": self.unknown_provider,
                "refused": self.refused,
            },
            "made": {
                "workspaces": made.workspaces,
                "organizations": made.organizations,
                "joined": made.joined,
                "elsewhere": made.elsewhere,
            },
            "unknownProviders": self.unknown,
            "leftBehind": left.collect::<Vec<_>>(),
            "leftBehindUntold": self.left_behind() - self.left.len() as u64,
        })
    }
}

/// Text from elsewhere, fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_bounded_and_counts_all() {
        let mut report = Report::new(false);
        for number in 0..TOLD + 5 {
            let told = Told { at: "row\u{1b}[31m", owner: "workspace a", provider: &format!("p{number}") };
            report.note(told, Fate::UnknownProvider);
        }
        assert_eq!((report.left.len(), report.unknown.len()), (TOLD, TOLD));
        assert_eq!(report.left_behind(), 1_005);
        let table = report.table(Made::default());
        assert!(table.contains("\nand 5 more left behind\ntaken "), "{table}");
        assert!(!table.contains('\u{1b}'));
        assert_eq!(report.json(Made::default())["leftBehindUntold"], 5);
    }

    #[test]
    fn a_wrong_encryption_key_is_hinted_at_only_where_nothing_opens() {
        let told = Told { at: "row", owner: "workspace a", provider: "exa" };
        let mut report = Report::new(false);
        report.note(told, Fate::Undecryptable("it does not open".to_owned()));
        assert!(report.table(Made::default()).contains("right encryption key"));
        report.note(told, Fate::AlreadyThere);
        assert!(!report.table(Made::default()).contains("right encryption key"));
    }
}
