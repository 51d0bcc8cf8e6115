//! `claviger import jsonl`

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use claviger_app::import::{Arrival, Fate, Home, Importer, Secret};
use claviger_core::actor::MAX_ACTOR_LENGTH;
use claviger_core::{KeyName, KeySecret, Owner, ProviderId};
use serde::Deserialize;
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::BROKEN_OFF;
use super::report::{Report, Told};
use crate::admin::progress::Meter;

/// How long a line may be: as much as the API takes of a request.
const LIMIT: usize = 64 * 1024;

/// A key as a line has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    workspace_id: Option<String>,
    organization_id: Option<String>,
    #[serde(default)]
    platform: bool,
    provider_id: String,
    api_key: Zeroizing<String>,
    name: Option<String>,
    created_by: Option<String>,
}

/// The lines of a file, each wiped before the next one is read into its place.
pub(super) struct Lines {
    from: File,
    /// What its length is, where it has one.
    length: u64,
    read: u64,
    buffer: Zeroizing<Vec<u8>>,
    /// What of the buffer was read, and is not given out yet.
    pending: std::ops::Range<usize>,
    number: u64,
}

/// What was found in the place of a line.
enum Found<'a> {
    Line(&'a [u8]),
    TooLong,
    End,
}

impl Lines {
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let from = if file == Path::new("-") {
            // Without the standard library's buffer, which nobody wipes.
            File::from(io::stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open(file).with_context(|| file.display().to_string())?
        };
        let length = from.metadata().map(|file| file.len()).unwrap_or_default();
        // Room for the longest line and its end; it never grows, which would leave copies behind.
        let buffer = Zeroizing::new(vec![0; LIMIT + 1]);
        Ok(Self { from, length, read: 0, buffer, pending: 0..0, number: 0 })
    }

    pub(super) async fn import(mut self, importer: &mut Importer<'_>, report: &mut Report) -> anyhow::Result<()> {
        let meter = Meter::new("bytes", "read");
        loop {
            let read = self.read - self.pending.len() as u64;
            if self.length > 0 {
                meter.see(read, self.length);
            }
            let number = self.number + 1;
            let at = format!("line {number}");
            let line = match self.next().with_context(|| at.clone())? {
                Found::End => return Ok(()),
                Found::TooLong => Err(format!("it has more than {LIMIT} bytes")),
                Found::Line(text) if text.trim_ascii().is_empty() => continue,
                Found::Line(text) => parse(text),
            };
            match line.and_then(Key::of) {
                Ok(key) => key.import(&at, importer, report).await?,
                Err(why) => report.note(Told { at: &at, owner: "-", provider: "-" }, Fate::Refused(why)),
            }
        }
    }

    /// The next line, without its end.
    fn next(&mut self) -> io::Result<Found<'_>> {
        self.number += 1;
        let mut too_long = false;
        loop {
            let pending = &self.buffer[self.pending.clone()];
            if let Some(length) = pending.iter().position(|byte| *byte == b'\n') {
                let line = self.pending.start..self.pending.start + length;
                self.pending.start = line.end + 1;
                return Ok(if too_long { Found::TooLong } else { Found::Line(&self.buffer[line]) });
            }
            if pending.len() == self.buffer.len() {
                too_long = true;
                self.pending = 0..0;
            }
            self.buffer.copy_within(self.pending.clone(), 0);
            self.pending = 0..self.pending.len();
            if self.fill()? == 0 {
                let line = std::mem::take(&mut self.pending);
                return Ok(match (too_long, line.is_empty()) {
                    (true, _) => Found::TooLong,
                    (false, true) => Found::End,
                    (false, false) => Found::Line(&self.buffer[line]),
                });
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.from.read(&mut self.buffer[self.pending.end..]) {
                Ok(more) => {
                    self.pending.end += more;
                    self.read += more as u64;
                    return Ok(more);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A key as it is to be added.
struct Key {
    owner: Owner,
    provider: String,
    secret: KeySecret,
    name: Option<KeyName>,
    created_by: Option<String>,
}

impl Key {
    fn of(line: Line) -> Result<Self, String> {
        let Line { workspace_id, organization_id, platform, provider_id, api_key, name, created_by } = line;
        let owner = match (workspace_id, organization_id, platform) {
            (Some(id), None, false) => Owner::Workspace(id.parse().map_err(|error| format!("workspaceId: {error}"))?),
            (None, Some(id), false) => {
                Owner::Organization(id.parse().map_err(|error| format!("organizationId: {error}"))?)
            }
            (None, None, true) => Owner::Platform,
            _ => return Err("it must have workspaceId, organizationId or \"platform\":true, one of them".to_owned()),
        };
        let secret = KeySecret::parse(&api_key).map_err(|error| format!("apiKey {error}"))?;
        let name = KeyName::parse(name.as_deref().unwrap_or_default()).map_err(|error| format!("name {error}"))?;
        let created_by = created_by.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if created_by
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_ACTOR_LENGTH || text.chars().any(char::is_control))
        {
            return Err(format!(
                "createdBy must have at most {MAX_ACTOR_LENGTH} characters, none of them a control character"
            ));
        }
        Ok(Self { owner, provider: provider_id, secret, name, created_by })
    }

    async fn import(self, at: &str, importer: &mut Importer<'_>, report: &mut Report) -> anyhow::Result<()> {
        let Self { owner, provider, secret, name, created_by } = self;
        let shown = owner.to_string();
        let arrival = Arrival { owner, provider: &provider, secret: Secret::Plain(secret), name, created_by };
        let fate = importer.take(arrival, async |_| Ok(Home::default())).await.context(BROKEN_OFF)?;
        report.note(Told { at, owner: &shown, provider: told(&provider) }, fate);
        Ok(())
    }
}

/// Reads a line. What is wrong with it is told without a word of what it holds.
fn parse(text: &[u8]) -> Result<Line, String> {
    // An array would do for serde: it would take its values for the fields, in order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is not a JSON object".to_owned());
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let line = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        explain(&field, error.inner())
    })?;
    json.end().map_err(|error| explain("", &error))?;
    Ok(line)
}

fn explain(field: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            return format!("it is not JSON: look at column {}", error.column());
        }
        Category::Data => {}
    }
    // serde knows kinds of errors only by their text, and repeats the value in it that it did not like.
    let text = Zeroizing::new(error.to_string());
    let named = |kind| text.strip_prefix(kind)?.split('`').next();
    if text.starts_with("unknown field") {
        "it has a field other than workspaceId, organizationId, platform, providerId, apiKey, name and createdBy"
            .to_owned()
    } else if let Some(field) = named("missing field `") {
        format!("{field} is missing")
    } else if let Some(field) = named("duplicate field `") {
        format!("{field} is there twice")
    } else {
        let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
        format!("{field} must be {}", expected.split(" at line ").next().unwrap_or_default())
    }
}

