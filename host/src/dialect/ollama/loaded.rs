//! The answer to a request that has nothing to continue: the model is loaded now, or no longer.

use bytes::{BufMut, BytesMut};

use super::Form;
use super::metrics::push_time;
use crate::dialect::Voice;
use crate::dialect::json::splice::push_string;
use crate::types::reply::{Head, WholeReply};

/// Says that a model is loaded or unloaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    pub(super) form: Form,
    /// Is it taken out of memory?
    pub(super) unloads: bool,
}

impl Voice for Loaded {
    fn whole_type(&self) -> &'static str {
        super::JSON
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        out.put_slice(b"{\"model\":");
        push_string(out, &head.model);
        out.put_slice(b",\"created_at\":\"");
        push_time(out, head.created_unix_s, reply.last_ns);
        out.put_slice(match self.form {
            Form::Chat => b"\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"",
            Form::Generate => b"\",\"response\":\"\",\"done\":true,\"done_reason\":\"",
        });
        out.put_slice(if self.unloads { b"unload\"}" } else { b"load\"}" });
    }
}
