//! `http-error`: a share of the requests is refused with an HTTP error in the vendor's body.
//!
//! Options: `status` (400 to 599, required), `rate` (a share, all if not given), `message`, `code` and `param` (texts; the vendor's own
//! for the status if not given). For 429 `kind` says which: `rate-limit` (if not given), `slow-down` (the load rose too fast) or `quota`
//! (nothing left to spend). When to come back: `retry-after` (a duration up to a day), and `retry-as` says in which form: `seconds`,
//! `milliseconds`, `date`, or `both` seconds and milliseconds (if not given). `should-retry` tells SDKs to try again or not to,
//! whatever the status. Each attempt of a request is drawn anew.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, HttpError as Refusal, Verdict};
use crate::builtin::fault::{rate_schema, strikes};
use crate::types::api_error::{ErrorKind, RetryForm};
use crate::types::fields::Fields;
use crate::types::limits::RETRY_AFTER_MS_MAX;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::schema;

const KINDS: [&str; 3] = ["rate-limit", "slow-down", "quota"];
const FORMS: [&str; 4] = ["both", "seconds", "milliseconds", "date"];

/// Makes [`HttpError`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the requests is refused: `rate`, `status`, `kind`, `retry-after`, `retry-as`, `should-retry`, `message`, `code`, \
         `param`"
    }

    fn schema(&self) -> Value {
        schema::object([
            ("rate", rate_schema()),
            ("status!", schema::integer("The HTTP status.", 400..=599)),
            ("kind", schema::word("Which kind of 429.", &KINDS)),
            ("retry-after", schema::duration("When the client is told to come back, at most a day.")),
            ("retry-as", schema::word("In which headers it is told so.", &FORMS)),
            ("should-retry", schema::flag("Tells SDKs to try again or not to (`x-should-retry`).")),
            ("message", schema::text("The sentence in the body.")),
            ("code", schema::text("The code in the body.")),
            ("param", schema::text("The field of the request that the body calls wrong.")),
        ])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("status");
        let rate = fields.share("rate").unwrap_or(1.0);
        let status = fields.integer("status", 400..=599).unwrap_or(500) as u16;
        let (kind, code) = kind(&mut fields, status);
        let retry_after_ms = retry_after_ms(&mut fields);
        let retry_form = retry_form(&mut fields, retry_after_ms.is_some());
        let should_retry = fields.flag("should-retry");
        let message = fields.text("message").map(str::to_owned);
        let code = fields.text("code").or(code).map(str::to_owned);
        let param = fields.text("param").map(str::to_owned);
        match fields.finish() {
            problems if problems.is_empty() => {
                let refusal =
                    Refusal { status, kind, retry_after_ms, retry_form, should_retry, message, code, param, cause: None };
                Ok(Arc::new(HttpError { rate, refusal }))
            }
            problems => Err(problems),
        }
    }
}

/// The kind of a 429 and the code that goes with it.
fn kind(fields: &mut Fields<'_>, status: u16) -> (Option<ErrorKind>, Option<&'static str>) {
    let Some(word) = word(fields, "kind", &KINDS) else { return (None, None) };
    if status != 429 {
        fields.problem("kind", "only status 429 has kinds; leave `kind` out, or say `status: 429`");
    }
    match word {
        "slow-down" => (Some(ErrorKind::RateLimited), Some("slow_down")),
        "quota" => (Some(ErrorKind::QuotaExhausted), None),
        _ => (Some(ErrorKind::RateLimited), None),
    }
}

/// Whole milliseconds, rounded up.
fn retry_after_ms(fields: &mut Fields<'_>) -> Option<u32> {
    let ms = fields.duration_us("retry-after")?.div_ceil(1_000);
    if ms > u64::from(RETRY_AFTER_MS_MAX) {
        fields.problem("retry-after", "`retry-after` is longer than a day; give at most `24h`");
        return None;
    }
    Some(ms as u32)
}

fn retry_form(fields: &mut Fields<'_>, has_time: bool) -> RetryForm {
    let Some(word) = word(fields, "retry-as", &FORMS) else { return RetryForm::Both };
    if !has_time {
        fields.problem("retry-as", "there is no time to write in this form; say when with `retry-after`");
    }
    match word {
        "seconds" => RetryForm::Seconds,
        "milliseconds" => RetryForm::Milliseconds,
        "date" => RetryForm::Date,
        _ => RetryForm::Both,
    }
}

/// The field `name`, which must be one of `words` if it is there.
fn word(fields: &mut Fields<'_>, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
    let given = fields.text(name)?;
    if let Some(word) = words.iter().find(|word| **word == given) {
        return Some(word);
    }
    let hint = match did_you_mean(given, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", words.join(", ")),
    };
    let problem = Problem::new(fields.pointer(name), format!("unknown word `{given}` for `{name}`")).hint(hint);
    fields.extend(vec![problem]);
    None
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
            ..Refusal::default()
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
    fn a_429_has_kinds_and_forms_of_telling_when_to_come_back() {
        let request = Arc::new(testing::request("hi"));
        let refusal = |options: Value| {
            let fault = Make.make(&options, &Setting::default()).expect("good options");
            match fault.decide(&testing::call(&request, 1)).expect("a verdict") {
                Verdict::Error(refusal) => refusal,
                other => panic!("{other:?}"),
            }
        };
        let slow_down = refusal(json!({"status": 429, "kind": "slow-down", "retry-after": "24h", "retry-as": "date"}));
        assert_eq!((slow_down.kind, slow_down.code.as_deref()), (Some(ErrorKind::RateLimited), Some("slow_down")));
        assert_eq!((slow_down.retry_after_ms, slow_down.retry_form), (Some(86_400_000), RetryForm::Date));
        let quota = refusal(json!({"status": 429, "kind": "quota", "code": "mine", "should-retry": false}));
        assert_eq!(
            (quota.kind, quota.code.as_deref(), quota.should_retry),
            (Some(ErrorKind::QuotaExhausted), Some("mine"), Some(false))
        );
        assert_eq!(refusal(json!({"status": 429, "kind": "rate-limit"})).retry_form, RetryForm::Both);
    }

    #[test]
    fn every_mistake_is_reported() {
        let pointers = |options: Value| -> Vec<String> {
            let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
            problems.into_iter().map(|problem| problem.pointer).collect()
        };
        assert_eq!(pointers(json!({"status": 200, "rate": 2, "retry-after": "25h"})), ["/rate", "/status", "/retry-after"]);
        assert_eq!(pointers(json!({"status": 500, "kind": "quota", "retry-as": "date"})), ["/kind", "/retry-as"]);
        assert_eq!(pointers(json!({"status": 429, "kind": "quotta", "should-retry": 1})), ["/kind", "/should-retry"]);
    }
}
