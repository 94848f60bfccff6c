//! How many replicas of a group there are: each is away, starting, ready or draining, and an autoscaler says how many are wanted.
//!
//! More are wanted: places that are away start, the lowest first, and are ready after the boot time. Fewer are wanted: those that start
//! are given up, the newest first; then the ready ones with least to do drain, of equals the highest. Who drains gets nobody new, and is
//! away once it has nothing to do, or when its time for that is over. Those that drain still have their place, so a start may have to wait
//! for it.
//!
//! A group may have nobody (`least` 0). Who comes then starts one, and waits in its queue until it is ready, as all do who come meanwhile;
//! such a start is not given up. If all places are taken by those that drain, the one with least to do takes requests again.

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::station::Visitor;
use crate::station::autoscaler::{Asked, Autoscaler, Decision, Settings, Sight};
use crate::station::pipeline::agenda::Phase;
use crate::station::pipeline::group::Group;
use crate::station::pipeline::{Happened, Item, Site};
use crate::station::{Cause, Refusal};
use crate::types::limits::{SCALING_CHANGES_MAX, SCALING_DECISIONS_MAX};

/// Where a replica stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Away,
    Starting { ready_at: Nanos },
    Ready,
    Draining { since: Nanos },
}

/// How many replicas stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Those that take requests.
    pub ready: u32,
    /// Those that are on their way to that.
    pub starting: u32,
    /// Those that only finish what they have.
    pub draining: u32,
}

impl Size {
    /// All that are there, and cost something.
    pub fn all(&self) -> u32 {
        self.ready + self.starting + self.draining
    }
}

/// The history of a group's size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// What it is.
    pub now: Size,
    /// How many are wanted.
    pub wanted: u32,
    /// Areas in replica-nanoseconds up to `until`: of those ready, starting and draining.
    pub areas: [u128; 3],
    /// Up to when the areas are counted.
    pub until: Nanos,
    /// Replicas that began to start, and that are gone again.
    pub started: u64,
    /// Replicas that are gone again.
    pub stopped: u64,
    /// Decisions that more were wanted.
    pub ups: u64,
    /// Decisions that fewer were wanted.
    pub downs: u64,
    /// Decisions that a rule had to take because who was asked gave no answer.
    pub fell_back: u64,
    /// The newest decisions that more or fewer were wanted, oldest first.
    pub decisions: VecDeque<Decision>,
    /// Every change with its time; the first ones only, if there are very many.
    pub changes: Vec<(Nanos, Size)>,
    /// Changes beyond those.
    pub changes_left_out: u64,
}

impl Sizes {
    fn advance(&mut self, now: Nanos) {
        let passed = u128::from(now.saturating_sub(self.until));
        let Size { ready, starting, draining } = self.now;
        for (area, count) in self.areas.iter_mut().zip([ready, starting, draining]) {
            *area += passed * u128::from(count);
        }
        self.until = self.until.max(now);
    }

    fn decide(&mut self, decision: Decision) {
        self.ups += u64::from(decision.to > decision.from);
        self.downs += u64::from(decision.to < decision.from);
        self.wanted = decision.to;
        if self.decisions.len() >= SCALING_DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    fn change(&mut self, now: Nanos, size: Size) {
        self.advance(now);
        if size == self.now {
            return;
        }
        self.now = size;
        let is_full = self.changes.len() >= SCALING_CHANGES_MAX;
        match self.changes.last_mut() {
            Some(last) if last.0 == now => last.1 = size,
            _ if is_full => self.changes_left_out += 1,
            _ => self.changes.push((now, size)),
        }
    }
}

/// The replicas of a group over time.
pub(super) struct Scaling {
    autoscaler: Autoscaler,
    standings: Vec<Standing>,
    sizes: Sizes,
    seen: Seen,
}

/// What was seen since the decision before.
#[derive(Debug, Default)]
struct Seen {
    at: Nanos,
    arrivals: u64,
    refused: u64,
    first_tokens: u64,
    first_token_sum_ns: u128,
    first_token_max_ns: Nanos,
    /// What all members had computed by then, and how long they had been there for it.
    busy_ns: u128,
    there_ns: u128,
}

/// What follows from a decision.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    /// Members that are ready at a time.
    pub(super) starts: Vec<(u32, Nanos)>,
    /// Members that must be gone at a time.
    pub(super) leaves: Vec<(u32, Nanos)>,
}

impl Scaling {
    pub(super) fn new(settings: &Settings, count: u32, most: usize) -> Self {
        let standing = |index| if index < count as usize { Standing::Ready } else { Standing::Away };
        let size = Size { ready: count, ..Size::default() };
        Self {
            autoscaler: Autoscaler::new(settings.clone(), 0, count),
            standings: (0..most).map(standing).collect(),
            sizes: Sizes { now: size, wanted: count, changes: vec![(0, size)], ..Sizes::default() },
            seen: Seen::default(),
        }
    }

