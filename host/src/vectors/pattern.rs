//! What a decision must look like: written like the decision itself, in whole or in part.
//!
//! A map must have the fields that are written and may have others; a list must have these entries; a text or number must be equal,
//! whereby `2s` equals `2000ms`. In place of a value may stand `{ between: [a, b] }`, `{ at-least: a }`, `{ at-most: b }`,
//! `{ contains: text }`, `{ matches: regular-expression }`, `{ one-of: [a, b] }`, `{ not: a }`, `{ exactly: a }` (nothing besides), or
//! `null` (there is no such field).

use regex::Regex;
use serde_json::{Map, Value};

use crate::types::fields::{escape, kind_of};
use crate::types::problem::Problem;
use crate::types::quantity::{parse_duration_us, parse_share};
use crate::vectors::words::flow;

/// Words that make a map of one field a rule.
const RULES: [&str; 8] = ["between", "at-least", "at-most", "contains", "matches", "one-of", "not", "exactly"];

/// Is `word` with what is `given` a rule? A latency model has a field called `between`, which is never a list.
fn is_rule(word: &str, given: &Value) -> bool {
    RULES.contains(&word) && (word != "between" || given.is_array())
}

/// What a value must look like.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Equal to this.
    Equal(Value),
    /// These fields, each by its pattern.
    Fields(Vec<(String, Pattern)>),
    /// These entries and no others.
    Entries(Vec<Pattern>),
    /// Nothing may be here.
    Absent,
    /// Equal to this, with no other field.
    Exactly(Value),
    /// A quantity from one to the other; an end that is missing is open.
    Between(Option<Value>, Option<Value>),
    /// A text that holds this one.
    Contains(String),
    /// A text that this expression finds.
    Matches(Regex),
    /// One of these.
    OneOf(Vec<Pattern>),
    /// Anything else.
    Not(Box<Pattern>),
}

/// A place at which a value is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where: `fault.http-error.status`.
    pub path: String,
    /// What must be there.
    pub expected: String,
    /// What is.
    pub got: String,
}

impl Pattern {
    /// Reads the pattern `value` at `pointer`.
    pub fn read(value: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        match value {
            Value::Null => Ok(Self::Absent),
            Value::Object(map) => match map.iter().next() {
                Some((word, given)) if map.len() == 1 && is_rule(word, given) => {
                    Self::rule(word, given, &format!("{pointer}/{word}"))
                }
                _ => Self::fields(map, pointer),
            },
            Value::Array(items) => Self::list(items, pointer).map(Self::Entries),
            other => Ok(Self::Equal(other.clone())),
        }
    }

