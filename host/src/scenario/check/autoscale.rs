//! `autoscale:` of a group of replicas: how many there shall be, by whose rule, and how fast that may change.

use serde_json::{Map, Value};

use super::behaviors::behavior;
use super::stations::{places, time_ns};
use crate::scenario::BehaviorUse;
use crate::station::autoscaler::{Pace, Rule, Schedule, Settings, Target};
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{SCALING_AFTER_S_MAX, SCALING_EVERY_MS_MIN, SCALING_STEPS_MAX, STATION_MEMBERS_MAX};
use crate::types::problem::Problem;

/// The rules of this program; any other name is a plugin's.
pub(in crate::scenario) const RULES: [&str; 3] = ["target", "schedule", "keep"];

/// Time from one decision to the next if nothing else is said: that of Kubernetes' horizontal pod autoscaler.
const EVERY_NS: u64 = 15_000_000_000;

/// Reads `autoscale:` of `outer`, if it is there. The use is that of a plugin, which goes before the rule of the settings.
pub(super) fn autoscale(outer: &mut Fields<'_>) -> Option<(Settings, Option<BehaviorUse>)> {
    let value = outer.value("autoscale")?;
    let mut fields = Fields::of(value, outer.pointer("autoscale"));
    ["max", "rule"].into_iter().for_each(|name| fields.require(name));
    let least = fields.integer("min", 0..=u64::from(STATION_MEMBERS_MAX)).unwrap_or(1) as u32;
    let most = fields.integer("max", 1..=u64::from(STATION_MEMBERS_MAX)).map_or(least.max(1), |most| most as u32);
    if most < least {
        fields.problem("max", format!("expected at least the {least} of `min`"));
    }
    let every_ns = time_ns(&mut fields, "every").unwrap_or(EVERY_NS);
    if every_ns < SCALING_EVERY_MS_MIN * 1_000_000 {
        fields.problem("every", format!("expected at least {SCALING_EVERY_MS_MIN}ms"));
    }
    let (rule, used) = match fields.value("rule") {
        None => (Rule::Keep, None),
        Some(value) => {
            let mut problems = Vec::new();
            let rule = whose_rule(value, &fields.pointer("rule"), &mut problems);
            fields.extend(problems);
            rule
        }
    };
    if let Rule::Schedule(schedule) = &rule
        && least > 0
        && schedule.steps.iter().any(|(_, replicas)| *replicas == 0)
    {
        fields.problem("rule", "a step has 0 replicas, and `min` is 1 unless it says otherwise: write `min: 0`");
    }
    let settings = Settings {
        least,
        most: most.max(least),
        every_ns: every_ns.max(1),
        boot_ns: fields.duration_us("boot").map_or(0, |us| us.saturating_mul(1_000)),
        drain_ns: time_ns(&mut fields, "drain").unwrap_or(0),
        rule,
        up: pace(&mut fields, "up"),
        down: pace(&mut fields, "down"),
    };
    outer.extend(fields.finish());
    Some((settings, used))
}

fn pace(outer: &mut Fields<'_>, name: &'static str) -> Pace {
    let Some(value) = outer.value(name) else { return Pace::FREE };
    let mut fields = Fields::of(value, outer.pointer(name));
    let after_ns = fields.duration_us("after").map_or(0, |us| us.saturating_mul(1_000));
    if after_ns > SCALING_AFTER_S_MAX * 1_000_000_000 {
        fields.problem("after", format!("expected at most {}h", SCALING_AFTER_S_MAX / 3_600));
    }
    let step = places(&mut fields, "step", 1).unwrap_or(u32::MAX);
    let pause_ns = fields.duration_us("pause").map_or(0, |us| us.saturating_mul(1_000));
    outer.extend(fields.finish());
    Pace { after_ns, step, pause_ns }
}

