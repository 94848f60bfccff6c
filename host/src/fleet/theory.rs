//! Runs against exact theory, through everything that a scenario goes through: workload, plan, stations, measures.
//!
//! Means fail at 4 sigma by batch means (`station::theory`); a percentile is tested as the share of customers at or below the exact one.
//! `SIMWRIGHT_FULL=1` takes twenty times as many customers, a million a case.

use std::sync::Arc;

use crate::fleet::{Ended, Fleet, Limits, Report, Watch};
use crate::plan::build::testing::changed;
use crate::scenario::Scenario;
use crate::station::Cause;
use crate::station::balancer::Rule;
use crate::station::pipeline::route::{ReplyBy, Stage, Step};
use crate::station::pipeline::{Replicas, Settings};
use crate::station::theory::{Observed, visitors};
use crate::station::{pool, replica};
use crate::stats::law::Law;

const S: f64 = 1e9;

/// Keeps what it is told.
#[derive(Default)]
struct Seen(Vec<Ended>);

impl Watch for Seen {
    fn ended(&mut self, ended: &Ended) {
        self.0.push(*ended);
    }
}

impl Seen {
    /// Fails unless the mean of `of` is `exact`.
    fn assert_mean(&self, what: &str, exact: f64, of: impl Fn(&Ended) -> f64) {
        let mut observed = Observed::default();
        self.0.iter().for_each(|ended| observed.add(of(ended)));
        let (mean, sigma) = observed.mean();
        assert!((mean - exact).abs() < 4.0 * sigma, "{what}: {mean} instead of {exact}, sigma {sigma}");
        assert!(sigma < 0.08 * exact, "{what}: sigma {sigma} says nothing about {exact}");
    }

    fn waits(&self, what: &str, exact_s: f64) {
        self.assert_mean(what, exact_s, |ended| ended.waited.expect("a row") as f64 / S);
    }

    fn stays(&self, what: &str, exact_s: f64) {
        self.assert_mean(what, exact_s, |ended| (ended.end - ended.arrival) as f64 / S);
    }
}

/// A scenario whose requests are served for a time that follows `law`, and come as `arrivals` says; `change` has the last word.
fn play(law: &str, arrivals: &str, requests: u32, change: impl FnOnce(&mut Scenario)) -> (Report, Seen) {
    let text = format!(
        "simwright: 1\nstations: {{ server: {{ pool: {{ size: 1 }} }} }}\n\
         models:\n  - match: m\n    latency: {{ constant: {{ first: 0ms, between: 0ms }} }}\n    \
         pipeline: [ {{ serve: {{ takes: {{ {law} }}, through: server }} }}, {{ model: {{}} }} ]\n\
         workload: {{ arrivals: {{ {arrivals} }}, classes: [{{ model: m, input: 1, output: 1 }}], requests: {requests}, \
         client: {{ retries: 0 }} }}\n"
    );
    let generation = changed(&text, change, |_| {});
    let workload = generation.scenario.workload.clone().expect("a workload");
    let mut fleet = Fleet::begin(&generation, &workload).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut seen = Seen::default();
    fleet.play(Limits { events_max: u64::MAX }, &mut seen);
    let report = fleet.report();
    assert_eq!(report.broken, Vec::<String>::new());
    (report, seen)
}

fn exponential(mean_ms: u32) -> String {
    format!("exponential: {{ first: {{ mean: {mean_ms}ms }}, between: {{ mean: 1ms }} }}")
}

fn pool(settings: pool::Settings) -> impl FnOnce(&mut Scenario) {
    move |scenario| scenario.stations[0].settings = Settings::Pool(settings)
}

#[test]
fn one_server_has_the_waits_and_percentiles_of_m_m_1() {
    let (report, seen) = play(&exponential(1_000), "poisson: { rate: 0.8 }", visitors(50_000), |_| {});
    seen.waits("Wq", 4.0);
    seen.stays("W", 5.0);
    let at_most = |of: f64, limit: f64| f64::from(u8::from(of <= limit * S));
    for (share, exact) in [(0.5, 3.465_736), (0.9, 11.512_925), (0.99, 23.025_851)] {
        seen.assert_mean("sojourn", share, |ended| at_most((ended.end - ended.arrival) as f64, exact));
    }
    seen.assert_mean("Wq p99", 0.99, |ended| at_most(ended.waited.expect("a row") as f64, 21.910_133));
    // L from the areas is λW from the stays, to the rounding of a float.
    let stage = &report.stages[0].flow;
    let (l, w) = (stage.inside_area as f64 / report.virtual_ns as f64, stage.stayed_ns as f64 / stage.passed as f64);
    let rate = stage.passed as f64 / report.virtual_ns as f64;
    assert!((l / (rate * w) - 1.0).abs() < 1e-9 && (l / 4.0 - 1.0).abs() < 0.25, "{l}");
    let quantile = report.total.duration.quantile(0.5) as f64 / S;
    assert!((quantile / 3.465_736 - 1.0).abs() < 0.15, "{quantile}");
    let used = report.stations[0].utilisation.expect("servers");
    assert!((used - 0.8).abs() < 0.02, "{used}");
}

