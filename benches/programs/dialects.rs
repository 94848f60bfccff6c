//! What each dialect costs, without HTTP: parsing a request of 1 KB, all from its bytes to those of the whole reply, one chunk of a
//! stream, and a prompt of 1 MB parsed and counted with the estimate.
//!
//! `cargo bench -p simwright-benches --bench dialects`. One thread, one warm generation, 64 requests in turn as a load test sends them;
//! the best of several rounds counts. Prompts of 1 MB are new in each round. `--smoke` runs one short round.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use simwright::app::workshop::Workshop;
use simwright::clock::real::RealClock;
use simwright::dialect::{Endpoint, Inbound, anthropic, azure, gemini, ollama, openai};
use simwright::engine::Engine;
use simwright::plan::generation::Generation;
use simwright::plan::token_counts::input_tokens;
use simwright::scenario::read;
use simwright::types::reply::{StreamEvent, TextKind};
use simwright::worker;
use simwright_benches::inside::{answered, best, best_with, head, texts};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCENARIO: &str = "
simwright: 1
models:
  - match: bench
    latency: { log-normal: { first: { p50: 300ms, p99: 1s }, between: { p50: 10ms, p99: 40ms } } }
    faults: [{ http-error: { rate: 1%, status: 500 } }]
    reply: { text: { tokens: 32 } }
";
/// How long a long prompt is.
const LONG_BYTES: usize = 1 << 20;

/// How a request of the load test is put in one dialect.
struct Spoken {
    endpoint: &'static dyn Endpoint,
    /// What path and query say besides.
    target: &'static str,
    deployment: Option<&'static str>,
    headers: &'static [(&'static str, &'static str)],
    body: fn(&str, &str) -> Value,
}

const SPOKEN: &[Spoken] = &[
    Spoken { endpoint: &openai::Chat, target: "", deployment: None, headers: &[], body: chat },
    Spoken {
        endpoint: &openai::Completions,
        target: "",
        deployment: None,
        headers: &[],
        body: |system, user| json!({ "model": "bench", "prompt": format!("{system}\n\n{user}"), "temperature": 0.7, "max_tokens": 64 }),
    },
    Spoken {
        endpoint: &openai::Responses,
        target: "",
        deployment: None,
        headers: &[],
        body: |system, user| {
            json!({
                "model": "bench",
                "instructions": system,
                "input": [{ "role": "user", "content": user }],
                "temperature": 0.7,
                "max_output_tokens": 64,
            })
        },
    },
    Spoken {
        endpoint: &azure::CHAT,
        target: "?api-version=2024-10-21",
        deployment: Some("bench"),
        headers: &[("api-key", "none")],
        body: chat,
    },
    Spoken {
        endpoint: &anthropic::Messages,
        target: "",
        deployment: None,
        headers: &[("anthropic-version", "2023-06-01")],
        body: |system, user| {
            json!({
                "model": "bench",
                "system": system,
                "messages": [{ "role": "user", "content": user }],
                "temperature": 0.7,
                "max_tokens": 64,
            })
        },
    },
    Spoken {
        endpoint: &gemini::StreamGenerate,
        target: "bench?alt=sse",
        deployment: None,
        headers: &[],
        body: |system, user| {
            json!({
                "systemInstruction": { "parts": [{ "text": system }] },
                "contents": [{ "role": "user", "parts": [{ "text": user }] }],
                "generationConfig": { "maxOutputTokens": 64, "temperature": 0.7 },
            })
        },
    },
    Spoken {
        endpoint: &ollama::Chat,
        target: "",
        deployment: None,
        headers: &[],
        body: |system, user| {
            json!({
                "model": "bench",
                "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
                "options": { "temperature": 0.7, "num_predict": 64 },
            })
        },
    },
];

fn chat(system: &str, user: &str) -> Value {
    json!({
        "model": "bench",
        "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
        "temperature": 0.7,
        "max_tokens": 64,
    })
}

impl Spoken {
    fn inbound(&self, system: &str, user: &str) -> Inbound<'static> {
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers: HeaderMap = self.headers.iter().copied().map(header).collect();
        let body = Bytes::from((self.body)(system, user).to_string());
        Inbound { target: self.target, deployment: self.deployment, headers, body, ..Inbound::default() }
    }
}

/// How much is measured: many short rounds, of which some find the core to themselves.
#[derive(Clone, Copy)]
struct Effort {
    rounds: u32,
    calls: usize,
}

