//! `when:` as a scenario writes it: a map of conditions that must all hold.

use std::sync::Arc;

use http::HeaderName;
use serde_json::Value;

use crate::scenario::pattern::Glob;
use crate::scenario::when::{Condition, Ranges, When};
use crate::types::credentials;
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::problem::Problem;
use crate::types::quantity::parse_duration_us;

/// Reads the conditions `value`, which lie at `pointer`; mistakes go to `problems`. Its shares are numbered from `first_share` on: two
/// that are joined to one `when` must be drawn apart.
pub(super) fn when(value: &Value, pointer: &str, first_share: u64, problems: &mut Vec<Problem>) -> Option<Arc<When>> {
    let mut shares = first_share;
    let (when, found) = read(value, pointer, &mut shares);
    let good = found.is_empty();
    problems.extend(found);
    good.then(|| Arc::new(when))
}

fn read(value: &Value, pointer: &str, shares: &mut u64) -> (When, Vec<Problem>) {
    let mut fields = Fields::of(value, pointer);
    if value.as_object().is_none_or(serde_json::Map::is_empty) && (value.is_object() || value.is_null()) {
        let problem = Problem::new(pointer, "expected at least one condition, found none");
        fields.extend(vec![problem.hint("write for example `when: { attempt: 1..2 }`")]);
    }
    let mut conditions = Vec::new();
    numbers(&mut fields, &mut conditions);
    texts(&mut fields, &mut conditions);
    conditions.extend(fields.flag("stream").map(Condition::Stream));
    conditions.extend(fields.flag("tools").map(Condition::Tools));
    if let Some(value) = fields.value("time") {
        let windows = ranges(value, &fields.pointer("time"), &WINDOW, &mut fields);
        conditions.extend(windows.map(Condition::Time));
    }
    if let Some(value) = fields.value("every") {
        conditions.extend(every(value, &fields.pointer("every"), &mut fields));
    }
    for name in ["share", "identities"] {
        let Some(share) = fields.share(name) else { continue };
        if share == 0.0 {
            fields.problem(name, "a share of nothing never holds");
        }
        if name == "identities" {
            conditions.push(Condition::Identities(share));
            continue;
        }
        conditions.push(Condition::Share { share, number: *shares });
        *shares += 1;
    }
    if let Some(value) = fields.value("not") {
        let (when, problems) = read(value, &fields.pointer("not"), shares);
        fields.extend(problems);
        conditions.push(Condition::Not(when));
    }
    let any = fields.list("any");
    if fields.value("any").is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
        fields.problem("any", "one of nothing never holds");
    }
    let mut list = Vec::new();
    for (index, item) in any.iter().enumerate() {
        let (when, problems) = read(item, &format!("{}/{index}", fields.pointer("any")), shares);
        fields.extend(problems);
        list.push(when);
    }
    if !list.is_empty() {
        conditions.push(Condition::Any(list.into()));
    }
    (When::all(conditions), fields.finish())
}

fn numbers(fields: &mut Fields<'_>, conditions: &mut Vec<Condition>) {
    let mut one = |name, kind: &Kind, condition: fn(Ranges) -> Condition| {
        if let Some(value) = fields.value(name) {
            let pointer = fields.pointer(name);
            conditions.extend(ranges(value, &pointer, kind, fields).map(condition));
        }
    };
    one("attempt", &COUNTED, Condition::Attempt);
    one("requests", &COUNTED, Condition::Requests);
    one("messages", &COUNTED, Condition::Messages);
    one("prompt-tokens", &NUMBER, Condition::PromptTokens);
    one("max-tokens", &NUMBER, Condition::MaxTokens);
    one("complexity", &SCORE, Condition::Complexity);
}

fn texts(fields: &mut Fields<'_>, conditions: &mut Vec<Condition>) {
    conditions.extend(patterns(fields, "model").map(Condition::Model));
    conditions.extend(patterns(fields, "tenant").map(Condition::Tenant));
    let globs = |patterns: Box<[Box<str>]>| patterns.iter().map(|pattern| Glob::of(pattern)).collect();
    conditions.extend(patterns(fields, "content").map(|patterns| Condition::Content(globs(patterns))));
    let pointer = fields.pointer("header");
    match fields.value("header") {
        None => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let pointer = format!("{pointer}/{}", escape(name));
                let patterns = match value {
                    Value::String(pattern) => Some(vec![pattern.as_str()]),
                    Value::Array(items) => items.iter().map(Value::as_str).collect(),
                    _ => None,
                };
                let mistake = match (header_name(name), patterns.filter(|patterns| !patterns.is_empty())) {
                    (Ok(name), Some(patterns)) => {
                        let patterns = patterns.into_iter().map(Box::from).collect();
                        conditions.push(Condition::Header(name, patterns));
                        continue;
                    }
                    (Err(message), _) => Problem::new(pointer, message).at_key(),
                    (_, None) => Problem::new(pointer, "expected a pattern or a list of patterns").hint("`*` fits every value"),
                };
                fields.extend(vec![mistake]);
            }
        }
        Some(other) => {
            let message = format!("expected a map from headers to patterns, found {}", kind_of(other));
            let problem = Problem::new(pointer, message).hint("write for example `header: { x-team: red* }`");
            fields.extend(vec![problem]);
        }
    }
}

/// The header called `name`, or why it can be no condition.
pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    if credentials::in_header(name) {
        return Err(format!("`{name}` carries credentials, which are shown to nothing; use another header"));
    }
    HeaderName::try_from(name).map_err(|_| format!("`{name}` is no name of a header"))
}

