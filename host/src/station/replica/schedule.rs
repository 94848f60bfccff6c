//! The boundary between two steps: who finished, who comes into the batch, how long it stays as it is.
//!
//! The order is that of vLLM's V1 scheduler with its defaults: first come first served, chunked prefill, a new prompt only if all of it
//! fits (`scheduler_reserve_full_isl`), nobody new in a step in which somebody was preempted. Because whoever decodes takes one token
//! of the budget, only the newest sequence can have a prefill that is cut into chunks.

use std::cmp::Reverse;

use super::blocks::NONE;
use super::phase::Phase;
use super::sequence::{List, State, Stint};
use super::step_time::{Picos, nanos, picos, told};
use super::{Event, Replica};
use crate::clock::Nanos;

/// Steps of one phase at most, so that sums over it stay far inside 128 bits. A longer one is cut, which changes nothing.
const STEPS_MAX: u64 = 1 << 20;

/// Prefill of one step.
#[derive(Debug, Default)]
struct Prefill {
    tokens: u32,
    time: Picos,
}

impl Replica {
    /// Lets time pass until `now`.
    pub(super) fn run_to(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        let until = picos(self.now);
        while let Some(phase) = self.phase {
            let ended = phase.ended_by(until);
            self.settle(phase, ended);
            if ended < phase.steps {
                break;
            }
            self.phase = None;
            self.history.push(Phase { done: ended, ..phase });
            self.end_step(phase.end());
            self.compose(phase.end());
        }
    }

    /// Lets the phase under way end after `steps` more steps, the one under way included.
    pub(super) fn stop_after(&mut self, steps: u64) {
        if let Some(phase) = &mut self.phase {
            phase.steps = phase.steps.min(phase.done + steps);
        }
    }

    /// Counts the steps of `phase` that have ended since it was last looked at, and gives the one that has begun its blocks.
    fn settle(&mut self, phase: Phase, ended: u64) {
        let new = ended - phase.done;
        if new == 0 {
            return;
        }
        let (from, to) = (phase.end_of(phase.done), phase.end_of(ended));
        self.busy += to - from;
        self.pending.push(Event::Steps {
            from: nanos(from),
            first_ps: told(phase.first + phase.growth * Picos::from(phase.done)),
            growth_ps: told(phase.growth),
            steps: new as u32,
            sequences: phase.sequences,
            prefill_tokens: phase.prefill_tokens,
        });
        // The step that `done + 1` steps had begun with has its blocks already.
        let begun = (ended + 1).min(phase.steps);
        let blocks = self.blocks_needed(phase.first_step + phase.done + 1, begun - phase.done - 1);
        self.blocks.take(blocks as u32);
        self.done.steps += new;
        self.done.output_tokens += new * u64::from(phase.sequences);
        self.context += new * u64::from(phase.sequences);
        if let Some(phase) = &mut self.phase {
            phase.done = ended;
        }
    }

    /// Blocks that those who decode need in `steps` steps from step `first`.
    fn blocks_needed(&self, first: u64, steps: u64) -> u64 {
        let period = self.turns.len() as u64;
        let rest = (0..steps % period).map(|step| u64::from(self.turns[((first + step) % period) as usize]));
        u64::from(self.decoding) * (steps / period) + rest.sum::<u64>()
    }

    /// How many steps from step `first` the free blocks are enough for, up to `most`.
    fn steps_that_fit(&self, first: u64, most: u64) -> u64 {
        let period = self.turns.len() as u64;
        let mut free = u64::from(self.blocks.free());
        let decoding = u64::from(self.decoding);
        if decoding * most.div_ceil(period) <= free {
            return most;
        }
        let rounds = free / decoding.max(1);
        free -= rounds * decoding;
        let mut steps = rounds * period;
        while steps < most {
            let turn = u64::from(self.turns[((first + steps) % period) as usize]);
            if turn > free {
                break;
            }
            free -= turn;
            steps += 1;
        }
        steps.min(most)
    }

    /// What the step that ended at `at` brought: last tokens, first tokens.
    fn end_step(&mut self, at: Picos) {
        let step = self.done.steps;
        self.let_ended_go();
        while let Some(Reverse((finish, order, slot))) = self.finishes.peek().copied()
            && finish <= step
        {
            self.finishes.pop();
            let sequence = &self.all[slot as usize];
            if sequence.state == State::Decode && sequence.order == order && !sequence.gone {
                self.stop_decoding(slot);
                self.finish(slot, at);
            }
        }
        let prefilled = std::mem::take(&mut self.prefilled);
        for slot in &prefilled {
            if !self.all[*slot as usize].gone {
                self.end_prefill(*slot, at);
            }
        }
        self.prefilled = prefilled;
        self.prefilled.clear();
    }

