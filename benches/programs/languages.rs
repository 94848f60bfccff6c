//! What a reused call costs in each language: the plugin that `simwright plugin new --kind full` writes, one keyed draw and one decision a
//! behaviour.
//!
//! Build it in the languages to measure, then name the components:
//! `cargo bench -p simwright-benches --bench languages -- rust=a.wasm python=b.wasm javascript=c.wasm c=d.wasm`. Rounds go in turn, and the
//! best of each counts, so that a busy machine disturbs least. Budgets: 12 µs in Python, 30 µs in JavaScript. `--smoke` runs one short
//! round.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::sync::Arc;

use anyhow::Context;
use simwright::behavior::call::Call;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::behavior::fault::Fault;
use simwright::behavior::latency::Latency;
use simwright::behavior::responder::Responder;
use simwright::clock::real::monotonic_ns;
use simwright::types::request::Request;
use simwright::wasm::{Compiler, LoadSpec, Meter, PluginHost, PluginHostConfig, default_folder};

/// One language's plugin.
struct Rival {
    lang: String,
    fault: Arc<dyn Fault>,
    responder: Arc<dyn Responder>,
    latency: Arc<dyn Latency>,
}

fn main() -> anyhow::Result<()> {
    let config = PluginHostConfig { cache_dir: default_folder(), workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess };
    let host = PluginHost::new(config)?;
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| argument.contains('=')).collect();
    anyhow::ensure!(!named.is_empty(), "name the components; see the head of this file");
    let rivals = named.iter().map(|argument| rival(&host, argument)).collect::<anyhow::Result<Vec<Rival>>>()?;
    simwright::worker::enter(0);
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (rounds, calls) = if smoke { (1, 100) } else { (20, 5_000) };
    let request = Arc::new(Request::chat("model", Vec::new()));
    println!("{:12}{:>16}{:>20}{:>16}", "", "fault.decide", "responder.respond", "latency.plan");
    let mut best = vec![[u64::MAX; 3]; rivals.len()];
    for _ in 0..rounds {
        for (rival, best) in rivals.iter().zip(&mut best) {
            best[0] = best[0].min(round(calls, |number| rival.fault.decide(&call(number, &request)).is_ok())?);
            best[1] = best[1].min(round(calls, |number| rival.responder.respond(&call(number, &request), 1).is_ok())?);
            best[2] = best[2].min(round(calls, |number| rival.latency.plan(&call(number, &request), 100).is_ok())?);
        }
    }
    for (rival, best) in rivals.iter().zip(best) {
        let [fault, responder, latency] = best.map(|ns| ns as f64 / calls as f64 / 1e3);
        println!("{:12}{fault:>13.2} µs{responder:>17.2} µs{latency:>13.2} µs", rival.lang);
    }
    Ok(())
}

/// The plugin of an argument such as `python=plugin.wasm`.
fn rival(host: &PluginHost, argument: &str) -> anyhow::Result<Rival> {
    let (lang, path) = argument.split_once('=').ok_or_else(|| anyhow::anyhow!("`{argument}` is not LANG=FILE"))?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{path}`"))?;
    let plugin = host.load(LoadSpec { memory_bytes: 64 << 20, ..LoadSpec::new(lang, &bytes) })?;
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let (options, setting) = (serde_json::json!({}), Setting::default());
    let refused = |problems| anyhow::anyhow!("{lang}: {problems:?}");
    Ok(Rival {
        lang: lang.to_owned(),
        fault: catalog.fault[lang].make(&options, &setting).map_err(refused)?,
        responder: catalog.responder[lang].make(&options, &setting).map_err(refused)?,
        latency: catalog.latency[lang].make(&options, &setting).map_err(refused)?,
    })
}

fn round(calls: u64, ask: impl Fn(u64) -> bool) -> anyhow::Result<u64> {
    let start = monotonic_ns();
    let good = (0..calls).filter(|number| ask(*number)).count();
    let took = monotonic_ns() - start;
    anyhow::ensure!(good as u64 == calls, "only {good} of {calls} calls were answered");
    Ok(took)
}

/// A first attempt with a seed of its own.
fn call(number: u64, request: &Arc<Request>) -> Call<'_> {
    Call { identity: number, seed: number, now: 5_000_000_000, ..Call::first(request) }
}
