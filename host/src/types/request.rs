//! The neutral request: what a client asked for, whatever dialect it spoke.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::types::credentials;
use crate::types::overrides::Overrides;

/// What a client asks for. Numbers match the contract's `call.operation`; more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// A conversation to continue.
    Chat = 1,
    /// Raw text to continue.
    Completion = 2,
    /// Vectors for texts.
    Embedding = 3,
    /// A judgement of a text.
    Moderation = 4,
    /// How many tokens a prompt has.
    Count = 5,
    /// A route that the scenario defines itself.
    Generic = 100,
}

impl Operation {
    /// Is it answered with words? If not, no responder is asked, and the answer follows from the request.
    pub fn has_words(self) -> bool {
        matches!(self, Self::Chat | Self::Completion | Self::Generic)
    }
}

/// One request, parsed. Built by a dialect, read by the planner and, through the host services, by plugins.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub operation: Operation,
    /// The model's name exactly as the client wrote it.
    pub model: Box<str>,
    /// Another name of the same model, where the vendor has two for one.
    pub other_name: Option<Box<str>>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call, in the client's order.
    pub tools: Vec<Tool>,
    /// Whether and which tool must be called.
    pub tool_choice: ToolChoice,
    /// May several tools be called in one reply?
    pub parallel_tool_calls: bool,
    /// What form the reply's text must have.
    pub format: Format,
    /// How many independent replies are wanted; at least 1.
    pub choices: u32,
    /// The most tokens one reply may have, if the client set a bound.
    pub max_output_tokens: Option<u32>,
    /// The fewest tokens that one reply may have; a reply that would be shorter goes on.
    pub min_output_tokens: u32,
    /// Does each reply go on until its bound, whatever it says? Load tools ask for that.
    pub ignores_end: bool,
    /// Shall the model think before it answers?
    pub thinking: Thinking,
    /// Texts at which a reply ends; the stop text itself is not sent.
    pub stop: Vec<Box<str>>,
    /// `Some(n)`: log probabilities are wanted, with the `n` best alternatives per token.
    pub logprobs: Option<u8>,
    /// Is the reply a stream? If not, it comes in one piece.
    pub streams: bool,
    /// Does the client see what the request cost? In streams some must ask for it.
    pub shows_usage: bool,
    /// The route of the scenario's own by which it came.
    pub route: Option<Box<RouteTaken>>,
    /// What it says of its own answer, where the scenario lets it.
    pub overrides: Option<Box<Overrides>>,
    /// The most tokens that all of its prompts may have together; `None` if nobody bounds them.
    pub input_tokens_max: Option<u32>,
    /// What path and query say beyond the endpoint, such as a model's name; empty for most.
    pub target: Box<str>,
    /// The body as it came, for plugins that ask for it.
    pub body: Bytes,
    /// The request's headers as they came; [`Request::header`] is the way to look at them.
    pub headers: http::HeaderMap,
}

/// The route of a scenario's own by which a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTaken {
    /// Its index in the scenario's list.
    pub index: u32,
    /// What the path says in its open segments, by their names.
    pub parameters: Vec<(Box<str>, Box<str>)>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Instructions of the application (`developer` too).
    System,
    /// The person.
    User,
    /// The model, earlier.
    Assistant,
    /// The result of a tool call (`function` too).
    Tool,
}

/// One message of the conversation.
#[derive(Debug)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// Its text; parts of several texts are joined in order.
    pub text: Box<str>,
    /// What it carries besides, if anything: a conversation may have a hundred thousand messages, and hardly any does.
    extras: Option<Box<Extras>>,
}

/// What hardly any message has.
#[derive(Debug, Default)]
struct Extras {
    attachments: Vec<Attachment>,
    tool_calls: Vec<(Box<str>, Box<str>)>,
}

/// What a message carries that is no text: an image, a sound, a file, or tokens that the client made itself. Never looked into, but for
/// the size of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// Hash of its content, or of where it is.
    pub digest: u64,
    /// Tokens that it counts, as its vendor counts them.
    pub tokens: u32,
}

/// Shall the model think before it answers?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thinking {
    /// The client says nothing of it.
    #[default]
    Unsaid,
    /// No.
    Off,
    /// Yes, with at most so many tokens if the client set a bound.
    On(Option<u32>),
}

/// A tool as the client declared it.
#[derive(Debug)]
pub struct Tool {
    /// The name to call it by.
    pub name: Box<str>,
    /// Is its input any text, and not JSON?
    pub is_free: bool,
    /// The JSON Schema of its arguments, as written; `None` means an empty object.
    pub parameters: Option<Arc<RawValue>>,
}

/// Whether and which tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// At least one tool must be called.
    Required,
    /// Exactly this tool must be called.
    Named(Box<str>),
}

/// What form the reply's text must have.
#[derive(Debug, Clone)]
pub enum Format {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The client's name for the schema.
        name: Box<str>,
        /// The schema as written.
        schema: Arc<RawValue>,
    },
}

impl Message {
    /// A message that is a text and nothing else.
    pub fn new(role: Role, text: impl Into<Box<str>>) -> Self {
        Self { role, text: text.into(), extras: None }
    }

