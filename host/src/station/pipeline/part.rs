//! One station among those of a site, whatever its kind.

use crate::clock::Nanos;
use crate::station::admission::{self, Admission};
use crate::station::batcher::{self, Batcher};
use crate::station::breaker::{self, Breaker};
use crate::station::cache::{self, Cache};
use crate::station::link::{self, Link, Sent};
use crate::station::pipeline::group::{Group, Replicas};
use crate::station::pipeline::route::Stage;
use crate::station::pipeline::visit::Work;
use crate::station::pool::{self, Pool};
use crate::station::replica::{self, Replica};
use crate::station::retry::{self, Retry};
use crate::station::{Cause, Entry, Notice, Refusal, Visitor};

/// What a station of a scenario is.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// Connections or servers.
    Pool(pool::Settings),
    /// A queue before a number of places.
    Admission(admission::Settings),
    /// Remembers answers.
    Cache(cache::Settings),
    /// A network path.
    Link(link::Settings),
    /// Gathers requests.
    Batcher(batcher::Settings),
    /// Stops asking what fails.
    Breaker(breaker::Settings),
    /// A budget for retries.
    Retry(retry::Settings),
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
            Self::Pool(_) | Self::Admission(_) | Self::Link(_) | Self::Batcher(_) => Role::Way,
            Self::Replicas(_) => Role::Replicas,
            Self::Cache(_) => Role::Cache,
            Self::Breaker(_) => Role::Breaker,
            Self::Retry(_) => Role::RetryBudget,
        }
    }

    /// Does anybody wait there, so that it can be seen how many do? What is sent over a busy link is on its way.
    pub fn has_queue(&self) -> bool {
        match self {
            Self::Pool(_) | Self::Admission(_) | Self::Batcher(_) | Self::Replicas(_) => true,
            Self::Cache(_) | Self::Link(_) | Self::Breaker(_) | Self::Retry(_) => false,
        }
    }

    /// Are there visitors that it turns away? A prompt that is too long for a replica is another matter.
    pub fn may_refuse(&self) -> bool {
        match self {
            Self::Pool(pool) => pool.wait_max_ns > 0 || pool.queue_max < u32::MAX,
            Self::Admission(admission) => admission.wait_max_ns > 0 || admission.queue_max < u32::MAX,
            Self::Link(link) => link.loss > 0.0,
            Self::Batcher(_) | Self::Cache(_) | Self::Breaker(_) | Self::Retry(_) => false,
            Self::Replicas(group) => {
                let breaks_off = group.autoscale.as_ref().is_some_and(|autoscale| autoscale.drain_ns > 0);
                group.replica.queue_max < u32::MAX || group.has_chooser || breaks_off
            }
        }
    }

    /// Tokens of one block of what it remembers of prompts; `None` if it remembers nothing.
    pub fn prefix_block(&self) -> Option<u32> {
        match self {
            Self::Replicas(group) if group.replica.prefix_cache => Some(group.replica.block_tokens),
            _ => None,
        }
    }
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
    /// The cache has it not, and takes so long to say so.
    Miss(Nanos),
    /// It waits, at this member.
    Waits(u32),
    /// It was turned away.
    Refused(Refusal),
}

/// A station, and when each of its members has asked to be looked at.
pub(super) struct Part {
    kind: Kind,
    armed: Vec<Option<Nanos>>,
    /// How long anybody waits here; 0 if it takes as long as it takes.
    patience_ns: u64,
}

enum Kind {
    Pool(Pool),
    Admission(Admission),
    Cache(Cache),
    Link(Link),
    Batcher(Batcher),
    Breaker(Breaker),
    Retry(Retry),
    Replicas(Box<Group>),
}

impl Part {
    pub(super) fn of(settings: &Settings) -> Self {
        let kind = match settings {
            Settings::Pool(settings) => Kind::Pool(Pool::new(*settings)),
            Settings::Admission(settings) => Kind::Admission(Admission::new(*settings)),
            Settings::Cache(settings) => Kind::Cache(Cache::new(settings.clone())),
            Settings::Link(settings) => Kind::Link(Link::new(settings.clone())),
            Settings::Batcher(settings) => Kind::Batcher(Batcher::new(*settings)),
            Settings::Breaker(settings) => Kind::Breaker(Breaker::new(*settings)),
            Settings::Retry(settings) => Kind::Retry(Retry::new(*settings)),
            Settings::Replicas(settings) => Kind::Replicas(Box::new(Group::of(settings))),
        };
        let members = if let Kind::Replicas(group) = &kind { group.members.len() } else { 1 };
        let patience_ns = match settings {
            Settings::Pool(settings) => settings.wait_max_ns,
            Settings::Admission(settings) => settings.wait_max_ns,
            _ => 0,
        };
        Self { kind, armed: vec![None; members], patience_ns }
    }

