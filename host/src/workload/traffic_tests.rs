use super::*;
use crate::stats::law::Law;
use crate::workload::client::Client;
use crate::workload::{Class, Source};

const S: Nanos = 1_000_000_000;

fn class(name: &str, weight: f64) -> Class {
    Class {
        name: name.to_owned(),
        model: "gpt-4o".to_owned(),
        weight,
        prompt: Prompt::Length(Law::log_normal(1000.0, 4000.0)),
        output: Some(Law::log_normal(130.0, 600.0)),
        tenants: vec![(0, 1.0)],
        sharing: None,
        stream: true,
    }
}

fn source(name: &str, arrivals: Arrivals, classes: &[u32]) -> Source {
    Source { name: name.to_owned(), arrivals, classes: classes.to_vec() }
}

fn workload(classes: Vec<Class>, sources: Vec<Source>) -> Workload {
    let tenants = vec!["default".to_owned()];
    Workload { classes, sources, tenants, client: Client::default(), requests: None, until: None }
}

fn poisson(rate: f64) -> Arrivals {
    Arrivals::Rate { profile: Arc::new(Profile::constant(rate)), gaps: Gaps::Exponential }
}

/// All that comes by itself until there is nothing or `most` have come.
fn asks(spec: &Workload, seed: u64, most: usize) -> Vec<Ask> {
    let mut traffic = Traffic::begin(spec, seed).unwrap_or_else(|problems| panic!("{problems:?}"));
    std::iter::from_fn(|| traffic.next_at().and_then(|at| traffic.next(at))).take(most).collect()
}

fn gaps(asks: &[Ask]) -> Vec<f64> {
    asks.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64 / S as f64).collect()
}

fn mean_and_cv(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt() / mean)
}

#[test]
fn poisson_arrivals_have_their_rate_and_exponential_gaps() {
    let asks = asks(&workload(vec![class("a", 1.0)], vec![source("main", poisson(8.0), &[0])]), 1, 50_001);
    let (mean, cv) = mean_and_cv(&gaps(&asks));
    let n = 50_000.0_f64;
    assert!((mean * 8.0 - 1.0).abs() < 4.0 / n.sqrt(), "mean {mean}");
    // The variance of the square of an exponential variable is 8, of the estimated CV about 2 / n.
    assert!((cv - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "cv {cv}");
}

#[test]
fn the_azure_conversation_hour_is_played_as_it_was_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/data/azure_llm_2023_conv.csv");
    let mut file = std::io::BufReader::new(std::fs::File::open(path).expect("the recording"));
    let trace = trace::read("conv.csv", &mut file, None, None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let spec = workload(vec![class("chat", 1.0)], vec![source("azure", Arrivals::Trace(Arc::new(trace)), &[0])]);
    let asks = asks(&spec, 1, usize::MAX);
    assert_eq!(asks.len(), 19_366);
    assert_eq!(asks.iter().map(|ask| u64::from(ask.output_tokens.unwrap_or(0))).sum::<u64>(), 4_088_665);
    let (mean, cv) = mean_and_cv(&gaps(&asks));
    assert!((1.0 / mean - 5.53).abs() < 0.005 && (cv - 1.094).abs() < 0.001, "{mean} {cv}");
    let percentiles = |of: fn(&Ask) -> u32| {
        let mut values: Vec<u32> = asks.iter().map(of).collect();
        values.sort_unstable();
        [50, 90, 99].map(|percent| values[(values.len() - 1) * percent / 100])
    };
    assert_eq!(percentiles(|ask| ask.input_tokens), [1020, 2734, 4142]);
    assert_eq!(percentiles(|ask| ask.output_tokens.unwrap_or(0)), [129, 424, 601]);
    assert_eq!((asks[0].at, asks[1].at), (0, 4_314_579_000));
}

#[test]
fn times_never_go_backwards_and_numbers_have_no_gaps() {
    let closed = Arrivals::Closed { users: 7, think: Law::exponential(2e9) };
    let sources = vec![source("open", poisson(5.0), &[0, 1]), source("users", closed, &[1])];
    let spec = Workload { requests: Some(5_000), ..workload(vec![class("a", 1.0), class("b", 3.0)], sources) };
    let mut traffic = Traffic::begin(&spec, 3).expect("a run");
    let (mut now, mut next_number, mut retried) = (0, 0, 0);
    while let Some(at) = traffic.next_at() {
        assert!(at >= now);
        assert_eq!(traffic.next(at.saturating_sub(1)).filter(|_| at > now), None, "nothing comes before its time");
        let ask = traffic.next(at).expect("what is due");
        assert_eq!(ask.at, at);
        if ask.attempt == 0 {
            assert_eq!(ask.number, next_number);
            next_number += 1;
        } else {
            assert!(ask.number < next_number);
            retried += 1;
        }
        now = at;
        let answer = if ask.key.named("fails").with(ask.attempt.into()).unit() < 0.3 { Answer::Broken } else { Answer::Whole };
        traffic.ended(now, &ask, answer, || true);
    }
    assert_eq!((next_number, traffic.begun()), (5_000, 5_000));
    // Each of 5,000 requests fails once with 0.3 and twice with 0.09.
    assert!((f64::from(retried) - 1_950.0).abs() < 4.0 * (5_000.0_f64 * 0.42).sqrt(), "{retried}");
}
