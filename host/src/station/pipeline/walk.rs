//! The steps of a walk: into a stage, through it, out of it, and what follows when it fails.

use crate::clock::Nanos;
use crate::station::pipeline::agenda::Phase;
use crate::station::pipeline::part::Entered;
use crate::station::pipeline::route::{ReplyBy, Stage, Step};
use crate::station::pipeline::visit::{Mark, State, Visit, Work};
use crate::station::pipeline::{Happened, Item, Site, What};
use crate::station::{Cause, Notice, Refusal, Visitor, replica};

impl Site {
    /// Lets everybody go on who can, those first who waited for a place.
    pub(super) fn walk(&mut self, happened: &mut Vec<Happened>) {
        loop {
            if let Some((part, member)) = self.left.pop_front() {
                self.settle_part(part, member, happened);
                continue;
            }
            let Some(visit) = self.ready.pop_front() else { return };
            let Some(walker) = self.visits.get(visit as usize) else { continue };
            match walker.state {
                State::Walks => self.step(visit, happened),
                State::Served if walker.until <= self.now => self.served(visit, happened),
                _ => {}
            }
        }
    }

    fn step(&mut self, visit: Visitor, happened: &mut Vec<Happened>) {
        let Visit { root, route, step, .. } = self.visits[visit as usize];
        match &self.routes[usize::from(route)].steps[usize::from(step)] {
            Step::Stage(stage) => {
                let stage = *stage;
                self.enter_stage(visit, &stage, happened);
            }
            Step::Fork { branches, need, .. } => {
                let (branches, need) = (branches.clone(), *need);
                self.fork(visit, &branches, need);
            }
            Step::Join => self.join(visit),
            Step::Switch { choice, ways } => {
                let chosen = self.work(root).choices.get(usize::from(*choice)).copied().unwrap_or(0);
                let way = ways.get(usize::from(chosen)).or(ways.last()).copied().unwrap_or(step + 1);
                self.go(visit, way);
            }
            Step::Jump(to) => {
                let to = *to;
                self.go(visit, to);
            }
            Step::End => self.done(visit, happened),
        }
    }

    fn go(&mut self, visit: Visitor, step: u16) {
        let walker = &mut self.visits[visit as usize];
        walker.step = step;
        walker.state = State::Walks;
        self.ready.push_back(visit);
    }

    fn fork(&mut self, visit: Visitor, branches: &[u16], need: u16) {
        let Visit { root, route, first_flow, .. } = self.visits[visit as usize];
        for first in branches {
            let branch = self.visits.vacant_key() as Visitor;
            self.visits.insert(Visit { parent: Some(visit), step: *first, ..Visit::new(root, (route, first_flow), None) });
            self.visits[visit as usize].branches.push(branch);
            self.ready.push_back(branch);
        }
        let forked = &mut self.visits[visit as usize];
        forked.needed = need;
        forked.state = State::Forked;
    }

    /// The branch `visit` has arrived.
    fn join(&mut self, visit: Visitor) {
        let arrived = self.visits.remove(visit as usize);
        let Some(parent) = arrived.parent else { return };
        let forked = &mut self.visits[parent as usize];
        forked.branches.retain(|branch| *branch != visit);
        forked.needed = forked.needed.saturating_sub(1);
        if forked.needed == 0 {
            self.give_up_branches(parent);
            self.go(parent, arrived.step + 1);
        }
    }

    fn enter_stage(&mut self, visit: Visitor, stage: &Stage, happened: &mut Vec<Happened>) {
        let now = self.now;
        let limit = self.stamp();
        let walker = &mut self.visits[visit as usize];
        self.flows[walker.flow_of(stage)].enter(now);
        walker.entered = now;
        walker.state = State::Waits;
        walker.until = Nanos::MAX;
        walker.limit = limit;
        (walker.is_hit, walker.extra_ns, walker.member) = (false, 0, 0);
        let (root, tries) = (walker.root, walker.tries);
        if stage.within_ns > 0 {
            self.agenda.push(now.saturating_add(stage.within_ns), Phase::Limit, Item::Limit(visit, limit));
            self.sweep();
        }
        if let Some(budget) = stage.retry.and_then(|retry| retry.budget).filter(|_| tries == 0) {
            self.parts[usize::from(budget)].deposit(now);
        }
        let waiting = |part: u16| self.parts[usize::from(part)].load().waiting;
        if stage.skip_waiting.zip(stage.through).is_some_and(|(most, part)| waiting(part) >= most) {
            return self.failed(visit, stage, Refusal::of(Cause::QueueFull), happened);
        }
        if let Some(guard) = stage.guard {
            if let Err(refusal) = self.parts[usize::from(guard)].guard(now) {
                return self.failed(visit, stage, refusal, happened);
            }
            self.visits[visit as usize].is_guarded = true;
        }
        let Some(part) = stage.through else { return self.begin(visit, stage) };
        let work = self.visits[root as usize].work.as_ref();
        let entered = work.map_or(Entered::In(0), |work| self.parts[usize::from(part)].enter(now, visit, work, stage, tries));
        self.woken(part);
        let walker = &mut self.visits[visit as usize];
        walker.is_inside = !matches!(entered, Entered::Refused(_));
        match entered {
            Entered::In(extra_ns) => {
                walker.extra_ns = extra_ns;
                self.begin(visit, stage);
                // Who fills a batch lets the others go.
                self.plan_again(part, 0);
            }
            Entered::Hit(extra_ns) => {
                (walker.extra_ns, walker.is_hit) = (extra_ns, true);
                self.begin(visit, stage);
            }
            Entered::Miss(extra_ns) => {
                walker.extra_ns = extra_ns;
                self.visits[root as usize].fills.push(part);
                self.begin(visit, stage);
            }
            Entered::Waits(member) => {
                walker.member = member;
                self.plan_again(part, member);
            }
            Entered::Refused(refusal) => self.failed(visit, stage, refusal, happened),
        }
    }

