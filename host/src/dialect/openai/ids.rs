//! Ids that look like the vendor's, drawn from a number: equal numbers give equal ids, in every process.
//!
//! The prefixes and lengths are those of the real service, because gateways and log filters match on them.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::id::{push_alphanumeric, push_hex};
use crate::random::Stream;

/// The id of a reply.
pub(super) fn push_reply_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"chatcmpl-");
    push_alphanumeric(out, &mut Stream::of(id), 29);
}

/// The id of a completion of raw text.
pub(super) fn push_completion_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"cmpl-");
    push_alphanumeric(out, &mut Stream::of(id), 29);
}

/// The id of a moderation.
pub(super) fn push_moderation_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"modr-");
    push_alphanumeric(out, &mut Stream::of(id), 29);
}

/// The id of a tool call.
pub(super) fn push_call_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"call_");
    push_alphanumeric(out, &mut Stream::of(id), 24);
}

/// The fingerprint of what answers.
pub(super) fn push_fingerprint(out: &mut BytesMut, fingerprint: u64) {
    out.put_slice(b"fp_");
    push_hex(out, &mut Stream::of(fingerprint), 10);
}

/// The id of a request, as the header has it.
pub(super) fn push_request_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"req_");
    push_hex(out, &mut Stream::of(id), 32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::id::text_of as text;

    #[test]
    fn an_id_depends_on_its_number_alone() {
        assert_eq!(text(|out| push_reply_id(out, 7)), text(|out| push_reply_id(out, 7)));
        assert_ne!(text(|out| push_reply_id(out, 7)), text(|out| push_reply_id(out, 8)));
    }

    #[test]
    fn ids_have_the_vendors_form() {
        let id = text(|out| push_reply_id(out, 0));
        assert!(id.starts_with("chatcmpl-") && id.len() == 38 && id[9..].bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        assert_eq!(text(|out| push_call_id(out, 1)).len(), 29);
        assert_eq!(text(|out| push_request_id(out, 1)).len(), 36);
    }
}
