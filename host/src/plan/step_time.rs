//! What a latency model says of a replica's steps: a delay of kind `step-time`.
//!
//! Its options are `{ "base-us": …, "prefill-token-ns": …, "sequence-ns": …, "kv-token-ps": …, "prefill-pair-ps": … }`, the coefficients
//! of [`StepTime`], each in a unit in which it is a handy number. They hold for the replica that the request enters until another
//! request brings others, so a plugin is asked once a request and never once a step.

use serde_json::Value;

use crate::behavior::latency::Delay;
use crate::station::replica::StepTime;
use crate::types::fields::Fields;

/// The kind of delay that gives coefficients.
pub const KIND: &str = "step-time";

/// The coefficients that `first`, the delay to the first token, gives; `None` if it is an ordinary delay.
pub fn of(first: &Delay) -> Option<Result<StepTime, String>> {
    match first {
        Delay::Other(named) if named.kind == KIND => {
            Some(read(&named.json).map_err(|message| format!("delay of kind `{KIND}`: {message}")))
        }
        _ => None,
    }
}

fn read(json: &str) -> Result<StepTime, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| format!("no JSON: {error}"))?;
    let mut fields = Fields::of(&value, "");
    fields.require("base-us");
    // Up to a minute, in units of `ps`.
    let mut coefficient = |name, ps: f64| fields.number(name, 0.0..=60e12 / ps).map_or(0, |number| (number * ps).round() as u64);
    let step = StepTime {
        base_ps: coefficient("base-us", 1e6),
        per_prefill_token_ps: coefficient("prefill-token-ns", 1e3),
        per_sequence_ps: coefficient("sequence-ns", 1e3),
        per_kv_token_ps: coefficient("kv-token-ps", 1.0),
        per_prefill_pair_ps: coefficient("prefill-pair-ps", 1.0),
    };
    match fields.finish().first() {
        Some(problem) => Err(format!("{}: {}", problem.pointer, problem.message)),
        None if step.base_ps == 0 => Err("`base-us` must be more than 0: steps that take no time would never end".to_owned()),
        None => Ok(step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::fault::Named;

    fn of_json(json: &str) -> Result<StepTime, String> {
        of(&Delay::Other(Named { kind: KIND.to_owned(), json: json.to_owned() })).expect("coefficients")
    }

    #[test]
    fn coefficients_are_read_in_their_units() {
        let step = of_json(r#"{"base-us": 6420, "prefill-token-ns": 19600, "sequence-ns": 0.5, "kv-token-ps": 49900}"#);
        let expected = StepTime {
            base_ps: 6_420_000_000,
            per_prefill_token_ps: 19_600_000,
            per_sequence_ps: 500,
            per_kv_token_ps: 49_900,
            per_prefill_pair_ps: 0,
        };
        assert_eq!(step, Ok(expected));
        assert_eq!(of(&Delay::Us(3)), None);
        assert_eq!(of(&Delay::Other(Named { kind: "gamma".to_owned(), json: String::new() })), None);
    }

    #[test]
    fn bad_coefficients_are_refused_with_a_reason() {
        for (json, reason) in [
            ("nothing", "no JSON"),
            ("{}", "`base-us` is missing"),
            (r#"{"base-us": 0}"#, "more than 0"),
            (r#"{"base-us": -1}"#, "expected a number from 0"),
            (r#"{"base-us": 1e9}"#, "expected a number from 0 to 60000000"),
            (r#"{"base-us": 1, "kv-tokens": 1}"#, "unknown field"),
        ] {
            let message = of_json(json).expect_err(json);
            assert!(message.starts_with("delay of kind `step-time`: ") && message.contains(reason), "{json}: {message}");
        }
    }
}
