//! Who a request is. Draws are keyed by this, never by order: the same request gets the same reply in any process, at any
//! concurrency.
//!
//! The *content* is a hash of what was asked; the reply's text depends on it alone. The *identity* is a header if the client sends
//! one, else the content. Latency and faults also depend on attempt and occurrence, so that a load test with a single body still
//! sees 5 % errors at "5 %".

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::random::Key;
use crate::types::compact::compact;
use crate::types::request::{Format, Request, Thinking, ToolChoice};

/// Who one request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Hash of what was asked.
    pub content: u64,
    /// Equal for all attempts of one request.
    pub identity: u64,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// How often this identity and attempt has been seen before.
    pub occurrence: u32,
}

impl Identity {
    /// The key below which everything of the reply's content is drawn.
    pub fn content_key(&self, seed: u64) -> Key {
        Key::of_seed(seed).named("content").with(self.content)
    }

    /// The key below which latency, faults and ids are drawn.
    pub fn event_key(&self, seed: u64) -> Key {
        Key::of_seed(seed).named("event").with(self.identity).with(u64::from(self.attempt)).with(u64::from(self.occurrence))
    }
}

/// Hash of an identity that a client names itself.
pub fn of_header(value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, 1)
}

/// Hash of what a request says, in its own words.
pub fn of_words(words: &[&[u8]]) -> u64 {
    words
        .iter()
        .fold(Chain(0), |mut hash, words| {
            hash.number(xxh3_64_with_seed(words, 2));
            hash
        })
        .0
}

/// Hash of what `request` asks. How it wants the answer (streamed or whole, with counts or without) is not part of it, nor is how its
/// schemas are indented: `curl -d @file` takes out line breaks, and SDKs write JSON their own way.
pub fn content_of(request: &Request) -> u64 {
    let mut hash = Chain(request.operation as u64);
    // The same whichever of its names a client writes.
    hash.text(request.names().min().unwrap_or_default());
    for message in &request.messages {
        hash.number(message.role as u64 | (message.attachments().len() as u64) << 8);
        message.attachments().iter().for_each(|attachment| hash.number(attachment.digest));
        hash.text(&message.text);
        for (name, arguments) in message.tool_calls() {
            hash.text(name);
            hash.text(arguments);
        }
    }
    for tool in &request.tools {
        hash.text(&tool.name);
        hash.json(tool.parameters.as_ref().map_or("", |schema| schema.get()));
    }
    match &request.tool_choice {
        ToolChoice::Auto => {}
        ToolChoice::None => hash.number(1),
        ToolChoice::Required => hash.number(2),
        ToolChoice::Named(name) => hash.text(name),
    }
    match &request.format {
        Format::Text => {}
        Format::JsonObject => hash.number(3),
        Format::JsonSchema { name, schema } => {
            hash.text(name);
            hash.json(schema.get());
        }
    }
    hash.number(u64::from(request.choices) << 32 | u64::from(request.max_output_tokens.unwrap_or(0)));
    request.stop.iter().for_each(|stop| hash.text(stop));
    if request.min_output_tokens > 0 || request.ignores_end {
        hash.number(u64::from(request.min_output_tokens) << 1 | u64::from(request.ignores_end));
    }
    match request.thinking {
        Thinking::Unsaid => {}
        Thinking::Off => hash.number(4),
        Thinking::On(budget) => hash.number(5 + (u64::from(budget.unwrap_or(0)) << 3)),
    }
    hash.0
}

struct Chain(u64);

impl Chain {
    fn text(&mut self, text: &str) {
        self.0 = xxh3_64_with_seed(text.as_bytes(), self.0);
    }

    /// The same for valid JSON, however it is indented.
    fn json(&mut self, json: &str) {
        self.text(&compact(json));
    }

    fn number(&mut self, number: u64) {
        self.0 = Key::of_seed(self.0).with(number).bits();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;

    use super::*;
    use crate::types::request::{Tool, testing};

    #[test]
    fn the_same_question_with_its_schemas_indented_otherwise_is_the_same_content() {
        let asking = |schema: &str| {
            let schema: Arc<RawValue> = RawValue::from_string(schema.to_owned()).expect("it is JSON").into();
            let mut request = testing::request("Hello");
            request.tools = vec![Tool { name: "t".into(), is_free: false, parameters: Some(Arc::clone(&schema)) }];
            request.format = Format::JsonSchema { name: "x".into(), schema };
            content_of(&request)
        };
        let dense = asking(r#"{"type":"object","title":"a b"}"#);
        assert_eq!(dense, asking("{\n  \"type\": \"object\",\n  \"title\": \"a b\"\n}"));
        assert_ne!(dense, asking(r#"{"type":"object","title":"ab"}"#));
    }
}
