//! Deadlines in virtual time: what a schedule says is what leaves, token by token.

use super::*;
use crate::behavior::latency;

fn offsets(schedule: Schedule, count: usize) -> Vec<Nanos> {
    let timing = Timing::of_schedule(schedule, Key::of_seed(1)).unwrap();
    let mut cursor = TimingCursor::default();
    (0..count).map(|_| timing.advance(&mut cursor)).collect()
}

#[test]
fn deadlines_add_up_without_drift() {
    let schedule = Schedule {
        first: Delay::Us(50_000),
        between: Delay::Us(10_000),
        pauses: vec![Pause { after_token: 2, us: 5_000 }],
        rules: None,
    };
    assert_eq!(offsets(schedule, 4), [50_000_000, 60_000_000, 75_000_000, 85_000_000]);
}

#[test]
fn an_explicit_list_repeats_its_last_gap() {
    let schedule = Schedule { first: Delay::Us(1), between: Delay::Each([10, 20].into()), pauses: vec![], rules: None };
    assert_eq!(offsets(schedule, 5), [1_000, 11_000, 31_000, 51_000, 71_000]);
}

#[test]
fn gaps_are_drawn_by_token_and_repeat_for_the_same_key() {
    let law = latency::LogNormal { p50_us: 10_000, p99_us: 40_000, cap_us: 0 };
    let schedule = || Schedule { first: Delay::Us(0), between: Delay::LogNormal(law), pauses: vec![], rules: None };
    let offsets_a = offsets(schedule(), 1_001);
    assert_eq!(offsets_a, offsets(schedule(), 1_001));
    let mut gaps: Vec<_> = offsets_a.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let median_ms = gaps[500] as f64 / 1e6;
    assert!((8.5..11.5).contains(&median_ms), "median {median_ms}");
}

/// The gaps that follow the first token.
fn gaps(drawn: Drawn, seed: u64, count: usize) -> Vec<f64> {
    let schedule = Schedule { first: Delay::Us(0), between: Delay::Law(drawn), pauses: vec![], rules: None };
    let timing = Timing::of_schedule(schedule, Key::of_seed(seed)).unwrap();
    let mut cursor = TimingCursor::default();
    let mut at = || timing.advance(&mut cursor);
    let mut before = at();
    let mut gap = || {
        let now = at();
        (now - std::mem::replace(&mut before, now)) as f64
    };
    (0..count).map(|_| gap()).collect()
}

/// The largest distance of the draws' distribution from the one of `law`.
fn distance(mut draws: Vec<f64>, law: &Law) -> f64 {
    draws.sort_unstable_by(f64::total_cmp);
    let count = draws.len() as f64;
    let off = |(index, x): (usize, &f64)| {
        let p = law.cdf(*x);
        (p - index as f64 / count).abs().max(((index + 1) as f64 / count - p).abs())
    };
    draws.iter().enumerate().map(off).fold(0.0, f64::max)
}

/// How much each of `draws` resembles the next one, as the correlation of their ranks.
fn rank_correlation(draws: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..draws.len()).collect();
    order.sort_by(|a, b| draws[*a].total_cmp(&draws[*b]));
    let mut ranks = vec![0.0; draws.len()];
    order.into_iter().enumerate().for_each(|(rank, index)| ranks[index] = rank as f64 / draws.len() as f64 - 0.5);
    let product: f64 = ranks.windows(2).map(|pair| pair[0] * pair[1]).sum();
    12.0 * product / draws.len() as f64
}

