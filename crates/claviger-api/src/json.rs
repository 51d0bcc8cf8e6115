//! Bodies: bounded, wiped after use, and refused without a word of what they hold.
//! And the answers that hold a secret.

use std::fmt;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use zeroize::Zeroizing;

use crate::Shared;
use crate::error::{Code, Problem, Refusal};

const LIMIT: usize = 64 * 1024;
/// A name longer than this is no mistyped field, and may be something that must not be repeated.
const MAX_FIELD_LENGTH: usize = 32;

/// What may be said of any request with a body.
pub(crate) const BODY: &[Code] = <BodyError as Refusal>::CODES[0];

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body must come as Content-Type: application/json")]
    MediaType,
    #[error("the body must have at most {LIMIT} bytes")]
    TooLarge,
    #[error("the body broke off")]
    Incomplete,
    #[error("the body is not JSON: look at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the body must be a JSON object")]
    NoObject,
    #[error("the body has a field that this operation does not know")]
    UnknownField(Option<String>),
    #[error("is missing")]
    Missing(String),
    #[error("is there more than once")]
    Twice(String),
    #[error("must be {expected}")]
    Type { field: String, expected: String },
}

impl Refusal for BodyError {
    const CODES: &[&[Code]] = &[&[
        Code::InvalidInput,
        Code::UnknownField,
        Code::InvalidJson,
        Code::BodyIncomplete,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
    ]];

    fn problem(self) -> Problem {
        match &self {
            Self::MediaType => Problem::new(Code::UnsupportedMediaType, self),
            Self::TooLarge => Problem::new(Code::BodyTooLarge, self),
            Self::Incomplete => Problem::new(Code::BodyIncomplete, self),
            Self::NotJson { .. } => Problem::new(Code::InvalidJson, self),
            Self::NoObject => Problem::new(Code::InvalidInput, self),
            Self::UnknownField(None) => Problem::new(Code::UnknownField, self),
            Self::UnknownField(Some(field)) => Problem::new(Code::UnknownField, &self).at(field),
            Self::Missing(field) | Self::Twice(field) | Self::Type { field, .. } => Problem::input(field, &self),
        }
    }
}

/// A JSON object of this type. Comes last, after the permit.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _api: &Shared) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        if !is_json(&head.headers) {
            return Err(BodyError::MediaType.into());
        }
        if announced_length(&head.headers).is_some_and(|length| length > LIMIT) {
            return Err(BodyError::TooLarge.into());
        }
        Ok(Self(parse(&read(body).await?)?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(mut body: axum::body::Body) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    // Room for all of it at once: a buffer that grows leaves copies behind, which nobody wipes.
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT));
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
            continue;
        };
        if data.remaining() > LIMIT - text.len() {
            return Err(BodyError::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            text.extend_from_slice(chunk);
            data.advance(chunk.len());
        }
    }
    Ok(text)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, BodyError> {
    serde_json::from_slice::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    // An array would do for serde: it would take its values for the fields, in order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(BodyError::NoObject);
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        explain(field, error.inner())
    })
}

fn not_json(error: &serde_json::Error) -> BodyError {
    BodyError::NotJson { line: error.line(), column: error.column() }
}

/// Says what is wrong. serde knows kinds of errors only by their text, and repeats the value in it that it did not
/// like: of that, only what was expected is passed on.
fn explain(field: String, error: &serde_json::Error) -> BodyError {
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => return not_json(error),
        Category::Data => {}
    }
    let text = Zeroizing::new(error.to_string());
    let named = |kind| Some(text.strip_prefix(kind)?.split('`').next()?.to_owned());
    if text.starts_with("unknown field") {
        return BodyError::UnknownField(looks_like_a_field(&field).then_some(field));
    }
    if let Some(field) = named("missing field `") {
        return BodyError::Missing(field);
    }
    if let Some(field) = named("duplicate field `") {
        return BodyError::Twice(field);
    }
    let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    let expected = expected.split(" at line ").next().unwrap_or_default().to_owned();
    BodyError::Type { field, expected }
}

fn looks_like_a_field(name: &str) -> bool {
    name.len() <= MAX_FIELD_LENGTH && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Text that may be a provider key: wiped when dropped, and never printed.
pub(crate) struct SecretText(pub(crate) Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<SecretText, E> {
                Ok(SecretText(Zeroizing::new(text)))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// What to make of something: `None` leaves it as it is, `Some(None)` takes it away.
pub(crate) type Change<T> = Option<Option<T>>;

/// A field whose `null` takes something away, so that an absent one can mean to leave it.
pub(crate) fn change<'de, D, T>(deserializer: D) -> Result<Change<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// How much room an answer with a secret has: a secret of 4,096 characters, each of them escaped, and what is beside it.
const SECRET_ROOM: usize = 16 * 1024;

/// An answer that holds a secret. Its text is in one buffer only, which is wiped when the answer was sent.
pub(crate) struct SecretJson(Bytes);

impl SecretJson {
    pub(crate) fn new(answer: &impl Serialize) -> Result<Self, serde_json::Error> {
        // Written into room that is there: a buffer that grows leaves copies behind, which nobody wipes.
        let mut text = Zeroizing::new(vec![0; SECRET_ROOM]);
        let mut rest = text.as_mut_slice();
        serde_json::to_writer(&mut rest, answer)?;
        let written = SECRET_ROOM - rest.len();
        text.truncate(written);
        Ok(Self(Bytes::from_owner(text)))
    }
}

impl IntoResponse for SecretJson {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_secret_has_room_and_what_has_none_is_no_answer() {
        for character in ['"', '\\', 'x'] {
            let secret: String = std::iter::repeat_n(character, 4_096).collect();
            let answer = SecretJson::new(&serde_json::json!({"apiKey": secret})).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&answer.0).unwrap();
            assert_eq!(read["apiKey"], secret);
        }
        assert!(SecretJson::new(&"x".repeat(SECRET_ROOM)).is_err());
    }
}
