//! Batches: many requests handed in at once, played like any others, and what came of them.
//!
//! [`Bulks`] keeps files, batches and results, all of it bounded, in memory, and gone with the server. `entry` is one batch as long as it
//! is known, `work` plays its requests without a socket, and `files` answers what is asked about files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::dialect::bulk::{Act, Batch, Bulk, Filing, Input, Order, Task};
use crate::dialect::openai::files::{BATCH, StoredFile, Upload, file_id};
use crate::dialect::{Endpoint, Inbound};
use crate::http::batches::entry::Entry;
use crate::http::batches::work::Work;
use crate::http::body::ReplyBody;
use crate::http::handler::{Visit, read};
use crate::http::routes;
use crate::http::shelf::Shelf;
use crate::random::Key;
use crate::types::api_error::ApiError;
use crate::types::limits::{
    BATCH_WINDOW_S, BATCHES_AT_A_TIME, BATCHES_MAX, BATCHES_OPEN_BYTES_MAX, BATCHES_OPEN_MAX, BATCHES_RETRY_AFTER_MS,
    FILES_BYTES_MAX, FILES_MAX,
};

mod entry;
mod files;
mod work;

pub use files::FileAct;

/// Bytes that an entry of a shelf takes besides what it holds.
const OVERHEAD_BYTES: usize = 500;

/// What clients have handed in and what came of it.
pub struct Bulks {
    files: Shelf<StoredFile>,
    batches: Shelf<Arc<Entry>>,
    /// Of vendors whose results are no files, by batch.
    results: Shelf<Bytes>,
    /// Files and batches made so far.
    made: AtomicU64,
    /// Batches that are not over, and their bytes.
    open: AtomicUsize,
    open_bytes: AtomicUsize,
    turns: Semaphore,
}

impl Bulks {
    /// Nothing yet, within the limits.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            files: Shelf::of(FILES_MAX, FILES_BYTES_MAX),
            batches: Shelf::of(BATCHES_MAX, usize::MAX),
            results: Shelf::of(BATCHES_MAX, FILES_BYTES_MAX),
            made: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            open_bytes: AtomicUsize::new(0),
            turns: Semaphore::new(BATCHES_AT_A_TIME),
        })
    }

    /// The number of the next thing that is made.
    fn number(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps `upload`, handed in at `created` in a run of `seed`.
    fn keep(&self, upload: Upload, seed: u64, created: u64) -> StoredFile {
        let number = self.number();
        let id: Box<str> = file_id(Key::of_seed(seed).named("file").with(number).bits()).into();
        let bytes = upload.content.len() + upload.name.len() + OVERHEAD_BYTES;
        let file = StoredFile { id, number, upload, created };
        self.files.put(&file.id, file.clone(), bytes);
        file
    }

    /// The file `id`, unless its time has come by `now`.
    fn file(&self, id: &str, now: u64) -> Option<Arc<StoredFile>> {
        let file = self.files.get(id)?;
        if file.expires().is_some_and(|expires| expires <= now) {
            self.files.remove(id);
            return None;
        }
        Some(file)
    }

    /// Room for a batch of `bytes` bytes, if there is any.
    fn room(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let room = Room { bulks: Arc::clone(self), bytes };
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let open_bytes = self.open_bytes.fetch_add(bytes, Ordering::Relaxed);
        (open < BATCHES_OPEN_MAX && open_bytes.saturating_add(bytes) <= BATCHES_OPEN_BYTES_MAX).then_some(room)
    }
}

/// Counts a batch for as long as it is not over.
struct Room {
    bulks: Arc<Bulks>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bulks.open.fetch_sub(1, Ordering::Relaxed);
        self.bulks.open_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where a batch's requests come from.
enum Source {
    /// A file that is yet to be read.
    File(&'static dyn Filing, Bytes),
    /// The order, which was.
    Tasks(Vec<Task>),
}

impl Visit {
    /// Does `act` to the batch `id`, or to all of them; `root` is what came before the path.
    pub async fn batches(
        self,
        bulk: &'static dyn Bulk,
        act: Act,
        id: String,
        root: &'static str,
        request: Request<Incoming>,
    ) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let base = base_of(&parts, root);
        let bulks = Arc::clone(&self.door.bulks);
        let found = || bulks.batches.get(&id).filter(|entry| entry.is_of(bulk)).ok_or_else(|| bulk.absent(&id));
        let over = |entry: &Entry| {
            let stage = entry.batch().stage;
            if stage.is_over() { Ok(stage) } else { Err(bulk.unfit(act, stage)) }
        };
        let shown = |entry: &Entry| bulk.render(&entry.batch(), &base);
        let answer = match act {
            Act::Create => match read(body).await {
                Ok(body) => self.create(bulk, &parts, body).map(|batch| bulk.render(&batch, &base)),
                Err(error) => Err(error),
            },
            Act::List => self.list(bulk, parts.uri.query(), &base),
            Act::Retrieve => found().map(|entry| shown(&entry)),
            Act::Cancel => found().and_then(|entry| {
                entry.cancel(self.unix_s()).map_err(|stage| bulk.unfit(act, stage))?;
                Ok(shown(&entry))
            }),
            Act::Delete => found().and_then(|entry| over(&entry)).and_then(|stage| {
                let deleted = bulk.render_deleted(&id).ok_or_else(|| bulk.unfit(act, stage))?;
                bulks.batches.remove(&id);
                bulks.results.remove(&id);
                Ok(deleted)
            }),
            Act::Results => found().and_then(|entry| over(&entry)).and_then(|stage| {
                let results = bulks.results.get(&id).ok_or_else(|| bulk.unfit(act, stage))?;
                Ok(Bytes::clone(&results))
            }),
        };
        match answer {
            Ok(body) if act == Act::Results => self.content(body, "application/x-jsonl"),
            Ok(body) => self.json(body, self.door.engine.running().generation.number),
            Err(error) => self.error(&error),
        }
    }

