//! The same server as plainly as it can be written: every block has its place in the cache's queue, every step is taken, every sequence
//! is looked at in every step. The replica must say the same to the last picosecond.

use std::collections::{BTreeMap, VecDeque};

use super::super::{Event, Job, Settings, StepTime};
use crate::clock::Nanos;
use crate::station::Visitor;

#[derive(Debug)]
struct Request {
    job: Job,
    serial: u64,
    generated: u32,
    computed: u32,
    /// Its blocks in order, by their number.
    table: Vec<usize>,
    started: bool,
    /// It has its tokens one by one.
    decoding: bool,
    /// The first step that may take it in.
    seen_from: usize,
    /// The how many-th to leave while it was in the batch.
    gone: Option<u64>,
    last_at: u128,
}

/// What block of which content: one of a prompt that may be shared, or one of a request's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    Shared(u64),
    Own(u64, u32),
}

#[derive(Debug, Default, Clone)]
struct Block {
    users: u32,
    content: Option<Content>,
}

/// What one step did: when it began, how long it took, who got a token, tokens of prompt.
type Step = (Nanos, u64, u32, u32);

/// What is told: steps one by one, and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Step(Step),
    Event(Event),
}

#[derive(Debug)]
pub(super) struct Reference {
    settings: Settings,
    blocks: Vec<Block>,
    free: VecDeque<usize>,
    cached: BTreeMap<Content, usize>,
    waiting: VecDeque<Request>,
    running: Vec<Request>,
    /// Beginning and end of the step under way, and tokens that each of `running` computes in it.
    step: Option<(u128, u128)>,
    chunks: Vec<u32>,
    serials: u64,
    leaves: u64,
    step_next: Option<StepTime>,
    /// Blocks of those who finished with the newest step, where steps are composed ahead.
    ending: Vec<Vec<usize>>,
    pub(super) step_ends: Vec<Nanos>,
    pub(super) told: Vec<Told>,
    /// When each token of each visitor left.
    pub(super) tokens: BTreeMap<(Visitor, u32), Nanos>,
    pub(super) hit: u64,
    pub(super) preemptions: u64,
}

fn ns(at: u128) -> Nanos {
    at.div_ceil(1_000) as Nanos
}

impl Reference {
    pub(super) fn new(settings: Settings) -> Self {
        let count = settings.kv_blocks as usize;
        Self {
            settings,
            blocks: vec![Block::default(); count],
            free: (0..count).collect(),
            cached: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            step: None,
            chunks: Vec::new(),
            serials: 0,
            leaves: 0,
            step_next: None,
            ending: Vec::new(),
            step_ends: Vec::new(),
            told: Vec::new(),
            tokens: BTreeMap::new(),
            hit: 0,
            preemptions: 0,
        }
    }

    fn event(&mut self, event: Event) {
        self.told.push(Told::Event(event));
    }

