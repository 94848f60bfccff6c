//! `incidents:` and `active:`, reusable pieces and those that always apply.

use serde_json::Value;

use crate::scenario::check::{behaviors, fault_of_name};
use crate::scenario::pattern::{covers, matches};
use crate::scenario::{Incident, IncidentSet, ModelEntry};
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::SCENARIO_INCIDENTS_MAX;
use crate::types::problem::{Problem, did_you_mean};

/// Reads `incidents:` of the scenario in `fields`, and notes in `models` which concern them.
pub(super) fn check(fields: &mut Fields<'_>, models: &mut [ModelEntry]) -> Vec<Incident> {
    let map = match fields.value("incidents") {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            let message = format!("expected a map from names to incidents, found {}", kind_of(other));
            let hint = "write for example `outage: { faults: [{ http-error: { status: 503 } }] }`";
            let problem = Problem::new(fields.pointer("incidents"), message).hint(hint);
            fields.extend(vec![problem]);
            return Vec::new();
        }
    };
    if map.len() > SCENARIO_INCIDENTS_MAX {
        fields
            .problem("incidents", format!("there are {} incidents, and a scenario may have {SCENARIO_INCIDENTS_MAX}", map.len()));
        return Vec::new();
    }
    let pointer = fields.pointer("incidents");
    let mut incidents = Vec::new();
    for (index, (name, value)) in map.iter().enumerate() {
        let pointer = format!("{pointer}/{}", escape(name));
        let mut section = Fields::of(value, &*pointer);
        if let Some(message) = fault_of_name(name) {
            section.extend(vec![Problem::new(&*pointer, message).at_key()]);
        }
        let incident = incident(name, &mut section);
        if incident.faults.is_empty() && incident.latency.is_empty() && incident.reply.is_empty() && value.is_object() {
            let known =
                value.as_object().is_some_and(|map| ["faults", "latency", "reply"].iter().any(|key| map.contains_key(*key)));
            if !known {
                let problem = Problem::new(&*pointer, format!("the incident `{name}` changes nothing")).at_key();
                section.extend(vec![problem.hint("give it `faults`, `latency` or `reply`")]);
            }
        }
        concern(&mut section, index, models);
        fields.extend(section.finish());
        incidents.push(incident);
    }
    incidents
}

fn incident(name: &str, section: &mut Fields<'_>) -> Incident {
    let mut problems = Vec::new();
    let mut rules = |name| section.value(name).map(|value| behaviors::rules(value, &section.pointer(name), false, &mut problems));
    let (latency, reply) = (rules("latency").unwrap_or_default(), rules("reply").unwrap_or_default());
    let faults = section.value("faults").map(|value| behaviors::faults(value, &section.pointer("faults"), &mut problems));
    section.extend(problems);
    Incident { name: name.to_owned(), faults: faults.unwrap_or_default(), latency, reply }
}

/// Notes in `models` that the incident `index` concerns them: those that its `models:` fit, by name or by what they match; else all.
fn concern(section: &mut Fields<'_>, index: usize, models: &mut [ModelEntry]) {
    let Some(written) = section.value("models") else {
        models.iter_mut().for_each(|model| model.incidents = model.incidents.with(index));
        return;
    };
    let patterns: Vec<&str> = section.texts("models");
    if written.as_array().is_some_and(Vec::is_empty) {
        section.problem("models", "expected at least one name or pattern, found an empty list");
    }
    for (position, pattern) in patterns.into_iter().enumerate() {
        let fits = |model: &ModelEntry| matches(pattern, &model.name) || model.matches.iter().any(|own| covers(pattern, own));
        let mut found = false;
        for model in models.iter_mut().filter(|model| fits(model)) {
            model.incidents = model.incidents.with(index);
            found = true;
        }
        if !found && !models.is_empty() {
            let pointer = section.pointer("models");
            let pointer = if written.is_string() { pointer } else { format!("{pointer}/{position}") };
            let problem = Problem::new(pointer, format!("no entry of `models` fits `{pattern}`"));
            let near = did_you_mean(pattern, models.iter().map(|model| model.name.as_str()));
            section.extend(vec![problem.hint(near.map_or_else(
                || "entries are found by their `name` or by a pattern that takes in what they `match`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ))]);
        }
    }
}

/// Reads `active:` of the scenario in `fields`: the incidents that apply from the start.
pub(super) fn active(fields: &mut Fields<'_>, incidents: &[Incident]) -> IncidentSet {
    named(fields, "active", incidents)
}

/// The incidents that the field `name` lists.
pub(super) fn named(fields: &mut Fields<'_>, name: &'static str, incidents: &[Incident]) -> IncidentSet {
    let single = fields.value(name).is_some_and(Value::is_string);
    let mut set = IncidentSet::default();
    for (position, wanted) in fields.texts(name).into_iter().enumerate() {
        let pointer = fields.pointer(name);
        let pointer = if single { pointer } else { format!("{pointer}/{position}") };
        match incidents.iter().position(|incident| incident.name == wanted) {
            Some(index) => set = set.with(index),
            None => {
                let known: Vec<&str> = incidents.iter().map(|incident| incident.name.as_str()).collect();
                let hint = match did_you_mean(wanted, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "the scenario has no `incidents`".to_owned(),
                    None => format!("known: {}", known.join(", ")),
                };
                let problem = Problem::new(pointer, format!("there is no incident `{wanted}`")).hint(hint);
                fields.extend(vec![problem]);
            }
        }
    }
    set
}
