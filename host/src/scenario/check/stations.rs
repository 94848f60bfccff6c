//! `stations:` of a scenario and `pipeline:` of a model entry.

use serde_json::Value;

use crate::scenario::check::behaviors;
use crate::scenario::stations::{Pipeline, StationEntry};
use crate::station::balancer::Rule;
use crate::station::pipeline::route::{ReplyBy, Route, Stage, Step};
use crate::station::pipeline::{Replicas, Settings};
use crate::station::{pool, replica};
use crate::types::fields::{Fields, escape};
use crate::types::problem::{Problem, did_you_mean};

/// Reads `stations:` of the scenario in `fields`.
pub(super) fn check(fields: &mut Fields<'_>) -> Vec<StationEntry> {
    let Some(value) = fields.value("stations") else { return Vec::new() };
    let pointer = fields.pointer("stations");
    let Value::Object(map) = value else {
        fields.problem("stations", "expected a map of stations by name");
        return Vec::new();
    };
    let mut stations = Vec::new();
    for (name, value) in map {
        let mut section = Fields::of(value, format!("{pointer}/{}", escape(name)));
        let settings = settings(&mut section);
        fields.extend(section.finish());
        stations.extend(settings.map(|settings| StationEntry { name: name.clone(), settings }));
    }
    stations
}

fn settings(fields: &mut Fields<'_>) -> Option<Settings> {
    if let Some(value) = fields.value("pool") {
        let mut section = Fields::of(value, fields.pointer("pool"));
        let size = section.integer("size", 1..=1_000_000).unwrap_or(1) as u32;
        fields.extend(section.finish());
        return Some(Settings::Pool(pool::Settings::of(size)));
    }
    if let Some(value) = fields.value("replicas") {
        let mut section = Fields::of(value, fields.pointer("replicas"));
        let count = section.integer("count", 1..=100_000).unwrap_or(1) as u32;
        let preset = section.text("preset").unwrap_or("llama-3.1-8b-h100");
        let Some(preset) = replica::presets::find(preset) else {
            section.problem("preset", "no such preset");
            fields.extend(section.finish());
            return None;
        };
        let replica = preset.settings.clone();
        fields.extend(section.finish());
        return Some(Settings::Replicas(Replicas { count, replica, balancer: Rule::RoundRobin, weights: Vec::new() }));
    }
    None
}

/// Reads the `pipeline:` `value` of a model entry, which lies at `pointer`.
pub(super) fn pipeline(value: &Value, pointer: &str, stations: &[StationEntry], problems: &mut Vec<Problem>) -> Option<Pipeline> {
    let Value::Array(items) = value else {
        problems.push(Problem::new(pointer, "expected a list of stages"));
        return None;
    };
    let mut made =
        Pipeline { route: Route::default(), takes: Vec::new(), texts: Vec::new(), switches: Vec::new(), asks_latency: false };
    for (index, item) in items.iter().enumerate() {
        let Some((name, value)) = item.as_object().and_then(|map| map.iter().next()) else { continue };
        let mut section = Fields::of(value, format!("{pointer}/{index}/{}", escape(name)));
        let takes = match section.value("takes") {
            Some(takes) => behaviors::rules(takes, &section.pointer("takes"), true, problems),
            None => Vec::new(),
        };
        let through = section.text("through").and_then(|wanted| {
            let found = stations.iter().position(|station| station.name == wanted);
            if found.is_none() {
                let hint = did_you_mean(wanted, stations.iter().map(|station| station.name.as_str()));
                let problem = Problem::new(section.pointer("through"), format!("there is no station `{wanted}`"));
                problems.push(hint.map_or(problem.clone(), |near| problem.hint(format!("did you mean `{near}`?"))));
            }
            found
        });
        let is_replicas = through.is_some_and(|station| matches!(stations[station].settings, Settings::Replicas(_)));
        let reply = match (is_replicas, name.as_str()) {
            (true, _) => Some(ReplyBy::Replica),
            (false, "model") => Some(ReplyBy::Timing),
            _ => None,
        };
        made.asks_latency |= reply == Some(ReplyBy::Timing);
        problems.extend(section.finish());
        let stage = Stage { index: index as u16, through: through.map(|station| station as u16), reply, ..Stage::default() };
        made.route.steps.push(Step::Stage(stage));
        made.route.stages.push(name.clone());
        made.takes.push(takes);
    }
    made.route.steps.push(Step::End);
    Some(made)
}
