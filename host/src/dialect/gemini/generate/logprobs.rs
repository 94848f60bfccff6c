//! Log probabilities in the vendor's shape: the tokens that were taken, the best ones at each step, and what they come to.

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::dialect::openai::logprobs::{each, micro_of, push_micro};

/// How many tokens the vendor's vocabulary has, as that of its open models does.
const VOCABULARY: u64 = 262_144;

/// What the tokens of a candidate come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    minus_micro: u64,
    tokens: u64,
}

impl Sum {
    /// Adds a token.
    pub(super) fn add(&mut self, seed: u64) {
        self.minus_micro += micro_of(seed);
        self.tokens += 1;
    }

    /// Appends the average, beginning with a comma; nothing if there are no tokens.
    pub(super) fn push_average(self, out: &mut BytesMut) {
        if let Some(average) = self.minus_micro.checked_div(self.tokens) {
            out.put_slice(b",\"avgLogprobs\":");
            push_micro(out, average);
        }
    }
}

/// Appends the log probabilities of `tokens`, each a text with its seed, with the `best` tokens at each step, beginning with a comma.
pub(super) fn push<'a>(out: &mut BytesMut, tokens: impl Iterator<Item = (&'a str, u64)> + Clone, best: u8) {
    out.put_slice(b",\"logprobsResult\":{");
    if best > 0 {
        out.put_slice(b"\"topCandidates\":[");
        for (index, (text, seed)) in tokens.clone().enumerate() {
            out.put_slice(if index == 0 { b"{\"candidates\":[" } else { b",{\"candidates\":[" });
            let mut first = true;
            each(text, seed, best, |text, micro| {
                if !std::mem::take(&mut first) {
                    out.put_u8(b',');
                }
                push_token(out, text, micro);
            });
            out.put_slice(b"]}");
        }
        out.put_slice(b"],");
    }
    out.put_slice(b"\"chosenCandidates\":[");
    let mut sum = Sum::default();
    push_each(out, tokens, |out, (text, seed)| {
        push_token(out, text, micro_of(seed));
        sum.add(seed);
    });
    out.put_slice(b"],\"logProbabilitySum\":");
    push_micro(out, sum.minus_micro);
    out.put_u8(b'}');
}

/// A token has a number of its own, the same wherever it occurs.
fn push_token(out: &mut BytesMut, text: &str, minus_micro: u64) {
    out.put_slice(b"{\"token\":");
    push_string(out, text);
    out.put_slice(b",\"tokenId\":");
    push_number(out, xxh3_64(text.as_bytes()) % VOCABULARY);
    out.put_slice(b",\"logProbability\":");
    push_micro(out, minus_micro);
    out.put_u8(b'}');
}