    /// Brings a visitor to the stage `stage` of its way, which has tried that so many times before.
    pub(super) fn enter(&mut self, now: Nanos, visitor: Visitor, work: &Work, stage: &Stage, tries: u8) -> Entered {
        let entered = |entry| match entry {
            Entry::In => Entered::In(0),
            Entry::Waits => Entered::Waits(0),
            Entry::Refused(refusal) => Entered::Refused(refusal),
        };
        let draw = |name| work.draws.named(name).with(u64::from(stage.index)).with(u64::from(tries)).unit();
        match &mut self.kind {
            Kind::Pool(pool) => {
                let access = if stage.writes { pool::Access::Write } else { pool::Access::Read };
                entered(pool.enter(now, visitor, access))
            }
            Kind::Admission(admission) => {
                let cost = work.prompt_tokens.saturating_add(work.output_tokens);
                entered(admission.enter(now, visitor, work.tenant, work.priority, cost))
            }
            Kind::Cache(cache) => {
                let hit = cache.get(now, work.content);
                let took_ns = cache.latency_ns(hit);
                if hit.is_some() { Entered::Hit(took_ns) } else { Entered::Miss(took_ns) }
            }
            Kind::Link(link) => match link.send(now, u64::from(work.bytes), draw("link")) {
                Sent::Arrives(at) => Entered::In(at - now),
                Sent::Lost => Entered::Refused(Refusal::of(Cause::Lost)),
            },
            Kind::Batcher(batcher) => entered(batcher.enter(now, visitor, work.prompt_tokens)),
            Kind::Replicas(group) => group.enter(now, visitor, work, stage, tries),
            // A scenario cannot put these in the way; they are asked beside it.
            Kind::Breaker(_) | Kind::Retry(_) => Entered::In(0),
        }
    }

    /// The end of a visit. What it brings about is told by the next [`Part::advance`].
    pub(super) fn leave(&mut self, now: Nanos, visitor: Visitor, member: u32) {
        match &mut self.kind {
            Kind::Pool(pool) => pool.leave(now, visitor),
            Kind::Admission(admission) => admission.leave(now, visitor),
            Kind::Batcher(batcher) => batcher.leave(now, visitor),
            Kind::Replicas(group) => group.leave(now, visitor, member),
            Kind::Cache(_) | Kind::Link(_) | Kind::Breaker(_) | Kind::Retry(_) => {}
        }
    }

    /// Does what was due at `member` by `now`.
    pub(super) fn advance(&mut self, now: Nanos, member: u32, notices: &mut Vec<Notice>, events: &mut Vec<replica::Event>) {
        match &mut self.kind {
            Kind::Pool(pool) => pool.advance(now, notices),
            Kind::Admission(admission) => admission.advance(now, notices),
            Kind::Batcher(batcher) => batcher.advance(now, notices),
            Kind::Replicas(group) => group.members[member as usize].replica.advance(now, events),
            Kind::Cache(_) | Kind::Link(_) | Kind::Breaker(_) | Kind::Retry(_) => {}
        }
    }

    fn next_at(&self, member: u32) -> Option<Nanos> {
        match &self.kind {
            Kind::Pool(pool) => pool.next_at(),
            Kind::Admission(admission) => admission.next_at(),
            Kind::Batcher(batcher) => batcher.next_at(),
            Kind::Replicas(group) => group.members[member as usize].replica.next_at(),
            Kind::Cache(_) | Kind::Link(_) | Kind::Breaker(_) | Kind::Retry(_) => None,
        }
    }

    /// When somebody who has waited since `since` waits no more at the latest, if that is known.
    pub(super) fn waits_until(&self, since: Nanos) -> Option<Nanos> {
        match &self.kind {
            Kind::Batcher(batcher) => batcher.next_at(),
            _ => (self.patience_ns > 0).then(|| since.saturating_add(self.patience_ns)),
        }
    }

    /// When `member` must be looked at, if that is news.
    pub(super) fn newly_due(&mut self, member: u32) -> Option<Nanos> {
        let at = self.next_at(member)?;
        let armed = &mut self.armed[member as usize];
        if armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        *armed = Some(at);
        Some(at)
    }

