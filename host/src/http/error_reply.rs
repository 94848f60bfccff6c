//! Turns a refusal into a response in the caller's dialect: the only place that does.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::dialect::{Dialect, HeaderFacts};
use crate::http::body::ReplyBody;
use crate::types::api_error::{ApiError, RetryForm};

/// Marks every response of the data door's, so that a simulator is never mistaken for the vendor.
pub const MARK: HeaderName = HeaderName::from_static("x-simwright-generation");
/// Names the behaviours whose fallback had to answer.
pub const FALLBACK: HeaderName = HeaderName::from_static("x-simwright-fallback");

/// The response to a refused request.
pub fn respond(error: &ApiError, dialect: &dyn Dialect, facts: &HeaderFacts, generation: u64) -> Response<ReplyBody> {
    let reply = dialect.render_error(error, facts.request_id);
    let mut response = Response::new(ReplyBody::Plain(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    dialect.headers(facts, headers);
    reply.headers.into_iter().for_each(|(name, value)| {
        headers.insert(name, value);
    });
    if let (Some(ms), RetryForm::Date) = (error.retry_after_ms, error.retry_form) {
        headers.insert(header::RETRY_AFTER, date(facts.now_unix_ms + u64::from(ms)));
    }
    mark(headers, generation);
    response
}

/// The second that is complete at `unix_ms`, as HTTP writes dates: never too early.
fn date(unix_ms: u64) -> HeaderValue {
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix_ms.div_ceil(1_000)));
    HeaderValue::from_str(&date).unwrap_or(HeaderValue::from_static("0"))
}

/// Marks a response as the simulator's.
pub fn mark(headers: &mut HeaderMap, generation: u64) {
    headers.insert(MARK, HeaderValue::from(generation));
}

/// Names the behaviours whose fallback had to answer, if there are any.
pub fn mark_fallbacks(headers: &mut HeaderMap, behaviours: &[&'static str]) {
    if behaviours.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&behaviours.join(", ")) {
        headers.insert(FALLBACK, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_next_whole_second() {
        assert_eq!(date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(784_111_776_001), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
