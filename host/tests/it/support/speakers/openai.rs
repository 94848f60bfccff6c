//! Chat completions, and what OpenAI's endpoints have in common.

use serde_json::{Value, json};

use super::{Asked, Heard, Said, Speaker, Wanted, all_alike, code, finishes_once, hear_error, must, schema, text};

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
        hear_usage(chunk, heard);
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let said = heard.said(&choice["index"]);
            let delta = &choice["delta"];
            said.text(&delta["content"]);
            hear_message(delta, said);
            if let Some(finish) = choice["finish_reason"].as_str() {
                said.finish = Some(finish.to_owned());
            }
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        hear_error(reply, heard);
        hear_usage(reply, heard);
        for choice in reply["choices"].as_array().into_iter().flatten() {
            let said = heard.said(&choice["index"]);
            said.text(&choice["message"]["content"]);
            hear_message(&choice["message"], said);
            said.finish = choice["finish_reason"].as_str().map(str::to_owned);
        }
    }

    fn order(&self, events: &[Value]) -> Result<(), String> {
        chunks_in_order(events, true)
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

/// What a delta and a message have in common: thoughts, a refusal, calls.
fn hear_message(message: &Value, said: &mut Said) {
    said.reasoning.push_str(text(&message["reasoning_content"]));
    said.refusal.push_str(text(&message["refusal"]));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        if let Some(name) = function["name"].as_str() {
            said.calls.push((name.to_owned(), String::new()));
        }
        said.arguments(&function["arguments"]);
    }
}

pub(super) fn hear_usage(value: &Value, heard: &mut Heard) {
    let usage = &value["usage"];
    if let (Some(input), Some(output)) = (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()) {
        heard.usage.get_or_insert((input, output));
    }
}

/// Are these the chunks of one reply, in which every choice ends once, counts come after all of them, and the first chunk of a choice,
/// and no other, has the role, if there are roles?
pub(super) fn chunks_in_order(events: &[Value], has_roles: bool) -> Result<(), String> {
    all_alike(events, &["id", "object", "created", "model", "system_fingerprint"])?;
    finishes_once(events, |chunk| chunk["choices"].as_array(), |choice| choice["finish_reason"].is_string())?;
    let (last, chunks) = events.split_last().ok_or("no event")?;
    must(last["choices"] == json!([]) && last["usage"].is_object(), || format!("no counts at the end: {last}"))?;
    let mut begun = Vec::new();
    for chunk in chunks {
        must(chunk["usage"].is_null() && chunk.get("usage").is_some(), || format!("counts before the end: {chunk}"))?;
        let choices = chunk["choices"].as_array().filter(|choices| choices.len() == 1).ok_or("a chunk of one choice")?;
        let index = &choices[0]["index"];
        let is_first = !begun.contains(index);
        if is_first {
            begun.push(index.clone());
        }
        let has_role = choices[0]["delta"].get("role").is_some();
        must(has_role == (is_first && has_roles), || format!("a role where none belongs, or none where one does: {chunk}"))?;
    }
    Ok(())
}
