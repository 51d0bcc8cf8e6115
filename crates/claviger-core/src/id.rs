//! Typed ids. A caller's own ids (workspaces, organizations) are checked text; Claviger's own are sortable and prefixed.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::time::Timestamp;

/// An id that does not have its form.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} must be {form}")]
pub struct InvalidId {
    what: &'static str,
    form: &'static str,
}

/// Text of shared ownership behind an id type, so that copying an id on the way of a request allocates nothing.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $form:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { what: $what, form: $form })
                }
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

fn is_callers_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// Crockford's alphabet, as the generated ids use it.
fn is_ulid(text: &str) -> bool {
    text.len() == 26 && ulid::Ulid::from_string(text).is_ok_and(|id| id.to_string() == text)
}

text_id!(
    /// The id of a workspace, chosen by the caller: 1 to 128 of `A-Za-z0-9._:-`.
    WorkspaceId, "a workspace id", "1 to 128 of A-Z a-z 0-9 . _ : -", is_callers_id
);
text_id!(
    /// The id of an organization, chosen by the caller: 1 to 128 of `A-Za-z0-9._:-`.
    OrganizationId, "an organization id", "1 to 128 of A-Z a-z 0-9 . _ : -", is_callers_id
);
text_id!(
    /// The id of a provider in the catalogue: 1 to 64 of `a-z0-9_-`.
    ProviderId, "a provider id", "1 to 64 of a-z 0-9 _ -", |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
    }
);
text_id!(
    /// The id of a key: `key_` and a ULID, so that ids sort by creation.
    KeyId, "a key id", "key_ and 26 letters and digits", |text| text.strip_prefix("key_").is_some_and(is_ulid)
);
text_id!(
    /// The id of a webhook: `wh_` and a ULID, so that ids sort by creation.
    WebhookId, "a webhook id", "wh_ and 26 letters and digits", |text| text.strip_prefix("wh_").is_some_and(is_ulid)
);
text_id!(
    /// The id of an event that webhooks are told of: `evt_` and a ULID, so that ids sort by creation.
    EventId, "an event id", "evt_ and 26 letters and digits", |text| text.strip_prefix("evt_").is_some_and(is_ulid)
);
text_id!(
    /// The public id of a token: 16 of base32's lower-case letters and digits. It stands in the token itself.
    TokenId, "a token id", "16 of a-z 2-7", |text| {
        text.len() == 16 && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    }
);

/// A prefix, and a ULID of the time of creation and 80 random bits.
fn sortable(prefix: &str, now: Timestamp, random: [u8; 10]) -> Arc<str> {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let random = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    format!("{prefix}{}", ulid::Ulid::from_parts(millis, random)).into()
}

impl KeyId {
    /// A new id from the time of creation and 80 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(sortable("key_", now, random))
    }
}

impl WebhookId {
    /// A new id from the time of creation and 80 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(sortable("wh_", now, random))
    }
}

impl EventId {
    /// A new id from the time of the event and 80 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(sortable("evt_", now, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_has_its_alphabet_and_length() {
        assert!("acme.eu:team_1-a".parse::<WorkspaceId>().is_ok());
        for bad in ["", "a/b", "a b", "ü", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn key_ids_sort_by_creation_and_read_back() {
        let earlier = KeyId::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let later = KeyId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(earlier < later);
        assert_eq!(later.as_str().parse::<KeyId>().unwrap(), later);
        assert!("key_1".parse::<KeyId>().is_err());
    }

    #[test]
    fn ids_of_webhooks_and_events_sort_by_creation_and_read_back() {
        let at = |millis| Timestamp::from_millis(millis);
        let [earlier, later] = [1_000, 1_001].map(|millis| EventId::new(at(millis), [0x55; 10]));
        assert!(earlier < later);
        assert_eq!(later.as_str().parse::<EventId>().unwrap(), later);
        let webhook = WebhookId::new(at(1_000), [0x55; 10]);
        assert_eq!(webhook.as_str().parse::<WebhookId>().unwrap(), webhook);
        for other in [earlier.as_str(), "wh_1", "wh_"] {
            assert!(other.parse::<WebhookId>().is_err(), "{other}");
        }
    }
}
