//! Refusals in the vendor's form: the type that its SDKs turn into classes, a sentence, and the request's id.

use bytes::{BufMut, BytesMut};
use http::HeaderValue;
use http::header::{HeaderName, RETRY_AFTER};

use super::{ids, words};
use crate::dialect::ErrorReply;
use crate::dialect::json::splice::push_string;
use crate::types::api_error::{ApiError, Cause, ErrorKind, RetryForm};

/// The status for "more load than there is room for".
const OVERLOADED: u16 = 529;

/// The answer to `error`, of the request that is drawn from `request_id`.
pub(super) fn render(error: &ApiError, request_id: u64) -> ErrorReply {
    let mut body = BytesMut::with_capacity(160 + error.message.len());
    body.put_slice(b"{\"type\":\"error\",\"error\":{\"type\":\"");
    body.put_slice(type_of(error).as_bytes());
    body.put_slice(b"\",\"message\":");
    push_string(&mut body, &words::of(error));
    if let Some(code) = code_of(error) {
        body.put_slice(b",\"details\":{\"error_code\":");
        push_string(&mut body, code);
        body.put_u8(b'}');
    }
    body.put_slice(b"},\"request_id\":");
    push_string(&mut body, &ids::request_id(request_id));
    body.put_u8(b'}');
    let is_overload = error.status == 503 && error.cause.as_deref() == Some(&Cause::Overloaded);
    ErrorReply { status: if is_overload { OVERLOADED } else { error.status }, headers: hints(error), body: body.freeze() }
}

/// When to come back, in the headers that are asked for. A date needs a clock, so the door writes it.
fn hints(error: &ApiError) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    if let Some(ms) = error.retry_after_ms {
        if matches!(error.retry_form, RetryForm::Both | RetryForm::Seconds) {
            headers.push((RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))));
        }
        if error.retry_form == RetryForm::Milliseconds {
            headers.push((HeaderName::from_static("retry-after-ms"), HeaderValue::from(ms)));
        }
    }
    if let Some(should_retry) = error.should_retry {
        let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
        headers.push((HeaderName::from_static("x-should-retry"), value));
    }
    headers
}

/// The vendor's code for a refusal, which most have not: ours of the same meaning are translated, and a scenario's own are shown.
fn code_of(error: &ApiError) -> Option<&str> {
    match error.code.as_deref() {
        None if error.kind == ErrorKind::QuotaExhausted => Some("enforced_spend_limit_reached"),
        Some("slow_down") => Some("ramp_limit_exceeded"),
        // The sentence alone tells what these do.
        Some("context_length_exceeded" | "unknown_url") => None,
        _ if error.cause.as_deref().is_some_and(|cause| *cause != Cause::Usual) => None,
        code => code,
    }
}

/// The vendor's type for a refusal.
fn type_of(error: &ApiError) -> &'static str {
    match (error.status, error.kind) {
        (402, _) => "billing_error",
        (504, _) => "timeout_error",
        (_, ErrorKind::Authentication) => "authentication_error",
        (_, ErrorKind::PermissionDenied) => "permission_error",
        (_, ErrorKind::NotFound) => "not_found_error",
        (_, ErrorKind::Conflict) => "conflict_error",
        (_, ErrorKind::TooLarge) => "request_too_large",
        (_, ErrorKind::RateLimited | ErrorKind::TokensLimited | ErrorKind::QuotaExhausted) => "rate_limit_error",
        (OVERLOADED, _) | (_, ErrorKind::Overloaded) => "overloaded_error",
        (_, ErrorKind::Server | ErrorKind::Gateway) => "api_error",
        (_, ErrorKind::InvalidRequest | ErrorKind::MethodNotAllowed | ErrorKind::RequestTimeout) => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &ApiError) -> String {
        String::from_utf8(render(error, 7).body.to_vec()).unwrap()
    }

    #[test]
    fn each_status_has_the_vendors_type() {
        let table = [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (409, "conflict_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ];
        for (status, kind) in table {
            assert_eq!(type_of(&ApiError::of_status(status, "")), kind, "status {status}");
        }
    }

    #[test]
    fn a_spent_budget_says_that_waiting_does_not_help() {
        let spent = ApiError { kind: ErrorKind::QuotaExhausted, ..ApiError::of_status(429, "Spent.") };
        assert!(
            body(&spent)
                .contains(r#""message":"Spent.","details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_01"#)
        );
        assert!(render(&spent, 7).headers.is_empty());
    }

    #[test]
    fn a_load_that_rises_too_fast_has_the_vendors_code() {
        let fast = ApiError { code: Some("slow_down".into()), ..ApiError::of_status(429, "Slower.") };
        assert!(
            body(&fast)
                .contains(r#""type":"rate_limit_error","message":"Slower.","details":{"error_code":"ramp_limit_exceeded"}"#)
        );
        let long = ApiError::because(
            Cause::PromptTooLong { tokens: 9, window: 8, operation: crate::types::request::Operation::Chat },
            400,
            "",
        )
        .with_code("context_length_exceeded");
        assert!(body(&long).contains(r#""message":"prompt is too long: 9 tokens > 8 maximum"},"request_id""#));
    }

    #[test]
    fn who_asks_for_a_status_and_nothing_else_gets_the_vendors_words() {
        let usual = |status| body(&ApiError::because(Cause::Usual, status, "ours"));
        assert!(usual(401).contains(r#""message":"invalid x-api-key""#));
        assert!(usual(529).contains(r#""message":"Overloaded""#));
        assert!(usual(418).contains(r#""message":"ours""#));
    }

    #[test]
    fn a_server_without_room_is_overloaded_and_a_503_that_is_asked_for_stays_one() {
        let full = ApiError::because(Cause::Overloaded, 503, "full");
        assert_eq!(
            (render(&full, 7).status, body(&full).contains(r#""type":"overloaded_error","message":"Overloaded""#)),
            (529, true)
        );
        assert_eq!(render(&ApiError::of_status(503, "down"), 7).status, 503);
    }
}
