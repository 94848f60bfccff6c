//! One client's session: its settings and its conversation. It is told what the client says, and writes what the server says to that.
//!
//! Nothing is played here: [`Heard`] says what the client wants to be played. What is kept is bounded in number and bytes.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{Event, Item, Settings};
use super::events::{Series, close, push_field, push_json};
use super::read::{checked, no_audio};
use super::settings::{self, Change};
use super::{ids, items};
use crate::dialect::json::given::Given;
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::dialect::json::schema::check_depth;
use crate::dialect::json::splice::push_number;
use crate::random::Key;
use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::limits::{REALTIME_ITEMS_MAX, REALTIME_KEPT_BYTES_MAX};
use crate::types::mistake::{Mistake, What};

/// The events that clients send.
const KINDS: &[&str] = &[
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
    "output_audio_buffer.clear",
];

/// What is to be done about an event of the client. What is to be said is written already.
#[derive(Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// A response is asked for.
    Ask(Ask),
    /// The response that is being played shall end.
    Cancel,
}

/// A response that is asked for.
#[derive(Debug)]
pub struct Ask {
    /// The document that [`super::Realtime`] reads.
    pub body: Bytes,
    /// The id of the client's event, for an error.
    pub event_id: Option<Box<str>>,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    key: Key,
    events: Series,
    settings: settings::Kept,
    model: Box<str>,
    /// What it may keep, in bytes, so that all sessions together keep no more than they may.
    most: usize,
    conversation_id: String,
    items: Vec<Kept>,
    /// What all items take, in bytes.
    items_bytes: usize,
    items_made: u64,
    /// Is a field that nobody knows a mistake?
    is_strict: bool,
    /// Has the client been told that there is no sound? Once is enough: it sends many a second.
    told_of_audio: bool,
}

/// An item that is kept, as JSON.
#[derive(Debug)]
struct Kept {
    id: Box<str>,
    json: Box<str>,
}

impl Kept {
    /// What an item with this id and this JSON takes, in bytes.
    fn bytes_of(id: &str, json: &str) -> usize {
        size_of::<Self>() + id.len() + json.len()
    }
}

impl Session {
    /// A session with `model` that begins at `now_unix_s`, its ids drawn from `id`.
    pub fn new(id: u64, model: &str, now_unix_s: u64, is_strict: bool) -> Self {
        let key = Key::of_seed(id);
        Self {
            key,
            events: Series::of(key.named("events")),
            settings: settings::Kept::of(&ids::id("sess_", key.named("session").bits()), model, now_unix_s),
            model: model.into(),
            most: REALTIME_KEPT_BYTES_MAX,
            conversation_id: ids::id("conv_", key.named("conversation").bits()),
            items: Vec::new(),
            items_bytes: 0,
            items_made: 0,
            is_strict,
            told_of_audio: false,
        }
    }

    /// What it keeps, in bytes.
    pub fn bytes(&self) -> usize {
        self.items_bytes + self.settings.bytes()
    }

    /// From now on it may keep `most` bytes, and never more than the limit for each.
    pub fn may_keep(&mut self, most: usize) {
        self.most = most;
    }

    /// The model that its address names in `query`, if it names one.
    pub fn model_of(query: &str) -> Option<String> {
        super::read::model_of(&format!("?{query}")).filter(|model| !model.is_empty())
    }

    /// The refusal of a session without a model.
    pub fn no_model() -> ApiError {
        crate::dialect::openai::words::no_model()
    }

    /// Says that it has begun.
    pub fn greet(&mut self, out: &mut BytesMut) {
        self.tell_settings("session.created", out);
    }

    /// Says that something is refused, because of the client's event `culprit` if that had an id.
    pub fn refuse(&mut self, error: &ApiError, culprit: Option<&str>, out: &mut BytesMut) {
        self.events.error(error, culprit, out);
    }

