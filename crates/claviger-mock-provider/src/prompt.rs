//! What the mock reads of a prompt, in any of the model APIs: the last words of the user, and how to answer.
//!
//! A prompt may have megabytes, so it is read in one pass that keeps borrowed text and skips everything else.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::answer::tokens;

/// How much of the user's words an answer repeats.
const REPEATED_CHARS: usize = 200;

/// A request for text, in the union of the shapes of `OpenAI`, `Anthropic` and Gemini.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Prompt<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow, alias = "contents", alias = "input")]
    messages: Conversation<'a>,
    pub(crate) stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    tools: Option<Vec<Tool<'a>>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow, rename = "functionDeclarations", alias = "function_declarations")]
    declarations: Option<Vec<Function<'a>>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// What the mock says to a prompt.
pub(crate) enum Reply {
    Text(String),
    /// A call of the first tool that the prompt offers.
    ToolCall {
        name: String,
    },
}

impl Reply {
    pub(crate) fn tokens(&self) -> u64 {
        let (Self::Text(text) | Self::ToolCall { name: text }) = self;
        tokens(text.len() as u64)
    }
}

impl<'a> Prompt<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    pub(crate) fn model(&self) -> &str {
        if self.model.words.is_empty() { "mock-model" } else { &self.model.words }
    }

    pub(crate) fn is_streamed(&self) -> bool {
        self.stream == Some(true)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// The first offered tool is called, except where the prompt brings a tool's result: calling it again would keep
    /// an SDK's tool loop turning for ever.
    pub(crate) fn reply(&self) -> Reply {
        if !self.messages.ends_in_tool_result
            && let Some(name) = self.first_tool()
        {
            return Reply::ToolCall { name: name.to_owned() };
        }
        let words = &self.messages.last_user;
        Reply::Text(match words.char_indices().nth(REPEATED_CHARS) {
            Some((end, _)) => format!("echo: {} (prompt_bytes: {})", &words[..end], words.len()),
            None => format!("echo: {words}"),
        })
    }

    fn first_tool(&self) -> Option<&str> {
        let names = self.tools.iter().flatten().filter_map(|tool| {
            let declared = tool.declarations.iter().flatten().next();
            let function = tool.function.as_ref().or(declared).map_or(&tool.name, |function| &function.name);
            Some(&*function.words).filter(|name| !name.is_empty())
        });
        names.into_iter().next()
    }
}

/// Text as the APIs write it: a string, a part with a text, or a list of parts. Anything else is no text.
#[derive(Default)]
pub(crate) struct Text<'a> {
    pub(crate) words: Cow<'a, str>,
    /// One of the parts is the result of a tool.
    tool_result: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(rename = "functionResponse", alias = "function_response")]
    function_response: Option<IgnoredAny>,
}

impl<'a> From<Part<'a>> for Text<'a> {
    fn from(part: Part<'a>) -> Self {
        let tool_result = part.kind == "tool_result" || part.function_response.is_some();
        Self { words: part.text.words, tool_result }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or its parts")
    }

    fn visit_borrowed_str<E>(self, words: &'de str) -> Result<Self::Value, E> {
        Ok(Text { words: Cow::Borrowed(words), tool_result: false })
    }

    fn visit_str<E>(self, words: &str) -> Result<Self::Value, E> {
        Ok(Text { words: Cow::Owned(words.to_owned()), tool_result: false })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Part::deserialize(MapAccessDeserializer::new(map)).map(Text::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut whole = Text::default();
        while let Some(part) = parts.next_element::<Text<'de>>()? {
            whole.tool_result |= part.tool_result;
            if whole.words.is_empty() {
                whole.words = part.words;
            } else if !part.words.is_empty() {
                whole.words.to_mut().push_str(&part.words);
            }
        }
        Ok(whole)
    }
}

