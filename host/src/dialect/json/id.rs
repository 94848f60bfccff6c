//! Letters, digits and hexadecimal digits drawn from a number: what vendors' ids are made of.

use bytes::{BufMut, BytesMut};

use super::splice::hex;
use crate::random::Stream;

/// Appends `count` random letters and digits.
pub(crate) fn push_alphanumeric(out: &mut BytesMut, stream: &mut Stream, count: usize) {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut left = count;
    while left > 0 {
        // One draw is good for eight letters: each multiplication takes the high part and leaves the rest for the next.
        let mut bits = stream.bits();
        let letters: [u8; 8] = std::array::from_fn(|_| {
            let product = u128::from(bits) * 62;
            bits = product as u64;
            LETTERS[(product >> 64) as usize]
        });
        out.put_slice(&letters[..left.min(8)]);
        left = left.saturating_sub(8);
    }
}

/// Appends `count` random hexadecimal digits.
pub(crate) fn push_hex(out: &mut BytesMut, stream: &mut Stream, count: usize) {
    let mut left = count;
    while left > 0 {
        let bits = stream.bits();
        let digits: [u8; 16] = std::array::from_fn(|digit| hex((bits >> (4 * digit)) as u8));
        out.put_slice(&digits[..left.min(16)]);
        left = left.saturating_sub(16);
    }
}

/// What `push` appends, which is ASCII.
pub(crate) fn text_of(push: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    push(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
