//! What planning one request costs, without HTTP: with native behaviours and with three plugins, with each native behaviour alone, and
//! in a scenario of 1,000 models and rules, for which its entry and its incidents are found, too. Also parsing and counting, which come
//! before it, and loading.
//!
//! `cargo bench -p simwright-benches --bench plan`. One thread, one warm generation, 64 requests in turn as a load test sends them;
//! the best of several rounds counts, so that a busy machine disturbs the figures least. `--smoke` runs one short round.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use simwright::app::workshop::Workshop;
use simwright::behavior::catalog::Catalog;
use simwright::builtin;
use simwright::clock::real::RealClock;
use simwright::dialect::Inbound;
use simwright::dialect::openai::{Chat, chat_request};
use simwright::engine::Engine;
use simwright::plan::generation::Generation;
use simwright::plan::identity::{Identity, content_of};
use simwright::plan::planner::{Facts, pick, plan};
use simwright::plan::timeline::{Timeline, applying};
use simwright::plan::token_counts::input_tokens;
use simwright::scenario::read;
use simwright::types::request::Request;
use simwright::worker;
use simwright_benches::inside::{answered, best, texts};
use simwright_benches::palette::samples;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NATIVE: &str = "
simwright: 1
models:
  - match: bench
    latency: { log-normal: { first: { p50: 300ms, p99: 1s }, between: { p50: 10ms, p99: 40ms } } }
    faults: [{ http-error: { rate: 1%, status: 500 } }]
    reply: { text: { tokens: 32 } }
";
const PLUGINS: &str = "
simwright: 1
models:
  - match: bench
    latency: { brown-out: { first: 0ms, between: 0ms } }
    faults: [{ retry-storm: { per-request: 3 } }]
    reply: { support-desk: { attentive: false, tokens: 32 } }
";

fn main() -> anyhow::Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (rounds, calls) = if smoke { (1, 100) } else { (30, 20_000) };
    worker::enter(0);
    let workshop = Workshop::open(RealClock::start(), Some(1), 1)?;
    let bodies: Vec<Bytes> = (0..64).map(body).collect();
    println!("{:<34}{:>10}{:>12}", "one request of 1 KB", "ns", "budget");
    let parse = best(rounds, calls, |index| {
        black_box(chat_request(bodies[index % 64].clone(), HeaderMap::new()).is_ok());
    });
    println!("{:<34}{parse:>10.0}", "parse");
    for (name, scenario_text, budget) in [("plan, native behaviours", NATIVE, 500), ("plan, three plugins", PLUGINS, 1_800)] {
        let scenario = read::parse("bench.yaml", scenario_text, Path::new("."))?;
        let generation = Arc::new(workshop.build(scenario, 1)?);
        let requests: Vec<Arc<Request>> = bodies
            .iter()
            .map(|body| chat_request(body.clone(), HeaderMap::new()).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow::anyhow!("{}", error.message))?;
        if budget == 500 {
            let counted = best(rounds, calls, |index| {
                black_box(input_tokens(&generation, &requests[index % 64]));
            });
            println!("{:<34}{counted:>10.0}", "count prompt tokens");
        }
        if budget != 500 {
            let scenario = read::parse("bench.yaml", scenario_text, Path::new("."))?;
            let engine = Engine::new(workshop.build(scenario, 2)?, RealClock::start());
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let answered = best(rounds, calls / 4, |index| {
                let inbound = Inbound { body: bodies[index % 64].clone(), ..Inbound::default() };
                black_box(runtime.block_on(answered(&engine, &Chat, inbound)));
            });
            println!("{:<34}{answered:>10.0}", "all of it, and the reply's bytes");
        }
        let planned = best(rounds, calls, |index| planned(&generation, &requests[index % 64], index as u32));
        println!("{name:<34}{planned:>10.0}{budget:>12}");
    }
    let request = chat_request(bodies[0].clone(), HeaderMap::new()).map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let request = Arc::new(request);
    each_behaviour(&workshop, &request, rounds, calls)?;
    thousand(&workshop, rounds, calls)
}

/// A plan with each native behaviour alone, whatever behaviours there are.
fn each_behaviour(workshop: &Workshop, request: &Arc<Request>, rounds: u32, calls: usize) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut catalog = Catalog::default();
    builtin::register(&mut catalog);
    for sample in samples(&catalog, &root)? {
        let name = format!("plan, {} `{}`", sample.field, sample.name);
        let Some(text) = sample.scenario else {
            println!("{name:<34}{:>10}", "no options");
            continue;
        };
        let generation = Arc::new(workshop.build(read::parse("bench.yaml", &text, &root)?, 1)?);
        let took = best(rounds, calls, |index| planned(&generation, request, index as u32));
        println!("{name:<34}{took:>10.0}{:>12}", 500);
    }
    Ok(())
}

