//! Simwright against a baseline under the same requests, in turn: A B A B …
//!
//! Three questions. How many requests a second, as a ratio in each round. How much CPU time each one costs. And how much latency
//! Simwright adds at half of its own capacity, against the baseline at the same rate.

use anyhow::{Result, ensure};

use crate::baseline::Runtime;
use crate::child::Server;
use crate::figures::rounds::{Better, median, ratios};
use crate::figures::verdict::Figure;
use crate::load::request::Chat;
use crate::load::requests::{self, Drive, Outcome, Pace};
use crate::measure::{Asked, Lab, join_doubts};
use crate::report::say;

/// Different bodies that are sent in turn.
const BODIES: usize = 64;
/// Above this, a run at a fixed rate was not asked at the planned moments (milliseconds).
const SEND_LAG_P99_MS_MAX: f64 = 1.0;

/// One comparison.
pub struct Duel<'a> {
    /// Which measurement it belongs to.
    pub bench: &'static str,
    /// What is counted: `req/s` or `events/s`.
    pub unit: &'static str,
    /// How many of them one answer holds.
    pub units_per_answer: f64,
    /// The least that `A / B` may be.
    pub ratio_min: f64,
    /// What both are asked.
    pub chat: Chat,
    /// Starts Simwright.
    pub simwright: &'a dyn Fn() -> Result<Server>,
    /// Starts the baseline.
    pub baseline: &'a dyn Fn(Runtime) -> Result<Server>,
}

/// What the rounds of one side gave.
#[derive(Debug, Default)]
struct Side {
    answers_per_second: Vec<f64>,
    server_us: Vec<f64>,
    load_us: Vec<f64>,
    doubts: Vec<String>,
}

impl Side {
    fn add(&mut self, lab: &Lab, outcome: &Outcome) -> Result<()> {
        let answers = outcome.completed;
        ensure!(answers > 0, "the server answered nothing ({} refused, {} connections lost)", outcome.refused, outcome.lost);
        let mut doubts = lab.doubts(&outcome.used, Asked::Busy);
        if outcome.refused + outcome.lost > 0 {
            let bad = outcome.refused + outcome.lost;
            ensure!(!lab.smoke, "{bad} of {} answers were bad", answers + bad);
            doubts.push(format!("bad answers: {} refused, {} connections lost", outcome.refused, outcome.lost));
        }
        self.answers_per_second.push(outcome.per_second());
        self.server_us.push(outcome.used.server_ns as f64 / answers as f64 / 1e3);
        self.load_us.push(outcome.used.load_ns as f64 / answers as f64 / 1e3);
        join_doubts(&mut self.doubts, doubts);
        Ok(())
    }
}

