//! Responses.

use serde_json::{Value, json};

use super::{Asked, Heard, OpenAi, Speaker, Wanted, hear_error, must, named_payloads, schema, text};

/// Responses.
pub struct Responses;

impl Speaker for Responses {
    fn name(&self) -> &'static str {
        "OpenAI Responses"
    }

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked {
        let mut body = json!({"model": model, "input": "Please tell me", "stream": streamed});
        match wanted {
            Wanted::Text => {}
            Wanted::ToolCall => {
                body["tools"] = json!([{"type": "function", "name": "plan_trip", "parameters": schema(), "strict": false}]);
                body["tool_choice"] = "required".into();
            }
            Wanted::Structure => {
                body["text"] = json!({"format": {"type": "json_schema", "name": "trip", "schema": schema()}});
            }
        }
        Asked { path: "/v1/responses".to_owned(), headers: Vec::new(), body }
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
        Some("response.completed")
    }

    fn event(&self, event: &Value, heard: &mut Heard) {
        let said = heard.only();
        match text(&event["type"]) {
            "response.output_text.delta" => said.text(&event["delta"]),
            "response.refusal.delta" => said.refusal.push_str(text(&event["delta"])),
            "response.reasoning_summary_text.delta" => said.reasoning.push_str(text(&event["delta"])),
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                said.calls.push((text(&event["item"]["name"]).to_owned(), String::new()));
            }
            "response.function_call_arguments.delta" => said.arguments(&event["delta"]),
            "response.completed" | "response.incomplete" | "response.failed" => {
                hear_end(&event["response"], heard);
                heard.is_ended = true;
            }
            "error" => hear_error(event, heard),
            _ => {}
        }
    }

    fn whole(&self, reply: &Value, heard: &mut Heard) {
        hear_error(reply, heard);
        hear_output(&reply["output"], heard);
        hear_end(reply, heard);
    }

    /// Events are numbered. Items and parts begin, grow and end before the next does, and what is said at an end is what grew; the last
    /// event has all of it.
    fn order(&self, events: &[Value]) -> Result<(), String> {
        let numbered = (0..).zip(events).all(|(number, event)| event["sequence_number"] == number);
        must(numbered, || "events are not numbered from 0 on".to_owned())?;
        let kinds: Vec<&str> = events.iter().map(|event| text(&event["type"])).collect();
        must(kinds.starts_with(&["response.created", "response.in_progress"]), || format!("no beginning: {kinds:?}"))?;
        let last = events.last().ok_or("no event")?;
        let status = text(&last["response"]["status"]);
        must(kinds.last().copied() == Some(&*format!("response.{status}")), || format!("no end: {last}"))?;
        let (mut growing, mut items) = (Growing::default(), Vec::new());
        for event in &events[2..events.len() - 1] {
            growing.take(event, &mut items).map_err(|what| format!("{what}: {event}"))?;
        }
        must(growing.is_over(), || format!("something does not end: {kinds:?}"))?;
        must(last["response"]["output"] == json!(items), || format!("the end has not what was said: {last}"))
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        OpenAi.refusal_columns()
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        OpenAi.refusal_cells(body)
    }
}

fn hear_end(response: &Value, heard: &mut Heard) {
    let usage = &response["usage"];
    heard.usage = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
    let reason = &response["incomplete_details"]["reason"];
    let finish = if reason.is_string() { reason } else { &response["status"] };
    heard.only().finish = finish.as_str().map(str::to_owned);
}

/// Reads the items of a response.
pub(super) fn hear_output(output: &Value, heard: &mut Heard) {
    let said = heard.only();
    for item in output.as_array().into_iter().flatten() {
        match text(&item["type"]) {
            "function_call" => said.calls.push((text(&item["name"]).to_owned(), text(&item["arguments"]).to_owned())),
            "reasoning" => said.reasoning.push_str(text(&item["summary"][0]["text"])),
            _ => {
                for part in item["content"].as_array().into_iter().flatten() {
                    said.text(&part["text"]);
                    said.refusal.push_str(text(&part["refusal"]));
                }
            }
        }
    }
}

/// What is open in a stream.
#[derive(Default)]
struct Growing {
    /// The id of the open item.
    item: Option<Value>,
    /// The index of its open part.
    part: Option<Value>,
    /// What has grown of it, once something can.
    text: Option<String>,
    /// What it said at its end.
    said: Option<String>,
}

impl Growing {
    fn is_over(&self) -> bool {
        self.item.is_none() && self.part.is_none() && self.text.is_none()
    }

    /// Takes one event between beginning and end; `items` are those that are complete.
    fn take(&mut self, event: &Value, items: &mut Vec<Value>) -> Result<(), String> {
        let kind = text(&event["type"]).strip_prefix("response.").ok_or("an event that is none of a response's")?;
        must(event["output_index"] == items.len(), || "not of the open item".to_owned())?;
        match kind {
            "output_item.added" => {
                must(self.is_over() && event["item"]["status"] != "completed", || "before the end of another".to_owned())?;
                self.item = Some(event["item"]["id"].clone());
                // A call has no parts.
                self.text = (event["item"]["type"] == "function_call").then(String::new);
                return Ok(());
            }
            "output_item.done" => {
                must(self.part.is_none() && self.text.take().is_none(), || "inside a part".to_owned())?;
                must(self.item.take().as_ref() == Some(&event["item"]["id"]), || "not the open item".to_owned())?;
                let item = &event["item"];
                let ends = [&item["arguments"], &item["content"], &item["summary"]].into_iter().any(|said| !said.is_null());
                items.push(item.clone());
                return must(ends, || "it says nothing".to_owned());
            }
            _ => must(self.item.as_ref() == Some(&event["item_id"]), || "not the open item".to_owned())?,
        }
        let index = ["content_index", "summary_index"].iter().find_map(|key| event.get(*key));
        match kind {
            "content_part.added" | "reasoning_summary_part.added" => {
                must(self.part.is_none(), || "before the end of another".to_owned())?;
                (self.part, self.text) = (index.cloned(), Some(String::new()));
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                must(self.part.take().as_ref() == index && self.text.is_none(), || "not the open part".to_owned())?;
                let part = &event["part"];
                let said = part["text"].as_str().or(part["refusal"].as_str()).map(str::to_owned);
                must(said.is_some() && said == self.said.take(), || "the part is not what its text was".to_owned())?;
            }
            _ => {
                must(self.part.as_ref() == index, || "not of the open part".to_owned())?;
                let open = self.text.as_mut().ok_or("nothing grows")?;
                if kind.ends_with(".delta") {
                    open.push_str(event["delta"].as_str().ok_or("no delta")?);
                } else {
                    let said = ["text", "refusal", "arguments"].iter().find_map(|key| event[*key].as_str()).ok_or("no text")?;
                    must(said == open, || format!("it grew to {open:?}"))?;
                    (self.said, self.text) = (self.text.take(), None);
                }
            }
        }
        Ok(())
    }
}
