//! A run of steps with the same sequences, and when each of them ended.
//!
//! While the batch does not change, each step is longer than the one before by the same amount, so the end of the j-th is a formula.
//! That is what lets a replica jump over hundreds of steps: nothing is added up, and the jump equals stepping to the last bit.

use std::collections::VecDeque;

use super::step_time::Picos;

/// Runs of steps whose times are remembered: at least as many steps, mostly many more.
const REMEMBERED: usize = 256;

/// Steps with the same sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase {
    /// The number of its first step; the first of all is 1.
    pub(super) first_step: u64,
    /// When it began.
    pub(super) start: Picos,
    /// How long its first step takes, in ps.
    pub(super) first: Picos,
    /// By how much each step is longer than the one before, in ps.
    pub(super) growth: Picos,
    /// How many steps it has.
    pub(super) steps: u64,
    /// How many of them have ended.
    pub(super) done: u64,
    /// Sequences that get a token at the end of every step.
    pub(super) sequences: u32,
    /// Tokens of prompt that its only step computes.
    pub(super) prefill_tokens: u32,
}

impl Phase {
    /// When its `count`-th step ends; its beginning for 0.
    pub(super) fn end_of(&self, count: u64) -> Picos {
        let count = Picos::from(count);
        self.start + count * self.first + self.growth * (count * count.saturating_sub(1) / 2)
    }

    /// When its last step ends.
    pub(super) fn end(&self) -> Picos {
        self.end_of(self.steps)
    }

    /// How many of its steps have ended by `until`: at least as many as are known to.
    pub(super) fn ended_by(&self, until: Picos) -> u64 {
        if self.end() <= until {
            return self.steps;
        }
        let (mut ended, mut running) = (self.done, self.steps);
        while running - ended > 1 {
            let middle = ended + (running - ended) / 2;
            if self.end_of(middle) <= until {
                ended = middle;
            } else {
                running = middle;
            }
        }
        ended
    }
}

/// The newest phases that have ended.
#[derive(Debug, Default)]
pub(super) struct History {
    phases: VecDeque<Phase>,
}

impl History {
    /// Remembers `phase` and forgets the oldest if there are too many.
    pub(super) fn push(&mut self, phase: Phase) {
        if self.phases.len() == REMEMBERED {
            self.phases.pop_front();
        }
        self.phases.push_back(phase);
    }

    /// When step `step` ended, if that is still known.
    pub(super) fn end_of(&self, step: u64) -> Option<Picos> {
        let after = self.phases.partition_point(|phase| phase.first_step <= step);
        let phase = self.phases.get(after.checked_sub(1)?)?;
        let count = step - phase.first_step + 1;
        (count <= phase.steps).then(|| phase.end_of(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(first_step: u64, start: Picos, steps: u64) -> Phase {
        Phase { first_step, start, first: 100, growth: 3, steps, done: 0, sequences: 3, prefill_tokens: 0 }
    }

    #[test]
    fn the_end_of_a_step_is_the_sum_of_all_before() {
        let phase = phase(1, 1_000, 50);
        let mut at = 1_000;
        for step in 0..50 {
            assert_eq!(phase.end_of(step), at);
            // One before, at, and one after its end.
            assert_eq!(phase.ended_by(at - 1), step.saturating_sub(1));
            assert_eq!(phase.ended_by(at), step);
            at += 100 + 3 * Picos::from(step);
        }
        assert_eq!((phase.end(), phase.ended_by(Picos::MAX)), (at, 50));
    }

    #[test]
    fn the_last_256_steps_are_remembered() {
        let mut history = History::default();
        let mut start = 0;
        for step in 1..=300 {
            let phase = phase(step, start, 1);
            start = phase.end();
            history.push(phase);
        }
        assert_eq!((history.end_of(44), history.end_of(301)), (None, None));
        assert_eq!((history.end_of(45), history.end_of(300)), (Some(4_500), Some(30_000)));
    }
}
