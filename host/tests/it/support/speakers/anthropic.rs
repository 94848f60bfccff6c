//! Messages.

use serde_json::{Value, json};

use super::{Asked, Heard, Speaker, Wanted, code, hear_error, must, named_payloads, schema, text};

/// Messages.
pub struct Anthropic;

impl Speaker for Anthropic {
    fn name(&self) -> &'static str {
        "Anthropic"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let messages = json!([{"role": "user", "content": "Please tell me"}]);
        let mut body = json!({"model": model, "max_tokens": 1000, "stream": streamed, "messages": messages});
        match wanted {
            Wanted::Text => {}
            Wanted::ToolCall => {
                body["tools"] = json!([{"name": "plan_trip", "input_schema": schema()}]);
                body["tool_choice"] = json!({"type": "any"});
            }
            Wanted::Structure => {
                body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema()}});
            }
        }
        Asked { path: "/v1/messages".to_owned(), headers: vec![("anthropic-version", "2026-10-21")], body }
    }

    fn payload<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        let data = memchr::memmem::find(event, b"\ndata: ").expect("a data line");
        assert!(event.starts_with(b"event: "), "every event has a name");
        &event[data + b"\ndata: ".len()..]
    }

    fn payloads(&self, stream: &[u8]) -> Result<Vec<String>, String> {
        named_payloads(stream)
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("message_stop")
    }

    fn event(&self, event: &Value, heard: &mut Heard) {
        match text(&event["type"]) {
            "message_start" => heard.usage = event["message"]["usage"]["input_tokens"].as_u64().map(|input| (input, 0)),
            "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                heard.only().calls.push((text(&event["content_block"]["name"]).to_owned(), String::new()));
            }
            "content_block_delta" => {
                let (delta, said) = (&event["delta"], heard.only());
                said.text(&delta["text"]);
                said.reasoning.push_str(text(&delta["thinking"]));
                said.arguments(&delta["partial_json"]);
            }
            "message_delta" => {
                heard.only().finish = event["delta"]["stop_reason"].as_str().map(str::to_owned);
                if let (Some(usage), Some(output)) = (&mut heard.usage, event["usage"]["output_tokens"].as_u64()) {
                    usage.1 = output;
                }
            }
            "message_stop" => heard.is_ended = true,
            "error" => hear_error(event, heard),
            _ => {}
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        hear_error(reply, heard);
        let said = heard.only();
        said.finish = reply["stop_reason"].as_str().map(str::to_owned);
        for block in reply["content"].as_array().into_iter().flatten() {
            match text(&block["type"]) {
                "text" => said.text(&block["text"]),
                "thinking" => said.reasoning.push_str(text(&block["thinking"])),
                "tool_use" => said.calls.push((text(&block["name"]).to_owned(), block["input"].to_string())),
                _ => {}
            }
        }
        let usage = &reply["usage"];
        heard.usage = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
    }

    /// The message begins, each block begins, grows and ends before the next, why it ended, the end. A ping comes once, in the first block.
    fn order(&self, events: &[Value]) -> Result<(), String> {
        let kinds: Vec<&str> = events.iter().map(|event| text(&event["type"])).collect();
        let ends = ["message_delta", "message_stop"];
        must(kinds.first() == Some(&"message_start") && kinds.ends_with(&ends), || format!("no beginning or end: {kinds:?}"))?;
        let (mut open, mut blocks, mut pings) = (None, 0, 0);
        for event in &events[1..events.len() - 2] {
            let index = event["index"].as_u64();
            let is_in_order = match text(&event["type"]) {
                "content_block_start" => {
                    let is_next = open.is_none() && index == Some(blocks);
                    (open, blocks) = (index, blocks + 1);
                    is_next
                }
                "content_block_delta" => open.is_some() && index == open,
                "content_block_stop" => open.is_some() && index == open.take(),
                "ping" => {
                    pings += 1;
                    open == Some(0) && pings == 1
                }
                _ => false,
            };
            must(is_in_order, || format!("out of order: {event}"))?;
        }
        must(open.is_none(), || format!("a block that does not end: {kinds:?}"))
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["type", "details"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        assert!(body["type"] == "error" && text(&body["request_id"]).starts_with("req_"), "{body}");
        vec![code(&body["error"]["type"]), code(&body["error"]["details"]["error_code"])]
    }
}
