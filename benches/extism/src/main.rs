//! What the same plugin costs through Simwright's plugin host and through the `extism` crate, in one process and one run.
//!
//! [`side`] has the three sides, [`words`] what is said to Extism. Each round asks every side the same calls in turn; all instances are
//! reused. How to build the guests and what came out stand in benches/README.md, "Beside Extism".
#![allow(missing_docs, reason = "a program")]

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use rounds::{Better, median, worst};
use side::{ExtismBytes, ExtismJson, Side, Simwright, extism, json_alone, nothing};
use simwright::behavior::call::Call;
use simwright::types::request::Request;

#[path = "../../src/clock.rs"]
#[allow(dead_code, reason = "the benches' file has more than is asked here")]
mod clock;
#[path = "../../src/figures/rounds.rs"]
#[allow(dead_code, reason = "the benches' file has more than is asked here")]
mod rounds;
mod side;
#[allow(dead_code, reason = "half of it is the guest's")]
mod words;

/// The server's allocator; Extism allocates more, so a good one is kind to it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 21;
const CALLS: u64 = 10_000;
const DECISIONS: [&str; 3] = ["fault.decide", "responder.respond", "latency.plan"];
/// A call through Extism costs at least so many times one through Simwright.
const BUDGET: f64 = 5.0;

/// Nanoseconds of a call by the clock, and of CPU on all threads of this process.
type Cost = [f64; 2];

fn main() -> Result<()> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let module = guests.join("wasm32-unknown-unknown/guest/decisions_extism.wasm");
    let mut ours = Simwright::load(&guests.join("wasm32-wasip2/guest/decisions_simwright.wasm"))?;
    let (mut json, mut bytes) = (ExtismJson(extism(&module)?), ExtismBytes(extism(&module)?));
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (rounds, calls) = if smoke { (1, 100) } else { (ROUNDS, CALLS) };
    let request = Arc::new(Request::chat("model", Vec::new()));
    agree(&mut [&mut ours, &mut json, &mut bytes], &request)?;
    let mut costs: [[Vec<Cost>; 3]; 3] = Default::default();
    for _ in 0..rounds {
        for decision in 0..DECISIONS.len() {
            for (side, costs) in [&mut ours as &mut dyn Side, &mut json, &mut bytes].into_iter().zip(&mut costs) {
                costs[decision].push(round(calls, |number| ask(side, decision, &call(number, &request)))?);
            }
        }
    }
    let mut parts = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        parts[0].push(round(calls, |_| nothing(&mut bytes.0))?);
        parts[1].push(round(calls, |number| json_of_all(&call(number, &request)))?);
    }
    show(&costs);
    println!("\nof a call through extism: {:.0} ns that says and asks nothing", middle(&parts[0])[0]);
    println!("of three calls in JSON: {:.0} ns of serde in the host", middle(&parts[1])[0]);
    Ok(())
}

/// Do all sides decide the same, over requests that are refused and slow and over others?
fn agree(sides: &mut [&mut dyn Side; 3], request: &Arc<Request>) -> Result<()> {
    let (mut refused, mut slow) = (0, 0);
    for number in 0..1_000 {
        let call = Call { attempt: u32::from(number % 7 == 0), ..call(number, request) };
        let [ours, others @ ..] = &mut *sides;
        let (verdict, answers, schedule) = (ours.decide(&call)?, ours.respond(&call, 1)?, ours.plan(&call, 100)?);
        for other in others {
            ensure!(other.decide(&call)? == verdict, "verdicts on call {number} differ");
            ensure!(other.respond(&call, 1)? == answers, "answers to call {number} differ");
            ensure!(other.plan(&call, 100)? == schedule, "schedules of call {number} differ");
        }
        refused += usize::from(verdict != simwright::behavior::fault::Verdict::Pass);
        slow += usize::from(schedule.first != simwright::behavior::latency::Delay::Us(300_000));
    }
    ensure!(refused > 20 && slow > 50, "of 1,000 calls only {refused} were refused and {slow} slow");
    println!("1,000 calls decided alike by all; {refused} refused, {slow} slow\n");
    Ok(())
}

