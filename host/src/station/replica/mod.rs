//! A model server with continuous batching, as vLLM's V1 engine does it.
//!
//! Every running sequence gets one token a *step*; a step's length depends on what is in the batch ([`StepTime`]). At each boundary
//! between steps the batch is composed anew (`schedule.rs`): running sequences first, then unfinished prefill, then the queue in order
//! of arrival, as far as token budget, places and KV blocks go. When blocks run out the newest sequence is preempted and computed again
//! later. Prompts share blocks by their hashes, least recently used out first (`blocks.rs`).
//!
//! While the batch does not change the replica jumps (`phase.rs`): its work is proportional to changes of the batch, not to tokens, and
//! its times are those of stepping to the last picosecond, however often it is asked. Whoever comes or leaves at a moment counts from
//! the next boundary after it; an idle replica starts at once. [`presets`] has servers that were measured; docs/replica.md the evidence.

mod blocks;
mod phase;
pub mod presets;
mod schedule;
mod sequence;
mod step_time;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use blocks::{Blocks, NONE};
use phase::{History, Phase};
use sequence::{List, Sequence, State};
pub use step_time::StepTime;
use step_time::{Picos, nanos, picos};

use crate::clock::Nanos;
use crate::station::{Cause, Entry, Refusal, Visitor};
use crate::types::limits::BLOCK_TOKENS_MAX;

/// What a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long its steps take.
    pub step: StepTime,
    /// Sequences in the batch at most (vLLM's `max_num_seqs`); at least 1.
    pub sequences_max: u32,
    /// Tokens in one step at most, prompt and output (vLLM's `max_num_batched_tokens`): longer prompts are computed in chunks. At least
    /// `sequences_max`, as vLLM demands; less counts as that.
    pub batch_tokens: u32,
    /// Blocks of the KV cache that can be used. vLLM keeps one of its `num_gpu_blocks` for itself.
    pub kv_blocks: u32,
    /// Tokens in one block, 1 to [`BLOCK_TOKENS_MAX`]; vLLM has 16.
    pub block_tokens: u32,
    /// Jobs that may wait; who comes then is refused. `u32::MAX` for a queue without end, as vLLM has.
    pub queue_max: u32,
    /// Whether blocks of equal content are shared and kept until they are needed (vLLM's `enable_prefix_caching`).
    pub prefix_cache: bool,
    /// Whether a step is composed when the one before it begins (vLLM's `async_scheduling`, on by default in 0.19): the engine never
    /// waits for its scheduler, but whoever comes, and what finished sequences free, counts one step later. An idle replica still starts
    /// at once.
    pub ahead: bool,
}

/// One request to a replica.
#[derive(Debug, Clone)]
pub struct Job {
    /// By which the driver knows it. Numbers should be small: there is a table of them.
    pub visitor: Visitor,
    /// Tokens of the prompt; 0 counts as 1.
    pub prompt_tokens: u32,
    /// Tokens that will be generated; 0 counts as 1.
    pub output_tokens: u32,
    /// What of the prompt others may have too.
    pub prefix: Prefix,
}

/// What of a prompt is known to be equal to that of others. Only whole blocks are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing.
    #[default]
    None,
    /// A hash for each block of the prompt, from its beginning, of everything up to the block's end. A block has the
    /// [`Settings::block_tokens`] of the replica.
    Blocks(Arc<[u64]>),
    /// The first `tokens` tokens are those of `group`: a system prompt, for example.
    Group {
        /// Its number.
        group: u64,
        /// How many tokens at the beginning belong to it.
        tokens: u32,
    },
}

impl Prefix {
    /// Whole blocks that have a hash.
    fn blocks(&self, block_tokens: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::Blocks(hashes) => hashes.len().min(u32::MAX as usize) as u32,
            Self::Group { tokens, .. } => tokens / block_tokens,
        }
    }

    /// A number for the first block; 0 if nothing is known of it.
    pub fn first(&self) -> u64 {
        match self {
            Self::Blocks(hashes) if hashes.is_empty() => 0,
            Self::None => 0,
            Self::Blocks(_) | Self::Group { .. } => self.hash(0),
        }
    }

    /// The hash of block `index`, which must be below [`blocks`](Self::blocks).
    fn hash(&self, index: u32) -> u64 {
        match self {
            Self::None => 0,
            Self::Blocks(hashes) => hashes[index as usize],
            // Odd multipliers: different groups and blocks meet as seldom as random numbers do.
            Self::Group { group, .. } => {
                (group ^ 0x7072_6566_6978).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ u64::from(index).wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03)
            }
        }
    }
}