    /// Says what is left of the budgets.
    pub fn tell_limits(&mut self, allowance: &Allowance, out: &mut BytesMut) {
        self.events.open("rate_limits.updated", out);
        out.put_slice(b",\"rate_limits\":[");
        let budgets = [("requests", allowance.requests), ("tokens", allowance.tokens)];
        let known = budgets.into_iter().filter_map(|(name, left)| Some((name, left?)));
        for (index, (name, left)) in known.enumerate() {
            out.put_slice(if index == 0 { b"{\"name\":\"" } else { b",{\"name\":\"" });
            out.put_slice(name.as_bytes());
            out.put_slice(b"\",\"limit\":");
            push_number(out, u64::from(left.limit));
            out.put_slice(b",\"remaining\":");
            push_number(out, u64::from(left.remaining));
            let ms = left.reset_ns.div_ceil(1_000_000);
            out.put_slice(format!(",\"reset_seconds\":{}.{:03}}}", ms / 1_000, ms % 1_000).as_bytes());
        }
        out.put_u8(b']');
        close(out);
    }

    /// Adds what a response has said to the conversation: items with their ids, as JSON. What finds no room is forgotten.
    pub fn remember(&mut self, output: Vec<(Box<str>, Box<str>)>) {
        for (id, json) in output {
            if self.room_for_item(&id, &json).is_ok() {
                self.keep(self.items.len(), &id, &json);
            }
        }
    }

