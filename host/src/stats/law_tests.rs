//! Every law against its distribution function as textbooks write it, by the distance of Kolmogorov and Smirnov.
//!
//! Draws are spread evenly here, so that the distance has to be far smaller than chance would allow: what is left of it is the law's
//! own error. `plan/timing.rs` does the same with keyed draws.

use super::*;

/// Draws a test.
const DRAWS: usize = 100_000;

/// Numbers in [0, 1) that fill it evenly in any order: multiples of the golden ratio (Weyl 1916).
fn evenly() -> impl Iterator<Item = f64> {
    (0..DRAWS).map(|index| (index as f64 * 0.618_033_988_749_894_9).fract())
}

/// The largest distance between `draws` and the distribution function `truth`.
fn distance(mut draws: Vec<f64>, truth: impl Fn(f64) -> f64) -> f64 {
    draws.sort_unstable_by(f64::total_cmp);
    let count = draws.len() as f64;
    let off = |(index, x): (usize, &f64)| {
        let p = truth(*x);
        (p - index as f64 / count).abs().max(((index + 1) as f64 / count - p).abs())
    };
    draws.iter().enumerate().map(off).fold(0.0, f64::max)
}

/// Draws from `law` and holds the draws and its distribution function against `truth`.
#[track_caller]
fn follows(name: &str, law: &Law, truth: impl Fn(f64) -> f64) {
    let off = distance(evenly().map(|u| law.quantile(u)).collect(), &truth);
    assert!(off < 3e-4, "{name}: D = {off}");
    for x in [0.0, 0.1, 7.0, 40.0, 99.0, 350.0, 2_000.0, 1e9] {
        assert!((law.cdf(x) - truth(x)).abs() < 1e-4, "{name}: {} and not {} up to {x}", law.cdf(x), truth(x));
    }
}

/// `truth` given that a value lies within `min` and `max`.
fn truncated(truth: impl Fn(f64) -> f64, min: f64, max: f64) -> impl Fn(f64) -> f64 {
    let (low, high) = (truth(min), truth(max));
    move |x| ((truth(x).clamp(low, high)) - low) / (high - low)
}

fn log_normal(p50: f64, p99: f64) -> impl Fn(f64) -> f64 {
    let sigma = (p99 / p50).ln() / 2.326_347_874_040_841;
    move |x| 0.5 * libm::erfc(-((x / p50).ln() / sigma) / std::f64::consts::SQRT_2)
}

fn erlang2(mean: f64) -> impl Fn(f64) -> f64 {
    move |x| 1.0 - (1.0 + 2.0 * x / mean) * (-2.0 * x / mean).exp()
}

fn gamma_half(mean: f64) -> impl Fn(f64) -> f64 {
    move |x| libm::erf((x / (2.0 * mean)).sqrt())
}

#[test]
fn laws_with_a_closed_form_follow_it() {
    follows("uniform", &Law::uniform(20.0, 60.0), |x| ((x - 20.0) / 40.0).clamp(0.0, 1.0));
    follows("exponential", &Law::exponential(50.0), |x| 1.0 - (-x / 50.0).exp());
    follows("weibull", &Law::weibull(50.0, 0.7), |x| 1.0 - (-(x / 50.0).powf(0.7)).exp());
    follows("weibull hump", &Law::weibull(50.0, 3.0), |x| 1.0 - (-(x / 50.0).powi(3)).exp());
    follows("pareto", &Law::pareto(10.0, 1.5), |x| if x < 10.0 { 0.0 } else { 1.0 - (10.0 / x).powf(1.5) });
    follows("log-normal", &Law::log_normal(50.0, 400.0), log_normal(50.0, 400.0));
    follows("gamma 2", &Law::gamma(50.0, 2.0), erlang2(50.0));
    follows("gamma 1", &Law::gamma(50.0, 1.0), |x| 1.0 - (-x / 50.0).exp());
    follows("gamma 0.5", &Law::gamma(50.0, 0.5), gamma_half(50.0));
    // Shape 3/2: one more step of the recurrence P(a + 1, x) = P(a, x) - x^a e^-x / Γ(a + 1).
    follows("gamma 1.5", &Law::gamma(75.0, 1.5), |x| {
        let y = x / 50.0;
        libm::erf(y.sqrt()) - 2.0 * (y / std::f64::consts::PI).sqrt() * (-y).exp()
    });
}