    /// A sequence whose prompt is computed has its first token, or its first since it was preempted.
    fn end_prefill(&mut self, slot: u32, at: Picos) {
        let (step, block_tokens) = (self.done.steps, self.settings.block_tokens);
        let sequence = &mut self.all[slot as usize];
        let visitor = sequence.visitor;
        if sequence.generated == 0 {
            sequence.first_at = at;
            self.pending.push(Event::FirstToken { at: nanos(at), visitor });
        } else {
            sequence.stints.push(sequence.stint);
            self.pending.push(Event::Resumed { at: nanos(at), visitor, gap_ps: told(at - sequence.last_at) });
        }
        sequence.stint = Stint { token: sequence.generated, step };
        sequence.generated += 1;
        self.done.output_tokens += 1;
        if sequence.generated == sequence.output {
            // `computed` is what it holds blocks for: the same as `tokens() - 1` now.
            return self.finish(slot, at);
        }
        sequence.state = State::Decode;
        self.finishes.push(Reverse((sequence.finish_step(), sequence.order, slot)));
        self.decoding += 1;
        self.context += u64::from(sequence.tokens());
        self.turns[sequence.block_turn(block_tokens)] += 1;
    }

    /// Takes a sequence out of the sums over those that decode. It is in [`State::Prefill`] then, with nothing left to compute.
    fn stop_decoding(&mut self, slot: u32) {
        let (step, block_tokens) = (self.done.steps, self.settings.block_tokens);
        let sequence = &mut self.all[slot as usize];
        sequence.computed = sequence.computed_after(step);
        sequence.generated = sequence.generated_after(step);
        sequence.state = State::Prefill;
        self.decoding -= 1;
        self.context -= u64::from(sequence.computed) + 1;
        self.turns[sequence.block_turn(block_tokens)] -= 1;
    }

    fn finish(&mut self, slot: u32, at: Picos) {
        if self.settings.ahead {
            self.ending.push(slot);
        } else {
            self.give_blocks_back(slot, false);
        }
        self.running.remove(&mut self.all, slot);
        let sequence = &mut self.all[slot as usize];
        sequence.state = State::Finished;
        sequence.last_at = at;
        self.done.finished += 1;
        self.pending.push(Event::Finished { at: nanos(at), visitor: sequence.visitor });
    }

    /// Frees what those hold who finished a step ago.
    fn let_ended_go(&mut self) {
        let mut ending = std::mem::take(&mut self.ending);
        for slot in ending.drain(..) {
            self.give_blocks_back(slot, false);
            if self.all[slot as usize].gone {
                self.vacate(slot);
            }
        }
        self.ending = ending;
    }

    /// Frees the blocks of a sequence that does not decode, its last block first.
    fn give_blocks_back(&mut self, slot: u32, comes_again: bool) {
        let block_tokens = self.settings.block_tokens;
        let sequence = &mut self.all[slot as usize];
        let shared = sequence.chain.len() as u32;
        let own = sequence.computed.div_ceil(block_tokens) - shared;
        if comes_again && self.settings.prefix_cache {
            sequence.remains = self.blocks.leave_behind(own, sequence.computed / block_tokens - shared);
        } else {
            self.blocks.give(own);
        }
        while let Some(entry) = sequence.chain.pop() {
            self.blocks.release(entry);
        }
        sequence.computed = 0;
    }

    /// What a preempted sequence left behind is nobody's now.
    pub(super) fn abandon_remains(&mut self, slot: u32) {
        let remains = std::mem::replace(&mut self.all[slot as usize].remains, NONE);
        if remains != NONE {
            self.blocks.reclaim(remains, 0);
        }
    }

