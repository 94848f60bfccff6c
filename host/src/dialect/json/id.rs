//! Letters, digits and hexadecimal digits drawn from a number: what vendors' ids are made of.

use bytes::{BufMut, BytesMut};

use super::splice::hex;
use crate::random::Stream;

/// Appends `count` random letters and digits.
pub(crate) fn push_alphanumeric(out: &mut BytesMut, stream: &mut Stream, count: usize) {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bits = 0;
    for index in 0..count {
        // One draw is good for eight letters: each multiplication takes the high part and leaves the rest for the next.
        if index % 8 == 0 {
            bits = stream.bits();
        }
        let product = u128::from(bits) * 62;
        out.put_u8(LETTERS[(product >> 64) as usize]);
        bits = product as u64;
    }
}

/// Appends `count` random hexadecimal digits.
pub(crate) fn push_hex(out: &mut BytesMut, stream: &mut Stream, count: usize) {
    let mut bits = 0;
    for index in 0..count {
        if index % 16 == 0 {
            bits = stream.bits();
        }
        out.put_u8(hex((bits & 15) as u8));
        bits >>= 4;
    }
}

/// What `push` appends, which is ASCII.
pub(crate) fn text_of(push: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    push(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
