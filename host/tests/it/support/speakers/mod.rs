//! Vendors as their clients see them: how one asks, and what one reads out of what comes. Written without the server's own code.

use serde_json::{Value, json};

use super::stream;

mod anthropic;
mod azure;
mod completions;
mod gemini;
mod http_route;
mod ollama;
mod openai;
mod realtime;
mod responses;

pub use anthropic::Anthropic;
pub use azure::Azure;
pub use completions::Completions;
pub use gemini::Gemini;
pub use http_route::HttpRoute;
pub use ollama::Ollama;
pub use openai::OpenAi;
pub use realtime::Realtime;
pub use responses::Responses;

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
#[derive(Debug, Default)]
pub struct Heard {
    /// What each choice says.
    pub choices: Vec<Said>,
    /// Tokens of prompt and reply.
    pub usage: Option<(u64, u64)>,
    /// The message of an error that came instead, or in the middle.
    pub error: Option<String>,
    /// Did the event come that is the last one?
    pub is_ended: bool,
}

/// What one choice says.
#[derive(Debug, Default)]
pub struct Said {
    /// Texts, a piece for each event.
    pub texts: Vec<String>,
    pub reasoning: String,
    pub refusal: String,
    /// Calls of tools: name and arguments.
    pub calls: Vec<(String, String)>,
    pub finish: Option<String>,
}

impl Heard {
    /// What the choice `index` says.
    pub fn said(&mut self, index: &Value) -> &mut Said {
        let index = index.as_u64().unwrap_or(0) as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Said::default);
        }
        &mut self.choices[index]
    }

    /// What the one choice says, where there is never more than one.
    pub fn only(&mut self) -> &mut Said {
        self.said(&Value::Null)
    }
}

impl Said {
    fn text(&mut self, text: &Value) {
        self.texts.extend(text.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    }

    fn arguments(&mut self, fragment: &Value) {
        if let (Some((_, arguments)), Some(fragment)) = (self.calls.last_mut(), fragment.as_str()) {
            arguments.push_str(fragment);
        }
    }
}

/// A request as it goes over the wire.
pub struct Asked {
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Value,
}

/// One vendor, from outside.
pub trait Speaker: Sync {
    /// The heading of its part of the table.
    fn name(&self) -> &'static str;

    fn ask(&self, model: &str, wanted: Wanted, streamed: bool) -> Asked;

    /// Can it be asked for this?
    fn can_ask(&self, _wanted: Wanted) -> bool {
        true
    }

    /// The content type of a stream.
    fn stream_media(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// The content type of whole replies and refusals.
    fn whole_media(&self) -> &'static str {
        "application/json"
    }

    /// The content type of refusals.
    fn refusal_media(&self) -> &'static str {
        self.whole_media()
    }

    /// What comes between two events.
    fn between(&self) -> &'static [u8] {
        b"\n\n"
    }

    /// The events of `stream`, each with its frame but not what stands between two, and what is left of one that is broken off.
    fn events<'a>(&self, stream: &'a [u8], _heard: &mut Heard) -> (Vec<&'a [u8]>, &'a [u8]) {
        split(stream, self.between())
    }

    /// The payload of an event without its frame.
    fn payload<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        event.strip_prefix(b"data: ").expect("a data line")
    }

    /// The payloads of a whole stream, read by its standard and forgiving nothing. The error says what is not as it should be.
    fn payloads(&self, stream: &[u8]) -> Result<Vec<String>, String> {
        nameless_payloads(stream)
    }

    /// Does a reply say why it ended, and what it cost?
    fn tells_its_end(&self) -> bool {
        true
    }

    /// The event without which a stream has not come to its end, if there is one.
    fn last_event(&self) -> Option<&'static str>;

    /// Reads one event's payload as it came, which is JSON unless the speaker says otherwise. The error says that it is none.
    fn event_text(&self, payload: &str, heard: &mut Heard) -> Result<(), serde_json::Error> {
        self.event(&serde_json::from_str(payload)?, heard);
        Ok(())
    }

    /// Reads one event's payload.
    fn event(&self, payload: &Value, heard: &mut Heard);

    /// Reads a reply in one piece as it came, which is JSON unless the speaker says otherwise. The error says that it is none.
    fn whole_text(&self, reply: &str, heard: &mut Heard) -> Result<(), serde_json::Error> {
        self.whole(&serde_json::from_str(reply)?, heard);
        Ok(())
    }

    /// Reads a reply in one piece; its text is one piece, too.
    fn whole(&self, reply: &Value, heard: &mut Heard);

    /// What is wrong with the order of a stream's events, which `payloads` has read, all JSON but a last word.
    fn order(&self, events: &[Value]) -> Result<(), String>;

    /// What a refusal says.
    fn refusal_body(&self, body: &[u8]) -> Value {
        serde_json::from_slice(body).expect("JSON")
    }

    /// The message of a refusal's body.
    fn message<'a>(&self, body: &'a Value) -> Option<&'a str> {
        body["error"]["message"].as_str()
    }

    /// The headings of what a refusal's body says besides its message.
    fn refusal_columns(&self) -> &'static [&'static str];

    /// What a refusal's body says under these headings.
    fn refusal_cells(&self, body: &Value) -> Vec<String>;
}

