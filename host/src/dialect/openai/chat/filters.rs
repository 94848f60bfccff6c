//! What content filters have found, which Azure tells of every prompt and of every choice.

use crate::types::reply::Finish;

/// The first event of a stream: of the prompt alone, with nothing else in it that a chunk usually has.
pub(super) const PROMPT_CHUNK: &[u8] = b"data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\
    \"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"jailbreak\":{\"filtered\":false,\"detected\":false},\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\n\n";

/// The same in a whole reply, behind its other fields.
pub(super) const PROMPT: &[u8] = b",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\
    \"hate\":{\"filtered\":false,\"severity\":\"safe\"},\"jailbreak\":{\"filtered\":false,\"detected\":false},\
    \"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}]";

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