impl Duel<'_> {
    /// Plays all rounds.
    pub fn fight(&self, lab: &Lab) -> Result<Vec<Figure>> {
        let runtime = self.faster_runtime(lab)?;
        let (mut ours, mut bare) = (Side::default(), Side::default());
        for round in 0..lab.rounds {
            say(&format!("{}: round {} of {}", self.bench, round + 1, lab.rounds));
            ours.add(lab, &self.play(lab, &(self.simwright)()?, Pace::Busy)?)?;
            bare.add(lab, &self.play(lab, &(self.baseline)(runtime)?, Pace::Busy)?)?;
        }
        let mut figures = self.figures(&ours, &bare, runtime);
        figures.extend(self.latency(lab, median(&ours.answers_per_second) / 2.0, runtime)?);
        Ok(figures)
    }

    /// tokio's runtime on which the baseline is quicker: the comparison is with the better one.
    fn faster_runtime(&self, lab: &Lab) -> Result<Runtime> {
        let mut best = (Runtime::Current, 0.0);
        for runtime in Runtime::ALL {
            let tried = self.play(lab, &(self.baseline)(runtime)?, Pace::Busy)?.per_second();
            say(&format!("{}: baseline on the `{}` runtime: {tried:.0} answers/s", self.bench, runtime.name()));
            if tried > best.1 {
                best = (runtime, tried);
            }
        }
        Ok(best.0)
    }

    fn play(&self, lab: &Lab, server: &Server, pace: Pace) -> Result<Outcome> {
        let set = self.chat.http1_set(server.api, BODIES);
        requests::run(Drive {
            to: server.api,
            pid: server.pid(),
            requests: &set,
            connections: lab.connections,
            pace,
            warm_up: lab.warm_up(),
            measure: lab.measured(),
        })
    }

    fn figures(&self, ours: &Side, bare: &Side, runtime: Runtime) -> Vec<Figure> {
        let units = |side: &Side| side.answers_per_second.iter().map(|rate| rate * self.units_per_answer).collect();
        let mut doubts = ours.doubts.clone();
        join_doubts(&mut doubts, bare.doubts.clone());
        let figure = |name, unit, better, rounds| Figure::new(self.bench, name, unit, better, rounds);
        vec![
            figure("simwright", self.unit, Better::Higher, units(ours)).doubted(&ours.doubts),
            figure("axum", self.unit, Better::Higher, units(bare))
                .note(format!("on tokio's `{}` runtime, the faster of two", runtime.name()))
                .doubted(&bare.doubts),
            figure("simwright / axum", "ratio", Better::Higher, ratios(&ours.answers_per_second, &bare.answers_per_second))
                .budget(self.ratio_min)
                .doubted(&doubts),
            figure("CPU of axum / CPU of simwright", "ratio", Better::Higher, ratios(&bare.server_us, &ours.server_us))
                .note("what the first ratio tends to on a saturated core; hardly disturbed by other programs"),
            figure("CPU of simwright for one answer", "us", Better::Lower, ours.server_us.clone()),
            figure("CPU of axum for one answer", "us", Better::Lower, bare.server_us.clone()),
            figure("CPU of the generator for one answer", "us", Better::Lower, ours.load_us.clone()),
        ]
    }

    /// Latency at `rate` answers a second, and what Simwright adds to the baseline's.
    fn latency(&self, lab: &Lab, rate: f64, runtime: Runtime) -> Result<Vec<Figure>> {
        let (mut ours, mut bare, mut doubts) = ([vec![], vec![]], [vec![], vec![]], Vec::new());
        for round in 0..lab.rounds {
            say(&format!("{}: {rate:.0} answers/s, round {} of {}", self.bench, round + 1, lab.rounds));
            for (rounds, server) in [(&mut ours, (self.simwright)()?), (&mut bare, (self.baseline)(runtime)?)] {
                let outcome = self.play(lab, &server, Pace::Rate(rate))?;
                rounds[0].push(outcome.latency.value_at_quantile(0.5) as f64 / 1e6);
                rounds[1].push(outcome.latency.value_at_quantile(0.99) as f64 / 1e6);
                join_doubts(&mut doubts, lab.doubts(&outcome.used, Asked::Rate));
                let lag_ms = outcome.send_lag.value_at_quantile(0.99) as f64 / 1e6;
                if lag_ms > SEND_LAG_P99_MS_MAX {
                    join_doubts(&mut doubts, vec![format!("1 % of the requests were sent more than {lag_ms:.1} ms late")]);
                }
            }
        }
        let mut figures = Vec::new();
        for (index, (share, budget_ms)) in [("p50", 0.2), ("p99", 2.0)].into_iter().enumerate() {
            let added = ours[index].iter().zip(&bare[index]).map(|(ours, bare)| ours - bare).collect();
            let figure = |name: &str, rounds| {
                Figure::new(self.bench, format!("{share} {name}"), "ms", Better::Lower, rounds).doubted(&doubts)
            };
            figures.push(figure("latency of simwright at half load", ours[index].clone()).note(format!("{rate:.0} answers/s")));
            figures.push(figure("latency of axum at the same rate", bare[index].clone()));
            figures.push(
                Figure::new(self.bench, format!("{share} latency added"), "ms", Better::Lower, added)
                    .budget(budget_ms)
                    .doubted(&doubts),
            );
        }
        Ok(figures)
    }
}
