//! Message batches: requests in one body, and their results as lines.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Anthropic, ids, page};
use crate::dialect::bulk::{Act, Batch, Bulk, Order, Outcome, Page, Spent, Stage, Task};
use crate::dialect::json::id::text_of;
use crate::dialect::json::splice::push_string;
use crate::dialect::{Dialect, Inbound};
use crate::types::api_error::ApiError;

mod order;
mod render;
#[cfg(test)]
mod tests;

/// Conversations to continue, to be answered within a day.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessageBatches;

impl Bulk for MessageBatches {
    fn name(&self) -> &'static str {
        "anthropic/batches"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Anthropic
    }

    fn batch_id(&self, draw: u64) -> String {
        text_of(|out| ids::push_batch_id(out, draw))
    }

    fn order(&self, inbound: Inbound<'_>) -> Result<Order, ApiError> {
        order::read(&inbound)
    }

    fn refusal(&self, task: &Task) -> Option<ApiError> {
        task.streams.then(|| ApiError::of_status(400, "stream: Streaming is not supported in message batches"))
    }

    fn push_line(&self, out: &mut BytesMut, task: &Task, draw: u64, outcome: &Outcome<'_>) {
        out.put_slice(b"{\"custom_id\":");
        push_string(out, &task.custom_id);
        out.put_slice(b",\"result\":{\"type\":\"");
        match outcome {
            Outcome::Answered { status: 200, body, .. } => {
                out.put_slice(b"succeeded\",\"message\":");
                out.put_slice(body);
            }
            Outcome::Answered { body, .. } => {
                out.put_slice(b"errored\",\"error\":");
                out.put_slice(body);
            }
            Outcome::Broken(reason) => {
                out.put_slice(b"errored\",\"error\":");
                out.put_slice(&Anthropic.render_error(&ApiError::of_status(500, *reason), draw).body);
            }
            Outcome::Cancelled => out.put_slice(b"canceled\""),
            Outcome::Expired => out.put_slice(b"expired\""),
        }
        out.put_slice(b"}}\n");
    }

    fn spent(&self, _body: &[u8]) -> Spent {
        // The vendor does not add them up.
        Spent::default()
    }

    fn render(&self, batch: &Batch, base: &str) -> Bytes {
        render::value(batch, base).to_string().into()
    }

    fn render_list(&self, batches: &[Batch], has_more: bool, base: &str) -> Bytes {
        render::list(batches, has_more, base)
    }

    fn page(&self, query: Option<&str>) -> Result<Page, ApiError> {
        page::of(query, false)
    }

    fn render_deleted(&self, id: &str) -> Option<Bytes> {
        Some(serde_json::json!({ "id": id, "type": "message_batch_deleted" }).to_string().into())
    }

    fn unfit(&self, act: Act, stage: Stage) -> ApiError {
        match act {
            Act::Results if stage.is_over() => ApiError::of_status(404, "The results of this batch are no longer kept"),
            Act::Results => ApiError::of_status(404, "This batch has no results yet: its processing has not ended"),
            Act::Delete => ApiError::of_status(400, "This batch is still being processed; cancel it before it is deleted"),
            _ => ApiError::of_status(400, "This batch cannot be canceled: its processing has ended"),
        }
    }

    fn absent(&self, id: &str) -> ApiError {
        let id: String = id.chars().take(100).collect();
        ApiError::of_status(404, format!("No message batch found with id {id}"))
    }
}
