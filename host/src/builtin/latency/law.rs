//! One grammar for a law wherever a delay is written: a duration, which is always the same, or one law by name.
//!
//! `350ms`, `{ uniform: { min, max } }`, `{ exponential: { mean } }`, `{ pareto: { min, shape } }`, `{ weibull: { scale, shape } }`,
//! `{ gamma: { mean, shape } }`, `{ log-normal: { p50, p99 } }`, `{ mixture: [{ share, LAW }, …] }`, `{ empirical: { file } }`, or with
//! `values` or `quantiles` in place of `file`. Those with a shape take `p50` and `p99` as well. `min` and `max` beside a law's own
//! parameters truncate it: what lies outside is never drawn, and the rest keeps its proportions.

use std::path::Path;

use serde_json::Value;

use crate::builtin::latency::{delay_us, empirical, parameters};
use crate::stats::law::Law;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{DELAY_US_MAX, MIXTURE_PARTS_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::parse_duration_us;
use crate::types::schema;

/// A kind of law that a scenario can name.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    read: fn(&Value, &str, Folder<'_>) -> Result<Law, Vec<Problem>>,
    schema: fn() -> Value,
}

/// Where relative paths start; `None` where no file may be read.
pub type Folder<'a> = Option<&'a Path>;

/// Every kind of law.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "constant",
        summary: "always the same delay",
        read: |value, pointer, folder| match value {
            Value::Object(_) => Err(vec![Problem::new(pointer, "expected a duration, found a map")]),
            delay => read(delay, pointer, folder),
        },
        schema: || schema::duration("Always this delay."),
    },
    Kind {
        name: "uniform",
        summary: "any delay between two bounds alike",
        read: |value, pointer, _| read_fields(value, pointer, parameters::uniform),
        schema: || schema::object([("min!", schema::duration("The least.")), ("max!", schema::duration("The most."))]),
    },
    Kind {
        name: "exponential",
        summary: "delays between events that know nothing of each other",
        read: |value, pointer, _| read_fields(value, pointer, parameters::exponential),
        schema: || truncated([("mean!", schema::duration("The mean."))]),
    },
    Kind {
        name: "log-normal",
        summary: "delays with a long tail, as measured services have",
        read: |value, pointer, _| read_fields(value, pointer, parameters::log_normal),
        schema: || truncated([("p50!", schema::duration(P50)), ("p99!", schema::duration(P99))]),
    },
    Kind {
        name: "gamma",
        summary: "delays with a hump and a short tail, as of several steps in a row",
        read: |value, pointer, _| read_fields(value, pointer, parameters::gamma),
        schema: || {
            truncated(with_quantiles([
                ("mean", schema::duration("The mean.")),
                ("shape", schema::number("1 is exponential; the larger, the narrower.", 0.1..=1_000.0)),
            ]))
        },
    },
    Kind {
        name: "weibull",
        summary: "delays whose tail is longer or shorter than exponential",
        read: |value, pointer, _| read_fields(value, pointer, parameters::weibull),
        schema: || {
            truncated(with_quantiles([
                ("scale", schema::duration("63 % of the delays are shorter.")),
                ("shape", schema::number("Below 1 a long tail, 1 is exponential, above 1 a hump.", 0.1..=100.0)),
            ]))
        },
    },
    Kind {
        name: "pareto",
        summary: "delays with the longest tail: a power law above a least one",
        read: |value, pointer, _| read_fields(value, pointer, parameters::pareto),
        schema: || {
            schema::object([
                ("min", schema::duration("The least; needs `shape`.")),
                ("shape", schema::number("The smaller, the longer the tail.", 0.1..=100.0)),
                ("p50", schema::duration(P50)),
                ("p99", schema::duration(P99)),
                ("max", schema::duration(MAX)),
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

    /// Reads the parameters in `value`, which lies at `pointer`. The law is in nanoseconds.
    pub fn read(&self, value: &Value, pointer: &str, folder: Folder<'_>) -> Result<Law, Vec<Problem>> {
        (self.read)(value, pointer, folder)
    }

    /// JSON Schema of the parameters.
    pub fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        schema["description"] = Value::from(format!("A law: {}.", self.summary));
        schema
    }
}

/// The law that the field `name` holds; `None` if it is absent or wrong. In nanoseconds.
pub fn law(fields: &mut Fields<'_>, name: &'static str, folder: Folder<'_>) -> Option<Law> {
    let value = fields.value(name)?;
    match read(value, &fields.pointer(name), folder) {
        Ok(law) => Some(law),
        Err(problems) => {
            fields.extend(problems);
            None
        }
    }
}

/// The law in `value`, which lies at `pointer`: a duration or a map with one law. In nanoseconds.
pub fn read(value: &Value, pointer: &str, folder: Folder<'_>) -> Result<Law, Vec<Problem>> {
    let text = match value {
        Value::Object(_) => {
            let mut fields = Fields::of(value, pointer);
            let law = beside(&mut fields, value, pointer, folder);
            let problems = fields.finish();
            return law.filter(|_| problems.is_empty()).ok_or(problems);
        }
        Value::Number(number) if number.as_u64() == Some(0) => return Ok(Law::constant(0.0)),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => {
            let message = format!("expected a delay, found {}", kind_of(other));
            return Err(vec![
                Problem::new(pointer, message).hint("write for example `350ms`, or `{ log-normal: { p50: 350ms, p99: 2s } }`"),
            ]);
        }
    };
    let too_long = || "longer than an hour; give a delay of at most `1h`".to_owned();
    match parse_duration_us(&text) {
        Ok(us) if us <= DELAY_US_MAX => Ok(Law::constant(us as f64 * 1e3)),
        Ok(_) => Err(vec![Problem::new(pointer, format!("`{text}` is {}", too_long()))]),
        Err(message) => Err(vec![Problem::new(pointer, message)]),
    }
}

/// The one law among `fields`, which the caller reads other fields of too and finishes. `value` is what they are of.
fn beside(fields: &mut Fields<'_>, value: &Value, pointer: &str, folder: Folder<'_>) -> Option<Law> {
    let named: Vec<_> = KINDS.iter().filter_map(|kind| Some((kind, fields.value(kind.name)?))).collect();
    match named[..] {
        [(kind, parameters)] => match kind.read(parameters, &fields.pointer(kind.name), folder) {
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
pub(super) fn within(fields: &mut Fields<'_>, law: Option<Law>) -> Option<Law> {
    let (min, max) = (delay_us(fields, "min"), delay_us(fields, "max"));
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
    let kept = law?.within(min.map_or(0.0, |us| f64::from(us) * 1e3), max.map_or(f64::INFINITY, |us| f64::from(us) * 1e3));
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
fn mixture(value: &Value, pointer: &str, folder: Folder<'_>) -> Result<Law, Vec<Problem>> {
    if let Value::Object(_) = value {
        return read_fields(value, pointer, |fields| {
            fields.require("of");
            let of = fields.value("of")?;
            let parts = parts(of, &fields.pointer("of"), folder).map_err(|problems| fields.extend(problems)).ok();
            within(fields, parts)
        });
    }
    parts(value, pointer, folder)
}

fn parts(value: &Value, pointer: &str, folder: Folder<'_>) -> Result<Law, Vec<Problem>> {
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
            None if item.is_object() => beside(&mut fields, item, &pointer, folder),
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

/// JSON Schema of a law wherever a delay is written.
pub fn law_schema(description: &str) -> Value {
    let laws = schema::object(KINDS.iter().map(|kind| (kind.name, kind.schema())));
    serde_json::json!({
        "description": format!("{description} A duration such as `350ms`, or a law such as `{{ log-normal: {{ p50: 350ms, p99: 2s }} }}`."),
        "anyOf": [{ "type": ["string", "integer"] }, laws],
    })
}

fn truncated<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let bounds = [("min", schema::duration(MIN)), ("max", schema::duration(MAX))];
    schema::object(fields.into_iter().chain(bounds))
}

fn with_quantiles<const N: usize>(fields: [(&'static str, Value); N]) -> impl Iterator<Item = (&'static str, Value)> {
    fields.into_iter().chain([("p50", schema::duration(P50)), ("p99", schema::duration(P99))])
}

fn mixture_schema() -> Value {
    let simple = KINDS.iter().filter(|kind| kind.name != "mixture").map(|kind| (kind.name, kind.schema()));
    let share = [("share!", schema::share("How many of the draws."))];
    let parts = schema::list("The laws; their shares add up to 100%.", schema::object(share.into_iter().chain(simple)));
    let bounded = truncated([("of!", parts.clone())]);
    serde_json::json!({ "anyOf": [parts, bounded] })
}