/// What happened. All events of one moment come in the order in which the engine handles its sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It came into the batch for the first time: its queueing is over.
    Started {
        /// When.
        at: Nanos,
        /// Whose.
        visitor: Visitor,
    },
    /// Its first token left the engine.
    FirstToken {
        /// When.
        at: Nanos,
        /// Whose.
        visitor: Visitor,
    },
    /// It was thrown out of the batch, because the KV cache was full, and waits at the head of the queue.
    Preempted {
        /// When.
        at: Nanos,
        /// Whose.
        visitor: Visitor,
    },
    /// Its first token after it was preempted left the engine.
    Resumed {
        /// When.
        at: Nanos,
        /// Whose.
        visitor: Visitor,
        /// The time since the token before, in ps.
        gap_ps: u64,
    },
    /// Its last token left the engine.
    Finished {
        /// When.
        at: Nanos,
        /// Whose.
        visitor: Visitor,
    },
    /// Steps with the same sequences. At the end of each, every one of `sequences` got a token, and the time since its token before is
    /// the length of the step: `first_ps`, `first_ps + growth_ps`, `first_ps + 2·growth_ps` … How steps are grouped depends on when the
    /// replica is asked; what they add up to does not. Tokens of [`FirstToken`](Self::FirstToken) and [`Resumed`](Self::Resumed) are not
    /// among these.
    Steps {
        /// When the first of them began.
        from: Nanos,
        /// The length of the first, in ps.
        first_ps: u64,
        /// By how much each is longer than the one before, in ps.
        growth_ps: u64,
        /// How many steps.
        steps: u32,
        /// Sequences that got a token in each.
        sequences: u32,
        /// Tokens of prompt that were computed; more than 0 only if it is one step.
        prefill_tokens: u32,
    },
}

/// What a replica is doing and has done, for gauges and balancers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Sequences in the batch.
    pub running: u32,
    /// Jobs in the queue, preempted ones included.
    pub waiting: u32,
    /// Blocks of the KV cache in use.
    pub kv_used: u32,
    /// Blocks of the KV cache.
    pub kv_blocks: u32,
    /// Tokens of prompts that were looked up in the prefix cache, at first admissions; 0 without a prefix cache.
    pub prefix_asked: u64,
    /// Those of them that were found.
    pub prefix_hit: u64,
    /// How often a sequence was thrown out of the batch.
    pub preemptions: u64,
    /// Steps that have ended.
    pub steps: u64,
    /// The time that these took, in ns.
    pub busy_ns: u64,
    /// Tokens of prompts that were computed (with those that were computed again), the step under way included.
    pub prefill_tokens: u64,
    /// Tokens that left.
    pub output_tokens: u64,
    /// Jobs that have finished.
    pub finished: u64,
}

impl Load {
    /// The sums of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            running: self.running + other.running,
            waiting: self.waiting + other.waiting,
            kv_used: self.kv_used + other.kv_used,
            kv_blocks: self.kv_blocks + other.kv_blocks,
            prefix_asked: self.prefix_asked + other.prefix_asked,
            prefix_hit: self.prefix_hit + other.prefix_hit,
            preemptions: self.preemptions + other.preemptions,
            steps: self.steps + other.steps,
            busy_ns: self.busy_ns + other.busy_ns,
            prefill_tokens: self.prefill_tokens + other.prefill_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            finished: self.finished + other.finished,
        }
    }
}

/// The server. See the module for how it works, and `station` for the shape that it shares with its siblings.
#[derive(Debug)]
pub struct Replica {
    settings: Settings,
    now: Nanos,
    /// Coefficients for the steps after the one under way.
    step_next: Option<StepTime>,
    all: Vec<Sequence>,
    vacant: Vec<u32>,
    /// The slot of each visitor.
    by_visitor: Vec<u32>,
    waiting: List,
    running: List,
    /// Slots whose visitors have left while they were in the batch.
    leavers: Vec<u32>,
    /// Slots that have finished with the newest step, while the step after it is composed without what they free.
    ending: Vec<u32>,
    blocks: Blocks,
    /// Sequences that decode, and the tokens that their next step attends to.
    decoding: u32,
    context: u64,
    /// How many of them need a new block in the steps that leave this remainder when divided by `block_tokens`.
    turns: Vec<u32>,
    /// (Step of the last token, admission, slot) of each that decodes; those that left or were preempted are still in it.
    finishes: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// Sequences whose prefill ends with the step under way.
    prefilled: Vec<u32>,
    /// The one whose prompt is computed over several steps: always the newest of the batch.
    partial: Option<u32>,
    phase: Option<Phase>,
    history: History,
    admissions: u64,
    busy: Picos,
    done: Load,
    pending: Vec<Event>,
    /// Jobs wait, and nothing begins.
    is_held: bool,
    /// Hits of one look-up, kept for its memory.
    hits: Vec<u32>,
    /// Tests compare jumps with steps.
    #[cfg(test)]
    stepwise: bool,
}

