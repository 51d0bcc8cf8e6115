//! Embeddings: vectors that depend on the text, so that equal texts have equal vectors.

use std::borrow::Cow;
use std::fmt::Write;

use data_encoding::BASE64;
use serde::Deserialize;

use crate::answer::{Answer, Quoted, tokens};
use crate::call::Call;
use crate::refusal::malformed;
use crate::route::Dialect;

const DEFAULT_DIMENSIONS: u16 = 8;
const MAX_DIMENSIONS: u16 = 4096;

#[derive(Deserialize)]
struct EmbeddingRequest<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    input: Input<'a>,
    #[serde(borrow, default)]
    encoding_format: Cow<'a, str>,
    dimensions: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

impl Input<'_> {
    /// One number for each input, by which its vector is made.
    fn seeds(&self) -> Vec<u64> {
        let of_tokens = |tokens: &Vec<u32>| seed(tokens.iter().flat_map(|token| token.to_le_bytes()));
        match self {
            Self::Text(text) => vec![seed(text.bytes())],
            Self::Texts(texts) => texts.iter().map(|text| seed(text.bytes())).collect(),
            Self::Tokens(tokens) => vec![of_tokens(tokens)],
            Self::TokenLists(lists) => lists.iter().map(of_tokens).collect(),
        }
    }
}

/// FNV-1a: the same in every build, unlike the standard hasher.
fn seed(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Values between 0 and 1 that a float holds exactly, so that both encodings give the same vector.
fn vector(seed: u64, dimensions: u16) -> impl Iterator<Item = f32> {
    (0..u32::from(dimensions)).map(move |at| {
        let [byte, ..] = seed.rotate_left(at * 7).to_le_bytes();
        f32::from(byte) / 256.0
    })
}

pub(crate) fn embeddings(call: &Call<'_>) -> Answer {
    let request: EmbeddingRequest<'_> = match serde_json::from_slice(&call.body.bytes) {
        Ok(request) => request,
        Err(error) => return malformed(Dialect::OpenAi, call, &error),
    };
    let dimensions = request.dimensions.unwrap_or(DEFAULT_DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    let mut data = String::new();
    for (index, seed) in request.input.seeds().into_iter().enumerate() {
        let embedding = if request.encoding_format == "base64" {
            let bytes: Vec<u8> = vector(seed, dimensions).flat_map(f32::to_le_bytes).collect();
            format!("\"{}\"", BASE64.encode(&bytes))
        } else {
            let values: Vec<_> = vector(seed, dimensions).map(|value| value.to_string()).collect();
            format!("[{}]", values.join(","))
        };
        let comma = if index == 0 { "" } else { "," };
        write!(data, r#"{comma}{{"object":"embedding","index":{index},"embedding":{embedding}}}"#)
            .expect("a string takes any text");
    }
    let model = Quoted(&request.model);
    let tokens = tokens(call.body.length);
    Answer::json(format!(
        r#"{{"object":"list","data":[{data}],"model":{model},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#
    ))
}
