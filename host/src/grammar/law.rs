//! One grammar for a law wherever a delay or a length is written: one value, which is always the same, or one law by name.
//!
//! `350ms`, `{ uniform: { min, max } }`, `{ exponential: { mean } }`, `{ pareto: { min, shape } }`, `{ weibull: { scale, shape } }`,
//! `{ gamma: { mean, shape } }`, `{ log-normal: { p50, p99 } }`, `{ mixture: [{ share, LAW }, …] }`, `{ empirical: { file } }`, or with
//! `values` or `quantiles` in place of `file`. Those with a shape take `p50` and `p99` as well. `min` and `max` beside a law's own
//! parameters truncate it: what lies outside is never drawn, and the rest keeps its proportions. Where tokens are meant, `{ p50, p99 }`
//! alone is log-normal and `{ min, max }` alone uniform.

use std::path::Path;

use serde_json::Value;

use crate::grammar::unit::Unit;
use crate::grammar::{empirical, parameters};
use crate::stats::law::Law;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::MIXTURE_PARTS_MAX;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::schema;

/// A kind of law that a scenario can name.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    read: fn(&Value, &str, Scope<'_>) -> Result<Law, Vec<Problem>>,
    schema: fn(Unit) -> Value,
}

/// Where a law is written.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What it is of.
    pub unit: Unit,
    /// Where relative paths start; `None` where no file may be read.
    pub folder: Option<&'a Path>,
}

impl<'a> Scope<'a> {
    /// A law of delays.
    pub fn delay(folder: Option<&'a Path>) -> Self {
        Self { unit: Unit::Delay, folder }
    }

    /// A law of lengths in tokens.
    pub fn tokens(folder: Option<&'a Path>) -> Self {
        Self { unit: Unit::Tokens, folder }
    }
}

/// Every kind of law.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "constant",
        summary: "always the same delay",
        read: |value, pointer, scope| match value {
            Value::Object(_) => Err(vec![Problem::new(pointer, format!("expected a {}, found a map", scope.unit.nouns().0))]),
            one => read(one, pointer, scope),
        },
        schema: |unit| unit.schema("Always this delay."),
    },
    Kind {
        name: "uniform",
        summary: "any delay between two bounds alike",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::uniform(fields, scope.unit)),
        schema: |unit| schema::object([("min!", unit.schema("The least.")), ("max!", unit.schema("The most."))]),
    },
    Kind {
        name: "exponential",
        summary: "delays between events that know nothing of each other",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::exponential(fields, scope.unit)),
        schema: |unit| truncated(unit, [("mean!", unit.schema("The mean."))]),
    },
    Kind {
        name: "log-normal",
        summary: "delays with a long tail, as measured services have",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::log_normal(fields, scope.unit)),
        schema: |unit| truncated(unit, [("p50!", unit.schema(P50)), ("p99!", unit.schema(P99))]),
    },
    Kind {
        name: "gamma",
        summary: "delays with a hump and a short tail, as of several steps in a row",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::gamma(fields, scope.unit)),
        schema: |unit| {
            truncated(
                unit,
                with_quantiles(
                    unit,
                    [
                        ("mean", unit.schema("The mean.")),
                        ("shape", schema::number("1 is exponential; the larger, the narrower.", 0.1..=1_000.0)),
                    ],
                ),
            )
        },
    },
    Kind {
        name: "weibull",
        summary: "delays whose tail is longer or shorter than exponential",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::weibull(fields, scope.unit)),
        schema: |unit| {
            truncated(
                unit,
                with_quantiles(
                    unit,
                    [
                        ("scale", unit.schema("63 % of the delays are shorter.")),
                        ("shape", schema::number("Below 1 a long tail, 1 is exponential, above 1 a hump.", 0.1..=100.0)),
                    ],
                ),
            )
        },
    },
    Kind {
        name: "pareto",
        summary: "delays with the longest tail: a power law above a least one",
        read: |value, pointer, scope| read_fields(value, pointer, |fields| parameters::pareto(fields, scope.unit)),
        schema: |unit| {
            schema::object([
                ("min", unit.schema("The least; needs `shape`.")),
                ("shape", schema::number("The smaller, the longer the tail.", 0.1..=100.0)),
                ("p50", unit.schema(P50)),
                ("p99", unit.schema(P99)),
                ("max", unit.schema(MAX)),
            ])
        },
    },
    Kind { name: "mixture", summary: "one of several laws, by lot", read: mixture, schema: mixture_schema },
    Kind { name: "empirical", summary: "delays as they were measured", read: empirical::read, schema: empirical::schema },
];

const P50: &str = "The median.";
const P99: &str = "The 99th percentile.";
const MIN: &str = "No shorter delay is drawn.";
const MAX: &str = "No longer delay is drawn.";