    /// Somebody came, and was let in or not.
    pub(super) fn came(&mut self, is_in: bool) {
        self.seen.arrivals += 1;
        self.seen.refused += u64::from(!is_in);
    }

    /// A first token was out after so long.
    pub(super) fn first_token(&mut self, took_ns: Nanos) {
        self.seen.first_tokens += 1;
        self.seen.first_token_sum_ns += u128::from(took_ns);
        self.seen.first_token_max_ns = self.seen.first_token_max_ns.max(took_ns);
    }

    fn size(&self) -> Size {
        self.standings.iter().fold(Size::default(), |mut size, standing| {
            match standing {
                Standing::Away => {}
                Standing::Starting { .. } => size.starting += 1,
                Standing::Ready => size.ready += 1,
                Standing::Draining { .. } => size.draining += 1,
            }
            size
        })
    }

    fn is_away(&self, member: usize) -> bool {
        self.standings[member] == Standing::Away
    }
}

impl Group {
    /// Its sizes, brought up to `now`; `None` if it never changes.
    pub(super) fn sizes(&mut self, now: Nanos) -> Option<&Sizes> {
        let scaling = self.scaling.as_mut()?;
        scaling.sizes.advance(now);
        scaling.sizes.fell_back = scaling.autoscaler.fell_back();
        Some(&scaling.sizes)
    }

    /// Is `member` there, so that it can be seen?
    pub(super) fn is_there(&self, member: u32) -> bool {
        self.scaling.as_ref().is_none_or(|scaling| !scaling.is_away(member as usize))
    }

    /// Its site begins at `now`.
    pub(super) fn begin(&mut self, now: Nanos) {
        let Some(scaling) = &mut self.scaling else { return };
        let count = scaling.sizes.wanted;
        scaling.autoscaler.begin(now, count);
        (scaling.sizes.until, scaling.seen.at) = (now, now);
        scaling.sizes.changes = vec![(now, scaling.sizes.now)];
    }

    /// Asks `asked` from now on.
    pub(super) fn ask(&mut self, asked: Option<Asked>) {
        if let Some(scaling) = &mut self.scaling {
            scaling.autoscaler.ask(asked);
        }
    }

    /// From one decision to the next, if there are any.
    pub(super) fn every_ns(&self) -> Option<Nanos> {
        self.scaling.as_ref().map(|scaling| scaling.autoscaler.settings().every_ns)
    }

    /// What there is to see at `now`; all members have been brought there.
    fn sight(&mut self, now: Nanos) -> Option<Sight> {
        let loads: Vec<_> = (0..).map_while(|member| self.load(member)).collect();
        let scaling = self.scaling.as_mut()?;
        scaling.sizes.advance(now);
        let (sizes, before) = (&scaling.sizes, &scaling.seen);
        let interval_ns = now.saturating_sub(before.at);
        let busy_ns = loads.iter().map(|load| u128::from(load.busy_ns)).sum::<u128>();
        let there_ns = sizes.areas[0] + sizes.areas[2];
        let part = |part: u128, whole: u128| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let (busy, there) = (busy_ns.saturating_sub(before.busy_ns), there_ns.saturating_sub(before.there_ns));
        let kv = loads.iter().zip(&scaling.standings).filter(|(_, standing)| **standing == Standing::Ready);
        let sight = Sight {
            now,
            interval_ns,
            wanted: sizes.wanted,
            ready: sizes.now.ready,
            starting: sizes.now.starting,
            draining: sizes.now.draining,
            running: loads.iter().map(|load| load.running).sum(),
            waiting: loads.iter().map(|load| load.waiting).sum(),
            arrivals: before.arrivals,
            refused: before.refused,
            busy: part(busy, interval_ns.into()),
            busy_share: part(busy, there).min(1.0),
            kv: kv.map(|(load, _)| part(load.kv_used.into(), load.kv_blocks.into())).sum(),
            first_token_ns: (before.first_token_sum_ns / u128::from(before.first_tokens.max(1))) as Nanos,
            first_token_max_ns: before.first_token_max_ns,
        };
        scaling.seen = Seen { at: now, busy_ns, there_ns, ..Seen::default() };
        Some(sight)
    }

    /// Decides at `now` how many are wanted, and begins to make it so.
    pub(super) fn decide(&mut self, now: Nanos) -> Consequences {
        let Some(sight) = self.sight(now) else { return Consequences::default() };
        let Some(scaling) = &mut self.scaling else { return Consequences::default() };
        if let Some(decision) = scaling.autoscaler.decide(&sight) {
            scaling.sizes.decide(decision);
        }
        self.follow(now)
    }

