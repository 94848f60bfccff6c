//! Generate content: server-sent events, or an array that grows.

use serde_json::{Value, json};

use super::{
    Asked, Heard, Said, Speaker, Wanted, all_alike, code, finishes_once, hear_error, must, nameless_payloads, schema, split, text,
};

/// Generate content; streams of events, or of one array that grows.
pub struct Gemini {
    pub is_array: bool,
}

impl Speaker for Gemini {
    fn name(&self) -> &'static str {
        if self.is_array { "Gemini arrays" } else { "Gemini" }
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
        let method = match (streamed, self.is_array) {
            (false, _) => "generateContent",
            (true, false) => "streamGenerateContent?alt=sse",
            (true, true) => "streamGenerateContent",
        };
        Asked { path: format!("/v1beta/models/{model}:{method}"), headers: vec![("x-goog-api-key", "key")], body }
    }

    fn stream_media(&self) -> &'static str {
        if self.is_array { "application/json; charset=UTF-8" } else { "text/event-stream" }
    }

    fn between(&self) -> &'static [u8] {
        if self.is_array { b",\r\n" } else { b"\r\n\r\n" }
    }

    /// Of an array, its elements; the bracket that closes it is its last event.
    fn events<'a>(&self, stream: &'a [u8], heard: &mut Heard) -> (Vec<&'a [u8]>, &'a [u8]) {
        let (mut events, rest) = split(stream, self.between());
        if !self.is_array {
            return (events, rest);
        }
        let closed = rest.strip_suffix(b"]");
        heard.is_ended = closed.is_some();
        let last = closed.unwrap_or(rest);
        let is_whole = last.ends_with(b"}") || last.is_empty();
        events.extend(Some(last).filter(|last| is_whole && !last.is_empty()));
        if let Some(first) = events.first_mut() {
            *first = first.strip_prefix(b"[").unwrap_or(first);
        }
        (events, if is_whole { b"" } else { last })
    }

    fn payload<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        if self.is_array { event } else { event.strip_prefix(b"data: ").expect("a data line") }
    }

    fn payloads(&self, stream: &[u8]) -> Result<Vec<String>, String> {
        if self.is_array {
            let array: Vec<Value> = serde_json::from_slice(stream).map_err(|error| error.to_string())?;
            return Ok(array.iter().map(Value::to_string).collect());
        }
        nameless_payloads(stream)
    }

    fn last_event(&self) -> Option<&'static str> {
        self.is_array.then_some("]")
    }

    fn event(&self, chunk: &Value, heard: &mut Heard) {
        hear_error(chunk, heard);
        let usage = &chunk["usageMetadata"];
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            hear_candidate(candidate, heard.said(&candidate["index"]));
        }
        if chunk["candidates"][0]["finishReason"].is_string() {
            heard.usage = usage["promptTokenCount"].as_u64().zip(usage["candidatesTokenCount"].as_u64());
        }
        if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
            heard.only().finish = Some(format!("blockReason {reason}"));
            heard.usage = usage["promptTokenCount"].as_u64().zip(Some(0));
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        self.event(reply, heard);
    }

    /// Only the last chunk says why each candidate ended.
    fn order(&self, events: &[Value]) -> Result<(), String> {
        all_alike(events, &["modelVersion", "responseId"])?;
        let (last, chunks) = events.split_last().ok_or("no event")?;
        let finishes = |chunk: &Value| chunk["candidates"].as_array().is_none_or(|all| all.iter().any(is_finish));
        must(!chunks.iter().any(finishes), || format!("a finish before the end: {chunks:?}"))?;
        must(last["candidates"].is_null() || finishes(last), || format!("no finish at the end: {last}"))?;
        finishes_once(events, |chunk| chunk["candidates"].as_array(), is_finish)
    }

    /// In place of an array comes one, too.
    fn refusal_body(&self, body: &[u8]) -> Value {
        let mut body: Value = serde_json::from_slice(body).expect("JSON");
        if self.is_array { body[0].take() } else { body }
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

fn hear_candidate(candidate: &Value, said: &mut Said) {
    if let Some(finish) = candidate["finishReason"].as_str() {
        said.finish = Some(finish.to_owned());
    }
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if part["thought"] == true {
            said.reasoning.push_str(text(&part["text"]));
        } else {
            said.text(&part["text"]);
        }
        if let Some(call) = part.get("functionCall") {
            said.calls.push((text(&call["name"]).to_owned(), call["args"].to_string()));
        }
    }
}

fn is_finish(candidate: &Value) -> bool {
    candidate["finishReason"].is_string()
}