#[test]
fn truncated_laws_follow_what_is_left_of_them() {
    let within = |law: Law| law.within(20.0, 90.0).expect("enough is left");
    follows("exponential", &within(Law::exponential(50.0)), truncated(|x| 1.0 - (-x / 50.0).exp(), 20.0, 90.0));
    follows("weibull", &within(Law::weibull(50.0, 0.7)), truncated(|x| 1.0 - (-(x / 50.0).powf(0.7)).exp(), 20.0, 90.0));
    let pareto = |x: f64| if x < 10.0 { 0.0 } else { 1.0 - (10.0 / x).powf(1.5) };
    follows("pareto", &within(Law::pareto(10.0, 1.5)), truncated(pareto, 20.0, 90.0));
    follows("log-normal", &within(Law::log_normal(50.0, 400.0)), truncated(log_normal(50.0, 400.0), 20.0, 90.0));
    follows("gamma 2", &within(Law::gamma(50.0, 2.0)), truncated(erlang2(50.0), 20.0, 90.0));
    follows("gamma 0.5", &within(Law::gamma(50.0, 0.5)), truncated(gamma_half(50.0), 20.0, 90.0));
    follows("uniform", &within(Law::uniform(0.0, 100.0)), |x| ((x - 20.0) / 70.0).clamp(0.0, 1.0));
    let twice = Law::exponential(50.0).within(10.0, 200.0).and_then(|law| law.within(20.0, 90.0)).expect("enough is left");
    assert_eq!(twice, within(Law::exponential(50.0)));
}

#[test]
fn a_mixture_follows_its_parts_truncated_or_not() {
    let mixture = || {
        let parts = vec![(9.0, Law::exponential(20.0)), (1.0, Law::uniform(300.0, 500.0))];
        Law::mixture(parts).expect("parts")
    };
    let truth = |x: f64| 0.9 * (1.0 - (-x.max(0.0) / 20.0).exp()) + 0.1 * ((x - 300.0) / 200.0).clamp(0.0, 1.0);
    follows("mixture", &mixture(), truth);
    follows("truncated mixture", &mixture().within(30.0, 400.0).expect("enough is left"), truncated(truth, 30.0, 400.0));
    let with_atom = Law::mixture(vec![(1.0, Law::constant(5.0)), (1.0, Law::constant(50.0))]).expect("parts");
    assert_eq!([0.0, 0.49, 0.51, 0.99].map(|u| with_atom.quantile(u)), [5.0, 5.0, 50.0, 50.0]);
    let upper = with_atom.within(6.0, 60.0).expect("half is left");
    assert_eq!([0.0, 0.99].map(|u| upper.quantile(u)), [50.0, 50.0]);
}

#[test]
fn an_empirical_law_gives_back_what_it_was_made_of() {
    let values: Vec<f64> = (0..500).map(|index| f64::from(index * index % 997)).collect();
    let law = Law::of_values(values.clone()).expect("values");
    let draws: Vec<f64> = evenly().map(|u| law.quantile(u)).collect();
    for x in &values {
        let truth = values.iter().filter(|value| *value <= x).count() as f64 / 500.0;
        let share = draws.iter().filter(|draw| *draw <= x).count() as f64 / DRAWS as f64;
        assert!((share - truth).abs() < 1e-4, "{x}: {share}, not {truth}");
        assert!((law.cdf(*x) - truth).abs() < 1e-12);
    }
    let some = law.within(100.0, 200.0).expect("some are left");
    assert!((0..1_000).all(|index| (100.0..=200.0).contains(&some.quantile(f64::from(index) / 1_000.0))));
}

