//! The search for texts in all that a run of tests wrote, in every form in which they could have been written.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// What is longer is looked through in pieces.
const PIECE: usize = 16 << 20;
/// So much of what was packed is looked through.
const UNPACKED: u64 = 64 << 20;
/// How gzip begins, and zlib in each of its levels.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
const ZLIB: [[u8; 2]; 4] = [[0x78, 0x01], [0x78, 0x5e], [0x78, 0x9c], [0x78, 0xda]];

/// Texts in every form in which they could have been written.
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
    /// Whether it was packed. Then `at` is the beginning of that.
    pub packed: bool,
}

impl Search {
    /// Looks for these texts: as they are, in UTF-16, in base64 at any place of a longer text, in hexadecimal digits, as in
    /// an address, and as in JSON; also where that was packed by gzip or zlib.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles: Vec<_> = texts.into_iter().flat_map(forms).collect();
        needles.sort_by(|one, other| one.1.cmp(&other.1));
        needles.dedup_by(|one, other| one.1 == other.1);
        Self { needles }
    }

    /// The first place in these bytes.
    #[must_use]
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<Found> {
        let overlap = self.needles.iter().map(|(_, needle)| needle.len()).max().unwrap_or_default();
        let plain = (0..bytes.len()).step_by(PIECE).find_map(|begin| {
            let piece = &bytes[begin..bytes.len().min(begin + PIECE + overlap)];
            self.in_piece(piece).map(|found| Found { at: begin + found.at, ..found })
        });
        plain.or_else(|| {
            packages(bytes).find_map(|(at, unpacked)| Some(Found { at, packed: true, ..self.in_piece(&unpacked)? }))
        })
    }

    fn in_piece(&self, bytes: &[u8]) -> Option<Found> {
        // A search in text is fast in every build. What is no text becomes another character, which no needle has.
        let text = String::from_utf8_lossy(bytes);
        let (form, needle) = self.needles.iter().find(|(_, needle)| text.contains(needle.as_str()))?;
        let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        Some(Found { at: at.unwrap_or_default(), form, packed: false })
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
                        let bytes = fs::read(entry.path()).unwrap_or_default();
                        found.extend(self.in_bytes(&bytes).map(|place| (entry.path(), place)));
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

/// A text as it is written in one place and another.
fn forms(text: &str) -> Vec<(&'static str, String)> {
    let bytes = text.as_bytes();
    let (lower, upper) = (HEXLOWER.encode(bytes), HEXUPPER.encode(bytes));
    let wide = |before: &str, after: &str| {
        let letters: Vec<_> = text.chars().map(|letter| format!("{before}{letter}{after}")).collect();
        letters.concat()
    };
    let mut forms = vec![
        ("plain text", text.to_owned()),
        ("UTF-16", wide("", "\0")),
        ("UTF-16", wide("\0", "")),
        ("hexadecimal digits", lower.clone()),
        ("hexadecimal digits", upper.clone()),
        ("percent-encoding", behind_each("%", &lower)),
        ("percent-encoding", behind_each("%", &upper)),
        ("percent-encoding", escaped(text, |byte| format!("%{byte:02X}"))),
        ("percent-encoding", escaped(text, |byte| format!("%{byte:02x}"))),
        ("JSON", behind_each("\\u00", &lower)),
        ("JSON", behind_each("\\u00", &upper)),
        ("JSON", text.replace('/', "\\/")),
    ];
    for before in 0..3 {
        let base64 = middle_in_base64(bytes, before);
        forms.push(("base64", base64.replace('+', "-").replace('/', "_")));
        forms.push(("base64", base64));
    }
    forms
}

/// Every two digits behind this.
fn behind_each(sign: &str, digits: &str) -> String {
    digits.as_bytes().chunks(2).flat_map(|pair| sign.bytes().chain(pair.iter().copied())).map(char::from).collect()
}

/// With an escape in the place of all but letters, digits, and what never needs one.
fn escaped(text: &str, escape: impl Fn(u8) -> String) -> String {
    let needs_none = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if needs_none(byte) { char::from(byte).to_string() } else { escape(byte) }).collect()
}