impl Kind {
    /// The kind called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Reads the parameters in `value`, which lies at `pointer`. The law is in the scope's unit.
    pub fn read(&self, value: &Value, pointer: &str, scope: Scope<'_>) -> Result<Law, Vec<Problem>> {
        (self.read)(value, pointer, scope)
    }

    /// JSON Schema of the parameters.
    pub fn schema(&self, unit: Unit) -> Value {
        let mut schema = (self.schema)(unit);
        schema["description"] = Value::from(format!("A law: {}.", self.summary));
        schema
    }
}

/// The law that the field `name` holds; `None` if it is absent or wrong. In the scope's unit.
pub fn law(fields: &mut Fields<'_>, name: &'static str, scope: Scope<'_>) -> Option<Law> {
    let value = fields.value(name)?;
    match read(value, &fields.pointer(name), scope) {
        Ok(law) => Some(law),
        Err(problems) => {
            fields.extend(problems);
            None
        }
    }
}

/// The law in `value`, which lies at `pointer`: one value or a map with one law. In the scope's unit.
pub fn read(value: &Value, pointer: &str, scope: Scope<'_>) -> Result<Law, Vec<Problem>> {
    match value {
        Value::Object(map) => {
            let mut fields = Fields::of(value, pointer);
            let given = |names: [&str; 2]| map.keys().any(|key| names.contains(&key.as_str()));
            let law = if scope.unit == Unit::Tokens && given(["p50", "p99"]) {
                parameters::log_normal(&mut fields, scope.unit)
            } else if scope.unit == Unit::Tokens && given(["min", "max"]) {
                parameters::uniform(&mut fields, scope.unit)
            } else {
                beside(&mut fields, value, pointer, scope)
            };
            let problems = fields.finish();
            law.filter(|_| problems.is_empty()).ok_or(problems)
        }
        Value::Number(_) | Value::String(_) => {
            scope.unit.parse(value).map(Law::constant).map_err(|message| vec![Problem::new(pointer, message)])
        }
        other => {
            let message = format!("expected a {}, found {}", scope.unit.nouns().0, kind_of(other));
            Err(vec![Problem::new(pointer, message).hint(scope.unit.hint())])
        }
    }
}

/// The one law among `fields`, which the caller reads other fields of too and finishes. `value` is what they are of.
fn beside(fields: &mut Fields<'_>, value: &Value, pointer: &str, scope: Scope<'_>) -> Option<Law> {
    let named: Vec<_> = KINDS.iter().filter_map(|kind| Some((kind, fields.value(kind.name)?))).collect();
    match named[..] {
        [(kind, parameters)] => match kind.read(parameters, &fields.pointer(kind.name), scope) {
            Ok(law) => Some(law),
            Err(problems) => {
                fields.extend(problems);
                None
            }
        },
        [] => {
            let keys = || value.as_object().into_iter().flat_map(|map| map.keys());
            let misspelt = |key: &&String| did_you_mean(key, KINDS.iter().map(|kind| kind.name)).is_some();
            // A misspelt name is told as an unknown field.
            if keys().find(misspelt).is_none() {
                let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
                let problem = Problem::new(pointer, "there is no law here").hint(format!("one of: {}", names.join(", ")));
                fields.extend(vec![problem]);
            }
            None
        }
        [(first, _), (second, _), ..] => {
            let message = format!("`{}` is a second law beside `{}`", second.name, first.name);
            let problem = Problem::new(fields.pointer(second.name), message).at_key();
            fields.extend(vec![problem.hint("to draw from one or the other, use `mixture`")]);
            None
        }
    }
}

