//! Streams: the same typed parse as [`json`], then a captured body, one `Bytes` for each event.
//!
//! The body is what Simwright sent in the same run, so that both write the same bytes. Having it ready favours the baseline.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures_util::stream;

use crate::baseline::{Runtime, json, serve};
use crate::load::dialect::Dialect;
use crate::load::sse::Splitter;

/// Serves the events of the file `frames` to whoever asks as clients of `dialect` do.
pub fn run(frames: &Path, dialect: Dialect, runtime: Runtime) -> Result<()> {
    let body = std::fs::read(frames).with_context(|| format!("cannot read `{}`", frames.display()))?;
    let events = split(&body);
    ensure!(!events.is_empty(), "`{}` holds no server-sent event", frames.display());
    let events: std::sync::Arc<[Bytes]> = events.into();
    let answer = move |body: Bytes| async move {
        match json::parse(dialect, &body) {
            Ok(()) => replay(events),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    };
    serve(Router::new().route(dialect.route(), post(answer)), runtime)
}

/// The events of a body, each with its blank line.
fn split(body: &[u8]) -> Vec<Bytes> {
    let end: &[u8] = if memchr::memmem::find(body, b"\r\n\r\n").is_some() { b"\r\n\r\n" } else { b"\n\n" };
    let mut events = Vec::new();
    Splitter::default().feed(body, |event| events.push(Bytes::from([event, end].concat())));
    events
}

fn replay(events: std::sync::Arc<[Bytes]>) -> Response {
    let frames = stream::iter((0..events.len()).map(move |index| Ok::<_, std::convert::Infallible>(events[index].clone())));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], Body::from_stream(frames)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replayed_events_are_the_captured_bytes() {
        for body in [&b"data: 1\n\ndata: [DONE]\n\n"[..], b"data: 1\r\n\r\ndata: 2\r\n\r\n"] {
            assert_eq!((split(body).len(), &*split(body).concat()), (2, body));
        }
    }
}
