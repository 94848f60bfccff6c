//! Ollama's lines: chat, and generate.

use serde_json::{Value, json};

use super::{Asked, Heard, Speaker, Wanted, lines, must, schema, text};

/// Chat, or generate.
pub struct Ollama {
    pub is_generate: bool,
}

impl Speaker for Ollama {
    fn name(&self) -> &'static str {
        "Ollama"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let mut body = json!({"model": model, "stream": streamed});
        if self.is_generate {
            body["prompt"] = "Please tell me".into();
        } else {
            body["messages"] = json!([{"role": "user", "content": "Please tell me"}]);
        }
        match wanted {
            Wanted::Text => {}
            Wanted::ToolCall => {
                body["tools"] = json!([{"type": "function", "function": {"name": "plan_trip", "parameters": schema()}}]);
            }
            Wanted::Structure => body["format"] = schema(),
        }
        let path = if self.is_generate { "/api/generate" } else { "/api/chat" };
        Asked { path: path.to_owned(), headers: Vec::new(), body }
    }

    fn can_ask(&self, wanted: Wanted) -> bool {
        !(self.is_generate && wanted == Wanted::ToolCall)
    }

    fn stream_media(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole_media(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn between(&self) -> &'static [u8] {
        b"\n"
    }

    fn payload<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line
    }

    fn payloads(&self, stream: &[u8]) -> Result<Vec<String>, String> {
        lines(stream)
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("done")
    }

    fn event(&self, line: &Value, heard: &mut Heard) {
        if let Some(message) = line["error"].as_str() {
            heard.error = Some(message.to_owned());
        }
        let (message, said) = (&line["message"], heard.only());
        said.text(&message["content"]);
        // Generate has no message.
        said.text(&line["response"]);
        for thoughts in [&message["thinking"], &line["thinking"]] {
            said.reasoning.push_str(text(thoughts));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            said.calls.push((text(&call["function"]["name"]).to_owned(), call["function"]["arguments"].to_string()));
        }
        if line["done"] == true {
            said.finish = line["done_reason"].as_str().map(str::to_owned);
            heard.usage = line["prompt_eval_count"].as_u64().zip(line["eval_count"].as_u64());
            heard.is_ended = true;
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        self.event(reply, heard);
    }

    fn order(&self, events: &[Value]) -> Result<(), String> {
        let (last, others) = events.split_last().ok_or("no line")?;
        let is_done = |line: &Value| line["done"] == true && line["done_reason"].is_string();
        must(is_done(last), || format!("the last line is not done: {last}"))?;
        must(others.iter().all(|line| line["done"] == false), || "a line is done that is not the last".to_owned())?;
        must(events.is_sorted_by_key(|line| text(&line["created_at"]).to_owned()), || "time goes back".to_owned())
    }

    fn message<'a>(&self, body: &'a Value) -> Option<&'a str> {
        body["error"].as_str()
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        assert_eq!(body.as_object().map(|body| body.len()), Some(1), "{body}");
        Vec::new()
    }
}
