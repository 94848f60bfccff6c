//! How fast virtual time runs, and what it keeps in memory.
//!
//! `cargo bench -p simwright-benches --bench virtual_time`. An *event* is one change of state that was taken from a queue: an arrival,
//! the end of a service, the end of a wait, a change of a replica's batch. Nothing that changes nothing counts. Times are CPU times of
//! one thread, and the best of several rounds counts, so that a busy machine disturbs the figures least. *Fleet* is all that
//! `simwright simulate` does but reading the scenario: traffic, facts, plan, stations, measures, report. `--smoke` runs short.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use simwright::app::simulate::EPOCH_UNIX_S;
use simwright::app::workshop::Workshop;
use simwright::clock::Nanos;
use simwright::clock::real::{RealClock, thread_cpu_ns};
use simwright::fleet::{Fleet, Limits, Report};
use simwright::plan::generation::Generation;
use simwright::random::{Key, Stream};
use simwright::scenario::read;
use simwright::station::pipeline::agenda::{Agenda, Phase};
use simwright::station::pipeline::route::{Route, Stage, Step};
use simwright::station::pipeline::{Happened, Item, Settings, Site, What, Work};
use simwright::station::{pool, replica};
use simwright::wasm::Compiler;
use simwright::worker;
use simwright::workload::Workload;
use simwright_benches::child::usage::resident_bytes;
use simwright_benches::rivals::{ARRIVALS, Queue, SERVERS, WAIT_S, nexosim, simpy};
use smallvec::smallvec;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events a second, in millions, of what is native, and with a plugin asked for each arrival.
const NATIVE_BUDGET: f64 = 5.0;
const PLUGIN_BUDGET: f64 = 1.8;
/// What the Azure hour may take on 8 replicas, in ms.
const HOUR_BUDGET_MS: f64 = 300.0;
/// Bytes of a request in flight, and of an event in the queue.
const FLIGHT_BUDGET: f64 = 1_024.0;
const QUEUED_BUDGET: f64 = 128.0;

/// M/M/8 as a scenario; `SERVICE` is what a request takes.
const QUEUE: &str = "
simwright: 1
stations: { servers: { pool: { size: 8 } } }
models: [{ match: m, SERVICE }]
workload: { arrivals: { poisson: { rate: 7.2 } }, classes: [{ model: m, input: 1, output: 1 }], client: { retries: 0 } }
";
/// The service drawn by the latency model.
const NATIVE: &str = "latency: { exponential: { first: { mean: 1s }, between: { mean: 1s } } }, \
                      pipeline: [ { model: { through: servers } } ]";
/// The same drawn before the model's own time, which a plugin gives.
const PLUGIN: &str = "latency: { brown-out: { first: 0ms, between: 0ms } }, pipeline: [ { model: { through: servers, \
                      takes: { exponential: { first: { mean: 1s }, between: { mean: 1s } } } } } ]";
/// The hour of the Azure conversation trace on measured servers.
const HOUR: &str = "
simwright: 1
stations: { gpu: { replicas: { count: 8, preset: llama-3.1-8b-h100 } } }
models: [{ match: m, pipeline: [ { model: { through: gpu } } ] }]
workload: { arrivals: { trace: { file: azure_llm_2023_conv.csv } }, classes: [{ model: m }] }
";

fn main() -> Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (rounds, scale) = if smoke { (1, 1_000) } else { (5, 1) };
    let best = |run: &dyn Fn() -> Result<Queue>| -> Result<Queue> {
        let runs: Vec<Queue> = (0..rounds).map(|_| run()).collect::<Result<_>>()?;
        runs.into_iter().min_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s)).context("a round")
    };
    println!("{:<36}{:>12}{:>12}{:>10}{:>14}{:>10}", "", "events", "million/s", "ns each", "mean wait s", "budget");
    for entries in [100, 10_000] {
        let queue = best(&|| Ok(hold(entries, 10_000_000 / scale)))?;
        row(&format!("hold model, {entries} entries"), queue, Some(NATIVE_BUDGET));
    }
    let stations = best(&|| Ok(mmc(2_000_000 / scale)))?;
    row("M/M/8, stations", stations, Some(NATIVE_BUDGET));
    let native = Played::of(&QUEUE.replace("SERVICE", NATIVE))?;
    let fleet = best(&|| native.queue(2_000_000 / scale))?;
    row("M/M/8, fleet", fleet, Some(NATIVE_BUDGET));
    let plugin = Played::of(&QUEUE.replace("SERVICE", PLUGIN))?;
    row("M/M/8, fleet, a plugin each", best(&|| plugin.queue(1_000_000 / scale))?, Some(PLUGIN_BUDGET));
    let theirs = best(&|| nexosim::run(1_000_000 / scale))?;
    row("M/M/8, nexosim", theirs, None);
    match best(&|| simpy::run(200_000 / scale)) {
        Ok(queue) => row("M/M/8, SimPy", queue, None),
        Err(error) => println!("{:<36}{error}", "M/M/8, SimPy"),
    }
    let faster = |ours: Queue| per_second(ours) / per_second(theirs);
    println!("exact mean wait {WAIT_S} s; nexosim's rate times {:.1} and {:.1} (stations, fleet)\n", faster(stations), faster(fleet));
    hour(rounds)?;
    memory(if smoke { 2_000 } else { 200_000 })
}