    /// Forgets limits that nobody will come to any more, for they may be long.
    fn sweep(&mut self) {
        let visits = &self.visits;
        self.agenda.sweep(2 * visits.len() + self.parts.len(), |item| match *item {
            Item::Limit(visit, limit) => visits.get(visit as usize).is_some_and(|visit| visit.limit == limit),
            Item::Served(..) | Item::Part(..) | Item::Scale(_) | Item::Started(..) | Item::Overdue(..) => true,
        });
    }

    /// The waiting is over: the stage's own time begins.
    fn begin(&mut self, visit: Visitor, stage: &Stage) {
        let now = self.now;
        let walker = &mut self.visits[visit as usize];
        let (root, extra_ns, tries) = (walker.root, walker.extra_ns, walker.tries);
        walker.begun = now;
        walker.state = State::Served;
        self.flows[walker.flow_of(stage)].begin(walker.entered, now);
        let takes = self.work(root).takes(stage, tries).saturating_add(extra_ns);
        self.serve_until(visit, now.saturating_add(takes));
    }

    fn serve_until(&mut self, visit: Visitor, until: Nanos) {
        let stamp = self.stamp();
        let walker = &mut self.visits[visit as usize];
        walker.until = until;
        walker.stamp = stamp;
        if until <= self.now {
            self.ready.push_back(visit);
        } else {
            self.agenda.push(until, Phase::End, Item::Served(visit, stamp));
        }
    }

    /// The stage's own time is over: it fails, writes the reply, or is passed.
    pub(super) fn served(&mut self, visit: Visitor, happened: &mut Vec<Happened>) {
        let Some(stage) = self.stage_of(visit) else { return };
        let Visit { root, tries, is_writing, is_hit, .. } = self.visits[visit as usize];
        if is_writing {
            self.tell(visit, What::Written, happened);
            self.visits[visit as usize].is_writing = false;
            return self.passed(visit, &stage);
        }
        let draw = || self.work(root).draws.named("fail").with(u64::from(stage.index)).with(u64::from(tries)).unit();
        if stage.fails > 0.0 && draw() < stage.fails {
            return self.failed(visit, &stage, Refusal::of(Cause::StageFailed), happened);
        }
        let by = if is_hit { Some(ReplyBy::Instant) } else { stage.reply.filter(|by| *by != ReplyBy::Replica) };
        let Some(by) = by else { return self.passed(visit, &stage) };
        self.visits[visit as usize].is_writing = true;
        if matches!(by, ReplyBy::Prepared(_)) {
            // What is said in place of the answer is no answer to remember.
            self.visits[root as usize].fills.clear();
        }
        self.tell(visit, What::Begun(by), happened);
        let reply_ns = if by == ReplyBy::Timing { self.work(root).reply_ns } else { 0 };
        self.serve_until(visit, self.now.saturating_add(reply_ns));
    }

    fn passed(&mut self, visit: Visitor, stage: &Stage) {
        self.go_out(visit, stage, true);
        let walker = &mut self.visits[visit as usize];
        walker.tries = 0;
        let next = if walker.is_hit { stage.on_hit } else { None }.unwrap_or(walker.step + 1);
        self.go(visit, next);
    }