/// Lets `read` read a map of parameters and notes what it did not ask for.
pub(super) fn read_fields(
    value: &Value,
    pointer: &str,
    read: impl FnOnce(&mut Fields<'_>) -> Option<Law>,
) -> Result<Law, Vec<Problem>> {
    let mut fields = Fields::of(value, pointer);
    let law = read(&mut fields);
    let problems = fields.finish();
    match law {
        Some(law) if problems.is_empty() => Ok(law),
        None if problems.is_empty() => Err(vec![Problem::new(pointer, "this is no law")]),
        _ => Err(problems),
    }
}

/// `law` within `min` and `max` of `fields`, if they are there.
pub(super) fn within(fields: &mut Fields<'_>, unit: Unit, law: Option<Law>) -> Option<Law> {
    let (min, max) = (unit.read(fields, "min"), unit.read(fields, "max"));
    if min.is_none() && max.is_none() {
        return law;
    }
    let name = if max.is_some() { "max" } else { "min" };
    if let (Some(min), Some(max)) = (min, max)
        && min >= max
    {
        fields.problem("max", "`max` is not longer than `min`; give the larger of the two as `max`");
        return None;
    }
    let kept = law?.within(min.unwrap_or(0.0), max.unwrap_or(f64::INFINITY));
    if kept.is_none() {
        let bounds = if min.is_some() && max.is_some() {
            "between `min` and `max`"
        } else if max.is_some() {
            "below `max`"
        } else {
            "above `min`"
        };
        fields.problem(name, format!("less than one draw in a million lies {bounds}; widen the bounds"));
    }
    kept
}

/// `mixture`: a list of `{ share, LAW }`, or a map with that list as `of` and with bounds.
fn mixture(value: &Value, pointer: &str, scope: Scope<'_>) -> Result<Law, Vec<Problem>> {
    if let Value::Object(_) = value {
        return read_fields(value, pointer, |fields| {
            fields.require("of");
            let of = fields.value("of")?;
            let parts = parts(of, &fields.pointer("of"), scope).map_err(|problems| fields.extend(problems)).ok();
            within(fields, scope.unit, parts)
        });
    }
    parts(value, pointer, scope)
}

fn parts(value: &Value, pointer: &str, scope: Scope<'_>) -> Result<Law, Vec<Problem>> {
    let Value::Array(items) = value else {
        let message = format!("expected a list of laws, found {}", kind_of(value));
        return Err(vec![
            Problem::new(pointer, message).hint("write one `{ share: 90%, log-normal: { … } }` a line, each after `- `"),
        ]);
    };
    if items.is_empty() || items.len() > MIXTURE_PARTS_MAX {
        return Err(vec![Problem::new(pointer, format!("expected 1 to {MIXTURE_PARTS_MAX} laws, found {}", items.len()))]);
    }
    let (mut parts, mut problems, mut whole) = (Vec::new(), Vec::new(), 0.0);
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let mut fields = Fields::of(item, pointer.clone());
        fields.require("share");
        let share = fields.share("share");
        let law = match fields.value("mixture") {
            Some(_) => {
                fields.problem("mixture", "a mixture holds no mixture; write its parts into this one");
                None
            }
            None if item.is_object() => beside(&mut fields, item, &pointer, scope),
            None => None,
        };
        whole += share.unwrap_or(0.0);
        parts.extend(share.zip(law));
        problems.extend(fields.finish());
    }
    if problems.is_empty() && (whole - 1.0).abs() > 1e-6 {
        let message = format!("the shares add up to {}% and not to 100%", (whole * 1e4).round() / 1e2);
        problems.push(Problem::new(pointer, message));
    }
    match Law::mixture(parts) {
        Some(law) if problems.is_empty() => Ok(law),
        _ => Err(problems),
    }
}

/// JSON Schema of a law wherever one of `unit` is written.
pub fn law_schema(unit: Unit, description: &str) -> Value {
    let laws = schema::object(KINDS.iter().map(|kind| (kind.name, kind.schema(unit))));
    if unit == Unit::Delay {
        return serde_json::json!({
            "description": format!("{description} A duration such as `350ms`, or a law such as `{{ log-normal: {{ p50: 350ms, p99: 2s }} }}`."),
            "anyOf": [{ "type": ["string", "integer"] }, laws],
        });
    }
    let pair = |low, high| schema::object([(low, unit.schema("Tokens.")), (high, unit.schema("Tokens."))]);
    serde_json::json!({
        "description": format!("{description} A number of tokens, or a law such as `{{ p50: 500, p99: 4000 }}` or `{{ exponential: {{ mean: 500 }} }}`."),
        "anyOf": [unit.schema("So many tokens."), pair("p50!", "p99!"), pair("min!", "max!"), laws],
    })
}

fn truncated<'a>(unit: Unit, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let bounds = [("min", unit.schema(MIN)), ("max", unit.schema(MAX))];
    schema::object(fields.into_iter().chain(bounds))
}

fn with_quantiles<const N: usize>(unit: Unit, fields: [(&'static str, Value); N]) -> impl Iterator<Item = (&'static str, Value)> {
    fields.into_iter().chain([("p50", unit.schema(P50)), ("p99", unit.schema(P99))])
}

fn mixture_schema(unit: Unit) -> Value {
    let simple = KINDS.iter().filter(|kind| kind.name != "mixture").map(|kind| (kind.name, kind.schema(unit)));
    let share = [("share!", schema::share("How many of the draws."))];
    let parts = schema::list("The laws; their shares add up to 100%.", schema::object(share.into_iter().chain(simple)));
    let bounded = truncated(unit, [("of!", parts.clone())]);
    serde_json::json!({ "anyOf": [parts, bounded] })
}
