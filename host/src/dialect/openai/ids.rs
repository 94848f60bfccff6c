//! Ids that look like the vendor's, drawn from a number: equal numbers give equal ids, in every process.
//!
//! The prefixes and lengths are those of the real service, because gateways and log filters match on them.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::id::{push_alphanumeric, push_hex};
use crate::dialect::json::splice::hex;
use crate::random::{Key, Stream};

/// The id of a reply.
pub(super) fn push_reply_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"chatcmpl-");
    push_alphanumeric(out, &mut Stream::of(id), 29);
}

/// The id of a response, or of its item `index`: `prefix`, random digits, and at its end the digits of the reply's number. So ids of one
/// response end alike, as the vendor's do, and an item's id tells of which response it is.
pub(super) fn push_response_id(out: &mut BytesMut, prefix: &str, reply: u64, index: Option<usize>) {
    out.put_slice(prefix.as_bytes());
    let key = Key::of_seed(reply);
    let key = index.map_or(key, |index| key.with(index as u64));
    push_hex(out, &mut key.stream(), 32);
    (0..16).rev().for_each(|digit| out.put_u8(hex((reply >> (4 * digit) & 15) as u8)));
}

/// The digits at the end of an id of a response or item that its ids have in common.
pub(super) fn common_end(id: &str) -> &str {
    id.get(id.len().saturating_sub(16)..).unwrap_or(id)
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

/// The id of a file.
pub(super) fn push_file_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"file-");
    push_alphanumeric(out, &mut Stream::of(id), 22);
}

/// The id of a batch.
pub(super) fn push_batch_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"batch_");
    push_hex(out, &mut Stream::of(id), 32);
}

/// The id of one request of a batch.
pub(super) fn push_batch_request_id(out: &mut BytesMut, id: u64) {
    out.put_slice(b"batch_req_");
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
        let response = text(|out| push_response_id(out, "resp_", 0xabc, None));
        let item = text(|out| push_response_id(out, "msg_", 0xabc, Some(0)));
        assert_eq!((response.len(), item.len()), (53, 52));
        assert_eq!((common_end(&response), common_end(&item)), ("0000000000000abc", "0000000000000abc"));
        assert_ne!(response[5..37], item[4..36]);
        assert_eq!(common_end("é"), "é");
        assert_eq!(text(|out| push_request_id(out, 1)).len(), 36);
    }
}
