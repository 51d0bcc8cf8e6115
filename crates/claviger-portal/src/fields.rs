//! Forms as browsers send them: bounded, and wiped after use, since a field may be a key.

use axum::body::Body;
use http_body_util::BodyExt;
use zeroize::Zeroizing;

const LIMIT: usize = 64 * 1024;

/// The fields of a form.
pub(crate) struct Fields(Vec<(Zeroizing<String>, Zeroizing<String>)>);

impl Fields {
    /// Reads a body; `None` where it is too long, broke off, or is no form.
    pub(crate) async fn read(mut body: Body) -> Option<Self> {
        // Room for all of it at once: a buffer that grows leaves copies behind, which nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT));
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                if data.len() > LIMIT - bytes.len() {
                    return None;
                }
                bytes.extend_from_slice(&data);
            }
        }
        Self::parse(&bytes)
    }

    /// Takes the parts of `application/x-www-form-urlencoded` apart.
    pub(crate) fn parse(form: &[u8]) -> Option<Self> {
        let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let middle = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(middle + 1..).unwrap_or_default();
            Some((decode(&pair[..middle])?, decode(value)?))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    /// A field; empty where it is missing.
    pub(crate) fn get(&self, name: &str) -> &Zeroizing<String> {
        static NOTHING: std::sync::LazyLock<Zeroizing<String>> = std::sync::LazyLock::new(Zeroizing::default);
        self.0.iter().find(|(found, _)| **found == *name).map_or(&*NOTHING, |(_, value)| value)
    }
}

fn decode(text: &[u8]) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => *other,
        });
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            None
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_taken_apart_and_decoded() {
        let form = Fields::parse(b"name=B%C3%BCro+1&secret=a%2Bb%3D&empty=&flag").unwrap();
        let fields = ["name", "secret", "empty", "flag", "missing"].map(|name| form.get(name).as_str().to_owned());
        assert_eq!(fields, ["Büro 1", "a+b=", "", "", ""]);
    }

    #[test]
    fn what_is_no_form_is_none() {
        for form in [&b"a=%"[..], b"a=%4", b"a=%zz", b"%ff=1", b"a=%c3"] {
            assert!(Fields::parse(form).is_none(), "{form:?}");
        }
    }
}
