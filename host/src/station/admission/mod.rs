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
use crate::station::list::{Links, List};
use crate::station::untold::Untold;
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
    /// Visits that are in.
    busy: u32,
    /// By visitor.
    visits: Vec<Visit>,
    /// Who waits, by tenant and priority.
    flows: Flows,
    /// Who waits, the oldest first.
    waiting: List,
    by_age: Links,
    untold: Untold,
    now: Nanos,
}

/// One visit. A waiting one is in two lists: that of its flow, and that of all by age.
#[derive(Debug, Clone, Copy)]
struct Visit {
    state: State,
    cost: u32,
    flow: u32,
    gives_up_at: Nanos,
    untold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    In,
    Waits,
}

const AWAY: Visit = Visit { state: State::Away, cost: 0, flow: 0, gives_up_at: Nanos::MAX, untold: false };

impl Admission {
    /// A queue with nobody in it.
    pub fn new(settings: Settings) -> Self {
        let settings = Settings { places: settings.places.max(1), ..settings };
        Self {
            settings,
            busy: 0,
            visits: Vec::new(),
            flows: Flows::for_waiting(settings.queue_max),
            waiting: List::EMPTY,
            by_age: Links::default(),
            untold: Untold::default(),
            now: 0,
        }
    }

    /// `visitor` comes; if it is here already, it leaves first. `cost` is what counts towards the tenant's share: 1 for fairness by
    /// requests, or tokens.
    pub fn enter(&mut self, now: Nanos, visitor: Visitor, tenant: u64, priority: u8, cost: u32) -> Entry {
        self.leave(now, visitor);
        let is_full = self.busy >= self.settings.places;
        if is_full && self.waiting.len() >= self.settings.queue_max {
            return Entry::Refused(Refusal::of(Cause::QueueFull));
        }
        if self.visits.len() <= visitor as usize {
            self.visits.resize(visitor as usize + 1, AWAY);
        }
        if !is_full {
            // Nobody waits while a place is free.
            self.busy += 1;
            self.visits[visitor as usize] = Visit { state: State::In, ..AWAY };
            return Entry::In;
        }
        let flow = self.flows.of(if self.settings.fair { tenant } else { 0 }, priority);
        let gives_up_at = match self.settings.wait_max_ns {
            0 => Nanos::MAX,
            most => self.now.saturating_add(most),
        };
        self.visits[visitor as usize] = Visit { state: State::Waits, cost: cost.max(1), flow, gives_up_at, untold: false };
        self.waiting.push(&mut self.by_age, visitor);
        self.flows.push(flow, visitor);
        Entry::Waits
    }

    /// `visitor` goes, served or not. Its place goes to the next who waits; the next [`advance`](Self::advance) says to whom. What it
    /// has not been told yet, it is not told any more.
    pub fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.catch_up(now);
        let Some(visit) = self.visits.get_mut(visitor as usize) else { return };
        let Visit { state, flow, untold, .. } = std::mem::replace(visit, AWAY);
        if untold {
            self.untold.withdraw(visitor);
        }
        match state {
            State::Away => {}
            State::Waits => self.take_out(visitor, flow),
            State::In => {
                self.busy -= 1;
                self.hand_on();
            }
        }
    }

    /// Says what has become of those who waited by `now`, in the order in which it happened.
    pub fn advance(&mut self, now: Nanos, notices: &mut Vec<Notice>) {
        self.catch_up(now);
        let visits = &mut self.visits;
        self.untold.tell(notices, |notice| visits[notice.visitor as usize].untold = false);
    }

    /// When there is something to say next.
    pub fn next_at(&self) -> Option<Nanos> {
        let gives_up_at = || Some(self.visits[self.waiting.first()? as usize].gives_up_at);
        self.untold.first_at().or_else(|| gives_up_at().filter(|_| self.settings.wait_max_ns > 0))
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        Load { busy: self.busy, waiting: self.waiting.len() }
    }

    /// Gives a place that has just come free to whose turn it is.
    fn hand_on(&mut self) {
        let Some(next) = self.flows.next() else { return };
        let visit = &mut self.visits[next as usize];
        let Visit { flow, cost, .. } = *visit;
        *visit = Visit { state: State::In, untold: true, ..AWAY };
        self.flows.serve(flow, cost);
        self.take_out(next, flow);
        self.busy += 1;
        self.untold.add(self.now, next, None);
    }

    /// Refuses those whose time is up by `now`.
    fn catch_up(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        if self.settings.wait_max_ns == 0 {
            return;
        }
        // All wait equally long at most, so the oldest is the first to give up.
        while let Some(visitor) = self.waiting.first() {
            let Visit { flow, gives_up_at, .. } = self.visits[visitor as usize];
            if gives_up_at > self.now {
                break;
            }
            self.visits[visitor as usize] = Visit { untold: true, ..AWAY };
            self.take_out(visitor, flow);
            self.untold.add(gives_up_at, visitor, Some(Refusal::of(Cause::QueueTimeout)));
        }
    }

    /// Takes who waits out of the queue.
    fn take_out(&mut self, visitor: Visitor, flow: u32) {
        self.waiting.remove(&mut self.by_age, visitor);
        self.flows.remove(flow, visitor);
        if self.waiting.is_empty() {
            self.flows.forget_all();
        }
    }
}
