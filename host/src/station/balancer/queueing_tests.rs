//! Four servers with a queue each, Poisson arrivals, exponential service: how long visitors stay under each rule.

use std::collections::VecDeque;

use super::{Backend, Balancer, Rule};
use crate::clock::Nanos;
use crate::random::Key;
use crate::station::theory::{Observed, S, exponential, visitors};

/// Sojourn times at `servers` of mean service 1 s, each first come, first served, with 0.8 arrivals a second for each.
fn sojourns(rule: Rule, servers: usize, count: u32) -> Observed {
    let mut balancer = Balancer::new(rule, servers);
    let root = Key::of_seed(9).named("balancer");
    let (mut gaps, mut services, mut draws) =
        (root.named("gaps").stream(), root.named("services").stream(), root.named("draws").stream());
    let mut ends: Vec<VecDeque<Nanos>> = vec![VecDeque::new(); servers];
    let mut view = vec![Backend::default(); servers];
    let (mut now, mut seen) = (0, Observed::default());
    for visitor in 0..count {
        now += exponential(&mut gaps, 1.0 / (0.8 * servers as f64));
        for (ends, backend) in ends.iter_mut().zip(&mut view) {
            while ends.front().is_some_and(|end| *end <= now) {
                ends.pop_front();
            }
            backend.running = u32::from(!ends.is_empty());
            backend.waiting = (ends.len() as u32).saturating_sub(1);
        }
        let place = balancer.pick(now, &view, u64::from(visitor), &[], draws.unit()).expect("an open backend");
        let end = ends[place].back().map_or(now, |last| *last) + exponential(&mut services, 1.0);
        ends[place].push_back(end);
        seen.add((end - now) as f64 / S as f64);
    }
    seen
}

#[test]
fn at_random_each_server_is_a_queue_of_its_own() {
    sojourns(Rule::Random, 4, visitors(700_000)).assert_mean("W", 5.0);
}

#[test]
fn hashing_keys_is_as_good_as_chance() {
    // With 2,000 points shares of keys differ by some 2 %, which at this load would change W: so the keys are all different and the
    // exact value is that of the shares the ring gives.
    let rule = Rule::ConsistentHash { points: 2_000, bound_percent: None };
    let shares = shares(rule, 4);
    let exact: f64 = shares.iter().map(|share| share / (1.0 - 3.2 * share)).sum();
    sojourns(rule, 4, visitors(700_000)).assert_mean("W", exact);
}

/// What part of many keys each backend has.
fn shares(rule: Rule, servers: usize) -> Vec<f64> {
    let (mut balancer, view) = (Balancer::new(rule, servers), vec![Backend::default(); servers]);
    let mut keys = vec![0.0; servers];
    for key in 0..200_000 {
        keys[balancer.pick(0, &view, key, &[], 0.0).expect("an open backend")] += 1.0 / 200_000.0;
    }
    keys
}

#[test]
fn in_turn_each_server_sees_erlang_gaps() {
    sojourns(Rule::RoundRobin, 4, visitors(300_000)).assert_mean("W", 3.267_384);
    sojourns(Rule::Weighted, 4, visitors(300_000)).assert_mean("W", 3.267_384);
}

#[test]
fn the_least_busy_of_four_comes_near_one_queue_for_all() {
    // By solving the balance equations of the sorted queue lengths, cut at 20 in a queue: 1.953134. One queue for all four servers
    // gives 1.745541, turns give 3.267384.
    sojourns(Rule::LeastBusy, 4, visitors(300_000)).assert_mean("W", 1.953_134);
}

#[test]
fn two_choices_of_four_take_most_of_the_way_to_the_least_busy() {
    // By solving the balance equations of the sorted queue lengths, cut at 26 in a queue.
    sojourns(Rule::TwoChoices, 4, visitors(300_000)).assert_mean("W", 2.330_158);
}