fn per_second(queue: Queue) -> f64 {
    queue.events as f64 / queue.cpu_s
}

fn row(name: &str, queue: Queue, budget: Option<f64>) {
    let millions = per_second(queue) / 1e6;
    let Queue { events, cpu_s, wait_s } = queue;
    let wait = if wait_s.is_nan() { String::new() } else { format!("{wait_s:.4}") };
    let judged = budget.map(|least| format!("{:>10}{}", format!(">= {least}"), verdict(millions >= least)));
    let each = cpu_s * 1e9 / events as f64;
    println!("{name:<36}{events:>12}{millions:>12.2}{each:>10.1}{wait:>14}{}", judged.unwrap_or_default());
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "  met" } else { "  missed" }
}

/// A scenario that is played as `simwright simulate` plays it: with the deterministic plugin host.
struct Played {
    generation: Arc<Generation>,
    workload: Workload,
    /// Holds the plugins.
    _workshop: Workshop,
}

impl Played {
    fn of(scenario: &str) -> Result<Self> {
        worker::enter(0);
        let workshop = Workshop::open_virtual(RealClock::of_run(EPOCH_UNIX_S), Some(7), Compiler::InProcess)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let generation = Arc::new(workshop.build(read::parse("bench.yaml", scenario, &folder)?, 1)?);
        let workload = generation.scenario.workload.as_ref().context("a workload")?;
        Ok(Self { workload: Workload::clone(workload), generation, _workshop: workshop })
    }

    /// A run of at most `requests` that has not begun.
    fn begin(&self, requests: Option<u64>) -> Result<Fleet> {
        let workload = Workload { requests, ..self.workload.clone() };
        Fleet::begin(&self.generation, &workload).map_err(|problems| anyhow!("{problems:?}"))
    }

    /// A whole run, and its CPU time in seconds.
    fn play(&self, requests: Option<u64>) -> Result<(Report, f64)> {
        let mut fleet = self.begin(requests)?;
        let begun = thread_cpu_ns();
        fleet.play(Limits { events_max: u64::MAX }, &mut ());
        let report = fleet.report();
        let cpu_s = (thread_cpu_ns() - begun) as f64 * 1e-9;
        ensure!(report.is_sound() && report.attempts.whole == report.requests, "{:?}", report.broken);
        Ok((report, cpu_s))
    }

    fn queue(&self, requests: u64) -> Result<Queue> {
        let (report, cpu_s) = self.play(Some(requests))?;
        let waited_ns = report.waited.mean().context("somebody")?;
        Ok(Queue { events: report.events, cpu_s, wait_s: waited_ns * 1e-9 })
    }
}

fn exponential_ns(stream: &mut Stream, mean_s: f64) -> Nanos {
    (-libm::log(1.0 - stream.unit()) * mean_s * 1e9) as Nanos
}

/// The queue alone: takes the first of `entries`, puts it back for a random time later.
fn hold(entries: u64, events: u64) -> Queue {
    let mut stream = Stream::of(7);
    let mut agenda = Agenda::default();
    (0..entries).for_each(|entry| agenda.push(exponential_ns(&mut stream, 1.0), Phase::End, entry));
    let begun = thread_cpu_ns();
    for _ in 0..events {
        if let Some((at, entry)) = agenda.pop(Nanos::MAX) {
            agenda.push(at + exponential_ns(&mut stream, 1.0), Phase::End, black_box(entry));
        }
    }
    Queue { events, cpu_s: (thread_cpu_ns() - begun) as f64 * 1e-9, wait_s: f64::NAN }
}

