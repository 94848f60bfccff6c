//! What a call through the plugin host costs beside the same typed call made with wasmtime alone, kind by kind.
//!
//! Build the test guests in `plugins/` first, then give the component's path:
//! `cargo run --release -p simwright-benches --bin wasm_call -- adversary.wasm`. Both sides run in one process, in turn, and the
//! best round of each counts, so that a busy machine disturbs the ratio least. Budget: 1.3.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::sync::Arc;

use simwright::behavior::call::Call;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::clock::real::monotonic_ns;
use simwright::types::request::{Operation, Request};
use simwright::wasm::{Compiler, LoadSpec, Meter, PluginHost, PluginHostConfig};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline};

#[allow(missing_docs, unused_qualifications, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "full-plugin" });
}

use bindings::FullPlugin;
use bindings::simwright::plugin::types;

const ROUNDS: usize = 30;
const CALLS: u32 = 20_000;
/// The adversary's number for a reply with 320 bytes of text.
const TEXT: u64 = 116;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("name the component; see the head of this file"))?;
    let bytes = std::fs::read(&path)?;
    let (mut store, raw) = raw_instance(&bytes)?;
    let request = Arc::new(Request::chat("model", Vec::new()));
    let host =
        PluginHost::new(PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess })?;
    let plugin = host.load(LoadSpec::new("adversary", &bytes))?;
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let (options, setting) = (serde_json::json!({}), Setting::default());
    let refused = |problems| anyhow::anyhow!("{problems:?}");
    let fault = catalog.fault["adversary"].make(&options, &setting).map_err(refused)?;
    let responder = catalog.responder["adversary"].make(&options, &setting).map_err(refused)?;
    let latency = catalog.latency["adversary"].make(&options, &setting).map_err(refused)?;
    simwright::worker::enter(0);

    let deadline = 2;
    compare(
        "fault.decide",
        || {
            store.set_epoch_deadline(deadline);
            raw.simwright_plugin_fault().call_decide(&mut store, record(0)).is_ok()
        },
        || fault.decide(&call(0, &request)).is_ok(),
    )?;
    for (name, identity) in [("responder.respond", 0), ("responder.respond, 320 bytes of text", TEXT)] {
        compare(
            name,
            || {
                store.set_epoch_deadline(deadline);
                raw.simwright_plugin_responder().call_respond(&mut store, record(identity), 1).is_ok()
            },
            || responder.respond(&call(identity, &request), 1).is_ok(),
        )?;
    }
    compare(
        "latency.plan",
        || {
            store.set_epoch_deadline(deadline);
            raw.simwright_plugin_latency().call_plan(&mut store, record(0), 100).is_ok()
        },
        || latency.plan(&call(0, &request), 100).is_ok(),
    )
}

/// Prints nanoseconds per call of both sides and their ratio.
fn compare(name: &str, mut raw: impl FnMut() -> bool, mut ours: impl FnMut() -> bool) -> anyhow::Result<()> {
    let mut best = [u64::MAX; 2];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(round(&mut raw)?);
        best[1] = best[1].min(round(&mut ours)?);
    }
    let [raw, ours] = best.map(|ns| ns as f64 / f64::from(CALLS));
    println!("{name:40} raw {raw:7.1} ns   adapter {ours:7.1} ns   ratio {:.2}", ours / raw);
    Ok(())
}

fn round(ask: &mut impl FnMut() -> bool) -> anyhow::Result<u64> {
    let start = monotonic_ns();
    let good = (0..CALLS).filter(|_| ask()).count();
    let took = monotonic_ns() - start;
    anyhow::ensure!(good == CALLS as usize, "only {good} of {CALLS} calls were answered");
    Ok(took)
}

/// An instance with wasmtime alone: the same kind of engine, nothing to import.
fn raw_instance(bytes: &[u8]) -> anyhow::Result<(Store<()>, FullPlugin)> {
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false).cranelift_nan_canonicalization(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    let engine = Engine::new(&config)?;
    let component = Component::from_binary(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(&engine, ());
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    store.set_epoch_deadline(2);
    let plugin = FullPlugin::instantiate(&mut store, &component, &linker)?;
    Ok((store, plugin))
}

fn record(identity: u64) -> types::Call {
    types::Call {
        identity,
        attempt: 0,
        occurrence: 0,
        seed: 42,
        now_ns: 5_000_000_000,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: 1,
        input_tokens: 10,
        max_output_tokens: 100,
        running: 0,
        waiting: 0,
        traits: types::Traits::empty(),
    }
}

fn call(identity: u64, request: &Arc<Request>) -> Call<'_> {
    Call {
        identity,
        attempt: 0,
        occurrence: 0,
        seed: 42,
        now: 5_000_000_000,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: Operation::Chat,
        input_tokens: 10,
        max_output_tokens: 100,
        running: 0,
        waiting: 0,
        request,
        draws: None,
    }
}
