//! What a case asks: `request` and `call`. Fields that a case leaves open are as in the file's `defaults`.
//!
//! A request is written in few words (`model`, `user` …), or as the `body` that a client would send, which the dialect then reads.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::Nanos;
use crate::dialect::openai;
use crate::plan::identity::of_header;
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::OUTPUT_TOKENS_MAX;
use crate::types::problem::Problem;
use crate::types::request::{Format, Message, Request, Role, Tool, ToolChoice};
use crate::vectors::CallFacts;

/// The model that is asked where a case names none.
const MODEL: &str = "test";

/// `request` as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    model: Option<String>,
    messages: Option<Vec<(Role, String)>>,
    system: Option<String>,
    user: Option<String>,
    max_tokens: Option<u32>,
    choices: Option<u32>,
    stream: Option<bool>,
    format: Option<Format>,
    tools: Option<Vec<(String, Option<Arc<RawValue>>)>>,
    tool_choice: Option<ToolChoice>,
    headers: Option<HeaderMap>,
    body: Option<(String, Bytes)>,
}

impl Asked {
    /// Reads `request` at `pointer`.
    pub(super) fn read(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Self {
        let mut fields = Fields::of(value, pointer);
        let text = |fields: &mut Fields<'_>, name| fields.text(name).map(str::to_owned);
        let asked = Self {
            model: text(&mut fields, "model"),
            system: text(&mut fields, "system"),
            user: text(&mut fields, "user"),
            messages: messages(&mut fields),
            max_tokens: fields.integer("max-tokens", 1..=u64::from(OUTPUT_TOKENS_MAX)).map(|number| number as u32),
            choices: fields.integer("choices", 1..=128).map(|number| number as u32),
            stream: fields.flag("stream"),
            format: format(&mut fields),
            tools: tools(&mut fields),
            tool_choice: tool_choice(&mut fields),
            headers: headers(&mut fields),
            body: body(&mut fields),
        };
        if asked.messages.is_some() && (asked.user.is_some() || asked.system.is_some()) {
            fields.problem("messages", "`messages` is the whole conversation; leave out `user` and `system`, or it");
        }
        let words = [
            ("model", asked.model.is_some()),
            ("messages", asked.messages.is_some()),
            ("user", asked.user.is_some()),
            ("system", asked.system.is_some()),
            ("max-tokens", asked.max_tokens.is_some()),
            ("choices", asked.choices.is_some()),
            ("stream", asked.stream.is_some()),
            ("format", asked.format.is_some()),
            ("tools", asked.tools.is_some()),
            ("tool-choice", asked.tool_choice.is_some()),
        ];
        if asked.body.is_some() {
            for (name, _) in words.iter().filter(|(_, is_there)| *is_there) {
                fields.problem(name, format!("`body` is the whole request; say `{name}` in it, as a client would"));
            }
        }
        problems.extend(fields.finish());
        asked
    }

    /// The same, with what `defaults` say where this says nothing.
    pub(super) fn over(self, defaults: &Self) -> Self {
        // A body is whole: whoever writes one means no other words, and whoever writes words means no body.
        if self.body.is_some() {
            return Self { headers: self.headers.or_else(|| defaults.headers.clone()), ..self };
        }
        let says = self.model.is_some() || self.user.is_some() || self.messages.is_some() || self.system.is_some();
        let whole = self.messages.is_some();
        let spoken = self.user.is_some();
        let from = |own: Option<String>, default: &Option<String>| own.or_else(|| default.clone());
        Self {
            model: from(self.model, &defaults.model),
            system: if whole { self.system } else { from(self.system, &defaults.system) },
            user: if whole { self.user } else { from(self.user, &defaults.user) },
            messages: if spoken { self.messages } else { self.messages.or_else(|| defaults.messages.clone()) },
            max_tokens: self.max_tokens.or(defaults.max_tokens),
            choices: self.choices.or(defaults.choices),
            stream: self.stream.or(defaults.stream),
            format: self.format.or_else(|| defaults.format.clone()),
            tools: self.tools.or_else(|| defaults.tools.clone()),
            tool_choice: self.tool_choice.or_else(|| defaults.tool_choice.clone()),
            headers: self.headers.or_else(|| defaults.headers.clone()),
            body: if says { None } else { defaults.body.clone() },
        }
    }

    /// The request.
    pub(super) fn request(self) -> Result<Arc<Request>, Problem> {
        let headers = self.headers.unwrap_or_default();
        if let Some((pointer, body)) = self.body {
            let read = openai::chat_request(body, headers);
            return read.map(Arc::new).map_err(|error| {
                let at = error.param.as_ref().map_or(String::new(), |param| format!(" (at `{param}`)"));
                Problem::new(pointer, format!("this request would be refused with {}: {}{at}", error.status, error.message))
            });
        }
        let message = |role, text: String| Message::new(role, text);
        let messages: Vec<Message> = match self.messages {
            Some(messages) => messages.into_iter().map(|(role, text)| message(role, text)).collect(),
            None => {
                let user = self.user.unwrap_or_else(|| "Hello".to_owned());
                self.system.map(|text| message(Role::System, text)).into_iter().chain([message(Role::User, user)]).collect()
            }
        };
        let tools = self.tools.unwrap_or_default().into_iter().map(|(name, parameters)| Tool {
            name: name.into(),
            is_free: false,
            parameters,
        });
        let streams = self.stream.unwrap_or(true);
        Ok(Arc::new(Request {
            tools: tools.collect(),
            tool_choice: self.tool_choice.unwrap_or(ToolChoice::Auto),
            format: self.format.unwrap_or(Format::Text),
            choices: self.choices.unwrap_or(1),
            max_output_tokens: self.max_tokens,
            streams,
            // A stream says what it cost only to those who ask.
            shows_usage: !streams,
            headers,
            ..Request::chat(self.model.as_deref().unwrap_or(MODEL), messages)
        }))
    }
}

fn messages(fields: &mut Fields<'_>) -> Option<Vec<(Role, String)>> {
    fields.value("messages")?;
    let pointer = fields.pointer("messages");
    let mut messages = Vec::new();
    for (index, item) in fields.list("messages").iter().enumerate() {
        let mut message = Fields::of(item, format!("{pointer}/{index}"));
        message.require("role");
        message.require("content");
        let role = match message.word("role", &["system", "user", "assistant", "tool"]) {
            Some("system") => Role::System,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            _ => Role::User,
        };
        messages.push((role, message.text("content").unwrap_or_default().to_owned()));
        fields.extend(message.finish());
    }
    Some(messages)
}

fn format(fields: &mut Fields<'_>) -> Option<Format> {
    match fields.value("format")? {
        Value::String(word) if word == "text" => Some(Format::Text),
        Value::String(word) if word == "json" => Some(Format::JsonObject),
        schema @ Value::Object(_) => Some(Format::JsonSchema { name: "answer".into(), schema: raw(schema)? }),
        other => {
            let found = other.as_str().map_or_else(|| kind_of(other).to_owned(), |word| format!("`{word}`"));
            fields.problem("format", format!("expected `text`, `json` or a JSON Schema, found {found}"));
            None
        }
    }
}

fn raw(value: &Value) -> Option<Arc<RawValue>> {
    RawValue::from_string(value.to_string()).ok().map(Arc::from)
}

fn tools(fields: &mut Fields<'_>) -> Option<Vec<(String, Option<Arc<RawValue>>)>> {
    fields.value("tools")?;
    let pointer = fields.pointer("tools");
    let mut tools = Vec::new();
    for (index, item) in fields.list("tools").iter().enumerate() {
        match item {
            Value::String(name) => tools.push((name.clone(), None)),
            item => {
                let mut tool = Fields::of(item, format!("{pointer}/{index}"));
                tool.require("name");
                let parameters = tool.value("parameters").and_then(raw);
                tools.push((tool.text("name").unwrap_or_default().to_owned(), parameters));
                fields.extend(tool.finish());
            }
        }
    }
    Some(tools)
}

/// `auto`, `none`, `required`, or the name of a tool.
fn tool_choice(fields: &mut Fields<'_>) -> Option<ToolChoice> {
    Some(match fields.text("tool-choice")? {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        name => ToolChoice::Named(name.into()),
    })
}

fn headers(fields: &mut Fields<'_>) -> Option<HeaderMap> {
    let value = fields.value("headers")?;
    let Value::Object(map) = value else {
        fields.problem("headers", format!("expected a map of headers, found {}", kind_of(value)));
        return None;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in map {
        let pointer = format!("{}/{}", fields.pointer("headers"), escape(name));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (name.parse::<HeaderName>(), text.parse::<HeaderValue>()) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            (Err(_), _) => {
                fields.extend(vec![Problem::new(pointer, format!("`{name}` is no name of a header")).at_key()]);
            }
            (_, Err(_)) => fields.extend(vec![Problem::new(pointer, "a header cannot carry this")]),
        }
    }
    Some(headers)
}

/// The body: JSON as a map, or a text as it is.
fn body(fields: &mut Fields<'_>) -> Option<(String, Bytes)> {
    let text = match fields.value("body")? {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Some((fields.pointer("body"), text.into()))
}

/// `call` as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct CallAsked {
    seed: Option<u64>,
    now: Option<Nanos>,
    attempt: Option<u32>,
    occurrence: Option<u32>,
    identity: Option<u64>,
    tenant: Option<String>,
    stage: Option<String>,
    running: Option<u32>,
    waiting: Option<u32>,
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    prefix: Option<u64>,
    priority: Option<u8>,
}

impl CallAsked {
    /// Reads `call` at `pointer`.
    pub(super) fn read(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Self {
        let mut fields = Fields::of(value, pointer);
        let whole = |fields: &mut Fields<'_>, name| fields.integer(name, 0..=u64::from(u32::MAX)).map(|number| number as u32);
        let tokens =
            |fields: &mut Fields<'_>, name| fields.integer(name, 0..=u64::from(OUTPUT_TOKENS_MAX)).map(|number| number as u32);
        let call = Self {
            seed: seed(&mut fields),
            now: fields.duration_us("now").map(|us| us * 1_000),
            attempt: whole(&mut fields, "attempt"),
            occurrence: whole(&mut fields, "occurrence"),
            identity: identity(&mut fields),
            tenant: fields.text("tenant").map(str::to_owned),
            stage: fields.text("stage").map(str::to_owned),
            running: whole(&mut fields, "running"),
            waiting: whole(&mut fields, "waiting"),
            input_tokens: tokens(&mut fields, "input-tokens"),
            output_tokens: tokens(&mut fields, "output-tokens"),
            prefix: fields.integer("prefix", 0..=u64::MAX),
            priority: fields.integer("priority", 0..=u64::from(u8::MAX)).map(|number| number as u8),
        };
        problems.extend(fields.finish());
        call
    }

    /// The same, with what `defaults` say where this says nothing.
    pub(super) fn over(self, defaults: &Self) -> Self {
        Self {
            seed: self.seed.or(defaults.seed),
            now: self.now.or(defaults.now),
            attempt: self.attempt.or(defaults.attempt),
            occurrence: self.occurrence.or(defaults.occurrence),
            identity: self.identity.or(defaults.identity),
            tenant: self.tenant.or_else(|| defaults.tenant.clone()),
            stage: self.stage.or_else(|| defaults.stage.clone()),
            running: self.running.or(defaults.running),
            waiting: self.waiting.or(defaults.waiting),
            input_tokens: self.input_tokens.or(defaults.input_tokens),
            output_tokens: self.output_tokens.or(defaults.output_tokens),
            prefix: self.prefix.or(defaults.prefix),
            priority: self.priority.or(defaults.priority),
        }
    }

    /// The facts, with what a first request has where nothing is written.
    pub(super) fn facts(self) -> CallFacts {
        CallFacts {
            seed: self.seed.unwrap_or(1),
            now: self.now.unwrap_or(0),
            attempt: self.attempt.unwrap_or(0),
            occurrence: self.occurrence.unwrap_or(0),
            identity: self.identity,
            tenant: self.tenant.unwrap_or_default(),
            stage: self.stage.unwrap_or_default(),
            running: self.running.unwrap_or(0),
            waiting: self.waiting.unwrap_or(0),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            prefix: self.prefix.unwrap_or(0),
            priority: self.priority.unwrap_or(0),
        }
    }
}

/// A number, or sixteen hexadecimal digits as `explain` shows them.
fn seed(fields: &mut Fields<'_>) -> Option<u64> {
    match fields.value("seed")? {
        Value::String(text) => {
            let seed = u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
            if seed.is_none() {
                fields.problem(
                    "seed",
                    format!("`{text}` is no seed; write a number, or hexadecimal digits as `explain` shows them"),
                );
            }
            seed
        }
        _ => fields.integer("seed", 0..=u64::MAX),
    }
}

/// A number, or any text: the host makes numbers of the texts that clients send.
fn identity(fields: &mut Fields<'_>) -> Option<u64> {
    match fields.value("identity")? {
        Value::String(text) => Some(of_header(text.as_bytes())),
        _ => fields.integer("identity", 0..=u64::MAX),
    }
}
