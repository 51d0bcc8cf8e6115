//! Responses: an answer as a list of typed items, streamed as typed events.

use serde_json::{Value, json};

use crate::answer::{Answer, CREATED, FrameWriter, pieces, tokens};
use crate::call::Call;
use crate::prompt::{Prompt, Reply};
use crate::refusal::malformed;
use crate::route::Dialect;

pub(crate) fn responses(call: &Call<'_>) -> Answer {
    let prompt = match Prompt::parse(&call.body.bytes) {
        Ok(prompt) => prompt,
        Err(error) => return malformed(Dialect::OpenAi, call, &error),
    };
    let reply = prompt.reply();
    if prompt.is_streamed() {
        stream(call, &prompt, &reply)
    } else {
        let text = match &reply {
            Reply::Text(text) => text,
            Reply::ToolCall { .. } => "",
        };
        let item = item(call, &reply, text, "completed");
        Answer::json(response(call, &prompt, "completed", json!([item]), usage(call, &reply)).to_string())
    }
}

fn response(call: &Call<'_>, prompt: &Prompt<'_>, status: &str, output: Value, usage: Value) -> Value {
    let mut response = json!({
        "id": format!("resp_mock_{}", call.number),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": prompt.model(),
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": null,
    });
    response["output"] = output;
    response["usage"] = usage;
    response
}

/// The one output item; `text` is what it holds so far, for an event in the middle of a stream.
fn item(call: &Call<'_>, reply: &Reply, text: &str, status: &str) -> Value {
    let number = call.number;
    match reply {
        Reply::Text(_) => {
            let content = if status == "in_progress" { json!([]) } else { json!([part(text)]) };
            json!({
                "id": format!("msg_mock_{number}"),
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": content,
            })
        }
        Reply::ToolCall { name } => json!({
            "id": format!("fc_mock_{number}"),
            "type": "function_call",
            "call_id": format!("call_mock_{number}"),
            "name": name,
            "arguments": if status == "in_progress" { "" } else { "{}" },
            "status": status,
        }),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(call: &Call<'_>, reply: &Reply) -> Value {
    let input = tokens(call.body.length);
    let output = reply.tokens();
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + output,
    })
}

/// Numbers the events, as the SDKs expect.
struct Events {
    frames: FrameWriter,
    next: u64,
}

impl Events {
    fn push(&mut self, kind: &str, mut event: Value) {
        event["type"] = kind.into();
        event["sequence_number"] = self.next.into();
        self.next += 1;
        self.frames.push(format_args!("event: {kind}\ndata: {event}\n\n"));
    }
}

fn stream(call: &Call<'_>, prompt: &Prompt<'_>, reply: &Reply) -> Answer {
    let mut events = Events { frames: FrameWriter::with_capacity(call.pace.chunks as usize + 8), next: 0 };
    let started = || response(call, prompt, "in_progress", json!([]), Value::Null);
    events.push("response.created", json!({"response": started()}));
    events.push("response.in_progress", json!({"response": started()}));
    let added = item(call, reply, "", "in_progress");
    let item_id = added["id"].clone();
    events.push("response.output_item.added", json!({"output_index": 0, "item": added}));
    let text = match reply {
        Reply::Text(text) => push_text(&mut events, call, &item_id, text),
        Reply::ToolCall { name } => {
            push_arguments(&mut events, &item_id, name);
            String::new()
        }
    };
    let done = item(call, reply, &text, "completed");
    events.push("response.output_item.done", json!({"output_index": 0, "item": done}));
    let completed = response(call, prompt, "completed", json!([done]), usage(call, reply));
    events.push("response.completed", json!({"response": completed}));
    Answer::events(events.frames)
}

/// Returns the text that was streamed, which is longer than the reply if that had too few letters for all chunks.
fn push_text(events: &mut Events, call: &Call<'_>, item_id: &Value, text: &str) -> String {
    let place = |mut event: Value| {
        event["item_id"] = item_id.clone();
        event["output_index"] = 0.into();
        event["content_index"] = 0.into();
        event
    };
    events.push("response.content_part.added", place(json!({"part": part("")})));
    let mut streamed = String::with_capacity(text.len());
    for piece in pieces(text, call.pace.chunks) {
        streamed.push_str(piece);
        events.push("response.output_text.delta", place(json!({"delta": piece, "logprobs": []})));
    }
    events.push("response.output_text.done", place(json!({"text": streamed, "logprobs": []})));
    events.push("response.content_part.done", place(json!({"part": part(&streamed)})));
    streamed
}

fn push_arguments(events: &mut Events, item_id: &Value, name: &str) {
    for piece in ["{", "}"] {
        let delta = json!({"item_id": item_id, "output_index": 0, "delta": piece});
        events.push("response.function_call_arguments.delta", delta);
    }
    let done = json!({"item_id": item_id, "output_index": 0, "name": name, "arguments": "{}"});
    events.push("response.function_call_arguments.done", done);
}
