//! Log probabilities: plausible numbers drawn from the token's seed. A likely token most of the time, now and then an unlikely one.

use bytes::{BufMut, BytesMut};

use crate::dialect::openai::text;
use crate::random::Stream;

/// Tokens that stand in for the alternatives a model had.
const ALTERNATIVES: [&str; 24] = [
    " the", " a", " and", ",", ".", " to", " of", " in", " is", " it", " that", " for", " with", " as", " on", " this", " be", " at",
    " or", " an", " by", " so", " but", " we",
];

/// Appends one entry for `token` with `count` alternatives, the token itself among them.
pub(super) fn entry(out: &mut BytesMut, token: &str, seed: u64, count: u8) {
    let mut draws = Stream::of(seed);
    // Cubed, a uniform draw is near zero most of the time: a confident model.
    let unit = draws.unit();
    let mut logprob = -(unit * unit * unit) * 3.0 - 1e-6;
    out.put_slice(b"{");
    pair(out, token, logprob);
    out.put_slice(b",\"top_logprobs\":[");
    let start = draws.below(ALTERNATIVES.len() as u32) as usize;
    let others = (0..ALTERNATIVES.len()).map(|index| ALTERNATIVES[(start + index) % ALTERNATIVES.len()]);
    let shown = std::iter::once(token).chain(others.filter(|other| *other != token)).take(usize::from(count));
    for (index, alternative) in shown.enumerate() {
        if index > 0 {
            out.put_u8(b',');
            logprob -= 0.2 + draws.unit() * 2.0;
        }
        out.put_u8(b'{');
        pair(out, alternative, logprob);
        out.put_u8(b'}');
    }
    out.put_slice(b"]}");
}

fn pair(out: &mut BytesMut, token: &str, logprob: f64) {
    out.put_slice(b"\"token\":");
    text::quoted(out, token);
    out.put_slice(b",\"logprob\":");
    // Millionths, written as an integer part and six digits: no formatting machinery per token.
    let millionths = (-logprob * 1e6).round() as u64;
    out.put_u8(b'-');
    text::number(out, millionths / 1_000_000);
    out.put_u8(b'.');
    let fraction = millionths % 1_000_000;
    (0..6).rev().for_each(|digit| out.put_u8(b'0' + (fraction / 10_u64.pow(digit) % 10) as u8));
    out.put_slice(b",\"bytes\":[");
    for (index, byte) in token.bytes().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        text::number(out, byte.into());
    }
    out.put_u8(b']');
}
