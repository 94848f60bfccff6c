//! The headers of every answer: who answered, and what the caller may still ask for.
//!
//! Resets are moments here, in RFC 3339, and not durations.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::ids;
use crate::dialect::HeaderFacts;
use crate::types::allowance::Left;

/// In which generation of the API a client speaks.
pub(super) const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ORGANIZATION: HeaderName = HeaderName::from_static("anthropic-organization-id");

/// Limit, remaining and reset of one budget.
type BudgetNames = [HeaderName; 3];
const REQUESTS: BudgetNames = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
const TOKENS: BudgetNames = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];

/// Adds what `facts` tell to `out`.
pub(super) fn push(facts: &HeaderFacts, out: &mut HeaderMap) {
    insert(out, REQUEST_ID, ids::request_id(facts.request_id).into());
    out.insert(ORGANIZATION, HeaderValue::from_static("5f0ad9c1-6d1b-4c3e-9a3e-73696d777269"));
    let Some(allowance) = &facts.allowance else { return };
    // One buffer for all values: each takes its slice of it.
    let mut buffer = BytesMut::with_capacity(160);
    for (names, left) in [(REQUESTS, &allowance.requests), (TOKENS, &allowance.tokens)] {
        if let Some(left) = left {
            push_budget(names, left, facts.now_unix_ms, &mut buffer, out);
        }
    }
}

fn push_budget(
    [limit, remaining, reset]: BudgetNames,
    left: &Left,
    now_unix_ms: u64,
    buffer: &mut BytesMut,
    out: &mut HeaderMap,
) {
    for (name, number) in [(limit, left.limit), (remaining, left.remaining)] {
        let _ = write!(buffer, "{number}");
        insert(out, name, buffer.split().freeze());
    }
    // The second that is complete by then: never too early.
    let at_s = (now_unix_ms + left.reset_ns.div_ceil(1_000_000)).div_ceil(1_000);
    let _ = write!(buffer, "{}", humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at_s)));
    insert(out, reset, buffer.split().freeze());
}

fn insert(out: &mut HeaderMap, name: HeaderName, value: Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value) {
        out.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::allowance::Allowance;

    #[test]
    fn resets_are_moments() {
        let left = |limit, remaining, ms: u64| Some(Left { limit, remaining, reset_ns: ms * 1_000_000 });
        let allowance = Some(Allowance { requests: left(50, 49, 1_200), tokens: left(400_000, 399_000, 30) });
        let mut headers = HeaderMap::new();
        push(&HeaderFacts { request_id: 1, processing_ms: 2, now_unix_ms: 1_790_000_000_000, allowance }, &mut headers);
        let values: Vec<_> = REQUESTS.iter().chain(&TOKENS).map(|name| headers[name].to_str().expect("text")).collect();
        assert_eq!(values, ["50", "49", "2026-09-21T14:13:22Z", "400000", "399000", "2026-09-21T14:13:21Z"]);
        assert!(headers[REQUEST_ID].to_str().expect("text").starts_with("req_01"));
    }
}
