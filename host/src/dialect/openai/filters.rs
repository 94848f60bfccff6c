//! What content filters have found, which Azure tells of every prompt and of every choice.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::splice::push_number;
use crate::types::reply::Finish;

/// Of one prompt, behind its number.
const PROMPT: &[u8] = b",\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"jailbreak\":{\"filtered\":false,\"detected\":false},\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}";

/// Appends what is found in `count` prompts, beginning with a comma.
pub(super) fn push_prompts(out: &mut BytesMut, count: usize) {
    out.put_slice(b",\"prompt_filter_results\":[");
    for index in 0..count {
        out.put_slice(if index == 0 { b"{\"prompt_index\":" } else { b",{\"prompt_index\":" });
        push_number(out, index as u64);
        out.put_slice(PROMPT);
    }
    out.put_u8(b']');
}

/// Appends the first event of a stream: of the prompts alone, with nothing else in it that a chunk usually has.
pub(super) fn push_prompt_chunk(out: &mut BytesMut, count: usize) {
    out.put_slice(b"data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\"");
    push_prompts(out, count);
    out.put_slice(b"}\n\n");
}

/// Of a choice or a part of one, before its other fields.
const SAFE: &[u8] = b"\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"violence\":{\"filtered\":false,\"severity\":\"safe\"}},";
/// The same where a filter ended the choice.
const FILTERED: &[u8] = b"\"content_filter_results\":{\"hate\":{\"filtered\":true,\"severity\":\"high\"},\
    \"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"violence\":{\"filtered\":false,\"severity\":\"safe\"}},";
/// The same of a part without a text.
const NOTHING: &[u8] = b"\"content_filter_results\":{},";

/// What is found in a chunk of `text_bytes`.
pub(super) fn of_chunk(text_bytes: usize) -> &'static [u8] {
    if text_bytes == 0 { NOTHING } else { SAFE }
}

/// What is found in a choice that ends with `finish`; `is_last` if this is only its last chunk.
pub(super) fn of_end(finish: Finish, is_last: bool) -> &'static [u8] {
    match finish {
        Finish::ContentFilter => FILTERED,
        _ if is_last => NOTHING,
        _ => SAFE,
    }
}