    /// Somebody comes. Nothing if a member is ready; else those that start, in whose queues visitors may wait. If there is none, one is
    /// found; what follows from that is left in `woken`.
    pub(super) fn starters(&mut self, now: Nanos) -> Vec<usize> {
        let Some(scaling) = &mut self.scaling else { return Vec::new() };
        if scaling.sizes.now.ready > 0 {
            return Vec::new();
        }
        if scaling.sizes.now.starting == 0 {
            if let Some(decision) = scaling.autoscaler.wake(now, scaling.sizes.wanted) {
                scaling.sizes.decide(decision);
            }
            self.woken = Some(self.follow(now));
        }
        let Some(mut scaling) = self.scaling.take() else { return Vec::new() };
        if scaling.sizes.now.ready + scaling.sizes.now.starting == 0 {
            let drains = |member: &usize| matches!(scaling.standings[*member], Standing::Draining { .. });
            let back = (0..scaling.standings.len()).filter(drains).min_by_key(|member| self.busy(*member));
            if let Some(member) = back {
                scaling.standings[member] = Standing::Ready;
                self.open(member, true);
                let size = scaling.size();
                scaling.sizes.change(now, size);
            }
        }
        let starts = |member: &usize| matches!(scaling.standings[*member], Standing::Starting { .. });
        let starters = (0..scaling.standings.len()).filter(starts).collect();
        self.scaling = Some(scaling);
        starters
    }

    /// Starts and stops members until as many are ready or starting as are wanted.
    fn follow(&mut self, now: Nanos) -> Consequences {
        let mut consequences = Consequences::default();
        let Some(mut scaling) = self.scaling.take() else { return consequences };
        let Settings { boot_ns, drain_ns, .. } = *scaling.autoscaler.settings();
        let Size { ready, starting, .. } = scaling.size();
        let (wanted, mut coming) = (scaling.sizes.wanted, ready + starting);
        for member in 0..scaling.standings.len() {
            if coming < wanted && scaling.is_away(member) {
                self.renew(member);
                coming += 1;
                scaling.sizes.started += 1;
                scaling.standings[member] = if boot_ns == 0 {
                    self.open(member, true);
                    Standing::Ready
                } else {
                    self.members[member].replica.hold();
                    consequences.starts.push((member as u32, now.saturating_add(boot_ns)));
                    Standing::Starting { ready_at: now.saturating_add(boot_ns) }
                };
            }
        }
        while coming > wanted
            && let Some(member) = self.dispensable(&scaling)
        {
            coming -= 1;
            self.open(member, false);
            let has_work = scaling.standings[member] == Standing::Ready && !self.members[member].is_idle();
            scaling.standings[member] = if has_work {
                if drain_ns > 0 {
                    consequences.leaves.push((member as u32, now.saturating_add(drain_ns)));
                }
                Standing::Draining { since: now }
            } else {
                scaling.sizes.stopped += 1;
                Standing::Away
            };
        }
        let size = scaling.size();
        scaling.sizes.change(now, size);
        self.scaling = Some(scaling);
        consequences
    }

    /// What `member` has to do.
    fn busy(&self, member: usize) -> u32 {
        let load = self.members[member].replica.load();
        load.running + load.waiting
    }

    /// Who goes first: the newest of those that start and for which nobody waits, else of the ready ones the last with least to do.
    fn dispensable(&self, scaling: &Scaling) -> Option<usize> {
        let newest = scaling.standings.iter().enumerate().filter_map(|(member, standing)| match standing {
            Standing::Starting { ready_at } if self.busy(member) == 0 => Some((*ready_at, member)),
            _ => None,
        });
        let ready = (0..scaling.standings.len()).filter(|member| scaling.standings[*member] == Standing::Ready);
        newest.max().map(|(_, member)| member).or_else(|| ready.rev().min_by_key(|member| self.busy(*member)))
    }

    /// `member` has started, if it still was to be ready at `now`.
    pub(super) fn started(&mut self, now: Nanos, member: u32) -> bool {
        let Some(scaling) = &mut self.scaling else { return false };
        let standing = &mut scaling.standings[member as usize];
        if *standing != (Standing::Starting { ready_at: now }) {
            return false;
        }
        *standing = Standing::Ready;
        let size = scaling.size();
        scaling.sizes.change(now, size);
        self.open(member as usize, true);
        self.members[member as usize].replica.release(now);
        true
    }

    /// Lets `member` go if it drains and has nothing left to do; somebody else may start in its place then.
    pub(super) fn let_go(&mut self, now: Nanos, member: u32) -> Option<Consequences> {
        let scaling = self.scaling.as_mut()?;
        let standing = &mut scaling.standings[member as usize];
        if !matches!(standing, Standing::Draining { .. }) || !self.members[member as usize].is_idle() {
            return None;
        }
        *standing = Standing::Away;
        scaling.sizes.stopped += 1;
        Some(self.follow(now))
    }

