//! What all events of the server have in common, and the error among them.

use bytes::{BufMut, BytesMut};

use super::ids::push_id;
use crate::dialect::json::splice::{push_nullable, push_string};
use crate::dialect::openai::error::{Said, said};
use crate::random::Key;
use crate::types::api_error::ApiError;

/// Numbers the events of one series, so that each has an id of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    key: Key,
    count: u64,
}

impl Series {
    /// The events drawn below `key`.
    pub(super) fn of(key: Key) -> Self {
        Self { key, count: 0 }
    }

    /// Begins the next event, up to its own fields: `{"type":"…","event_id":"…"`.
    pub(super) fn open(&mut self, kind: &str, out: &mut BytesMut) {
        out.put_slice(b"{\"type\":\"");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",\"event_id\":\"");
        push_id(out, "event_", self.key.with(self.count).bits());
        out.put_u8(b'"');
        self.count += 1;
    }

    /// An error, because of the client's event `culprit` if that had an id.
    pub(super) fn error(&mut self, error: &ApiError, culprit: Option<&str>, out: &mut BytesMut) {
        self.open("error", out);
        let Said { message, kind, param, code } = said(error);
        out.put_slice(b",\"error\":{\"type\":");
        push_string(out, kind);
        out.put_slice(b",\"code\":");
        push_nullable(out, code.as_deref());
        out.put_slice(b",\"message\":");
        push_string(out, &message);
        out.put_slice(b",\"param\":");
        // A session has items, and no messages.
        push_nullable(out, param.as_deref().filter(|param| *param != "messages"));
        out.put_slice(b",\"event_id\":");
        push_nullable(out, culprit);
        out.put_slice(b"}}\n");
    }
}

/// Appends the field `name` with a text.
pub(super) fn push_field(out: &mut BytesMut, name: &str, text: Option<&str>) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    push_nullable(out, text);
}

/// Appends the field `name` with `json`.
pub(super) fn push_json(out: &mut BytesMut, name: &str, json: &[u8]) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    out.put_slice(json);
}

/// Ends an event.
pub(super) fn close(out: &mut BytesMut) {
    out.put_slice(b"}\n");
}
