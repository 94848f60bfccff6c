//! What queueing theory says exactly of a batching server, and the laws that every run obeys.

use super::*;
use crate::random::{Key, Stream};

/// A step takes `BASE` and `EACH` for every sequence in it, whether its token is its first or not.
const BASE_S: f64 = 0.010;
const EACH_S: f64 = 0.000_2;
const TOKENS: f64 = 200.0;

/// The mean time in the system when jobs come as a Poisson process of `rate`, each needs a geometric number of steps with mean
/// [`TOKENS`], and all steps are synchronised.
///
/// At the boundaries the number `N` in the batch is a branching process with immigration: each stays with probability `1 - q`, and
/// Poisson(λ(a + bN)) have come meanwhile, so its first two moments follow from `N' = αN + β` and the variance of a step. Time averages
/// weigh each boundary with its step's length; who comes during a step waits for its end. Idle times are left out: they have probability
/// `(1 - λb/q)^(a/b + 1)`, which is 10^-9 at 8 a second. Little's law gives the time from the mean number.
fn time_in_synchronised_batch(rate: f64) -> f64 {
    let (a, b, q) = (BASE_S, EACH_S, 1.0 / TOKENS);
    let (alpha, beta) = (1.0 - q + rate * b, rate * a);
    let first = beta / (1.0 - alpha);
    let noise = first * (q * (1.0 - q) + rate * b) + rate * a;
    let second = (noise + 2.0 * alpha * beta * first + beta * beta) / (1.0 - alpha * alpha);
    let step = a + b * first;
    let step_squared = a * a + 2.0 * a * b * first + b * b * second;
    let number = (a * first + b * second + rate * step_squared / 2.0) / step;
    number / rate
}

/// The same in continuous time: tokens leave at any moment, `a + bn` apart. It holds for every distribution of the tokens.
fn time_in_continuous_batch(rate: f64) -> f64 {
    TOKENS * (BASE_S + EACH_S) / (1.0 - rate * TOKENS * EACH_S)
}

fn exponential(stream: &mut Stream, mean: f64) -> f64 {
    -libm::log(1.0 - stream.unit()) * mean
}

fn geometric(stream: &mut Stream, mean: f64) -> u32 {
    (libm::log(1.0 - stream.unit()) / libm::log(1.0 - 1.0 / mean)) as u32 + 1
}

/// Times in the system of `count` jobs, in the order of their arrivals, and what the replica said of itself.
fn times_in_system(rate: f64, count: usize, seed: u64) -> (Vec<f64>, Load, f64) {
    let step = StepTime {
        base_ps: 10_000_000_000,
        per_prefill_token_ps: 200_000_000,
        per_sequence_ps: 200_000_000,
        ..StepTime::default()
    };
    let wide = u32::MAX / 2;
    let mut replica = Replica::new(Settings {
        step,
        sequences_max: 10_000,
        batch_tokens: 20_000,
        kv_blocks: wide,
        queue_max: wide,
        ..SETTINGS
    });
    let mut stream = Key::of_seed(seed).named("batching").stream();
    let (mut events, mut arrivals, mut leaves) = (Vec::new(), Vec::new(), vec![0; count]);
    let mut now = 0.0;
    for visitor in 0..count as u32 {
        now += exponential(&mut stream, 1e9 / rate);
        replica.enter(now as u64, job(visitor, 1, geometric(&mut stream, TOKENS)));
        arrivals.push(now as u64);
    }
    replica.advance(u64::MAX / 2, &mut events);
    let mut number = 0.0;
    for event in events {
        match event {
            Event::Finished { at, visitor } => leaves[visitor as usize] = at,
            Event::Steps { first_ps, growth_ps: 0, steps, sequences, prefill_tokens, .. } => {
                // One token of prompt is one sequence here.
                number += f64::from(sequences + prefill_tokens) * f64::from(steps) * first_ps as f64 / 1e12;
            }
            _ => {}
        }
    }
    let times = arrivals.iter().zip(&leaves).map(|(came, left)| (left - came) as f64 / 1e9).collect();
    (times, replica.load(), number)
}

/// Mean and its standard error, by the means of 25 batches.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let means: Vec<f64> =
        values.chunks_exact(values.len() / 25).map(|batch| batch.iter().sum::<f64>() / batch.len() as f64).collect();
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let variance = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

#[test]
fn half_a_step_is_what_synchronised_steps_add() {
    for (rate, continuous) in [(4.0, 2.428_571), (8.0, 3.0), (12.0, 3.923_077)] {
        let exact = time_in_continuous_batch(rate);
        assert!((exact - continuous).abs() < 1e-6);
        let step = BASE_S + EACH_S * rate * exact;
        let added = time_in_synchronised_batch(rate) - exact;
        assert!((added / step - 0.5).abs() < 0.005, "{rate}: {added} of {step}");
    }
}

#[test]
fn a_batching_server_takes_as_long_as_theory_says() {
    for rate in [8.0, 12.0] {
        let (times, load, _) = times_in_system(rate, 50_000, 4);
        let exact = time_in_synchronised_batch(rate);
        // The first twentieth finds an emptier server than the others do.
        let (mean, error) = mean_and_error(&times[2_500..]);
        assert!(error < 0.01 * exact, "{rate}: {error}");
        assert!((mean - exact).abs() < 4.0 * error, "{rate}: {mean} instead of {exact}, error {error}");
        assert_eq!((load.finished, load.running, load.waiting, load.kv_used), (50_000, 0, 0, 0));
    }
}

#[test]
fn no_job_takes_less_than_its_own_steps() {
    let (times, _, in_steps) = times_in_system(8.0, 5_000, 5);
    let mut stream = Key::of_seed(5).named("batching").stream();
    for time in &times {
        exponential(&mut stream, 1.0);
        let tokens = f64::from(geometric(&mut stream, TOKENS));
        assert!(*time >= tokens * (BASE_S + EACH_S) - 1e-9, "{time} for {tokens}");
    }
    // What sequences and the batch count is the same but for the wait for the first step: less than the longest step each.
    let in_system: f64 = times.iter().sum();
    assert!(in_system > in_steps && in_system - in_steps < 0.030 * 5_000.0, "{in_system} and {in_steps}");
}
