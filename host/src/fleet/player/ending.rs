//! How flights end: when that is noted, what strikes before, what has left by then and what follows.

use std::num::NonZeroU64;

use crate::clock::Nanos;
use crate::fleet::Watch;
use crate::fleet::flight::{Ended, Fate, Finish, Flight, NONE};
use crate::fleet::player::{Due, Fleet};
use crate::plan::verdict::Action;
use crate::station::pipeline::agenda::Phase;
use crate::station::pipeline::route::ReplyBy;

impl Fleet {
    /// Notes that the flight in `slot` ends at `at`.
    pub(super) fn end_at(&mut self, slot: usize, at: Nanos) {
        let flight = &mut self.flights[slot];
        flight.ends_at = at;
        self.agenda.push(at, Phase::End, Due::End(slot as u32, flight.serial));
    }

    /// Something that was noted is due.
    pub(super) fn due(&mut self, due: Due, watch: &mut impl Watch) {
        let (Due::End(slot, serial) | Due::Strike(slot, serial) | Due::Deadline(slot, serial)) = due;
        let Some(flight) = self.flights.get_mut(slot as usize).filter(|flight| flight.serial == serial) else { return };
        let model = u64::from(flight.model);
        match due {
            // A stall has put it off.
            Due::End(..) if self.now < flight.ends_at => {}
            Due::End(..) => {
                self.count(model << 8 | 1);
                self.written(slot as usize, watch);
            }
            Due::Deadline(..) => {
                self.count(model << 8 | 2);
                self.end(slot as usize, Fate::Abandoned, 0, watch);
            }
            Due::Strike(..) => {
                if let Some(action) = flight.strikes.take() {
                    self.strike(slot as usize, &action, watch);
                }
            }
        }
    }

    /// `action` is done to the reply in `slot`, by the time; a reply that is complete has escaped it.
    fn strike(&mut self, slot: usize, action: &Action, watch: &mut impl Watch) {
        let left = self.left(slot);
        let flight = &mut self.flights[slot];
        if left >= flight.steps {
            return;
        }
        if let Action::Stall(stall) = action {
            let ns = stall.as_nanos() as Nanos;
            flight.stall = NonZeroU64::new(ns).map(|ns| (left, ns));
            // The end of what goes through stations is noted when they are done.
            let end = Some(flight.ends_at).filter(|_| flight.visit == NONE);
            return end.into_iter().for_each(|at| self.end_at(slot, at.saturating_add(ns)));
        }
        let model = u64::from(flight.model);
        flight.finish = Finish::of(action);
        if flight.finish.breaks_off() {
            self.count(model << 8 | 3);
            self.written(slot, watch);
        }
    }

    /// Nothing more of the reply comes.
    pub(super) fn written(&mut self, slot: usize, watch: &mut impl Watch) {
        let Flight { finish, is_streamed, .. } = self.flights[slot];
        let left = if finish == Finish::Cut && !is_streamed { self.left(slot) } else { 0 };
        self.end(slot, finish.fate(is_streamed, left), 0, watch);
    }

    /// The attempt in `slot` is over.
    pub(super) fn end(&mut self, slot: usize, fate: Fate, retry_after_ns: u64, watch: &mut impl Watch) {
        let now = self.now;
        // Of what was refused nothing has left, whatever was written.
        let output_tokens = if fate.is_charged() { self.delivered(slot, fate) } else { 0 };
        let flight = &mut self.flights[slot];
        if !flight.is_streamed && output_tokens > 0 {
            // What leaves in one piece has no token before the others.
            flight.first_token = now;
        }
        if let (Some(site), true) = (&mut self.site, flight.visit != NONE) {
            site.leave(now, flight.visit, &mut self.happened);
        }
        let used = if fate.is_charged() { flight.input_tokens.saturating_add(output_tokens) } else { 0 };
        self.quotas.settle(now, std::mem::take(&mut flight.held), used);
        let model = (flight.model != NONE).then_some(flight.model);
        if let Some(model) = model {
            self.running[model as usize] -= 1;
        }
        let is_row = model.is_some_and(|model| self.ways[model as usize].is_row);
        let ended = Ended {
            number: flight.ask.number,
            attempt: flight.ask.attempt,
            model,
            class: flight.ask.class,
            tenant: flight.ask.tenant,
            arrival: flight.ask.at,
            end: now,
            first_token: Some(flight.first_token).filter(|at| *at != Nanos::MAX && output_tokens > 0),
            waited: flight.waited(now).filter(|_| is_row && fate == Fate::Whole),
            fate,
            input_tokens: flight.input_tokens,
            output_tokens,
        };
        if fate == Fate::Whole && now < flight.ask.at.saturating_add(flight.least_served()) && is_row {
            self.measure.early += 1;
        }
        let retries = &mut self.retries;
        let may_retry = || retries.as_mut().is_none_or(|budget| budget.withdraw(now));
        let next = self.traffic.ended(now, &flight.ask, fate.answer(retry_after_ns), may_retry);
        let back_at = if retry_after_ns > 0 { now.saturating_add(retry_after_ns) } else { 0 };
        self.flights.remove(slot);
        self.measure.ended(&ended, next, back_at);
        watch.ended(&ended);
        // The visit's end may have let others in.
        self.settle(watch);
    }

    /// Tokens that have left of the reply in `slot`, which ends now; their times are measured.
    fn delivered(&mut self, slot: usize, fate: Fate) -> u32 {
        let (now, flight) = (self.now, &mut self.flights[slot]);
        match (flight.by, &flight.timing) {
            (Some(ReplyBy::Replica), _) if fate == Fate::Whole => flight.steps,
            (Some(ReplyBy::Replica), _) => self.left(slot),
            _ if flight.begun == Nanos::MAX => 0,
            (_, Some(_)) => self.measure.stream(flight, now),
            _ => self.measure.at_once(flight),
        }
    }

    /// Tokens that have left of the reply in `slot` by now.
    pub(super) fn left(&mut self, slot: usize) -> u32 {
        let (now, flight) = (self.now, &self.flights[slot]);
        match (flight.by, &flight.timing, &mut self.site) {
            // Its replica has forgotten it.
            (Some(ReplyBy::Replica), ..) if flight.written != Nanos::MAX => match flight.stall {
                Some((from, ns)) if now < flight.written.saturating_add(ns.get()) => from,
                _ => flight.steps,
            },
            (Some(ReplyBy::Replica), _, Some(site)) => {
                let (mut low, mut high) = (0, flight.steps);
                while low < high {
                    let middle = low + (high - low) / 2;
                    let at = site.token_at(now, flight.visit, middle, &mut self.happened);
                    match at.filter(|at| at.saturating_add(flight.held(middle)) <= now) {
                        Some(_) => low = middle + 1,
                        None => high = middle,
                    }
                }
                low
            }
            _ if flight.begun == Nanos::MAX => 0,
            (_, Some(timing), _) => {
                let mut left = 0;
                timing.each(flight.steps, |offset| {
                    let has_left = flight.begun.saturating_add(offset).saturating_add(flight.held(left)) <= now;
                    left += u32::from(has_left);
                    has_left
                });
                left
            }
            _ if flight.begun.saturating_add(flight.held(0)) <= now => flight.steps,
            _ => 0,
        }
    }
}
