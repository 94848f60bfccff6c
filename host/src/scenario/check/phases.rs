//! `phases:`, the time line.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::scenario::Incident;
use crate::scenario::check::{check_name, incidents, unknown_word};
use crate::scenario::phases::{Lasts, Phase, Phases, Repeat, Start};
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::SCENARIO_PHASES_MAX;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::{parse_duration_us, parse_share};

/// Reads `phases:` of the scenario in `fields`. A line with a mistake is left out: the mistake has been noted.
pub(super) fn check(fields: &mut Fields<'_>, incidents: &[Incident]) -> Option<Phases> {
    let value = fields.value("phases")?;
    let mut section = Fields::of(value, fields.pointer("phases"));
    let start = start(&mut section);
    let repeat = repeat(&mut section);
    section.require("line");
    let items = section.list("line");
    let line_pointer = section.pointer("line");
    if items.is_empty() && section.value("line").is_some_and(Value::is_array) {
        section.problem("line", "there are no phases");
    }
    if items.len() > SCENARIO_PHASES_MAX {
        section.problem("line", format!("there are {} phases, and a line may have {SCENARIO_PHASES_MAX}", items.len()));
    }
    let mut line: Vec<Phase> = Vec::new();
    let mut endless: Option<String> = None;
    for (index, item) in items.iter().take(SCENARIO_PHASES_MAX).enumerate() {
        let mut entry = Fields::of(item, format!("{line_pointer}/{index}"));
        if let Some(before) = endless.take() {
            let message = format!("this phase is never reached: `{before}` before it has no `for`");
            let hint = format!("say how long `{before}` lasts, or `for: hand`");
            entry.extend(vec![Problem::new(format!("{line_pointer}/{index}"), message).hint(hint)]);
        }
        let phase = phase(&mut entry, index, incidents);
        if line.iter().any(|other| other.name == phase.name) {
            entry.problem("name", format!("another phase is called `{}` too", phase.name));
        }
        if entry.value("for").is_none() && item.is_object() {
            endless = Some(phase.name.clone());
        }
        section.extend(entry.finish());
        line.push(phase);
    }
    if let Some(last) = endless.filter(|_| repeat != Repeat::Times(1)) {
        let problem =
            Problem::new(section.pointer("repeat"), format!("the line never ends: its last phase `{last}` has no `for`"));
        section.extend(vec![problem.hint("say how long it lasts, or `for: hand`")]);
    }
    let problems = section.finish();
    let good = problems.is_empty();
    fields.extend(problems);
    good.then_some(Phases { start, repeat, line })
}

fn phase(fields: &mut Fields<'_>, index: usize, incidents: &[Incident]) -> Phase {
    let name = fields.text("name").map_or_else(|| format!("phase-{}", index + 1), str::to_owned);
    check_name(fields, "name", &name);
    let lasts = match fields.value("for") {
        None => Lasts::Hand,
        Some(value) => match span(value) {
            Ok(Span::Hand) => Lasts::Hand,
            Ok(Span::Time(0) | Span::Requests(0)) => {
                fields.problem("for", "this phase lasts no time at all; leave it out");
                Lasts::Hand
            }
            Ok(Span::Time(ns)) => Lasts::Time(ns),
            Ok(Span::Requests(count)) => Lasts::Requests(count),
            Err(message) => {
                fields.problem("for", message);
                Lasts::Hand
            }
        },
    };
    let set = incidents::named(fields, "incidents", incidents);
    let strength = ramp(fields);
    if strength.0 != strength.1 && lasts == Lasts::Hand && fields.value("for").is_none_or(|value| value == "hand") {
        let problem = Problem::new(fields.pointer("ramp"), "a ramp needs an end, and this phase has none");
        fields.extend(vec![problem.hint("give it `for`, a duration or a number of requests")]);
    }
    if fields.value("ramp").is_some() && fields.value("incidents").is_none() {
        fields.problem("ramp", "there are no `incidents` here that could be ramped");
    }
    Phase { name, lasts, incidents: set, strength }
}

/// `up`, `down`, a share that stays, or `{ from: 20%, to: 80% }`; without one, full strength.
fn ramp(fields: &mut Fields<'_>) -> (f64, f64) {
    match fields.value("ramp") {
        None => (1.0, 1.0),
        Some(Value::Object(_)) => {
            let value = fields.value("ramp").unwrap_or(&Value::Null);
            let mut shares = Fields::of(value, fields.pointer("ramp"));
            let strength = (shares.share("from").unwrap_or(0.0), shares.share("to").unwrap_or(1.0));
            fields.extend(shares.finish());
            strength
        }
        Some(Value::String(word)) if word == "up" => (0.0, 1.0),
        Some(Value::String(word)) if word == "down" => (1.0, 0.0),
        Some(Value::Number(number)) => match parse_share(&number.to_string()) {
            Ok(share) => (share, share),
            Err(message) => {
                fields.problem("ramp", message);
                (1.0, 1.0)
            }
        },
        Some(Value::String(text)) => match parse_share(text) {
            Ok(share) => (share, share),
            Err(_) => {
                unknown_word(fields, "ramp", text, &["up", "down"]);
                (1.0, 1.0)
            }
        },
        Some(other) => {
            let message = format!("expected `up`, `down` or `{{ from: 20%, to: 80% }}`, found {}", kind_of(other));
            fields.problem("ramp", message);
            (1.0, 1.0)
        }
    }
}

fn start(fields: &mut Fields<'_>) -> Start {
    match fields.value("start") {
        None => Start::After(0),
        Some(value) if value == "clock" => Start::After(0),
        Some(value) => match span(value) {
            Ok(Span::Time(ns)) => Start::After(ns),
            Ok(Span::Requests(count)) => Start::Requests(count),
            Ok(Span::Hand) => Start::Hand,
            Err(message) => {
                let problem = Problem::new(fields.pointer("start"), message);
                let near = value.as_str().and_then(|word| did_you_mean(word, ["clock", "hand"]));
                let hint = near.map_or_else(
                    || "write `clock`, a duration such as `30s`, `100 requests` or `hand`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                fields.extend(vec![problem.hint(hint)]);
                Start::Hand
            }
        },
    }
}

fn repeat(fields: &mut Fields<'_>) -> Repeat {
    const TIMES: RangeInclusive<u64> = 1..=1_000_000;
    match fields.value("repeat") {
        None | Some(Value::Bool(false)) => Repeat::Times(1),
        Some(Value::Bool(true)) => Repeat::Forever,
        Some(Value::Number(_)) => Repeat::Times(fields.integer("repeat", TIMES).unwrap_or(1) as u32),
        Some(other) => {
            let message = format!("expected `true` or how many times, found {}", kind_of(other));
            fields.problem("repeat", message);
            Repeat::Times(1)
        }
    }
}

enum Span {
    Time(u64),
    Requests(u64),
    Hand,
}

/// `30s`, `200 requests` or `hand`.
fn span(value: &Value) -> Result<Span, String> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Number(number) => return Err(format!("`{number}` has no unit; write `{number}s` or `{number} requests`")),
        other => return Err(format!("expected a duration such as `30s`, `200 requests` or `hand`, found {}", kind_of(other))),
    };
    if text == "hand" {
        return Ok(Span::Hand);
    }
    if let Some(count) = text.strip_suffix("requests").or_else(|| text.strip_suffix("request")) {
        let count = count.trim().replace('_', "");
        return count.parse().map(Span::Requests).map_err(|_| format!("`{text}` is no number of requests"));
    }
    parse_duration_us(text).map(|us| Span::Time(us.saturating_mul(1_000)))
}
