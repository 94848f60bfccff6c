//! Pipelines: what the requests of a scenario go through, as one state machine that is told the time.
//!
//! A [`Site`] holds a scenario's stations and walks each request ([`Work`]) along the [`route`] of its model: through stages, over
//! forks and joins, to the next of a fallback chain when something fails. It says what [`Happened`]; whoever drives it, the live
//! server or the fleet, tells it the time and forgets a visit with [`Site::leave`]. The [`agenda`] is what happens next, [`flow`]
//! counts what passes each stage, `part` is a station among others, `group` one of replicas and `scaling` how many they are, `walk` the
//! steps themselves, `look` what can be seen.

use std::collections::VecDeque;

use slab::Slab;

use crate::clock::Nanos;
use crate::random::Key;
use crate::station::cache::Cache;
use crate::station::pipeline::agenda::{Agenda, Phase};
use crate::station::pipeline::flow::Flow;
use crate::station::pipeline::part::Part;
use crate::station::pipeline::route::{ReplyBy, Route};
use crate::station::pipeline::visit::{State, Visit};
use crate::station::replica;
use crate::station::{Notice, Refusal, Visitor};

pub mod agenda;
pub mod flow;
mod group;
mod look;
mod part;
pub mod route;
mod scaling;
mod visit;
mod walk;

pub use group::{Choices, Replicas};
pub use part::{Load, Role, Settings};
pub use scaling::{Size, Sizes};
pub use visit::{Mark, Work};

/// The stations of a scenario, and the requests in them.
pub struct Site {
    parts: Vec<Part>,
    routes: Vec<Route>,
    /// Index of the first flow of each route.
    flow_of: Vec<usize>,
    flows: Vec<Flow>,
    visits: Slab<Visit>,
    /// What the stages did to each visit, by its number; empty unless that is kept.
    marks: Vec<Vec<Mark>>,
    agenda: Agenda<Item>,
    /// Visits that can go on now.
    ready: VecDeque<Visitor>,
    /// Stations that somebody has left, and their members. Who waits there is let in once the one who left has gone its step, because a
    /// fork that fails by that takes its other branches away.
    left: VecDeque<(u16, u32)>,
    now: Nanos,
    stamps: u32,
    events: u64,
    newest_event: Nanos,
    digest: Key,
    keeps_marks: bool,
    /// Do groups stay as they are?
    is_resting: bool,
    notices: Vec<Notice>,
    steps: Vec<replica::Event>,
}

/// What an entry of the agenda is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The visit's service ends, unless its stamp has changed.
    Served(Visitor, u32),
    /// The visit's stage has taken too long, unless its limit has changed.
    Limit(Visitor, u32),
    /// Something is due at a member of a station.
    Part(u16, u32),
    /// It is to be decided how many replicas a station shall have.
    Scale(u16),
    /// A member of a station has started, unless that was given up.
    Started(u16, u32),
    /// The time in which a member of a station may finish what it has is over.
    Overdue(u16, u32),
}

/// What became of a visit, or of the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Nanos,
    /// To whom; for [`What::Replica`] nobody in particular.
    pub visit: Visitor,
    /// What.
    pub what: What,
}

/// What can happen to a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its reply begins; the plan's offsets count from `at`, which may lie a little ahead.
    Begun(ReplyBy),
    /// A station let it in that it waited for; whoever drives it may ask anew when to look again.
    Served,
    /// A replica took it into its batch.
    Running,
    /// The replica has made its first token.
    FirstToken,
    /// The replica put it back into its queue.
    Preempted,
    /// Its reply is written. The rest of the way may follow.
    Written,
    /// It has come to the end of its way.
    Done,
    /// It was turned away, for good.
    Refused(Refusal),
    /// A replica made a run of steps, or a token after a pause: for counting gaps.
    Replica(replica::Event),
}

