//! How fast virtual time runs, and what it keeps in memory.
//!
//! `cargo bench -p simwright-benches --bench virtual_time`. An *event* is one change of state that was taken from a queue: an arrival,
//! the end of a service, the end of a wait, a change of a replica's batch. Nothing that changes nothing counts. Times are CPU times of
//! one thread, and the best of several rounds counts, so that a busy machine disturbs the figures least. *Fleet* is all that
//! `simwright simulate` does but reading the scenario: traffic, facts, plan, stations, measures, report. `--smoke` runs short and judges
//! nothing, `--only TEXT` makes the rows with this in their names. SimPy is asked of the Python that SIMPY_PYTHON names.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::HeaderMap;
use simwright::app::simulate::EPOCH_UNIX_S;
use simwright::app::workshop::Workshop;
use simwright::behavior::call::Call;
use simwright::behavior::latency::Delay;
use simwright::clock::Nanos;
use simwright::clock::real::{RealClock, thread_cpu_ns};
use simwright::dialect::openai::chat_request;
use simwright::fleet::{Fleet, Limits, Report};
use simwright::plan::generation::Generation;
use simwright::random::{Key, Stream};
use simwright::scenario::read;
use simwright::station::pipeline::agenda::{Agenda, Phase};
use simwright::station::pipeline::route::{Route, Stage, Step};
use simwright::station::pipeline::{Happened, Item, Settings, Site, What, Work};
use simwright::station::{pool, replica};
use simwright::types::request::Operation;
use simwright::wasm::Compiler;
use simwright::worker;
use simwright::workload::Workload;
use simwright_benches::child::usage::resident_bytes;
use simwright_benches::rivals::{ARRIVALS, Queue, SERVERS, WAIT_S, nexosim, simpy};
use smallvec::smallvec;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events a second, in millions, of what is native, and where each arrival asks a plugin.
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
/// M/D/8: the service is what a plugin says, a second for everybody.
const PLUGIN: &str = "latency: { brown-out: { first: 1s, between: 0ms, spread: 1, depth: 0 } }, \
                      pipeline: [ { model: { through: servers } } ]";
/// A class whose requests a replica works on for long.
const LONG: &str = "{ model: m, input: 1000, output: 1000 }";
/// The hour of the Azure conversation trace on measured servers.
const HOUR: &str = "
simwright: 1
stations: { gpu: { replicas: { count: 8, preset: llama-3.1-8b-h100 } } }
models: [{ match: m, pipeline: [ { model: { through: gpu } } ] }]
workload: { arrivals: { trace: { file: azure_llm_2023_conv.csv } }, classes: [{ model: m }] }
";

