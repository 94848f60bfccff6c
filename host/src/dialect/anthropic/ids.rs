//! Ids that look like the vendor's, drawn from a number: equal numbers give equal ids, in every process.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::id::{self, push_alphanumeric};
use crate::random::Stream;

/// Letters and digits after the vendor's own beginning, `01`.
const LENGTH: usize = 22;

/// The id of a message.
pub(super) fn push_message_id(out: &mut BytesMut, id: u64) {
    push(out, b"msg_01", id);
}

/// The id of a tool's use.
pub(super) fn push_tool_id(out: &mut BytesMut, id: u64) {
    push(out, b"toolu_01", id);
}

/// The id of a batch.
pub(super) fn push_batch_id(out: &mut BytesMut, id: u64) {
    push(out, b"msgbatch_01", id);
}

/// The id of a request, as header and errors have it.
pub(super) fn request_id(id: u64) -> String {
    id::text_of(|out| push(out, b"req_01", id))
}

fn push(out: &mut BytesMut, prefix: &[u8], id: u64) {
    out.put_slice(prefix);
    push_alphanumeric(out, &mut Stream::of(id), LENGTH);
}
