//! Google's Gemini API.

use std::fmt;

use crate::answer::{Answer, FrameWriter, MODEL, Quoted, pieces, tokens};
use crate::call::Call;
use crate::prompt::{Prompt, Reply};
use crate::refusal::malformed;
use crate::route::Dialect;

/// How the parts of a streamed answer stand: as events, or as the elements of one JSON array.
enum Framing {
    Events,
    Array,
}

pub(crate) fn generate_content(call: &Call<'_>, model: &str, stream: bool) -> Answer {
    let prompt = match Prompt::parse(&call.body.bytes) {
        Ok(prompt) => prompt,
        Err(error) => return malformed(Dialect::Gemini, call, &error),
    };
    let reply = prompt.reply();
    if !stream {
        let part = match &reply {
            Reply::Text(text) => format!(r#"{{"text":{}}}"#, Quoted(text)),
            Reply::ToolCall { name } => function_call(name),
        };
        return Answer::json(response(call, model, &part, Some(&reply)));
    }
    let wants_events = call.head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let framing = if wants_events { Framing::Events } else { Framing::Array };
    let parts: Vec<String> = match &reply {
        Reply::Text(text) => {
            pieces(text, call.pace.chunks).map(|piece| format!(r#"{{"text":{}}}"#, Quoted(piece))).collect()
        }
        Reply::ToolCall { name } => vec![function_call(name)],
    };
    let mut frames = FrameWriter::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        let response = response(call, model, part, is_last.then_some(&reply));
        push(&mut frames, &framing, index == 0, is_last, format_args!("{response}"));
    }
    match framing {
        Framing::Events => Answer::events(frames),
        Framing::Array => Answer { content_type: crate::answer::JSON, ..Answer::events(frames) },
    }
}

fn push(frames: &mut FrameWriter, framing: &Framing, is_first: bool, is_last: bool, response: fmt::Arguments<'_>) {
    match framing {
        Framing::Events => frames.push(format_args!("data: {response}\r\n\r\n")),
        Framing::Array => {
            let before = if is_first { "[" } else { "," };
            let after = if is_last { "]" } else { "\n" };
            frames.push(format_args!("{before}{response}{after}"));
        }
    }
}

fn function_call(name: &str) -> String {
    format!(r#"{{"functionCall":{{"name":{},"args":{{}}}}}}"#, Quoted(name))
}

/// One response; the last of a stream, or the only one, is given the reply, for its usage and the reason of its end.
fn response(call: &Call<'_>, model: &str, part: &str, ended: Option<&Reply>) -> String {
    let number = call.number;
    let model = Quoted(model);
    let prompt = tokens(call.body.length);
    let candidates = ended.map_or(0, Reply::tokens);
    let total = prompt + candidates;
    let finish = if ended.is_some() { r#""finishReason":"STOP","# } else { "" };
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}},{finish}"index":0}}],"usageMetadata":{{"promptTokenCount":{prompt},"candidatesTokenCount":{candidates},"totalTokenCount":{total}}},"modelVersion":{model},"responseId":"mock-{number}"}}"#
    )
}

pub(crate) fn models() -> Answer {
    Answer::json(format!(
        r#"{{"models":[{{"name":"models/{MODEL}","version":"001","displayName":"Mock Model","inputTokenLimit":1048576,"outputTokenLimit":8192,"supportedGenerationMethods":["generateContent","countTokens"]}}]}}"#
    ))
}
