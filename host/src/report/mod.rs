//! Judges a run by its criteria: [`Figures`] are what was measured, [`judge`] compares, a [`Verdict`] says it for people and programs.
//!
//! A criterion about a time or a share of which nothing was measured is broken: a promise that nobody tried is not kept. So a job whose
//! client never ran fails. Quantiles come from histograms of fixed memory and are at most 3.2 % above the truth.
//!
//! [`timeline`] is what happened when, [`picture`] draws it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stats::histogram::Snapshot;
use crate::types::criterion::{Bound, Counted, Criterion, Flow, Metric, Stat, Time};

pub mod picture;
#[cfg(test)]
mod tests;
pub mod timeline;

/// What was measured of a run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// By model entry; what belongs to none has the empty name.
    pub models: BTreeMap<String, ModelFigures>,
    /// How late bytes left, by token.
    pub lateness: Snapshot,
}

/// What was measured of one model entry.
#[derive(Debug, Clone, Default)]
pub struct ModelFigures {
    /// Times to the first token.
    pub first_token: Snapshot,
    /// Times between tokens.
    pub gap: Snapshot,
    /// Times from request to end.
    pub duration: Snapshot,
    /// Counts, by the number of what is counted in [`Counted::ALL`].
    pub counts: [u64; Counted::ALL.len()],
    /// Tokens of replies.
    pub output_tokens: u64,
    /// When the first request arrived and when the last one ended, in nanoseconds of the run; `None` before there was one.
    pub span_ns: Option<(u64, u64)>,
}

impl ModelFigures {
    /// How often `counted` happened.
    pub fn count(&self, counted: Counted) -> u64 {
        self.counts[counted as usize]
    }

    /// Adds what was measured elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.first_token.merge(&other.first_token);
        self.gap.merge(&other.gap);
        self.duration.merge(&other.duration);
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.output_tokens += other.output_tokens;
        self.span_ns = match (self.span_ns, other.span_ns) {
            (Some((from, to)), Some((other_from, other_to))) => Some((from.min(other_from), to.max(other_to))),
            (known, None) | (None, known) => known,
        };
    }

    /// From the first arrival to the last end, in seconds.
    pub fn seconds(&self) -> f64 {
        self.span_ns.map_or(0.0, |(from, to)| to.saturating_sub(from) as f64 * 1e-9)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let counts = Counted::ALL.map(|counted| (counted.word().replace([' ', '-'], "_"), Value::from(self.count(counted))));
        let mut figures: serde_json::Map<String, Value> = counts.into_iter().collect();
        figures.insert("output_tokens".to_owned(), self.output_tokens.into());
        figures.insert("seconds".to_owned(), self.seconds().into());
        for (name, of) in [("ttft", &self.first_token), ("gap", &self.gap), ("duration", &self.duration)] {
            figures.insert(name.to_owned(), times_json(of));
        }
        Value::Object(figures)
    }
}

/// Times for programs: in seconds; `null` if nothing was counted.
pub fn times_json(times: &Snapshot) -> Value {
    match times.mean() {
        None => Value::Null,
        Some(mean) => json!({
            "count": times.count(), "mean_s": mean * 1e-9, "p50_s": times.quantile(0.5) as f64 * 1e-9,
            "p90_s": times.quantile(0.9) as f64 * 1e-9, "p99_s": times.quantile(0.99) as f64 * 1e-9,
            "max_s": times.max().map(|max| max as f64 * 1e-9),
        }),
    }
}

impl Figures {
    /// What was measured of the entry `model`, or of all.
    pub fn of(&self, model: Option<&str>) -> ModelFigures {
        let mut all = ModelFigures::default();
        self.models.iter().filter(|(name, _)| model.is_none_or(|model| model == *name)).for_each(|(_, one)| all.merge(one));
        all
    }
}

/// What became of each criterion.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// One a criterion, in their order.
    pub judgements: Vec<Judgement>,
    figures: Figures,
}

/// What became of one criterion.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The criterion.
    pub criterion: Criterion,
    /// What was measured, in the unit of the criterion's bound; `None` if there was nothing to measure.
    pub measured: Option<f64>,
    /// Requests that were measured.
    pub requests: u64,
    /// Is it kept?
    pub kept: bool,
}

