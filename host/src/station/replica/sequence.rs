//! What a replica knows of one job, and lists of jobs in their order.

use super::blocks::NONE;
use super::step_time::Picos;
use super::{Job, Prefix};
use crate::station::Visitor;

/// Where a sequence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The slot is not in use.
    Vacant,
    /// In the queue, new or preempted.
    Waiting,
    /// In the batch; its prompt (or what it had written before it was preempted) is being computed.
    Prefill,
    /// In the batch; every step gives a token.
    Decode,
    /// All tokens have left.
    Finished,
}

/// A run of tokens without interruption: token `token` left at the end of step `step`, the next ones with the steps that follow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stint {
    pub(super) token: u32,
    pub(super) step: u64,
}

/// One job.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) visitor: Visitor,
    pub(super) state: State,
    /// Its visitor has left; it goes at the next boundary.
    pub(super) gone: bool,
    /// The first step that may take it in.
    pub(super) seen_from: u64,
    /// It was in the batch before, so nobody is told when it comes in again.
    pub(super) started: bool,
    /// At least 1.
    pub(super) prompt: u32,
    /// At least 1.
    pub(super) output: u32,
    pub(super) prefix: Prefix,
    /// Whole blocks of the prompt that others may have too.
    pub(super) shareable: u32,
    /// The how many-th admission to the batch this was: the order within the batch.
    pub(super) order: u64,
    /// Tokens that have left, except while it decodes: then they follow from the stint.
    pub(super) generated: u32,
    /// While it is in [`State::Prefill`]: tokens in the KV cache when the step under way ends.
    pub(super) computed: u32,
    /// The run of tokens under way or the last one.
    pub(super) stint: Stint,
    /// Runs before it: one for each time that it was preempted.
    pub(super) stints: Vec<Stint>,
    /// When its first token left.
    pub(super) first_at: Picos,
    /// When its newest token left, as far as that was noted: at the end of a stint.
    pub(super) last_at: Picos,
    /// The blocks that it uses of those that are shareable, in their order.
    pub(super) chain: Vec<u32>,
    /// What it left behind when it was preempted.
    pub(super) remains: u32,
    before: u32,
    after: u32,
}

impl Sequence {
    /// A slot in which nothing is.
    pub(super) const fn vacant() -> Self {
        Self {
            visitor: 0,
            state: State::Vacant,
            gone: false,
            seen_from: 0,
            started: false,
            prompt: 1,
            output: 1,
            prefix: Prefix::None,
            shareable: 0,
            order: 0,
            generated: 0,
            computed: 0,
            stint: Stint { token: 0, step: 0 },
            stints: Vec::new(),
            first_at: 0,
            last_at: 0,
            chain: Vec::new(),
            remains: NONE,
            before: NONE,
            after: NONE,
        }
    }

    /// Puts a new job here. The lists keep their memory.
    pub(super) fn begin(&mut self, job: Job, block_tokens: Option<u32>) {
        self.visitor = job.visitor;
        self.state = State::Waiting;
        (self.gone, self.started) = (false, false);
        (self.prompt, self.output) = (job.prompt_tokens.max(1), job.output_tokens.max(1));
        self.shareable = block_tokens.map_or(0, |block_tokens| job.prefix.blocks(block_tokens).min(self.prompt / block_tokens));
        self.prefix = job.prefix;
        (self.order, self.generated, self.computed) = (0, 0, 0);
        self.stint = Stint::default();
        self.stints.clear();
        self.chain.clear();
        self.remains = NONE;
    }

    /// Tokens of prompt and output so far; not for [`State::Decode`].
    pub(super) const fn tokens(&self) -> u32 {
        self.prompt + self.generated
    }

    /// Tokens in the KV cache at the end of `step`, while it decodes: all but the newest.
    pub(super) const fn computed_after(&self, step: u64) -> u32 {
        self.prompt + self.stint.token + (step - self.stint.step) as u32
    }

    /// Tokens that have left by the end of `step`.
    pub(super) const fn generated_after(&self, step: u64) -> u32 {
        match self.state {
            State::Decode => self.stint.token + 1 + (step - self.stint.step) as u32,
            _ => self.generated,
        }
    }

    /// The step at whose end its last token leaves.
    pub(super) const fn finish_step(&self) -> u64 {
        self.stint.step + (self.output - 1 - self.stint.token) as u64
    }

    /// In which of every `block_tokens` steps it needs a new block.
    pub(super) const fn block_turn(&self, block_tokens: u32) -> usize {
        let step = (self.stint.step + 1) % block_tokens as u64;
        let filled = (self.prompt as u64 + self.stint.token as u64) % block_tokens as u64;
        ((step + block_tokens as u64 - filled) % block_tokens as u64) as usize
    }

    /// The step at whose end token `token` left; it must have.
    pub(super) fn step_of(&self, token: u32) -> u64 {
        let stint = match self.stint.token <= token {
            true => self.stint,
            false => self.stints.iter().rev().find(|stint| stint.token <= token).copied().unwrap_or_default(),
        };
        stint.step + u64::from(token - stint.token)
    }
}

/// Slots in an order: the queue, and the batch.
#[derive(Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub(super) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) const fn first(&self) -> Option<u32> {
        if self.head == NONE { None } else { Some(self.head) }
    }

    pub(super) const fn last(&self) -> Option<u32> {
        if self.tail == NONE { None } else { Some(self.tail) }
    }

    /// The one behind `slot`.
    pub(super) fn after(all: &[Sequence], slot: u32) -> Option<u32> {
        Some(all[slot as usize].after).filter(|after| *after != NONE)
    }

    pub(super) fn push_last(&mut self, all: &mut [Sequence], slot: u32) {
        let before = std::mem::replace(&mut self.tail, slot);
        (all[slot as usize].before, all[slot as usize].after) = (before, NONE);
        match all.get_mut(before as usize) {
            Some(before) => before.after = slot,
            None => self.head = slot,
        }
        self.len += 1;
    }

    pub(super) fn push_first(&mut self, all: &mut [Sequence], slot: u32) {
        let after = std::mem::replace(&mut self.head, slot);
        (all[slot as usize].before, all[slot as usize].after) = (NONE, after);
        match all.get_mut(after as usize) {
            Some(after) => after.before = slot,
            None => self.tail = slot,
        }
        self.len += 1;
    }

    pub(super) fn remove(&mut self, all: &mut [Sequence], slot: u32) {
        let (before, after) = (all[slot as usize].before, all[slot as usize].after);
        match all.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.head = after,
        }
        match all.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.tail = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_queued_job_fits_its_budget() {
        // It comes on top of the visit and the flight.
        let bytes = size_of::<super::Sequence>();
        assert!(bytes <= 176, "{bytes}");
    }
}
