//! A figure, its budget, and whether the run may be believed.
//!
//! Three outcomes are kept apart: a budget is met, a budget is missed, or the run says nothing because the load generator, and
//! not the server, was what limited it. A figure without a budget is only shown.

use serde::Serialize;

use crate::figures::rounds::{Better, median, worst};

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// The limit, in the figure's unit.
    pub limit: f64,
}

/// What a figure says about its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No budget, or a smoke run: nothing is judged.
    Shown,
    /// The median keeps the budget.
    Met,
    /// The median does not keep the budget.
    Missed,
    /// The run cannot be believed; its notes say why.
    Invalid,
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Which measurement it belongs to, such as `http`.
    pub bench: &'static str,
    /// What it says.
    pub name: String,
    /// Its unit, such as `req/s`, `ratio` or `ms`.
    pub unit: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// One value a round, in order.
    pub rounds: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The worst of them.
    pub worst: f64,
    /// What it is held against.
    pub budget: Option<Budget>,
    /// Whether it keeps it.
    pub verdict: Verdict,
    /// What a reader must know to believe it.
    pub notes: Vec<String>,
}

impl Figure {
    /// A figure without a budget.
    pub fn new(bench: &'static str, name: impl Into<String>, unit: &'static str, better: Better, rounds: Vec<f64>) -> Self {
        let (median, worst) = (median(&rounds), worst(&rounds, better));
        let name = name.into();
        Self { bench, name, unit, better, rounds, median, worst, budget: None, verdict: Verdict::Shown, notes: Vec::new() }
    }

    /// Holds it against `limit`; a median that is not a number is invalid.
    pub fn budget(mut self, limit: f64) -> Self {
        let met = match self.better {
            Better::Lower => self.median <= limit,
            Better::Higher => self.median >= limit,
        };
        self.budget = Some(Budget { limit });
        self.verdict = match (self.median.is_nan(), met) {
            (true, _) => Verdict::Invalid,
            (false, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
        };
        self
    }

    /// Adds a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Marks it as not to be believed, for each of the reasons; without a reason it stays as it is.
    pub fn doubted(mut self, reasons: &[String]) -> Self {
        if !reasons.is_empty() {
            self.verdict = Verdict::Invalid;
            self.notes.extend_from_slice(reasons);
        }
        self
    }

    /// Takes the judgement back: a smoke run is too short to judge anything.
    pub fn unjudged(mut self) -> Self {
        self.verdict = Verdict::Shown;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(rounds: &[f64]) -> Figure {
        Figure::new("http", "ratio", "ratio", Better::Higher, rounds.to_vec())
    }

    #[test]
    fn the_median_is_judged_and_the_worst_is_shown() {
        let figure = ratio(&[0.9, 0.8, 0.95]).budget(0.85);
        assert_eq!((figure.verdict, figure.worst), (Verdict::Met, 0.8));
        assert_eq!(ratio(&[0.8]).budget(0.85).verdict, Verdict::Missed);
    }

    #[test]
    fn a_lower_figure_is_judged_the_other_way() {
        let figure = Figure::new("pacing", "p50", "ms", Better::Lower, vec![0.2]);
        assert_eq!(figure.clone().budget(0.3).verdict, Verdict::Met);
        assert_eq!(figure.budget(0.1).verdict, Verdict::Missed);
    }

    #[test]
    fn a_doubted_figure_is_neither_met_nor_missed() {
        let figure = ratio(&[0.9]).budget(0.85).doubted(&["the generator was busy".to_owned()]);
        assert_eq!(figure.verdict, Verdict::Invalid);
        assert_eq!(ratio(&[0.9]).budget(0.85).doubted(&[]).verdict, Verdict::Met);
    }

    #[test]
    fn a_figure_without_rounds_is_invalid() {
        assert_eq!(ratio(&[]).budget(0.85).verdict, Verdict::Invalid);
    }
}
