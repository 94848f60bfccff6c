//! What a client is told that a station turned away.

use crate::station::{Cause, Refusal};
use crate::types::api_error::{ApiError, ErrorKind};

/// The answer to a request for `model` that met `refusal`: quotas are the caller's doing (429), all else is load (503).
pub(super) fn refused(refusal: &Refusal, model: &str) -> ApiError {
    let model: String = model.chars().take(100).collect();
    let retry_after_ms = u32::try_from(refusal.retry_after_ns.div_ceil(1_000_000)).unwrap_or(u32::MAX);
    let again = match retry_after_ms {
        0 => String::new(),
        ms if ms < 1_000 => format!(" Please try again in {ms}ms."),
        ms => format!(" Please try again in {}s.", f64::from(ms) / 1_000.0),
    };
    let (status, kind, message) = match refusal.cause {
        Cause::Requests => (429, ErrorKind::RateLimited, format!("Rate limit reached for `{model}` on requests.{again}")),
        Cause::Tokens if retry_after_ms == 0 => {
            let message = format!("Request too large for `{model}`: it asks for more tokens than its limit allows at once.");
            (429, ErrorKind::TokensLimited, message)
        }
        Cause::Tokens => (429, ErrorKind::TokensLimited, format!("Rate limit reached for `{model}` on tokens.{again}")),
        Cause::Concurrency => (429, ErrorKind::RateLimited, format!("Too many requests of `{model}` at a time.{again}")),
        cause => (503, ErrorKind::Overloaded, format!("`{model}` cannot take the request now ({}).{again}", cause.name())),
    };
    let error = ApiError { kind, ..ApiError::of_status(status, message) };
    ApiError { retry_after_ms: (retry_after_ms > 0).then_some(retry_after_ms), ..error }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::behavior::call::{BehaviorError, Call};
    use crate::behavior::catalog::{Maker, Setting};
    use crate::behavior::fault::{Fault, HttpError, Verdict};
    use crate::builtin::testing::request;
    use crate::plan::build::testing::generation;
    use crate::plan::identity::Identity;
    use crate::plan::planner::{Facts, plan};
    use crate::plan::verdict::Outcome;
    use crate::types::problem::Problem;

    /// Refuses with the name of the caller's tier.
    struct Telling(Vec<String>);
    struct Make;

    impl Fault for Telling {
        fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
            let message = self.0.get(call.tenant as usize).map(|name| format!("tier {name:?}"));
            Ok(Verdict::Error(HttpError { status: 418, message, ..HttpError::default() }))
        }
    }

    impl Maker<dyn Fault> for Make {
        fn summary(&self) -> &str {
            "tells"
        }

        fn make(&self, _options: &Value, setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
            Ok(Arc::new(Telling(setting.tenants.clone())))
        }
    }

    #[test]
    fn behaviours_are_told_the_callers_tier_and_not_asked_about_who_was_turned_away() {
        let scenario = "simwright: 1\ntiers: [{ name: gold, tenants: a }, { name: free, tenants: b }]\n\
                        models: [{ match: test, faults: [telling] }]\n";
        let generation = generation(scenario, |catalog| _ = catalog.fault.insert("telling".to_owned(), Arc::new(Make)));
        let facts = |tenant| Facts {
            tier: generation.scenario.tier_of(tenant),
            ..Facts::first(Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 })
        };
        let said = |facts: &Facts| match plan(&generation, 0, &Arc::new(request("hi")), facts).outcome {
            Outcome::Refuse(error) => error.message.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(["a", "b", "c"].map(|tenant| said(&facts(tenant))), ["tier \"gold\"", "tier \"free\"", "tier \"\""]);
        let refused = Facts { refused: Some(Refusal::of(Cause::Concurrency)), ..facts("a") };
        assert_eq!(said(&refused), "Too many requests of `test` at a time.");
    }

    #[test]
    fn a_caller_is_told_what_it_has_too_much_of_and_when_to_come_again() {
        let of = |cause, retry_after_ns| refused(&Refusal { cause, retry_after_ns }, "gpt-4o");
        let tokens = of(Cause::Tokens, 1_500_000_001);
        assert_eq!((tokens.status, tokens.kind, tokens.retry_after_ms), (429, ErrorKind::TokensLimited, Some(1_501)));
        assert_eq!(tokens.message, "Rate limit reached for `gpt-4o` on tokens. Please try again in 1.501s.");
        assert!(of(Cause::Requests, 20_000_000).message.ends_with("on requests. Please try again in 20ms."));
        let never = of(Cause::Tokens, 0);
        assert!(never.message.starts_with("Request too large") && never.retry_after_ms.is_none());
        assert_eq!(of(Cause::QueueFull, 0).status, 503);
    }
}