fn main() -> Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let effort = if smoke { Effort { rounds: 1, calls: 100 } } else { Effort { rounds: 300, calls: 1_000 } };
    worker::enter(0);
    let workshop = Workshop::open(RealClock::start(), Some(1), 1)?;
    let engine = Engine::new(workshop.build(read::parse("bench.yaml", SCENARIO, Path::new("."))?, 1)?, RealClock::start());
    let generation = Arc::new(workshop.build(read::parse("bench.yaml", SCENARIO, Path::new("."))?, 2)?);
    println!("{:<24}{:>12}{:>24}{:>18}{:>20}", "", "parse, ns", "parse, plan, render, ns", "stream chunk, ns", "1 MB prompt, ms");
    println!("{:<24}{:>12}{:>24}{:>18}{:>20}", "budget", "", "10000", "300", "15");
    for spoken in SPOKEN {
        let inbounds: Vec<Inbound<'_>> = (0..64)
            .map(|number| {
                let (system, user) = texts(number);
                spoken.inbound(&system, &user)
            })
            .collect();
        let parse = parsing(spoken, &inbounds, effort)?;
        let whole = answering(spoken, &inbounds, &engine, effort)?;
        let chunk = streaming(spoken, &inbounds[0], effort)?;
        let long = reading_long(spoken, &generation, effort)? / 1e6;
        println!("{:<24}{parse:>12.0}{whole:>24.0}{chunk:>18.0}{long:>20.2}", spoken.endpoint.name());
    }
    Ok(())
}

fn parsing(spoken: &Spoken, inbounds: &[Inbound<'static>], effort: Effort) -> Result<f64> {
    for inbound in inbounds {
        let refused = spoken.endpoint.parse(inbound.clone()).err().map(|error| error.message);
        ensure!(refused.is_none(), "{}: {refused:?}", spoken.endpoint.name());
    }
    Ok(best(effort.rounds, effort.calls, |index| {
        black_box(spoken.endpoint.parse(inbounds[index % inbounds.len()].clone()).is_ok());
    }))
}

fn answering(spoken: &Spoken, inbounds: &[Inbound<'static>], engine: &Engine, effort: Effort) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let answer = |index: usize| runtime.block_on(answered(engine, spoken.endpoint, inbounds[index % inbounds.len()].clone()));
    let good = (0..inbounds.len()).filter(|index| answer(*index)).count();
    ensure!(good > inbounds.len() / 2, "{} answers {good} of {} requests", spoken.endpoint.name(), inbounds.len());
    Ok(best(effort.rounds, effort.calls / 4, |index| {
        black_box(answer(index));
    }))
}

fn streaming(spoken: &Spoken, inbound: &Inbound<'static>, effort: Effort) -> Result<f64> {
    let parsed = spoken.endpoint.parse(inbound.clone()).map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let stream = RefCell::new((parsed.voice.stream(&head("bench")), BytesMut::with_capacity(1 << 20)));
    Ok(best(effort.rounds, effort.calls, |_| {
        let (renderer, out) = &mut *stream.borrow_mut();
        // The buffer is used again and again, as a body's is.
        if out.len() > 1 << 19 {
            out.clear();
        }
        renderer.event(&StreamEvent::Text { choice: 0, kind: TextKind::Content, text: " weather", logprob: None }, out);
    }))
}

/// A long prompt, parsed and counted; another one each time, as counts of the last ones are remembered.
fn reading_long(spoken: &Spoken, generation: &Generation, effort: Effort) -> Result<f64> {
    let make = |number: u32| {
        let (system, user) = texts(number);
        let user = user.repeat(LONG_BYTES / user.len());
        spoken.inbound(&system, &format!("{} says: {user}", spoken.endpoint.name()))
    };
    let tokens = |inbound: Inbound<'static>| {
        let parsed = spoken.endpoint.parse(inbound).map_err(|error| anyhow::anyhow!("{}", error.message))?;
        Ok::<_, anyhow::Error>(input_tokens(generation, &parsed.request))
    };
    let counted = tokens(make(u32::MAX))?;
    ensure!(counted > 100_000, "{} counts {counted} tokens in 1 MB", spoken.endpoint.name());
    Ok(best_with(effort.rounds, make, |inbound| {
        black_box(tokens(inbound).is_ok());
    }))
}