/// How the rows are made.
struct Bench {
    rounds: u32,
    /// What the counts of customers are divided by.
    scale: u64,
    /// Only rows with this in their names.
    only: Option<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |option: &str| arguments.iter().skip_while(|argument| *argument != option).nth(1).cloned();
    if let Some(kept) = after("--kept") {
        println!("{}", kept_bytes(&kept, after("--count").context("a count")?.parse()?)?);
        return Ok(());
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let (rounds, scale) = if smoke { (1, 1_000) } else { (5, 1) };
    let bench = Bench { rounds, scale, only: after("--only") };
    bench.speed()?;
    bench.hour()?;
    bench.memory()
}

impl Bench {
    fn speed(&self) -> Result<()> {
        println!("{:<36}{:>12}{:>12}{:>10}{:>14}{:>10}", "", "events", "million/s", "ns each", "mean wait s", "budget");
        for entries in [100, 10_000] {
            self.row(&format!("hold model, {entries} entries"), Some(NATIVE_BUDGET), || {
                Ok(hold(entries, 10_000_000 / self.scale))
            })?;
        }
        let stations = self.row("M/M/8, stations", Some(NATIVE_BUDGET), || {
            let mut services = Stream::of(8);
            queue(2_000_000 / self.scale, |_, _| Ok(exponential_ns(&mut services, 1.0)))
        })?;
        let native = Played::of(&QUEUE.replace("SERVICE", NATIVE))?;
        let fleet = self.row("M/M/8, fleet alone", Some(NATIVE_BUDGET), || native.queue(2_000_000 / self.scale))?;
        let plugin = Played::of(&QUEUE.replace("SERVICE", PLUGIN))?;
        self.row("M/D/8, stations, ask a plugin", Some(PLUGIN_BUDGET), || plugin.asked(1_000_000 / self.scale))?;
        self.row("M/D/8, fleet, asks a plugin", Some(PLUGIN_BUDGET), || plugin.queue(1_000_000 / self.scale))?;
        let theirs = self.row("M/M/8, nexosim", None, || nexosim::run(1_000_000 / self.scale))?;
        if let Err(error) = self.row("M/M/8, SimPy", None, || simpy::run(200_000 / self.scale)) {
            println!("{:<36}{error}", "M/M/8, SimPy");
        }
        if let (Some(stations), Some(fleet), Some(theirs)) = (stations, fleet, theirs) {
            let faster = |ours: Queue| per_second(ours) / per_second(theirs);
            println!(
                "exact mean wait {WAIT_S} s; nexosim's rate times {:.1} (stations), {:.1} (fleet)",
                faster(stations),
                faster(fleet)
            );
        }
        Ok(())
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    /// The best of some rounds, as a row of the table.
    fn row(&self, name: &str, budget: Option<f64>, run: impl Fn() -> Result<Queue>) -> Result<Option<Queue>> {
        if !self.is_wanted(name) {
            return Ok(None);
        }
        let runs: Vec<Queue> = (0..self.rounds).map(|_| run()).collect::<Result<_>>()?;
        let best = runs.into_iter().min_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s)).context("a round")?;
        let millions = per_second(best) / 1e6;
        let Queue { events, cpu_s, wait_s } = best;
        let wait = if wait_s.is_nan() { String::new() } else { format!("{wait_s:.4}") };
        let judged = budget.map(|least| format!("{:>10}{}", format!(">= {least}"), verdict(millions >= least)));
        let each = cpu_s * 1e9 / events as f64;
        println!("{name:<36}{events:>12}{millions:>12.2}{each:>10.1}{wait:>14}{}", judged.unwrap_or_default());
        Ok(Some(best))
    }

    /// The Azure hour on 8 replicas.
    fn hour(&self) -> Result<()> {
        if !self.is_wanted("hour") {
            return Ok(());
        }
        let played = Played::of(HOUR)?;
        let requests = (self.scale > 1).then_some(200);
        let runs: Vec<(Report, f64)> = (0..self.rounds).map(|_| played.play(requests)).collect::<Result<_>>()?;
        let (report, cpu_s) = runs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).context("a round")?;
        let ms = cpu_s * 1e3;
        let (requests, events, tokens) = (report.requests, report.events, report.tokens.1);
        let judged = verdict(ms <= HOUR_BUDGET_MS);
        println!("\nAzure conversation hour, 8 replicas, fleet: {ms:.1} ms (budget <= {HOUR_BUDGET_MS}){judged}");
        println!(
            "  {requests} requests, {events} events, {tokens} tokens; a second {:.0} thousand, {:.2} million, {:.1} million\n",
            requests as f64 / ms,
            events as f64 / ms / 1e3,
            tokens as f64 / ms / 1e3,
        );
        Ok(())
    }

    /// What requests in flight and queued events keep in memory, each kind in a process of its own.
    fn memory(&self) -> Result<()> {
        // Of fewer the tables' room that is not in use yet would be a greater part, so a short run keeps as many.
        let count = 200_000;
        for (name, kept, budget) in KEPT {
            if !self.is_wanted(name) {
                continue;
            }
            let mut child = Command::new(std::env::current_exe()?);
            // What was freed as tables grew goes back to the system at once.
            child.env("MIMALLOC_PURGE_DELAY", "0");
            let output = child.args(["--kept", kept, "--count", &count.to_string()]).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let bytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
            let each = bytes / f64::from(count);
            println!("{name:<36}{:>8.0} bytes each, {count} of them (budget <= {budget}){}", each, verdict(each <= budget));
        }
        Ok(())
    }
}

