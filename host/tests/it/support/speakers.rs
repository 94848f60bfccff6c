//! Vendors as their clients see them: how one asks, and what one reads out of what comes. Written without the server's own code.

use serde_json::{Value, json};

/// What a request asks for, so that a fault has something to strike.
#[derive(Clone, Copy, PartialEq)]
pub enum Wanted {
    Text,
    ToolCall,
    Structure,
}

/// The schema of the JSON or of the tool's arguments that is asked for.
pub fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["city", "days"],
        "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    })
}

/// What is put together from an answer, in one piece or as a stream.
#[derive(Default)]
pub struct Heard {
    /// Texts, a piece for each event.
    pub texts: Vec<String>,
    pub refusal: String,
    /// The arguments of a tool.
    pub arguments: String,
    pub finish: Option<String>,
    /// Tokens of prompt and reply.
    pub usage: Option<(u64, u64)>,
    /// The message of an error that came instead, or in the middle.
    pub error: Option<String>,
    /// Did the event come that is the last one?
    pub is_ended: bool,
}

/// A request as it goes over the wire.
pub struct Asked {
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Value,
}

/// One vendor, from outside.
pub trait Speaker {
    /// The heading of its part of the table.
    fn name(&self) -> &'static str;

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked;

    /// The content type of a stream.
    fn stream_media(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// What comes between two events.
    fn between(&self) -> &'static [u8] {
        b"\n\n"
    }

    /// The payload of an event without its frame.
    fn payload<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        event.strip_prefix(b"data: ").expect("a data line")
    }

    /// The event without which a stream has not come to its end, if there is one.
    fn last_event(&self) -> Option<&'static str>;

    /// Reads one event's payload.
    fn event(&self, payload: &Value, heard: &mut Heard);

    /// Reads a reply in one piece; its text is one piece, too.
    fn whole(&self, reply: &Value, heard: &mut Heard);

    /// The headings of what a refusal's body says besides its message.
    fn refusal_columns(&self) -> &'static [&'static str];

    /// What a refusal's body says under these headings.
    fn refusal_cells(&self, body: &Value) -> Vec<String>;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `word` as code, or a dash if there is none.
fn code(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(word) => format!("`{word}`"),
        other => format!("`{other}`"),
    }
}

fn hear_error(value: &Value, heard: &mut Heard) {
    if let Some(message) = value["error"]["message"].as_str() {
        heard.error = Some(message.to_owned());
    }
}

/// Chat completions.
pub struct OpenAi;

impl Speaker for OpenAi {
    fn name(&self) -> &'static str {
        "OpenAI"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Please tell me"}]});
        if streamed {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        match wanted {
            Wanted::Text => {}
            Wanted::ToolCall => {
                body["tools"] = json!([{"type": "function", "function": {"name": "plan_trip", "parameters": schema()}}]);
                body["tool_choice"] = "required".into();
            }
            Wanted::Structure => {
                let format = json!({"name": "trip", "schema": schema()});
                body["response_format"] = json!({"type": "json_schema", "json_schema": format});
            }
        }
        Asked { path: "/v1/chat/completions".to_owned(), headers: Vec::new(), body }
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("[DONE]")
    }

