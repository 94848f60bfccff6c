//! A bounded number of connections (or servers), each held by one visitor at a time, with shares for reads and writes.
//!
//! Who finds none free waits in order of coming. A read overtakes writes that wait only because the share of writes is used up, and the
//! other way round: a connection that somebody may have is never left free. Hand-overs that a `leave` brings about happen at its time and
//! are told by the next `advance`. Who has waited for `wait_max_ns` gives up at that time, even if a connection comes free in the same
//! nanosecond. The order of calls within a nanosecond does not change that.
//!
//! With one kind of access this is the queue G/G/c with bounded room: c servers, first come, first served.

use crate::clock::Nanos;
use crate::station::list::{Links, List};
use crate::station::untold::Untold;
use crate::station::{Cause, Entry, Notice, Refusal, Visitor};

/// What a pool is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Connections, 1 or more.
    pub size: u32,
    /// How long a visitor waits at most, in nanoseconds. 0: as long as it takes.
    pub wait_max_ns: Nanos,
    /// How many may wait. 0: none; who finds no connection free is refused.
    pub queue_max: u32,
    /// Connections that reads may hold at a time, 1 or more. `None`: all.
    pub reads: Option<u32>,
    /// Connections that writes may hold at a time, 1 or more. `None`: all.
    pub writes: Option<u32>,
}

impl Settings {
    /// `size` connections without shares, for which any number waits for any time.
    pub const fn of(size: u32) -> Self {
        Self { size, wait_max_ns: 0, queue_max: u32::MAX, reads: None, writes: None }
    }
}

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For writing.
    Write,
}

/// How busy a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Connections held.
    pub busy: u32,
    /// Visitors that wait.
    pub waiting: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Waits,
    Holds,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    /// Orders the two queues among each other.
    ticket: u64,
    gives_up_at: Nanos,
    state: State,
    access: Access,
    untold: bool,
}

const AWAY: Visit = Visit { ticket: 0, gives_up_at: 0, state: State::Away, access: Access::Read, untold: false };

/// The pool.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    now: Nanos,
    visits: Vec<Visit>,
    links: Links,
    /// Those who wait, and connections held, each by [`Access`].
    queues: [List; 2],
    held: [u32; 2],
    tickets: u64,
    untold: Untold,
}

impl Pool {
    /// A pool with all connections free.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: 0,
            visits: Vec::new(),
            links: Links::default(),
            queues: [List::EMPTY; 2],
            held: [0; 2],
            tickets: 0,
            untold: Untold::default(),
        }
    }

    /// Asks for a connection. A visitor holds or waits for one at most: who enters again leaves first.
    pub fn enter(&mut self, now: Nanos, visitor: Visitor, access: Access) -> Entry {
        self.leave(now, visitor);
        let index = visitor as usize;
        if index >= self.visits.len() {
            self.visits.resize(index + 1, AWAY);
        }
        if self.queues[access as usize].is_empty() && self.has_room(access) {
            self.held[access as usize] += 1;
            self.visits[index] = Visit { state: State::Holds, access, ..AWAY };
            return Entry::In;
        }
        if self.load().waiting >= self.settings.queue_max {
            return Entry::Refused(Refusal::of(Cause::QueueFull));
        }
        self.tickets += 1;
        self.queues[access as usize].push(&mut self.links, visitor);
        let gives_up_at = self.now.saturating_add(self.settings.wait_max_ns);
        self.visits[index] = Visit { ticket: self.tickets, gives_up_at, state: State::Waits, access, untold: false };
        Entry::Waits
    }

    /// Gives back what `visitor` holds, or its place in the queue. What it has not been told yet, it is not told any more.
    pub fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.catch_up(now);
        let Some(visit) = self.visits.get_mut(visitor as usize) else { return };
        let Visit { state, access, untold, .. } = *visit;
        *visit = AWAY;
        if untold {
            self.untold.withdraw(visitor);
        }
        match state {
            State::Away => {}
            State::Waits => self.queues[access as usize].remove(&mut self.links, visitor),
            State::Holds => {
                self.held[access as usize] -= 1;
                self.hand_on();
            }
        }
    }

    /// Does everything that was due by `now` and says what became of those who waited.
    pub fn advance(&mut self, now: Nanos, notices: &mut Vec<Notice>) {
        self.catch_up(now);
        let visits = &mut self.visits;
        self.untold.tell(notices, |notice| visits[notice.visitor as usize].untold = false);
    }

    /// When there is something to do next.
    pub fn next_at(&self) -> Option<Nanos> {
        let gives_up_at = |visitor: Visitor| self.visits[visitor as usize].gives_up_at;
        self.untold.first_at().or_else(|| self.first_to_give_up().map(gives_up_at))
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        Load { busy: self.held[0] + self.held[1], waiting: self.queues[0].len() + self.queues[1].len() }
    }

    fn has_room(&self, access: Access) -> bool {
        let share = match access {
            Access::Read => self.settings.reads,
            Access::Write => self.settings.writes,
        };
        self.held[0] + self.held[1] < self.settings.size && share.is_none_or(|share| self.held[access as usize] < share)
    }

    /// Which of two waits longest; the earlier ticket, if both are there.
    fn earlier(&self, one: Option<Visitor>, other: Option<Visitor>) -> Option<Visitor> {
        let ticket = |visitor: &Visitor| self.visits[*visitor as usize].ticket;
        [one, other].into_iter().flatten().min_by_key(ticket)
    }

    /// Gives a connection that has just come free to the first who may have it: to one at most, for before it nobody might.
    fn hand_on(&mut self) {
        let first = |access: Access| self.queues[access as usize].first().filter(|_| self.has_room(access));
        let Some(visitor) = self.earlier(first(Access::Read), first(Access::Write)) else { return };
        let visit = &mut self.visits[visitor as usize];
        (visit.state, visit.untold) = (State::Holds, true);
        let access = visit.access as usize;
        self.queues[access].remove(&mut self.links, visitor);
        self.held[access] += 1;
        self.untold.add(self.now, visitor, None);
    }

    /// All wait equally long at most, so the first to give up is at the head of one of the queues.
    fn first_to_give_up(&self) -> Option<Visitor> {
        if self.settings.wait_max_ns == 0 {
            return None;
        }
        self.earlier(self.queues[0].first(), self.queues[1].first())
    }

    fn catch_up(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        while let Some(visitor) = self.first_to_give_up() {
            let visit = &mut self.visits[visitor as usize];
            if visit.gives_up_at > self.now {
                break;
            }
            (visit.state, visit.untold) = (State::Away, true);
            self.untold.add(visit.gives_up_at, visitor, Some(Refusal::of(Cause::PoolTimeout)));
            self.queues[visit.access as usize].remove(&mut self.links, visitor);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
