//! How a change is tried on a share of the requests before it answers all: the section `reload:`, and the same words in a query of the
//! admin door.

use serde_json::Value;

use crate::types::fields::Fields;
use crate::types::limits::{CANARY_REQUESTS_MAX, CANARY_S_MAX};
use crate::types::problem::Problem;

/// The share of failures that a canary may have unless it says otherwise: one in a hundred.
const MAX_FAILURES: f64 = 0.01;

/// A trial of a new generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanarySettings {
    /// Share of the identities whose requests it answers, above 0 and below 1.
    pub share: f64,
    /// After this time it has passed, in microseconds. At least one of this and `requests` is there; whichever comes first counts.
    pub for_us: Option<u64>,
    /// After so many requests it has passed.
    pub requests: Option<u64>,
    /// It has failed as soon as more of its requests than this share did, 0 to 1.
    pub max_failures: f64,
}

impl CanarySettings {
    /// Reads `{ share, for, requests, max-failures }`, which lies at `pointer`.
    pub fn read(value: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        let mut fields = Fields::of(value, pointer);
        fields.require("share");
        let share = fields.share("share");
        if share.is_some_and(|share| share <= 0.0 || share >= 1.0) {
            fields.problem("share", "a canary answers more than none of the requests and fewer than all, such as `10%`");
        }
        let for_us = fields.duration_us("for");
        if for_us.is_some_and(|us| us == 0 || us > CANARY_S_MAX * 1_000_000) {
            fields.problem("for", format!("expected up to {CANARY_S_MAX}s, and more than nothing"));
        }
        let requests = fields.integer("requests", 1..=CANARY_REQUESTS_MAX);
        let max_failures = fields.share("max-failures").unwrap_or(MAX_FAILURES);
        let said_when = fields.value("for").is_some() || fields.value("requests").is_some();
        let mut problems = fields.finish();
        if !said_when {
            let problem = Problem::new(pointer, "nothing says when the canary has passed");
            problems.push(problem.hint("write `for: 30s`, `requests: 1000`, or both: whichever comes first counts"));
        }
        match share {
            Some(share) if problems.is_empty() => Ok(Self { share, for_us, requests, max_failures }),
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_canary_says_how_much_how_long_and_how_bad() {
        let read = CanarySettings::read(&json!({"share": "10%", "for": "30s", "requests": 1000, "max-failures": "2%"}), "");
        let expected = CanarySettings { share: 0.1, for_us: Some(30_000_000), requests: Some(1_000), max_failures: 0.02 };
        assert_eq!(read, Ok(expected));
        let short = CanarySettings::read(&json!({"share": 0.5, "requests": 10}), "").expect("enough");
        assert_eq!((short.for_us, short.max_failures), (None, MAX_FAILURES));
    }

    #[test]
    fn what_never_ends_or_is_no_share_is_refused_with_all_mistakes() {
        let problems = |value| CanarySettings::read(&value, "/reload/canary").unwrap_err();
        let said: Vec<_> = problems(json!({"share": "100%", "fors": "1s"})).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("fewer than all") && said[1].contains("did you mean `for`?"), "{said:?}");
        assert!(said[2].contains("nothing says when"), "{said:?}");
        assert!(problems(json!({"for": "2d", "requests": 0})).len() >= 3);
        assert!(problems(json!({"share": "5%", "for": "90000s"}))[0].message.contains("86400s"));
    }
}
