//! The accent: one colour of the product's own, brought to where text in it, and on it, can be read.
//!
//! Contrast is WCAG's ratio of relative luminances. Text needs 4.5 to 1 on every background that it stands on.

use std::fmt;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};

use crate::assets;

/// A colour: red, green, blue. Prints as six digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colour([u8; 3]);

const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);
/// The darkest background of light pages, and the lightest of dark ones, as `assets/style.css` has them.
const LIGHT: Colour = Colour([0xf1, 0xf2, 0xf5]);
const DARK: Colour = Colour([0x22, 0x25, 0x2b]);
const READABLE: f64 = 4.5;
/// The steps in which a colour goes to white or black.
const STEPS: u8 = 20;

impl Colour {
    /// Reads `rrggbb` or `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour, so many of [`STEPS`] on the way to another one.
    fn towards(self, other: Self, step: u8) -> Self {
        let part = |from: u8, to: u8| {
            let mixed = u32::from(from) * u32::from(STEPS - step) + u32::from(to) * u32::from(step);
            u8::try_from(mixed / u32::from(STEPS)).unwrap_or(u8::MAX)
        };
        Self(std::array::from_fn(|index| part(self.0[index], other.0[index])))
    }

    /// The nearest to this colour, on the way to `end`, that can be read on `background`.
    fn readable_on(self, background: Self, end: Self) -> Self {
        let shades = (0..=STEPS).map(|step| self.towards(end, step));
        shades.into_iter().find(|shade| shade.contrast(background) >= READABLE).unwrap_or(end)
    }

    /// Black or white, whichever is read better on this colour. One of them always is.
    fn text(self) -> Self {
        if self.contrast(WHITE) >= READABLE { WHITE } else { BLACK }
    }

    /// The style sheet that puts this accent in the place of the portal's own: as it is where words stand on it, and
    /// darker on light pages or lighter on dark ones where it is what words are written in.
    pub(crate) fn style(self) -> String {
        let (light, dark) = (self.readable_on(LIGHT, BLACK), self.readable_on(DARK, WHITE));
        let (fill, text) = (self, self.text());
        let of = |accent: Self| format!("{{--accent:#{accent};--fill:#{fill};--on-fill:#{text}}}");
        let (light, dark) = (of(light), of(dark));
        format!(
            ":root:root{light}\n@media (prefers-color-scheme:dark){{:root:root:not([data-theme=light]){dark}}}\n\
             :root:root[data-theme=dark]{dark}\n"
        )
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "{part:02x}"))
    }
}

/// `/portal/accent/rrggbb.css`. A page may not say a colour in itself: its policy forbids styles beside the sheets'.
pub(crate) async fn sheet(Path(file): Path<String>, address: Uri) -> Response {
    match file.strip_suffix(".css").and_then(Colour::parse) {
        Some(accent) => assets::asset(&address, assets::CSS, accent.style()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Colour::parse("#2F4bc7"), Some(Colour([0x2f, 0x4b, 0xc7])));
        assert_eq!(Colour::parse("2f4bc7").unwrap().to_string(), "2f4bc7");
        for text in ["", "#fff", "red", "2f4bc", "2f4bc7a", "##2f4bc7", "+f4bc7", "2f4b;}", "é4bc7"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 0.01);
        assert!((Colour([0x76; 3]).contrast(WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_accent_can_be_read_on_light_and_dark_and_be_written_on() {
        for number in 0..7 * 7 * 7_u32 {
            let part = |place: u32| u8::try_from(number / place % 7 * 42).unwrap();
            let accent = Colour([part(49), part(7), part(1)]);
            assert!(accent.contrast(accent.text()) >= READABLE, "on {accent}");
            assert!(accent.readable_on(LIGHT, BLACK).contrast(LIGHT) >= READABLE, "{accent} on light");
            assert!(accent.readable_on(DARK, WHITE).contrast(DARK) >= READABLE, "{accent} on dark");
        }
    }

    #[test]
    fn the_style_sheet_has_the_backgrounds_that_accents_are_read_on() {
        let sheet = include_str!("../assets/style.css");
        for background in [LIGHT, DARK] {
            assert!(sheet.contains(&format!("--dim: #{background};")), "{background}");
        }
    }
}