/// A pattern or a list of them.
fn patterns(fields: &mut Fields<'_>, name: &'static str) -> Option<Box<[Box<str>]>> {
    let written = fields.value(name)?;
    let patterns: Box<[Box<str>]> = fields.texts(name).into_iter().map(Box::from).collect();
    if written.as_array().is_some_and(Vec::is_empty) {
        fields.problem(name, "expected at least one pattern, found an empty list");
    }
    Some(patterns)
}

fn every(value: &Value, pointer: &str, outer: &mut Fields<'_>) -> Option<Condition> {
    let mut fields = Fields::of(value, pointer);
    fields.require("each");
    fields.require("for");
    let ns = |us: u64| us.saturating_mul(1_000);
    let (each, lasts) = (fields.duration_us("each").map(ns), fields.duration_us("for").map(ns));
    let offset = fields.duration_us("offset").map_or(0, ns);
    if each == Some(0) {
        fields.problem("each", "expected a period, found no time at all");
    }
    if lasts == Some(0) {
        fields.problem("for", "for no time at all it never holds");
    }
    if let (Some(each), Some(lasts)) = (each, lasts)
        && lasts >= each
        && each > 0
    {
        fields.problem("for", "this is the whole period, so it always holds");
    }
    let problems = fields.finish();
    let good = problems.is_empty();
    outer.extend(problems);
    Some(Condition::Every { each: each?, lasts: lasts?, offset }).filter(|_| good)
}

/// How the numbers of a range are written.
struct Kind {
    /// The least number that can ever be met.
    least: u64,
    /// What a person should write.
    form: &'static str,
    /// Does a range end before its greatest number?
    half_open: bool,
    /// Reads one number.
    number: fn(&str) -> Result<u64, String>,
}

const COUNTED: Kind = Kind { least: 1, form: "a number such as `2` or a range such as `1..3`", half_open: false, number: whole };
const NUMBER: Kind = Kind { least: 0, ..COUNTED };
const WINDOW: Kind = Kind { least: 0, form: "a window such as `30s..90s`", half_open: true, number: nanoseconds };
const SCORE: Kind =
    Kind { least: 0, form: "a range from 0 to 1 such as `>= 0.6` or `0.2..0.6`", half_open: true, number: thousandths };

/// A number from 0 to 1 in thousandths.
fn thousandths(text: &str) -> Result<u64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.map(|number| (number * 1_000.0).round() as u64).ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

fn whole(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| format!("`{text}` is no whole number"))
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { parse_duration_us(text).map(|us| us.saturating_mul(1_000)) }
}

/// One range or a list of them.
fn ranges(value: &Value, pointer: &str, kind: &Kind, fields: &mut Fields<'_>) -> Option<Ranges> {
    let one = |value: &Value| match value {
        Value::Number(number) if !kind.half_open => number.as_u64().map_or_else(
            || Err(format!("expected {}, found `{number}`", kind.form)),
            |number| possible(number, number, kind, &number.to_string()),
        ),
        Value::String(text) => range(text.trim(), kind),
        other => Err(format!("expected {}, found {}", kind.form, kind_of(other))),
    };
    let items: Vec<(String, &Value)> = match value {
        Value::Array(items) if items.is_empty() => {
            fields.extend(vec![Problem::new(pointer, format!("expected {}, found an empty list", kind.form))]);
            return None;
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)).collect(),
        single => vec![(pointer.to_owned(), single)],
    };
    let mut found = Vec::new();
    for (pointer, item) in items {
        match one(item) {
            Ok(range) => found.push(range),
            Err(message) => fields.extend(vec![Problem::new(pointer, message)]),
        }
    }
    Some(Ranges::of(found))
}

/// `2`, `1..3`, `1..`, `..3`, `>= 1`, `> 1`, `<= 3` or `< 3`.
fn range(text: &str, kind: &Kind) -> Result<(u64, u64), String> {
    let number = |text: &str| (kind.number)(text.trim());
    let before = |text: &str| number(text)?.checked_sub(1).ok_or_else(|| format!("`< {}` never holds", text.trim()));
    let (least, most) = if let Some(rest) = text.strip_prefix(">=") {
        (number(rest)?, u64::MAX)
    } else if let Some(rest) = text.strip_prefix('>') {
        (number(rest)?.saturating_add(1), u64::MAX)
    } else if let Some(rest) = text.strip_prefix("<=") {
        (kind.least, number(rest)?)
    } else if let Some(rest) = text.strip_prefix('<') {
        (kind.least, before(rest)?)
    } else if let Some((from, to)) = text.split_once("..") {
        let least = if from.trim().is_empty() { kind.least } else { number(from)? };
        let most = match to.trim() {
            "" if from.trim().is_empty() => return Err(format!("expected {}, found `..`", kind.form)),
            "" => u64::MAX,
            to if kind.half_open => before(to)?,
            to => number(to)?,
        };
        (least, most)
    } else if kind.half_open {
        return Err(format!("expected {}, found `{text}`", kind.form));
    } else {
        let number = number(text)?;
        (number, number)
    };
    possible(least, most, kind, text)
}

/// The range from `least` to `most`, unless no number can ever be in it.
fn possible(least: u64, most: u64, kind: &Kind, text: &str) -> Result<(u64, u64), String> {
    if most < kind.least {
        Err(format!("`{text}` never holds: it is counted from {}", kind.least))
    } else if most < least {
        Err(format!("`{text}` never holds: it ends before it begins"))
    } else {
        Ok((least, most))
    }
}
