//! Order, shares and time limits by hand and against a plain model; queueing theory with c servers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;
use crate::random::Key;
use crate::station::theory::{Observed, S, exponential, visitors};

const REFUSED_FULL: Entry = Entry::Refused(Refusal::of(Cause::QueueFull));

fn told(pool: &mut Pool, now: Nanos) -> Vec<(Nanos, Visitor, bool)> {
    let mut notices = Vec::new();
    pool.advance(now, &mut notices);
    notices.into_iter().map(|notice| (notice.at, notice.visitor, notice.refused.is_none())).collect()
}

#[test]
fn connections_are_handed_on_in_order() {
    let mut pool = Pool::new(Settings { queue_max: 2, ..Settings::of(2) });
    let entries: Vec<Entry> = (0..5).map(|visitor| pool.enter(u64::from(visitor), visitor, Access::Read)).collect();
    assert_eq!(entries, [Entry::In, Entry::In, Entry::Waits, Entry::Waits, REFUSED_FULL]);
    assert_eq!(pool.load(), Load { busy: 2, waiting: 2 });
    assert_eq!(pool.next_at(), None);
    pool.leave(10, 1);
    assert_eq!(pool.next_at(), Some(10));
    pool.leave(12, 0);
    assert_eq!(told(&mut pool, 15), [(10, 2, true), (12, 3, true)]);
    assert_eq!(pool.load(), Load { busy: 2, waiting: 0 });
}

#[test]
fn who_waits_too_long_is_turned_away_when_it_was_due() {
    let mut pool = Pool::new(Settings { wait_max_ns: 100, ..Settings::of(1) });
    pool.enter(0, 0, Access::Read);
    pool.enter(5, 1, Access::Write);
    pool.enter(6, 2, Access::Read);
    assert_eq!(pool.next_at(), Some(105));
    // A connection that comes free in the very nanosecond is too late for 1.
    pool.leave(105, 0);
    let mut notices = Vec::new();
    pool.advance(105, &mut notices);
    let refused = Some(Refusal::of(Cause::PoolTimeout));
    assert_eq!(notices, [Notice { at: 105, visitor: 1, refused }, Notice { at: 105, visitor: 2, refused: None }]);
    assert_eq!(pool.next_at(), None);
}

#[test]
fn a_read_overtakes_writes_that_wait_for_their_share() {
    let mut pool = Pool::new(Settings { writes: Some(1), reads: Some(2), ..Settings::of(3) });
    assert_eq!(pool.enter(0, 0, Access::Write), Entry::In);
    assert_eq!(pool.enter(1, 1, Access::Write), Entry::Waits);
    assert_eq!(pool.enter(2, 2, Access::Read), Entry::In);
    assert_eq!(pool.enter(3, 3, Access::Read), Entry::In);
    assert_eq!(pool.enter(4, 4, Access::Read), Entry::Waits);
    // The write that waits may not have the connection of a read.
    pool.leave(5, 2);
    assert_eq!(told(&mut pool, 5), [(5, 4, true)]);
    pool.leave(6, 0);
    assert_eq!(told(&mut pool, 6), [(6, 1, true)]);
    assert_eq!(pool.load(), Load { busy: 3, waiting: 0 });
}

#[test]
fn who_has_left_hears_nothing_more() {
    let mut pool = Pool::new(Settings { wait_max_ns: 100, ..Settings::of(1) });
    (0..4).for_each(|visitor| _ = pool.enter(0, visitor, Access::Read));
    // 1 is handed the connection and leaves before it hears of it; so 2 has it.
    pool.leave(10, 0);
    pool.leave(11, 1);
    // 3 has given up, and is gone before it hears of that.
    pool.leave(200, 3);
    assert_eq!(told(&mut pool, 200), [(11, 2, true)]);
    pool.leave(201, 2);
    pool.leave(202, 77);
    assert_eq!((pool.load(), pool.next_at()), (Load::default(), None));
}

#[test]
fn time_never_goes_backwards() {
    let mut pool = Pool::new(Settings { wait_max_ns: 100, ..Settings::of(1) });
    pool.enter(1_000, 0, Access::Read);
    pool.enter(10, 1, Access::Read);
    assert_eq!(pool.next_at(), Some(1_100));
}

/// The same rules without links or tickets: one row of visitors, searched through each time.
struct Plain {
    settings: Settings,
    waiting: Vec<(Nanos, Visitor, Access)>,
    holding: Vec<(Visitor, Access)>,
    notices: Vec<(Nanos, Visitor, bool)>,
}

impl Plain {
    fn may(&self, access: Access) -> bool {
        let held = self.holding.iter().filter(|(_, held)| *held == access).count() as u32;
        let share = if access == Access::Read { self.settings.reads } else { self.settings.writes };
        self.holding.len() < self.settings.size as usize && held < share.unwrap_or(u32::MAX)
    }

    fn give_up(&mut self, now: Nanos) {
        let wait = self.settings.wait_max_ns;
        while wait > 0 && self.waiting.first().is_some_and(|(since, ..)| since + wait <= now) {
            let (since, visitor, _) = self.waiting.remove(0);
            self.notices.push((since + wait, visitor, false));
        }
    }

    fn enter(&mut self, now: Nanos, visitor: Visitor, access: Access) -> Entry {
        self.leave(now, visitor);
        if self.may(access) {
            self.holding.push((visitor, access));
            return Entry::In;
        }
        if self.waiting.len() >= self.settings.queue_max as usize {
            return REFUSED_FULL;
        }
        self.waiting.push((now, visitor, access));
        Entry::Waits
    }

    fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.give_up(now);
        self.waiting.retain(|(_, other, _)| *other != visitor);
        self.holding.retain(|(other, _)| *other != visitor);
        self.notices.retain(|(_, other, _)| *other != visitor);
        while let Some(first) = (0..self.waiting.len()).find(|index| self.may(self.waiting[*index].2)) {
            let (_, visitor, access) = self.waiting.remove(first);
            self.holding.push((visitor, access));
            self.notices.push((now, visitor, true));
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_plain_model_does(
        (size, wait_max_ns, queue_max) in (1_u32..4, prop_oneof![Just(0), 1_u64..30], 0_u32..6),
        (reads, writes) in (proptest::option::of(1_u32..4), proptest::option::of(1_u32..4)),
        steps in proptest::collection::vec((0_u64..8, 0_u32..10, 0_u8..4), 1..200),
    ) {
        let settings = Settings { size, wait_max_ns, queue_max, reads, writes };
        let mut pool = Pool::new(settings);
        let mut plain = Plain { settings, waiting: vec![], holding: vec![], notices: vec![] };
        let mut now = 0;
        for (gap, visitor, deed) in steps {
            now += gap;
            match deed {
                0 => prop_assert_eq!(pool.enter(now, visitor, Access::Read), plain.enter(now, visitor, Access::Read)),
                1 => prop_assert_eq!(pool.enter(now, visitor, Access::Write), plain.enter(now, visitor, Access::Write)),
                2 => {
                    pool.leave(now, visitor);
                    plain.leave(now, visitor);
                }
                _ => {
                    plain.give_up(now);
                    prop_assert_eq!(told(&mut pool, now), std::mem::take(&mut plain.notices));
                }
            }
            let load = Load { busy: plain.holding.len() as u32, waiting: plain.waiting.len() as u32 };
            prop_assert_eq!(pool.load(), load);
        }
    }
}

/// What a run of Poisson arrivals with exponential service of mean 1 s saw.
#[derive(Default)]
struct Seen {
    waits: Observed,
    waited: Observed,
    refused: Observed,
    present: Observed,
}

/// Drives a pool as the fleet does, with `count` arrivals at `rate` a second.
fn run(settings: Settings, rate: f64, count: u32) -> Seen {
    let mut pool = Pool::new(settings);
    let root = Key::of_seed(4).named("pool");
    let (mut gaps, mut services) = (root.named("gaps").stream(), root.named("services").stream());
    let (mut departures, mut free, mut came) = (BinaryHeap::new(), Vec::new(), Vec::new());
    let (mut seen, mut notices, mut arrival) = (Seen::default(), Vec::new(), 0);
    for _ in 0..count {
        arrival += exponential(&mut gaps, 1.0 / rate);
        while let Some(Reverse((now, visitor))) = departures.peek().copied().filter(|Reverse((at, _))| *at <= arrival) {
            departures.pop();
            free.push(visitor);
            pool.leave(now, visitor);
            pool.advance(now, &mut notices);
            for notice in notices.drain(..) {
                seen.waits.add((notice.at - came[notice.visitor as usize]) as f64 / S as f64);
                departures.push(Reverse((notice.at + exponential(&mut services, 1.0), notice.visitor)));
            }
        }
        let Load { busy, waiting } = pool.load();
        seen.present.add(f64::from(busy + waiting));
        let visitor = free.pop().unwrap_or(came.len() as u32);
        came.resize(came.len().max(visitor as usize + 1), 0);
        came[visitor as usize] = arrival;
        let entry = pool.enter(arrival, visitor, Access::Read);
        seen.waited.add(if entry == Entry::Waits { 1.0 } else { 0.0 });
        seen.refused.add(if entry == REFUSED_FULL { 1.0 } else { 0.0 });
        match entry {
            Entry::In => {
                seen.waits.add(0.0);
                departures.push(Reverse((arrival + exponential(&mut services, 1.0), visitor)));
            }
            Entry::Waits => {}
            Entry::Refused(_) => free.push(visitor),
        }
    }
    seen
}

#[test]
fn eight_connections_make_visitors_wait_as_erlang_says() {
    let seen = run(Settings::of(8), 7.2, visitors(1_500_000));
    seen.waited.assert_mean("P(wait)", 0.701_533);
    seen.waits.assert_mean("Wq", 0.876_916);
    // Poisson arrivals see time averages.
    seen.present.assert_mean("L", 13.513_797);
}

#[test]
fn one_queue_for_four_servers_waits_as_erlang_says() {
    run(Settings::of(4), 3.2, visitors(300_000)).waits.assert_mean("Wq", 0.745_541);
}

#[test]
fn a_single_server_makes_visitors_wait_as_theory_says() {
    let seen = run(Settings::of(1), 0.8, visitors(1_000_000));
    seen.waits.assert_mean("Wq", 4.0);
    seen.present.assert_mean("L", 4.0);
}

#[test]
fn without_a_queue_erlangs_loss_formula_holds() {
    let seen = run(Settings { queue_max: 0, ..Settings::of(10) }, 8.0, visitors(300_000));
    seen.refused.assert_mean("blocked", 0.121_661);
}

#[test]
fn a_short_queue_turns_away_as_theory_says() {
    let seen = run(Settings { queue_max: 4, ..Settings::of(1) }, 0.9, visitors(300_000));
    seen.refused.assert_mean("blocked", 0.126_023);
}
