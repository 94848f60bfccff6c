//! Judgements in JSON.

use bytes::{BufMut, BytesMut};

use super::Input;
use super::judge::{CATEGORIES, FLAGGED_MICRO, scores};
use crate::dialect::json::splice::{push_each, push_string};
use crate::dialect::openai::ids::push_moderation_id;
use crate::types::reply::Head;

/// Appends the body.
pub(super) fn push_reply(out: &mut BytesMut, head: &Head, inputs: &[Input]) {
    out.reserve(64 + inputs.len() * 1_200);
    out.put_slice(b"{\"id\":\"");
    push_moderation_id(out, head.id);
    out.put_slice(b"\",\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"results\":[");
    push_each(out, inputs.iter(), push_result);
    out.put_slice(b"]}");
}

fn push_result(out: &mut BytesMut, input: &Input) {
    let mut scores = scores(&input.text);
    if input.has_images {
        let of_images = self::scores(&input.images);
        for ((score, of_images), (_, takes_images)) in scores.iter_mut().zip(of_images).zip(CATEGORIES) {
            if takes_images {
                *score = of_images.max(*score);
            }
        }
    }
    // By what has not been looked at, nothing is found.
    for (score, (_, takes_images)) in scores.iter_mut().zip(CATEGORIES) {
        if !input.has_text && !takes_images {
            *score = 0;
        }
    }
    let is_flagged = scores.iter().any(|score| *score >= FLAGGED_MICRO);
    out.put_slice(if is_flagged { b"{\"flagged\":true,\"categories\":" } else { b"{\"flagged\":false,\"categories\":" });
    each(out, |out, index| out.put_slice(if scores[index] >= FLAGGED_MICRO { b"true" } else { b"false" }));
    out.put_slice(b",\"category_scores\":");
    each(out, |out, index| {
        out.put_slice(b"0.");
        let mut unit = 100_000;
        while unit > 0 {
            out.put_u8(b'0' + (scores[index] / unit % 10) as u8);
            unit /= 10;
        }
    });
    out.put_slice(b",\"category_applied_input_types\":");
    each(out, |out, index| {
        out.put_slice(match (input.has_text, input.has_images && CATEGORIES[index].1) {
            (true, true) => b"[\"text\",\"image\"]",
            (true, false) => b"[\"text\"]",
            (false, true) => b"[\"image\"]",
            (false, false) => b"[]",
        });
    });
    out.put_u8(b'}');
}

/// Appends an object with a value for each category.
fn each(out: &mut BytesMut, mut value: impl FnMut(&mut BytesMut, usize)) {
    for (index, (name, _)) in CATEGORIES.iter().enumerate() {
        out.put_u8(if index == 0 { b'{' } else { b',' });
        push_string(out, name);
        out.put_u8(b':');
        value(out, index);
    }
    out.put_u8(b'}');
}