    fn fields(map: &Map<String, Value>, pointer: &str) -> Result<Self, Vec<Problem>> {
        let (mut fields, mut problems) = (Vec::new(), Vec::new());
        for (name, value) in map {
            let pointer = format!("{pointer}/{}", escape(name));
            if map.len() > 1 && is_rule(name, value) {
                let problem = Problem::new(pointer.clone(), format!("`{name}` is a rule, and nothing may stand beside it"));
                problems.push(problem.at_key().hint("write it alone, or `between` for two ends"));
            }
            match Self::read(value, &pointer) {
                Ok(pattern) => fields.push((name.clone(), pattern)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self::Fields(fields)) } else { Err(problems) }
    }

    fn list(items: &[Value], pointer: &str) -> Result<Vec<Self>, Vec<Problem>> {
        let (mut patterns, mut problems) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match Self::read(item, &format!("{pointer}/{index}")) {
                Ok(pattern) => patterns.push(pattern),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(patterns) } else { Err(problems) }
    }

    fn rule(word: &str, given: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        let bad = |message: String| Err(vec![Problem::new(pointer, message)]);
        let quantity = |value: &Value| match measure(value) {
            Some(_) => Ok(value.clone()),
            None => Err(vec![Problem::new(pointer, format!("expected a number, duration or share, found {}", flow(value)))]),
        };
        match (word, given) {
            ("at-least", value) => Ok(Self::Between(Some(quantity(value)?), None)),
            ("at-most", value) => Ok(Self::Between(None, Some(quantity(value)?))),
            ("between", Value::Array(ends)) if ends.len() == 2 => {
                let (least, most) = (quantity(&ends[0])?, quantity(&ends[1])?);
                match (measure(&least), measure(&most)) {
                    (Some((a, low)), Some((b, high))) if a == b && low <= high => Ok(Self::Between(Some(least), Some(most))),
                    _ => bad("nothing lies between these two".to_owned()),
                }
            }
            ("between", _) => bad("expected a list of the least and the most, such as `[100ms, 300ms]`".to_owned()),
            ("contains", Value::String(text)) => Ok(Self::Contains(text.clone())),
            ("matches", Value::String(text)) => match Regex::new(text) {
                Ok(expression) => Ok(Self::Matches(expression)),
                Err(error) => bad(format!("this is no regular expression: {}", error.to_string().replace('\n', " "))),
            },
            ("contains" | "matches", other) => bad(format!("expected a text, found {}", kind_of(other))),
            ("one-of", Value::Array(items)) if !items.is_empty() => Self::list(items, pointer).map(Self::OneOf),
            ("one-of", _) => bad("expected a list of what may come".to_owned()),
            ("not", value) => Ok(Self::Not(Box::new(Self::read(value, pointer)?))),
            (_, value) => Ok(Self::Exactly(value.clone())),
        }
    }

    /// Is `value`, which is called `path`, as it must be? Notes every place where it is not.
    pub fn compare(&self, value: Option<&Value>, path: &str, mismatches: &mut Vec<Mismatch>) {
        let mut miss = |value: Option<&Value>, path: String, expected: String| {
            mismatches.push(Mismatch { path, expected, got: value.map_or("nothing".to_owned(), flow) });
        };
        match (self, value) {
            (Self::Fields(fields), Some(Value::Object(map))) => {
                for (name, pattern) in fields {
                    pattern.compare(map.get(name).filter(|value| !value.is_null()), &format!("{path}.{name}"), mismatches);
                }
            }
            (Self::Entries(patterns), Some(Value::Array(items))) => {
                if patterns.len() != items.len() {
                    return miss(value, path.to_owned(), format!("{} ({} entries)", self.show(), patterns.len()));
                }
                for (index, (pattern, item)) in patterns.iter().zip(items).enumerate() {
                    pattern.compare(Some(item), &format!("{path}[{index}]"), mismatches);
                }
            }
            _ if self.holds(value) => {}
            _ => miss(value, path.to_owned(), self.show()),
        }
    }

    /// Is `value` as it must be?
    pub fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Absent, None) => true,
            (Self::Equal(expected), Some(value)) => same(expected, value),
            (Self::Exactly(expected), Some(value)) => same_whole(expected, value),
            (Self::Between(least, most), Some(value)) => {
                let Some((unit, number)) = measure(value) else { return false };
                let end = |end: &Option<Value>, fits: fn(f64, f64) -> bool| {
                    let end = end.as_ref().map(measure);
                    end.is_none_or(|end| end.is_some_and(|(of, end)| of == unit && fits(number, end)))
                };
                end(least, |number, least| number >= least) && end(most, |number, most| number <= most)
            }
            (Self::Contains(part), Some(Value::String(text))) => text.contains(part.as_str()),
            (Self::Matches(expression), Some(Value::String(text))) => expression.is_match(text),
            (Self::OneOf(patterns), value) => patterns.iter().any(|pattern| pattern.holds(value)),
            (Self::Not(pattern), value) => !pattern.holds(value),
            (Self::Fields(_) | Self::Entries(_), Some(_)) => {
                let mut mismatches = Vec::new();
                let fits = matches!(
                    (self, value),
                    (Self::Fields(_), Some(Value::Object(_))) | (Self::Entries(_), Some(Value::Array(_)))
                );
                if fits {
                    self.compare(value, "", &mut mismatches);
                }
                fits && mismatches.is_empty()
            }
            _ => false,
        }
    }

    /// As it is written.
    pub fn show(&self) -> String {
        let list = |patterns: &[Self]| patterns.iter().map(Self::show).collect::<Vec<_>>().join(", ");
        match self {
            Self::Equal(value) => flow(value),
            Self::Exactly(value) => format!("exactly {}", flow(value)),
            Self::Fields(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, pattern)| format!("{name}: {}", pattern.show())).collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Self::Entries(patterns) => format!("[{}]", list(patterns)),
            Self::Absent => "nothing".to_owned(),
            Self::Between(Some(least), Some(most)) => format!("{} to {}", flow(least), flow(most)),
            Self::Between(Some(least), None) => format!("at least {}", flow(least)),
            Self::Between(None, most) => format!("at most {}", most.as_ref().map_or_else(String::new, flow)),
            Self::Contains(part) => format!("a text with {part:?}"),
            Self::Matches(expression) => format!("a text that /{expression}/ finds"),
            Self::OneOf(patterns) => format!("one of {}", list(patterns)),
            Self::Not(pattern) => format!("not {}", pattern.show()),
        }
    }
}

