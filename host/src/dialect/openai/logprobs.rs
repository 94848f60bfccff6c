//! Log probabilities that nobody computed: plausible, negative, sorted, and the same for the same seed.
//!
//! A token's probability is one of a few typical ones with a little noise. Alternatives share what is left, each at most half as
//! likely as the one before, so that all together never exceed 1. Everything is integer arithmetic on micro-nats.

use bytes::{BufMut, BytesMut};

use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::random::Stream;

/// `(-ln p, -ln (1 - p))` in micro-nats for p = 0.999, 0.99, 0.97, 0.93, 0.87, 0.75, 0.6 and 0.4: confident more often than not,
/// and always likelier than any alternative.
static TYPICAL: [(u64, u64); 8] = [
    (1_001, 6_907_755),
    (10_050, 4_605_170),
    (30_459, 3_506_558),
    (72_571, 2_659_260),
    (139_262, 2_040_221),
    (287_682, 1_386_294),
    (510_826, 916_291),
    (916_291, 510_826),
];
const LN_2_MICRO: u64 = 693_148;

/// Tokens that are offered as alternatives; more than the most that can be asked for, so that leaving one out leaves enough.
static ALTERNATIVES: [&str; 24] = [
    " the", " a", " of", " and", " to", " in", " is", " that", " it", " for", " on", " with", ",", ".", " as", " by", " this",
    " are", " an", " be", " we", " not", " or", " can",
];

/// Appends one entry of `logprobs.content` for the token `text`, with `alternatives` entries in its `top_logprobs`.
pub(in crate::dialect) fn push_entry(out: &mut BytesMut, text: &str, seed: u64, alternatives: u8) {
    push_entry_of(out, text, seed, alternatives, push_token);
}

/// The same without the tokens' bytes.
pub(super) fn push_bare_entry(out: &mut BytesMut, text: &str, seed: u64, alternatives: u8) {
    push_entry_of(out, text, seed, alternatives, push_bare_token);
}

fn push_entry_of(out: &mut BytesMut, text: &str, seed: u64, alternatives: u8, push: impl Fn(&mut BytesMut, &str, u64)) {
    let drawn = Drawn::of(seed);
    push(out, text, drawn.own);
    out.put_slice(b",\"top_logprobs\":[");
    if alternatives > 0 {
        push(out, text, drawn.own);
        out.put_u8(b'}');
    }
    drawn.others(text, alternatives.saturating_sub(1), |other, micro| {
        out.put_u8(b',');
        push(out, other, micro);
        out.put_u8(b'}');
    });
    out.put_slice(b"]}");
}

/// Appends the log probability of a token alone.
pub(super) fn push_value(out: &mut BytesMut, seed: u64) {
    push_micro(out, micro_of(seed));
}

/// Appends an object with the log probabilities of the token `text` and of its alternatives, `alternatives` in all but one at least.
pub(super) fn push_map(out: &mut BytesMut, text: &str, seed: u64, alternatives: u8) {
    let mut first = true;
    each(text, seed, alternatives, |text, micro| {
        out.put_u8(if std::mem::take(&mut first) { b'{' } else { b',' });
        push_string(out, text);
        out.put_u8(b':');
        push_micro(out, micro);
    });
    out.put_u8(b'}');
}

/// Gives the token `text` to `found` and then its alternatives, `alternatives` in all but one at least, each with its log probability in
/// millionths below 0.
pub(in crate::dialect) fn each(text: &str, seed: u64, alternatives: u8, mut found: impl FnMut(&str, u64)) {
    let drawn = Drawn::of(seed);
    found(text, drawn.own);
    drawn.others(text, alternatives.saturating_sub(1), found);
}

/// The log probability of a token alone, in millionths below 0.
pub(in crate::dialect) fn micro_of(seed: u64) -> u64 {
    Drawn::of(seed).own
}

