//! A batch as clients see it.

use serde_json::{Map, Value, json};

use crate::dialect::bulk::{Batch, Input, Stage};

/// The vendor's word for `stage`.
pub(super) fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Validating => "validating",
        Stage::Failed => "failed",
        Stage::InProgress => "in_progress",
        Stage::Cancelling => "cancelling",
        Stage::Finalizing => "finalizing",
        Stage::Completed => "completed",
        Stage::Expired => "expired",
        Stage::Cancelled => "cancelled",
    }
}

/// `batch` as JSON.
pub(super) fn value(batch: &Batch) -> Value {
    let Batch { order, moments, tally, spent, .. } = batch;
    let ended = |stage| if batch.stage == stage { moments.ended } else { None };
    let input = if let Input::File(id) = &order.input { &**id } else { "" };
    let metadata: Map<String, Value> = order.metadata.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let problem = |problem: &crate::dialect::bulk::Problem| json!({ "code": problem.code, "message": problem.message, "param": problem.param, "line": problem.line });
    let problems: Vec<Value> = batch.problems.iter().map(problem).collect();
    json!({
        "id": batch.id,
        "object": "batch",
        "endpoint": format!("/v1{}", order.path),
        "model": batch.model,
        "errors": if problems.is_empty() { Value::Null } else { json!({ "object": "list", "data": problems }) },
        "input_file_id": input,
        "completion_window": "24h",
        "status": status(batch.stage),
        "output_file_id": batch.output,
        "error_file_id": batch.errors,
        "created_at": moments.created,
        "in_progress_at": moments.began,
        "expires_at": moments.expires,
        "finalizing_at": moments.finalizing,
        "completed_at": ended(Stage::Completed),
        "failed_at": ended(Stage::Failed),
        "expired_at": ended(Stage::Expired),
        "cancelling_at": moments.cancelling,
        "cancelled_at": ended(Stage::Cancelled),
        "request_counts": {
            "total": tally.total,
            "completed": tally.succeeded,
            "failed": tally.total_failed(),
        },
        "usage": {
            "input_tokens": spent.input,
            "input_tokens_details": { "cached_tokens": spent.cached },
            "output_tokens": spent.output,
            "output_tokens_details": { "reasoning_tokens": spent.reasoning },
            "total_tokens": spent.input + spent.output,
        },
        "metadata": if metadata.is_empty() { Value::Null } else { Value::Object(metadata) },
    })
}