/// What base64 makes of bytes that stand after so many others and before others, without what the others take part in.
fn middle_in_base64(bytes: &[u8], before: usize) -> String {
    let whole = [&vec![0; before], bytes].concat();
    let begin = if before == 0 { 0 } else { 4 };
    let end = whole.len() / 3 * 4;
    BASE64.encode(&whole)[begin..end].to_owned()
}

/// What stands packed in these bytes: where it begins, and what is in it, as far as it can be unpacked.
fn packages(bytes: &[u8]) -> impl Iterator<Item = (usize, Cow<'_, [u8]>)> {
    let unpack = |at: usize| {
        let rest = &bytes[at..];
        let mut unpacked = Vec::new();
        // What came before an error is in it all the same: most of what looks like a beginning is none.
        let _ = if rest.starts_with(&GZIP) {
            MultiGzDecoder::new(rest).take(UNPACKED).read_to_end(&mut unpacked)
        } else if ZLIB.iter().any(|begin| rest.starts_with(begin)) {
            ZlibDecoder::new(rest).take(UNPACKED).read_to_end(&mut unpacked)
        } else {
            Ok(0)
        };
        (!unpacked.is_empty()).then_some((at, Cow::Owned(unpacked)))
    };
    (0..bytes.len()).filter(|&at| matches!(bytes[at], 0x1f | 0x78)).filter_map(unpack)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::new_mark;

    fn packed(bytes: &[u8]) -> [Vec<u8>; 2] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(bytes).unwrap();
        [gzip.finish().unwrap(), zlib.finish().unwrap()]
    }

    fn wide(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_mark_is_found_in_every_form_wherever_it_stands() {
        let mark = new_mark();
        let search = Search::of([mark.as_str(), "something else"]);
        for before in 0..7 {
            let text = format!("{}{mark}{}", "x".repeat(before), "é".repeat(before));
            let [lower, upper] = [HEXLOWER.encode(text.as_bytes()), HEXUPPER.encode(text.as_bytes())];
            for (form, written) in [
                ("plain text", text.clone().into_bytes()),
                ("base64", BASE64.encode(text.as_bytes()).into_bytes()),
                ("hexadecimal digits", lower.clone().into_bytes()),
                ("hexadecimal digits", upper.clone().into_bytes()),
                ("percent-encoding", behind_each("%", &upper).into_bytes()),
                ("JSON", behind_each("\\u00", &lower).into_bytes()),
                ("UTF-16", wide(&text, u16::to_le_bytes)),
                ("UTF-16", wide(&text, u16::to_be_bytes)),
            ] {
                let written = [b"\xff\0".as_slice(), &written].concat();
                let found = search.in_bytes(&written);
                assert_eq!(found.map(|found| (found.form, found.packed)), Some((form, false)), "{before}");
                // Little is stored as it is.
                for packed in packed(&[written, b"zzz ".repeat(200)].concat()) {
                    let found = search.in_bytes(&[b"\x78\x9c\x1f\x8b\x08", packed.as_slice()].concat());
                    assert_eq!(found, Some(Found { at: 5, form, packed: true }), "{before}");
                }
            }
        }
    }

    #[test]
    fn a_master_key_is_found_with_its_signs_escaped() {
        let search = Search::of(["ab+cd/ef=="]);
        for (form, written) in [
            ("percent-encoding", "?key=ab%2Bcd%2Fef%3D%3D&"),
            ("percent-encoding", "ab%2bcd%2fef%3d%3d"),
            ("JSON", r#"{"key":"ab+cd\/ef=="}"#),
        ] {
            assert_eq!(search.in_bytes(written.as_bytes()).map(|found| found.form), Some(form));
        }
    }

    #[test]
    fn it_is_found_between_two_pieces_of_a_file_and_nothing_else_is() {
        let (mark, folder) = (new_mark(), tempfile::tempdir().unwrap());
        let within = folder.path().join("a/b");
        fs::create_dir_all(&within).unwrap();
        fs::write(within.join("innocent"), new_mark()).unwrap();
        let mut bytes = vec![b'y'; PIECE - 5];
        bytes.extend_from_slice(mark.as_bytes());
        fs::write(within.join("guilty"), bytes).unwrap();
        let found = Search::of([mark.as_str()]).in_folder(folder.path());
        assert_eq!(found, [(within.join("guilty"), Found { at: PIECE - 5, form: "plain text", packed: false })]);
    }
}
