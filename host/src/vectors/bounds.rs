//! Bounds of a measured value: `200ms`, `{ between: [100ms, 300ms] }`, `{ at-least: 4% }`, `{ at-most: 40 }`.

use serde_json::Value;

use crate::types::fields::{Fields, kind_of};
use crate::types::problem::Problem;
use crate::types::quantity::{parse_duration_us, parse_share, show_duration_us};

/// In what a value is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds, written `350ms`.
    Time,
    /// A number of things.
    Count,
    /// A share of 1, written `5%`.
    Share,
}

impl Unit {
    /// Reads a value of this unit; the error says what is wrong and what to write.
    fn parse(self, value: &Value) -> Result<f64, String> {
        let number = value.as_f64().filter(|number| *number >= 0.0);
        match (self, value) {
            (Self::Time, Value::String(text)) => parse_duration_us(text).map(|us| us as f64),
            (Self::Time, Value::Number(zero)) if zero.as_f64() == Some(0.0) => Ok(0.0),
            (Self::Time, other) => Err(format!("expected a duration such as `350ms`, found {}", found(other))),
            (Self::Count, _) => number.ok_or_else(|| format!("expected a number from 0, found {}", found(value))),
            (Self::Share, Value::String(text)) => parse_share(text),
            (Self::Share, _) => {
                let share = number.filter(|share| *share <= 1.0);
                share.ok_or_else(|| format!("expected a share such as `5%` or `0.05`, found {}", found(value)))
            }
        }
    }

    /// `value` as a person writes it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Time if value.fract() == 0.0 => show_duration_us(value as u64),
            Self::Time => format!("{:.3}ms", value / 1e3),
            Self::Count if value.fract() == 0.0 => format!("{value}"),
            Self::Count => format!("{value:.2}"),
            Self::Share => format!("{}%", (value * 1e4).round() / 1e2),
        }
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::String(_) | Value::Number(_) => format!("`{value}`"),
        other => kind_of(other).to_owned(),
    }
}

/// From where to where, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The least.
    pub least: f64,
    /// The most; infinite for none.
    pub most: f64,
    /// In what both are measured.
    pub unit: Unit,
}

impl Bounds {
    /// Reads bounds in `unit` at `pointer`.
    pub fn read(value: &Value, pointer: &str, unit: Unit) -> Result<Self, Vec<Problem>> {
        let parse = |value: &Value, pointer: &str| unit.parse(value).map_err(|message| vec![Problem::new(pointer, message)]);
        let Value::Object(_) = value else {
            let exactly = parse(value, pointer)?;
            return Ok(Self { least: exactly, most: exactly, unit });
        };
        let mut fields = Fields::of(value, pointer);
        let (between, least, most) = (fields.value("between"), fields.value("at-least"), fields.value("at-most"));
        let mut bounds = Self { least: 0.0, most: f64::INFINITY, unit };
        let mut problems = Vec::new();
        let mut take = |value: &Value, pointer: &str, into: &mut f64| match parse(value, pointer) {
            Ok(value) => *into = value,
            Err(found) => problems.extend(found),
        };
        match between {
            Some(Value::Array(ends)) if ends.len() == 2 && least.is_none() && most.is_none() => {
                take(&ends[0], &format!("{pointer}/between/0"), &mut bounds.least);
                take(&ends[1], &format!("{pointer}/between/1"), &mut bounds.most);
            }
            Some(_) if least.is_some() || most.is_some() => fields.problem("between", "`between` stands alone"),
            Some(_) => fields.problem("between", "expected a list of the least and the most, such as `[100ms, 300ms]`"),
            None if least.is_none() && most.is_none() => {
                fields.extend(vec![
                    Problem::new(pointer, "there are no bounds here")
                        .hint("write `between: [a, b]`, `at-least: a` or `at-most: b`"),
                ]);
            }
            None => {}
        }
        if let Some(least) = least {
            take(least, &format!("{pointer}/at-least"), &mut bounds.least);
        }
        if let Some(most) = most {
            take(most, &format!("{pointer}/at-most"), &mut bounds.most);
        }
        if problems.is_empty() && bounds.least > bounds.most {
            problems.push(
                Problem::new(pointer, "the least is more than the most, so nothing lies between").hint("write the least first"),
            );
        }
        problems.extend(fields.finish());
        if problems.is_empty() { Ok(bounds) } else { Err(problems) }
    }

    /// Does `value` lie in them?
    pub fn hold(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// For people: `100ms to 300ms`.
    pub fn show(&self) -> String {
        let show = |value| self.unit.show(value);
        match (self.least, self.most) {
            (least, most) if least == most => show(least),
            (least, f64::INFINITY) => format!("at least {}", show(least)),
            (0.0, most) => format!("at most {}", show(most)),
            (least, most) => format!("{} to {}", show(least), show(most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_a_value_a_pair_or_one_end() {
        let read = |value: Value, unit| Bounds::read(&value, "/ttft", unit).map(|bounds| bounds.show());
        assert_eq!(read(json!("200ms"), Unit::Time), Ok("200ms".to_owned()));
        assert_eq!(read(json!({"between": ["100ms", "0.3s"]}), Unit::Time), Ok("100ms to 300ms".to_owned()));
        assert_eq!(read(json!({"at-most": 40}), Unit::Count), Ok("at most 40".to_owned()));
        assert_eq!(read(json!({"at-least": "4%"}), Unit::Share), Ok("at least 4%".to_owned()));
        assert_eq!(read(json!({"at-least": 1, "at-most": 2}), Unit::Count), Ok("1 to 2".to_owned()));
    }

    #[test]
    fn what_bounds_nothing_is_refused_with_its_place() {
        for (value, pointer, words) in [
            (json!({}), "/x", "no bounds"),
            (json!({"between": ["1ms"]}), "/x/between", "the least and the most"),
            (json!({"between": ["2ms", "1ms"]}), "/x", "nothing lies between"),
            (json!({"between": ["2ms", "fast"]}), "/x/between/1", "not a duration"),
            (json!({"between": ["1ms", "2ms"], "at-most": "3ms"}), "/x/between", "stands alone"),
            (json!(200), "/x", "such as `350ms`"),
            (json!({"at-mots": "1ms", "at-least": "0ms"}), "/x/at-mots", "unknown field"),
        ] {
            let problems = Bounds::read(&value, "/x", Unit::Time).expect_err("bad");
            assert!(problems.iter().any(|problem| problem.pointer == pointer && problem.message.contains(words)), "{problems:?}");
        }
    }
}