impl Site {
    /// A site of `stations`, which the steps of `routes` name by their index. Visits keep their marks only if `keeps_marks`.
    pub fn new(stations: &[Settings], routes: Vec<Route>, keeps_marks: bool) -> Self {
        let mut flow_of = Vec::with_capacity(routes.len());
        let mut flows = 0;
        for route in &routes {
            flow_of.push(flows);
            flows += route.stages.len();
        }
        Self {
            parts: stations.iter().map(Part::of).collect(),
            routes,
            flow_of,
            flows: vec![Flow::default(); flows],
            visits: Slab::new(),
            marks: Vec::new(),
            agenda: Agenda::default(),
            ready: VecDeque::new(),
            left: VecDeque::new(),
            now: 0,
            stamps: 0,
            events: 0,
            newest_event: 0,
            digest: Key::of_seed(0),
            keeps_marks,
            is_resting: false,
            notices: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Brings `work` at `now`, and says what happens at once. The number holds until [`Site::leave`].
    pub fn enter(&mut self, now: Nanos, work: Work, happened: &mut Vec<Happened>) -> Visitor {
        self.advance(now, happened);
        self.count(u64::from(work.route) << 8 | 0xff);
        let visit = self.visits.vacant_key() as Visitor;
        let way = (work.route, self.flow_of[usize::from(work.route)] as u32);
        self.visits.insert(Visit::new(visit, way, Some(work)));
        if self.keeps_marks && visit as usize >= self.marks.len() {
            self.marks.resize_with(visit as usize + 1, Vec::new);
        }
        self.ready.push_back(visit);
        self.walk(happened);
        visit
    }

    /// Does everything that was due by `now`, in order, and says what happened.
    pub fn advance(&mut self, now: Nanos, happened: &mut Vec<Happened>) {
        while let Some((at, item)) = self.agenda.pop(now) {
            self.happen(at, item, happened);
        }
        self.now = self.now.max(now);
    }

    /// Does `item`, which is due `at`. Apart from [`Site::advance`], which finds nothing due most of the time.
    #[inline(never)]
    fn happen(&mut self, at: Nanos, item: Item, happened: &mut Vec<Happened>) {
        self.now = self.now.max(at);
        match item {
            Item::Served(visit, stamp) => {
                if self.visits.get(visit as usize).is_some_and(|v| v.stamp == stamp && v.state == State::Served) {
                    self.count(u64::from(visit) << 8 | 1);
                    self.served(visit, happened);
                }
            }
            Item::Limit(visit, limit) => {
                if self.visits.get(visit as usize).is_some_and(|v| v.limit == limit && !v.is_writing) {
                    self.count(u64::from(visit) << 8 | 2);
                    self.out_of_time(visit, happened);
                }
            }
            Item::Part(part, member) => self.advance_part(part, member, at, happened),
            Item::Scale(part) => self.scale(part, at, happened),
            Item::Started(part, member) => self.started(part, member, at),
            Item::Overdue(part, member) => self.overdue(part, member, at, happened),
        }
        self.walk(happened);
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Nanos> {
        self.agenda.next_at()
    }

    /// The visit is over at `now`, or was given up by its client: takes it out of everything it stands in.
    pub fn leave(&mut self, now: Nanos, visit: Visitor, happened: &mut Vec<Happened>) {
        self.advance(now, happened);
        self.give_up(visit);
        self.walk(happened);
    }

    /// Has the visit come to its end, and how?
    pub fn end_of(&self, visit: Visitor) -> Option<(Nanos, Result<(), Refusal>)> {
        let ended = self.visits.get(visit as usize)?;
        match ended.state {
            State::Done => Some((ended.until, Ok(()))),
            State::Refused(refusal) => Some((ended.until, Err(refusal))),
            _ => None,
        }
    }

    /// When the token `token` of a visit that a replica answers left, if it has by `now`.
    pub fn token_at(&mut self, now: Nanos, visit: Visitor, token: u32, happened: &mut Vec<Happened>) -> Option<Nanos> {
        self.advance(now, happened);
        let visit = self.writer(visit);
        let member = self.visits.get(visit as usize)?.member;
        let part = self.station_of(visit)?;
        // Steps within a run are nobody's business but those of whoever reads along.
        self.advance_part(part, member, now, happened);
        self.walk(happened);
        self.parts[usize::from(part)].replica(member)?.token_at(visit, token)
    }

    /// When to look again at a visit that waits for something: `None` if nothing about it will change before it is told.
    pub fn look_again(&self, visit: Visitor) -> Option<Nanos> {
        let own = self.visits.get(visit as usize)?;
        if own.state == State::Forked {
            return own.branches.iter().filter_map(|branch| self.look_again(*branch)).min();
        }
        let stage = self.stage_of(visit)?;
        let part = stage.through.map(|part| &self.parts[usize::from(part)]);
        let at = match own.state {
            State::Waits => part.and_then(|part| part.waits_until(own.entered)),
            _ if own.until == Nanos::MAX => part.and_then(|part| part.replica(own.member)?.step_end(self.now)),
            _ => Some(own.until),
        };
        let limit = (stage.within_ns > 0 && !own.is_writing).then(|| own.entered.saturating_add(stage.within_ns));
        at.into_iter().chain(limit).min()
    }

    /// What the stages have done to a visit so far; empty unless marks are kept.
    pub fn marks(&self, visit: Visitor) -> &[Mark] {
        self.marks.get(visit as usize).map_or(&[], Vec::as_slice)
    }

    /// Names of the stages of a route and what passed them, brought up to `now`.
    pub fn flows(&mut self, now: Nanos) -> impl Iterator<Item = (usize, &str, &Flow)> {
        self.flows.iter_mut().for_each(|flow| flow.advance(now));
        let (flows, flow_of) = (&self.flows, &self.flow_of);
        self.routes.iter().enumerate().flat_map(move |(index, route)| {
            let first = flow_of[index];
            route.stages.iter().enumerate().map(move |(stage, name)| (index, name.as_str(), &flows[first + stage]))
        })
    }

    /// The settings' station by its index, for gauges.
    pub fn load(&self, station: usize) -> Load {
        self.parts[station].load()
    }

    /// The cache that a station is, if it is one.
    pub fn cache(&self, station: usize) -> Option<&Cache> {
        self.parts[station].cache()
    }

    /// Empties the cache that a station is, and says how many answers it had; `None` if it is no cache.
    pub fn flush(&mut self, station: usize) -> Option<u64> {
        self.parts[station].flush()
    }

    /// Puts the answer to `content`, of `bytes`, into the cache that a station is; `None` if it is no cache.
    pub fn warm(&mut self, now: Nanos, station: usize, content: u64, bytes: u32) -> Option<()> {
        self.cache(station)?;
        self.parts[station].fill(now, content, bytes);
        Some(())
    }

    /// How often a station opened, if it is a breaker.
    pub fn opened(&self, station: usize) -> Option<u64> {
        self.parts[station].opened()
    }

    /// What the replicas of a station have done, those before them in their places included; nothing if it has none.
    pub fn replicas(&self, station: usize) -> impl Iterator<Item = replica::Load> {
        let group = self.parts[station].group();
        (0..).map_while(move |member| group?.load(member))
    }

    /// How often choosers were asked at a station.
    pub fn choices(&self, station: usize) -> Choices {
        self.parts[station].group().map(|group| group.choices).unwrap_or_default()
    }

    /// The visits that are on their way.
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Is nobody on the way?
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// Changes of state so far: visits that came, services and waits that ended, batches that changed.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// When the newest of them was.
    pub fn newest_event(&self) -> Nanos {
        self.newest_event
    }

    /// A number that follows from every event so far and its time: equal for equal runs.
    pub fn digest(&self) -> u64 {
        self.digest.bits()
    }

    /// The site's newest time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    fn count(&mut self, what: u64) {
        self.events += 1;
        self.newest_event = self.now;
        self.digest = self.digest.with(self.now).with(what);
    }

    fn plan_again(&mut self, part: u16, member: u32) {
        if let Some(at) = self.parts[usize::from(part)].newly_due(member) {
            self.agenda.push(at.max(self.now), Phase::End, Item::Part(part, member));
        }
    }
}

#[cfg(test)]
mod scaling_tests;
#[cfg(test)]
mod tests;