/// `stream` at every `between`, and what comes after the last.
fn split<'a>(stream: &'a [u8], between: &[u8]) -> (Vec<&'a [u8]>, &'a [u8]) {
    let (mut events, mut rest) = (Vec::new(), stream);
    while let Some(end) = memchr::memmem::find(rest, between) {
        events.push(&rest[..end]);
        rest = &rest[end + between.len()..];
    }
    (events, rest)
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

/// `Err` with `what` unless it `is` so.
fn must(is: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(what()) }
}

/// Payloads of events without names.
fn nameless_payloads(stream: &[u8]) -> Result<Vec<String>, String> {
    let nameless = |event: stream::Event| {
        must(event.name.is_none(), || format!("an event with a name: {event:?}"))?;
        Ok(event.data)
    };
    stream::read(stream)?.into_iter().map(nameless).collect()
}

/// Payloads of events whose names say again what their data say.
fn named_payloads(stream: &[u8]) -> Result<Vec<String>, String> {
    let named = |event: stream::Event| {
        let data: Value = serde_json::from_str(&event.data).map_err(|error| format!("{error}: {}", event.data))?;
        must(event.name.as_deref() == data["type"].as_str(), || format!("{:?} is named {:?}", data["type"], event.name))?;
        Ok(event.data)
    };
    stream::read(stream)?.into_iter().map(named).collect()
}

/// Every line of `stream`, each of which ends.
fn lines(stream: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    must(text.is_empty() || text.ends_with('\n'), || format!("the last line does not end: {text:?}"))?;
    Ok(text.split_terminator('\n').map(str::to_owned).collect())
}

/// Has every choice of `events` one finish, and nothing after it? `choices` finds those of an event, `finish` the finish of one.
fn finishes_once(
    events: &[Value],
    choices: impl Fn(&Value) -> Option<&Vec<Value>>,
    finish: impl Fn(&Value) -> bool,
) -> Result<(), String> {
    let (mut begun, mut finished) = (Vec::new(), Vec::new());
    for choice in events.iter().filter_map(choices).flatten() {
        let index = choice["index"].as_u64().ok_or("a choice without an index")?;
        must(!finished.contains(&index), || format!("choice {index} goes on after its finish: {choice}"))?;
        if !begun.contains(&index) {
            begun.push(index);
        }
        if finish(choice) {
            finished.push(index);
        }
    }
    must(begun.len() == finished.len(), || format!("{} of {} choices finish", finished.len(), begun.len()))
}

/// Is `events[..][key]` the same in all?
fn all_alike(events: &[Value], keys: &[&str]) -> Result<(), String> {
    let differ = keys.iter().find(|key| events.windows(2).any(|pair| pair[0][**key] != pair[1][**key]));
    differ.map_or(Ok(()), |key| Err(format!("`{key}` differs between events")))
}