/// No provider's id comes near to this length, and hardly any key is shorter.
const LONGEST_TOLD: usize = 24;

/// What is told of a provider's id: nothing, where a key may have come into its place.
fn told(provider: &str) -> &str {
    let is_id = provider.len() <= LONGEST_TOLD && provider.parse::<ProviderId>().is_ok();
    if is_id { provider } else { "(no provider's id)" }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn lines_of(bytes: &[u8]) -> Vec<Option<usize>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        let mut found = Vec::new();
        loop {
            match lines.next().unwrap() {
                Found::Line(line) => found.push(Some(line.len())),
                Found::TooLong => found.push(None),
                Found::End => return found,
            }
        }
    }

    #[test]
    fn lines_end_where_they_end_and_long_ones_are_passed_over() {
        assert_eq!(lines_of(b""), []);
        assert_eq!(lines_of(b"ab\n\nabc"), [Some(2), Some(0), Some(3)]);
        let long = |length: usize| vec![b'x'; length];
        assert_eq!(lines_of(&[long(LIMIT), b"\nab\n".to_vec()].concat()), [Some(LIMIT), Some(2)]);
        assert_eq!(lines_of(&[long(LIMIT + 1), b"\nab\n".to_vec()].concat()), [None, Some(2)]);
        assert_eq!(lines_of(&[b"ab\n".to_vec(), long(LIMIT * 3), b"\na".to_vec()].concat()), [Some(2), None, Some(1)]);
        assert_eq!(lines_of(&long(LIMIT * 2)), [None]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_without_what_it_holds() {
        for (line, expected) in [
            (r#"["hush"]"#, "not a JSON object"),
            (r#"{"apiKey":"hush""#, "column"),
            (r#"{"apiKey":"hush","providerId":"exa"} hush"#, "column"),
            (r#"{"hush":1}"#, "a field other than"),
            (r#"{"apiKey":"hush","workspaceId":"a"}"#, "providerId is missing"),
            (r#"{"apiKey":"hush","apiKey":"hush"}"#, "apiKey is there twice"),
            (r#"{"platform":"hush"}"#, "platform must be a boolean"),
            (r#"{"apiKey":"hu sh","providerId":"exa","platform":true}"#, "apiKey must be visible ASCII"),
            (r#"{"apiKey":"hush","providerId":"exa","workspaceId":"hu sh"}"#, "workspaceId"),
            (r#"{"apiKey":"hush","providerId":"exa"}"#, "one of them"),
            (r#"{"apiKey":"hush","providerId":"exa","workspaceId":"a","platform":true}"#, "one of them"),
            (r#"{"apiKey":"hush","providerId":"exa","platform":true,"name":"hu\nsh"}"#, "name must not"),
            (r#"{"apiKey":"hush","providerId":"exa","platform":true,"createdBy":"hu\nsh"}"#, "createdBy must have"),
        ] {
            let refused = parse(line.as_bytes()).and_then(Key::of).map(|key| key.provider).unwrap_err();
            assert!(refused.contains(expected), "{line}: {refused}");
            assert!(!refused.contains("hush") && !refused.contains("hu sh"), "{line}: {refused}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_a_provider_is_not_told() {
        assert_eq!((told("exa"), told("ollama-cloud")), ("exa", "ollama-cloud"));
        let key = "k".repeat(LONGEST_TOLD + 1);
        assert_eq!([told(&key), told("No Id")], ["(no provider's id)"; 2]);
    }
}
