//! `client:`, what is done about failures. What it leaves open is as the official SDKs have it.

use serde_json::Value;

use crate::types::fields::Fields;
use crate::types::limits::{CLIENT_BACKOFF_FACTOR_MAX, CLIENT_RETRIES_MAX};
use crate::types::problem::Problem;
use crate::workload::client::Client;

/// Reads the section `value`, which lies at `pointer`.
pub(super) fn read(value: &Value, pointer: &str) -> Result<Client, Vec<Problem>> {
    let sdk = Client::default();
    let mut fields = Fields::of(value, pointer);
    let retries = fields.integer("retries", 0..=u64::from(CLIENT_RETRIES_MAX)).map_or(sdk.retries, |retries| retries as u32);
    let obeys = fields.flag("obey-retry-after").unwrap_or(true);
    let longest = ns(&mut fields, "longest-retry-after");
    if !obeys && longest.is_some() {
        fields.problem("longest-retry-after", "`obey-retry-after: false` obeys none; leave one of the two out");
    }
    let obeys_up_to_ns = if obeys { longest.unwrap_or(sdk.obeys_up_to_ns) } else { 0 };
    let timeout_ns = ns(&mut fields, "timeout");
    if timeout_ns == Some(0) {
        fields.problem("timeout", "no answer comes in no time; give for example `30s`");
    }
    let retry_budget = fields.share("retry-budget");
    let mut client = Client { retries, obeys_up_to_ns, timeout_ns, retry_budget, ..sdk };
    if let Some(value) = fields.value("backoff") {
        let mut backoff = Fields::of(value, fields.pointer("backoff"));
        client.first_ns = ns(&mut backoff, "first").unwrap_or(client.first_ns);
        client.factor = backoff.number("factor", 1.0..=CLIENT_BACKOFF_FACTOR_MAX).unwrap_or(client.factor);
        let max = ns(&mut backoff, "max");
        client.max_ns = max.unwrap_or(client.max_ns.max(client.first_ns));
        if max.is_some_and(|max| max < client.first_ns) {
            backoff.problem("max", "`max` is shorter than `first`; give the larger of the two as `max`");
        }
        client.jitter = backoff.share("jitter").unwrap_or(client.jitter);
        fields.extend(backoff.finish());
    }
    let problems = fields.finish();
    if problems.is_empty() { Ok(client) } else { Err(problems) }
}

fn ns(fields: &mut Fields<'_>, name: &'static str) -> Option<u64> {
    fields.duration_us(name).map(|us| us.saturating_mul(1_000))
}
