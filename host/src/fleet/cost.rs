//! What a run costs, in the currency that the scenario has in mind: servers by the hour, tokens by the million.

use serde_json::{Value, json};

use crate::clock::Nanos;
use crate::fleet::groups;
use crate::fleet::measure::Measure;
use crate::fleet::report::Station;
use crate::scenario::Scenario;
use crate::station::pipeline::Settings;

/// What a run costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Servers for as long as the run was, or as they were there; idle ones too.
    pub servers: f64,
    /// Tokens of models that have a price: of prompts that were not refused, and of replies as far as they left.
    pub tokens: f64,
    /// The same as a sum for an hour; `None` if the run took no time.
    pub per_hour: Option<f64>,
    /// The sum for a million tokens of replies; `None` if there were none.
    pub per_million: Option<f64>,
}

impl Cost {
    /// The cost of what was `measured` in `virtual_ns`; `None` if the scenario says no price.
    pub(super) fn of(scenario: &Scenario, measured: &Measure, stations: &[Station], virtual_ns: Nanos) -> Option<Self> {
        let hours = virtual_ns as f64 / 3.6e12;
        let rents = scenario.stations.iter().enumerate().filter_map(|(index, station)| {
            let count = if let Settings::Replicas(group) = &station.settings { f64::from(group.count) } else { 1.0 };
            let sizes = stations.get(index).and_then(|station| station.sizes.as_ref());
            Some(station.cost_per_hour? * sizes.map_or(count * hours, groups::hours))
        });
        let prices = scenario.models.iter().zip(&measured.models).filter_map(|(model, measured)| {
            let (input, output) = (measured.charged_input_tokens as f64, measured.figures.output_tokens as f64);
            model.price.map(|price| (price.input * input + price.output * output) * 1e-6)
        });
        let (rents, prices): (Vec<f64>, Vec<f64>) = (rents.collect(), prices.collect());
        if rents.is_empty() && prices.is_empty() {
            return None;
        }
        // A sum of nothing would be -0.0.
        let sum = |of: &[f64]| of.iter().fold(0.0, |sum, one| sum + one);
        let (servers, tokens) = (sum(&rents), sum(&prices));
        let written: u64 = measured.models.iter().map(|model| model.figures.output_tokens).sum();
        Some(Self {
            servers,
            tokens,
            per_hour: (hours > 0.0).then(|| (servers + tokens) / hours),
            per_million: (written > 0).then(|| (servers + tokens) / written as f64 * 1e6),
        })
    }

    /// All of it.
    pub fn sum(&self) -> f64 {
        self.servers + self.tokens
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "servers": self.servers, "tokens": self.tokens, "sum": self.sum(), "per_hour": self.per_hour,
            "per_million_output_tokens": self.per_million,
        })
    }

    pub(super) fn text(&self) -> String {
        let per_hour = self.per_hour.map_or(String::new(), |cost| format!(", {cost:.2}/h"));
        let per_million = self.per_million.map_or(String::new(), |cost| format!(", {cost:.2} for a million tokens out"));
        format!("{:.2}: servers {:.2}, tokens {:.2}{per_hour}{per_million}", self.sum(), self.servers, self.tokens)
    }
}