    /// Composes the batch of the step that begins at `at`, and finds out for how many steps it stays the same.
    pub(super) fn compose(&mut self, at: Picos) {
        self.let_leavers_go();
        if self.running.len() == 0 {
            self.let_ended_go();
        }
        if let Some(step) = self.step_next.take() {
            self.settings.step = step.bounded();
        }
        let step = self.done.steps + 1;
        let mut prefill = Prefill::default();
        let decoding_fits = self.place_decoding(step, at);
        let all_fit = self.place_partial(at, &mut prefill) && decoding_fits;
        if all_fit {
            self.admit(at, &mut prefill);
        }
        if self.running.len() == 0 && !self.ending.is_empty() {
            // The last one had to go for a block that those who have finished still held.
            self.let_ended_go();
            self.admit(at, &mut prefill);
        }
        if self.running.len() == 0 {
            debug_assert!(self.waiting.len() == 0, "an empty replica has room for everybody whom it let in");
            return;
        }
        let time = self.settings.step;
        self.phase = Some(Phase {
            first_step: step,
            start: at,
            first: time.decode(self.decoding, self.context) + prefill.time,
            growth: time.growth(self.decoding),
            // Whoever was preempted may come in again with the next step.
            steps: if all_fit { self.steps_until_change(step, &prefill) } else { 1 },
            done: 0,
            sequences: self.decoding,
            prefill_tokens: prefill.tokens,
        });
        self.done.prefill_tokens += u64::from(prefill.tokens);
    }

    /// For how many steps the batch of step `step`, which has its blocks, stays the same.
    fn steps_until_change(&mut self, step: u64, prefill: &Prefill) -> u64 {
        #[cfg(test)]
        if self.stepwise {
            return 1;
        }
        if prefill.tokens > 0 || !self.ending.is_empty() {
            return 1;
        }
        while let Some(Reverse((_, order, slot))) = self.finishes.peek().copied() {
            let sequence = &self.all[slot as usize];
            if sequence.state == State::Decode && sequence.order == order {
                break;
            }
            self.finishes.pop();
        }
        let until_finish = self.finishes.peek().map_or(1, |Reverse((finish, _, _))| finish - step + 1);
        let seen_from = self.waiting.first().map_or(0, |slot| self.all[slot as usize].seen_from);
        let until_seen = if seen_from > step { seen_from - step } else { u64::MAX };
        1 + self.steps_that_fit(step + 1, until_finish.min(until_seen).min(STEPS_MAX) - 1)
    }

    /// Whoever left while it was in the batch goes.
    fn let_leavers_go(&mut self) {
        let mut leavers = std::mem::take(&mut self.leavers);
        for slot in leavers.drain(..) {
            match self.all[slot as usize].state {
                State::Decode => self.stop_decoding(slot),
                State::Prefill => {}
                _ => continue,
            }
            if self.partial == Some(slot) {
                self.partial = None;
            }
            self.give_blocks_back(slot, false);
            self.running.remove(&mut self.all, slot);
            self.vacate(slot);
        }
        self.leavers = leavers;
        // What has left or was preempted stays in the heap until it is on top, or until there is more of it than of the others.
        if self.finishes.len() > 2 * self.running.len() as usize + 64 {
            let all = &self.all;
            self.finishes.retain(|Reverse((_, order, slot))| {
                all[*slot as usize].state == State::Decode && all[*slot as usize].order == *order
            });
        }
    }

    /// Gives those that decode their blocks for step `step`; says whether nobody had to be preempted for it.
    fn place_decoding(&mut self, step: u64, at: Picos) -> bool {
        let turn = step % self.turns.len() as u64;
        let needed = self.turns[turn as usize];
        if needed <= self.blocks.free() {
            self.blocks.take(needed);
            return true;
        }
        let mut next = self.running.first();
        while let Some(slot) = next {
            let sequence = &self.all[slot as usize];
            let needs = sequence.state == State::Decode && sequence.block_turn(self.settings.block_tokens) as u64 == turn;
            if needs && !self.free_some(1, slot, at) {
                break;
            }
            self.blocks.take(u32::from(needs));
            next = List::after(&self.all, slot);
        }
        false
    }

    /// Preempts the newest sequences until `count` blocks are free; `false` if `slot` was among them.
    fn free_some(&mut self, count: u32, slot: u32, at: Picos) -> bool {
        while self.blocks.free() < count {
            let Some(newest) = self.running.last() else { return false };
            self.preempt(newest, at);
            if newest == slot {
                return false;
            }
        }
        true
    }

    fn preempt(&mut self, slot: u32, at: Picos) {
        if self.all[slot as usize].state == State::Decode {
            self.stop_decoding(slot);
            // Its newest token left with the step that ends here.
            self.all[slot as usize].last_at = at;
        }
        if self.partial == Some(slot) {
            self.partial = None;
        }
        self.give_blocks_back(slot, true);
        self.running.remove(&mut self.all, slot);
        self.all[slot as usize].state = State::Waiting;
        self.waiting.push_first(&mut self.all, slot);
        self.done.preemptions += 1;
        self.pending.push(Event::Preempted { at: nanos(at), visitor: self.all[slot as usize].visitor });
    }

