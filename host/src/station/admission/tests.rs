use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use proptest::prelude::*;

use super::*;
use crate::random::{Key, Stream};

fn settings(places: u32, queue_max: u32) -> Settings {
    Settings { places, queue_max, wait_max_ns: 0, fair: false }
}

fn notices(queue: &mut Admission, now: Nanos) -> Vec<(Nanos, Visitor, Option<Cause>)> {
    let mut notices = Vec::new();
    queue.advance(now, &mut notices);
    notices.into_iter().map(|notice| (notice.at, notice.visitor, notice.refused.map(|refusal| refusal.cause))).collect()
}

const FULL: Entry = Entry::Refused(Refusal::of(Cause::QueueFull));

#[test]
fn who_finds_no_place_waits_and_who_finds_no_room_to_wait_is_refused() {
    let mut queue = Admission::new(settings(1, 2));
    let entries: Vec<Entry> = (0..4).map(|visitor| queue.enter(visitor.into(), visitor, 0, 0, 1)).collect();
    assert_eq!(entries, [Entry::In, Entry::Waits, Entry::Waits, FULL]);
    assert_eq!((queue.load(), queue.next_at()), (Load { busy: 1, waiting: 2 }, None));
    queue.leave(10, 0);
    assert_eq!(queue.next_at(), Some(10));
    assert_eq!(notices(&mut queue, 20), [(10, 1, None)]);
    assert_eq!(queue.enter(20, 3, 0, 0, 1), Entry::Waits);
    // One gives up waiting, the other comes in.
    queue.leave(21, 2);
    queue.leave(22, 1);
    assert_eq!(notices(&mut queue, 22), [(22, 3, None)]);
    queue.leave(23, 3);
    queue.leave(23, 3);
    assert_eq!((queue.load(), queue.next_at(), notices(&mut queue, 30)), (Load::default(), None, Vec::new()));
}

#[test]
fn who_has_waited_for_the_limit_is_refused_at_that_moment() {
    let mut queue = Admission::new(Settings { wait_max_ns: 100, ..settings(1, 3) });
    assert_eq!(queue.enter(0, 0, 0, 0, 1), Entry::In);
    for visitor in 1..4 {
        assert_eq!(queue.enter(u64::from(visitor) * 10, visitor, 0, 0, 1), Entry::Waits);
    }
    assert_eq!(queue.next_at(), Some(110));
    // The place comes free at the very moment at which the second one's time is up: too late for it.
    queue.leave(120, 0);
    let timeout = Some(Cause::QueueTimeout);
    assert_eq!(notices(&mut queue, 120), [(110, 1, timeout), (120, 2, timeout), (120, 3, None)]);
    // Room is made before it is asked for, without `advance`.
    assert_eq!(queue.enter(120, 1, 0, 0, 1), Entry::Waits);
    assert_eq!(queue.enter(130, 2, 0, 0, 1), Entry::Waits);
    assert_eq!(queue.enter(130, 4, 0, 0, 1), Entry::Waits);
    assert_eq!(queue.enter(219, 5, 0, 0, 1), FULL);
    assert_eq!(queue.enter(220, 5, 0, 0, 1), Entry::Waits);
    assert_eq!(notices(&mut queue, 1_000), [(220, 1, timeout), (230, 2, timeout), (230, 4, timeout), (320, 5, timeout)]);
}

#[test]
fn who_leaves_before_it_hears_of_its_turn_hears_nothing_and_its_place_goes_on() {
    let mut queue = Admission::new(Settings { wait_max_ns: 100, ..settings(1, 4) });
    let entries = [0, 1, 2, 3].map(|visitor| queue.enter(0, visitor, 0, 0, 1));
    assert_eq!(entries, [Entry::In, Entry::Waits, Entry::Waits, Entry::Waits]);
    // The place goes to the second, which has gone before it was told, and so to the third.
    queue.leave(5, 0);
    queue.leave(6, 1);
    assert_eq!((queue.next_at(), notices(&mut queue, 7)), (Some(6), vec![(6, 2, None)]));
    // The same of one whose time was up; its number is another's by then, who waits and is told of its own turn only.
    assert_eq!(queue.enter(150, 3, 0, 0, 1), Entry::Waits);
    assert_eq!(queue.next_at(), Some(250));
    queue.leave(160, 2);
    assert_eq!(notices(&mut queue, 160), [(160, 3, None)]);
    assert_eq!(queue.load(), Load { busy: 1, waiting: 0 });
}

