//! The headers of every answer: those of the gateway before the models, and what the caller may still ask for.
//!
//! Resets are whole seconds here, and not durations with units.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::uuid;
use crate::dialect::HeaderFacts;
use crate::types::allowance::Left;

const REQUEST_ID: HeaderName = HeaderName::from_static("apim-request-id");
const MODEL_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REGION: HeaderName = HeaderName::from_static("x-ms-region");

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
    if let Ok(id) = HeaderValue::from_str(&uuid(facts.request_id)) {
        out.insert(REQUEST_ID, id.clone());
        out.insert(MODEL_REQUEST_ID, id);
    }
    out.insert(REGION, HeaderValue::from_static("East US"));
    let Some(allowance) = &facts.allowance else { return };
    for (names, left) in [(REQUESTS, &allowance.requests), (TOKENS, &allowance.tokens)] {
        if let Some(left) = left {
            push_budget(names, left, out);
        }
    }
}

fn push_budget([limit, remaining, reset]: BudgetNames, left: &Left, out: &mut HeaderMap) {
    out.insert(limit, HeaderValue::from(left.limit));
    out.insert(remaining, HeaderValue::from(left.remaining));
    out.insert(reset, HeaderValue::from(left.reset_ns.div_ceil(1_000_000_000)));
}
