//! What holds of any workload and any answers.

use std::sync::Arc;

use proptest::prelude::*;

use crate::clock::Nanos;
use crate::random::Key;
use crate::stats::law::Law;
use crate::stats::zipf::Zipf;
use crate::workload::bursty::{Bursty, State};
use crate::workload::client::Client;
use crate::workload::gaps::Gaps;
use crate::workload::profile::Profile;
use crate::workload::{Answer, Arrivals, Ask, Class, Next, Prefix, Prompt, Repeats, Sharing, Source, Traffic, Workload};

const S: Nanos = 1_000_000_000;

fn arrivals() -> impl Strategy<Value = Arrivals> {
    let rated = (proptest::collection::vec((0.1_f64..5.0, 0.0_f64..40.0), 1..6), any::<bool>(), 0.0_f64..5.0);
    let rated = rated.prop_filter_map("nobody comes", |(steps, repeats, cv)| {
        let mut at = 0.0;
        let points: Vec<_> = steps
            .into_iter()
            .map(|(after, rate)| {
                at += after;
                (at, rate)
            })
            .collect();
        let profile = Arc::new(Profile::through(&points, repeats)?);
        Some(Arrivals::Rate { profile, gaps: Gaps::of_cv(cv) })
    });
    let state = || (0.1_f64..30.0, 0.1_f64..10.0).prop_map(|(rate, mean_s)| State { rate, mean_s });
    let bursty = (state(), state()).prop_map(|(calm, burst)| Arrivals::Bursty(Bursty { calm, burst }));
    let closed = (1_u32..20, prop_oneof![Just(Law::constant(0.0)), Just(Law::exponential(1e9))]);
    prop_oneof![rated, bursty, closed.prop_map(|(users, think)| Arrivals::Closed { users, think })]
}

fn class(index: usize, weight: f64, share: f64) -> Class {
    Class {
        name: format!("class-{index}"),
        model: "m".to_owned(),
        weight,
        prompt: Prompt::Length(Law::log_normal(500.0, 5_000.0)),
        output: index.is_multiple_of(2).then(|| Law::exponential(100.0)),
        tenants: vec![(0, 1.0), (1, 2.0)],
        sharing: Some(Sharing { share, groups: 3, tokens: Law::uniform(1.0, 900.0) }),
        repeats: (index == 1).then(|| Repeats { share, popularity: Zipf::of(50, 0.8) }),
        stream: true,
    }
}

fn workload() -> impl Strategy<Value = Workload> {
    let classes = proptest::collection::vec((0.1_f64..9.0, 0.0_f64..1.0), 1..4);
    let bounds = (proptest::option::of(1_u64..400), proptest::option::of(0_u64..60), 0_u32..4);
    (classes, proptest::collection::vec(arrivals(), 1..4), bounds).prop_map(|(classes, arrivals, (requests, until, retries))| {
        let classes: Vec<Class> =
            classes.into_iter().enumerate().map(|(index, (weight, share))| class(index, weight, share)).collect();
        let all: Vec<u32> = (0..classes.len() as u32).collect();
        let source = |(index, arrivals)| Source { name: format!("source-{index}"), arrivals, classes: all.clone() };
        let sources = arrivals.into_iter().enumerate().map(source).collect();
        let tenants = vec!["a".to_owned(), "b".to_owned()];
        let client = Client { retries, ..Client::default() };
        Workload { classes, sources, tenants, client, requests, until: until.map(|s| s * S) }
    })
}

/// Plays up to 600 requests and retries, each of which takes up to a second and ends in some way, and judges each step.
fn play(spec: &Workload, seed: u64) -> Vec<Ask> {
    let mut traffic = Traffic::begin(spec, seed).expect("a whole workload");
    let mut running: std::collections::BTreeMap<(Nanos, usize), Ask> = Default::default();
    let (mut asks, mut now, mut numbers): (Vec<Ask>, Nanos, u64) = (Vec::new(), 0, 0);
    while asks.len() < 600 {
        let ends = running.keys().next().map(|(at, _)| *at);
        let Some(next) = [ends, traffic.next_at()].into_iter().flatten().min() else { break };
        assert!(next >= now, "time went backwards");
        now = next;
        if ends == Some(now) {
            let (_, ask) = running.pop_first().expect("one that ends");
            let draw = Key::of_seed(seed).with(ask.number).with(ask.attempt.into()).unit();
            let answer = match draw {
                ..0.6 => Answer::Whole,
                ..0.8 => Answer::Refused { status: 429, retry_after_ns: S },
                ..0.9 => Answer::Refused { status: 400, retry_after_ns: 0 },
                _ => Answer::Broken,
            };
            match traffic.ended(now, &ask, answer, || draw < 0.95) {
                Next::Retry { at } => assert!(at > now && ask.attempt < spec.client.retries && answer != Answer::Whole),
                Next::Done => assert_eq!(answer, Answer::Whole),
                Next::GivenUp => assert_ne!(answer, Answer::Whole),
            }
            continue;
        }
        let ask = traffic.next(now).expect("what is due");
        assert_eq!(ask.at, now);
        assert!(ask.input_tokens >= 1 && ask.output_tokens != Some(0));
        assert!(!matches!(ask.prefix, Prefix::Group { tokens, .. } if tokens > ask.input_tokens));
        if ask.attempt == 0 {
            assert_eq!(ask.number, numbers, "a number is missing");
            assert!(spec.until.is_none_or(|until| now < until));
            numbers += 1;
            assert!(spec.requests.is_none_or(|most| numbers <= most));
        }
        let takes = Key::of_seed(seed).named("takes").with(ask.number).bits() % S + 1;
        running.insert((now + takes, asks.len()), ask.clone());
        asks.push(ask);
    }
    assert_eq!(traffic.begun(), numbers);
    asks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn time_never_goes_backwards_numbers_have_no_gaps_and_a_seed_is_a_run(spec in workload(), seed in any::<u64>()) {
        prop_assert_eq!(play(&spec, seed), play(&spec, seed));
    }
}