#[test]
fn higher_priorities_go_first_and_equal_ones_in_order() {
    let mut queue = Admission::new(settings(1, 10));
    assert_eq!(queue.enter(0, 9, 0, 0, 1), Entry::In);
    for (visitor, priority) in [(0, 1), (1, 0), (2, 200), (3, 1), (4, 200)] {
        assert_eq!(queue.enter(0, visitor, 0, priority, 1), Entry::Waits);
    }
    let order: Vec<Visitor> = served(&mut queue, 9, 5);
    assert_eq!(order, [2, 4, 0, 3, 1]);
}

/// Lets `first`, which is in, and then who comes after it leave, `count` times.
fn served(queue: &mut Admission, first: Visitor, count: usize) -> Vec<Visitor> {
    let mut leaving = first;
    let next = |_| {
        queue.leave(0, leaving);
        let came = notices(queue, 0);
        assert_eq!(came.len(), 1);
        leaving = came[0].1;
        leaving
    };
    (0..count).map(next).collect()
}

#[test]
fn a_tenant_with_little_goes_between_those_of_one_with_much() {
    let mut queue = Admission::new(Settings { fair: true, ..settings(1, 100) });
    assert_eq!(queue.enter(0, 99, 7, 0, 1), Entry::In);
    for visitor in 0..6 {
        assert_eq!(queue.enter(0, visitor, 1, 0, 1), Entry::Waits);
    }
    for visitor in 10..13 {
        assert_eq!(queue.enter(0, visitor, 2, 0, 1), Entry::Waits);
    }
    assert_eq!(served(&mut queue, 99, 9), [0, 10, 1, 11, 2, 12, 3, 4, 5]);
}

#[test]
fn visits_that_gave_up_waiting_cost_their_tenant_nothing() {
    let mut queue = Admission::new(Settings { fair: true, ..settings(1, 100) });
    assert_eq!(queue.enter(0, 99, 7, 0, 1), Entry::In);
    for visitor in 0..50 {
        assert_eq!(queue.enter(0, visitor, 1, 0, 1), Entry::Waits);
    }
    for visitor in 50..60 {
        assert_eq!(queue.enter(0, visitor, 2, 0, 1), Entry::Waits);
    }
    (0..48).for_each(|visitor| queue.leave(0, visitor));
    assert_eq!(served(&mut queue, 99, 4), [48, 50, 49, 51]);
}

/// Costs up to `dearest` are drawn for two tenants that always have visits waiting; `places` are in at a time.
fn largest_difference(dearest: [u64; 2], places: u32) -> u64 {
    let mut queue = Admission::new(Settings { fair: true, ..settings(places, 1_000) });
    let mut draws = Key::of_seed(5).stream();
    let (mut costs, mut given, mut inside, mut largest) = (vec![(0, 0); 100], [0_u64; 2], Vec::new(), 0);
    for visitor in 0..places {
        assert_eq!(queue.enter(0, visitor, 9, 0, 1), Entry::In);
        inside.push(visitor);
    }
    let mut enter = |queue: &mut Admission, costs: &mut Vec<(usize, u64)>, visitor: Visitor, tenant: usize| {
        let cost = 1 + draws.bits() % dearest[tenant];
        costs[visitor as usize] = (tenant, cost);
        assert_eq!(queue.enter(0, visitor, tenant as u64, 0, cost as u32), Entry::Waits);
    };
    for visitor in places..places + 6 {
        enter(&mut queue, &mut costs, visitor, visitor as usize % 2);
    }
    for number in 0..20_000 {
        let leaving = inside.swap_remove(number * 7 % inside.len());
        queue.leave(0, leaving);
        let came = notices(&mut queue, 0)[0].1;
        inside.push(came);
        let (tenant, cost) = costs[came as usize];
        given[tenant] += cost;
        largest = largest.max(given[0].abs_diff(given[1]));
        // Always three of each wait.
        enter(&mut queue, &mut costs, leaving, tenant);
    }
    assert!(given[0] > 9_000);
    largest
}

#[test]
fn what_two_waiting_tenants_are_given_never_differs_by_more_than_one_dearest_visit_of_each() {
    for (dearest, places) in [([1, 1], 1), ([10, 10], 1), ([1, 50], 1), ([100, 7], 8)] {
        let largest = largest_difference(dearest, places);
        assert!(largest <= dearest[0] + dearest[1], "{largest} with {dearest:?} at {places}");
        assert!(largest > 0);
    }
}

