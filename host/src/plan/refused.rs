//! What a client is told that a station turned away.

use crate::plan::Plan;
use crate::station::{Cause, Refusal};
use crate::types::api_error::{ApiError, Cause as About, ErrorKind};

/// The refusal of the request that `plan` answers, in no vendor's words.
pub fn error_of(refusal: Refusal, plan: &Plan) -> ApiError {
    if refusal.cause == Cause::TooLong {
        return too_long(plan);
    }
    refused(&refusal, &plan.generation.scenario.models[plan.model].name)
}

/// The answer to a request for `model` that met `refusal`. Quotas are the caller's doing, a 429; all else is the service's, and its code
/// is the cause's word.
pub(super) fn refused(refusal: &Refusal, model: &str) -> ApiError {
    let retry_after_ms = refusal.retry_after_ms();
    let error = over_quota(refusal.cause, model, retry_after_ms).unwrap_or_else(|| unserved(refusal.cause));
    ApiError { retry_after_ms, ..error }
}

fn over_quota(cause: Cause, model: &str, retry_after_ms: Option<u32>) -> Option<ApiError> {
    let model: String = model.chars().take(100).collect();
    let again = match retry_after_ms {
        None => String::new(),
        Some(ms) if ms < 1_000 => format!(" Please try again in {ms}ms."),
        Some(ms) => format!(" Please try again in {}s.", f64::from(ms) / 1_000.0),
    };
    let (kind, message) = match cause {
        Cause::Requests => (ErrorKind::RateLimited, format!("Rate limit reached for `{model}` on requests.{again}")),
        Cause::Tokens if retry_after_ms.is_none() => {
            let message = format!("Request too large for `{model}`: it asks for more tokens than its limit allows at once.");
            (ErrorKind::TokensLimited, message)
        }
        Cause::Tokens => (ErrorKind::TokensLimited, format!("Rate limit reached for `{model}` on tokens.{again}")),
        Cause::Concurrency => (ErrorKind::RateLimited, format!("Too many requests of `{model}` at a time.{again}")),
        _ => return None,
    };
    Some(ApiError { kind, ..ApiError::of_status(429, message) })
}

/// The HTTP status of a refusal by a station.
pub fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Requests | Cause::Tokens | Cause::Concurrency => 429,
        Cause::TooLong => 400,
        Cause::QueueFull | Cause::QueueTimeout | Cause::PoolTimeout | Cause::BreakerOpen | Cause::NoReplica => 503,
        Cause::Budget | Cause::Lost => 504,
        Cause::StageFailed => 500,
    }
}

fn unserved(cause: Cause) -> ApiError {
    let message = match cause {
        Cause::QueueFull => "The server is currently overloaded: its queue is full. Please try again later.",
        Cause::QueueTimeout => "The server is currently overloaded: the request waited too long. Please try again later.",
        Cause::PoolTimeout => "The server is currently overloaded: no connection came free in time.",
        Cause::BreakerOpen => "The service is temporarily unavailable. Please try again later.",
        Cause::Budget | Cause::Lost => "The upstream server did not answer in time.",
        Cause::StageFailed => "The server had an error while processing your request. Sorry about that!",
        _ => "The service is temporarily unavailable: no server is ready for the request.",
    };
    let error = match status_of(cause) {
        503 => ApiError::because(About::Overloaded, 503, message),
        status => ApiError::of_status(status, message),
    };
    error.with_code(cause.name())
}

fn too_long(plan: &Plan) -> ApiError {
    let (input, output) = (plan.usage.input, plan.reply.steps());
    let message = format!(
        "This server's memory does not hold the context: {input} tokens of the messages and {output} of the completion. Please reduce \
         the length of the messages or completion."
    );
    let error = ApiError::invalid("messages", message).with_code("context_length_exceeded");
    ApiError { kind: ErrorKind::InvalidRequest, ..error }
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

    fn any_plan() -> Plan {
        let generation = generation("simwright: 1\nmodels: [{ match: test }]", |_| {});
        let identity = Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 };
        plan(&generation, 0, &Arc::new(request("hi")), &Facts::first(identity))
    }

    #[test]
    fn every_cause_is_documented_with_its_status() {
        let document = include_str!("../../../docs/metrics.md");
        let plan = any_plan();
        for cause in Cause::ALL {
            let error = error_of(Refusal::of(cause), &plan);
            let row = document.lines().find(|line| line.starts_with(&format!("| {} |", error.status)));
            let code = format!("`{}`", error.code.as_deref().unwrap_or(cause.name()));
            assert!(row.is_some_and(|row| row.contains(&code)), "{} {code}", error.status);
        }
    }

    #[test]
    fn behaviours_are_told_the_callers_tier_and_not_asked_about_who_was_turned_away() {
        let scenario = "simwright: 1\ntiers: [{ name: gold, tenants: a }, { name: free, tenants: b }]\n\
                        models: [{ match: test, faults: [telling] }]\n";
        let generation = generation(scenario, |catalog| _ = catalog.fault.insert("telling".to_owned(), Arc::new(Make)));
        let facts = |tenant| Facts {
            tier: generation.scenario.tier_of(|| tenant),
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

    #[test]
    fn a_client_is_told_when_to_come_again_and_never_too_early() {
        let refusal = Refusal { cause: Cause::Requests, retry_after_ns: 1_000_001 };
        let error = error_of(refusal, &any_plan());
        assert_eq!((error.retry_after_ms, error.kind), (Some(2), ErrorKind::RateLimited));
        assert_eq!(error_of(Refusal::of(Cause::QueueFull), &any_plan()).retry_after_ms, None);
    }
}