    /// Is the time over in which `member` may drain?
    pub(super) fn is_overdue(&self, now: Nanos, member: u32) -> bool {
        let Some(scaling) = &self.scaling else { return false };
        let drain_ns = scaling.autoscaler.settings().drain_ns;
        matches!(scaling.standings[member as usize], Standing::Draining { since } if since.saturating_add(drain_ns) == now)
    }
}

impl Site {
    /// Its stations begin at `now`: autoscalers decide from then on, at multiples of their intervals.
    pub fn start(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        for part in 0..self.parts.len() {
            if let Some(group) = self.parts[part].group_mut() {
                group.begin(now);
                if let Some(every_ns) = group.every_ns() {
                    self.agenda.push((now / every_ns + 1).saturating_mul(every_ns), Phase::Decision, Item::Scale(part as u16));
                }
            }
        }
    }

    /// Who is asked how many replicas a station shall have, from now on; `None` for its own rule.
    pub fn ask_scaler(&mut self, station: usize, asked: Option<Asked>) {
        if let Some(group) = self.parts[station].group_mut() {
            group.ask(asked);
        }
    }

    /// Nobody comes any more: groups stay as they are from now on, so that time can come to its end.
    pub fn rest(&mut self) {
        if !self.is_resting {
            self.is_resting = true;
            self.agenda.retain(|item| !matches!(item, Item::Scale(_) | Item::Started(..) | Item::Overdue(..)));
        }
    }

    /// The sizes of a station up to `now`; `None` if it is no group that changes.
    pub fn sizes(&mut self, now: Nanos, station: usize) -> Option<&Sizes> {
        self.parts[station].group_mut()?.sizes(now)
    }

    /// Decides how many replicas a station shall have.
    pub(super) fn scale(&mut self, part: u16, at: Nanos, happened: &mut Vec<Happened>) {
        for member in 0..self.parts[usize::from(part)].members() {
            self.advance_part(part, member, at, happened);
            self.walk(happened);
        }
        let Some(group) = self.parts[usize::from(part)].group_mut() else { return };
        let consequences = group.decide(at);
        if let Some(every_ns) = group.every_ns() {
            self.agenda.push(at.saturating_add(every_ns), Phase::Decision, Item::Scale(part));
        }
        self.note_scaling(part, consequences);
    }

    /// `member` of a station has started.
    pub(super) fn started(&mut self, part: u16, member: u32, at: Nanos) {
        if self.parts[usize::from(part)].group_mut().is_some_and(|group| group.started(at, member)) {
            self.count(u64::from(part) << 40 | u64::from(member) << 8 | 5);
            self.plan_again(part, member);
        }
    }

    /// The time in which `member` may drain is over: whoever is still there fails.
    pub(super) fn overdue(&mut self, part: u16, member: u32, at: Nanos, happened: &mut Vec<Happened>) {
        if !self.parts[usize::from(part)].group_mut().is_some_and(|group| group.is_overdue(at, member)) {
            return;
        }
        self.advance_part(part, member, at, happened);
        let at_member = |visit: &Visitor| self.visits[*visit as usize].member == member && self.station_of(*visit) == Some(part);
        let left: Vec<Visitor> = self.visits.iter().map(|(visit, _)| visit as Visitor).filter(at_member).collect();
        for visit in left {
            if let Some(stage) = self.stage_of(visit) {
                self.failed(visit, &stage, Refusal::of(Cause::NoReplica), happened);
            }
        }
    }

    /// Lets a member go that drains and has nothing to do any more.
    pub(super) fn let_go(&mut self, part: u16, member: u32) {
        let now = self.now;
        let gone = self.parts[usize::from(part)].group_mut().and_then(|group| group.let_go(now, member));
        if let Some(consequences) = gone {
            self.count(u64::from(part) << 40 | u64::from(member) << 8 | 6);
            self.note_scaling(part, consequences);
        }
    }

    /// Somebody came to a station, and may have woken it.
    pub(super) fn woken(&mut self, part: u16) {
        if let Some(consequences) = self.parts[usize::from(part)].group_mut().and_then(|group| group.woken.take()) {
            self.note_scaling(part, consequences);
        }
    }

    fn note_scaling(&mut self, part: u16, Consequences { starts, leaves }: Consequences) {
        for (member, at) in starts {
            self.count(u64::from(part) << 40 | u64::from(member) << 8 | 4);
            self.agenda.push(at, Phase::End, Item::Started(part, member));
        }
        for (member, at) in leaves {
            self.agenda.push(at, Phase::Limit, Item::Overdue(part, member));
        }
    }
}
