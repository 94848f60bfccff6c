//! Plays a batch: some of its requests at a time, each like any other, but without a socket.
//!
//! A request of a batch goes through the same door as one from a client and its whole answer is collected. It behaves as one on an
//! HTTP/2 stream: what would reset the stream breaks its answer off. All of a batch is played by the worker that took it in, and ends
//! with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::clock::{Clock, Nanos};
use crate::dialect::Endpoint;
use crate::dialect::bulk::{Outcome, Problem, Spent, Task};
use crate::engine::pacer::Sleep;
use crate::http::batches::entry::{Entry, Signal};
use crate::http::batches::{Room, Source};
use crate::http::handler::{Door, IDENTITY, RETRY_COUNT, Vanished, Visit};
use crate::http::wire::WireState;
use crate::types::limits::{BATCH_REQUESTS_AT_A_TIME, BATCH_RESULTS_BYTES_MAX};

/// Headers of a client's request that say nothing of the requests in it.
const OF_THE_ORDER: [HeaderName; 8] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::EXPECT,
    header::HOST,
    IDENTITY,
    RETRY_COUNT,
];

/// A batch that is played.
pub(super) struct Work {
    door: Arc<Door>,
    entry: Arc<Entry>,
    endpoint: &'static dyn Endpoint,
    headers: HeaderMap,
    leavings: Mutex<Leavings>,
    /// Counts it as open until it is gone.
    _room: Room,
}

/// Lines of results.
#[derive(Default)]
struct Leavings {
    output: BytesMut,
    errors: BytesMut,
}

