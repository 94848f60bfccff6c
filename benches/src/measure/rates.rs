//! Do faults strike as often as the scenario says? A million plans for each rate, and as many requests to a server as fit the time.
//!
//! The figure is the distance between the share that was struck and the rate, in standard deviations of the binomial distribution.
//! 99.9 % of fair runs lie within 3.29 of them. The seed is fixed, so a run gives the same figures every time.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use http::HeaderMap;
use simwright::app::workshop::Workshop;
use simwright::clock::real::RealClock;
use simwright::dialect::openai::chat_request;
use simwright::plan::identity::Identity;
use simwright::plan::planner::{Facts, plan};
use simwright::random::Key;
use simwright::scenario::read;

use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::request::Chat;
use crate::load::requests::{self, Drive, Pace};
use crate::measure::Lab;
use crate::report::say;

/// Plans for each rate.
const PLANS: u64 = 1_000_000;
/// Half of the 99.9 % interval, in standard deviations.
const DEVIATIONS_MAX: f64 = 3.29;
/// The run's seed.
const SEED: u64 = 7;

/// What is measured through the planner: a fault with its options, and its rate.
const PLANNED: [(&str, f64); 8] = [
    ("http-error: { status: 500, rate: 0.1% }", 0.001),
    ("http-error: { status: 429, rate: 1% }", 0.01),
    ("http-error: { status: 503, rate: 50% }", 0.5),
    ("hang: { for: 1s, rate: 2% }", 0.02),
    ("stall: { for: 1s, at: 50%, rate: 5% }", 0.05),
    ("cut: { at: 50%, rate: 10% }", 0.1),
    ("error-event: { at: 50%, rate: 20% }", 0.2),
    ("cut: { at: token 2, how: close, rate: 99% }", 0.99),
];

/// What is measured through the server.
const SERVED: [f64; 2] = [0.01, 0.2];

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let mut figures = planned(if lab.smoke { PLANS / 100 } else { PLANS })?;
    for rate in SERVED {
        figures.push(served(lab, rate)?);
    }
    Ok(figures)
}

fn planned(plans: u64) -> Result<Vec<Figure>> {
    let workshop = Workshop::open(RealClock::start(), Some(SEED), 1)?;
    let body = Chat { model: "rates".to_owned(), stream: true, max_tokens: 32, dialect: Dialect::Openai }.body(0);
    let request = chat_request(body.into(), HeaderMap::new()).map_err(|error| anyhow!("{}", error.message))?;
    let request = Arc::new(request);
    let mut figures = Vec::new();
    for (fault, rate) in PLANNED {
        say(&format!("rates: {fault}"));
        let generation = Arc::new(workshop.build(read::parse("rates.yaml", &scenario(&[("rates", fault)]), Path::new(""))?, 1)?);
        let struck = (0..plans).filter(|&number| {
            let identity = Key::of_seed(number).bits();
            let identity = Identity { content: identity, identity, attempt: 0, occurrence: 0 };
            let facts = Facts { now: 1, input_tokens: 10, ..Facts::first(identity) };
            plan(&generation, 0, &request, &facts).struck.is_some()
        });
        figures.push(figure(format!("planned, {fault}"), struck.count() as u64, plans, rate));
    }
    Ok(figures)
}

fn served(lab: &Lab, rate: f64) -> Result<Figure> {
    let file = lab.folder.path().join("rates.yaml");
    std::fs::write(&file, scenario(&[("rates", &format!("http-error: {{ status: 500, rate: {rate} }}"))]))?;
    let server = lab.simwright(&file)?;
    let chat = Chat { model: "rates".to_owned(), stream: false, max_tokens: 32, dialect: Dialect::Openai };
    let outcome = requests::run(Drive {
        to: server.api,
        pid: server.pid(),
        requests: &chat.http1_set(server.api, 64),
        connections: lab.connections,
        pace: Pace::Busy,
        warm_up: lab.warm_up(),
        measure: lab.measured(),
    })?;
    let all = outcome.completed + outcome.refused;
    Ok(figure(format!("served, http-error at {rate}"), outcome.refused, all, rate)
        .note(format!("{} connections were lost", outcome.lost)))
}

fn scenario(models: &[(&str, &str)]) -> String {
    let model = |(name, fault): &(&str, &str)| {
        format!(
            "  - {{ match: {name}, list: [{name}], latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: one two three four }} }}, \
             faults: [{{ {fault} }}] }}\n"
        )
    };
    format!("simwright: 1\nseed: {SEED}\nmodels:\n{}", models.iter().map(model).collect::<String>())
}

fn figure(name: String, struck: u64, all: u64, rate: f64) -> Figure {
    let distance = deviations(struck, all, rate).abs();
    Figure::new("rates", name, "sd", Better::Lower, vec![distance]).budget(DEVIATIONS_MAX).note(format!(
        "{struck} of {all} struck, {:.4} % where {:.4} % was asked for",
        share(struck, all) * 100.0,
        rate * 100.0
    ))
}

fn share(struck: u64, all: u64) -> f64 {
    struck as f64 / all as f64
}

/// How far `struck` of `all` is from `rate`, in standard deviations; not a number if nothing was asked.
fn deviations(struck: u64, all: u64, rate: f64) -> f64 {
    (share(struck, all) - rate) / (rate * (1.0 - rate) / all as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_binomial_distribution() {
        // The standard deviation of 10,000 throws of a coin is 50.
        assert_eq!(deviations(5_100, 10_000, 0.5).round(), 2.0);
        assert_eq!(deviations(4_800, 10_000, 0.5).round(), -4.0);
        assert!(deviations(0, 0, 0.5).is_nan());
    }

    #[test]
    fn ten_thousand_plans_keep_their_rates() {
        for figure in planned(10_000).unwrap() {
            assert!(figure.median <= DEVIATIONS_MAX, "{figure:?}");
        }
    }
}
