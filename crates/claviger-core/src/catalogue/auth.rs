//! Where a provider wants its key.

use serde::Deserialize;

use super::rule::is_header_name;

/// Where a key goes in a request. Read from `{ kind = "bearer" }` and its like.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "RawAuth")]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// A header of its own.
    Header {
        /// The header's name.
        name: String,
        /// Text before the key, often empty.
        prefix: String,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: String,
    },
    /// A field at the top of a JSON body.
    Body {
        /// The field's name.
        field: String,
    },
    /// `Authorization: Basic`.
    Basic {
        /// With a user name the key is the password; without one the key is the user name and the password is empty.
        username: Option<String>,
    },
}

/// An `auth` that does not say where the key goes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidAuth {
    /// A kind without the setting it needs.
    #[error("auth of kind {kind} needs `{field}`")]
    Missing {
        /// The kind as written.
        kind: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// A setting that belongs to another kind.
    #[error("auth of kind {kind} has no `{field}`")]
    Foreign {
        /// The kind as written.
        kind: &'static str,
        /// What is too much.
        field: &'static str,
    },
    /// A header's name that HTTP does not allow.
    #[error("`{0}` cannot be a header's name")]
    HeaderName(String),
    /// A parameter's, field's or user's name, or a prefix, with characters that could change the request's meaning.
    #[error("auth has a `{field}` with characters that cannot stand there")]
    Characters {
        /// Where.
        field: &'static str,
    },
}

/// [`Auth`] as written. One table with every field, so that a field of another kind is refused and not ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuth {
    kind: Kind,
    name: Option<String>,
    prefix: Option<String>,
    field: Option<String>,
    username: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Bearer,
    Header,
    Query,
    Body,
    Basic,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Query => "query",
            Self::Body => "body",
            Self::Basic => "basic",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Bearer => &[],
            Self::Header => &["name", "prefix"],
            Self::Query => &["name"],
            Self::Body => &["field"],
            Self::Basic => &["username"],
        }
    }
}

impl TryFrom<RawAuth> for Auth {
    type Error = InvalidAuth;

    fn try_from(raw: RawAuth) -> Result<Self, InvalidAuth> {
        let kind = raw.kind.as_str();
        let given = [
            ("name", raw.name.is_some()),
            ("prefix", raw.prefix.is_some()),
            ("field", raw.field.is_some()),
            ("username", raw.username.is_some()),
        ];
        let foreign = given.into_iter().find(|(field, there)| *there && !raw.kind.fields().contains(field));
        if let Some((field, _)) = foreign {
            return Err(InvalidAuth::Foreign { kind, field });
        }
        let named = |value: Option<String>, field: &'static str| {
            value.filter(|text| !text.is_empty()).ok_or(InvalidAuth::Missing { kind, field })
        };
        match raw.kind {
            Kind::Bearer => Ok(Self::Bearer),
            Kind::Header => header(named(raw.name, "name")?, raw.prefix.unwrap_or_default()),
            Kind::Query => {
                let name = plain(named(raw.name, "name")?, "name", is_name_byte)?;
                Ok(Self::Query { name })
            }
            Kind::Body => {
                let field = plain(named(raw.field, "field")?, "field", is_name_byte)?;
                Ok(Self::Body { field })
            }
            // RFC 7617: a user name ends at the first colon.
            Kind::Basic => {
                let check = |name| plain(name, "username", |b| b.is_ascii_graphic() && b != b':');
                Ok(Self::Basic { username: raw.username.map(check).transpose()? })
            }
        }
    }
}

fn header(name: String, prefix: String) -> Result<Auth, InvalidAuth> {
    if !is_header_name(&name) {
        return Err(InvalidAuth::HeaderName(name));
    }
    let prefix = plain(prefix, "prefix", |b| b.is_ascii_graphic() || b == b' ')?;
    Ok(Auth::Header { name, prefix })
}

fn plain(text: String, field: &'static str, allowed: fn(u8) -> bool) -> Result<String, InvalidAuth> {
    if text.bytes().all(allowed) { Ok(text) } else { Err(InvalidAuth::Characters { field }) }
}

/// What needs no escaping in a query.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Auth, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn every_kind_is_read() {
        let text = str::to_owned;
        let rows = [
            ("kind = 'bearer'", Auth::Bearer),
            ("kind = 'header'\nname = 'X-Key'", Auth::Header { name: text("X-Key"), prefix: text("") }),
            (
                "kind = 'header'\nname = 'Authorization'\nprefix = 'Key '",
                Auth::Header { name: text("Authorization"), prefix: text("Key ") },
            ),
            ("kind = 'query'\nname = 'api_key'", Auth::Query { name: text("api_key") }),
            ("kind = 'body'\nfield = 'key'", Auth::Body { field: text("key") }),
            ("kind = 'basic'", Auth::Basic { username: None }),
            ("kind = 'basic'\nusername = 'api'", Auth::Basic { username: Some(text("api")) }),
        ];
        for (text, auth) in rows {
            assert_eq!(read(text), Ok(auth), "{text}");
        }
    }

    #[test]
    fn a_kind_takes_its_own_settings_and_needs_them() {
        let rows = [
            ("kind = 'header'", "auth of kind header needs `name`"),
            ("kind = 'query'\nname = ''", "auth of kind query needs `name`"),
            ("kind = 'body'", "auth of kind body needs `field`"),
            ("kind = 'bearer'\nname = 'Authorization'", "auth of kind bearer has no `name`"),
            ("kind = 'query'\nname = 'key'\nprefix = 'Key '", "auth of kind query has no `prefix`"),
            ("kind = 'header'\nname = 'X Key'", "`X Key` cannot be a header's name"),
            ("kind = 'header'\nname = \"X-Key\\r\\nX-Other\"", "`X-Key\r\nX-Other` cannot be a header's name"),
            (
                "kind = 'header'\nname = 'X-Key'\nprefix = \"a\\n\"",
                "auth has a `prefix` with characters that cannot stand there",
            ),
            ("kind = 'query'\nname = 'a=b&c'", "auth has a `name` with characters that cannot stand there"),
            ("kind = 'basic'\nusername = 'a:b'", "auth has a `username` with characters that cannot stand there"),
        ];
        for (text, message) in rows {
            assert_eq!(read(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_unknown_kind_or_setting_is_refused() {
        assert!(read("kind = 'cookie'").unwrap_err().contains("unknown variant `cookie`"));
        assert!(read("kind = 'bearer'\nheader = 'X-Key'").unwrap_err().contains("unknown field `header`"));
    }
}