fn laws() -> [(&'static str, Law); 8] {
    let mixture = Law::mixture(vec![(0.9, Law::exponential(20e6)), (0.1, Law::uniform(100e6, 300e6))]).unwrap();
    [
        ("uniform", Law::uniform(5e6, 50e6)),
        ("exponential", Law::exponential(20e6)),
        ("log-normal", Law::log_normal(20e6, 90e6)),
        ("gamma", Law::gamma(20e6, 2.5)),
        ("weibull", Law::weibull(20e6, 0.7)),
        ("pareto", Law::pareto(5e6, 1.8)),
        ("mixture", mixture),
        ("quantiles", Law::of_quantiles(&[(0.5, 20e6), (0.9, 30e6), (0.99, 90e6)]).unwrap()),
    ]
}

#[test]
fn gaps_of_every_law_follow_it_in_virtual_time_truncated_or_not() {
    for (name, law) in laws() {
        let truncated = law.clone().within(10e6, 60e6).unwrap();
        for law in [law, truncated] {
            let off = distance(gaps(Arc::new(law.clone()).into(), 5, 100_000), &law);
            assert!(off < 1.63 / 100_000_f64.sqrt(), "{name}: D = {off} from {law:?}");
        }
    }
}

#[test]
fn first_delays_of_many_requests_follow_their_law() {
    let law = Arc::new(Law::gamma(400e6, 3.0));
    let first = |seed: u64| {
        let schedule =
            Schedule { first: Delay::Law(Arc::clone(&law).into()), between: Delay::Us(0), pauses: vec![], rules: None };
        Timing::of_schedule(schedule, Key::of_seed(seed)).unwrap().advance(&mut TimingCursor::default()) as f64
    };
    let off = distance((0..100_000).map(first).collect(), &law);
    assert!(off < 1.63 / 100_000_f64.sqrt(), "D = {off}");
}

#[test]
fn correlated_gaps_resemble_each_other_and_still_follow_their_law() {
    for (correlation, resemblance) in [(0.8, 0.786), (-0.5, -0.483), (0.0, 0.0)] {
        // By Pearson (1907), the ranks of normal scores correlate by 6/π asin(ρ/2).
        let expected: f64 = 6.0 / std::f64::consts::PI * (correlation / 2.0_f64).asin();
        assert!((expected - resemblance).abs() < 1e-3);
        let drawn = |law: &Law| Drawn { correlation, ..Arc::new(law.clone()).into() };
        for (name, law) in laws().into_iter().filter(|(name, _)| *name != "mixture") {
            let found = rank_correlation(&gaps(drawn(&law), 5, 100_000));
            assert!((found - expected).abs() < 0.015, "{name}: {found}, not {expected}");
        }
        // Gaps of one stream are not independent, as the test of Kolmogorov and Smirnov wants them: one gap a stream is. The
        // fifth has been through the series four times.
        for (name, law) in laws().into_iter().filter(|(name, _)| ["gamma", "mixture", "quantiles"].contains(name)) {
            let fifth = |seed| gaps(drawn(&law), seed, 5)[4];
            let off = distance((0..100_000).map(fifth).collect(), &law);
            assert!(off < 1.63 / 100_000_f64.sqrt(), "{name} at {correlation}: D = {off}");
        }
    }
}

#[test]
fn load_and_prefill_stretch_and_shift_a_law() {
    let law = Arc::new(Law::uniform(10e6, 20e6));
    let plain = gaps(Arc::clone(&law).into(), 1, 100);
    let changed = gaps(Drawn { factor: 2.0, extra_us: 1_000, ..law.into() }, 1, 100);
    assert!(plain.iter().zip(changed).all(|(plain, changed)| (plain * 2.0 + 1e6 - changed).abs() <= 2.0));
}

#[test]
fn rules_pause_after_a_token_after_every_so_many_and_by_lot() {
    let rule = |when, ms: f64| PauseRule { when, law: Arc::new(Law::constant(ms * 1e6)) };
    let with = |rules: Vec<PauseRule>, count| {
        let schedule = Schedule { first: Delay::Us(5_000), between: Delay::Us(0), pauses: vec![], rules: Some(rules.into()) };
        let ms = offsets(schedule, count).into_iter().map(|ns| ns / 1_000_000);
        ms.collect::<Vec<_>>()
    };
    let both = with(vec![rule(PauseWhen::After(3), 100.0), rule(PauseWhen::Every(2), 10.0)], 6);
    assert_eq!(both, [5, 5, 15, 115, 125, 125]);
    let by_lot = with(vec![rule(PauseWhen::Rate(0.05), 1.0)], 100_001);
    let paused = (by_lot[100_000] - 5) as f64;
    assert!((paused - 5_000.0).abs() < 3.0 * (100_000.0_f64 * 0.05 * 0.95).sqrt(), "{paused}");
}

fn named(kind: &str, json: &str) -> Result<Timing, BadDelay> {
    let named = Named { kind: kind.into(), json: json.into() };
    let schedule = Schedule { first: Delay::Other(named), between: Delay::Us(0), pauses: vec![], rules: None };
    Timing::of_schedule(schedule, Key::of_seed(0))
}

#[test]
fn a_plugin_names_the_laws_of_a_scenario() {
    let timing = named("uniform", r#"{"min":"10ms","max":"10ms"}"#).expect("a law");
    assert_eq!(timing.advance(&mut TimingCursor::default()), 10_000_000);
    assert!(named("gamma", r#"{"mean":"20ms","shape":2}"#).is_ok());
}

#[test]
fn a_bad_law_of_a_plugin_is_named() {
    let said = |kind, json| named(kind, json).expect_err("a bad law").to_string();
    assert!(said("zipf", "{}").starts_with("delay of kind `zipf`: unknown; this version knows constant, uniform, "));
    assert_eq!(
        said("exponential", r#"{"mean":5}"#),
        "delay of kind `exponential`: /mean: `5` has no unit; write for example `5ms`"
    );
    assert!(said("gamma", "{").contains("no JSON"));
    assert!(said("empirical", r#"{"file":"/etc/passwd"}"#).contains("cannot read files"));
}