/// A rule of ours, or a plugin with its fallback, which is one of ours.
fn whose_rule(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> (Rule, Option<BehaviorUse>) {
    let named = match value {
        Value::String(name) => Some(name.as_str()),
        Value::Object(map) => map.keys().map(String::as_str).find(|key| *key != "fallback"),
        _ => None,
    };
    if named.is_some_and(|name| RULES.contains(&name)) {
        return (own_rule(value, pointer, problems), None);
    }
    plugin_with_fallback(value, pointer, Rule::Keep, problems, own_rule)
}

/// The use of a plugin, and beside it under `fallback` what `read` makes of it; `otherwise` if nothing is said.
pub(super) fn plugin_with_fallback<R>(
    value: &Value,
    pointer: &str,
    otherwise: R,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&Value, &str, &mut Vec<Problem>) -> R,
) -> (R, Option<BehaviorUse>) {
    let (mut alone, mut fallback) = (value.clone(), None);
    if let Value::Object(map) = &mut alone {
        fallback = map.remove("fallback").filter(|fallback| !fallback.is_null());
        if map.get("when").is_some() {
            let problem = Problem::new(format!("{pointer}/when"), "nothing has conditions here").at_key();
            problems.push(problem.hint("the plugin sees the request and may decide by it"));
            map.remove("when");
        }
    }
    let rule = match fallback {
        Some(fallback) => read(&fallback, &format!("{pointer}/fallback"), problems),
        None => otherwise,
    };
    (rule, behavior(&alone, pointer, problems))
}

fn own_rule(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Rule {
    let nothing = Value::Object(Map::new());
    let (name, options) = match value {
        Value::String(name) => (name.as_str(), &nothing),
        Value::Object(map) if map.len() == 1 => {
            let (name, options) = map.iter().next().expect("one field");
            (name.as_str(), options)
        }
        other => {
            let message = match other {
                Value::Object(map) if map.is_empty() => "expected a rule, found an empty map".to_owned(),
                Value::Object(_) => "expected one rule, found several".to_owned(),
                other => format!("expected a rule, found {}", kind_of(other)),
            };
            problems.push(Problem::new(pointer, message).hint("write for example `rule: { target: { busy: 70% } }`"));
            return Rule::Keep;
        }
    };
    let mut fields = Fields::of(options, format!("{pointer}/{}", escape(name)));
    let rule = match name {
        "target" => target(&mut fields),
        "schedule" => schedule(&mut fields),
        "keep" => Rule::Keep,
        other => {
            let problem = Problem::new(pointer, format!("`{other}` is no rule of this program"));
            problems.push(problem.hint(format!("one of: {}", RULES.join(", "))));
            return Rule::Keep;
        }
    };
    problems.extend(fields.finish());
    rule
}

fn target(fields: &mut Fields<'_>) -> Rule {
    let names = ["busy", "requests", "waiting", "kv"];
    if names.into_iter().all(|name| fields.value(name).is_none()) {
        fields.require("busy");
    }
    let mut share = |name| {
        let share = fields.share(name);
        if share.is_some_and(|share| share < 0.01) {
            fields.problem(name, "expected a share of at least 1%");
        }
        share.map(|share| share.max(0.01))
    };
    let (busy, kv) = (share("busy"), share("kv"));
    let mut number = |name| fields.number(name, 0.01..=1_000_000.0);
    let (requests, waiting) = (number("requests"), number("waiting"));
    Rule::Target(Target { busy, requests, waiting, kv, tolerance: fields.share("tolerance").unwrap_or(0.1) })
}

fn schedule(fields: &mut Fields<'_>) -> Rule {
    let period_ns = time_ns(fields, "period").unwrap_or(86_400_000_000_000);
    let pointer = fields.pointer("steps");
    let written = fields.list("steps");
    let mut problems = Vec::new();
    if written.is_empty() || written.len() > SCALING_STEPS_MAX {
        let problem = Problem::new(&pointer, format!("expected 1 to {SCALING_STEPS_MAX} steps, found {}", written.len()));
        problems.push(problem.hint("write for example `steps: [{ from: 0s, replicas: 2 }, { from: 8h, replicas: 6 }]`"));
    }
    let mut steps: Vec<(u64, u32)> = Vec::new();
    for (index, value) in written.iter().enumerate() {
        let mut step = Fields::of(value, format!("{pointer}/{index}"));
        ["from", "replicas"].into_iter().for_each(|name| step.require(name));
        let from_ns = step.duration_us("from").map_or(0, |us| us.saturating_mul(1_000));
        let replicas = step.integer("replicas", 0..=u64::from(STATION_MEMBERS_MAX)).unwrap_or(1) as u32;
        if from_ns >= period_ns {
            step.problem("from", "expected a time within the `period`");
        } else if steps.last().is_some_and(|(before, _)| *before >= from_ns) {
            step.problem("from", "expected a time after that of the step before");
        }
        steps.push((from_ns, replicas));
        problems.extend(step.finish());
    }
    fields.extend(problems);
    Rule::Schedule(Schedule { period_ns, steps })
}
