//! What bodies cost that cannot be understood: the time until the refusal is written, and the most memory held until then, for each
//! parser of each vendor. Lists of a million elements, objects of a million keys, texts of a megabyte, nesting without end, and good
//! requests with one mistake at their end.
//!
//! `cargo bench -p simwright-benches --bench bad_bodies`. Budgets: 50 ms, and three times the body, itself included, besides 32 KiB. The best
//! of three calls counts. `--smoke` asks once with small bodies and judges memory alone. The exit code is 2 if a budget is missed.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use simwright::clock::real::monotonic_ns;
use simwright::dialect::anthropic::MessageBatches;
use simwright::dialect::bulk::{Bulk, Filing, Order};
use simwright::dialect::openai::realtime::Session;
use simwright::dialect::openai::{Batches, OpenAi, detokenize, files, tokenize};
use simwright::dialect::{Dialect, ENDPOINTS, Endpoint, Inbound};
use simwright::types::api_error::ApiError;
use simwright::types::manners::Manners;
use simwright_benches::bodies::bodies;

/// The server's allocator, with a count of what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its nature; this one hands everything on")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { mimalloc::MiMalloc.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if all of it were copied: the old and the new place at once.
        took(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { mimalloc::MiMalloc.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The longest that a refusal may take, in milliseconds.
const MS_MAX: f64 = 50.0;
/// The most memory held until then, in bodies.
const TIMES_MAX: f64 = 3.0;
/// What a refusal costs whatever the body: the answer, and tables that grow in steps.
const FIXED_BYTES: usize = 32 * 1024;

/// Something that reads bodies. It says whether this one is refused.
struct Reader {
    name: String,
    read: Box<dyn Fn(&Bytes) -> bool>,
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (bytes, rounds) = if smoke { (128 * 1024, 1) } else { (1024 * 1024, 3) };
    let bodies = bodies(bytes);
    println!("{} bodies of about {} KiB, the worst of those that are refused", bodies.len(), bytes / 1024);
    println!("{:<28}{:>8}{:>9}  {:<34}{:>9}  of", "parser", "refused", "ms", "for", "memory");
    let (mut missed, mut refused_in_all) = (false, 0);
    for reader in readers() {
        // What is made at the first use is not the body's.
        (reader.read)(&Bytes::from_static(b"{\"model\":\"m\",\"prompt\":\"x\"}"));
        let (mut refused, mut slowest, mut largest) = (0, (0.0, ""), (0.0, ""));
        for (name, body) in &bodies {
            let Some((ms, times)) = cost(&reader, body, rounds) else { continue };
            refused += 1;
            if ms > slowest.0 {
                slowest = (ms, name.as_str());
            }
            if times > largest.0 {
                largest = (times, name.as_str());
            }
            let (slow, large) = (ms > MS_MAX && !smoke, times > TIMES_MAX);
            if slow || large {
                println!("  {}: {name}: {ms:.1} ms, {times:.1} times the body", reader.name);
                missed = true;
            }
        }
        println!("{:<28}{refused:>8}{:>9.2}  {:<34}{:>9.2}  {}", reader.name, slowest.0, slowest.1, largest.0, largest.1);
        refused_in_all += refused;
    }
    assert!(refused_in_all > 500, "only {refused_in_all} refusals were measured");
    if missed {
        println!("a budget is missed: {MS_MAX} ms, {TIMES_MAX} times the body");
        std::process::exit(2);
    }
}

/// Milliseconds until `body` is refused and how many times its size is held until then; `None` if it is understood.
fn cost(reader: &Reader, body: &Bytes, rounds: u32) -> Option<(f64, f64)> {
    let mut best = f64::INFINITY;
    let mut held = 0;
    for _ in 0..rounds {
        let before = HELD.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let start = monotonic_ns();
        let refused = (reader.read)(body);
        best = best.min((monotonic_ns() - start) as f64 / 1e6);
        held = MOST.load(Ordering::Relaxed) - before;
        if !refused {
            return None;
        }
    }
    Some((best, (held.saturating_sub(FIXED_BYTES) + body.len()) as f64 / body.len() as f64))
}

fn readers() -> Vec<Reader> {
    let mut readers: Vec<Reader> =
        ENDPOINTS.into_iter().filter(|endpoint| endpoint.name() != "http/route").map(of_endpoint).collect();
    for bulk in [&Batches as &'static dyn Bulk, &MessageBatches] {
        let order = move |body: &Bytes| told(bulk.dialect(), bulk.order(Inbound { body: body.clone(), ..Inbound::default() }));
        readers.push(Reader { name: bulk.name().to_owned(), read: Box::new(order) });
    }
    let lines = |body: &Bytes| Batches.tasks(&Order { path: "/embeddings".into(), ..Order::default() }, body).is_err();
    readers.push(Reader { name: "openai/batches, lines".to_owned(), read: Box::new(lines) });
    let upload = |body: &Bytes| {
        let kind = HeaderValue::from_static("multipart/form-data; boundary=x");
        told(&OpenAi, files::upload(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]), body))
    };
    readers.push(Reader { name: "openai/files".to_owned(), read: Box::new(upload) });
    let cut = |body: &Bytes| told(&OpenAi, tokenize(body, Manners::default()));
    readers.push(Reader { name: "tokenize".to_owned(), read: Box::new(cut) });
    let put = |body: &Bytes| told(&OpenAi, detokenize(body, Manners::default()));
    readers.push(Reader { name: "detokenize".to_owned(), read: Box::new(put) });
    let hear = |body: &Bytes| {
        let mut out = BytesMut::new();
        black_box(Session::new(1, "m", 1, false).hear(body, None, &mut out));
        out.windows(7).any(|word| word == b"\"error\"")
    };
    readers.push(Reader { name: "openai/realtime, an event".to_owned(), read: Box::new(hear) });
    readers
}

fn of_endpoint(endpoint: &'static dyn Endpoint) -> Reader {
    let dialect = endpoint.dialect();
    let read = move |body: &Bytes| {
        let version = (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
        let deployment = (dialect.name() == "azure").then_some("m");
        let target = "m?alt=sse&api-version=2024-10-21";
        let inbound =
            Inbound { target, deployment, headers: HeaderMap::from_iter([version]), body: body.clone(), ..Inbound::default() };
        told(dialect, endpoint.parse(inbound))
    };
    Reader { name: endpoint.name().to_owned(), read: Box::new(read) }
}

/// Is it refused? The refusal is written, too.
fn told<T>(dialect: &dyn Dialect, read: Result<T, ApiError>) -> bool {
    match read {
        Ok(understood) => {
            black_box(understood);
            false
        }
        Err(error) => {
            black_box(dialect.render_error(&error, 1));
            true
        }
    }
}
