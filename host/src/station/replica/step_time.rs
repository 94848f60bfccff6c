//! How long one step of the engine takes: a sum of five terms with integer coefficients.
//!
//! Time inside a replica is counted in picoseconds, so that a sum of a million steps is exact and equals one multiplication.
//! What is reported is rounded up to nanoseconds: nothing is ever said to have happened before it did.

use crate::clock::Nanos;
use crate::types::limits::STEP_COEFFICIENT_PS_MAX;

/// A moment or a length in picoseconds; moments count from the beginning of the run.
pub(super) type Picos = u128;

/// The moment `at` in picoseconds.
pub(super) const fn picos(at: Nanos) -> Picos {
    at as Picos * 1_000
}

/// The first whole nanosecond at or after `at`; the last one there is for moments beyond 584 years.
pub(super) const fn nanos(at: Picos) -> Nanos {
    let nanos = at.div_ceil(1_000);
    if nanos > Nanos::MAX as Picos { Nanos::MAX } else { nanos as Nanos }
}

/// A length as it is told: more than 213 days counts as that.
pub(super) const fn told(length: Picos) -> u64 {
    if length > u64::MAX as Picos { u64::MAX } else { length as u64 }
}

/// The coefficients of one step, in picoseconds (`10^-12` s). With `n` sequences that decode, `K` the tokens that these attend to
/// (prompt and output so far), and prefill chunks of `p` tokens behind `s` tokens that are there already:
///
/// ```text
/// step = base + per_prefill_token · Σp + per_sequence · n + per_kv_token · K + per_prefill_pair · Σ p·(s + p/2)
/// ```
///
/// The first four terms are what a linear fit of measured steps needs (weights read once; compute bound prefill; launch and sampling
/// per sequence; the KV cache read by attention). The last is causal attention inside long prompts. Each is at most
/// [`STEP_COEFFICIENT_PS_MAX`]; more counts as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepTime {
    /// What every step takes, in ps: 5 to 20 ms for an 8 B model, which is 5 to 20 · 10^9.
    pub base_ps: u64,
    /// For each token of prompt that is computed, in ps.
    pub per_prefill_token_ps: u64,
    /// For each sequence that decodes, in ps.
    pub per_sequence_ps: u64,
    /// For each token in the KV cache of the sequences that decode, in ps.
    pub per_kv_token_ps: u64,
    /// For each pair of a prompt's token and a token before it, in ps; 0 leaves the term out. Half a picosecond is cut off once a chunk.
    pub per_prefill_pair_ps: u64,
}

impl StepTime {
    /// With no coefficient beyond its limit.
    pub(super) fn bounded(self) -> Self {
        let bound = |coefficient: u64| coefficient.min(STEP_COEFFICIENT_PS_MAX);
        Self {
            base_ps: bound(self.base_ps),
            per_prefill_token_ps: bound(self.per_prefill_token_ps),
            per_sequence_ps: bound(self.per_sequence_ps),
            per_kv_token_ps: bound(self.per_kv_token_ps),
            per_prefill_pair_ps: bound(self.per_prefill_pair_ps),
        }
    }

    /// The decoding part of a step for `sequences` that attend to `context` tokens, in ps.
    pub(super) fn decode(&self, sequences: u32, context: u64) -> Picos {
        Picos::from(self.base_ps)
            + Picos::from(self.per_sequence_ps) * Picos::from(sequences)
            + Picos::from(self.per_kv_token_ps) * Picos::from(context)
    }

    /// What a chunk of `tokens` behind `before` tokens adds, in ps.
    pub(super) fn prefill(&self, before: u32, tokens: u32) -> Picos {
        let (before, tokens) = (Picos::from(before), Picos::from(tokens));
        Picos::from(self.per_prefill_token_ps) * tokens
            + Picos::from(self.per_prefill_pair_ps) * tokens * (2 * before + tokens) / 2
    }

    /// By how much a step of `sequences` is longer than the one before it, because each has one more token in its cache.
    pub(super) fn growth(&self, sequences: u32) -> Picos {
        Picos::from(self.per_kv_token_ps) * Picos::from(sequences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_sum_of_its_terms() {
        let step =
            StepTime { base_ps: 1_000, per_prefill_token_ps: 7, per_sequence_ps: 50, per_kv_token_ps: 3, per_prefill_pair_ps: 2 };
        assert_eq!(step.decode(4, 100), 1_000 + 4 * 50 + 300);
        // 10 tokens behind 20: 7·10 + 2·10·(20 + 5).
        assert_eq!(step.prefill(20, 10), 70 + 500);
        assert_eq!(step.growth(4), 12);
    }

    #[test]
    fn a_prompt_in_chunks_has_as_many_pairs_as_in_one_piece() {
        let step = StepTime { per_prefill_pair_ps: 2, ..StepTime::default() };
        assert_eq!(step.prefill(0, 3_000), step.prefill(0, 2_048) + step.prefill(2_048, 952));
    }

    #[test]
    fn moments_are_rounded_up() {
        assert_eq!((nanos(0), nanos(1), nanos(1_000), nanos(1_001)), (0, 1, 1, 2));
        assert_eq!(nanos(picos(u64::MAX)), u64::MAX);
        assert_eq!(nanos(Picos::MAX), u64::MAX);
    }
}
