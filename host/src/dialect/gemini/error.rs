//! Refusals in the vendor's form: a code, a sentence, the name of the status, and when to come back as a detail.

use bytes::{BufMut, BytesMut};
use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::words;
use crate::dialect::ErrorReply;
use crate::dialect::json::splice::{push_number, push_string};
use crate::types::api_error::{ApiError, RetryForm};

/// The answer to `error`.
pub(super) fn render(error: &ApiError) -> ErrorReply {
    rendered(error, b"", b"")
}

/// The same as a list of one.
pub(super) fn render_listed(error: &ApiError) -> ErrorReply {
    rendered(error, b"[", b"]")
}

fn rendered(error: &ApiError, before: &[u8], after: &[u8]) -> ErrorReply {
    let mut body = BytesMut::with_capacity(192 + error.message.len());
    body.put_slice(before);
    push(&mut body, error.status, &words::of(error), error.retry_after_ms, words::violated(error).as_deref());
    body.put_slice(after);
    let mut headers = Vec::new();
    // The vendor itself says it in the body alone; the header is there where a scenario asks for just that.
    if let (Some(ms), RetryForm::Seconds) = (error.retry_after_ms, error.retry_form) {
        headers.push((RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))));
    }
    ErrorReply { status: error.status, headers, body: body.freeze() }
}

/// Appends the body of a refusal; `field` is what its details name as wrong, empty for the body itself.
pub(super) fn push(out: &mut BytesMut, status: u16, message: &str, retry_after_ms: Option<u32>, field: Option<&str>) {
    out.put_slice(b"{\"error\":{\"code\":");
    push_number(out, u64::from(status));
    out.put_slice(b",\"message\":");
    push_string(out, message);
    out.put_slice(b",\"status\":\"");
    out.put_slice(status_name(status).as_bytes());
    out.put_u8(b'"');
    if let Some(field) = field {
        out.put_slice(b",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{");
        if !field.is_empty() {
            out.put_slice(b"\"field\":");
            push_string(out, field);
            out.put_u8(b',');
        }
        out.put_slice(b"\"description\":");
        push_string(out, message);
        out.put_slice(b"}]}]");
    } else if let Some(ms) = retry_after_ms {
        out.put_slice(b",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"");
        push_number(out, u64::from(ms / 1_000));
        if ms % 1_000 > 0 {
            out.put_slice(format!(".{:03}", ms % 1_000).as_bytes());
        }
        out.put_slice(b"s\"}]");
    }
    out.put_slice(b"}}");
}

/// The vendor's name for an HTTP status (google.rpc.Code).
fn status_name(status: u16) -> &'static str {
    match status {
        400 | 413 | 422 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        405 | 501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::api_error::Cause;

    fn body(error: &ApiError) -> String {
        String::from_utf8(render(error).body.to_vec()).unwrap()
    }

    #[test]
    fn a_refusal_has_code_status_and_when_to_come_back() {
        let error = ApiError { retry_after_ms: Some(34_500), ..ApiError::of_status(429, "Quota.") };
        insta::assert_snapshot!(
            body(&error),
            @r#"{"error":{"code":429,"message":"Quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.500s"}]}}"#
        );
        insta::assert_snapshot!(
            body(&ApiError::because(Cause::Overloaded, 503, "full")),
            @r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#
        );
        assert!(body(&ApiError::unknown_model("x")).contains("models/x is not found"));
        assert!(body(&ApiError::because(Cause::Usual, 504, "ours")).contains("Deadline expired"));
        assert!(body(&ApiError::because(Cause::Usual, 418, "ours")).contains("ours"));
    }
}