/// What is drawn for one token.
struct Drawn {
    /// What the token itself has, in micro-nats below 0.
    own: u64,
    /// What is left for all others.
    rest: u64,
    stream: Stream,
}

impl Drawn {
    fn of(seed: u64) -> Self {
        let mut stream = Stream::of(seed);
        let (own, rest) = TYPICAL[stream.below(8) as usize];
        // Noise only takes probability away, so that the sum stays below 1.
        let own = own + u64::from(stream.below(9_000));
        Self { own, rest, stream }
    }

    /// Gives `count` alternatives to `text`, each less likely than the one before.
    fn others(mut self, text: &str, count: u8, mut each: impl FnMut(&str, u64)) {
        let first = self.stream.below(ALTERNATIVES.len() as u32) as usize;
        let others = ALTERNATIVES.iter().cycle().skip(first).filter(|other| **other != text);
        let mut micro = self.rest;
        for other in others.take(usize::from(count)) {
            micro += LN_2_MICRO + u64::from(self.stream.below(200_000));
            each(other, micro);
        }
    }
}

/// Appends a token with its probability, the object left open.
fn push_token(out: &mut BytesMut, text: &str, minus_micro: u64) {
    push_bare_token(out, text, minus_micro);
    out.put_slice(b",\"bytes\":[");
    push_each(out, text.bytes(), |out, byte| push_number(out, u64::from(byte)));
    out.put_u8(b']');
}

/// The same without the token's bytes.
fn push_bare_token(out: &mut BytesMut, text: &str, minus_micro: u64) {
    out.put_slice(b"{\"token\":");
    push_string(out, text);
    out.put_slice(b",\"logprob\":");
    push_micro(out, minus_micro);
}

/// Appends a negative number that is given in millionths.
pub(in crate::dialect) fn push_micro(out: &mut BytesMut, minus_micro: u64) {
    out.put_u8(b'-');
    push_number(out, minus_micro / 1_000_000);
    out.put_u8(b'.');
    let mut unit = 100_000;
    while unit > 0 {
        out.put_u8(b'0' + (minus_micro / unit % 10) as u8);
        unit /= 10;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn entry(text: &str, seed: u64, alternatives: u8) -> Value {
        let mut out = BytesMut::new();
        push_entry(&mut out, text, seed, alternatives);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn alternatives_are_sorted_distinct_and_sum_to_at_most_one() {
        for seed in 0..2_000 {
            let entry = entry(" the", seed, 20);
            let top = entry["top_logprobs"].as_array().unwrap();
            assert_eq!(top.len(), 20);
            assert_eq!((&top[0]["token"], &top[0]["logprob"]), (&entry["token"], &entry["logprob"]));
            let values: Vec<f64> = top.iter().map(|one| one["logprob"].as_f64().unwrap()).collect();
            assert!(values.iter().all(|value| *value < 0.0) && values.is_sorted_by(|a, b| a > b), "seed {seed}: {values:?}");
            assert!(values.iter().map(|value| value.exp()).sum::<f64>() <= 1.0, "seed {seed}: {values:?}");
            let tokens: std::collections::BTreeSet<&str> = top.iter().map(|one| one["token"].as_str().unwrap()).collect();
            assert_eq!(tokens.len(), 20);
        }
    }

    #[test]
    fn a_bare_entry_is_the_same_without_bytes() {
        let mut out = BytesMut::new();
        push_bare_entry(&mut out, "Hi", 7, 2);
        let mut whole = entry("Hi", 7, 2);
        whole.as_object_mut().unwrap().remove("bytes");
        for each in whole["top_logprobs"].as_array_mut().unwrap() {
            each.as_object_mut().unwrap().remove("bytes");
        }
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), whole);
    }

    #[test]
    fn bytes_are_those_of_the_token() {
        assert_eq!(entry("é\n", 1, 0)["bytes"], serde_json::json!([195, 169, 10]));
        assert_eq!(entry("x", 1, 0)["top_logprobs"], serde_json::json!([]));
    }
}