#[test]
fn a_tenant_that_comes_again_at_once_waits_for_no_more_than_one_visit_of_each_other() {
    let mut queue = Admission::new(Settings { fair: true, ..settings(1, 1_000) });
    assert_eq!(queue.enter(0, 0, 99, 0, 1), Entry::In);
    // Five tenants flood the queue, the sixth has one visit at a time.
    for visitor in 1..=500 {
        assert_eq!(queue.enter(0, visitor, u64::from(visitor % 5), 0, 1), Entry::Waits);
    }
    assert_eq!(queue.enter(0, 900, 5, 0, 1), Entry::Waits);
    let (mut leaving, mut since, mut turns) = (0, 0, 0);
    for _ in 0..400 {
        queue.leave(0, leaving);
        leaving = notices(&mut queue, 0)[0].1;
        since += 1;
        if leaving >= 900 {
            assert!(since <= 6, "waited for {since}");
            // It comes again the moment its turn has come, and still gets no more than its share.
            assert_eq!(queue.enter(0, 1_800 - leaving + 1, 5, 0, 1), Entry::Waits);
            (since, turns) = (0, turns + 1);
        }
    }
    assert!((60..=80).contains(&turns), "{turns}");
}

#[test]
fn shares_are_forgotten_before_memory_runs_out() {
    let mut queue = Admission::new(Settings { fair: true, ..settings(1, 4) });
    assert_eq!(queue.enter(0, 0, 0, 0, 1), Entry::In);
    let (mut leaving, mut free) = (0, 2);
    assert_eq!(queue.enter(0, 1, 1, 0, 1), Entry::Waits);
    // Somebody always waits, and every visit is another tenant's.
    for tenant in 2..50_000 {
        assert_eq!(queue.enter(0, free, tenant, 0, 1), Entry::Waits);
        queue.leave(0, leaving);
        (free, leaving) = (leaving, notices(&mut queue, 0)[0].1);
    }
    assert!(queue.flows.known() <= 4 + 1_024 + 1);
}

struct Run {
    /// Means of batches: P(wait), waiting time of those let in, number inside, share refused.
    batches: Vec<[f64; 4]>,
}

const BATCHES: usize = 20;

/// Poisson arrivals of `rate` a second, exponential service of 1 s in the mean.
fn play(queue: Settings, rate: f64, seed: u64) -> Run {
    let customers = if std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1") { 4_000_000 } else { 240_000 };
    let mut queue = Admission::new(queue);
    let (mut arrivals, mut services) =
        (Key::of_seed(seed).named("arrivals").stream(), Key::of_seed(seed).named("services").stream());
    let law = |stream: &mut Stream, mean: f64| (-mean * libm::log(1.0 - stream.unit()) * 1e9) as u64;
    let mut ends: BinaryHeap<Reverse<(Nanos, Visitor)>> = BinaryHeap::new();
    let (mut free, mut since, mut notices): (Vec<Visitor>, Vec<Nanos>, _) = (Vec::new(), Vec::new(), Vec::new());
    let (mut now, mut next, mut area, mut batch_began) = (0, 0, 0.0, 0);
    let (mut run, mut sums, mut let_in) = (Run { batches: Vec::new() }, [0.0; 4], 0.0);
    let mut number = 0;
    // The first batch is thrown away: the queue begins empty.
    while run.batches.len() <= BATCHES {
        let end = ends.peek().map_or(Nanos::MAX, |Reverse((at, _))| *at);
        let at = next.min(end);
        area += f64::from(queue.load().busy + queue.load().waiting) * (at - now) as f64;
        now = at;
        if end <= next {
            let Some(Reverse((_, visitor))) = ends.pop() else { break };
            queue.leave(now, visitor);
            free.push(visitor);
            queue.advance(now, &mut notices);
            for notice in notices.drain(..) {
                let_in += 1.0;
                sums[1] += (now - since[notice.visitor as usize]) as f64 / 1e9;
                ends.push(Reverse((now + law(&mut services, 1.0), notice.visitor)));
            }
            continue;
        }
        next = now + law(&mut arrivals, 1.0 / rate);
        let visitor = free.pop().unwrap_or_else(|| {
            since.push(0);
            since.len() as Visitor - 1
        });
        since[visitor as usize] = now;
        match queue.enter(now, visitor, (number % 3) as u64, 0, 1) {
            Entry::In => {
                let_in += 1.0;
                ends.push(Reverse((now + law(&mut services, 1.0), visitor)));
            }
            Entry::Waits => sums[0] += 1.0,
            Entry::Refused(_) => {
                sums[3] += 1.0;
                free.push(visitor);
            }
        }
        number += 1;
        if number % (customers / BATCHES) == 0 {
            let came = (customers / BATCHES) as f64;
            run.batches.push([sums[0] / came, sums[1] / let_in, area / (now - batch_began) as f64, sums[3] / came]);
            (sums, let_in, area, batch_began) = ([0.0; 4], 0.0, 0.0, now);
        }
    }
    run.batches.remove(0);
    run
}