/// The turns of a conversation, of which only the user's last words and the kind of the last turn matter.
#[derive(Default)]
struct Conversation<'a> {
    last_user: Cow<'a, str>,
    ends_in_tool_result: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Turn<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, alias = "parts")]
    content: Text<'a>,
}

impl<'a> Conversation<'a> {
    fn add(&mut self, turn: Turn<'a>) {
        self.ends_in_tool_result =
            turn.role.words == "tool" || turn.kind.words == "function_call_output" || turn.content.tool_result;
        let is_user = turn.role.words == "user" || (turn.role.words.is_empty() && turn.kind.words.is_empty());
        if is_user && !turn.content.words.is_empty() {
            self.last_user = turn.content.words;
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Conversation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConversationVisitor)
    }
}

struct ConversationVisitor;

impl<'de> Visitor<'de> for ConversationVisitor {
    type Value = Conversation<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("messages")
    }

    fn visit_borrowed_str<E>(self, words: &'de str) -> Result<Self::Value, E> {
        Ok(Conversation { last_user: Cow::Borrowed(words), ends_in_tool_result: false })
    }

    fn visit_str<E>(self, words: &str) -> Result<Self::Value, E> {
        Ok(Conversation { last_user: Cow::Owned(words.to_owned()), ends_in_tool_result: false })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Conversation::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut conversation = Conversation::default();
        conversation.add(Turn::deserialize(MapAccessDeserializer::new(map))?);
        Ok(conversation)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut turns: A) -> Result<Self::Value, A::Error> {
        let mut conversation = Conversation::default();
        while let Some(turn) = turns.next_element::<Turn<'de>>()? {
            conversation.add(turn);
        }
        Ok(conversation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> String {
        match Prompt::parse(body.as_bytes()).unwrap().reply() {
            Reply::Text(text) => text,
            Reply::ToolCall { name } => format!("call {name}"),
        }
    }

    #[test]
    fn the_last_user_words_are_found_in_every_shape() {
        let shapes = [
            r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"hi"},{"role":"assistant","content":null}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"h"},{"type":"image","source":{"a":1}},{"type":"text","text":"i"}]}]}"#,
            r#"{"input":"hi"}"#,
            r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#,
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            r#"{"contents":{"role":"user","parts":{"text":"h\u0069"}}}"#,
        ];
        for shape in shapes {
            assert_eq!(reply(shape), "echo: hi", "{shape}");
        }
    }

    #[test]
    fn the_first_tool_of_every_shape_is_called() {
        let shapes = [
            r#"{"tools":[{"type":"function","function":{"name":"look","parameters":{}}},{"name":"b"}]}"#,
            r#"{"tools":[{"type":"web_search"},{"name":"look","input_schema":{}}]}"#,
            r#"{"tools":[{"functionDeclarations":[{"name":"look"},{"name":"b"}]}]}"#,
        ];
        for shape in shapes {
            assert_eq!(reply(shape), "call look", "{shape}");
        }
    }

    #[test]
    fn the_result_of_a_tool_is_answered_in_words() {
        let shapes = [
            r#"{"tools":[{"name":"look"}],"messages":[{"role":"user","content":"hi"},{"role":"tool","content":"1"}]}"#,
            r#"{"tools":[{"name":"look"}],"messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"tool_result","content":"1"}]}]}"#,
            r#"{"tools":[{"name":"look"}],"input":[{"role":"user","content":"hi"},{"type":"function_call_output","output":"1"}]}"#,
            r#"{"tools":[{"name":"look"}],"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"user","parts":[{"functionResponse":{"name":"look"}}]}]}"#,
        ];
        for shape in shapes {
            assert_eq!(reply(shape), "echo: hi", "{shape}");
        }
    }

    #[test]
    fn a_long_prompt_is_told_by_its_length() {
        let body = format!(r#"{{"input":"{}"}}"#, "ä".repeat(300));
        assert_eq!(reply(&body), format!("echo: {} (prompt_bytes: 600)", "ä".repeat(200)));
    }
}
