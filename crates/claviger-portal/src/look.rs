//! How the pages look: light or dark, with which accent, how dense. Whoever made the link says so in its address, and a
//! cookie that is no secret remembers it.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;

use crate::accent::Colour;
use crate::visitor::cookie;

/// The cookie that remembers the look.
const COOKIE: &str = "claviger_look";

/// Light or dark; by default what the browser wishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }
}

const COMPACT: &str = "compact";
const COMFORTABLE: &str = "comfortable";

/// How pages look. Prints as the cookie has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Look {
    theme: Theme,
    accent: Option<Colour>,
    compact: bool,
}

impl Look {
    /// As the address says, or else as it said before. What is no look is passed over.
    pub(crate) fn of(query: &BTreeMap<String, String>, headers: &HeaderMap) -> Self {
        let before = Self::before(headers);
        let said = |name: &str| query.get(name).map(String::as_str);
        Self {
            theme: said("theme").and_then(Theme::parse).unwrap_or(before.theme),
            accent: said("accent").and_then(Colour::parse).or(before.accent),
            compact: match said("density") {
                Some(COMPACT) => true,
                Some(COMFORTABLE) => false,
                _ => before.compact,
            },
        }
    }

    /// As the cookie has it.
    pub(crate) fn before(headers: &HeaderMap) -> Self {
        let mut look = Self::default();
        for part in cookie(headers, COOKIE).unwrap_or_default().split('.') {
            match (Theme::parse(part), Colour::parse(part)) {
                (Some(theme), _) => look.theme = theme,
                (None, Some(accent)) => look.accent = Some(accent),
                (None, None) => look.compact |= part == COMPACT,
            }
        }
        look
    }

    /// The cookie that remembers it, with these attributes.
    pub(crate) fn cookie(self, attributes: &str) -> String {
        format!("{COOKIE}={self}; {attributes}")
    }

    /// For the style sheet; empty where the browser decides.
    pub(crate) fn theme(self) -> &'static str {
        if self.theme == Theme::Auto { "" } else { self.theme.as_str() }
    }

    pub(crate) fn accent(self) -> Option<Colour> {
        self.accent
    }

    pub(crate) fn is_compact(self) -> bool {
        self.compact
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.theme.as_str())?;
        self.accent.map_or(Ok(()), |accent| write!(f, ".{accent}"))?;
        if self.compact { write!(f, ".{COMPACT}") } else { Ok(()) }
    }
}