impl Run {
    /// Is figure `which` what theory says, within 4 sigma of the batches' mean, and is that a test at all?
    fn check(&self, which: usize, exact: f64) {
        let values: Vec<f64> = self.batches.iter().map(|batch| batch[which]).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let sigma = (variance / count).sqrt();
        assert!((mean - exact).abs() < 4.0 * sigma, "figure {which}: {mean} ± {sigma}, exact {exact}");
        assert!(sigma < 0.07 * exact, "figure {which}: {mean} ± {sigma} says too little");
    }
}

#[test]
fn a_queue_before_eight_places_waits_as_erlang_says() {
    let run = play(settings(8, u32::MAX), 7.2, 1);
    run.check(0, 0.701_533);
    run.check(1, 0.876_916);
    run.check(2, 13.513_797);
    run.check(1, 13.513_797 / 7.2 - 1.0);
}

#[test]
fn a_queue_before_one_place_waits_as_theory_says() {
    let run = play(settings(1, u32::MAX), 0.8, 2);
    run.check(1, 4.0);
    run.check(2, 4.0);
}

#[test]
fn ten_places_without_a_queue_lose_what_erlang_says() {
    play(settings(10, 0), 8.0, 3).check(3, 0.121_661);
}

#[test]
fn a_place_with_room_for_four_to_wait_loses_what_theory_says() {
    play(settings(1, 4), 0.9, 4).check(3, 0.126_023);
}

#[test]
fn sharing_between_tenants_changes_who_waits_but_not_how_long_in_the_mean() {
    let run = play(Settings { fair: true, ..settings(8, u32::MAX) }, 7.2, 5);
    run.check(1, 0.876_916);
}

#[derive(Debug, Clone)]
enum Step {
    Enter { tenant: u64, priority: u8, cost: u32 },
    Leave { which: usize },
    Advance { ns: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..6_u64, 0..3_u8, 1..9_u32).prop_map(|(tenant, priority, cost)| Step::Enter { tenant, priority, cost }),
        4 => any::<usize>().prop_map(|which| Step::Leave { which }),
        2 => (0..60_u64).prop_map(|ns| Step::Advance { ns }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_places_are_full_while_anybody_waits_and_nobody_is_lost(
        steps in prop::collection::vec(step(), 1..300),
        (places, queue_max, wait_max_ns, fair) in (1..4_u32, 0..8_u32, prop_oneof![Just(0), 1..100_u64], any::<bool>()),
    ) {
        let mut queue = Admission::new(Settings { places, queue_max, wait_max_ns, fair });
        let (mut now, mut fresh) = (0, 0);
        // Who is here: since when, and whether it is in.
        let mut here: BTreeMap<Visitor, (Nanos, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Enter { tenant, priority, cost } => {
                    match queue.enter(now, fresh, tenant, priority, cost) {
                        Entry::In => _ = here.insert(fresh, (now, true)),
                        Entry::Waits => _ = here.insert(fresh, (now, false)),
                        Entry::Refused(refusal) => prop_assert_eq!(refusal.cause, Cause::QueueFull),
                    }
                    fresh += 1;
                }
                Step::Leave { which } => {
                    if let Some(visitor) = here.keys().nth(which % here.len().max(1)).copied() {
                        queue.leave(now, visitor);
                        here.remove(&visitor);
                    }
                }
                Step::Advance { ns } => now += ns,
            }
            let mut notices = Vec::new();
            queue.advance(now, &mut notices);
            prop_assert!(notices.iter().all(|notice| notice.at <= now));
            for notice in notices {
                // One that left before it heard that its turn had come is told of no more.
                let (since, is_in) = here.get_mut(&notice.visitor).expect("somebody who is here");
                prop_assert!(!*is_in);
                match notice.refused {
                    None => *is_in = true,
                    Some(_) => {
                        prop_assert_eq!(notice.at, *since + wait_max_ns);
                        here.remove(&notice.visitor);
                    }
                }
            }
            let load = queue.load();
            let busy = here.values().filter(|(_, is_in)| *is_in).count() as u32;
            prop_assert_eq!((load.busy, load.waiting), (busy, here.len() as u32 - busy));
            prop_assert!(load.busy <= places && load.waiting <= queue_max && (load.waiting == 0 || load.busy == places));
            prop_assert!(queue.next_at().is_none_or(|at| at > now));
        }
        while let Some(visitor) = here.keys().next().copied() {
            queue.leave(now, visitor);
            here.remove(&visitor);
            let mut notices = Vec::new();
            queue.advance(now, &mut notices);
        }
        prop_assert_eq!(queue.load(), Load::default());
    }
}