    pub(super) fn failed(&mut self, visit: Visitor, stage: &Stage, refusal: Refusal, happened: &mut Vec<Happened>) {
        self.go_out(visit, stage, false);
        let walker = &mut self.visits[visit as usize];
        let step = walker.step;
        if let Some(retry) = stage.retry.filter(|retry| walker.tries < retry.times)
            && retry.budget.is_none_or(|budget| self.parts[usize::from(budget)].withdraw(self.now))
        {
            self.visits[visit as usize].tries += 1;
            return self.go(visit, step);
        }
        self.visits[visit as usize].tries = 0;
        match stage.on_failure {
            Some(next) => self.go(visit, next),
            None => self.turned_away(visit, refusal, happened),
        }
    }

    /// The walk cannot go on.
    fn turned_away(&mut self, visit: Visitor, refusal: Refusal, happened: &mut Vec<Happened>) {
        let Some(parent) = self.visits[visit as usize].parent else {
            let walker = &mut self.visits[visit as usize];
            (walker.state, walker.until) = (State::Refused(refusal), self.now);
            return self.tell(visit, What::Refused(refusal), happened);
        };
        self.visits.remove(visit as usize);
        let forked = &mut self.visits[parent as usize];
        forked.branches.retain(|branch| *branch != visit);
        if forked.branches.len() >= usize::from(forked.needed) {
            return;
        }
        let (route, step) = (forked.route, forked.step);
        self.give_up_branches(parent);
        match self.routes[usize::from(route)].steps[usize::from(step)] {
            Step::Fork { on_failure: Some(next), .. } => self.go(parent, next),
            _ => self.turned_away(parent, refusal, happened),
        }
    }

    /// Takes a visit out of its stage: its station, its breaker, the counts.
    fn go_out(&mut self, visit: Visitor, stage: &Stage, passed: bool) {
        let now = self.now;
        let stamp = self.stamp();
        let walker = &mut self.visits[visit as usize];
        let was_waiting = walker.state == State::Waits;
        (walker.stamp, walker.limit) = (stamp, stamp);
        let (is_inside, is_guarded) = (std::mem::take(&mut walker.is_inside), std::mem::take(&mut walker.is_guarded));
        let Visit { root, entered, begun, member, .. } = *walker;
        self.flows[walker.flow_of(stage)].leave(entered, now, was_waiting, passed);
        if let Some(guard) = stage.guard.filter(|_| is_guarded) {
            self.parts[usize::from(guard)].settle(now, passed);
        }
        if self.keeps_marks {
            let begun = (!was_waiting).then_some(begun);
            let mark = Mark { stage: stage.index, entered, begun, left: now, passed, member };
            self.marks[root as usize].push(mark);
        }
        if let Some(part) = stage.through.filter(|_| is_inside) {
            let station = &mut self.parts[usize::from(part)];
            station.leave(now, visit, member);
            if passed {
                station.answered(now, member, now - entered);
            }
            self.left.push_back((part, member));
        }
    }

    /// Somebody has left a station: lets those in who waited for that. A group of replicas tells it in its own time.
    fn settle_part(&mut self, part: u16, member: u32, happened: &mut Vec<Happened>) {
        if self.parts[usize::from(part)].replica(member).is_none() {
            let mut notices = std::mem::take(&mut self.notices);
            self.parts[usize::from(part)].advance(self.now, member, &mut notices, &mut Vec::new());
            notices.drain(..).for_each(|notice| self.notice(notice, happened));
            self.notices = notices;
        }
        self.plan_again(part, member);
        self.let_go(part, member);
    }

    /// A station says what became of somebody who waited.
    fn notice(&mut self, notice: Notice, happened: &mut Vec<Happened>) {
        let Some(stage) = self.stage_of(notice.visitor) else { return };
        match notice.refused {
            None => {
                self.begin(notice.visitor, &stage);
                self.tell(notice.visitor, What::Served, happened);
            }
            Some(refusal) => self.failed(notice.visitor, &stage, refusal, happened),
        }
    }

    /// Something is due at a member of a station.
    pub(super) fn advance_part(&mut self, part: u16, member: u32, at: Nanos, happened: &mut Vec<Happened>) {
        let (mut notices, mut events) = (std::mem::take(&mut self.notices), std::mem::take(&mut self.steps));
        let station = &mut self.parts[usize::from(part)];
        station.disarm(member, at);
        station.advance(at, member, &mut notices, &mut events);
        if !(notices.is_empty() && events.is_empty()) {
            self.count(u64::from(part) << 40 | u64::from(member) << 8 | 3);
        }
        notices.drain(..).for_each(|notice| self.notice(notice, happened));
        for event in events.drain(..) {
            self.replica_event(part, member, event, happened);
        }
        (self.notices, self.steps) = (notices, events);
        self.plan_again(part, member);
        self.let_go(part, member);
    }

