//! The tree holds no literal that a secret scanner would flag. There is no list of exceptions: what a test needs of that
//! kind, it makes at run time.

use std::fs;
use std::process::Command;

const LETTERS_DIGITS: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric();
const WORD: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
const CAPITALS_DIGITS: fn(u8) -> bool = |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit();
const BASE32: fn(u8) -> bool = |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
const BASE64: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';

/// How a secret begins, what it goes on with, and for how long at least.
type Form = (&'static str, fn(u8) -> bool, usize);

/// What scanners take for secrets.
const FORMS: [Form; 24] = [
    ("sk-", LETTERS_DIGITS, 20),
    ("sk-ant-", WORD, 16),
    ("sk-proj-", WORD, 16),
    ("sk-or-", WORD, 16),
    ("AIza", WORD, 35),
    ("ya29.", WORD, 20),
    ("xai-", LETTERS_DIGITS, 20),
    ("gsk_", LETTERS_DIGITS, 20),
    ("ghp_", LETTERS_DIGITS, 30),
    ("gho_", LETTERS_DIGITS, 30),
    ("ghs_", LETTERS_DIGITS, 30),
    ("github_pat_", WORD, 22),
    ("glpat-", WORD, 20),
    ("hf_", LETTERS_DIGITS, 30),
    ("npm_", LETTERS_DIGITS, 36),
    ("pypi-AgEI", WORD, 20),
    ("pplx-", LETTERS_DIGITS, 30),
    ("sk_live_", LETTERS_DIGITS, 16),
    ("whsec_", BASE64, 24),
    ("xoxb-", WORD, 10),
    ("AKIA", CAPITALS_DIGITS, 16),
    ("ASIA", CAPITALS_DIGITS, 16),
    ("clv_", BASE32, 76),
    ("eyJ", WORD, 20),
];
/// A private key's head is these two in one line.
const PEM_BEGINS: &str = "-----BEGIN ";
const PEM_ENDS: &str = "PRIVATE KEY-----";
/// Words in a line that make random-looking text in it a key.
const KEY_WORDS: [&str; 5] = ["key", "secret", "token", "master", "password"];
/// 32 bytes in base64, without the "=" at its end, and in hexadecimal digits.
const KEY_IN_BASE64: usize = 43;
const KEY_IN_HEX: usize = 64;

/// What a scanner would say of a line. A JWT's first part alone is enough to be one.
fn flagged(line: &str) -> Option<&'static str> {
    let known = FORMS.iter().find(|(prefix, belongs, least)| {
        line.match_indices(prefix).any(|(at, _)| {
            let begins = at == 0 || !LETTERS_DIGITS(line.as_bytes()[at - 1]);
            let rest = &line.as_bytes()[at + prefix.len()..];
            begins && rest.iter().take_while(|&&byte| belongs(byte)).count() >= *least
        })
    });
    let pem = line.find(PEM_BEGINS).is_some_and(|at| line[at..].contains(PEM_ENDS));
    let lower = line.to_ascii_lowercase();
    let assigned = KEY_WORDS.iter().any(|word| lower.contains(word)) && has_random_bytes(line);
    known.map(|(prefix, ..)| *prefix).or(pem.then_some("a private key")).or(assigned.then_some("32 random bytes"))
}

/// Whether 32 bytes stand here: digits and letters mixed, as chance does, and nothing longer, as hashes of others are.
fn has_random_bytes(line: &str) -> bool {
    let runs = line.split(|letter: char| !letter.is_ascii() || !BASE64(letter as u8)).filter(|run| !run.is_empty());
    runs.into_iter().any(|run| {
        let end = run.as_ptr() as usize - line.as_ptr() as usize + run.len();
        let mixed = run.bytes().any(|byte| byte.is_ascii_digit()) && run.bytes().any(|byte| byte.is_ascii_lowercase());
        let base64 = run.len() == KEY_IN_BASE64 && line[end..].starts_with('=');
        let hex = run.len() == KEY_IN_HEX && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        mixed && (base64 || hex)
    })
}

/// Every file of the tree, and what is about to be one.
fn files() -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let names = String::from_utf8(git.stdout).unwrap();
    names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn root() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

#[test]
fn no_file_holds_a_literal_that_a_secret_scanner_would_flag() {
    let files = files();
    assert!(files.iter().any(|file| file == "Cargo.toml"), "no files found");
    let mut found = Vec::new();
    for file in files {
        // A file that git knows may have been deleted since.
        let bytes = fs::read(format!("{}/{file}", root())).unwrap_or_default();
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            found.extend(flagged(line).map(|what| format!("{file}:{}: {what}", number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_form_is_flagged_and_less_of_it_is_not() {
    for (prefix, belongs, least) in FORMS {
        let letter = if belongs(b'a') { "a" } else { "A" };
        let whole = format!("let x = \"{prefix}{}\";", letter.repeat(least));
        assert!(flagged(&whole).is_some(), "{prefix}");
        assert_eq!(flagged(&format!("let x = \"{prefix}{}\";", letter.repeat(least - 1))), None, "{prefix}");
        assert_eq!(flagged(&whole.replace(prefix, &format!("x{prefix}"))), None, "{prefix} within a word");
    }
    assert!(flagged(&format!("{PEM_BEGINS}RSA {PEM_ENDS}")).is_some());
    let (base64, hex) = ("aB3".repeat(14) + "A=", "a1".repeat(32));
    assert!(flagged(&format!("master_key = \"{base64}\"")).is_some());
    assert!(flagged(&format!("TOKEN={hex}")).is_some());
    assert_eq!(flagged(&format!("checksum = \"{hex}\"")), None);
}