#[test]
fn a_law_through_quantiles_meets_them_and_two_of_them_are_log_normal() {
    let law = Law::of_quantiles(&[(0.5, 50.0), (0.9, 80.0), (0.99, 400.0), (0.999, 900.0)]).expect("quantiles");
    for (p, x) in [(0.5, 50.0), (0.9, 80.0), (0.99, 400.0), (0.999, 900.0)] {
        assert!((law.quantile(p) / x - 1.0).abs() < 1e-12 && (law.cdf(x) - p).abs() < 1e-12, "{p}");
    }
    let two = Law::of_quantiles(&[(0.5, 50.0), (0.99, 400.0)]).expect("quantiles");
    follows("two quantiles", &two, log_normal(50.0, 400.0));
    follows("two, truncated", &two.within(20.0, 90.0).expect("enough"), truncated(log_normal(50.0, 400.0), 20.0, 90.0));
    assert_eq!(Law::of_quantiles(&[(0.5, 50.0), (0.9, 40.0)]), None);
    assert_eq!(Law::of_quantiles(&[(0.5, 50.0)]), None);
}

#[test]
fn laws_made_of_two_quantiles_have_them() {
    for (name, law) in [
        ("log-normal", Law::log_normal(50.0, 400.0)),
        ("weibull", Law::weibull_of_quantiles(50.0, 400.0)),
        ("pareto", Law::pareto_of_quantiles(50.0, 400.0)),
        ("gamma", Law::gamma_of_quantiles(50.0, 400.0).expect("a gamma")),
    ] {
        // The table of the gamma law has lines between its points; the others are exact.
        let exact_to = if name == "gamma" { 2e-3 } else { 1e-9 };
        assert!((law.quantile(0.5) / 50.0 - 1.0).abs() < exact_to, "{name}: {}", law.quantile(0.5));
        assert!((law.quantile(0.99) / 400.0 - 1.0).abs() < exact_to, "{name}: {}", law.quantile(0.99));
    }
    assert_eq!(Law::gamma_of_quantiles(50.0, 51.0), None);
}

#[test]
fn far_percentiles_of_gamma_are_within_half_a_percent() {
    // Shape 1 is exponential, whose quantiles are -ln(1 - p); chi-square tables give shape 1/2 and 5.
    for (shape, p, x) in [(1.0, 0.999, 6.907_755), (1.0, 0.99999, 11.512_925), (0.5, 0.999, 5.414), (5.0, 0.999, 14.794)] {
        let quantile = Law::gamma(shape, shape).quantile(p);
        assert!((quantile / x - 1.0).abs() < 0.005, "{shape} {p}: {quantile}, not {x}");
    }
}

#[test]
fn every_draw_is_finite_and_within_its_bounds() {
    let laws = [
        Law::constant(5.0),
        Law::uniform(1.0, 9.0),
        Law::exponential(5.0),
        Law::weibull(5.0, 0.3),
        Law::log_normal(5.0, 5.0),
        Law::gamma(5.0, 0.1),
        Law::mixture(vec![(1.0, Law::exponential(4.0)), (1e-9, Law::constant(5.0))]).expect("parts"),
    ];
    for law in laws {
        for u in [0.0, 1e-300, 1e-16, 0.5, BELOW_ONE] {
            let value = law.quantile(u);
            assert!(value.is_finite() && value >= 0.0, "{law:?} at {u}: {value}");
        }
        if let Some(some) = law.clone().within(1.0, 6.0) {
            assert!([0.0, 1e-300, 0.3, BELOW_ONE].iter().all(|u| (1.0..=6.0).contains(&some.quantile(*u))), "{law:?}");
        }
    }
    for (law, min, max) in
        [(Law::exponential(1.0), 100.0, 200.0), (Law::constant(5.0), 6.0, 7.0), (Law::uniform(1.0, 2.0), 1.5, 1.5)]
    {
        assert_eq!(law.clone().within(min, max), None, "{law:?}");
    }
}

#[test]
fn draws_are_the_same_on_every_machine() {
    // Bits, not values: a different libm or a fused multiplication would show here.
    let laws = [
        Law::exponential(50.0),
        Law::weibull(50.0, 0.7),
        Law::pareto(10.0, 1.5),
        Law::log_normal(50.0, 400.0),
        Law::gamma(50.0, 2.5),
    ];
    let bits = laws.map(|law| law.quantile(0.987_654_321).to_bits());
    let expected = [
        4_641_934_813_275_172_012,
        4_645_997_569_279_136_016,
        4_640_790_796_457_191_204,
        4_645_257_979_364_151_800,
        4_639_331_796_651_921_035,
    ];
    assert_eq!(bits, expected);
}
