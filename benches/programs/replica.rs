//! What the replica costs, without HTTP and without a driver: the hour of the Azure conversation trace on measured servers, and streams
//! that ask for their tokens as a live server's do.
//!
//! `cargo bench -p simwright-benches --bench replica`. One thread; the best of several rounds counts, so that a busy machine disturbs
//! the figures least. `--smoke` runs one round of a few requests. A *call* is one `enter` or `advance`: what a virtual clock has an
//! event for.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::path::Path;

use anyhow::Context;
use simwright::clock::Nanos;
use simwright::clock::real::monotonic_ns;
use simwright::station::replica::{Event, Job, Prefix, Replica, Settings, presets};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the hour may cost on 8 replicas, in ms.
const HOUR_BUDGET_MS: f64 = 300.0;

/// One row of the trace: arrival, prompt, output.
type Row = (Nanos, u32, u32);

/// What one run did.
#[derive(Default)]
struct Run {
    ns: u64,
    calls: u64,
    steps: u64,
    tokens: u64,
}

fn main() -> anyhow::Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let rounds = if smoke { 1 } else { 9 };
    let mut rows = rows()?;
    rows.truncate(if smoke { 200 } else { usize::MAX });
    println!("{} requests of the Azure conversation hour (a tenth share one prefix of 1,000 tokens)", rows.len());
    println!("{:<28}{:>9}{:>9}{:>10}{:>10}{:>12}{:>14}", "server", "replicas", "ms", "us each", "calls", "steps", "tokens/s");
    for name in ["llama-3.1-8b-h100", "llama-3.1-8b-rtx-pro-6000", "llama-3.1-8b-rtx-4090"] {
        for replicas in [1, 8] {
            let settings = &presets::find(name).context("a preset")?.settings;
            let best = (0..rounds).map(|_| hour(&rows, settings, replicas)).min_by_key(|run| run.ns).context("a round")?;
            let ms = best.ns as f64 / 1e6;
            println!(
                "{name:<28}{replicas:>9}{ms:>9.1}{:>10.2}{:>10}{:>12}{:>14.0}{}",
                ms * 1e3 / rows.len() as f64,
                best.calls,
                best.steps,
                best.tokens as f64 / ms * 1e3,
                if replicas == 8 && ms > HOUR_BUDGET_MS { "  over budget" } else { "" }
            );
        }
    }
    let tokens = if smoke { 10 } else { 1_000 };
    let ns = (0..rounds).map(|_| streams(256, tokens)).min().context("a round")?;
    println!("\n256 streams, a look at each after each step: {:.1} ns a token", ns as f64 / (256.0 * f64::from(tokens)));
    Ok(())
}

fn rows() -> anyhow::Result<Vec<Row>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/azure_llm_2023_conv.csv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let row = |line: &str| -> Option<Row> {
        let mut fields = line.trim().split(',');
        // All rows are of one day: `2023-11-16 18:15:46.6805900`.
        let mut parts = fields.next()?.get(11..)?.split(':');
        let (hours, minutes): (f64, f64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let seconds = hours * 3_600.0 + minutes * 60.0 + parts.next()?.parse::<f64>().ok()?;
        Some(((seconds * 1e9) as Nanos, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let rows: Option<Vec<Row>> = text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(row).collect();
    let mut rows = rows.with_context(|| format!("`{}` has a row that is not time, prompt, output", path.display()))?;
    let start = rows.first().map_or(0, |row| row.0);
    rows.iter_mut().for_each(|row| row.0 -= start);
    Ok(rows)
}

/// Every replica has every `replicas`-th request.
fn hour(rows: &[Row], settings: &Settings, replicas: usize) -> Run {
    let mut run = Run::default();
    let began = monotonic_ns();
    for first in 0..replicas {
        let mut replica = Replica::new(settings.clone());
        let (mut events, mut free, mut visitors) = (Vec::new(), Vec::new(), 0);
        let mut rows = rows.iter().enumerate().skip(first).step_by(replicas).peekable();
        loop {
            let due = replica.next_at();
            match (due, rows.peek()) {
                (None, None) => break,
                (due, Some((number, row))) if due.is_none_or(|due| row.0 <= due) => {
                    let visitor = free.pop().unwrap_or_else(|| {
                        visitors += 1;
                        visitors - 1
                    });
                    let prefix = if number % 10 == 0 { Prefix::Group { group: 1, tokens: 1_000 } } else { Prefix::None };
                    black_box(replica.enter(row.0, Job { visitor, prompt_tokens: row.1, output_tokens: row.2, prefix }));
                    rows.next();
                }
                (due, _) => replica.advance(due.unwrap_or(0), &mut events),
            }
            run.calls += 1;
            for event in events.drain(..) {
                if let Event::Finished { at, visitor } = event {
                    replica.leave(at, visitor);
                    free.push(visitor);
                }
            }
        }
        run.steps += replica.load().steps;
        run.tokens += replica.load().output_tokens;
    }
    run.ns = monotonic_ns() - began;
    run
}

/// Streams of one replica as a live server plays them: after each step every stream asks when its next token left.
fn streams(count: u32, tokens: u32) -> u64 {
    let settings = Settings { sequences_max: count, kv_blocks: 100_000, ..presets::ALL[0].settings.clone() };
    let mut replica = Replica::new(settings);
    for visitor in 0..count {
        replica.enter(0, Job { visitor, prompt_tokens: 100, output_tokens: tokens, prefix: Prefix::None });
    }
    let mut sent = vec![0; count as usize];
    let mut events = Vec::new();
    let (began, mut now) = (monotonic_ns(), 0);
    while let Some(end) = replica.step_end(now) {
        now = end;
        replica.advance(now, &mut events);
        events.clear();
        for visitor in 0..count {
            let next = &mut sent[visitor as usize];
            while black_box(replica.token_at(visitor, *next)).is_some() {
                *next += 1;
            }
        }
    }
    monotonic_ns() - began
}
