//! What plugins cost: a call through the plugin host beside the same typed call made with wasmtime alone, kind by kind; an instance;
//! epochs; and what good calls lose when others trap.
//!
//! Build the test guests in `plugins/` first, then give the component's path:
//! `cargo bench -p simwright-benches --bench wasm_call -- adversary.wasm`. Both sides run in one process, in turn, and the
//! best round of each counts, so that a busy machine disturbs the ratio least. Budgets stand in benches/README.md. `--smoke` runs one
//! short round.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::sync::Arc;

use anyhow::Context;
use simwright::behavior::call::Call;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::behavior::fault::Fault;
use simwright::clock::real::monotonic_ns;
use simwright::types::request::Request;
use simwright::wasm::{Compiler, LoadSpec, Meter, PluginHost, PluginHostConfig};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline};

#[allow(missing_docs, unused_qualifications, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "full-plugin" });
}

use bindings::simwright::plugin::{log, request, state, types};
use bindings::{FullPlugin, FullPluginPre};

/// The adversary's number for a reply with 320 bytes of text, and for a trap.
const TEXT: u64 = 116;
const TRAP: u64 = 6;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: u32,
    calls: u32,
    instances: u32,
}

fn main() -> anyhow::Result<()> {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path = path.ok_or_else(|| anyhow::anyhow!("name the component; see the head of this file"))?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{path}`"))?;
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let size =
        if smoke { Size { rounds: 1, calls: 100, instances: 10 } } else { Size { rounds: 30, calls: 20_000, instances: 1_000 } };
    let pre = raw_plugin(&bytes, true)?;
    let host =
        PluginHost::new(PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess })?;
    simwright::worker::enter(0);
    calls(size, &host, &bytes, &pre)?;
    epochs(size, &bytes, &pre)?;
    instances(size, &host, &bytes, &pre)?;
    traps(size, &host, &bytes)
}

/// The behaviours of the plugin `name`.
fn behaviours(host: &PluginHost, spec: LoadSpec<'_>) -> anyhow::Result<Catalog> {
    let mut catalog = Catalog::default();
    host.load(spec)?.register(&mut catalog);
    Ok(catalog)
}

fn fault_of(host: &PluginHost, spec: LoadSpec<'_>) -> anyhow::Result<Arc<dyn Fault>> {
    let name = spec.name;
    let made = behaviours(host, spec)?.fault[name].make(&serde_json::json!({}), &Setting::default());
    made.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// Calls of each kind: wasmtime alone, and through the host.
fn calls(size: Size, host: &PluginHost, bytes: &[u8], pre: &FullPluginPre<Nothing>) -> anyhow::Result<()> {
    let request = Arc::new(Request::chat("model", Vec::new()));
    let catalog = behaviours(host, LoadSpec::new("adversary", bytes))?;
    let (options, setting) = (serde_json::json!({}), Setting::default());
    let refused = |problems| anyhow::anyhow!("{problems:?}");
    let fault = catalog.fault["adversary"].make(&options, &setting).map_err(refused)?;
    let responder = catalog.responder["adversary"].make(&options, &setting).map_err(refused)?;
    let latency = catalog.latency["adversary"].make(&options, &setting).map_err(refused)?;
    let (mut store, raw) = raw_instance(pre)?;
    compare(
        size,
        "fault.decide",
        ["raw", "host"],
        || {
            store.set_epoch_deadline(2);
            raw.simwright_plugin_fault().call_decide(&mut store, record(0)).is_ok()
        },
        || fault.decide(&call(0, &request)).is_ok(),
    )?;
    for (name, identity) in [("responder.respond", 0), ("responder.respond, 320 bytes of text", TEXT)] {
        compare(
            size,
            name,
            ["raw", "host"],
            || {
                store.set_epoch_deadline(2);
                raw.simwright_plugin_responder().call_respond(&mut store, record(identity), 1).is_ok()
            },
            || responder.respond(&call(identity, &request), 1).is_ok(),
        )?;
    }
    compare(
        size,
        "latency.plan",
        ["raw", "host"],
        || {
            store.set_epoch_deadline(2);
            raw.simwright_plugin_latency().call_plan(&mut store, record(0), 100).is_ok()
        },
        || latency.plan(&call(0, &request), 100).is_ok(),
    )
}

/// The raw call without and with epochs.
fn epochs(size: Size, bytes: &[u8], pre: &FullPluginPre<Nothing>) -> anyhow::Result<()> {
    let without = raw_plugin(bytes, false)?;
    let (mut without_store, without) = raw_instance(&without)?;
    let (mut with_store, with) = raw_instance(pre)?;
    compare(
        size,
        "fault.decide, epochs",
        ["off", "on"],
        || without.simwright_plugin_fault().call_decide(&mut without_store, record(0)).is_ok(),
        || {
            with_store.set_epoch_deadline(2);
            with.simwright_plugin_fault().call_decide(&mut with_store, record(0)).is_ok()
        },
    )
}

/// A new instance for each call: wasmtime alone, from store to drop, and through the host with `isolation: per-call`.
fn instances(size: Size, host: &PluginHost, bytes: &[u8], pre: &FullPluginPre<Nothing>) -> anyhow::Result<()> {
    let mut best = u64::MAX;
    for _ in 0..size.rounds {
        let start = monotonic_ns();
        for _ in 0..size.instances {
            drop(raw_instance(pre)?);
        }
        best = best.min((monotonic_ns() - start) / u64::from(size.instances));
    }
    println!("{:40} {:7.1} us", "instantiate and drop", best as f64 / 1e3);
    let spec = LoadSpec { fresh_per_call: true, ..LoadSpec::new("fresh", bytes) };
    let (fault, request) = (fault_of(host, spec)?, Arc::new(Request::chat("model", Vec::new())));
    let mut best = u64::MAX;
    for _ in 0..size.rounds {
        let start = monotonic_ns();
        let good = (0..size.instances).filter(|_| fault.decide(&call(0, &request)).is_ok()).count();
        anyhow::ensure!(good == size.instances as usize, "only {good} of {} calls were answered", size.instances);
        best = best.min((monotonic_ns() - start) / u64::from(size.instances));
    }
    println!("{:40} {:7.1} us", "fault.decide on an instance of its own", best as f64 / 1e3);
    Ok(())
}

/// What good calls lose when one in a hundred traps.
fn traps(size: Size, host: &PluginHost, bytes: &[u8]) -> anyhow::Result<()> {
    let fault = fault_of(host, LoadSpec::new("traps", bytes))?;
    let request = Arc::new(Request::chat("model", Vec::new()));
    let mut best = [u64::MAX; 2];
    for round in 0..size.rounds * 2 {
        let side = round as usize % 2;
        let start = monotonic_ns();
        for number in 0..size.calls {
            let traps = side == 1 && number % 100 == 99;
            let answered = fault.decide(&call(if traps { TRAP } else { 0 }, &request)).is_ok();
            anyhow::ensure!(answered != traps, "call {number} of round {round}");
        }
        best[side] = best[side].min(monotonic_ns() - start);
    }
    let good = [1.0, 0.99].map(|share| share * f64::from(size.calls));
    let [clean, trapping] = [0, 1].map(|side| good[side] / (best[side] as f64 / 1e9));
    let each = (best[1] as f64 - best[0] as f64 * 0.99) / (f64::from(size.calls) / 100.0) / 1e3;
    println!(
        "{:40} {clean:.0} calls/s clean, {trapping:.0} good ones while 1 % trap, ratio {:.2}; a trap costs {each:.1} us",
        "traps",
        trapping / clean
    );
    Ok(())
}

/// Prints nanoseconds per call of both sides and their ratio.
fn compare(
    size: Size,
    name: &str,
    sides: [&str; 2],
    mut one: impl FnMut() -> bool,
    mut other: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let mut best = [u64::MAX; 2];
    for _ in 0..size.rounds {
        best[0] = best[0].min(round(size.calls, &mut one)?);
        best[1] = best[1].min(round(size.calls, &mut other)?);
    }
    let [one, other] = best.map(|ns| ns as f64 / f64::from(size.calls));
    println!("{name:40} {:4} {one:7.1} ns   {:4} {other:7.1} ns   ratio {:.2}", sides[0], sides[1], other / one);
    Ok(())
}

fn round(calls: u32, ask: &mut impl FnMut() -> bool) -> anyhow::Result<u64> {
    let start = monotonic_ns();
    let good = (0..calls).filter(|_| ask()).count();
    let took = monotonic_ns() - start;
    anyhow::ensure!(good == calls as usize, "only {good} of {calls} calls were answered");
    Ok(took)
}

/// A host that has nothing to tell.
struct Nothing;

impl types::Host for Nothing {}

impl request::Host for Nothing {
    fn body(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn header(&mut self, _name: String) -> Option<String> {
        None
    }

    fn last_user_text(&mut self) -> String {
        String::new()
    }

    fn attribute(&mut self, _name: String) -> Option<String> {
        None
    }
}

impl state::Host for Nothing {
    fn add(&mut self, _key: String, delta: i64, _ttl_ms: Option<u32>) -> i64 {
        delta
    }

    fn get(&mut self, _key: String) -> Option<Vec<u8>> {
        None
    }

    fn set(&mut self, _key: String, _value: Vec<u8>, _ttl_ms: Option<u32>) {}
}

impl log::Host for Nothing {
    fn write(&mut self, _level: log::Level, _message: String) {}

    fn count(&mut self, _metric: String, _by: u64) {}
}

/// The plugin with wasmtime alone: the same kind of engine, a host that does nothing, WASI that traps.
fn raw_plugin(bytes: &[u8], epochs: bool) -> anyhow::Result<FullPluginPre<Nothing>> {
    let mut config = Config::new();
    config.epoch_interruption(epochs).concurrency_support(false).cranelift_nan_canonicalization(true);
    config.memory_reservation(4 << 30).memory_guard_size(32 << 20);
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(256 << 20)
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(512 << 10)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let component = Component::from_binary(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    request::add_to_linker::<Nothing, HasSelf<Nothing>>(&mut linker, |host| host)?;
    state::add_to_linker::<Nothing, HasSelf<Nothing>>(&mut linker, |host| host)?;
    log::add_to_linker::<Nothing, HasSelf<Nothing>>(&mut linker, |host| host)?;
    linker.define_unknown_imports_as_traps(&component)?;
    Ok(FullPluginPre::new(linker.instantiate_pre(&component)?)?)
}

fn raw_instance(pre: &FullPluginPre<Nothing>) -> anyhow::Result<(Store<Nothing>, FullPlugin)> {
    let mut store = Store::new(pre.engine(), Nothing);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    store.set_epoch_deadline(2);
    let plugin = pre.instantiate(&mut store)?;
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
    Call { identity, seed: 42, now: 5_000_000_000, ..Call::first(request) }
}