    pub(super) fn advance(&mut self, now: Nanos) {
        while let Some((from, to)) = self.step
            && to <= u128::from(now) * 1_000
        {
            self.end_step(from, to);
            self.begin_step(to);
        }
    }

    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.step.map(|(_, to)| ns(to))
    }

    pub(super) fn used(&self) -> usize {
        self.blocks.len() - self.free.len()
    }

    /// Says whether it was let in.
    pub(super) fn enter(&mut self, now: Nanos, job: Job) -> bool {
        self.advance(now);
        if self.waiting.len() >= self.settings.queue_max as usize {
            return false;
        }
        let serial = self.serials;
        self.serials += 1;
        self.waiting.push_back(Request {
            job,
            serial,
            generated: 0,
            computed: 0,
            table: Vec::new(),
            started: false,
            decoding: false,
            seen_from: self.step_ends.len() + 2 + usize::from(self.settings.ahead),
            gone: None,
            last_at: 0,
        });
        if self.step.is_none() {
            self.begin_step(u128::from(now) * 1_000);
        }
        true
    }

    pub(super) fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.advance(now);
        self.waiting.retain(|request| request.job.visitor != visitor);
        self.tokens.retain(|(of, _), _| *of != visitor);
        let leaving = |request: &&mut Request| request.job.visitor == visitor && request.gone.is_none();
        for request in self.running.iter_mut().filter(leaving) {
            request.gone = Some(self.leaves);
            self.leaves += 1;
        }
    }

    pub(super) fn set_step(&mut self, now: Nanos, step: StepTime) {
        self.advance(now);
        self.step_next = Some(step);
    }

    fn tokens(request: &Request) -> u32 {
        request.job.prompt_tokens + request.generated
    }

    fn end_step(&mut self, from: u128, to: u128) {
        let at = ns(to);
        let decoding = self.running.iter().filter(|request| request.decoding).count() as u32;
        let prefill: u32 = self.running.iter().zip(&self.chunks).filter(|(r, _)| !r.decoding).map(|(_, c)| *c).sum();
        self.told.push(Told::Step((ns(from), (to - from) as u64, decoding, prefill)));
        self.step_ends.push(at);
        let mut finished = Vec::new();
        for (request, chunk) in self.running.iter_mut().zip(&self.chunks) {
            request.computed += chunk;
            if request.computed < Self::tokens(request) || request.gone.is_some() {
                continue;
            }
            let visitor = request.job.visitor;
            if request.generated == 0 {
                self.told.push(Told::Event(Event::FirstToken { at, visitor }));
            } else if !request.decoding {
                self.told.push(Told::Event(Event::Resumed { at, visitor, gap_ps: (to - request.last_at) as u64 }));
            }
            request.decoding = true;
            self.tokens.insert((visitor, request.generated), at);
            request.generated += 1;
            request.last_at = to;
            if request.generated == request.job.output_tokens {
                self.told.push(Told::Event(Event::Finished { at, visitor }));
                finished.push(std::mem::take(&mut request.table));
            }
        }
        self.let_ended_go();
        if self.settings.ahead {
            self.ending = finished;
        } else {
            finished.iter().for_each(|table| self.free_blocks(table));
        }
        self.running.retain(|request| request.gone.is_some() || request.generated < request.job.output_tokens);
    }

    fn let_ended_go(&mut self) {
        std::mem::take(&mut self.ending).iter().for_each(|table| self.free_blocks(table));
    }

    /// The last block comes first in the queue.
    fn free_blocks(&mut self, table: &[usize]) {
        for block in table.iter().rev() {
            self.blocks[*block].users -= 1;
            if self.blocks[*block].users == 0 {
                self.free.push_back(*block);
            }
        }
    }

    /// Appends blocks to a request until `tokens` have a place; `false` if there are not enough.
    fn allocate(&mut self, request: &mut Request, tokens: u32) -> bool {
        let needed = tokens.div_ceil(self.settings.block_tokens) as usize - request.table.len();
        if needed > self.free.len() {
            return false;
        }
        for _ in 0..needed {
            let block = self.free.pop_front().expect("counted");
            if let Some(content) = self.blocks[block].content.take()
                && self.cached.get(&content) == Some(&block)
            {
                self.cached.remove(&content);
            }
            self.blocks[block].users = 1;
            request.table.push(block);
        }
        self.name_blocks(request, tokens);
        true
    }

    fn shareable(&self, request: &Request) -> u32 {
        let whole = request.job.prompt_tokens / self.settings.block_tokens;
        request.job.prefix.blocks(self.settings.block_tokens).min(whole)
    }

    fn content(&self, request: &Request, index: u32) -> Content {
        match index < self.shareable(request) {
            true => Content::Shared(request.job.prefix.hash(index)),
            false => Content::Own(request.serial, index),
        }
    }

    /// Blocks that become complete with `tokens` tokens get their names.
    fn name_blocks(&mut self, request: &Request, tokens: u32) {
        if !self.settings.prefix_cache {
            return;
        }
        for index in request.computed / self.settings.block_tokens..tokens / self.settings.block_tokens {
            let (block, content) = (request.table[index as usize], self.content(request, index));
            let known = matches!(content, Content::Shared(_)) && self.cached.contains_key(&content);
            if self.blocks[block].content.is_none() && !known {
                self.blocks[block].content = Some(content);
                self.cached.insert(content, block);
            }
        }
    }

    fn begin_step(&mut self, at: u128) {
        self.step = None;
        let mut budget = self.settings.batch_tokens;
        let mut preempted = Vec::new();
        self.settings.step = self.step_next.take().unwrap_or(self.settings.step);
        let before = self.preemptions;
        let mut gone: Vec<Request> = self.running.extract_if(.., |request| request.gone.is_some()).collect();
        gone.sort_by_key(|request| request.gone);
        gone.iter().for_each(|request| self.free_blocks(&request.table));
        if self.running.is_empty() {
            self.let_ended_go();
        }
        self.chunks.clear();
        let mut index = 0;
        'running: while index < self.running.len() {
            let chunk = (Self::tokens(&self.running[index]) - self.running[index].computed).min(budget);
            loop {
                let mut request = self.running.remove(index);
                let computed = request.computed;
                let fits = self.allocate(&mut request, computed + chunk);
                self.running.insert(index, request);
                if fits {
                    break;
                }
                let newest = self.running.pop().expect("at least this one");
                preempted.push(newest);
                if self.running.len() == index {
                    break 'running;
                }
                self.let_go(&mut preempted, at);
            }
            budget -= chunk;
            self.chunks.push(chunk);
            index += 1;
        }
        self.let_go(&mut preempted, at);
        if self.preemptions == before {
            self.admit(at, &mut budget);
        }
        if self.running.is_empty() && !self.ending.is_empty() {
            self.let_ended_go();
            self.admit(at, &mut budget);
        }
        self.time_step(at);
    }

    fn let_go(&mut self, preempted: &mut Vec<Request>, at: u128) {
        for mut request in preempted.drain(..) {
            self.free_blocks(&request.table);
            request.table.clear();
            (request.computed, request.decoding) = (0, false);
            self.preemptions += 1;
            self.told.push(Told::Event(Event::Preempted { at: ns(at), visitor: request.job.visitor }));
            self.waiting.push_front(request);
        }
    }

    fn admit(&mut self, at: u128, budget: &mut u32) {
        let next = if self.running.is_empty() { usize::MAX } else { self.step_ends.len() + 1 };
        let places = self.settings.sequences_max as usize;
        while *budget > 0
            && self.running.len() + self.ending.len() < places
            && self.waiting.front().is_some_and(|request| request.seen_from <= next)
        {
            let mut request = self.waiting.pop_front().expect("not empty");
            let tokens = Self::tokens(&request);
            let most = (tokens - 1) / self.settings.block_tokens;
            let hits: Vec<usize> = (0..most).map_while(|i| self.cached.get(&self.content(&request, i)).copied()).collect();
            let idle = hits.iter().filter(|block| self.blocks[**block].users == 0).count();
            let needed = tokens.div_ceil(self.settings.block_tokens) as usize - hits.len();
            if !self.settings.prefix_cache {
                assert!(hits.is_empty());
            }
            if self.free.len() - idle < needed {
                self.waiting.push_front(request);
                break;
            }
            for block in &hits {
                self.blocks[*block].users += 1;
                self.free.retain(|free| free != block);
            }
            // What it wrote itself and cannot use now is not looked for again.
            for index in hits.len() as u32..tokens / self.settings.block_tokens {
                self.cached.remove(&Content::Own(request.serial, index));
            }
            request.computed = hits.len() as u32 * self.settings.block_tokens;
            request.table = hits;
            if !request.started {
                request.started = true;
                self.hit += u64::from(request.computed);
                self.event(Event::Started { at: ns(at), visitor: request.job.visitor });
            }
            let chunk = (tokens - request.computed).min(*budget);
            let computed = request.computed;
            assert!(self.allocate(&mut request, computed + chunk), "counted");
            *budget -= chunk;
            self.chunks.push(chunk);
            self.running.push(request);
        }
    }

    fn time_step(&mut self, at: u128) {
        if self.running.is_empty() {
            return;
        }
        let time = self.settings.step;
        let mut length = u128::from(time.base_ps);
        for (request, chunk) in self.running.iter().zip(&self.chunks) {
            if request.decoding {
                length += u128::from(time.per_sequence_ps);
                length += u128::from(time.per_kv_token_ps) * u128::from(Self::tokens(request));
            } else {
                let (before, chunk) = (u128::from(request.computed), u128::from(*chunk));
                length += u128::from(time.per_prefill_token_ps) * chunk;
                length += u128::from(time.per_prefill_pair_ps) * chunk * (2 * before + chunk) / 2;
            }
        }
        self.step = Some((at, at + length));
    }
}
