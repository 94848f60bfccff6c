//! One run of a workload: a state machine that is told the time.
//!
//! Open sources each know their next arrival. What waits for a time of its own (a thinking user, a retry) is in one heap, ordered by
//! time and by the order in which it was put there. At equal times sources come first, in the order of the file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use slab::Slab;

use crate::clock::Nanos;
use crate::random::Key;
use crate::types::problem::Problem;
use crate::workload::make::{Made, Maker};
use crate::workload::profile::Profile;
use crate::workload::{Answer, Arrivals, Ask, Gaps, Prefix, Prompt, Workload, bursty, trace};

/// How long a closed user thinks at least after a failure, in nanoseconds: a user without thoughts that is refused at once would else
/// ask forever at the same time.
const FAILED_PAUSE_NS: Nanos = 1_000_000;

/// One run of a [`Workload`].
#[derive(Debug)]
pub struct Traffic {
    spec: Workload,
    maker: Maker,
    sources: Vec<Running>,
    /// Closed users over all sources, in their order.
    users: Vec<User>,
    waiting: BinaryHeap<Reverse<(Nanos, u64, Due)>>,
    /// Requests that will be tried again.
    retries: Slab<Ask>,
    /// How many were ever put into `waiting`.
    waited: u64,
    /// Requests given so far.
    numbers: u64,
    /// Users of open sources so far, behind the closed ones.
    strangers: u32,
    /// What comes first, and when; kept, because it is asked far more often than it changes.
    first: Option<(Nanos, First)>,
    now: Nanos,
}

/// What happens next to a request that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is whole.
    Done,
    /// Its client tries again: [`Traffic::next`] gives it at this time.
    Retry {
        /// When.
        at: Nanos,
    },
    /// It failed, and its client does not try again.
    GivenUp,
}

/// Who is due. The order breaks no ties: that is done by the number before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    User(u32),
    Retry(u32),
}

#[derive(Debug, Clone, Copy)]
struct User {
    source: u32,
    /// Its number within its source.
    number: u32,
    /// How often it has asked.
    turns: u64,
}

/// A source that runs.
#[derive(Debug)]
struct Running {
    key: Key,
    machine: Machine,
    /// Arrivals given by the machine so far, the next one included.
    count: u64,
    /// The next arrival.
    next: Option<Nanos>,
}

/// Which comes first.
#[derive(Debug, Clone, Copy)]
enum First {
    Source(usize),
    Waiting,
}

#[derive(Debug)]
enum Machine {
    Rate {
        profile: Arc<Profile>,
        gaps: Gaps,
        /// The integral of the rate up to the newest arrival.
        reached: f64,
    },
    Bursty(bursty::Run),
    Trace(trace::Run),
    /// Users ask by themselves.
    Closed,
}

impl Running {
    fn advance(&mut self) {
        let key = self.key.with(self.count);
        self.next = match &mut self.machine {
            Machine::Rate { profile, gaps, reached } => {
                *reached += gaps.draw(key.named("gap"));
                profile.reached(*reached)
            }
            Machine::Bursty(run) => run.next(),
            Machine::Trace(run) => run.next(),
            Machine::Closed => None,
        };
        self.count += 1;
    }
}

impl Traffic {
    /// A run of `spec` with `seed`. Fails if `spec` is not whole: without classes or sources, or with prompts nobody has counted.
    pub fn begin(spec: &Workload, seed: u64) -> Result<Self, Vec<Problem>> {
        let problems = faults_of(spec);
        if !problems.is_empty() {
            return Err(problems);
        }
        let root = Key::of_seed(seed).named("workload");
        let mut traffic = Self {
            maker: Maker::of(spec, root),
            spec: spec.clone(),
            sources: Vec::with_capacity(spec.sources.len()),
            users: Vec::new(),
            waiting: BinaryHeap::new(),
            retries: Slab::new(),
            waited: 0,
            numbers: 0,
            strangers: 0,
            first: None,
            now: 0,
        };
        for (index, source) in spec.sources.iter().enumerate() {
            let key = root.named("source").named(&source.name);
            let machine = match &source.arrivals {
                Arrivals::Rate { profile, gaps } => Machine::Rate { profile: Arc::clone(profile), gaps: *gaps, reached: 0.0 },
                Arrivals::Bursty(bursty) => Machine::Bursty(bursty::Run::begin(*bursty, key)),
                Arrivals::Trace(trace) => Machine::Trace(trace::Run::begin(trace)),
                Arrivals::Closed { users, .. } => {
                    traffic.users.extend((0..*users).map(|number| User { source: index as u32, number, turns: 0 }));
                    Machine::Closed
                }
            };
            let mut running = Running { key, machine, count: 0, next: None };
            running.advance();
            traffic.sources.push(running);
        }
        traffic.strangers = traffic.users.len() as u32;
        for user in 0..traffic.strangers {
            traffic.think(user, 0, 0);
        }
        traffic.first = traffic.look();
        Ok(traffic)
    }

