//! Refusals in OpenAI's shape: an `error` object with all four keys, and the hints that its SDKs obey.

use bytes::{BufMut, BytesMut};
use http::{HeaderName, HeaderValue, header};

use crate::dialect::ErrorReply;
use crate::dialect::openai::text;
use crate::types::api_error::{ApiError, ErrorKind};

/// The answer to a refusal.
pub(super) fn render(error: &ApiError) -> ErrorReply {
    let mut out = BytesMut::with_capacity(160 + error.message.len());
    object(&mut out, error);
    let mut headers = Vec::new();
    if let Some(ms) = error.retry_after_ms {
        headers.push((header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))));
        headers.push((HeaderName::from_static("retry-after-ms"), HeaderValue::from(ms)));
    }
    ErrorReply { status: error.status, headers, body: out.freeze() }
}

/// Appends `{"error":{…}}`.
pub(super) fn object(out: &mut BytesMut, error: &ApiError) {
    let (kind, code) = kind_and_code(error);
    out.put_slice(b"{\"error\":{\"message\":");
    text::quoted(out, &error.message);
    out.put_slice(b",\"type\":");
    text::quoted(out, kind);
    out.put_slice(b",\"param\":");
    optional(out, error.param.as_deref());
    out.put_slice(b",\"code\":");
    optional(out, error.code.as_deref().or(code));
    out.put_slice(b"}}");
}

/// Appends the error event of a stream that breaks after it began.
pub(super) fn event(out: &mut BytesMut, message: &str) {
    out.put_slice(b"data: ");
    object(out, &ApiError::of_status(500, message.to_owned()));
    out.put_slice(b"\n\n");
}

fn kind_and_code(error: &ApiError) -> (&'static str, Option<&'static str>) {
    match error.kind {
        ErrorKind::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        ErrorKind::QuotaExhausted => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::Server | ErrorKind::Gateway => ("server_error", None),
        ErrorKind::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
        ErrorKind::InvalidRequest
        | ErrorKind::PermissionDenied
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::RequestTimeout
        | ErrorKind::Conflict
        | ErrorKind::TooLarge => ("invalid_request_error", None),
    }
}

fn optional(out: &mut BytesMut, value: Option<&str>) {
    match value {
        Some(value) => text::quoted(out, value),
        None => out.put_slice(b"null"),
    }
}
