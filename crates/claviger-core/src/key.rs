//! One provider key: its secret, its mask, its name, its state.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

/// How many characters a key may have.
pub const MAX_SECRET_LENGTH: usize = 4_096;
/// How many characters a name may have.
pub const MAX_NAME_LENGTH: usize = 120;

/// A provider key in plain text. It cannot be printed, cloned, compared or serialized, and is wiped when dropped.
pub struct KeySecret(Zeroizing<Vec<u8>>);

/// Text that cannot be a provider key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidSecret {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`MAX_SECRET_LENGTH`].
    #[error("must have at most 4096 characters")]
    TooLong,
    /// A space, a line break, or anything outside visible ASCII.
    #[error("must be visible ASCII characters, without spaces or line breaks inside")]
    NotVisible,
}

impl KeySecret {
    /// Checks what a caller sent: surrounding white space is dropped, then 1 to 4,096 visible ASCII characters stay.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, InvalidSecret> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(InvalidSecret::NotVisible);
        }
        if trimmed.len() > MAX_SECRET_LENGTH {
            return Err(InvalidSecret::TooLong);
        }
        Ok(Self(Zeroizing::new(trimmed.as_bytes().to_vec())))
    }

    /// Takes a secret that was stored, and so was checked when it came in. `None` where it is not visible ASCII.
    #[must_use]
    pub fn from_opened(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let sound = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
        sound.then_some(Self(bytes))
    }

    /// The one way out: the key as the provider must see it, always visible ASCII.
    #[must_use]
    pub fn expose_to_provider(&self) -> &[u8] {
        &self.0
    }

    /// What a person may see of the key for recognition: up to 8 characters nothing, up to 12 the first and last 4,
    /// longer the first 6 and last 4.
    #[must_use]
    pub fn mask(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let (head, tail) = match text.len() {
            0..=8 => return "••••••••".to_owned(),
            9..=12 => (4, 4),
            _ => (6, 4),
        };
        format!("{}...{}", &text[..head], &text[text.len() - tail..])
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// A key's label: trimmed, 1 to 120 characters, without control characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct KeyName(String);

/// Text that cannot be a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidName {
    /// Longer than [`MAX_NAME_LENGTH`].
    #[error("must have at most 120 characters")]
    TooLong,
    /// A line break or another control character.
    #[error("must not hold line breaks or other control characters")]
    Control,
}

impl KeyName {
    /// Checks a name; one that is empty after trimming is no name.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidName> {
        let trimmed = text.trim();
        if trimmed.chars().count() > MAX_NAME_LENGTH {
            return Err(InvalidName::TooLong);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(InvalidName::Control);
        }
        Ok((!trimmed.is_empty()).then(|| Self(trimmed.to_owned())))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a key fares, as the outside names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// In rotation.
    Active,
    /// Rate limited, and back in a while.
    Cooling,
    /// Its account cannot pay.
    Exhausted,
    /// Its provider refused it.
    Rejected,
    /// Sealed under another key, or damaged: it cannot be opened, and is passed over.
    Unreadable,
}

impl KeyStatus {
    /// The status as the outside writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling => "cooling",
            Self::Exhausted => "exhausted",
            Self::Rejected => "rejected",
            Self::Unreadable => "unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<KeySecret, InvalidSecret> {
        KeySecret::parse(&Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_secret_is_trimmed_and_masked_by_its_length() {
        let mask = |text: &str| secret(text).unwrap().mask();
        assert_eq!(mask(" 12345678\n"), "••••••••");
        assert_eq!(mask("123456789"), "1234...6789");
        assert_eq!(mask("123456789abc"), "1234...9abc");
        assert_eq!(mask("123456789abcd"), "123456...abcd");
    }

    #[test]
    fn a_secret_is_visible_ascii_of_a_bounded_length() {
        let refusal = |text: &str| secret(text).unwrap_err();
        assert_eq!(refusal(" \t "), InvalidSecret::Empty);
        assert_eq!(refusal("ab\ncd"), InvalidSecret::NotVisible);
        assert_eq!(refusal("ab cd"), InvalidSecret::NotVisible);
        assert_eq!(refusal("abcdé"), InvalidSecret::NotVisible);
        assert_eq!(refusal(&"x".repeat(4_097)), InvalidSecret::TooLong);
        assert!(secret(&"x".repeat(4_096)).is_ok());
    }

    #[test]
    fn a_secret_prints_as_nothing() {
        assert_eq!(format!("{:?}", secret("abcdefgh").unwrap()), "KeySecret(…)");
    }

    #[test]
    fn a_name_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(KeyName::parse("  "), Ok(None));
        assert_eq!(KeyName::parse(" Büro ").unwrap().unwrap().as_str(), "Büro");
        assert!(KeyName::parse(&"é".repeat(120)).is_ok());
        assert_eq!(KeyName::parse(&"x".repeat(121)), Err(InvalidName::TooLong));
        assert_eq!(KeyName::parse("a\nb"), Err(InvalidName::Control));
    }
}