    /// What is played.
    pub fn spec(&self) -> &Workload {
        &self.spec
    }

    /// When the next request is due; `None` if nothing more comes by itself (users and clients may still wait for answers).
    pub fn next_at(&self) -> Option<Nanos> {
        self.first.map(|(at, _)| at)
    }

    /// The next request that is due at `now`, if there is one; ask until there is none. [`Ask::at`] is when it was due.
    pub fn next(&mut self, now: Nanos) -> Option<Ask> {
        self.now = self.now.max(now);
        let (at, first) = self.first.filter(|(at, _)| *at <= self.now)?;
        match first {
            First::Source(index) => Some(self.arrive(at, index)),
            First::Waiting => {
                let Reverse((_, _, due)) = self.waiting.pop()?;
                match due {
                    Due::Retry(slot) => {
                        self.first = self.look();
                        Some(Ask { at, ..self.retries.remove(slot as usize) })
                    }
                    Due::User(user) => {
                        let of = &mut self.users[user as usize];
                        let source = of.source as usize;
                        let key = self.sources[source].key.with(of.number.into()).with(of.turns);
                        of.turns += 1;
                        let made = self.maker.make(&self.spec, source, key, None);
                        Some(self.number(at, source, user, key, made))
                    }
                }
            }
        }
    }

    /// Says at `now` what became of `ask`. A failure is tried again if the client's policy wants it and `may_retry`, which is asked
    /// only then, allows it: there a retry budget is kept. A closed user whose request has come to its end thinks and asks again.
    pub fn ended(&mut self, now: Nanos, ask: &Ask, answer: Answer, may_retry: impl FnOnce() -> bool) -> Next {
        self.now = self.now.max(now);
        if self.spec.client.retries_after(ask.attempt, answer) && may_retry() {
            let draw = ask.key.named("backoff").with(ask.attempt.into()).unit();
            let at = self.now.saturating_add(self.spec.client.wait_ns(ask.attempt, answer, draw));
            let slot = self.retries.insert(Ask { at, attempt: ask.attempt + 1, ..ask.clone() });
            self.wait(at, Due::Retry(slot as u32));
            self.first = self.look();
            return Next::Retry { at };
        }
        let (pause, next) = if answer == Answer::Whole { (0, Next::Done) } else { (FAILED_PAUSE_NS, Next::GivenUp) };
        if (ask.user as usize) < self.users.len() {
            self.think(ask.user, self.now, pause);
            self.first = self.look();
        }
        next
    }

    /// When the client gives `ask` up; `None` if it waits as long as it takes. The driver says then that it is [`Answer::Broken`].
    pub fn deadline(&self, ask: &Ask) -> Option<Nanos> {
        self.spec.client.timeout_ns.map(|timeout| ask.at.saturating_add(timeout))
    }

    /// Why a recording ended before its end, if one did: its file has changed since it was checked.
    pub fn trouble(&self) -> Option<&str> {
        self.sources.iter().find_map(|source| match &source.machine {
            Machine::Trace(run) => run.trouble(),
            _ => None,
        })
    }

    /// Requests given so far, retries not counted.
    pub fn begun(&self) -> u64 {
        self.numbers
    }

