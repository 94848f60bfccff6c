//! What a client is told that a station turned away.

use std::borrow::Cow;

use crate::plan::Plan;
use crate::station::{Cause, Refusal};
use crate::types::api_error::{ApiError, ErrorKind};

/// The refusal of the request that `plan` answers, in no vendor's words. Its code is the cause's word, except that of a prompt that is
/// too long: clients know that one by the vendor's code.
pub fn error_of(refusal: Refusal, plan: &Plan) -> ApiError {
    let (status, message): (u16, Cow<'static, str>) = match refusal.cause {
        Cause::Requests => (429, "Rate limit reached for requests. Please try again later.".into()),
        Cause::Tokens => (429, "Rate limit reached for tokens. Please try again later.".into()),
        Cause::Concurrency => (429, "Too many requests at a time. Please try again later.".into()),
        Cause::QueueFull => (503, "The server is currently overloaded: its queue is full. Please try again later.".into()),
        Cause::QueueTimeout => {
            (503, "The server is currently overloaded: the request waited too long. Please try again later.".into())
        }
        Cause::PoolTimeout => (503, "The server is currently overloaded: no connection came free in time.".into()),
        Cause::BreakerOpen => (503, "The service is temporarily unavailable. Please try again later.".into()),
        Cause::NoReplica => (503, "The service is temporarily unavailable: no server is ready for the request.".into()),
        Cause::Budget | Cause::Lost => (504, "The upstream server did not answer in time.".into()),
        Cause::StageFailed => (500, "The server had an error while processing your request. Sorry about that!".into()),
        Cause::TooLong => return too_long(plan),
    };
    let retry_after_ms = match refusal.retry_after_ns {
        0 => None,
        ns => Some(u32::try_from(ns.div_ceil(1_000_000)).unwrap_or(u32::MAX)),
    };
    ApiError { retry_after_ms, ..ApiError::of_status(status, message) }.with_code(refusal.cause.name())
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

    use super::*;
    use crate::builtin::testing;
    use crate::plan::build::testing::generation;
    use crate::plan::identity::Identity;
    use crate::plan::planner::{Facts, plan};

    fn any_plan() -> Plan {
        let generation = generation("simwright: 1\nmodels: [{ match: test }]", |_| {});
        let identity = Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 };
        plan(&generation, 0, &Arc::new(testing::request("hi")), &Facts::first(identity))
    }

    #[test]
    fn every_cause_is_documented_with_its_status() {
        let document = include_str!("../../../docs/metrics.md");
        let plan = any_plan();
        for cause in Cause::ALL {
            let error = error_of(Refusal::of(cause), &plan);
            let row = document.lines().find(|line| line.starts_with(&format!("| {} |", error.status)));
            let code = format!("`{}`", error.code.as_deref().unwrap_or_default());
            assert!(row.is_some_and(|row| row.contains(&code)), "{} {code}", error.status);
        }
    }

    #[test]
    fn a_client_is_told_when_to_come_again_and_never_too_early() {
        let refusal = Refusal { cause: Cause::Requests, retry_after_ns: 1_000_001 };
        let error = error_of(refusal, &any_plan());
        assert_eq!((error.retry_after_ms, error.kind), (Some(2), ErrorKind::RateLimited));
        assert_eq!(error_of(Refusal::of(Cause::QueueFull), &any_plan()).retry_after_ms, None);
    }
}
