//! Completions of raw text.

use serde_json::{Value, json};

use super::openai::{chunks_in_order, hear_usage};
use super::{Asked, Heard, OpenAi, Speaker, Wanted, hear_error};

/// Completions.
pub struct Completions;

impl Speaker for Completions {
    fn name(&self) -> &'static str {
        "OpenAI completions"
    }

    /// Ten tokens of prompt: there is no conversation whose marks would count.
    fn ask(&self, model: &str, _wanted: Wanted, streamed: bool) -> Asked {
        let mut body = json!({"model": model, "prompt": "Please tell me of one or two or three cats", "max_tokens": 100});
        if streamed {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        Asked { path: "/v1/completions".to_owned(), headers: Vec::new(), body }
    }

    fn can_ask(&self, wanted: Wanted) -> bool {
        wanted == Wanted::Text
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("[DONE]")
    }

    fn event(&self, chunk: &Value, heard: &mut Heard) {
        hear_error(chunk, heard);
        hear_usage(chunk, heard);
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let said = heard.said(&choice["index"]);
            said.text(&choice["text"]);
            if let Some(finish) = choice["finish_reason"].as_str() {
                said.finish = Some(finish.to_owned());
            }
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        self.event(reply, heard);
    }

    fn order(&self, events: &[Value]) -> Result<(), String> {
        chunks_in_order(events, false)
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        OpenAi.refusal_columns()
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        OpenAi.refusal_cells(body)
    }
}