#[test]
fn eight_servers_have_the_waits_of_m_m_8() {
    let eight = pool(pool::Settings::of(8));
    let (report, seen) = play(&exponential(1_000), "poisson: { rate: 7.2 }", visitors(90_000), eight);
    seen.assert_mean("P(wait)", 0.701_533, |ended| f64::from(u8::from(ended.waited > Some(0))));
    seen.waits("Wq", 0.876_916);
    let l = report.stages[0].flow.inside_area as f64 / report.virtual_ns as f64;
    assert!((l / 13.513_797 - 1.0).abs() < 0.15, "{l}");
}

#[test]
fn waits_for_one_server_follow_pollaczek_and_khinchine() {
    let gamma = "gamma: { first: { mean: 1s, shape: 4 }, between: { mean: 1ms, shape: 4 } }";
    // Two exponential phases with balanced means: a variance of 4.
    let h2 = "mixture: { first: [ { share: 88.7298334620742%, exponential: { mean: 563.508ms } }, \
              { share: 11.2701665379258%, exponential: { mean: 4436.492ms } } ], between: [ { share: 100%, constant: 0ms } ] }";
    for (what, law, requests, exact) in [
        ("deterministic", "constant: { first: 1s, between: 0ms }".to_owned(), 30_000, 1.166_667),
        ("Erlang-4", gamma.to_owned(), 30_000, 1.458_333),
        ("exponential", exponential(1_000), 30_000, 2.333_333),
        ("H2", h2.to_owned(), 60_000, 5.833_333),
    ] {
        let (_, seen) = play(&law, "poisson: { rate: 0.7 }", visitors(requests), |_| {});
        seen.waits(what, exact);
    }
}

#[test]
fn full_servers_and_full_queues_turn_away_the_share_that_erlang_says() {
    let loss = |size, queue_max, rate: &str, exact: f64| {
        let settings = pool::Settings { queue_max, ..pool::Settings::of(size) };
        let (report, seen) = play(&exponential(1_000), &format!("poisson: {{ rate: {rate} }}"), visitors(40_000), pool(settings));
        seen.assert_mean("blocked", exact, |ended| f64::from(u8::from(ended.first_token.is_none())));
        assert_eq!(report.refused[0].0, Cause::QueueFull.name());
        report.attempts.whole as f64 / report.virtual_ns as f64 * S
    };
    loss(10, 0, "8", 0.121_661);
    let throughput = loss(1, 4, "0.9", 0.126_023);
    assert!((throughput / 0.786_580 - 1.0).abs() < 0.02, "{throughput}");
}

#[test]
fn closed_users_have_the_throughput_of_mean_value_analysis() {
    let stages = |scenario: &mut Scenario| {
        for index in 1..3 {
            let station = scenario.stations[0].clone();
            scenario.stations.push(station);
            let pipeline = scenario.models[0].pipeline.as_mut().expect("a pipeline");
            let Step::Stage(first) = pipeline.route.steps[0] else { panic!("a stage") };
            let at = pipeline.route.stages.len() as u16;
            let stage = Stage { index: at, through: Some(index), ..first };
            pipeline.route.steps.insert(usize::from(index), Step::Stage(stage));
            pipeline.route.stages.push(format!("serve{index}"));
            let mut takes = pipeline.takes[0].clone();
            takes[0].options["first"]["mean"] = if index == 1 { "200ms" } else { "100ms" }.into();
            pipeline.takes.push(takes);
        }
    };
    let users = "closed: { users: 20, think: { exponential: { mean: 5s } } }";
    let (report, seen) = play(&exponential(300), users, visitors(30_000), stages);
    seen.stays("R", 1.862_006);
    let rate = report.attempts.whole as f64 / report.virtual_ns as f64 * S;
    assert!((rate / 2.914_600 - 1.0).abs() < 0.02, "{rate}");
}

