//! `http-error`: a share of the requests is refused with an HTTP error in the vendor's body.
//!
//! Options: `status` (400 to 599, required), `rate` (a share, all if not given), `retry-after` (a duration up to `1h`), `message`
//! and `code` (texts; the vendor's own for the status if not given). Each attempt of a request is drawn anew.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, HttpError as Refusal, Verdict};
use crate::builtin::fault::{delay_ms, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;

/// Makes [`HttpError`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the requests is refused: `rate`, `status`, `retry-after`, `message`, `code`"
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("status");
        let rate = fields.share("rate").unwrap_or(1.0);
        let status = fields.integer("status", 400..=599).unwrap_or(500) as u16;
        let retry_after_ms = delay_ms(&mut fields, "retry-after");
        let message = fields.text("message").map(str::to_owned);
        let code = fields.text("code").map(str::to_owned);
        match fields.finish() {
            problems if problems.is_empty() => {
                Ok(Arc::new(HttpError { rate, refusal: Refusal { status, retry_after_ms, message, code } }))
            }
            problems => Err(problems),
        }
    }
}

/// Refuses a share of the requests.
#[derive(Debug, Clone)]
pub struct HttpError {
    rate: f64,
    refusal: Refusal,
}

impl Fault for HttpError {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let hit = strikes("http-error", self.rate, call);
        Ok(if hit { Verdict::Error(self.refusal.clone()) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn the_share_of_refusals_is_the_rate_within_three_sigma() {
        let fault = Make.make(&json!({"rate": "5%", "status": 503}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        let is_hit = |seed: &u64| fault.decide(&testing::call(&request, *seed)).expect("a verdict") != Verdict::Pass;
        let hits = (0..100_000_u64).filter(is_hit).count() as f64;
        assert!((hits - 5_000.0).abs() < 3.0 * (100_000.0_f64 * 0.05 * 0.95).sqrt(), "hits {hits}");
    }

    #[test]
    fn a_refusal_says_what_the_options_say() {
        let options = json!({"status": 429, "retry-after": "1.5s", "message": "slow down", "code": "rate_limited"});
        let fault = Make.make(&options, &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        let refusal = Refusal {
            status: 429,
            retry_after_ms: Some(1_500),
            message: Some("slow down".to_owned()),
            code: Some("rate_limited".to_owned()),
        };
        assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), Verdict::Error(refusal));
    }

    #[test]
    fn a_rate_of_zero_refuses_nothing_and_of_one_everything() {
        let request = Arc::new(testing::request("hi"));
        for (rate, refused) in [("0%", 0), ("100%", 1_000)] {
            let fault = Make.make(&json!({"rate": rate, "status": 500}), &Setting::default()).expect("good options");
            let is_hit = |seed: &u64| fault.decide(&testing::call(&request, *seed)).expect("a verdict") != Verdict::Pass;
            assert_eq!((0..1_000_u64).filter(is_hit).count(), refused);
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let options = json!({"status": 200, "rate": 2, "retry-after": "2h"});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/rate", "/status", "/retry-after"]);
    }
}