    /// Takes a new batch in and begins it.
    fn create(&self, bulk: &'static dyn Bulk, parts: &Parts, body: Bytes) -> Result<Batch, ApiError> {
        let generation = Arc::clone(&self.door.engine.running().generation);
        let manners = generation.scenario.api;
        let here = body.len();
        let mut order = bulk.order(Inbound { headers: parts.headers.clone(), body, manners, ..Inbound::default() })?;
        let endpoint = endpoint_of(bulk, &order)?;
        let now = self.unix_s();
        let (source, bytes) = match &mut order.input {
            Input::File(id) => {
                let filing = bulk.files().ok_or_else(|| bulk.absent(id))?;
                let file = self.door.bulks.file(id, now).filter(|file| &*file.upload.purpose == BATCH);
                let content = file.ok_or_else(|| filing.no_input(id))?.upload.content.clone();
                let bytes = content.len();
                (Source::File(filing, content), bytes)
            }
            Input::Here(tasks) => (Source::Tasks(std::mem::take(tasks)), here),
        };
        let bulks = &self.door.bulks;
        let room = bulks.room(bytes).ok_or_else(no_room)?;
        let number = bulks.number();
        let draw = Key::of_seed(generation.seed).named("batch").with(number);
        let window_us = manners.batch_window_us.unwrap_or(BATCH_WINDOW_S * 1_000_000);
        let mut batch = Batch { id: bulk.batch_id(draw.bits()).into(), order, ..Batch::default() };
        (batch.moments.created, batch.moments.expires) = (now, now + window_us.div_ceil(1_000_000));
        if let Source::Tasks(tasks) = &source {
            batch.tally.total = tasks.len() as u32;
        }
        let entry = Arc::new(Entry::of(bulk, number, draw, batch.clone()));
        bulks.batches.put(&batch.id, Arc::clone(&entry), OVERHEAD_BYTES);
        let deadline = self.door.engine.clock().now().saturating_add(window_us.saturating_mul(1_000));
        let work = Work::of(Arc::clone(&self.door), entry, endpoint, &parts.headers, room);
        tokio::spawn(work.run(source, deadline));
        Ok(batch)
    }

    fn list(&self, bulk: &'static dyn Bulk, query: Option<&str>, base: &str) -> Result<Bytes, ApiError> {
        let page = bulk.page(query)?;
        let mut entries = self.door.bulks.batches.all();
        entries.retain(|entry| entry.is_of(bulk));
        entries.sort_unstable_by_key(|entry| entry.number());
        let absent = || bulk.absent(page.after.as_ref().or(page.before.as_ref()).map_or("", String::as_str));
        let (entries, has_more) = page.of(entries, |entry| entry.id()).ok_or_else(absent)?;
        let batches: Vec<Batch> = entries.iter().map(|entry| entry.batch()).collect();
        Ok(bulk.render_list(&batches, has_more, base))
    }

    /// An answer that is no JSON.
    fn content(&self, body: Bytes, kind: &'static str) -> Response<ReplyBody> {
        let mut response = self.json(body, self.door.engine.running().generation.number);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// Unix time in seconds.
    fn unix_s(&self) -> u64 {
        let engine = &self.door.engine;
        engine.unix_s(engine.clock().now())
    }
}

fn endpoint_of(bulk: &'static dyn Bulk, order: &Order) -> Result<&'static dyn Endpoint, ApiError> {
    let unserved = || ApiError::invalid("endpoint", format!("This server does not serve '{}'.", order.path));
    routes::endpoint(bulk.dialect(), &order.path).ok_or_else(unserved)
}

fn no_room() -> ApiError {
    let message = format!(
        "Too many batches are open: at most {BATCHES_OPEN_MAX} of {BATCHES_OPEN_BYTES_MAX} bytes in all may be. Wait until one is over."
    );
    ApiError { retry_after_ms: Some(BATCHES_RETRY_AFTER_MS), ..ApiError::of_status(429, message) }
}

/// The address under which the client of `parts` finds the API.
fn base_of(parts: &Parts, root: &str) -> String {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| header("host")).unwrap_or("localhost");
    let scheme = if header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}{root}")
}
