//! The mark that every secret of a run of tests has in it, and the search for it in all that the run wrote.
//!
//! One mark stands for all secrets: none of them has to be remembered to be looked for, in whatever process it was made.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

/// The environment variable by which all processes of a run have the same mark.
pub const MARK_VARIABLE: &str = "CLAVIGER_TEST_MARK";

/// Such as secrets are made of, and nothing that an encoding of addresses or JSON would change.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 20;
/// Files of more than this are looked through in pieces.
const PIECE: usize = 16 << 20;

/// A new mark.
#[must_use]
pub fn new_mark() -> String {
    let mut random = [0; LENGTH];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
    assert!(read.is_ok(), "no randomness: {read:?}");
    random.iter().map(|&byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect()
}

/// The mark of this run: the one that this process was given, or else one of its own.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how xtask hands a mark to tests; it is no setting of the product")]
pub fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| std::env::var(MARK_VARIABLE).unwrap_or_else(|_| new_mark()))
}

/// A text in every form in which it could have been written.
#[derive(Debug)]
pub struct Search {
    needles: Vec<(&'static str, String)>,
}

/// Where something was found, and in which form. What was found is not in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The number of the byte.
    pub at: usize,
    /// As what it stands there.
    pub form: &'static str,
}

impl Search {
    /// Looks for this text: as it is, in base64 at any place of a longer text, in hexadecimal digits, and with every byte
    /// as in an address.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut needles = vec![
            ("plain text", text.to_owned()),
            ("hexadecimal digits", HEXLOWER.encode(bytes)),
            ("hexadecimal digits", HEXUPPER.encode(bytes)),
            ("percent-encoding", percented(&HEXLOWER.encode(bytes))),
            ("percent-encoding", percented(&HEXUPPER.encode(bytes))),
        ];
        for before in 0..3 {
            let base64 = middle_in_base64(bytes, before);
            needles.push(("base64", base64.replace('+', "-").replace('/', "_")));
            needles.push(("base64", base64));
        }
        needles.dedup_by(|one, other| one.1 == other.1);
        Self { needles }
    }

    /// The first place in these bytes.
    #[must_use]
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<Found> {
        // A search in text is fast in every build. What is no text becomes another character, which no needle has.
        let text = String::from_utf8_lossy(bytes);
        let (form, needle) = self.needles.iter().find(|(_, needle)| text.contains(needle.as_str()))?;
        let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        Some(Found { at: at.unwrap_or_default(), form })
    }

    /// The first place in each file of a folder and of all that are in it. A file that goes meanwhile holds nothing.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> Vec<(PathBuf, Found)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => {
                        found.extend(self.in_file(&entry.path()).map(|place| (entry.path(), place)));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    fn in_file(&self, path: &Path) -> Option<Found> {
        let bytes = fs::read(path).ok()?;
        let overlap = self.needles.iter().map(|(_, needle)| needle.len()).max().unwrap_or_default();
        (0..bytes.len()).step_by(PIECE).find_map(|begin| {
            let piece = &bytes[begin..bytes.len().min(begin + PIECE + overlap)];
            self.in_bytes(piece).map(|found| Found { at: begin + found.at, ..found })
        })
    }
}

/// Every two digits behind a "%".
fn percented(digits: &str) -> String {
    digits.bytes().enumerate().fold(String::new(), |mut text, (at, digit)| {
        if at % 2 == 0 {
            text.push('%');
        }
        text.push(char::from(digit));
        text
    })
}

/// What base64 makes of bytes that stand after so many others and before others, without what the others take part in.
fn middle_in_base64(bytes: &[u8], before: usize) -> String {
    let whole = [&vec![0; before], bytes].concat();
    let begin = if before == 0 { 0 } else { 4 };
    let end = whole.len() / 3 * 4;
    BASE64.encode(&whole)[begin..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_every_form_wherever_it_stands() {
        let mark = new_mark();
        let search = Search::of(&mark);
        for before in 0..7 {
            let text = format!("{}{mark}{}", "x".repeat(before), "é".repeat(before));
            for (form, written) in [
                ("plain text", text.clone()),
                ("base64", BASE64.encode(text.as_bytes())),
                ("hexadecimal digits", HEXLOWER.encode(text.as_bytes())),
                ("hexadecimal digits", HEXUPPER.encode(text.as_bytes())),
                ("percent-encoding", percented(&HEXUPPER.encode(text.as_bytes()))),
            ] {
                let found = search.in_bytes(&[b"\xff\0", written.as_bytes()].concat());
                assert_eq!(found.map(|found| found.form), Some(form), "{before}");
            }
        }
    }

    #[test]
    fn it_is_found_between_two_pieces_of_a_file_and_nothing_else_is() {
        let (mark, folder) = (new_mark(), tempfile::tempdir().unwrap());
        let within = folder.path().join("a/b");
        fs::create_dir_all(&within).unwrap();
        fs::write(within.join("innocent"), Search::of(&new_mark()).needles[0].1.as_bytes()).unwrap();
        let mut bytes = vec![b'x'; PIECE - 5];
        bytes.extend_from_slice(mark.as_bytes());
        fs::write(within.join("guilty"), bytes).unwrap();
        let found = Search::of(&mark).in_folder(folder.path());
        assert_eq!(found, [(within.join("guilty"), Found { at: PIECE - 5, form: "plain text" })]);
    }
}