/// A network with a way back, unrolled: each round trip has stages of its own, and after nine of them (0.12^9, one in 200 million) there
/// is no further way back.
fn jackson(scenario: &mut Scenario) {
    const ROUNDS: u16 = 9;
    let of = |station: u16, index: u16| Step::Stage(Stage { index, through: Some(station), ..Stage::default() });
    let share = scenario.models[0].faults.iter().map(|fault| fault.when.clone()).collect::<Vec<_>>();
    scenario.models[0].faults.clear();
    let (server, pipeline) = (scenario.stations[0].clone(), scenario.models[0].pipeline.as_mut().expect("a pipeline"));
    scenario.stations.extend([server.clone(), server]);
    let (mut steps, mut stages, mut takes, mut switches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let exponential = pipeline.takes[0].clone();
    let mut stage = |name: &str, mean: &str| {
        let mut law = exponential.clone();
        law[0].options["first"]["mean"] = mean.into();
        takes.push(law);
        stages.push(name.to_owned());
        stages.len() as u16 - 1
    };
    let reply_at = ROUNDS * 6;
    for round in 0..ROUNDS {
        let at = round * 6;
        steps.push(of(0, stage("a", "1s")));
        // 40 % go to C, the others to B; of those 20 % come back.
        steps.push(Step::Switch { choice: round * 2, ways: [at + 2, at + 4].into() });
        steps.push(of(2, stage("c", "2s")));
        steps.push(Step::Jump(reply_at));
        steps.push(of(1, stage("b", "1250ms")));
        let back = if round + 1 < ROUNDS { at + 6 } else { reply_at };
        steps.push(Step::Switch { choice: round * 2 + 1, ways: [back, reply_at].into() });
        switches.push(vec![share[0].clone(), None]);
        switches.push(vec![share[1].clone(), None]);
    }
    let model = Stage { index: stages.len() as u16, reply: Some(ReplyBy::Timing), ..Stage::default() };
    steps.extend([Step::Stage(model), Step::End]);
    stages.push("model".to_owned());
    takes.push(Vec::new());
    (pipeline.route.steps, pipeline.route.stages) = (steps, stages);
    (pipeline.takes, pipeline.switches) = (takes, switches);
}

#[test]
fn a_network_with_a_way_back_has_the_numbers_of_jackson() {
    // The conditions of two faults are those of the switches.
    let change = |scenario: &mut Scenario| {
        let text = "simwright: 1\nmodels: [{ match: m, faults: [{ when: { share: 40% }, hang: { for: 1s } }, \
                    { when: { share: 20% }, hang: { for: 1s } }] }]\n";
        let other = changed(text, |_| {}, |_| {});
        scenario.models[0].faults = other.scenario.models[0].faults.clone();
        jackson(scenario);
    };
    let (report, seen) = play(&exponential(1_000), "poisson: { rate: 0.5 }", visitors(15_000), change);
    seen.stays("W", 5.783_394);
    for (station, exact) in [(0, 1.315_789), (1, 0.742_574), (2, 0.833_333)] {
        let through = report.stages.iter().filter(|stage| stage.station == Some(station));
        let l = through.map(|stage| stage.flow.inside_area as f64).sum::<f64>() / report.virtual_ns as f64;
        assert!((l / exact - 1.0).abs() < 0.1, "station {station}: {l}");
    }
}

/// Lets one stage through `replicas` write the reply, whose length in tokens is exponential with the mean `tokens`.
fn replicas(replicas: Replicas, tokens: f64) -> impl FnOnce(&mut Scenario) {
    move |scenario| {
        scenario.stations[0].settings = Settings::Replicas(replicas);
        let pipeline = scenario.models[0].pipeline.as_mut().expect("a pipeline");
        let stage = Stage { through: Some(0), reply: Some(ReplyBy::Replica), ..Stage::default() };
        pipeline.route.steps = vec![Step::Stage(stage), Step::End];
        pipeline.route.stages.truncate(1);
        pipeline.takes = vec![Vec::new()];
        let workload = Arc::make_mut(scenario.workload.as_mut().expect("a workload"));
        workload.classes[0].output = Some(Law::exponential(tokens));
    }
}

/// A replica whose steps take `base_ms`, and `sequence_us` more for each of at most `sequences` in it.
fn replica(base_ms: u64, sequence_us: u64, sequences_max: u32) -> replica::Settings {
    let step = replica::StepTime {
        base_ps: base_ms * 1_000_000_000,
        per_sequence_ps: sequence_us * 1_000_000,
        ..replica::StepTime::default()
    };
    replica::Settings {
        step,
        sequences_max,
        batch_tokens: 65_536,
        kv_blocks: 10_000_000,
        block_tokens: 16,
        queue_max: u32::MAX,
        prefix_cache: false,
        ahead: false,
    }
}

#[test]
fn a_batching_server_shares_its_time_as_theory_says_and_its_steps_add_half_of_one() {
    let (a, b, m) = (0.010, 0.000_2, 200.0);
    for rate in [4.0, 8.0, 12.0] {
        let one = Replicas::of(1, replica(10, 200, 4_096), Rule::LeastBusy);
        let arrivals = format!("poisson: {{ rate: {rate} }}");
        let (_, seen) = play(&exponential(1_000), &arrivals, visitors(6_000), replicas(one, m));
        let w = m * (a + b) / (1.0 - rate * m * b);
        // Who comes waits for the end of a step: half of one that so many share as there are in the mean.
        let half = (a + b * rate * w) / 2.0;
        let (mean, sigma) = {
            let mut observed = Observed::default();
            seen.0.iter().for_each(|ended| observed.add((ended.end - ended.arrival) as f64 / S));
            observed.mean()
        };
        // Lengths are rounded to whole tokens, at least 1, which makes the mean longer by less than a thousandth.
        assert!((mean - w - half).abs() < 4.0 * sigma + 0.001 * w, "rate {rate}: {mean} for {w} + {half}, sigma {sigma}");
        assert!(sigma < 0.03 * w, "{sigma}");
    }
}

#[test]
fn beyond_its_capacity_a_server_answers_no_more_and_every_request_waits_longer_than_the_one_before() {
    // 16 at a time, in steps of 10 ms and 0.2 ms for each that decodes, with 50 tokens each, of which prefill makes the first.
    const TOKENS: f64 = 50.0;
    let capacity = 16.0 / (TOKENS * (0.010 + 0.000_2 * 16.0 * (TOKENS - 1.0) / TOKENS));
    let run = |share: f64| {
        let one = Replicas::of(1, replica(10, 200, 16), Rule::LeastBusy);
        let change = |scenario: &mut Scenario| {
            replicas(one, TOKENS)(scenario);
            Arc::make_mut(scenario.workload.as_mut().expect("a workload")).classes[0].output = Some(Law::constant(TOKENS));
        };
        let arrivals = format!("poisson: {{ rate: {} }}", capacity * share);
        let (report, seen) = play(&exponential(1_000), &arrivals, 3_000, change);
        let first = |ended: &Ended| (ended.first_token.expect("a token") - ended.arrival) as f64 / S;
        let ttft: Vec<f64> = seen.0.iter().map(first).collect();
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        (3_000.0 / (report.virtual_ns as f64 / S) / capacity, mean(&ttft[1_000..1_500]), mean(&ttft[2_500..]))
    };
    for (share, most) in [(0.3, 0.025), (0.6, 0.05), (0.8, 0.2)] {
        let (answered, early, late) = run(share);
        assert!((answered / share - 1.0).abs() < 0.06 && early < most && late < most, "{share}: {answered}, {early} s, {late} s");
    }
    let (answered, early, late) = run(1.5);
    assert!((0.99..1.0).contains(&answered), "{answered}");
    // The queue grows by a half of what is answered: 1,500 requests later one waits for 500 more.
    let grown = 500.0 / capacity;
    assert!(((late - early) / grown - 1.0).abs() < 0.15, "from {early} s to {late} s");
}

#[test]
fn four_servers_behind_a_balancer_keep_as_long_as_theory_says() {
    // Each serves one at a time, for an exponential number of steps of a millisecond with the mean 1,000. What the two rules that look at
    // the queues come to is told where balancers are tested alone; one queue for all gives 1.745541.
    for (rule, exact) in
        [(Rule::Random, 5.0), (Rule::RoundRobin, 3.267_384), (Rule::TwoChoices, 2.330_158), (Rule::LeastBusy, 1.953_134)]
    {
        let four = Replicas::of(4, replica(1, 0, 1), rule);
        let (_, seen) = play(&exponential(1_000), "poisson: { rate: 3.2 }", visitors(25_000), replicas(four, 1_000.0));
        seen.stays(&format!("{rule:?}"), exact);
    }
    let one_queue = pool(pool::Settings::of(4));
    let (_, seen) = play(&exponential(1_000), "poisson: { rate: 3.2 }", visitors(25_000), one_queue);
    seen.stays("one queue", 1.745_541);
}