/// Judges `figures` by `criteria`.
pub fn judge(criteria: &[Criterion], figures: Figures) -> Verdict {
    let judgements = criteria.iter().map(|criterion| {
        let of = figures.of(criterion.model.as_deref());
        let measured = measure(criterion, &of, &figures.lateness);
        let bound = match criterion.bound {
            Bound::Ns(bound) | Bound::Share(bound) | Bound::Count(bound) | Bound::PerSecond(bound) => bound,
        };
        let kept = measured.is_some_and(|measured| criterion.operator.holds(measured, bound));
        Judgement { criterion: criterion.clone(), measured, requests: of.count(Counted::Requests), kept }
    });
    Verdict { judgements: judgements.collect(), figures }
}

fn measure(criterion: &Criterion, of: &ModelFigures, lateness: &Snapshot) -> Option<f64> {
    let requests = of.count(Counted::Requests);
    match criterion.metric {
        Metric::Time(stat, time) => {
            let times = match time {
                Time::FirstToken => &of.first_token,
                Time::Gap => &of.gap,
                Time::Duration => &of.duration,
                Time::Lateness => lateness,
            };
            match stat {
                Stat::Quantile(share) => (times.count() > 0).then(|| times.quantile(share) as f64),
                Stat::Mean => times.mean(),
                Stat::Max => times.max().map(|ns| ns as f64),
                Stat::Min => times.min().map(|ns| ns as f64),
            }
        }
        Metric::Count(counted) => match criterion.bound {
            Bound::Share(_) => (requests > 0).then(|| of.count(counted) as f64 / requests as f64),
            _ => Some(of.count(counted) as f64),
        },
        Metric::Flow(flow) => {
            let seconds = of.seconds();
            let amount = match flow {
                Flow::Requests => requests,
                Flow::Tokens => of.output_tokens,
            };
            (seconds > 0.0).then(|| amount as f64 / seconds)
        }
    }
}

impl Verdict {
    /// Are all criteria kept?
    pub fn is_kept(&self) -> bool {
        self.judgements.iter().all(|judgement| judgement.kept)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let judgement = |judgement: &Judgement| {
            let unit = match judgement.criterion.bound {
                Bound::Ns(_) => "ns",
                Bound::Share(_) => "share",
                Bound::Count(_) => "count",
                Bound::PerSecond(_) => "per-second",
            };
            json!({
                "criterion": judgement.criterion.text, "kept": judgement.kept, "measured": judgement.measured, "unit": unit,
                "requests": judgement.requests,
            })
        };
        json!({
            "kept": self.is_kept(),
            "criteria": self.judgements.iter().map(judgement).collect::<Vec<_>>(),
            "total": self.figures.of(None).json(),
            "models": self.figures.models.iter().map(|(name, one)| (name.clone(), one.json())).collect::<serde_json::Map<_, _>>(),
        })
    }

    /// For people: a line a criterion, then the sum of them.
    pub fn text(&self) -> String {
        let width = self.judgements.iter().map(|judgement| judgement.criterion.text.chars().count()).max().unwrap_or(0);
        let mut lines: Vec<String> = self.judgements.iter().map(|judgement| judgement.line(width)).collect();
        let broken = self.judgements.iter().filter(|judgement| !judgement.kept).count();
        let count = self.judgements.len();
        lines.push(match (broken, count) {
            (0, 0) => "no criteria".to_owned(),
            (0, 1) => "the criterion is kept".to_owned(),
            (0, _) => format!("all {count} criteria are kept"),
            _ => format!("{broken} of {count} criteria broken"),
        });
        lines.join("\n")
    }
}

impl Judgement {
    fn line(&self, width: usize) -> String {
        let word = if self.kept { "kept" } else { "broken" };
        let text = &self.criterion.text;
        let measured = match (self.measured, self.criterion.bound) {
            (None, _) => "nothing was measured".to_owned(),
            (Some(ns), Bound::Ns(_)) => time(ns),
            (Some(share), Bound::Share(_)) => {
                let count = (share * self.requests as f64).round();
                format!("{:.3}%, {count} of {}", share * 100.0, self.requests)
            }
            (Some(count), Bound::Count(_)) => format!("{count}"),
            (Some(flow), Bound::PerSecond(_)) => format!("{flow:.1}/s"),
        };
        format!("{word:<7} {text:<width$}  {measured}")
    }
}

/// A time in nanoseconds for people: three digits and a unit.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.2}s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.1}ms", ns / 1e6),
        ns => format!("{:.0}us", ns / 1e3),
    }
}
