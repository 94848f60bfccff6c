//! One station among those of a site, whatever its kind.

use crate::clock::Nanos;
use crate::station::pipeline::route::Stage;
use crate::station::pipeline::visit::Work;
use crate::station::pool::{self, Pool};
use crate::station::replica::{self, Replica};
use crate::station::{Entry, Notice, Refusal, Visitor};

/// What a station of a scenario is.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// Connections or servers.
    Pool(pool::Settings),
    /// Model servers behind a balancer.
    Replicas(Replicas),
}

/// What a station can be for a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Somewhere to go through.
    Way,
    /// The same, and it writes the reply step by step.
    Replicas,
    /// The same, and it may have the answer already.
    Cache,
    /// A circuit breaker, which a stage is behind.
    Breaker,
    /// What a stage's retries are taken from.
    RetryBudget,
}

impl Settings {
    /// What such a station can be for a stage.
    pub fn role(&self) -> Role {
        match self {
            Self::Pool(_) => Role::Way,
            Self::Replicas(_) => Role::Replicas,
        }
    }

    /// Are there visitors that it turns away? A prompt that is too long for a replica is another matter.
    pub fn may_refuse(&self) -> bool {
        match self {
            Self::Pool(pool) => pool.wait_max_ns > 0 || pool.queue_max < u32::MAX,
            Self::Replicas(group) => group.replica.waiting_max < u32::MAX,
        }
    }
}

/// Model servers of one kind, and what chooses between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicas {
    /// How many, at least 1.
    pub count: u32,
    /// Each of them.
    pub replica: replica::Settings,
}

/// How busy a station is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Visitors that are served: connections held, sequences in batches.
    pub running: u32,
    /// Visitors that wait.
    pub waiting: u32,
}

/// What became of a visitor of any kind of station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It is in, and the station itself takes so long, in nanoseconds.
    In(Nanos),
    /// The cache has the answer, and takes so long to give it.
    Hit(Nanos),
    /// The cache has it not.
    Miss,
    /// It waits, at this member.
    Waits(u32),
    /// It was turned away.
    Refused(Refusal),
}

/// A station, and when each of its members has asked to be looked at.
pub(super) struct Part {
    kind: Kind,
    armed: Vec<Option<Nanos>>,
}

enum Kind {
    Pool(Pool),
    Replicas(Group),
}

/// Replicas behind a balancer.
struct Group {
    replicas: Vec<Replica>,
    next: usize,
}

impl Part {
    pub fn of(settings: &Settings) -> Self {
        let kind = match settings {
            Settings::Pool(settings) => Kind::Pool(Pool::new(*settings)),
            Settings::Replicas(settings) => Kind::Replicas(Group {
                replicas: (0..settings.count).map(|_| Replica::new(settings.replica.clone())).collect(),
                next: 0,
            }),
        };
        let members = if let Kind::Replicas(group) = &kind { group.replicas.len() } else { 1 };
        Self { kind, armed: vec![None; members] }
    }

    /// Brings a visitor to the stage `stage` of its way.
    pub fn enter(&mut self, now: Nanos, visitor: Visitor, work: &Work, stage: &Stage) -> Entered {
        let entered = |entry| match entry {
            Entry::In => Entered::In(0),
            Entry::Waits => Entered::Waits(0),
            Entry::Refused(refusal) => Entered::Refused(refusal),
        };
        match &mut self.kind {
            Kind::Pool(pool) => {
                let access = if stage.writes { pool::Access::Write } else { pool::Access::Read };
                entered(pool.enter(now, visitor, access))
            }
            Kind::Replicas(group) => group.enter(now, visitor, work),
        }
    }

    /// The end of a visit. What it brings about is told by the next [`Part::advance`].
    pub fn leave(&mut self, now: Nanos, visitor: Visitor, member: u32) {
        match &mut self.kind {
            Kind::Pool(pool) => pool.leave(now, visitor),
            Kind::Replicas(group) => group.replicas[member as usize].leave(now, visitor),
        }
    }

    /// Does what was due at `member` by `now`.
    pub fn advance(&mut self, now: Nanos, member: u32, notices: &mut Vec<Notice>, events: &mut Vec<replica::Event>) {
        match &mut self.kind {
            Kind::Pool(pool) => pool.advance(now, notices),
            Kind::Replicas(group) => group.replicas[member as usize].advance(now, events),
        }
    }

    fn next_at(&self, member: u32) -> Option<Nanos> {
        match &self.kind {
            Kind::Pool(pool) => pool.next_at(),
            Kind::Replicas(group) => group.replicas[member as usize].next_at(),
        }
    }

    /// When `member` must be looked at, if that is news.
    pub fn newly_due(&mut self, member: u32) -> Option<Nanos> {
        let at = self.next_at(member)?;
        let armed = &mut self.armed[member as usize];
        if armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        *armed = Some(at);
        Some(at)
    }

    /// Notes that an entry of the agenda for `at` is used up.
    pub fn disarm(&mut self, member: u32, at: Nanos) {
        let armed = &mut self.armed[member as usize];
        if armed.is_some_and(|armed| armed <= at) {
            *armed = None;
        }
    }

    /// Asks a breaker; anything else lets everybody pass.
    pub fn guard(&mut self, _now: Nanos) -> Result<(), Refusal> {
        Ok(())
    }

    /// Tells a breaker how it went.
    pub fn settle(&mut self, _now: Nanos, _ok: bool) {}

    /// Notes a first attempt in a retry budget.
    pub fn deposit(&mut self, _now: Nanos) {}

    /// Asks a retry budget for one more attempt.
    pub fn withdraw(&mut self, _now: Nanos) -> bool {
        true
    }

    /// Gives an answer to a cache.
    pub fn fill(&mut self, _now: Nanos, _content: u64, _bytes: u64) {}

    /// Notes at the balancer that `member` needed so long for a visitor.
    pub fn answered(&mut self, _now: Nanos, _member: u32, _took_ns: u64) {}

    /// The replica `member`, if this is a group of them.
    pub fn replica(&self, member: u32) -> Option<&Replica> {
        if let Kind::Replicas(group) = &self.kind { group.replicas.get(member as usize) } else { None }
    }

    pub fn load(&self) -> Load {
        match &self.kind {
            Kind::Pool(pool) => Load { running: pool.load().busy, waiting: pool.load().waiting },
            Kind::Replicas(group) => group.replicas.iter().map(Replica::load).fold(Load::default(), |sum, load| Load {
                running: sum.running + load.running,
                waiting: sum.waiting + load.waiting,
            }),
        }
    }
}

impl Group {
    fn enter(&mut self, now: Nanos, visitor: Visitor, work: &Work) -> Entered {
        let member = self.next;
        self.next = (member + 1) % self.replicas.len();
        let job = replica::Job {
            visitor,
            prompt_tokens: work.prompt_tokens,
            output_tokens: work.output_tokens,
            prefix: work.prefix.clone(),
        };
        if let Some(step) = work.step {
            self.replicas[member].set_step(now, step);
        }
        match self.replicas[member].enter(now, job) {
            Entry::Refused(refusal) => Entered::Refused(refusal),
            Entry::In | Entry::Waits => Entered::Waits(member as u32),
        }
    }
}
