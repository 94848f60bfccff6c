//! The settings of a session, as texts: what of them is never looked at could be anything, and a text takes no more than was sent.

use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::dialect::json::given::Name;
use crate::types::compact::compact;
use crate::types::limits::REALTIME_SESSION_S;

/// The settings that a client may change, and nothing else is kept of them.
const OPEN: [&str; 13] = [
    "output_modalities",
    "instructions",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "tracing",
    "truncation",
    "prompt",
    "parallel_tool_calls",
    "reasoning",
    "audio",
    "include",
    "metadata",
];

/// What is set, by name, in the order in which it is shown.
#[derive(Debug)]
pub(super) struct Kept {
    list: Vec<(Box<str>, Box<str>)>,
    bytes: usize,
}

/// Some settings that a client wants otherwise.
pub(super) struct Change(Vec<(&'static str, Box<str>)>);

impl Kept {
    /// The settings of a session `id` with `model` that begins at `now_unix_s`.
    pub(super) fn of(id: &str, model: &str, now_unix_s: u64) -> Self {
        let format = json!({"type": "audio/pcm", "rate": 24_000});
        let settings = json!({
            "type": "realtime",
            "object": "realtime.session",
            "id": id,
            "model": model,
            "output_modalities": ["text"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": null,
            "truncation": "auto",
            "prompt": null,
            "expires_at": now_unix_s + REALTIME_SESSION_S,
            "audio": {
                "input": {"format": format, "transcription": null, "noise_reduction": null, "turn_detection": null},
                "output": {"format": format, "voice": "marin", "speed": 1.0},
            },
            "include": null,
        });
        let list: Vec<(Box<str>, Box<str>)> = match settings {
            Value::Object(settings) => {
                settings.into_iter().map(|(name, value)| (name.into(), value.to_string().into())).collect()
            }
            _ => Vec::new(),
        };
        let bytes = list.iter().map(|(name, json)| name.len() + json.len()).sum();
        Self { list, bytes }
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they would take after `change`, in bytes.
    pub(super) fn bytes_after(&self, change: &Change) -> usize {
        let new = change.0.iter().map(|(name, json)| name.len() + json.len());
        let gone = change.0.iter().filter_map(|(name, _)| self.list.iter().find(|(known, _)| **known == **name));
        (self.bytes + new.sum::<usize>()).saturating_sub(gone.map(|(name, json)| name.len() + json.len()).sum())
    }

    /// Takes `change` over.
    pub(super) fn apply(&mut self, change: Change) {
        self.bytes = self.bytes_after(&change);
        for (name, json) in change.0 {
            match self.list.iter_mut().find(|(known, _)| **known == *name) {
                Some((_, known)) => *known = json,
                None => self.list.push((name.into(), json)),
            }
        }
    }

    /// Appends them as an object.
    pub(super) fn push(&self, out: &mut BytesMut) {
        out.reserve(self.bytes + 4 * self.list.len() + 2);
        for (index, (name, json)) in self.list.iter().enumerate() {
            out.put_slice(if index == 0 { b"{\"" } else { b",\"" });
            out.put_slice(name.as_bytes());
            out.put_slice(b"\":");
            out.put_slice(json.as_bytes());
        }
        out.put_u8(b'}');
    }
}

impl Change {
    /// What the object `raw` says of settings that may be changed; `null` says nothing.
    pub(super) fn read(raw: &RawValue) -> serde_json::Result<Self> {
        serde_json::Deserializer::from_str(raw.get()).deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Change;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Change, A::Error> {
        let mut list: Vec<(&'static str, &RawValue)> = Vec::new();
        while let Some(Name(name)) = entries.next_key()? {
            let Some(name) = OPEN.into_iter().find(|open| **open == *name) else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = entries.next_value()?;
            // Of two equal names the last one counts.
            list.retain(|(known, _)| *known != name);
            list.push((name, value));
        }
        let set = list.into_iter().filter(|(_, value)| value.get() != "null");
        // An event is one line.
        Ok(Change(set.map(|(name, value)| (name, compact(value.get()).into())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> Change {
        Change::read(serde_json::from_str(json).unwrap()).unwrap()
    }

    fn shown(kept: &Kept) -> Value {
        let mut out = BytesMut::new();
        kept.push(&mut out);
        assert!(!out.contains(&b'\n'));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn what_is_changed_takes_the_place_of_what_was_and_what_is_unknown_is_not_kept() {
        let mut kept = Kept::of("sess_1", "m", 1);
        let before = kept.bytes();
        kept.apply(change(
            r#"{"model":"x","fun":[1],"tracing":null,"instructions":"no","instructions":"be brief", "audio": { "a" : [ 1,
            2 ] }, "metadata":{"k":"v w"}}"#,
        ));
        let settings = shown(&kept);
        assert_eq!(
            (&settings["model"], &settings["instructions"], &settings["audio"], &settings["metadata"], settings.get("fun")),
            (&json!("m"), &json!("be brief"), &json!({"a": [1, 2]}), &json!({"k": "v w"}), None)
        );
        let sum = |kept: &Kept| kept.list.iter().map(|(name, json)| name.len() + json.len()).sum::<usize>();
        assert_eq!((kept.bytes(), sum(&Kept::of("sess_1", "m", 1))), (sum(&kept), before));
        let bytes = kept.bytes_after(&change(r#"{"metadata":{}}"#));
        assert_eq!(bytes, kept.bytes() - r#"{"k":"v w"}"#.len() + 2);
    }
}