    fn event(&self, chunk: &Value, heard: &mut Heard) {
        hear_error(chunk, heard);
        hear_openai_usage(chunk, heard);
        let choice = &chunk["choices"][0];
        if let Some(finish) = choice["finish_reason"].as_str() {
            heard.finish = Some(finish.to_owned());
        }
        let delta = &choice["delta"];
        if let Some(text) = delta["content"].as_str().filter(|_| delta.get("role").is_none()) {
            heard.texts.push(text.to_owned());
        }
        heard.refusal.push_str(text(&delta["refusal"]));
        heard.arguments.push_str(text(&delta["tool_calls"][0]["function"]["arguments"]));
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        hear_error(reply, heard);
        hear_openai_usage(reply, heard);
        let (choice, message) = (&reply["choices"][0], &reply["choices"][0]["message"]);
        heard.finish = choice["finish_reason"].as_str().map(str::to_owned);
        heard.texts.extend(message["content"].as_str().map(str::to_owned));
        heard.refusal.push_str(text(&message["refusal"]));
        heard.arguments.push_str(text(&message["tool_calls"][0]["function"]["arguments"]));
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["type", "code", "param"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        let error = body["error"].as_object().expect("an error");
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
        ["type", "code", "param"].iter().map(|key| code(&error[*key])).collect()
    }
}

fn hear_openai_usage(value: &Value, heard: &mut Heard) {
    let usage = &value["usage"];
    if let (Some(input), Some(output)) = (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()) {
        heard.usage.get_or_insert((input, output));
    }
}

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

    fn last_event(&self) -> Option<&'static str> {
        Some("message_stop")
    }

    fn event(&self, event: &Value, heard: &mut Heard) {
        match text(&event["type"]) {
            "message_start" => heard.usage = event["message"]["usage"]["input_tokens"].as_u64().map(|input| (input, 0)),
            "content_block_delta" => {
                let delta = &event["delta"];
                heard.texts.extend(delta["text"].as_str().map(str::to_owned));
                heard.arguments.push_str(text(&delta["partial_json"]));
            }
            "message_delta" => {
                heard.finish = event["delta"]["stop_reason"].as_str().map(str::to_owned);
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
        heard.finish = reply["stop_reason"].as_str().map(str::to_owned);
        let usage = &reply["usage"];
        heard.usage = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
        for block in reply["content"].as_array().into_iter().flatten() {
            match text(&block["type"]) {
                "text" => heard.texts.push(text(&block["text"]).to_owned()),
                "tool_use" => heard.arguments = block["input"].to_string(),
                _ => {}
            }
        }
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["type", "details"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        assert!(body["type"] == "error" && text(&body["request_id"]).starts_with("req_"), "{body}");
        vec![code(&body["error"]["type"]), code(&body["error"]["details"]["error_code"])]
    }
}

/// Generate content.
pub struct Gemini;

impl Speaker for Gemini {
    fn name(&self) -> &'static str {
        "Gemini"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "Please tell me"}]}]});
        match wanted {
            Wanted::Text => {}
            Wanted::ToolCall => {
                let declared = json!([{"name": "plan_trip", "parametersJsonSchema": schema()}]);
                body["tools"] = json!([{"functionDeclarations": declared}]);
                body["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY"}});
            }
            Wanted::Structure => {
                body["generationConfig"] = json!({"responseMimeType": "application/json", "responseJsonSchema": schema()});
            }
        }
        let method = if streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
        Asked { path: format!("/v1beta/models/{model}:{method}"), headers: vec![("x-goog-api-key", "key")], body }
    }

    fn stream_media(&self) -> &'static str {
        "text/event-stream"
    }

    fn between(&self) -> &'static [u8] {
        b"\r\n\r\n"
    }

    fn last_event(&self) -> Option<&'static str> {
        None
    }

    fn event(&self, chunk: &Value, heard: &mut Heard) {
        hear_error(chunk, heard);
        let usage = &chunk["usageMetadata"];
        let candidate = &chunk["candidates"][0];
        if let Some(finish) = candidate["finishReason"].as_str() {
            heard.finish = Some(finish.to_owned());
            heard.usage = usage["promptTokenCount"].as_u64().zip(usage["candidatesTokenCount"].as_u64());
        }
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            heard.texts.extend(part["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
            if let Some(call) = part.get("functionCall") {
                heard.arguments = call["args"].to_string();
            }
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        self.event(reply, heard);
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["name", "details"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        let details = &body["error"]["details"][0];
        let detail = ["retryDelay", "reason", "fieldViolations"].iter().find_map(|key| details.get(*key)).unwrap_or(&Value::Null);
        vec![code(&body["error"]["status"]), code(detail)]
    }
}
