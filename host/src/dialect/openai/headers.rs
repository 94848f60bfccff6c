//! The headers of every answer: who answered, how quickly, and what the caller may still ask for.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::ids;
use crate::dialect::HeaderFacts;
use crate::dialect::json::splice::push_number;
use crate::types::allowance::Left;

// Constants, because a name that is made anew is also checked anew.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// Limit, remaining and reset of one budget.
type BudgetNames = [HeaderName; 3];
const REQUESTS: BudgetNames = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: BudgetNames = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Adds what `facts` tell to `out`.
pub(super) fn push(facts: &HeaderFacts, out: &mut HeaderMap) {
    // One buffer for all values that must be written: each takes its slice of it.
    let mut buffer = BytesMut::with_capacity(128);
    ids::push_request_id(&mut buffer, facts.request_id);
    insert(out, REQUEST_ID, buffer.split().freeze());
    out.insert(PROCESSING_MS, HeaderValue::from(facts.processing_ms));
    out.insert(VERSION, HeaderValue::from_static("2020-10-01"));
    out.insert(ORGANIZATION, HeaderValue::from_static("simwright"));
    if let Some(allowance) = &facts.allowance {
        for (names, left) in [(REQUESTS, &allowance.requests), (TOKENS, &allowance.tokens)] {
            if let Some(left) = left {
                push_budget(names, left, &mut buffer, out);
            }
        }
    }
}

fn push_budget([limit, remaining, reset]: BudgetNames, left: &Left, buffer: &mut BytesMut, out: &mut HeaderMap) {
    let mut number = |name, number: u32| {
        push_number(buffer, u64::from(number));
        insert(out, name, buffer.split().freeze());
    };
    number(limit, left.limit);
    number(remaining, left.remaining);
    push_duration(buffer, left.reset_ns);
    insert(out, reset, buffer.split().freeze());
}

fn insert(out: &mut HeaderMap, name: HeaderName, value: Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value) {
        out.insert(name, value);
    }
}

/// A duration as Go prints it, in whole milliseconds rounded up: `6ms`, `1.5s`, `6m0s`.
fn push_duration(out: &mut BytesMut, ns: u64) {
    let ms = ns.div_ceil(1_000_000);
    let (minutes, s, rest) = (ms / 60_000, ms / 1_000 % 60, ms % 1_000);
    if (minutes, s) == (0, 0) {
        push_number(out, rest);
        return out.put_slice(b"ms");
    }
    if minutes > 0 {
        push_number(out, minutes);
        out.put_u8(b'm');
    }
    push_number(out, s);
    if rest > 0 {
        let digits = [rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8);
        out.put_u8(b'.');
        out.put_slice(match digits {
            [_, b'0', b'0'] => &digits[..1],
            [_, _, b'0'] => &digits[..2],
            _ => &digits,
        });
    }
    out.put_u8(b's');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::allowance::Allowance;

    #[test]
    fn durations_look_as_the_vendor_writes_them() {
        for (ms, shown) in
            [(0, "0ms"), (6, "6ms"), (1_000, "1s"), (1_500, "1.5s"), (23_298, "23.298s"), (360_000, "6m0s"), (61_020, "1m1.02s")]
        {
            let mut out = BytesMut::new();
            push_duration(&mut out, ms * 1_000_000);
            assert_eq!(out, shown.as_bytes());
        }
    }

    #[test]
    fn both_budgets_are_told_where_there_are_any() {
        let left = |limit, remaining, ms: u64| Some(Left { limit, remaining, reset_ns: ms * 1_000_000 });
        let allowance = Some(Allowance { requests: left(10_000, 9_999, 6), tokens: left(2_000_000, 1_999_000, 30) });
        let mut headers = HeaderMap::new();
        push(&HeaderFacts { request_id: 1, processing_ms: 2, now_unix_ms: 0, allowance }, &mut headers);
        let values: Vec<_> = REQUESTS.iter().chain(&TOKENS).map(|name| headers[name].to_str().expect("text")).collect();
        assert_eq!(values, ["10000", "9999", "6ms", "2000000", "1999000", "30ms"]);
        let mut headers = HeaderMap::new();
        push(&HeaderFacts { request_id: 1, processing_ms: 2, now_unix_ms: 0, allowance: None }, &mut headers);
        assert!(!headers.contains_key(&REQUESTS[0]));
    }
}