/// A first attempt with a seed of its own.
fn call(number: u64, request: &Arc<Request>) -> Call<'_> {
    Call { identity: number, seed: number, now: 5_000_000_000, ..Call::first(request) }
}

fn ask(side: &mut dyn Side, decision: usize, call: &Call<'_>) -> Result<()> {
    match decision {
        0 => side.decide(call).map(drop),
        1 => side.respond(call, 1).map(drop),
        _ => side.plan(call, 100).map(drop),
    }
}

fn json_of_all(call: &Call<'_>) -> Result<()> {
    json_alone::<words::Verdict>(call, br#""pass""#)?;
    json_alone::<Vec<words::Answer>>(
        call,
        br#"[{"items":[{"text":"Hello!"},{"generate":{"tokens":31,"style":""}}],"finish":"stop"}]"#,
    )?;
    json_alone::<words::Schedule>(call, br#"{"first":{"us":300000},"between":{"us":20000},"pauses":[]}"#)?;
    Ok(())
}

fn round(calls: u64, mut ask: impl FnMut(u64) -> Result<()>) -> Result<Cost> {
    let (cpu, start) = (clock::process_cpu_ns(), clock::now_ns());
    for number in 0..calls {
        ask(number)?;
    }
    let (took, worked) = (clock::now_ns() - start, clock::process_cpu_ns() - cpu);
    Ok([took, worked].map(|ns| ns as f64 / calls as f64))
}

fn show(costs: &[[Vec<Cost>; 3]; 3]) {
    let [ours, json, bytes] = costs;
    println!("{:20}{:>20}{:>24}{:>24}", "ns, CPU in brackets", "simwright", "extism, JSON", "extism, bytes");
    let row = |name: &str, sides: [&[Cost]; 3]| {
        let cells = sides.map(|rounds| middle(rounds).map(|ns| format!("{ns:.0}")));
        let [a, b, c] = cells.map(|[took, worked]| format!("{took} ({worked})"));
        println!("{name:20}{a:>20}{b:>24}{c:>24}");
        [sides[1], sides[2]].map(|rounds| times(rounds, sides[0]))
    };
    let mut said = Vec::new();
    for (decision, name) in DECISIONS.iter().enumerate() {
        said.push((*name, row(name, [&ours[decision], &json[decision], &bytes[decision]])));
    }
    let [a, b, c] = [ours, json, bytes].map(all_three);
    said.push(("all three", row("all three", [&a, &b, &c])));
    println!("\n{:20}{:>44}{:>44}", "times simwright's", "extism, JSON: clock, worst, CPU", "extism, bytes: clock, worst, CPU");
    for (name, [json, bytes]) in &said {
        let cell = |[took, worst, worked]: &[f64; 3]| format!("{took:.1}   {worst:.1}   {worked:.1}");
        println!("{name:20}{:>44}{:>44}", cell(json), cell(bytes));
    }
    let word = |ratio: f64| if ratio >= BUDGET { "met" } else { "missed" };
    if let Some((_, [json, bytes])) = said.last() {
        println!("\nbudget of at least {BUDGET} times, all three: {} in JSON, {} in bytes", word(json[0]), word(bytes[0]));
    }
}

/// The rounds of the three decisions as rounds of one.
fn all_three(decisions: &[Vec<Cost>; 3]) -> Vec<Cost> {
    let [a, b, c] = decisions;
    let sum = |round: usize| std::array::from_fn(|kind| a[round][kind] + b[round][kind] + c[round][kind]);
    (0..a.len()).map(sum).collect()
}

/// How many times as much: the median of the rounds and the worst by the clock, the median by CPU.
fn times(theirs: &[Cost], ours: &[Cost]) -> [f64; 3] {
    let ratios = |kind: usize| -> Vec<f64> { theirs.iter().zip(ours).map(|(theirs, ours)| theirs[kind] / ours[kind]).collect() };
    let [took, worked] = [ratios(0), ratios(1)];
    [median(&took), worst(&took, Better::Higher), median(&worked)]
}

fn middle(rounds: &[Cost]) -> Cost {
    [0, 1].map(|kind| median(&rounds.iter().map(|cost| cost[kind]).collect::<Vec<f64>>()))
}
