//! Vectors in JSON: as numbers, or as base64 of little-endian floats of 32 bits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::Vectors;
use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::stats::embedding::{DECIMALS, embed};
use crate::types::reply::Head;
use crate::types::usage::Usage;

/// Bytes of one number at most, its comma included: a sign, a digit, a point and the decimals.
const NUMBER_BYTES: usize = DECIMALS + 4;

/// Appends the body.
pub(super) fn push_reply(out: &mut BytesMut, head: &Head, vectors: &Vectors, usage: &Usage) {
    let bytes = if vectors.base64 { vectors.dimensions * 16 / 3 } else { vectors.dimensions * NUMBER_BYTES };
    out.reserve(160 + head.model.len() + vectors.texts.len() * (64 + bytes));
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    for (index, text) in vectors.texts.iter().enumerate() {
        out.put_slice(if index == 0 {
            b"{\"object\":\"embedding\",\"index\":"
        } else {
            b",{\"object\":\"embedding\",\"index\":"
        });
        push_number(out, index as u64);
        out.put_slice(b",\"embedding\":");
        let vector = embed(text, vectors.dimensions);
        if vectors.base64 {
            push_base64(out, &vector);
        } else {
            push_numbers(out, &vector);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b"],\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"usage\":{\"prompt_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"total_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b"}}");
}

fn push_base64(out: &mut BytesMut, vector: &[f32]) {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.put_u8(b'"');
    out.put_slice(STANDARD.encode(bytes).as_bytes());
    out.put_u8(b'"');
}

/// Appends numbers with as many decimals as vectors have.
fn push_numbers(out: &mut BytesMut, vector: &[f32]) {
    let one = 10_u64.pow(DECIMALS as u32);
    out.put_u8(b'[');
    push_each(out, vector.iter(), |out, value| {
        let scaled = (f64::from(value.abs()) * one as f64).round() as u64;
        if *value < 0.0 {
            out.put_u8(b'-');
        }
        push_number(out, scaled / one);
        out.put_u8(b'.');
        let mut unit = one / 10;
        while unit > 0 {
            out.put_u8(b'0' + (scaled / unit % 10) as u8);
            unit /= 10;
        }
    });
    out.put_u8(b']');
}