    /// The same with `attachments` in place of its own.
    #[must_use]
    pub fn with_attachments(mut self, attachments: Vec<Attachment>) -> Self {
        if !attachments.is_empty() || self.extras.is_some() {
            self.extras.get_or_insert_default().attachments = attachments;
        }
        self
    }

    /// The same with tool calls in place of its own, each as `name` and arguments, as an assistant makes them.
    #[must_use]
    pub fn with_tool_calls(mut self, calls: Vec<(Box<str>, Box<str>)>) -> Self {
        if !calls.is_empty() || self.extras.is_some() {
            self.extras.get_or_insert_default().tool_calls = calls;
        }
        self
    }

    /// It carries `attachment`, too.
    pub fn attach(&mut self, attachment: Attachment) {
        push(&mut self.extras.get_or_insert_default().attachments, attachment);
    }

    /// It makes one more tool call, of `name` with `arguments`.
    pub fn call_tool(&mut self, name: impl Into<Box<str>>, arguments: impl Into<Box<str>>) {
        push(&mut self.extras.get_or_insert_default().tool_calls, (name.into(), arguments.into()));
    }

    /// What it carries that is neither text nor calls.
    pub fn attachments(&self) -> &[Attachment] {
        self.extras.as_ref().map_or(&[], |extras| &extras.attachments)
    }

    /// Tool calls that an assistant message made, each as `name` and arguments.
    pub fn tool_calls(&self) -> &[(Box<str>, Box<str>)] {
        self.extras.as_ref().map_or(&[], |extras| &extras.tool_calls)
    }
}

/// Appends `value`. The first takes room for one: most messages that have any have no more.
fn push<T>(values: &mut Vec<T>, value: T) {
    if values.is_empty() {
        values.reserve_exact(1);
    }
    values.push(value);
}

/// Headers that name a tenant unless the scenario names another: our own, and those of OpenAI's SDKs. Every request is asked for them, and
/// a name that is made anew is also checked anew.
static TENANT_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-simwright-tenant"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
];

impl Request {
    /// A conversation to continue, for whoever has no wire format: nothing is asked for but a whole reply of `model` to `messages`.
    pub fn chat(model: &str, messages: Vec<Message>) -> Self {
        Self {
            operation: Operation::Chat,
            model: model.into(),
            other_name: None,
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            format: Format::Text,
            choices: 1,
            max_output_tokens: None,
            stop: Vec::new(),
            logprobs: None,
            streams: false,
            shows_usage: true,
            min_output_tokens: 0,
            ignores_end: false,
            thinking: Thinking::Unsaid,
            route: None,
            overrides: None,
            input_tokens_max: None,
            target: Box::default(),
            body: Bytes::new(),
            headers: http::HeaderMap::new(),
        }
    }

    /// The names of the model that is asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.model).chain(self.other_name.as_deref())
    }

    /// The header `name` if the client sent it as text; credentials are never shown.
    pub fn header(&self, name: &str) -> Option<&str> {
        if credentials::in_header(name) {
            return None;
        }
        self.headers.get(name)?.to_str().ok()
    }

    /// Who asks: the header `named` if the scenario names one, else the first of the usual headers that is there.
    pub fn tenant(&self, named: Option<&HeaderName>) -> Option<&str> {
        match named {
            Some(name) => self.header(name.as_str()),
            None => TENANT_HEADERS.iter().find_map(|name| self.headers.get(name)?.to_str().ok()),
        }
    }

    /// A number for who asks ([`Request::tenant`]): equal for equal names, and one for all that say none.
    pub fn tenant_key(&self, named: Option<&HeaderName>) -> u64 {
        xxh3_64(self.tenant(named).unwrap_or_default().as_bytes())
    }

    /// The headers that may be written down: what [`Request::header`] shows, without those whose names speak of a secret, such as
    /// `x-my-token`. Several of one name are joined with commas.
    pub fn loggable_headers(&self) -> BTreeMap<&str, String> {
        let mut shown: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            let name = name.as_str();
            let Some(value) = value.to_str().ok().filter(|_| !credentials::hinted_at(name)) else { continue };
            shown.entry(name).and_modify(|known| *known = format!("{known}, {value}")).or_insert_with(|| value.to_owned());
        }
        shown
    }

    /// The text of the newest user message; empty if there is none.
    pub fn last_user_text(&self) -> &str {
        self.messages.iter().rev().find(|m| m.role == Role::User).map_or("", |m| &m.text)
    }

    /// What tools answered, if the conversation ends with that: the texts of its last tool messages, one a line.
    pub fn tool_result(&self) -> Option<String> {
        let from = self.messages.iter().rposition(|message| message.role != Role::Tool).map_or(0, |last| last + 1);
        let results = &self.messages[from..];
        (!results.is_empty()).then(|| results.iter().map(|message| &*message.text).collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A request for tests.

    use super::{Message, Request, Role};

    /// A chat request with one user message.
    pub(crate) fn request(text: &str) -> Request {
        Request::chat("test", vec![Message::new(Role::User, text)])
    }
}
