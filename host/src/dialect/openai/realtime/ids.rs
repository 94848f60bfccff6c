//! Ids that look like the vendor's, drawn from a number.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::id::{push_alphanumeric, text_of};
use crate::random::Stream;

/// Letters and digits of an id after its prefix.
const LETTERS: usize = 21;

/// Appends an id with `prefix`, drawn from `bits`.
pub(super) fn push_id(out: &mut BytesMut, prefix: &str, bits: u64) {
    out.put_slice(prefix.as_bytes());
    push_alphanumeric(out, &mut Stream::of(bits), LETTERS);
}

/// The same as a text.
pub(super) fn id(prefix: &str, bits: u64) -> String {
    text_of(|out| push_id(out, prefix, bits))
}
