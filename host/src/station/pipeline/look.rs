//! What can be seen of a site from outside, for headers, gauges and behaviours that look at the load.

use crate::clock::Nanos;
use crate::station::pipeline::visit::{Mark, State};
use crate::station::pipeline::{Happened, Site};
use crate::station::{Visitor, breaker, replica};

impl Site {
    /// Visits of the route `route` that are served in its stages, and those that wait there.
    pub fn crowd(&self, route: usize) -> (u32, u32) {
        let flows = self.flow_of[route]..self.flow_of.get(route + 1).copied().unwrap_or(self.flows.len());
        self.flows[flows].iter().fold((0, 0), |sum, flow| (sum.0 + flow.inside - flow.waiting, sum.1 + flow.waiting))
    }

    /// Who writes the reply of `visit`: itself, or one of its branches.
    pub(super) fn writer(&self, visit: Visitor) -> Visitor {
        let writes = |branch: &Visitor| self.visits.get(*branch as usize).is_some_and(|branch| branch.is_writing);
        match self.visits.get(visit as usize) {
            Some(forked) if forked.state == State::Forked => {
                forked.branches.iter().map(|branch| self.writer(*branch)).find(writes).unwrap_or(visit)
            }
            _ => visit,
        }
    }

    /// The stage that a visit is in, as if it left it now; `None` between stages, and while its branches are under way.
    pub fn under_way(&self, visit: Visitor) -> Option<Mark> {
        let stage = self.stage_of(visit)?;
        let visit = self.visits.get(visit as usize)?;
        let begun = (visit.state == State::Served).then_some(visit.begun);
        Some(Mark { stage: stage.index, entered: visit.entered, begun, left: self.now, passed: false, member: visit.member })
    }

    /// Is the replica `member` of a station there, and not away?
    pub fn is_there(&self, station: usize, member: u32) -> bool {
        self.parts[station].group().is_none_or(|group| group.is_there(member))
    }

    /// What a station does at `now`, if it is a breaker.
    pub fn breaker(&mut self, now: Nanos, station: usize) -> Option<breaker::State> {
        self.parts[station].breaker(now)
    }

    /// What each replica of a station is doing and has done up to `now`; nothing if it has none.
    pub fn replica_loads(&mut self, now: Nanos, station: usize, happened: &mut Vec<Happened>) -> Vec<replica::Load> {
        self.advance(now, happened);
        let mut loads = Vec::new();
        while self.parts[station].replica(loads.len() as u32).is_some() {
            let member = loads.len() as u32;
            // Steps within a run are told to nobody else.
            self.advance_part(station as u16, member, now, happened);
            self.walk(happened);
            loads.extend(self.parts[station].group().and_then(|group| group.load(member)));
        }
        loads
    }
}
