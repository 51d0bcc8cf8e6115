//! `Anthropic`'s API.

use crate::answer::{Answer, CREATED_AT, FrameWriter, MODEL, Quoted, pieces, tokens};
use crate::call::Call;
use crate::prompt::{Prompt, Reply};
use crate::refusal::malformed;
use crate::route::Dialect;

pub(crate) fn messages(call: &Call<'_>) -> Answer {
    let prompt = match Prompt::parse(&call.body.bytes) {
        Ok(prompt) => prompt,
        Err(error) => return malformed(Dialect::Anthropic, call, &error),
    };
    let reply = prompt.reply();
    if prompt.is_streamed() {
        return stream(call, &prompt, &reply);
    }
    let block = match &reply {
        Reply::Text(text) => format!(r#"{{"type":"text","text":{},"citations":null}}"#, Quoted(text)),
        Reply::ToolCall { name } => tool_use(call, name),
    };
    let stop = format!(r#""{}""#, stop_reason(&reply));
    Answer::json(message(call, &prompt, &block, &stop, reply.tokens()))
}

fn message(call: &Call<'_>, prompt: &Prompt<'_>, content: &str, stop_reason: &str, output_tokens: u64) -> String {
    let number = call.number;
    let model = Quoted(prompt.model());
    let input_tokens = tokens(call.body.length);
    format!(
        r#"{{"id":"msg_mock_{number}","type":"message","role":"assistant","model":{model},"content":[{content}],"stop_reason":{stop_reason},"stop_sequence":null,"usage":{{"input_tokens":{input_tokens},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":{output_tokens},"service_tier":"standard"}}}}"#
    )
}

fn tool_use(call: &Call<'_>, name: &str) -> String {
    format!(r#"{{"type":"tool_use","id":"toolu_mock_{}","name":{},"input":{{}}}}"#, call.number, Quoted(name))
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply {
        Reply::Text(_) => "end_turn",
        Reply::ToolCall { .. } => "tool_use",
    }
}

fn stream(call: &Call<'_>, prompt: &Prompt<'_>, reply: &Reply) -> Answer {
    let mut frames = FrameWriter::with_capacity(call.pace.chunks as usize + 6);
    let started = message(call, prompt, "", "null", 1);
    frames.push(format_args!("event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{started}}}\n\n"));
    let block = match reply {
        Reply::Text(_) => r#"{"type":"text","text":""}"#.to_owned(),
        Reply::ToolCall { name } => tool_use(call, name),
    };
    frames.push(format_args!(
        "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{block}}}\n\n"
    ));
    let mut delta = |kind: &str, field: &str, piece: &str| {
        let piece = Quoted(piece);
        frames.push(format_args!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"{kind}\",\"{field}\":{piece}}}}}\n\n"
        ));
    };
    match reply {
        Reply::Text(text) => {
            for piece in pieces(text, call.pace.chunks) {
                delta("text_delta", "text", piece);
            }
        }
        Reply::ToolCall { .. } => {
            for piece in ["{", "}"] {
                delta("input_json_delta", "partial_json", piece);
            }
        }
    }
    frames.push(format_args!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n"));
    let (stop, output) = (stop_reason(reply), reply.tokens());
    frames.push(format_args!(
        "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{stop}\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{output}}}}}\n\n"
    ));
    frames.push(format_args!("event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"));
    Answer::events(frames)
}

pub(crate) fn count_tokens(call: &Call<'_>) -> Answer {
    match Prompt::parse(&call.body.bytes) {
        Ok(_) => Answer::json(format!(r#"{{"input_tokens":{}}}"#, tokens(call.body.length))),
        Err(error) => malformed(Dialect::Anthropic, call, &error),
    }
}

pub(crate) fn models() -> Answer {
    Answer::json(format!(
        r#"{{"data":[{{"type":"model","id":"{MODEL}","display_name":"Mock Model","created_at":"{CREATED_AT}"}}],"has_more":false,"first_id":"{MODEL}","last_id":"{MODEL}"}}"#
    ))
}