/// A number with its unit: 0 for plain ones and shares, 1 for times in microseconds.
fn measure(value: &Value) -> Option<(u8, f64)> {
    match value {
        Value::Number(number) => Some((0, number.as_f64()?)),
        Value::String(text) => match parse_duration_us(text) {
            Ok(us) => Some((1, us as f64)),
            Err(_) if text.ends_with('%') => Some((0, parse_share(text).ok()?)),
            Err(_) => None,
        },
        _ => None,
    }
}

/// Equal, or the same quantity written otherwise.
fn same(expected: &Value, value: &Value) -> bool {
    expected == value || matches!((measure(expected), measure(value)), (Some(a), Some(b)) if a == b)
}

fn same_whole(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_whole(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_whole(a, b)),
        (a, b) => same(a, b),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(pattern: Value, value: Value) -> bool {
        Pattern::read(&pattern, "").expect("a pattern").holds(Some(&value))
    }

    #[test]
    fn a_map_may_have_more_fields_than_are_written_unless_it_says_exactly() {
        let decided = json!({"http-error": {"status": 429, "retry-after": "2s"}});
        assert!(holds(json!({"http-error": {"status": 429}}), decided.clone()));
        assert!(holds(json!({"http-error": {"retry-after": "2000ms", "message": null}}), decided.clone()));
        assert!(!holds(json!({"exactly": {"http-error": {"status": 429}}}), decided.clone()));
        assert!(holds(json!({"exactly": {"http-error": {"status": 429, "retry-after": "2s"}}}), decided));
    }

    #[test]
    fn rules_compare_quantities_of_one_kind_only() {
        assert!(holds(json!({"between": ["100ms", "1s"]}), json!("250ms")));
        assert!(!holds(json!({"between": ["100ms", "1s"]}), json!(250)));
        assert!(holds(json!({"at-most": "50%"}), json!(0.4)));
        assert!(holds(json!({"one-of": ["pass", {"hang": {"for": {"at-least": "1s"}}}]}), json!({"hang": {"for": "2s"}})));
        assert!(holds(json!({"not": "pass"}), json!({"hang": {}})));
        assert!(holds(json!({"matches": "^ord[er]+$"}), json!("order")) && !holds(json!({"contains": "x"}), json!("order")));
    }

    #[test]
    fn every_place_that_differs_is_named() {
        let pattern =
            Pattern::read(&json!({"http-error": {"status": 429, "code": {"contains": "slow"}}}), "").expect("a pattern");
        let mut mismatches = Vec::new();
        pattern.compare(Some(&json!({"http-error": {"status": 503}})), "fault", &mut mismatches);
        let said: Vec<_> = mismatches.iter().map(|miss| format!("{}: {} != {}", miss.path, miss.expected, miss.got)).collect();
        assert_eq!(said, ["fault.http-error.status: 429 != 503", "fault.http-error.code: a text with \"slow\" != nothing"]);
    }

    #[test]
    fn a_rule_that_cannot_hold_is_refused() {
        for (pattern, pointer) in [
            (json!({"a": {"between": ["2s", "1s"]}}), "/a/between"),
            (json!({"matches": "("}), "/matches"),
            (json!({"at-most": "soon"}), "/at-most"),
            (json!({"not": 1, "status": 2}), "/not"),
            (json!({"one-of": []}), "/one-of"),
        ] {
            let problems = Pattern::read(&pattern, "").expect_err("refused");
            assert_eq!(problems[0].pointer, pointer, "{problems:?}");
        }
    }
}