impl Replica {
    /// An idle replica with an empty cache.
    pub fn new(mut settings: Settings) -> Self {
        settings.sequences_max = settings.sequences_max.max(1);
        settings.batch_tokens = settings.batch_tokens.max(settings.sequences_max);
        settings.block_tokens = settings.block_tokens.clamp(1, BLOCK_TOKENS_MAX);
        settings.step = settings.step.bounded();
        Self {
            now: 0,
            step_next: None,
            all: Vec::new(),
            vacant: Vec::new(),
            by_visitor: Vec::new(),
            waiting: List::new(),
            running: List::new(),
            leavers: Vec::new(),
            ending: Vec::new(),
            blocks: Blocks::new(settings.kv_blocks),
            decoding: 0,
            context: 0,
            turns: vec![0; settings.block_tokens as usize],
            finishes: BinaryHeap::new(),
            prefilled: Vec::new(),
            partial: None,
            phase: None,
            history: History::default(),
            admissions: 0,
            busy: 0,
            done: Load::default(),
            pending: Vec::new(),
            is_held: false,
            hits: Vec::new(),
            #[cfg(test)]
            stepwise: false,
            settings,
        }
    }

    /// Brings a job. It waits, or is refused: [`Cause::TooLong`] if prompt and output can never fit the KV cache,
    /// [`Cause::QueueFull`]. A visitor that is here already leaves first.
    pub fn enter(&mut self, now: Nanos, job: Job) -> Entry {
        self.run_to(now);
        // The last token's keys and values are never computed.
        let tokens = u64::from(job.prompt_tokens.max(1)) + u64::from(job.output_tokens.max(1)) - 1;
        if tokens.div_ceil(u64::from(self.settings.block_tokens)) > u64::from(self.settings.kv_blocks) || tokens >= 1 << 31 {
            return Entry::Refused(Refusal::of(Cause::TooLong));
        }
        if self.waiting.len() >= self.settings.queue_max.max(1) {
            return Entry::Refused(Refusal::of(Cause::QueueFull));
        }
        self.leave(now, job.visitor);
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.all.push(Sequence::vacant());
            (self.all.len() - 1) as u32
        });
        let index = job.visitor as usize;
        if index >= self.by_visitor.len() {
            self.by_visitor.resize(index + 1, NONE);
        }
        self.by_visitor[index] = slot;
        let caching = self.settings.prefix_cache.then_some(self.settings.block_tokens);
        self.all[slot as usize].begin(job, caching);
        self.all[slot as usize].seen_from = self.done.steps + 2 + u64::from(self.settings.ahead);
        // Behind others, or with the batch full, it cannot come in before the phase under way ends by itself.
        let may_join = self.waiting.len() == 0 && self.places_taken() < self.settings.sequences_max;
        self.waiting.push_last(&mut self.all, slot);
        match self.phase {
            None if self.is_held => {}
            None => self.compose(picos(self.now)),
            Some(_) if may_join => self.stop_after(1 + u64::from(self.settings.ahead)),
            Some(_) => {}
        }
        Entry::Waits
    }

    /// Begins nothing until it is [released](Self::release): it is idle, and still being started. Jobs may come and wait.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// Has started, and begins with the jobs that wait.
    pub fn release(&mut self, now: Nanos) {
        self.run_to(now);
        self.is_held = false;
        if self.phase.is_none() && self.waiting.len() > 0 {
            self.compose(picos(self.now));
        }
    }

    /// Forgets a visitor: its client has gone, or it has finished and its times have been read. What it holds is free from the next
    /// boundary. The number may be used again at once.
    pub fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.run_to(now);
        let Some(slot) = self.slot_of(visitor) else { return };
        self.by_visitor[visitor as usize] = NONE;
        match self.all[slot as usize].state {
            State::Waiting => {
                // Who is behind the head of the queue may fit where the head did not.
                if self.waiting.first() == Some(slot) && self.waiting.len() > 1 {
                    self.stop_after(1);
                }
                self.waiting.remove(&mut self.all, slot);
                self.abandon_remains(slot);
                self.vacate(slot);
            }
            State::Prefill | State::Decode => {
                self.all[slot as usize].gone = true;
                self.leavers.push(slot);
                self.stop_after(1);
            }
            // While it still holds its place, its slot must not be used again.
            State::Finished if self.ending.contains(&slot) => self.all[slot as usize].gone = true,
            State::Finished => self.vacate(slot),
            State::Vacant => {}
        }
    }

    /// Does all that ended by `now` and adds what happened to `events`.
    pub fn advance(&mut self, now: Nanos, events: &mut Vec<Event>) {
        self.run_to(now);
        events.append(&mut self.pending);
    }

    /// When there is something new to say, if nobody comes or leaves before; `None` if the replica is idle.
    pub fn next_at(&self) -> Option<Nanos> {
        match self.pending.is_empty() {
            true => self.phase.as_ref().map(|phase| nanos(phase.end())),
            false => Some(self.now),
        }
    }

    /// The end of the step that is under way at `now`: when those that decode get their next token. `None` if the replica is idle.
    /// At a `now` far beyond the newest `advance` it is the end of the last step that is known.
    pub fn step_end(&self, now: Nanos) -> Option<Nanos> {
        let phase = self.phase.as_ref()?;
        let ended = phase.ended_by(picos(now));
        Some(nanos(phase.end_of((ended + 1).min(phase.steps))))
    }

    /// When token `token` (from 0) of a visitor left, if it had by the newest `advance`. Exact for the last 256 steps; for tokens
    /// before, when the first one left.
    pub fn token_at(&self, visitor: Visitor, token: u32) -> Option<Nanos> {
        let sequence = &self.all[self.slot_of(visitor)? as usize];
        if token >= sequence.generated_after(self.done.steps) {
            return None;
        }
        if sequence.state == State::Finished && token + 1 == sequence.output {
            return Some(nanos(sequence.last_at));
        }
        Some(nanos(self.end_of_step(sequence.step_of(token)).unwrap_or(sequence.first_at)))
    }

    /// Gives the steps after the one that is under way at `now` other coefficients.
    pub fn set_step(&mut self, now: Nanos, step: StepTime) {
        self.run_to(now);
        // The same again is no reason to end a jump.
        if self.step_next.unwrap_or(self.settings.step) == step {
            return;
        }
        self.step_next = Some(step);
        self.stop_after(1);
    }

    /// What it is doing and has done by the newest `advance`.
    pub fn load(&self) -> Load {
        Load {
            running: self.places_taken(),
            waiting: self.waiting.len(),
            kv_used: self.blocks.used(),
            kv_blocks: self.settings.kv_blocks,
            busy_ns: nanos(self.busy),
            ..self.done
        }
    }

    /// Tokens at the beginning of a prompt that the KV cache holds, whole blocks only.
    pub fn cached_tokens(&self, prefix: &Prefix) -> u32 {
        if !self.settings.prefix_cache {
            return 0;
        }
        let block_tokens = self.settings.block_tokens;
        let known = (0..prefix.blocks(block_tokens)).take_while(|block| self.blocks.find(prefix.hash(*block)).is_some());
        (known.count() as u32).saturating_mul(block_tokens)
    }

    fn places_taken(&self) -> u32 {
        self.running.len() + self.ending.len() as u32
    }

    fn slot_of(&self, visitor: Visitor) -> Option<u32> {
        self.by_visitor.get(visitor as usize).copied().filter(|slot| *slot != NONE)
    }

    fn vacate(&mut self, slot: u32) {
        let sequence = &mut self.all[slot as usize];
        sequence.state = State::Vacant;
        sequence.prefix = Prefix::None;
        self.vacant.push(slot);
    }

    fn end_of_step(&self, step: u64) -> Option<Picos> {
        match &self.phase {
            Some(phase) if step >= phase.first_step => Some(phase.end_of(step - phase.first_step + 1)),
            _ => self.history.end_of(step),
        }
    }
}
