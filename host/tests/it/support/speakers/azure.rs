//! Azure's form of chat completions.

use serde_json::{Value, json};

use super::openai::chunks_in_order;
use super::{Asked, Heard, OpenAi, Speaker, Wanted, code, must};

/// Chat completions of a deployment.
pub struct Azure;

impl Speaker for Azure {
    fn name(&self) -> &'static str {
        "Azure OpenAI"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let body = OpenAi.ask(model, wanted, streamed).body;
        let path = format!("/openai/deployments/{model}/chat/completions?api-version=2024-10-21");
        Asked { path, headers: vec![("api-key", "key")], body }
    }

    fn last_event(&self) -> Option<&'static str> {
        OpenAi.last_event()
    }

    fn event(&self, chunk: &Value, heard: &mut Heard) {
        OpenAi.event(chunk, heard);
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        OpenAi.whole(reply, heard);
    }

    /// The first chunk has what filters found in the prompt, and nothing of a reply.
    fn order(&self, events: &[Value]) -> Result<(), String> {
        let (first, chunks) = events.split_first().ok_or("no event")?;
        let is_empty = first["id"] == "" && first["choices"] == json!([]) && first["prompt_filter_results"].is_array();
        must(is_empty, || format!("it does not begin with what filters found: {first}"))?;
        chunks_in_order(chunks, true)?;
        let mut choices = chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
        must(choices.all(|choice| choice["content_filter_results"].is_object()), || "a choice without filters".to_owned())
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["code", "type", "param"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        let error = body["error"].as_object().expect("an error");
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert!(keys == ["code", "message"] || keys == ["message", "type", "param", "code"], "{keys:?}");
        ["code", "type", "param"].iter().map(|key| code(&body["error"][*key])).collect()
    }
}
