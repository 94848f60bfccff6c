//! Batches: a file of requests, one a line, and two files of what came of them.

use bytes::{BufMut, Bytes, BytesMut};

use super::files::{self, Upload, list, page_of};
use super::{OpenAi, ids};
use crate::dialect::bulk::{Act, Batch, Bulk, Filing, Order, Outcome, Page, Problem, Spent, Stage, Task};
use crate::dialect::json::id::text_of;
use crate::dialect::json::splice::{push_number, push_string};
use crate::dialect::{Dialect, Inbound};
use crate::types::api_error::{ApiError, ErrorKind};

mod order;
mod render;
mod tasks;
#[cfg(test)]
mod tests;

/// Batches on one page of their list, unless the client says how many.
const PAGE: usize = 20;
/// Batches on one page at most.
const PAGE_MAX: usize = 100;

/// Requests in a file, to be answered within a day.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batches;

impl Bulk for Batches {
    fn name(&self) -> &'static str {
        "openai/batches"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn batch_id(&self, draw: u64) -> String {
        text_of(|out| ids::push_batch_id(out, draw))
    }

    fn order(&self, inbound: Inbound<'_>) -> Result<Order, ApiError> {
        order::read(&inbound)
    }

    fn refusal(&self, task: &Task) -> Option<ApiError> {
        let message = "Streaming is not supported in the Batch API.";
        task.streams.then(|| ApiError::invalid("stream", message).with_code("invalid_value"))
    }

    fn push_line(&self, out: &mut BytesMut, task: &Task, draw: u64, outcome: &Outcome<'_>) {
        out.put_slice(b"{\"id\": \"");
        ids::push_batch_request_id(out, draw);
        out.put_slice(b"\", \"custom_id\": ");
        push_string(out, &task.custom_id);
        let error = match outcome {
            Outcome::Answered { status, headers, body } => {
                out.put_slice(b", \"response\": {\"status_code\": ");
                push_number(out, u64::from(*status));
                out.put_slice(b", \"request_id\": ");
                let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
                push_string(out, id.unwrap_or_default());
                out.put_slice(b", \"body\": ");
                out.put_slice(body);
                out.put_slice(b"}, \"error\": null}\n");
                return;
            }
            Outcome::Broken(reason) => ("server_error", *reason),
            Outcome::Cancelled => ("batch_cancelled", "This request was not executed because the batch was cancelled."),
            Outcome::Expired => ("batch_expired", "This request could not be executed before the completion window expired."),
        };
        out.put_slice(b", \"response\": null, \"error\": {\"code\": ");
        push_string(out, error.0);
        out.put_slice(b", \"message\": ");
        push_string(out, error.1);
        out.put_slice(b"}}\n");
    }

    fn spent(&self, body: &[u8]) -> Spent {
        tasks::spent(body)
    }

    fn files(&self) -> Option<&'static dyn Filing> {
        Some(&Self)
    }

    fn render(&self, batch: &Batch, _base: &str) -> Bytes {
        render::value(batch).to_string().into()
    }

    fn render_list(&self, batches: &[Batch], has_more: bool, _base: &str) -> Bytes {
        list(batches.iter().map(render::value).collect(), has_more)
    }

    fn page(&self, query: Option<&str>) -> Result<Page, ApiError> {
        page_of(query, PAGE, PAGE_MAX).map(|(page, _)| page)
    }

    fn unfit(&self, _act: Act, stage: Stage) -> ApiError {
        ApiError::of_status(409, format!("Cannot cancel a batch with status '{}'.", render::status(stage)))
    }

    fn absent(&self, id: &str) -> ApiError {
        let id: String = id.chars().take(100).collect();
        let refusal = ApiError::of_status(404, format!("No batch found with id '{id}'."));
        ApiError { kind: ErrorKind::InvalidRequest, ..refusal }
    }
}

impl Filing for Batches {
    fn tasks(&self, order: &Order, input: &Bytes) -> Result<Vec<Task>, Vec<Problem>> {
        tasks::read(&format!("/v1{}", order.path), input)
    }

    fn left_by(&self, batch: &Batch, is_errors: bool, content: BytesMut) -> Upload {
        files::of_batch(&batch.id, is_errors, content, batch.order.leavings_s)
    }

    fn no_input(&self, id: &str) -> ApiError {
        let id: String = id.chars().take(100).collect();
        ApiError::invalid("input_file_id", format!("Invalid input file id: no file '{id}' with the purpose 'batch'."))
    }
}
