//! Bytes that all answers share: escaped JSON text, numbers, ids.

use bytes::{BufMut, BytesMut};

use crate::random::Stream;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends `text` as the inside of a JSON string.
pub(super) fn escaped(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.put_slice(&bytes[clean..index]);
        clean = index + 1;
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\u00");
                out.put_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
    }
    out.put_slice(&bytes[clean..]);
}

/// Appends `text` as a JSON string.
pub(super) fn quoted(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    escaped(out, text);
    out.put_u8(b'"');
}

/// Appends a number.
pub(super) fn number(out: &mut BytesMut, number: u64) {
    let mut digits = [0_u8; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// Appends `prefix` and `length` letters and digits drawn from `seed`.
pub(super) fn id(out: &mut BytesMut, prefix: &[u8], seed: u64, length: usize) {
    out.put_slice(prefix);
    let mut draws = Stream::of(seed);
    let mut bits = 0_u64;
    for index in 0..length {
        // Ten letters of 62 fit into 64 bits.
        if index % 10 == 0 {
            bits = draws.bits();
        }
        out.put_u8(ALPHABET[(bits % 62) as usize]);
        bits /= 62;
    }
}

/// Appends OpenAI's fingerprint of a deployment.
pub(super) fn fingerprint(out: &mut BytesMut, seed: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.put_slice(b"\"fp_");
    (0..10).for_each(|digit| out.put_u8(HEX[(seed >> (digit * 4)) as usize & 15]));
    out.put_u8(b'"');
}
