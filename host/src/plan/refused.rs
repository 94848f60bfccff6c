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
