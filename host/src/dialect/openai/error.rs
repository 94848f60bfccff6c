//! Refusals in the vendor's form: the body with all four keys, and when to come back.
//!
//! `words` is the table of types and codes; a code that the refusal brings itself counts before the table's.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use http::HeaderValue;
use http::header::{HeaderName, RETRY_AFTER};

use super::words::of_cause;
use crate::dialect::ErrorReply;
use crate::dialect::json::splice::{push_nullable, push_string};
use crate::types::api_error::{ApiError, Cause, ErrorKind, RetryForm};

/// The four values of an error's body.
pub(super) struct Said<'a> {
    pub(super) message: Cow<'a, str>,
    pub(super) kind: &'static str,
    pub(super) param: Option<Cow<'a, str>>,
    pub(super) code: Option<Cow<'a, str>>,
}

/// What the vendor says of `error`.
pub(super) fn said(error: &ApiError) -> Said<'_> {
    let (mut kind, code) = words(error);
    if matches!(error.cause.as_deref(), Some(Cause::TooManyTokens { .. })) {
        kind = "max_tokens_per_request";
    }
    match error.cause.as_deref().and_then(of_cause) {
        Some(worded) => Said {
            message: worded.message.into(),
            kind,
            param: worded.param.map(Cow::Owned),
            code: worded.code.or(code).map(Cow::Borrowed),
        },
        None => Said {
            message: Cow::Borrowed(&error.message),
            kind,
            param: error.param.as_deref().map(Cow::Borrowed),
            code: error.code.as_deref().or(code).map(Cow::Borrowed),
        },
    }
}

/// The answer to `error`.
pub(in crate::dialect) fn render(error: &ApiError) -> ErrorReply {
    let Said { message, kind, param, code } = said(error);
    let mut body = BytesMut::with_capacity(128 + message.len());
    body.put_slice(b"{\"error\":{\"message\":");
    push_string(&mut body, &message);
    body.put_slice(b",\"type\":");
    push_string(&mut body, kind);
    body.put_slice(b",\"param\":");
    push_nullable(&mut body, param.as_deref());
    body.put_slice(b",\"code\":");
    push_nullable(&mut body, code.as_deref());
    body.put_slice(b"}}");
    let mut headers = Vec::new();
    if let Some(ms) = error.retry_after_ms {
        // Whole seconds as documented, at least one; the exact time for clients that know the second header. A date needs a clock, so
        // the door writes it.
        if matches!(error.retry_form, RetryForm::Both | RetryForm::Seconds) {
            headers.push((RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))));
        }
        if matches!(error.retry_form, RetryForm::Both | RetryForm::Milliseconds) {
            headers.push((HeaderName::from_static("retry-after-ms"), HeaderValue::from(ms)));
        }
    }
    if let Some(should_retry) = error.should_retry {
        let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
        headers.push((HeaderName::from_static("x-should-retry"), value));
    }
    ErrorReply { status: error.status, headers, body: body.freeze() }
}

/// The vendor's type and its usual code for a kind of refusal.
fn words(error: &ApiError) -> (&'static str, Option<&'static str>) {
    match error.kind {
        ErrorKind::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::NotFound => ("invalid_request_error", Some("model_not_found")),
        // One kind of rate limit has a type of its own: the load rose too fast, although it is within the limits.
        ErrorKind::RateLimited if error.code.as_deref() == Some("slow_down") => ("rate_limit_error", None),
        ErrorKind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        ErrorKind::TokensLimited => ("tokens", Some("rate_limit_exceeded")),
        ErrorKind::QuotaExhausted => ("insufficient_quota", Some("credit_balance_exhausted")),
        ErrorKind::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
        ErrorKind::Server | ErrorKind::Gateway => ("server_error", None),
        ErrorKind::InvalidRequest
        | ErrorKind::PermissionDenied
        | ErrorKind::MethodNotAllowed
        | ErrorKind::RequestTimeout
        | ErrorKind::Conflict
        | ErrorKind::TooLarge => ("invalid_request_error", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &ApiError) -> String {
        String::from_utf8(render(error).body.to_vec()).unwrap()
    }

    #[test]
    fn all_four_keys_are_always_there() {
        insta::assert_snapshot!(
            body(&ApiError::of_status(500, "it \"broke\"")),
            @r#"{"error":{"message":"it \"broke\"","type":"server_error","param":null,"code":null}}"#
        );
        insta::assert_snapshot!(
            body(&ApiError::invalid("messages[0].role", "no").with_code("invalid_value")),
            @r#"{"error":{"message":"no","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}"#
        );
    }

    #[test]
    fn each_status_has_the_vendors_type_and_code() {
        let table = [
            (401, "invalid_request_error", Some("invalid_api_key")),
            (403, "invalid_request_error", None),
            (404, "invalid_request_error", Some("model_not_found")),
            (429, "requests", Some("rate_limit_exceeded")),
            (500, "server_error", None),
            (502, "server_error", None),
            (503, "service_unavailable_error", Some("server_is_overloaded")),
        ];
        for (status, kind, code) in table {
            assert_eq!(words(&ApiError::of_status(status, "")), (kind, code), "status {status}");
        }
    }

    #[test]
    fn retry_hints_round_up_to_whole_seconds() {
        let hints = |ms| {
            let error = ApiError { retry_after_ms: Some(ms), ..ApiError::of_status(429, "") };
            let headers = render(&error).headers;
            headers.iter().map(|(_, value)| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(hints(1_001), ["2", "1001"]);
        assert_eq!(hints(1_000), ["1", "1000"]);
        assert_eq!(hints(5), ["1", "5"]);
        assert!(render(&ApiError::of_status(429, "")).headers.is_empty());
    }

    #[test]
    fn a_hint_comes_in_the_form_that_is_asked_for() {
        let headers = |retry_form, should_retry| {
            let error = ApiError { retry_after_ms: Some(1_500), retry_form, should_retry, ..ApiError::of_status(429, "") };
            let headers = render(&error).headers.into_iter();
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(headers(RetryForm::Seconds, None), "retry-after: 2");
        assert_eq!(headers(RetryForm::Milliseconds, Some(true)), "retry-after-ms: 1500, x-should-retry: true");
        assert_eq!(headers(RetryForm::Date, Some(false)), "x-should-retry: false");
    }

    #[test]
    fn each_kind_of_429_has_a_type_and_a_code_of_its_own() {
        let slow_down = ApiError::of_status(429, "").with_code("slow_down");
        assert!(body(&slow_down).ends_with(r#""type":"rate_limit_error","param":null,"code":"slow_down"}}"#));
        let quota = ApiError { kind: ErrorKind::QuotaExhausted, ..ApiError::of_status(429, "") };
        assert!(body(&quota).ends_with(r#""type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}"#));
    }
}
