//! Chat completions.

use crate::answer::{Answer, CREATED, FrameWriter, Quoted, pieces, tokens};
use crate::call::Call;
use crate::prompt::{Prompt, Reply};
use crate::refusal::malformed;
use crate::route::Dialect;

pub(crate) fn chat(call: &Call<'_>) -> Answer {
    let prompt = match Prompt::parse(&call.body.bytes) {
        Ok(prompt) => prompt,
        Err(error) => return malformed(Dialect::OpenAi, call, &error),
    };
    let reply = prompt.reply();
    if prompt.is_streamed() { stream(call, &prompt, &reply) } else { plain(call, &prompt, &reply) }
}

fn plain(call: &Call<'_>, prompt: &Prompt<'_>, reply: &Reply) -> Answer {
    let number = call.number;
    let model = Quoted(prompt.model());
    let (message, finish) = match reply {
        Reply::Text(text) => (format!(r#""content":{}"#, Quoted(text)), "stop"),
        Reply::ToolCall { name } => {
            let name = Quoted(name);
            let call = format!(
                r#"{{"id":"call_mock_{number}","type":"function","function":{{"name":{name},"arguments":"{{}}"}}}}"#
            );
            (format!(r#""content":null,"tool_calls":[{call}]"#), "tool_calls")
        }
    };
    let usage = usage(call, reply);
    Answer::json(format!(
        r#"{{"id":"chatcmpl-mock-{number}","object":"chat.completion","created":{CREATED},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant",{message},"refusal":null}},"logprobs":null,"finish_reason":"{finish}"}}],"usage":{usage},"system_fingerprint":"fp_mock"}}"#
    ))
}

fn stream(call: &Call<'_>, prompt: &Prompt<'_>, reply: &Reply) -> Answer {
    let number = call.number;
    let model = Quoted(prompt.model());
    let head = format!(
        r#"data: {{"id":"chatcmpl-mock-{number}","object":"chat.completion.chunk","created":{CREATED},"model":{model},"system_fingerprint":"fp_mock","#
    );
    let mut frames = FrameWriter::with_capacity(call.pace.chunks as usize + 4);
    let mut push = |delta: std::fmt::Arguments<'_>, finish: &str| {
        frames.push(format_args!(
            "{head}\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        ));
    };
    let finish = match reply {
        Reply::Text(text) => {
            push(format_args!(r#"{{"role":"assistant","content":"","refusal":null}}"#), "null");
            for piece in pieces(text, call.pace.chunks) {
                push(format_args!(r#"{{"content":{}}}"#, Quoted(piece)), "null");
            }
            r#""stop""#
        }
        Reply::ToolCall { name } => {
            let name = Quoted(name);
            push(
                format_args!(
                    r#"{{"role":"assistant","content":null,"tool_calls":[{{"index":0,"id":"call_mock_{number}","type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
                ),
                "null",
            );
            for piece in ["{", "}"] {
                push(format_args!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{piece}"}}}}]}}"#), "null");
            }
            r#""tool_calls""#
        }
    };
    push(format_args!("{{}}"), finish);
    if prompt.wants_usage() {
        frames.push(format_args!("{head}\"choices\":[],\"usage\":{}}}\n\n", usage(call, reply)));
    }
    frames.push(format_args!("data: [DONE]\n\n"));
    Answer::events(frames)
}

fn usage(call: &Call<'_>, reply: &Reply) -> String {
    let prompt = tokens(call.body.length);
    let completion = reply.tokens();
    let total = prompt + completion;
    format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#)
}