/// What keeps memory: its name, its word for the process that measures it, and what each may keep.
const KEPT: [(&str, &str, f64); 4] = [
    ("queued event", "event", QUEUED_BUDGET),
    ("request in flight, stations", "stations", FLIGHT_BUDGET),
    ("request in flight, fleet", "fleet", FLIGHT_BUDGET),
    ("request queued at a replica, fleet", "replica", FLIGHT_BUDGET),
];

/// By how much the process grows with `count` of `kept`.
fn kept_bytes(kept: &str, count: u64) -> Result<u64> {
    let resident = || resident_bytes(std::process::id());
    let slow = "latency: { constant: { first: 1h } }, pipeline: [ { model: { through: servers } } ]";
    let scenario = match kept {
        "fleet" => {
            QUEUE.replace("SERVICE", slow).replace("size: 8", "size: 1_000_000").replace("poisson: { rate: 7.2 }", "every: 1us")
        }
        _ => HOUR.replace("trace: { file: azure_llm_2023_conv.csv }", "every: 1us").replace("{ model: m }", LONG),
    };
    let mut fleet = Played::of(&scenario)?.begin(Some(count))?;
    let (mut agenda, mut site, mut happened) = (Agenda::default(), site_of(u32::MAX), Vec::new());
    let before = resident()?;
    match kept {
        "event" => (0..count).for_each(|entry| agenda.push(entry, Phase::End, Item::Served(entry as u32, 0))),
        "stations" => (0..count).for_each(|now| {
            site.enter(now, work(Nanos::MAX / 2), &mut happened);
        }),
        _ => {
            while (fleet.in_flight() as u64) < count {
                fleet.play(Limits { events_max: fleet.events() + 1 }, &mut ());
            }
        }
    }
    let grown = resident()?.saturating_sub(before);
    // They must live up to here.
    black_box((agenda, site, fleet));
    Ok(grown)
}

fn per_second(queue: Queue) -> f64 {
    queue.events as f64 / queue.cpu_s
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

    /// The queue of the stations, where the scenario's latency model says of each arrival how long it takes.
    fn asked(&self, customers: u64) -> Result<Queue> {
        let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#);
        let request = chat_request(body, HeaderMap::new()).map_err(|error| anyhow!("{}", error.message))?;
        let (request, latency) = (Arc::new(request), &self.generation.models[0].latency[0].primary);
        queue(customers, |now, identity| {
            let call = Call {
                identity,
                attempt: 0,
                occurrence: 0,
                seed: Key::of_seed(7).with(identity).bits(),
                now,
                model: 0,
                tenant: 0,
                stage: 0,
                operation: Operation::Chat,
                input_tokens: 1,
                max_output_tokens: 1,
                running: 0,
                waiting: 0,
                request: &request,
                draws: None,
            };
            match latency.plan(&call, 1)?.first {
                Delay::Us(us) => Ok(Nanos::from(us) * 1_000),
                other => Err(anyhow!("{other:?} instead of a time")),
            }
        })
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

/// The queue of the stations: a pool of servers behind a pipeline of one stage, without planning. `service` says how long the customer
/// of a number takes who comes at a time.
fn queue(customers: u64, mut service: impl FnMut(Nanos, u64) -> Result<Nanos>) -> Result<Queue> {
    let mut site = site_of(SERVERS);
    let mut stream = Stream::of(7);
    let (mut next, mut happened, mut left) = (0, Vec::new(), customers);
    let begun = thread_cpu_ns();
    while left > 0 || !site.is_empty() {
        match site.next_at().filter(|at| left == 0 || *at <= next) {
            Some(at) => site.advance(at, &mut happened),
            None => {
                left -= 1;
                site.enter(next, work(service(next, left)?), &mut happened);
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
    Ok(Queue { events: site.events(), cpu_s, wait_s: waited_ns as f64 * 1e-9 / customers as f64 })
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
        asker: None,
        prompt_tokens: 1,
        output_tokens: 1,
        prefix: replica::Prefix::None,
        bytes: 0,
        step: None,
        reply_ns: 0,
        takes: smallvec![service],
        choices: smallvec![],
        is_cut: false,
        draws: Key::of_seed(0),
    }
}