    /// Hears what the client says. `playing` is the id of the response that is being played.
    pub fn hear(&mut self, said: &[u8], playing: Option<&str>, out: &mut BytesMut) -> Heard {
        let root = Path::root(self.is_strict);
        let event: Event<'_> = match read_json(said, root) {
            Ok(event) => event,
            Err(mistake) => {
                self.events.error(&mistake.into(), None, out);
                return Heard::Nothing;
            }
        };
        let culprit = match &event.event_id {
            Given::Is(id) => Some(Box::from(&**id)),
            _ => None,
        };
        match self.obey(event, root, playing, out) {
            Ok(Heard::Ask(ask)) => Heard::Ask(Ask { event_id: culprit, ..ask }),
            Ok(heard) => heard,
            Err(error) => {
                self.events.error(&error, culprit.as_deref(), out);
                Heard::Nothing
            }
        }
    }

    fn obey(&mut self, event: Event<'_>, root: Path<'_>, playing: Option<&str>, out: &mut BytesMut) -> Result<Heard, ApiError> {
        event.event_id.look(root.field("event_id"))?;
        let kind = event.kind.look(root.field("type"))?.ok_or_else(|| root.field("type").missing())?;
        match &**kind {
            "session.update" => self.update(event.session, root.field("session"), out)?,
            "conversation.item.create" => {
                let before = event.previous_item_id.optional(root.field("previous_item_id"))?;
                self.add(event.item, root.field("item"), before.as_deref(), out)?;
            }
            "conversation.item.delete" => {
                let index = self.find(&event, root, "delete")?;
                let gone = self.items.remove(index);
                self.items_bytes -= Kept::bytes_of(&gone.id, &gone.json);
                self.events.open("conversation.item.deleted", out);
                push_field(out, "item_id", Some(&gone.id));
                close(out);
            }
            "conversation.item.retrieve" => {
                let index = self.find(&event, root, "retrieve")?;
                self.events.open("conversation.item.retrieved", out);
                push_json(out, "item", self.items[index].json.as_bytes());
                close(out);
            }
            "conversation.item.truncate" => {
                event.content_index.look(root.field("content_index"))?;
                event.audio_end_ms.look(root.field("audio_end_ms"))?;
                self.find(&event, root, "truncate")?;
                let message = "Only model output audio messages can be truncated.";
                return Err(ApiError::invalid("item_id", message).with_code("invalid_value"));
            }
            "response.create" => return self.ask(event.response, root.field("response"), playing).map(Heard::Ask),
            "response.cancel" => {
                let wanted = event.response_id.optional(root.field("response_id"))?;
                return match playing {
                    Some(playing) if wanted.is_none_or(|wanted| wanted == playing) => Ok(Heard::Cancel),
                    _ => {
                        let message = "Cancellation failed: no active response found";
                        Err(ApiError::of_status(400, message).with_code("response_cancel_not_active"))
                    }
                };
            }
            "input_audio_buffer.append" if self.told_of_audio => {}
            "input_audio_buffer.append" | "input_audio_buffer.commit" => {
                self.told_of_audio = true;
                return Err(no_audio("type".to_owned()));
            }
            "input_audio_buffer.clear" | "output_audio_buffer.clear" => {
                let is_input = kind.starts_with("input");
                self.events.open(if is_input { "input_audio_buffer.cleared" } else { "output_audio_buffer.cleared" }, out);
                close(out);
            }
            other => return Err(root.field("type").unknown_word(other, KINDS).into()),
        }
        Ok(Heard::Nothing)
    }

    /// Takes over the settings that `raw` names.
    fn update(&mut self, raw: Option<&RawValue>, path: Path<'_>, out: &mut BytesMut) -> Result<(), ApiError> {
        let raw = raw.ok_or_else(|| path.missing())?;
        let settings: Settings<'_> = typed(raw, path)?;
        let model = settings.model.look(path.field("model"))?;
        if model.is_some_and(|model| **model != *self.model) {
            let message = "The model of a session cannot be changed. Open a new session with another model.";
            return Err(ApiError::invalid("session.model", message).with_code("cannot_update_model"));
        }
        checked(settings, path)?;
        let change = Change::read(raw).map_err(|error| path.mistake(What::NotJson(error.to_string().into())))?;
        self.room(self.items_bytes + self.settings.bytes_after(&change))?;
        self.settings.apply(change);
        self.tell_settings("session.updated", out);
        Ok(())
    }

    /// Adds the item `raw` after the item `before`, or at the end.
    fn add(&mut self, raw: Option<&RawValue>, path: Path<'_>, before: Option<&str>, out: &mut BytesMut) -> Result<(), ApiError> {
        let raw = raw.ok_or_else(|| path.missing())?;
        let item: Item<'_> = typed(raw, path)?;
        let needs_call_id = matches!(&item.kind, Given::Is(kind) if kind == "function_call");
        let id = item.id.look(path.field("id"))?.map(|id| id.to_string());
        if let Some(id) = &id {
            path.field("id").text(id, 1, 32)?;
            if self.items.iter().any(|kept| *kept.id == **id) {
                let message = format!("Error adding item: an item with the ID '{}' already exists.", excerpt(id));
                return Err(ApiError::invalid("item.id", message).with_code("item_create_duplicate_item_id"));
            }
        }
        items::message(item, path)?;
        let at = match before {
            None => self.items.len(),
            Some("root") => 0,
            Some(before) => match self.items.iter().position(|kept| *kept.id == *before) {
                Some(index) => index + 1,
                None => {
                    let message = format!("Error adding item: the previous item with id '{}' does not exist.", excerpt(before));
                    let error = ApiError::invalid("previous_item_id", message);
                    return Err(error.with_code("item_create_invalid_previous_item_id"));
                }
            },
        };
        let id = id.unwrap_or_else(|| ids::id("item_", self.key.named("item").with(self.items_made).bits()));
        self.items_made += 1;
        let mut item = items::kept(object(raw, path)?, &id);
        if needs_call_id && !item.contains_key("call_id") {
            item.insert("call_id".to_owned(), ids::id("call_", Key::of_seed(self.items_made).named(&id).bits()).into());
        }
        let json = Value::Object(item.clone()).to_string();
        self.room_for_item(&id, &json)?;
        let shown = items::shown(item);
        let previous = at.checked_sub(1).map(|index| self.items[index].id.clone());
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.events.open(kind, out);
            push_field(out, "previous_item_id", previous.as_deref());
            push_json(out, "item", shown.as_bytes());
            close(out);
        }
        self.keep(at, &id, &json);
        Ok(())
    }

    /// The document of a response that is asked for.
    fn ask(&self, raw: Option<&RawValue>, path: Path<'_>, playing: Option<&str>) -> Result<Ask, ApiError> {
        if let Some(playing) = playing {
            let message = format!(
                "Conversation already has an active response in progress: {playing}. Wait until the response is finished before \
                 creating a new one."
            );
            return Err(ApiError::of_status(400, message).with_code("conversation_already_has_active_response"));
        }
        if let Some(raw) = raw {
            check_depth(raw).map_err(|reason| path.mistake(What::NotJson(reason.into())))?;
        }
        let mut body = BytesMut::with_capacity(self.bytes() + self.items.len() + 1_024);
        body.put_slice(b"{\"type\":\"response.create\"");
        push_field(&mut body, "conversation_id", Some(&self.conversation_id));
        body.put_slice(b",\"session\":");
        self.settings.push(&mut body);
        body.put_slice(b",\"items\":[");
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                body.put_u8(b',');
            }
            body.put_slice(item.json.as_bytes());
        }
        body.put_u8(b']');
        if let Some(raw) = raw {
            push_json(&mut body, "response", raw.get().as_bytes());
        }
        body.put_u8(b'}');
        Ok(Ask { body: body.freeze(), event_id: None })
    }

    fn tell_settings(&mut self, kind: &str, out: &mut BytesMut) {
        self.events.open(kind, out);
        out.put_slice(b",\"session\":");
        self.settings.push(out);
        close(out);
    }

    /// The place of the item that `event` names, which is to be treated as `verb` says.
    fn find(&self, event: &Event<'_>, root: Path<'_>, verb: &str) -> Result<usize, ApiError> {
        let path = root.field("item_id");
        let id = event.item_id.look(path)?.ok_or_else(|| path.missing())?;
        self.items.iter().position(|kept| *kept.id == **id).ok_or_else(|| {
            let id = excerpt(id);
            let verbing = format!("{}ing", verb.strip_suffix('e').unwrap_or(verb));
            let message = format!("Error {verbing} item: the item with id '{id}' does not exist.");
            ApiError::invalid("item_id", message).with_code(format!("item_{verb}_invalid_item_id"))
        })
    }

    /// Is there room for one more item?
    fn room_for_item(&self, id: &str, json: &str) -> Result<(), ApiError> {
        if self.items.len() >= REALTIME_ITEMS_MAX {
            let message = format!("This conversation has {REALTIME_ITEMS_MAX} items, which is the most it may have.");
            return Err(ApiError::of_status(400, message).with_code("conversation_too_long"));
        }
        self.room(self.bytes() + Kept::bytes_of(id, json))
    }

    /// May it keep `bytes` bytes in all?
    fn room(&self, bytes: usize) -> Result<(), ApiError> {
        if bytes > REALTIME_KEPT_BYTES_MAX {
            let message = format!("This session and its conversation would be larger than {REALTIME_KEPT_BYTES_MAX} bytes.");
            return Err(ApiError::of_status(400, message).with_code("conversation_too_long"));
        }
        if bytes > self.most {
            let message = "The realtime sessions of this server keep too much together. Delete items, or end a session.";
            return Err(ApiError::of_status(429, message));
        }
        Ok(())
    }

    fn keep(&mut self, at: usize, id: &str, json: &str) {
        self.items_bytes += Kept::bytes_of(id, json);
        self.items.insert(at, Kept { id: id.into(), json: json.into() });
    }
}

/// `raw`, at `path`, read as a `T`.
fn typed<'de, T: crate::dialect::json::given::Shape<'de>>(raw: &'de RawValue, path: Path<'_>) -> Result<T, Mistake> {
    check_depth(raw).map_err(|reason| path.mistake(What::NotJson(reason.into())))?;
    let given: Given<T> =
        serde_json::from_str(raw.get()).map_err(|error| path.mistake(What::NotJson(error.to_string().into())))?;
    given.required(path)
}

/// The object that `raw`, at `path`, is.
fn object(raw: &RawValue, path: Path<'_>) -> Result<Map<String, Value>, Mistake> {
    serde_json::from_str(raw.get()).map_err(|error| path.mistake(What::NotJson(error.to_string().into())))
}
