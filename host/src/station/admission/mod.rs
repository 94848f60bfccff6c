//! A bounded queue before a limited number of places.
//!
//! Who finds no free place waits: higher priorities first, strictly. Within a priority, tenants share by start-time fair queueing in
//! front of so many places (Goyal, Vin and Cheng 1996; SFQ(D) of Jin, Chase and Kaur 2004): a tenant's next visit starts, in virtual time,
//! where its last one ended, one that comes new starts now, and the earliest start goes first ([`flows`]). So while two tenants both
//! wait, what they were given never differs by more than one dearest visit of each; no tenant of a priority starves, whatever others
//! of it ask. A lower priority may: `wait_max_ns` bounds that. Without `fair` it is first come, first served.
//!
//! A visit that has waited for `wait_max_ns` is refused at that moment, before a place that comes free at the same moment is handed on.

use crate::clock::Nanos;
use crate::station::admission::flows::Flows;
use crate::station::{Cause, Entry, Notice, Refusal, Visitor};

mod flows;

#[cfg(test)]
mod tests;

/// How many are let in and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Visits that are in at a time; at least 1.
    pub places: u32,
    /// Visits that wait at a time; 0: who finds no place is refused.
    pub queue_max: u32,
    /// How long a visit waits at most, in nanoseconds; 0: as long as it takes.
    pub wait_max_ns: u64,
    /// Do tenants share, or is it first come, first served?
    pub fair: bool,
}

/// How full it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Visits that are in.
    pub busy: u32,
    /// Visits that wait.
    pub waiting: u32,
}

/// The queue with its places.
#[derive(Debug)]
pub struct Admission {
    settings: Settings,
    load: Load,
    /// By visitor.
    visits: Vec<Visit>,
    /// Who waits, by tenant and priority.
    flows: Flows,
    /// Who waits, the oldest first: the ends of a list through `visits`.
    oldest: Visitor,
    newest: Visitor,
    /// What happened since the last `advance`.
    pending: Vec<Notice>,
    now: Nanos,
}

/// No visitor.
const NOBODY: Visitor = Visitor::MAX;

/// One visit. A waiting one is in two lists: that of its flow, and that of all by age.
#[derive(Debug, Clone, Copy)]
struct Visit {
    state: State,
    cost: u32,
    flow: u32,
    since: Nanos,
    in_flow: Links,
    by_age: Links,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    In,
    Waits,
}

#[derive(Debug, Clone, Copy)]
struct Links {
    before: Visitor,
    after: Visitor,
}

const UNLINKED: Links = Links { before: NOBODY, after: NOBODY };
const AWAY: Visit = Visit { state: State::Away, cost: 0, flow: 0, since: 0, in_flow: UNLINKED, by_age: UNLINKED };

impl Admission {
    /// A queue with nobody in it.
    pub fn new(settings: Settings) -> Self {
        let settings = Settings { places: settings.places.max(1), ..settings };
        Self {
            settings,
            load: Load::default(),
            visits: Vec::new(),
            flows: Flows::for_waiting(settings.queue_max),
            oldest: NOBODY,
            newest: NOBODY,
            pending: Vec::new(),
            now: 0,
        }
    }

    /// `visitor`, which is not here yet, comes. `cost` is what counts towards the tenant's share: 1 for fairness by requests, or tokens.
    pub fn enter(&mut self, now: Nanos, visitor: Visitor, tenant: u64, priority: u8, cost: u32) -> Entry {
        let now = self.expire(now);
        if self.load.busy >= self.settings.places && self.load.waiting >= self.settings.queue_max {
            return Entry::Refused(Refusal::of(Cause::QueueFull));
        }
        if self.visits.len() <= visitor as usize {
            self.visits.resize(visitor as usize + 1, AWAY);
        }
        if self.load.busy < self.settings.places {
            // Nobody waits while a place is free.
            self.load.busy += 1;
            self.visits[visitor as usize] = Visit { state: State::In, ..AWAY };
            return Entry::In;
        }
        self.load.waiting += 1;
        let flow = self.flows.of(if self.settings.fair { tenant } else { 0 }, priority);
        let by_age = Links { before: self.newest, after: NOBODY };
        self.visits[visitor as usize] =
            Visit { state: State::Waits, cost: cost.max(1), flow, since: now, in_flow: UNLINKED, by_age };
        match self.newest {
            NOBODY => self.oldest = visitor,
            before => self.visits[before as usize].by_age.after = visitor,
        }
        self.newest = visitor;
        self.flows.push(flow, visitor, &mut self.visits);
        Entry::Waits
    }

    /// `visitor` goes, served or not. Its place goes to the next who waits; the next [`advance`](Self::advance) says to whom.
    pub fn leave(&mut self, now: Nanos, visitor: Visitor) {
        let now = self.expire(now);
        match self.visits.get(visitor as usize).map_or(State::Away, |visit| visit.state) {
            State::Away => {}
            State::Waits => self.unlink(visitor),
            State::In => {
                self.visits[visitor as usize].state = State::Away;
                self.load.busy -= 1;
                if let Some(next) = self.flows.next() {
                    self.flows.serve(self.visits[next as usize].flow, self.visits[next as usize].cost);
                    self.unlink(next);
                    self.visits[next as usize].state = State::In;
                    self.load.busy += 1;
                    self.pending.push(Notice { at: now, visitor: next, refused: None });
                }
            }
        }
    }

    /// Says what has become of those who waited by `now`, in the order in which it happened.
    pub fn advance(&mut self, now: Nanos, notices: &mut Vec<Notice>) {
        self.expire(now);
        notices.append(&mut self.pending);
    }

    /// When there is something to say next.
    pub fn next_at(&self) -> Option<Nanos> {
        let deadline = || {
            let oldest = self.visits.get(self.oldest as usize)?;
            (self.settings.wait_max_ns > 0).then(|| oldest.since.saturating_add(self.settings.wait_max_ns))
        };
        self.pending.first().map(|notice| notice.at).or_else(deadline)
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        self.load
    }

    /// Refuses those whose time is up by `now`, and gives the newest time.
    fn expire(&mut self, now: Nanos) -> Nanos {
        self.now = self.now.max(now);
        while self.settings.wait_max_ns > 0 && self.oldest != NOBODY {
            let (visitor, since) = (self.oldest, self.visits[self.oldest as usize].since);
            let at = since.saturating_add(self.settings.wait_max_ns);
            if at > self.now {
                break;
            }
            self.unlink(visitor);
            self.pending.push(Notice { at, visitor, refused: Some(Refusal::of(Cause::QueueTimeout)) });
        }
        self.now
    }

    /// Takes who waits out of the queue.
    fn unlink(&mut self, visitor: Visitor) {
        let Visit { flow, by_age: Links { before, after }, .. } = self.visits[visitor as usize];
        match before {
            NOBODY => self.oldest = after,
            before => self.visits[before as usize].by_age.after = after,
        }
        match after {
            NOBODY => self.newest = before,
            after => self.visits[after as usize].by_age.before = before,
        }
        self.flows.remove(flow, visitor, &mut self.visits);
        self.visits[visitor as usize].state = State::Away;
        self.load.waiting -= 1;
        if self.load.waiting == 0 {
            self.flows.forget_all();
        }
    }
}
