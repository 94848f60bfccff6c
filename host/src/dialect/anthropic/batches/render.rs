//! A batch as clients see it.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::bulk::{Batch, Stage};

/// `batch` as JSON; its results are below `base`.
pub(super) fn value(batch: &Batch, base: &str) -> Value {
    let Batch { id, moments, tally, .. } = batch;
    let has_ended = batch.stage.is_over();
    let status = match batch.stage {
        _ if has_ended => "ended",
        Stage::Cancelling => "canceling",
        _ if moments.cancelling.is_some() => "canceling",
        _ => "in_progress",
    };
    // Until all of it is over, every request counts as under way.
    let counted = |number: u32| if has_ended { number } else { 0 };
    json!({
        "id": id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            "processing": if has_ended { 0 } else { tally.total },
            "succeeded": counted(tally.succeeded),
            "errored": counted(tally.failed),
            "canceled": counted(tally.cancelled),
            "expired": counted(tally.expired),
        },
        "ended_at": moments.ended.map(date),
        "created_at": date(moments.created),
        "expires_at": date(moments.expires),
        "archived_at": null,
        "cancel_initiated_at": moments.cancelling.map(date),
        "results_url": has_ended.then(|| format!("{base}/messages/batches/{id}/results")),
    })
}

/// A page of the list of batches.
pub(super) fn list(batches: &[Batch], has_more: bool, base: &str) -> Bytes {
    let data: Vec<Value> = batches.iter().map(|batch| value(batch, base)).collect();
    let id = |batch: Option<&Batch>| batch.map(|batch| batch.id.clone());
    let (first, last) = (id(batches.first()), id(batches.last()));
    json!({ "data": data, "has_more": has_more, "first_id": first, "last_id": last }).to_string().into()
}

fn date(unix_s: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_s)).to_string()
}