    /// Notes that an entry of the agenda for `at` is used up.
    pub(super) fn disarm(&mut self, member: u32, at: Nanos) {
        let armed = &mut self.armed[member as usize];
        if armed.is_some_and(|armed| armed <= at) {
            *armed = None;
        }
    }

    /// Asks a breaker; anything else lets everybody pass.
    pub(super) fn guard(&mut self, now: Nanos) -> Result<(), Refusal> {
        match &mut self.kind {
            Kind::Breaker(breaker) => match breaker.enter(now) {
                Entry::Refused(refusal) => Err(refusal),
                Entry::In | Entry::Waits => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Tells a breaker how it went.
    pub(super) fn settle(&mut self, now: Nanos, ok: bool) {
        if let Kind::Breaker(breaker) = &mut self.kind {
            breaker.settle(now, ok);
        }
    }

    /// Tells a breaker that nobody will know how it went.
    pub(super) fn forget(&mut self, now: Nanos) {
        if let Kind::Breaker(breaker) = &mut self.kind {
            breaker.forget(now);
        }
    }

    /// Notes a first attempt in a retry budget.
    pub(super) fn deposit(&mut self, now: Nanos) {
        if let Kind::Retry(retry) = &mut self.kind {
            retry.deposit(now);
        }
    }

    /// Asks a retry budget for one more attempt.
    pub(super) fn withdraw(&mut self, now: Nanos) -> bool {
        if let Kind::Retry(retry) = &mut self.kind { retry.withdraw(now) } else { true }
    }

    /// Gives an answer to a cache.
    pub(super) fn fill(&mut self, now: Nanos, content: u64, bytes: u32) {
        if let Kind::Cache(cache) = &mut self.kind {
            cache.put(now, content, bytes);
        }
    }

    /// Notes at the balancer that `member` needed so long for a visitor.
    pub(super) fn answered(&mut self, now: Nanos, member: u32, took_ns: u64) {
        if let Kind::Replicas(group) = &mut self.kind {
            group.answered(now, member, took_ns);
        }
    }

    /// The replica `member`, if this is a group of them.
    pub(super) fn replica(&self, member: u32) -> Option<&Replica> {
        if let Kind::Replicas(group) = &self.kind { Some(&group.members.get(member as usize)?.replica) } else { None }
    }

    /// The replicas and who chooses between them, if this is a group of them.
    pub(super) fn group(&self) -> Option<&Group> {
        if let Kind::Replicas(group) = &self.kind { Some(group) } else { None }
    }

    /// The same, to be changed.
    pub(super) fn group_mut(&mut self) -> Option<&mut Group> {
        if let Kind::Replicas(group) = &mut self.kind { Some(group) } else { None }
    }

    /// How many members it has, those that are away included.
    pub(super) fn members(&self) -> u32 {
        self.armed.len() as u32
    }

    /// The cache, if this is one.
    pub(super) fn cache(&self) -> Option<&Cache> {
        if let Kind::Cache(cache) = &self.kind { Some(cache) } else { None }
    }

    /// How often it opened, if this is a breaker.
    pub(super) fn opened(&self) -> Option<u64> {
        if let Kind::Breaker(breaker) = &self.kind { Some(breaker.opened()) } else { None }
    }

    /// What it does at `now`, if this is a breaker.
    pub(super) fn breaker(&mut self, now: Nanos) -> Option<breaker::State> {
        if let Kind::Breaker(breaker) = &mut self.kind { Some(breaker.state(now)) } else { None }
    }

    /// Empties a cache, and says how many answers it had; `None` if this is no cache.
    pub(super) fn flush(&mut self) -> Option<u64> {
        if let Kind::Cache(cache) = &mut self.kind { Some(cache.clear()) } else { None }
    }

    pub(super) fn load(&self) -> Load {
        match &self.kind {
            Kind::Pool(pool) => Load { running: pool.load().busy, waiting: pool.load().waiting },
            Kind::Admission(admission) => Load { running: admission.load().busy, waiting: admission.load().waiting },
            Kind::Batcher(batcher) => Load { running: 0, waiting: batcher.load().waiting },
            Kind::Replicas(group) => {
                group.members.iter().map(|member| member.replica.load()).fold(Load::default(), |sum, load| Load {
                    running: sum.running + load.running,
                    waiting: sum.waiting + load.waiting,
                })
            }
            Kind::Cache(_) | Kind::Link(_) | Kind::Breaker(_) | Kind::Retry(_) => Load::default(),
        }
    }
}