/// What came back for a request.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Work {
    /// The work on `entry`, whose requests ask `endpoint` with what `headers` say of their sender.
    pub(super) fn of(
        door: Arc<Door>,
        entry: Arc<Entry>,
        endpoint: &'static dyn Endpoint,
        headers: &HeaderMap,
        room: Room,
    ) -> Arc<Self> {
        let mut headers = headers.clone();
        for name in OF_THE_ORDER {
            headers.remove(name);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Arc::new(Self { door, entry, endpoint, headers, leavings: Mutex::default(), _room: room })
    }

    /// Plays it to its end, which is at `deadline` at the latest.
    pub(super) async fn run(self: Arc<Self>, source: Source, deadline: Nanos) {
        let mut sleep = Sleep::on(Arc::clone(&self.door.pacer));
        let all = Arc::clone(&self).all(source);
        tokio::pin!(all);
        tokio::select! {
            biased;
            () = &mut all => {}
            () = sleep.until(deadline) => {
                self.entry.expire();
                all.await;
            }
        }
    }

    async fn all(self: Arc<Self>, source: Source) {
        // One that is stopped before its turn goes through all that follows, but begins nothing.
        let _turn = tokio::select! {
            biased;
            turn = self.door.bulks.turns.acquire() => turn.ok(),
            () = self.entry.reached(Signal::Cancel) => None,
        };
        let tasks = match self.tasks(source).await {
            Ok(tasks) => Arc::new(tasks),
            Err(problems) => return self.entry.fail(problems, self.unix_s()),
        };
        self.entry.begin(&tasks, self.unix_s());
        let next = Arc::new(AtomicUsize::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..tasks.len().min(BATCH_REQUESTS_AT_A_TIME) {
            lanes.spawn(Arc::clone(&self).lane(Arc::clone(&tasks), Arc::clone(&next)));
        }
        while lanes.join_next().await.is_some() {}
        self.end();
    }

    /// The requests. A file of them is large, so it is read beside the worker.
    async fn tasks(&self, source: Source) -> Result<Vec<Task>, Vec<Problem>> {
        match source {
            Source::Tasks(tasks) => Ok(tasks),
            Source::File(filing, input) => {
                let order = self.entry.batch().order;
                beside(move || filing.tasks(&order, &input)).await
            }
        }
    }

    /// Takes one request after the other.
    async fn lane(self: Arc<Self>, tasks: Arc<Vec<Task>>, next: Arc<AtomicUsize>) {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(index) else { return };
            match self.entry.signal() {
                Signal::Go => self.one(index, task).await,
                Signal::Cancel => self.note(index, task, Outcome::Cancelled),
                Signal::Expire => self.note(index, task, Outcome::Expired),
            }
            // Answers that are due at once are no reason to let the worker's streams wait.
            tokio::task::yield_now().await;
        }
    }

    async fn one(&self, index: usize, task: &Task) {
        if let Some(error) = self.entry.bulk().refusal(task) {
            let reply = self.entry.bulk().dialect().render_error(&error, self.entry.draw(index));
            let outcome = Outcome::Answered { status: reply.status, headers: &HeaderMap::new(), body: &reply.body };
            return self.note(index, task, outcome);
        }
        let answered = tokio::select! {
            biased;
            answered = self.ask(task) => answered,
            () = self.entry.reached(Signal::Expire) => return self.note(index, task, Outcome::Expired),
        };
        match &answered {
            Ok(Answered { status, headers, body }) => {
                self.note(index, task, Outcome::Answered { status: status.as_u16(), headers, body });
            }
            Err(reason) => self.note(index, task, Outcome::Broken(reason)),
        }
    }

    /// Asks for `task` and collects its answer. The error says why there is none.
    async fn ask(&self, task: &Task) -> Result<Answered, &'static str> {
        let mut request = Request::new(Full::new(task.body.clone()));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        let wire = WireState::of_nobody(*self.door.engine.clock());
        let visit = Visit { door: Arc::clone(&self.door), wire, dialect: self.endpoint.dialect() };
        let response = visit.ask(self.endpoint, String::new(), request).await;
        if response.extensions().get::<Vanished>().is_some() {
            return Err("The connection to the model ended before a reply.");
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| "The connection to the model ended within the reply.")?.to_bytes();
        // It becomes a part of a line.
        let is_json = serde_json::from_slice::<&RawValue>(&body).is_ok() && !body.contains(&b'\n');
        if !is_json {
            return Err("The model's reply is not valid JSON.");
        }
        Ok(Answered { status: parts.status, headers: parts.headers, body })
    }

    /// Writes down what came of the request `index`.
    fn note(&self, index: usize, task: &Task, outcome: Outcome<'_>) {
        let bulk = self.entry.bulk();
        let mut leavings = self.leavings.lock().unwrap_or_else(PoisonError::into_inner);
        let left = leavings.output.len() + leavings.errors.len();
        let (outcome, spent) = match outcome {
            Outcome::Answered { body, .. } if left + body.len() > BATCH_RESULTS_BYTES_MAX => {
                (Outcome::Broken("The results of this batch are larger than this server keeps."), Spent::default())
            }
            Outcome::Answered { status: 200, body, .. } => (outcome, bulk.spent(body)),
            other => (other, Spent::default()),
        };
        let is_good = matches!(outcome, Outcome::Answered { status: 200, .. });
        let out = if is_good || bulk.files().is_none() { &mut leavings.output } else { &mut leavings.errors };
        bulk.push_line(out, task, self.entry.draw(index), &outcome);
        self.entry.count(&outcome, spent);
    }

    /// Puts the results where clients find them.
    fn end(&self) {
        let now = self.unix_s();
        self.entry.finalize(now);
        let bulks = &self.door.bulks;
        let leavings = std::mem::take(&mut *self.leavings.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(filing) = self.entry.bulk().files() else {
            let bytes = leavings.output.len();
            bulks.results.put(self.entry.id(), leavings.output.freeze(), bytes);
            return self.entry.end(None, None, self.unix_s());
        };
        let (batch, seed) = (self.entry.batch(), self.door.engine.running().generation.seed);
        let keep = |is_errors, content: BytesMut| {
            let upload = filing.left_by(&batch, is_errors, content);
            (!upload.content.is_empty()).then(|| bulks.keep(upload, seed, now).id)
        };
        let (output, errors) = (keep(false, leavings.output), keep(true, leavings.errors));
        self.entry.end(output, errors, self.unix_s());
    }

    fn unix_s(&self) -> u64 {
        let engine = &self.door.engine;
        engine.unix_s(engine.clock().now())
    }
}

/// What `read` finds in a file, beside the worker. One that cannot be read to its end has no requests that could be played.
async fn beside(read: impl FnOnce() -> Result<Vec<Task>, Vec<Problem>> + Send + 'static) -> Result<Vec<Task>, Vec<Problem>> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| {
        let message = "This server could not read the input file.".to_owned();
        Err(vec![Problem { code: "server_error", message, param: None, line: None }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_whose_reading_breaks_off_is_a_problem_and_no_empty_batch() {
        let problems = beside(|| panic!("a test")).await.unwrap_err();
        assert_eq!((problems.len(), problems[0].code), (1, "server_error"));
        assert_eq!(beside(|| Ok(Vec::new())).await, Ok(Vec::new()));
    }
}
