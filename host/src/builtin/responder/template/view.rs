//! What a template sees of a request. Nothing is built before a template asks for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, Value, from_args};
use minijinja::{Error, ErrorKind, State};

use crate::behavior::call::Call;
use crate::builtin::responder::style::{LANGUAGES, SHAPES, style_name, writer};
use crate::random::Key;
use crate::types::limits::TEMPLATE_TOKENS_MAX;
use crate::types::percent;
use crate::types::request::{Message, Request, Role};

/// Every name that a template may use.
pub(super) const NAMES: [&str; 21] = [
    "model",
    "messages",
    "last_user_text",
    "system_text",
    "tools",
    "tool_result",
    "headers",
    "turn",
    "attempt",
    "occurrence",
    "identity",
    "choice",
    "input_tokens",
    "max_tokens",
    "now",
    "path",
    "query",
    "body",
    "draw",
    "pick",
    "tokens",
];

/// One request in view of a template.
#[derive(Debug)]
pub(super) struct View {
    request: Arc<Request>,
    seed: u64,
    attempt: u32,
    occurrence: u32,
    identity: u64,
    choice: u32,
    input_tokens: u32,
    max_tokens: u32,
    now_unix_s: u64,
    /// Tokens of filler that may still be asked for.
    filler: AtomicU32,
    /// Draws by name, to be noted.
    drawn: Mutex<Vec<(String, f64)>>,
}

impl View {
    pub(super) fn of(call: &Call<'_>, choice: u32, epoch_unix_s: u64) -> Self {
        Self {
            request: Arc::clone(call.request),
            seed: call.seed,
            attempt: call.attempt,
            occurrence: call.occurrence,
            identity: call.identity,
            choice,
            input_tokens: call.input_tokens,
            max_tokens: call.max_output_tokens,
            now_unix_s: epoch_unix_s + call.now / 1_000_000_000,
            filler: AtomicU32::new(TEMPLATE_TOKENS_MAX),
            drawn: Mutex::default(),
        }
    }

    /// The draws that were made, by name.
    pub(super) fn take_draws(&self) -> Vec<(String, f64)> {
        std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn key(&self, name: &str) -> Key {
        Key::of_seed(self.seed).named(name).with(self.choice.into())
    }

    fn draw(&self, name: &str) -> f64 {
        let value = self.key(name).unit();
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), value));
        value
    }

    /// So many tokens of text, other ones for each time.
    fn tokens(&self, count: u32, style: &str) -> Result<String, Error> {
        let left = self.filler.load(Ordering::Relaxed);
        let Some(after) = left.checked_sub(count) else {
            let message = format!("`tokens` may write {TEMPLATE_TOKENS_MAX} tokens in one reply and no more");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        };
        self.filler.store(after, Ordering::Relaxed);
        let (shape, language) = style.rsplit_once('-').unwrap_or((style, ""));
        let writer = writer(&style_name(shape, language)).ok_or_else(|| {
            let (shapes, languages) = (SHAPES.join(", "), LANGUAGES.join(", "));
            let message =
                format!("there is no style `{style}`; known: {shapes}, each also with a language ({languages}) as in `prose-de`");
            Error::new(ErrorKind::InvalidOperation, message)
        })?;
        let mut pen = writer.begin(self.key("tokens").with(left.into()).bits());
        Ok((0..count).rev().map(|left| writer.next(&mut pen, left).to_owned()).collect())
    }
}

impl Object for View {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let request = &self.request;
        let is_turn = |message: &&Message| message.role == Role::Assistant;
        Some(match name {
            "model" => Value::from(&*request.model),
            "messages" => request.messages.iter().map(message).collect(),
            "last_user_text" => Value::from(request.last_user_text()),
            "system_text" => Value::from(system_text(request)),
            "tools" => request.tools.iter().map(|tool| Value::from(&*tool.name)).collect(),
            "tool_result" => request.tool_result().map_or_else(|| Value::from(()), Value::from),
            "headers" => Value::from_object(Headers(Arc::clone(request))),
            "turn" => Value::from(request.messages.iter().filter(is_turn).count()),
            "attempt" => Value::from(self.attempt),
            "occurrence" => Value::from(self.occurrence),
            "identity" => Value::from(format!("{:016x}", self.identity)),
            "choice" => Value::from(self.choice),
            "input_tokens" => Value::from(self.input_tokens),
            "max_tokens" => Value::from(self.max_tokens),
            "now" => Value::from(self.now_unix_s),
            "path" => path(request),
            "query" => query(request),
            "body" => body(request),
            "draw" => Value::from_object(Function(Arc::clone(self), Kind::Draw)),
            "pick" => Value::from_object(Function(Arc::clone(self), Kind::Pick)),
            "tokens" => Value::from_object(Function(Arc::clone(self), Kind::Tokens)),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&NAMES)
    }
}

fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let call = |(name, arguments): &(Box<str>, Box<str>)| {
        Value::from_pairs([("name", Value::from(&**name)), ("arguments", Value::from(&**arguments))])
    };
    let calls: Value = message.tool_calls().iter().map(call).collect();
    Value::from_pairs([("role", Value::from(role)), ("text", Value::from(&*message.text)), ("tool_calls", calls)])
}

/// What the path says in the open segments of a scenario's own route, by their names.
fn path(request: &Request) -> Value {
    let parameters = request.route.iter().flat_map(|route| &route.parameters);
    Value::from_pairs(parameters.map(|(name, value)| (Value::from(&**name), Value::from(&**value))))
}

/// What the query says, by name; of several of one name, the last.
fn query(request: &Request) -> Value {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let plain = |text: &str| Value::from(percent::decoded(&text.replace('+', " ")));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Value::from_pairs(pairs.map(|(name, value)| (plain(name), plain(value))))
}

/// The body, if it is JSON.
fn body(request: &Request) -> Value {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&request.body).ok();
    parsed.map_or(Value::UNDEFINED, |parsed| value_of(&parsed))
}

fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(flag) => Value::from(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(values) => values.iter().map(value_of).collect(),
        serde_json::Value::Object(map) => Value::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value_of(value)))),
    }
}

/// The texts of all system messages, one a line.
pub(in crate::builtin::responder) fn system_text(request: &Request) -> String {
    let texts = request.messages.iter().filter(|message| message.role == Role::System).map(|message| &*message.text);
    texts.collect::<Vec<_>>().join("\n")
}

/// The request's headers by name, without credentials.
#[derive(Debug)]
struct Headers(Arc<Request>);

impl Object for Headers {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.header(key.as_str()?).map(Value::from)
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Draw,
    Pick,
    Tokens,
}

/// A function that draws.
#[derive(Debug)]
struct Function(Arc<View>, Kind);

impl Object for Function {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let Self(view, kind) = &**self;
        match kind {
            Kind::Draw => {
                let (name,): (&str,) = from_args(args)?;
                Ok(Value::from(view.draw(name)))
            }
            Kind::Pick => {
                let (name, choices): (&str, Value) = from_args(args)?;
                let choices: Vec<Value> = choices.try_iter()?.collect();
                let index = (view.draw(name) * choices.len() as f64) as usize;
                let none = || Error::new(ErrorKind::InvalidOperation, "`pick` needs a list with at least one element");
                choices.into_iter().nth(index).ok_or_else(none)
            }
            Kind::Tokens => {
                let (count, style): (u32, Option<&str>) = from_args(args)?;
                view.tokens(count, style.unwrap_or_default()).map(Value::from)
            }
        }
    }
}
