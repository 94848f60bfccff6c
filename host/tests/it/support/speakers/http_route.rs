//! Routes of a scenario's own: plain text, whole or an event a token.

use serde_json::{Value, json};

use super::{Asked, Heard, Speaker, Wanted, code};

/// The routes `/stream/MODEL` and `/whole/MODEL`.
pub struct HttpRoute;

impl Speaker for HttpRoute {
    fn name(&self) -> &'static str {
        "Routes of your own"
    }

    fn ask(&self, model: &str, _wanted: Wanted, streamed: bool) -> Asked {
        let way = if streamed { "stream" } else { "whole" };
        Asked { path: format!("/{way}/{model}"), headers: Vec::new(), body: json!({"query": "Please tell me", "limit": 10}) }
    }

    fn can_ask(&self, wanted: Wanted) -> bool {
        wanted == Wanted::Text
    }

    fn whole_media(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn refusal_media(&self) -> &'static str {
        "application/json"
    }

    /// With its lines' names: one of them says what is an error.
    fn payload<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        event
    }

    fn tells_its_end(&self) -> bool {
        false
    }

    fn last_event(&self) -> Option<&'static str> {
        None
    }

    fn event_text(&self, event: &str, heard: &mut Heard) -> Result<(), serde_json::Error> {
        match event.strip_prefix("event: error\ndata: ") {
            Some(message) => heard.error = Some(message.to_owned()),
            None => heard.only().texts.push(event.strip_prefix("data: ").expect("a data line").to_owned()),
        }
        Ok(())
    }

    fn whole_text(&self, reply: &str, heard: &mut Heard) -> Result<(), serde_json::Error> {
        // What is refused comes as JSON in place of a text.
        match serde_json::from_str::<Value>(reply) {
            Ok(refused) => super::hear_error(&refused, heard),
            Err(_) => heard.only().texts.push(reply.to_owned()),
        }
        Ok(())
    }

    fn event(&self, _event: &Value, _heard: &mut Heard) {
        unreachable!("events are texts")
    }

    fn whole(&self, _reply: &Value, _heard: &mut Heard) {
        unreachable!("replies are texts")
    }

    fn order(&self, _events: &[Value]) -> Result<(), String> {
        unreachable!("texts have no order of their own")
    }

    fn refusal_columns(&self) -> &'static [&'static str] {
        &["code"]
    }

    fn refusal_cells(&self, body: &Value) -> Vec<String> {
        vec![code(&body["error"]["code"])]
    }
}