/// The queue of the stations: a pool of servers behind a pipeline of one stage, without planning.
fn mmc(customers: u64) -> Queue {
    let mut site = site_of(SERVERS);
    let mut stream = Stream::of(7);
    let (mut next, mut happened, mut left) = (0, Vec::new(), customers);
    let begun = thread_cpu_ns();
    while left > 0 || !site.is_empty() {
        match site.next_at().filter(|at| left == 0 || *at <= next) {
            Some(at) => site.advance(at, &mut happened),
            None => {
                left -= 1;
                site.enter(next, work(exponential_ns(&mut stream, 1.0)), &mut happened);
                next += exponential_ns(&mut stream, 1.0 / ARRIVALS);
            }
        }
        while let Some(Happened { at, visit, what }) = happened.pop() {
            if what == What::Done {
                site.leave(at, visit, &mut happened);
            }
        }
    }
    let cpu_s = (thread_cpu_ns() - begun) as f64 * 1e-9;
    let now = site.now();
    let waited_ns = site.flows(now).next().map_or(0, |(_, _, flow)| flow.waited_ns);
    Queue { events: site.events(), cpu_s, wait_s: waited_ns as f64 * 1e-9 / customers as f64 }
}

fn site_of(servers: u32) -> Site {
    let stage = Stage { through: Some(0), ..Stage::default() };
    let route = Route { steps: vec![Step::Stage(stage), Step::End], stages: vec!["servers".to_owned()] };
    Site::new(&[Settings::Pool(pool::Settings::of(servers))], vec![route], false)
}

fn work(service: Nanos) -> Work {
    Work {
        route: 0,
        tenant: 0,
        priority: 0,
        content: 0,
        affinity: 0,
        prompt_tokens: 1,
        output_tokens: 1,
        prefix: replica::Prefix::None,
        bytes: 0,
        step: None,
        reply_ns: 0,
        takes: smallvec![service],
        choices: smallvec![],
        draws: Key::of_seed(0),
    }
}

/// The Azure hour on 8 replicas.
fn hour(rounds: u32) -> Result<()> {
    let played = Played::of(HOUR)?;
    let runs: Vec<(Report, f64)> = (0..rounds).map(|_| played.play(None)).collect::<Result<_>>()?;
    let (report, cpu_s) = runs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).context("a round")?;
    let ms = cpu_s * 1e3;
    let (requests, events, tokens) = (report.requests, report.events, report.tokens.1);
    println!("Azure conversation hour, 8 replicas, fleet: {ms:.1} ms (budget <= {HOUR_BUDGET_MS}){}", verdict(ms <= HOUR_BUDGET_MS));
    println!(
        "  {requests} requests, {events} events, {tokens} tokens; a second {:.0} thousand, {:.2} million, {:.1} million\n",
        requests as f64 / ms,
        events as f64 / ms / 1e3,
        tokens as f64 / ms / 1e3,
    );
    Ok(())
}

/// What `count` requests in flight keep in memory, and as many entries of the agenda: the growth of the process.
fn memory(count: u64) -> Result<()> {
    let resident = || resident_bytes(std::process::id());
    let told = |name: &str, grown: u64, budget: f64| {
        let each = grown as f64 / count as f64;
        println!("{name:<36}{:>10} bytes each {:>18}{}", each.round(), format!("(budget <= {budget})"), verdict(each <= budget));
    };
    let before = resident()?;
    let mut agenda = Agenda::default();
    (0..count).for_each(|entry| agenda.push(entry, Phase::End, Item::Served(entry as u32, 0)));
    told(&format!("{count} queued events"), resident()?.saturating_sub(before), QUEUED_BUDGET);
    drop(black_box(agenda));

    let before = resident()?;
    let (mut site, mut happened) = (site_of(u32::MAX), Vec::new());
    (0..count).for_each(|now| {
        site.enter(now, work(Nanos::MAX / 2), &mut happened);
    });
    told(&format!("{count} in flight, stations"), resident()?.saturating_sub(before), FLIGHT_BUDGET);
    drop(black_box(site));

    let slow = "latency: { constant: { first: 1h } }, pipeline: [ { model: { through: servers } } ]";
    let wide = QUEUE.replace("size: 8", "size: 1_000_000").replace("poisson: { rate: 7.2 }", "every: 1ms");
    let queued = HOUR.replace("trace: { file: azure_llm_2023_conv.csv }", "every: 1us").replace("count: 8", "count: 1");
    let queued = queued.replace("model: m }]", "model: m, input: 1000, output: 200 }]");
    for (name, scenario) in [("served by a pool", wide.replace("SERVICE", slow)), ("queued at a replica", queued)] {
        let mut fleet = Played::of(&scenario)?.begin(Some(count))?;
        let before = resident()?;
        while (fleet.in_flight() as u64) < count {
            let events_max = fleet.events() + 1;
            fleet.play(Limits { events_max }, &mut ());
        }
        told(&format!("{count} in flight, {name}"), resident()?.saturating_sub(before), FLIGHT_BUDGET);
        drop(black_box(fleet));
    }
    Ok(())
}