    /// Goes on with the prompt that was begun in a step before; says whether nobody had to be preempted for it.
    fn place_partial(&mut self, at: Picos, prefill: &mut Prefill) -> bool {
        let Some(slot) = self.partial else { return true };
        let sequence = &self.all[slot as usize];
        let chunk = (sequence.tokens() - sequence.computed).min(self.settings.batch_tokens - self.decoding);
        let held = sequence.computed.div_ceil(self.settings.block_tokens);
        let needed = (sequence.computed + chunk).div_ceil(self.settings.block_tokens) - held;
        if !self.free_some(needed, slot, at) {
            return false;
        }
        self.compute(slot, chunk, needed, prefill);
        true
    }

    /// Puts `chunk` tokens of a prompt, for which `needed` blocks are free, into the step.
    fn compute(&mut self, slot: u32, chunk: u32, needed: u32, prefill: &mut Prefill) {
        self.blocks.take(needed);
        let sequence = &mut self.all[slot as usize];
        prefill.tokens += chunk;
        prefill.time += self.settings.step.prefill(sequence.computed, chunk);
        sequence.computed += chunk;
        let complete = (sequence.computed / self.settings.block_tokens).min(sequence.shareable);
        while (sequence.chain.len() as u32) < complete {
            let hash = sequence.prefix.hash(sequence.chain.len() as u32);
            sequence.chain.push(self.blocks.publish(hash));
        }
        if sequence.computed == sequence.tokens() {
            self.prefilled.push(slot);
            self.partial = None;
        } else {
            self.partial = Some(slot);
        }
    }

    /// Lets jobs in from the queue while there are tokens, places and blocks.
    fn admit(&mut self, at: Picos, prefill: &mut Prefill) {
        // With nothing in the batch there is no step for whose end anybody would wait.
        let step = if self.running.len() == 0 { u64::MAX } else { self.done.steps + 1 };
        while let Some(slot) = self.waiting.first() {
            let budget = self.settings.batch_tokens - self.decoding - prefill.tokens;
            if budget == 0
                || self.places_taken() == self.settings.sequences_max
                || self.all[slot as usize].seen_from > step
                || !self.take_in(slot, budget, prefill)
            {
                break;
            }
            let sequence = &mut self.all[slot as usize];
            if !std::mem::replace(&mut sequence.started, true) {
                self.pending.push(Event::Started { at: nanos(at), visitor: sequence.visitor });
            }
        }
    }

    /// Lets one in, if all of its tokens fit.
    fn take_in(&mut self, slot: u32, budget: u32, prefill: &mut Prefill) -> bool {
        let block_tokens = self.settings.block_tokens;
        let sequence = &self.all[slot as usize];
        let tokens = sequence.tokens();
        // At least one token must be computed, because the next one is drawn from it.
        let cached_max = (tokens - 1) / block_tokens;
        self.hits.clear();
        let mut idle = 0;
        for index in 0..sequence.shareable.min(cached_max) {
            let Some((entry, is_idle)) = self.blocks.find(sequence.prefix.hash(index)) else { break };
            idle += u32::from(is_idle);
            self.hits.push(entry);
        }
        let shared = self.hits.len() as u32;
        let own = match sequence.remains {
            NONE => 0,
            remains if shared == sequence.shareable => self.blocks.left(remains).min(cached_max - shared),
            _ => 0,
        };
        if self.blocks.free() - idle - own < tokens.div_ceil(block_tokens) - shared - own {
            return false;
        }
        self.hits.iter().for_each(|entry| self.blocks.share(*entry));
        let sequence = &mut self.all[slot as usize];
        sequence.chain.extend_from_slice(&self.hits);
        let remains = std::mem::replace(&mut sequence.remains, NONE);
        if remains != NONE {
            self.blocks.reclaim(remains, own);
        }
        sequence.computed = (shared + own) * block_tokens;
        let chunk = (tokens - sequence.computed).min(budget);
        let needed = (sequence.computed + chunk).div_ceil(block_tokens) - shared - own;
        sequence.order = self.admissions;
        sequence.state = State::Prefill;
        if !sequence.started && self.settings.prefix_cache {
            self.done.prefix_asked += u64::from(tokens);
            self.done.prefix_hit += u64::from(sequence.computed);
        }
        self.admissions += 1;
        self.waiting.remove(&mut self.all, slot);
        self.running.push_last(&mut self.all, slot);
        self.compute(slot, chunk, needed, prefill);
        true
    }
}