    fn replica_event(&mut self, part: u16, member: u32, event: replica::Event, happened: &mut Vec<Happened>) {
        let (at, visitor, what) = match event {
            replica::Event::Started { at, visitor } => (at, visitor, What::Running),
            replica::Event::FirstToken { at, visitor } => (at, visitor, What::FirstToken),
            replica::Event::Preempted { at, visitor } => (at, visitor, What::Preempted),
            replica::Event::Finished { at, visitor } => (at, visitor, What::Written),
            replica::Event::Steps { .. } | replica::Event::Resumed { .. } => {
                let station = Visitor::from(part) << 16 | member;
                return happened.push(Happened { at: self.now, visit: station, what: What::Replica(event) });
            }
        };
        let Some(stage) = self.stage_of(visitor) else { return };
        let now = self.now;
        self.now = at;
        match what {
            What::Running => {
                let walker = &mut self.visits[visitor as usize];
                if walker.state == State::Waits {
                    (walker.begun, walker.state) = (at, State::Served);
                    self.flows[walker.flow_of(&stage)].begin(walker.entered, at);
                }
            }
            What::FirstToken => self.visits[visitor as usize].is_writing = true,
            _ => {}
        }
        if let Some(group) = self.parts[usize::from(part)].group_mut() {
            match what {
                What::FirstToken => group.first_token(at, visitor),
                What::Written => group.written(at, visitor),
                _ => {}
            }
        }
        self.tell(visitor, what, happened);
        if what == What::Written {
            self.visits[visitor as usize].is_writing = false;
            self.passed(visitor, &stage);
        }
        self.now = now;
    }

    fn done(&mut self, visit: Visitor, happened: &mut Vec<Happened>) {
        let now = self.now;
        let walker = &mut self.visits[visit as usize];
        (walker.state, walker.until) = (State::Done, now);
        let fills = std::mem::take(&mut walker.fills);
        if let Some(Work { content, bytes, .. }) = walker.work.as_ref().filter(|work| !work.is_cut) {
            let (content, bytes) = (*content, *bytes);
            fills.iter().for_each(|cache| self.parts[usize::from(*cache)].fill(now, content, bytes));
        }
        self.tell(visit, What::Done, happened);
    }

    /// The stage of a visit took too long.
    pub(super) fn out_of_time(&mut self, visit: Visitor, happened: &mut Vec<Happened>) {
        if let Some(stage) = self.stage_of(visit) {
            self.failed(visit, &stage, Refusal::of(Cause::Budget), happened);
        }
    }

    /// Forgets a visit and its branches, wherever they stand.
    pub(super) fn give_up(&mut self, visit: Visitor) {
        let Some(walker) = self.visits.get_mut(visit as usize) else { return };
        match walker.state {
            State::Forked => self.give_up_branches(visit),
            State::Waits | State::Served => {
                let is_guarded = std::mem::take(&mut walker.is_guarded);
                if let Some(stage) = self.stage_of(visit) {
                    if let Some(guard) = stage.guard.filter(|_| is_guarded) {
                        self.parts[usize::from(guard)].forget(self.now);
                    }
                    self.go_out(visit, &stage, false);
                }
            }
            State::Walks | State::Done | State::Refused(_) => {}
        }
        if let Some(marks) = self.marks.get_mut(visit as usize) {
            marks.clear();
        }
        self.visits.try_remove(visit as usize);
    }

    fn give_up_branches(&mut self, visit: Visitor) {
        let Some(forked) = self.visits.get_mut(visit as usize) else { return };
        for branch in std::mem::take(&mut forked.branches) {
            self.give_up(branch);
        }
    }

    fn tell(&self, visit: Visitor, what: What, happened: &mut Vec<Happened>) {
        happened.push(Happened { at: self.now, visit: self.visits[visit as usize].root, what });
    }

    /// The stage that a visit is in.
    pub(super) fn stage_of(&self, visit: Visitor) -> Option<Stage> {
        let walker = self.visits.get(visit as usize).filter(|walker| matches!(walker.state, State::Waits | State::Served))?;
        match &self.routes[usize::from(walker.route)].steps[usize::from(walker.step)] {
            Step::Stage(stage) => Some(*stage),
            _ => None,
        }
    }

    /// The station that a visit is in.
    pub(super) fn station_of(&self, visit: Visitor) -> Option<u16> {
        self.stage_of(visit)?.through
    }

    /// A number that no entry of the agenda has: visits that had the same slot before have left theirs in it.
    fn stamp(&mut self) -> u32 {
        self.stamps = self.stamps.wrapping_add(1);
        self.stamps
    }

    fn work(&self, root: Visitor) -> &Work {
        // A root keeps its work for as long as it is known, and its branches go with it.
        self.visits[root as usize].work.as_ref().expect("a root has its work")
    }
}