    /// The first that is due, and when.
    fn look(&self) -> Option<(Nanos, First)> {
        let arrivals = self.sources.iter().enumerate().filter_map(|(index, source)| Some((source.next?, index)));
        let source = arrivals.min().filter(|(at, _)| self.may_begin(*at)).map(|(at, index)| (at, First::Source(index)));
        let waiting = self.waiting.peek().map(|Reverse((at, _, _))| (*at, First::Waiting));
        match (source, waiting) {
            (Some(source), Some(waiting)) if waiting.0 < source.0 => Some(waiting),
            (None, waiting) => waiting,
            (source, _) => source,
        }
    }

    /// The request that comes from source number `index` at `at`.
    fn arrive(&mut self, at: Nanos, index: usize) -> Ask {
        let key = self.sources[index].key.with(self.sources[index].count - 1);
        let user = self.strangers;
        // Closed users keep their numbers, even after four billion others.
        self.strangers = self.strangers.checked_add(1).unwrap_or(self.users.len() as u32);
        let source = &mut self.sources[index];
        let (recorded, block_tokens) = match &source.machine {
            Machine::Trace(run) => (Some(run.row()), run.block_tokens()),
            _ => (None, 1),
        };
        let mut made = self.maker.make(&self.spec, index, key, recorded);
        if let Some(hashes) = recorded.and_then(|row| row.blocks.as_ref()) {
            made.prefix = Prefix::Blocks { block_tokens, hashes: Arc::clone(hashes) };
        }
        source.advance();
        self.number(at, index, user, key, made)
    }

    /// May one more request begin, at this time?
    fn may_begin(&self, at: Nanos) -> bool {
        self.spec.requests.is_none_or(|most| self.numbers < most) && self.spec.until.is_none_or(|until| at < until)
    }

    /// The next number for what was `made`; nothing else changes after it.
    fn number(&mut self, at: Nanos, source: usize, user: u32, key: Key, made: Made) -> Ask {
        let Made { class, prompt, input_tokens, output_tokens, prefix, tenant } = made;
        let number = self.numbers;
        self.numbers += 1;
        if self.spec.requests == Some(self.numbers) {
            self.waiting.retain(|Reverse((_, _, due))| matches!(due, Due::Retry(_)));
        }
        self.first = self.look();
        Ask {
            at,
            class,
            source: source as u32,
            user,
            number,
            attempt: 0,
            prompt,
            input_tokens,
            output_tokens,
            prefix,
            tenant,
            key,
        }
    }

    /// Lets a closed user think from `now` on, for `pause` at least, and then ask.
    fn think(&mut self, user: u32, now: Nanos, pause: Nanos) {
        let User { source, number, turns } = self.users[user as usize];
        let Arrivals::Closed { think, .. } = &self.spec.sources[source as usize].arrivals else { return };
        let key = self.sources[source as usize].key.with(number.into()).with(turns);
        let thought = libm::rint(think.quantile(key.named("think").unit())) as Nanos;
        let at = now.saturating_add(thought.max(pause));
        if self.may_begin(at) {
            self.wait(at, Due::User(user));
        }
    }

    fn wait(&mut self, at: Nanos, due: Due) {
        self.waiting.push(Reverse((at, self.waited, due)));
        self.waited += 1;
    }
}

/// Why `spec` cannot be played.
fn faults_of(spec: &Workload) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fault = |pointer: &str, message: &str| problems.push(Problem::new(pointer, message));
    if spec.tenants.is_empty() || spec.sources.is_empty() || spec.sources.iter().any(|source| source.classes.is_empty()) {
        fault("", "a workload has at least one tenant, one source, and one class for each source");
    }
    let has_class = |class: &u32| (*class as usize) < spec.classes.len();
    if !spec.sources.iter().flat_map(|source| &source.classes).all(has_class) {
        fault("", "a source has a class that the workload has not");
    }
    for (index, class) in spec.classes.iter().enumerate() {
        let pointer = format!("/classes/{index}");
        if matches!(class.prompt, Prompt::Text { tokens: None, .. }) {
            fault(&pointer, "the tokens of this prompt have not been counted");
        }
        let has_tenant = |(tenant, _): &(u32, f64)| (*tenant as usize) < spec.tenants.len();
        if class.tenants.is_empty() || !class.tenants.iter().all(has_tenant) {
            fault(&pointer, "a class has at least one tenant, of those that the workload has");
        }
    }
    problems
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