/// 1,000 models, every other one by a pattern and every fourth under conditions, each with rules of its own; 20 incidents, one of them
/// half strong.
fn thousand_models() -> String {
    let mut text = String::from("simwright: 1\nseed: 1\nactive: [i3]\nincidents:\n");
    for number in 0..20 {
        text +=
            &format!("  i{number}: {{ models: 'vendor-{number}*', faults: [{{ http-error: {{ rate: 1%, status: 503 }} }}] }}\n");
    }
    text += "phases: { line: [{ for: 1h, incidents: [i3, i7], ramp: 50% }] }\nmodels:\n";
    for number in 0..1_000 {
        let name = if number % 2 == 0 { format!("vendor-{number}/model") } else { format!("vendor-{number}/*") };
        let when = if number % 4 == 0 { ", when: { tenant: 'acme-*', attempt: 1..3 }" } else { "" };
        text += &format!(
            "  - {{ match: '{name}', list: [], name: n{number}{when}, faults: [{{ http-error: {{ rate: 1%, status: 500 }}, \
             when: {{ prompt-tokens: '> 100', not: {{ header: {{ x-team: red* }} }} }} }}, {{ script: [{{ http-error: {{ status: 429 }} }}], \
             when: {{ identities: 5% }} }}], reply: {{ text: {{ tokens: 32 }} }} }}\n"
        );
    }
    text
}

fn thousand(workshop: &Workshop, rounds: u32, calls: usize) -> anyhow::Result<()> {
    let text = thousand_models();
    let load = || -> anyhow::Result<Generation> { Ok(workshop.build(read::parse("bench.yaml", &text, Path::new("."))?, 1)?) };
    let generation = Arc::new(load()?);
    let loaded = best(rounds.min(5), 1, |_| {
        black_box(load().is_ok());
    });
    println!("{:<34}{loaded:>10.0}{:>12}", "load 1,000 models and rules", 200_000_000);
    for (name, model) in [("plan in it, a spelt-out name", "vendor-502/model"), ("plan in it, a pattern", "vendor-501/other")] {
        let request = |number| -> anyhow::Result<Arc<Request>> {
            let text =
                String::from_utf8(body(number).to_vec())?.replace("\"model\":\"bench\"", &format!("\"model\":\"{model}\""));
            chat_request(text.into(), HeaderMap::new()).map(Arc::new).map_err(|error| anyhow::anyhow!("{}", error.message))
        };
        let requests = (0..64).map(request).collect::<anyhow::Result<Vec<_>>>()?;
        let mut line = Timeline::new(0);
        let now = line.enter(generation.scenario.phases.as_ref().expect("a line"), 1);
        let planned = best(rounds, calls, |index| {
            let request = &requests[index % 64];
            let content = content_of(request);
            let identity = Identity { content, identity: content, attempt: 0, occurrence: index as u32 };
            let events = identity.event_key(generation.seed);
            let incidents = applying(&generation.scenario, now, |_| None, events, None);
            let facts = Facts { now: 1, input_tokens: 200, running: 1, incidents, ..Facts::first(identity) };
            let model = pick(&generation, request, &facts, None, |_| 1).expect("an entry");
            black_box(plan(&generation, model, request, &facts));
        });
        println!("{name:<34}{planned:>10.0}{:>12}", 1_500);
    }
    Ok(())
}

fn planned(generation: &Arc<Generation>, request: &Arc<Request>, occurrence: u32) {
    planned_as(generation, 0, request, occurrence);
}

fn planned_as(generation: &Arc<Generation>, model: usize, request: &Arc<Request>, occurrence: u32) {
    let content = content_of(request);
    let identity = Identity { content, identity: content, attempt: 0, occurrence };
    let facts = Facts { now: 1, input_tokens: 200, running: 1, ..Facts::first(identity) };
    black_box(plan(generation, model, request, &facts));
}

fn body(number: u32) -> Bytes {
    let (system, user) = texts(number);
    format!(
        "{{\"model\":\"bench\",\"messages\":[{{\"role\":\"system\",\"content\":\"{system}\"}},{{\"role\":\"user\",\"content\":\"{user}\"}}],\
         \"temperature\":0.7,\"max_tokens\":64}}"
    )
    .into()
}
