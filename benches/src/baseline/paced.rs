//! Paced streams as a careful axum user would write them: absolute deadlines, one tokio timer per token, nothing chained.
//!
//! Lateness is taken where the frame is made, that is before it reaches the socket, which favours this baseline. It is shown at
//! `/lateness` under Simwright's metric name and with Simwright's buckets, so that both are read in one way.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;

use crate::baseline::{Runtime, json, serve};
use crate::clock;
use crate::load::dialect::Dialect;

/// The metric that both servers keep.
pub const LATENESS: &str = "simwright_pacing_lateness_seconds";
/// The gauge that both servers keep.
pub const RUNNING: &str = "simwright_requests_running";

/// Upper bounds in nanoseconds, as in Simwright.
const BOUNDS_NS: [u64; 15] = [
    25_000,
    50_000,
    100_000,
    200_000,
    300_000,
    500_000,
    750_000,
    1_000_000,
    1_500_000,
    2_000_000,
    3_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
];

const TOKEN: &[u8] = b"data: {\"id\":\"chatcmpl-baseline0000000000000000\",\"object\":\"chat.completion.chunk\",\
    \"created\":1767225600,\"model\":\"bench\",\"system_fingerprint\":\"fp_0000000000\",\"choices\":[{\"index\":0,\
    \"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// When tokens leave.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the request to the first token, in nanoseconds.
    pub first_ns: u64,
    /// From one token to the next, in nanoseconds.
    pub between_ns: u64,
    /// Tokens of one stream.
    pub tokens: u32,
}

/// Counts of lateness by bucket, and streams that are open.
#[derive(Debug, Default)]
struct Record {
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    running: AtomicU64,
}

impl Record {
    fn late(&self, late_ns: u64) {
        self.buckets[BOUNDS_NS.partition_point(|bound| *bound < late_ns)].fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let (mut text, mut count) = (String::new(), 0);
        for (index, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS_NS.get(index).map_or("+Inf".to_owned(), |bound| (*bound as f64 / 1e9).to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{LATENESS}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(text, "{RUNNING} {}", self.running.load(Ordering::Relaxed));
        text
    }
}

/// One open stream; counted as running for as long as it lives.
struct Open {
    record: Arc<Record>,
    start_ns: u64,
    sent: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves paced streams.
pub fn run(pace: Pace, runtime: Runtime) -> Result<()> {
    let record = Arc::new(Record::default());
    let shown = Arc::clone(&record);
    let router = Router::new()
        .route("/lateness", get(move || async move { shown.text() }))
        .route("/v1/chat/completions", post(move |body: Bytes| async move { answer(&body, pace, record) }));
    serve(router, runtime)
}

fn answer(body: &[u8], pace: Pace, record: Arc<Record>) -> Response {
    if let Err(error) = json::parse(Dialect::Openai, body) {
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    record.running.fetch_add(1, Ordering::Relaxed);
    let open = Open { record, start_ns: clock::now_ns(), sent: 0 };
    let frames = stream::unfold(open, move |open| next(open, pace));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], Body::from_stream(frames)).into_response()
}

async fn next(mut open: Open, pace: Pace) -> Option<(Result<Bytes, std::convert::Infallible>, Open)> {
    let frame = match open.sent {
        sent if sent < pace.tokens => {
            let deadline_ns = open.start_ns + pace.first_ns + pace.between_ns * u64::from(sent);
            tokio::time::sleep_until(clock::instant(deadline_ns).into()).await;
            open.record.late(clock::now_ns().saturating_sub(deadline_ns));
            Bytes::from_static(TOKEN)
        }
        sent if sent == pace.tokens => Bytes::from_static(DONE),
        _ => return None,
    };
    open.sent += 1;
    Some((Ok(frame), open))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::prometheus::Scrape;
    use crate::load::sse::{Splitter, TokenEvents, is_done};

    #[test]
    fn the_record_is_read_by_the_parser_of_simwrights_metrics() {
        let record = Record::default();
        [10_000, 25_000, 25_001, 200_000_000].into_iter().for_each(|late| record.late(late));
        let buckets = Scrape::parse(&record.text()).unwrap().histogram(LATENESS).unwrap();
        assert_eq!(buckets.pairs()[..2], [(0.000_025, 2.0), (0.000_05, 3.0)]);
        assert_eq!(buckets.pairs().last(), Some(&(f64::INFINITY, 4.0)));
    }

    #[test]
    fn a_frame_is_one_token_event() {
        let (tokens, mut found) = (TokenEvents::default(), Vec::new());
        Splitter::default().feed(&[TOKEN, DONE].concat(), |event| found.push((tokens.is_token(event), is_done(event))));
        assert_eq!(found, [(true, false), (false, true)]);
    }

    #[test]
    fn a_stream_has_its_tokens_and_one_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let record = Arc::new(Record::default());
        record.running.fetch_add(1, Ordering::Relaxed);
        let mut open = Some(Open { record: Arc::clone(&record), start_ns: clock::now_ns(), sent: 0 });
        let mut frames = 0;
        while let Some(state) = open.take() {
            let pace = Pace { first_ns: 0, between_ns: 0, tokens: 3 };
            open = runtime.block_on(next(state, pace)).map(|(_, state)| state);
            frames += usize::from(open.is_some());
        }
        assert_eq!((frames, record.running.load(Ordering::Relaxed)), (4, 0));
    }
}
