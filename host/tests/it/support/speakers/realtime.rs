//! Responses of a realtime session. A stream is its messages, a line each.

use serde_json::{Value, json};

use super::responses::hear_output;
use super::{Asked, Heard, Speaker, Wanted, hear_error, lines, must, schema, text};

/// Realtime sessions.
pub struct Realtime;

impl Speaker for Realtime {
    fn name(&self) -> &'static str {
        "OpenAI Realtime"
    }

    /// The body is what a client says in its session.
    fn ask(&self, model: &str, wanted: Wanted, _streamed: bool) -> Asked {
        let content = json!([{"type": "input_text", "text": "Please tell me"}]);
        let item = json!({"type": "message", "role": "user", "content": content});
        let mut response = json!({});
        if wanted == Wanted::ToolCall {
            let tools = json!([{"type": "function", "name": "plan_trip", "parameters": schema()}]);
            response = json!({"tools": tools, "tool_choice": "required"});
        }
        let body = json!([
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create", "response": response},
        ]);
        Asked { path: format!("/v1/realtime?model={model}"), headers: Vec::new(), body }
    }

    fn can_ask(&self, wanted: Wanted) -> bool {
        wanted != Wanted::Structure
    }

    /// The kind of its messages.
    fn stream_media(&self) -> &'static str {
        "text"
    }

    fn whole_media(&self) -> &'static str {
        "text"
    }

    fn between(&self) -> &'static [u8] {
        b"\n"
    }

    fn payload<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message
    }

    fn payloads(&self, stream: &[u8]) -> Result<Vec<String>, String> {
        lines(stream)
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("response.done")
    }

    fn event(&self, event: &Value, heard: &mut Heard) {
        let said = heard.only();
        match text(&event["type"]) {
            "response.output_text.delta" => said.text(&event["delta"]),
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                said.calls.push((text(&event["item"]["name"]).to_owned(), String::new()));
            }
            "response.function_call_arguments.delta" => said.arguments(&event["delta"]),
            "response.done" => {
                hear_end(&event["response"], heard);
                heard.is_ended = true;
            }
            "error" => hear_error(event, heard),
            _ => {}
        }
    }

    /// What the last event says.
    fn whole(&self, response: &Value, heard: &mut Heard) {
        hear_output(&response["output"], heard);
        hear_end(response, heard);
    }

    fn order(&self, events: &[Value]) -> Result<(), String> {
        let kinds: Vec<&str> = events.iter().map(|event| text(&event["type"])).collect();
        must(kinds.first() == Some(&"response.created"), || format!("no beginning: {kinds:?}"))?;
        must(kinds.last() == Some(&"response.done"), || format!("no end: {kinds:?}"))?;
        let mut ids: Vec<&str> = events.iter().map(|event| text(&event["event_id"])).collect();
        ids.sort_unstable();
        must(ids.windows(2).all(|pair| pair[0] != pair[1] && !pair[0].is_empty()), || "ids are not their own".to_owned())?;
        let count = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
        let items = events.last().and_then(|last| last["response"]["output"].as_array()).map_or(0, Vec::len);
        for kind in ["response.output_item.added", "response.output_item.done"] {
            must(count(kind) == items, || format!("not {items} times `{kind}`: {kinds:?}"))?;
        }
        Ok(())
    }

    /// The event that tells it, with the error where events of errors have it.
    fn refusal_body(&self, body: &[u8]) -> Value {
        let events = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut events = events.map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
        let mut told: Vec<Value> =
            events.by_ref().filter(|event| ["error", "response.done"].contains(&text(&event["type"]))).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let mut told = told.remove(0);
        if told["type"] == "response.done" {
            assert_eq!((&told["response"]["status"], &told["response"]["output"]), (&json!("failed"), &json!([])));
            told["error"] = told["response"]["status_details"]["error"].take();
        }
        told
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["event", "type", "code", "param"]
    }

    fn refusal_cells(&self, event: &Value) -> Vec<String> {
        let error = ["type", "code", "param"].iter().map(|key| super::code(&event["error"][*key]));
        std::iter::once(super::code(&event["type"])).chain(error).collect()
    }
}

fn hear_end(response: &Value, heard: &mut Heard) {
    let usage = &response["usage"];
    heard.usage = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
    let details = &response["status_details"];
    let finish = if details["reason"].is_string() { &details["reason"] } else { &response["status"] };
    heard.only().finish = finish.as_str().map(str::to_owned);
}
