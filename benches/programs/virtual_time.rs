//! How fast virtual time runs, on one core.
//!
//! `cargo bench -p simwright-benches --bench virtual_time`. An *event* is one change of state that was taken from a queue: an arrival,
//! the end of a service, the end of a wait, a change of a replica's batch. Nothing that changes nothing counts. `--smoke` runs short.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;

use simwright::clock::Nanos;
use simwright::clock::real::monotonic_ns;
use simwright::random::{Key, Stream};
use simwright::station::pipeline::agenda::{Agenda, Phase};
use simwright::station::pipeline::route::{Route, Stage, Step};
use simwright::station::pipeline::{Settings, Site, What, Work};
use simwright::station::{pool, replica};
use simwright_benches::rivals::{ARRIVALS, Queue, SERVERS, WAIT_S, nexosim, simpy};
use smallvec::smallvec;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let scale = if smoke { 1_000 } else { 1 };
    println!("{:<44}{:>14}{:>14}{:>12}", "", "events", "million/s", "mean wait s");
    for entries in [100, 10_000] {
        row(&format!("hold model, {entries} entries"), hold(entries, 20_000_000 / scale));
    }
    let ours = mmc(10_000_000 / scale);
    row("M/M/8, stations", ours);
    let theirs = nexosim::run(2_000_000 / scale)?;
    row("M/M/8, nexosim", theirs);
    match simpy::run(200_000 / scale) {
        Ok(queue) => row("M/M/8, SimPy", queue),
        Err(error) => println!("{:<44}{error}", "M/M/8, SimPy"),
    }
    println!("\nexact mean wait {WAIT_S} s; ours / nexosim {:.1}", per_second(ours) / per_second(theirs));
    Ok(())
}

fn per_second(queue: Queue) -> f64 {
    queue.events as f64 / queue.wall_s
}

fn row(name: &str, queue: Queue) {
    println!("{name:<44}{:>14}{:>14.2}{:>12.4}", queue.events, per_second(queue) / 1e6, queue.wait_s);
}

fn exponential_ns(stream: &mut Stream, mean_s: f64) -> Nanos {
    (-libm::log(1.0 - stream.unit()) * mean_s * 1e9) as Nanos
}

/// The queue alone: takes the first of `entries`, puts it back for a random time later.
fn hold(entries: u64, events: u64) -> Queue {
    let mut stream = Stream::of(7);
    let mut agenda = Agenda::default();
    (0..entries).for_each(|entry| agenda.push(exponential_ns(&mut stream, 1.0), Phase::End, entry));
    let begun = monotonic_ns();
    for _ in 0..events {
        if let Some((at, entry)) = agenda.pop(Nanos::MAX) {
            agenda.push(at + exponential_ns(&mut stream, 1.0), Phase::End, black_box(entry));
        }
    }
    Queue { events, wall_s: (monotonic_ns() - begun) as f64 * 1e-9, wait_s: f64::NAN }
}

/// The queue of the stations: a pool of servers behind a pipeline of one stage, without planning.
fn mmc(customers: u64) -> Queue {
    let stage = Stage { through: Some(0), ..Stage::default() };
    let route = Route { steps: vec![Step::Stage(stage), Step::End], stages: vec!["servers".to_owned()] };
    let mut site = Site::new(&[Settings::Pool(pool::Settings::of(SERVERS))], vec![route], false);
    let mut stream = Stream::of(7);
    let (mut next, mut happened, mut left) = (0, Vec::new(), customers);
    let begun = monotonic_ns();
    while left > 0 || !site.is_empty() {
        match site.next_at().filter(|at| left == 0 || *at <= next) {
            Some(at) => site.advance(at, &mut happened),
            None => {
                left -= 1;
                let work = work(exponential_ns(&mut stream, 1.0));
                site.enter(next, work, &mut happened);
                next += exponential_ns(&mut stream, 1.0 / ARRIVALS);
            }
        }
        while let Some(ended) = happened.pop() {
            if ended.what == What::Done {
                site.leave(ended.at, ended.visit, &mut happened);
            }
        }
    }
    let wall_s = (monotonic_ns() - begun) as f64 * 1e-9;
    let now = site.now();
    let waited_ns = site.flows(now).next().map_or(0, |(_, _, flow)| flow.waited_ns);
    Queue { events: site.events(), wall_s, wait_s: waited_ns as f64 * 1e-9 / customers as f64 }
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
