//! Who acts, by name: what Claviger calls those who act without one, and what callers may call their own people.

use thiserror::Error;

/// Who acts where the root token is shown and nobody is named.
pub const ROOT: &str = "root";
/// Who acts at the shell.
pub const SHELL: &str = "shell";
/// Who gave the keys of the settings.
pub const SETTINGS: &str = "settings";

/// What comes before the id of a token that acts.
pub const TOKEN: &str = "token:";
/// What comes before the id of a session of the portal.
pub const PORTAL: &str = "portal:";
/// What comes before the id of a session of the console.
pub const CONSOLE: &str = "console:";

/// How many characters the name of an acting user may have.
pub const MAX_ACTOR_LENGTH: usize = 256;

/// A text by which nobody can be named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidActor {
    /// It is empty, too long, or holds a control character.
    #[error("must be 1 to {MAX_ACTOR_LENGTH} characters, without control characters")]
    Form,
    /// In the audit trail it would be read as somebody else.
    #[error(
        "must not be {ROOT}, {SHELL} or {SETTINGS}, nor begin with {TOKEN}, {PORTAL} or {CONSOLE}: Claviger names \
         those so who act without a name"
    )]
    Reserved,
}

/// The name of an acting user in a caller's own words, without white space around it.
pub fn named(text: &str) -> Result<&str, InvalidActor> {
    let name = text.trim();
    if !(1..=MAX_ACTOR_LENGTH).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(InvalidActor::Form);
    }
    let begins_with = |word: &str| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let is_word = [ROOT, SHELL, SETTINGS].into_iter().any(|word| name.eq_ignore_ascii_case(word));
    if is_word || [TOKEN, PORTAL, CONSOLE].into_iter().any(begins_with) {
        return Err(InvalidActor::Reserved);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_callers_own() {
        let longest = "é".repeat(MAX_ACTOR_LENGTH);
        for name in
            ["user_42", "Jürgen Müller", "user:7", "auth0|62f", "roots", "tokens", "token", "ada@shell", &longest]
        {
            assert_eq!(named(name), Ok(name));
        }
        assert_eq!(named(" ada "), Ok("ada"));
    }

    #[test]
    fn what_cannot_stand_in_an_entry_is_no_name() {
        for text in ["", "  ", "a\tb", "a\nb", &"x".repeat(MAX_ACTOR_LENGTH + 1)] {
            assert_eq!(named(text), Err(InvalidActor::Form), "{text:?}");
        }
    }

    #[test]
    fn nobody_is_named_as_claviger_names_others() {
        for text in ["root", " root ", "Root", "SHELL", "settings", "token:abc", "Token:", "portal:x", "console:x"] {
            assert_eq!(named(text), Err(InvalidActor::Reserved), "{text:?}");
        }
    }
}
