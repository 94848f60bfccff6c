//! Routes of a scenario's own: no vendor's, so bodies are whatever the scenario says, and refusals have a plain form.
//!
//! The body of a request is the prompt, as it came. What is answered is the text that the planner decided, as a whole or as server-sent
//! events, one a token.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};

use crate::dialect::json::id::{push_hex, text_of};
use crate::dialect::json::splice::{push_nullable, push_number, push_string};
use crate::dialect::openai;
use crate::dialect::{Dialect, Endpoint, ErrorReply, HeaderFacts, Inbound, ModelCard, Parsed, StreamRenderer, Voice};
use crate::random::Stream;
use crate::types::api_error::{ApiError, Cause, ErrorKind};
use crate::types::reply::{Head, StreamEvent, TextKind, WholeReply};
use crate::types::request::{Message, Operation, Request, Role, RouteTaken};

#[cfg(test)]
mod tests;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nobody's dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generic;

impl Dialect for Generic {
    fn name(&self) -> &'static str {
        "http"
    }

    fn request_id(&self, id: u64) -> String {
        text_of(|out| push_hex(out, &mut Stream::of(id), 32))
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.request_id(facts.request_id)) {
            out.insert(REQUEST_ID, id);
        }
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        let mut body = BytesMut::with_capacity(64 + error.message.len());
        body.put_slice(b"{\"error\":{\"status\":");
        push_number(&mut body, u64::from(error.status));
        body.put_slice(b",\"message\":");
        push_string(&mut body, usual(error).unwrap_or(&error.message));
        body.put_slice(b",\"code\":");
        push_nullable(&mut body, error.code.as_deref());
        body.put_slice(b"}}");
        // When to come back is said as OpenAI says it, which every proxy understands.
        ErrorReply { body: body.freeze(), ..openai::error::render(error) }
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        openai::models::list(models)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        openai::models::one(model)
    }
}

/// What `error` is called, if nothing is said of it: what others say then speaks of models.
fn usual(error: &ApiError) -> Option<&'static str> {
    let is_plain = matches!(error.cause.as_deref(), Some(Cause::Usual)) && error.code.is_none();
    let says_more = error.kind == ErrorKind::QuotaExhausted;
    StatusCode::from_u16(error.status).ok().filter(|_| is_plain && !says_more)?.canonical_reason()
}

/// All routes of a scenario.
#[derive(Debug, Clone, Copy, Default)]
pub struct Route;

impl Endpoint for Route {
    fn name(&self) -> &'static str {
        "http/route"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Generic
    }

    fn reply_id(&self, id: u64) -> String {
        Generic.request_id(id)
    }

    /// The target is the method, a space, the path and the query.
    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (method, rest) = inbound.target.split_once(' ').unwrap_or(("", inbound.target));
        let path = rest.split('?').next().unwrap_or(rest);
        let mut routes = inbound.routes.iter().enumerate();
        let Some((index, route)) = routes.find(|(_, route)| route.method.as_str() == method && route.path.fits(path)) else {
            // A generation on trial may have it, and does not answer this request.
            let status = if inbound.routes.iter().any(|route| route.path.fits(path)) { 405 } else { 404 };
            let target: String = inbound.target.chars().take(200).collect();
            return Err(ApiError::of_status(status, format!("no route for {target}")));
        };
        // A request without a body is told from others by where it goes.
        let text = if inbound.body.is_empty() { inbound.target.into() } else { String::from_utf8_lossy(&inbound.body) };
        let request = Request {
            operation: Operation::Generic,
            streams: route.is_sse,
            route: Some(Box::new(RouteTaken { index: index as u32, parameters: route.path.parameters(path) })),
            target: inbound.target.into(),
            headers: inbound.headers,
            ..Request::chat(&route.model, vec![Message::new(Role::User, text)])
        };
        let voice = Box::new(Said { status: route.status, content_type: route.content_type });
        Ok(Parsed { request: Request { body: inbound.body, ..request }, voice })
    }
}

/// How a route answers.
#[derive(Debug, Clone, Copy)]
struct Said {
    status: u16,
    content_type: &'static str,
}

impl Voice for Said {
    fn status(&self) -> u16 {
        self.status
    }

    fn whole_type(&self) -> &'static str {
        self.content_type
    }

    fn whole(&self, _head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        // Answers with these statuses have no body.
        if matches!(self.status, 204 | 205 | 304) {
            return;
        }
        let Some(choice) = reply.choices.first() else { return };
        out.put_slice(choice.content.as_bytes());
        out.put_slice(choice.refusal.as_bytes());
        choice.tool_calls.iter().for_each(|call| out.put_slice(call.arguments.as_bytes()));
    }

    fn stream(&self, _head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(Events)
    }
}

/// Server-sent events, each with the text of a token; the end of the body is the end.
struct Events;

impl StreamRenderer for Events {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Text { kind: TextKind::Content | TextKind::Refusal, text, .. } => push_data(out, text),
            StreamEvent::ToolArguments { fragment, .. } => push_data(out, fragment),
            StreamEvent::Error { message, .. } => {
                out.put_slice(b"event: error\n");
                push_data(out, message);
            }
            _ => {}
        }
    }
}

/// Appends `text` as one event: a line of its own for each of its lines.
fn push_data(out: &mut BytesMut, text: &str) {
    out.reserve(text.len() + 16);
    let mut rest = text;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes());
        out.put_slice(b"data: ");
        out.put_slice(&rest.as_bytes()[..end.unwrap_or(rest.len())]);
        out.put_u8(b'\n');
        let Some(end) = end else { break };
        let length = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + length..];
    }
    out.put_u8(b'\n');
}
