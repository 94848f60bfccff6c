//! Two measured runs of vLLM, predicted from arrivals and token counts alone: docs/replica.md shows the tables that this prints
//! (`cargo test -p simwright --test it measured_runs -- --nocapture`). And the prefix cache against a published trace.
//!
//! TTFT is the first token minus the arrival, TPOT the time from the first to the last token divided by the tokens after the first (one
//! number a request), E2E the last token minus the arrival. Of the real runs, as in the summaries that their authors publish, arrival is
//! when the engine took the request from its inbox.

#![allow(clippy::print_stdout, reason = "the tables are for people")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use simwright::clock::Nanos;
use simwright::station::Entry;
use simwright::station::replica::{Event, Job, Prefix, Replica, Settings, StepTime, presets};

const RTX_4090: &str = include_str!("../data/serving/rtx4090-llama-3.1-8b.csv");
const RTX_PRO_6000: &str = include_str!("../data/serving/rtxpro6000-llama-3.1-8b.csv");

/// One request of a run, in microseconds.
struct Row {
    arrival: u64,
    input: u32,
    output: u32,
    queued: u64,
    first: u64,
    last: u64,
}

fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<u64> = line.split(',').map(|field| field.parse().expect("a number")).collect();
        let [arrival, input, output, queued, first, last] = fields[..] else { panic!("six columns: {line}") };
        Row { arrival, input: input as u32, output: output as u32, queued, first, last }
    };
    text.lines().skip(1).map(row).collect()
}

/// When each request has its first and its last token.
fn predict(rows: &[Row], settings: &Settings) -> Vec<(Nanos, Nanos)> {
    let mut replica = Replica::new(settings.clone());
    let mut events = Vec::new();
    for (visitor, row) in rows.iter().enumerate() {
        let job = Job { visitor: visitor as u32, prompt_tokens: row.input, output_tokens: row.output, prefix: Prefix::None };
        assert_eq!(replica.enter(row.arrival * 1_000, job), Entry::Waits);
    }
    replica.advance(3_600_000_000_000, &mut events);
    let mut times = vec![(0, 0); rows.len()];
    for event in events {
        match event {
            Event::FirstToken { at, visitor } => times[visitor as usize].0 = at,
            Event::Finished { at, visitor } => times[visitor as usize].1 = at,
            _ => {}
        }
    }
    assert!(times.iter().all(|(first, last)| 0 < *first && first < last), "everybody was served");
    times
}

/// A metric of every request, real and predicted, in milliseconds.
struct Compared {
    name: &'static str,
    real: Vec<f64>,
    predicted: Vec<f64>,
}

impl Compared {
    fn new(name: &'static str, pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let (real, predicted) = pairs.unzip();
        Self { name, real, predicted }
    }

    /// Mean, median and 99th percentile: real, predicted, and the error in percent.
    fn errors(&self) -> [(f64, f64, f64); 3] {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let pair = |real: f64, predicted: f64| (real, predicted, (predicted / real - 1.0) * 100.0);
        [
            pair(mean(&self.real), mean(&self.predicted)),
            pair(percentile(&self.real, 0.5), percentile(&self.predicted, 0.5)),
            pair(percentile(&self.real, 0.99), percentile(&self.predicted, 0.99)),
        ]
    }
}

/// With linear interpolation between neighbours, as NumPy does and the published summaries do.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The metrics over the requests from number `from`.
fn compare(rows: &[Row], predicted: &[(Nanos, Nanos)], from: usize) -> [Compared; 3] {
    let all = || rows.iter().zip(predicted).skip(from);
    let ms = |us: u64| us as f64 / 1e3;
    let since = |at: Nanos, row: &Row| at as f64 / 1e6 - ms(row.arrival);
    let gaps = |row: &Row| f64::from(row.output - 1);
    [
        Compared::new("TTFT", all().map(|(row, (first, _))| (ms(row.first - row.queued), since(*first, row)))),
        Compared::new(
            "TPOT",
            all().map(|(row, (first, last))| (ms(row.last - row.first) / gaps(row), (last - first) as f64 / 1e6 / gaps(row))),
        ),
        Compared::new("E2E", all().map(|(row, (_, last))| (ms(row.last - row.queued), since(*last, row)))),
    ]
}

/// Prints the table and asserts that no error is larger than its bound.
fn judge(title: &str, compared: &[Compared; 3], others: Option<[[f64; 3]; 3]>, bounds: [[f64; 3]; 3]) {
    let mut table = format!("{title}\n");
    let mut worst = Vec::new();
    for (metric, compared) in compared.iter().enumerate() {
        for (place, (real, predicted, error)) in compared.errors().into_iter().enumerate() {
            let name = format!("{} {}", compared.name, ["mean", "p50", "p99"][place]);
            let other = others.map_or(String::new(), |others| format!("{:>+8.1} %", others[metric][place]));
            let _ = writeln!(table, "{name:<10}{real:>12.1}{predicted:>12.1}{error:>+8.1} %{other}");
            if error.abs() > bounds[metric][place] {
                worst.push(format!("{name}: {error:+.2} %, but the bound is {}", bounds[metric][place]));
            }
        }
    }
    println!("{table}");
    assert!(worst.is_empty(), "{title}: {worst:#?}");
}

fn preset(name: &str) -> Settings {
    presets::find(name).expect("a preset").settings.clone()
}

// What LLMServingSim's own prediction misses in the same runs, from the `summary.txt` beside the data: TTFT, TPOT and E2E, each mean,
// median and p99, in percent.
const OTHERS_4090: [[f64; 3]; 3] = [[0.6, 0.8, 0.3], [0.2, 0.2, 0.9], [0.5, 0.9, 0.4]];
const OTHERS_PRO_6000: [[f64; 3]; 3] = [[-4.0, -8.6, -2.0], [-1.0, 0.0, 0.6], [-1.8, -1.2, -1.6]];

#[test]
fn the_run_that_preempts_is_predicted() {
    let rows = rows(RTX_4090);
    let predicted = predict(&rows, &preset("llama-3.1-8b-rtx-4090"));
    let compared = compare(&rows, &predicted, 0);
    judge("RTX 4090, fitted on all", &compared, Some(OTHERS_4090), [[0.4, 1.8, 0.7], [1.7, 1.6, 1.3], [0.6, 2.9, 0.6]]);
}

#[test]
fn the_run_that_waits_for_places_is_predicted() {
    let rows = rows(RTX_PRO_6000);
    let predicted = predict(&rows, &preset("llama-3.1-8b-rtx-pro-6000"));
    let compared = compare(&rows, &predicted, 0);
    judge("RTX PRO 6000, fitted on all", &compared, Some(OTHERS_PRO_6000), [[0.5, 1.9, 0.9], [0.4, 1.9, 0.4], [0.4, 1.0, 0.3]]);
}

/// Coefficients that know only the first 150 requests predict the others.
#[test]
fn requests_that_no_one_fitted_are_predicted() {
    let step = |base_us: u64, prefill_ns: u64, sequence_ns: u64, kv_ps: u64| StepTime {
        base_ps: base_us * 1_000_000,
        per_prefill_token_ps: prefill_ns * 1_000,
        per_sequence_ps: sequence_ns * 1_000,
        per_kv_token_ps: kv_ps,
        per_prefill_pair_ps: 0,
    };
    let first = rows(RTX_4090);
    let settings = Settings { step: step(21_137, 85_062, 308, 94_576), ..preset("llama-3.1-8b-rtx-4090") };
    let compared = compare(&first, &predict(&first, &settings), 150);
    let bounds = [[0.6, 0.6, 0.8], [0.8, 1.6, 7.6], [0.4, 0.4, 0.9]];
    judge("RTX 4090, requests 150 to 299, fitted on 0 to 149", &compared, None, bounds);
    let second = rows(RTX_PRO_6000);
    let settings = Settings { step: step(11_769, 33_849, 97_842, 39_975), ..preset("llama-3.1-8b-rtx-pro-6000") };
    let compared = compare(&second, &predict(&second, &settings), 150);
    let bounds = [[0.9, 1.6, 0.3], [0.6, 0.9, 0.4], [0.4, 0.9, 0.4]];
    judge("RTX PRO 6000, requests 150 to 299, fitted on 0 to 149", &compared, None, bounds);
}

/// The mean TPOT in ms of a closed loop: each of `users` sends the next request when it has its answer, six in all.
fn closed_loop_tpot(settings: &Settings, users: u32, input: u32, output: u32) -> f64 {
    let room = (input + output) * users / settings.block_tokens + users;
    let mut replica = Replica::new(Settings { kv_blocks: settings.kv_blocks.max(room), ..settings.clone() });
    let ask = |visitor| Job { visitor, prompt_tokens: input, output_tokens: output, prefix: Prefix::None };
    for user in 0..users {
        assert_eq!(replica.enter(0, ask(user)), Entry::Waits);
    }
    let (mut events, mut first, mut asked) = (Vec::new(), vec![0; users as usize], users);
    let (mut sum, mut count) = (0, 0_u32);
    while let Some(now) = replica.next_at() {
        replica.advance(now, &mut events);
        for event in std::mem::take(&mut events) {
            match event {
                Event::FirstToken { at, visitor } => first[visitor as usize] = at,
                Event::Finished { at, visitor } => {
                    sum += at - first[visitor as usize];
                    count += 1;
                    replica.leave(at, visitor);
                    if asked < 6 * users {
                        asked += 1;
                        assert_eq!(replica.enter(at, ask(visitor)), Entry::Waits);
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(count, 6 * users);
    sum as f64 / f64::from(count) / f64::from(output - 1) / 1e6
}

#[test]
fn closed_loops_have_the_measured_time_between_tokens() {
    let rows: Vec<Vec<&str>> =
        include_str!("../data/silicon/closed_loop.csv").lines().skip(1).map(|line| line.split(',').collect()).collect();
    println!("{:<28}{:>6}{:>14}{:>14}", "TPOT of closed loops", "rows", "mean error", "largest");
    for (name, mean_max) in [
        ("llama-3.1-8b-h100", 1.5),
        ("llama-3.1-70b-fp8-2xh200", 0.9),
        ("llama-3.1-70b-fp8-4xh200", 1.0),
        ("llama-3.1-70b-fp8-8xh200", 1.0),
    ] {
        let settings = preset(name);
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let error = |row: &Vec<&str>| {
            let tpot = closed_loop_tpot(&settings, number(row[3]), number(row[1]), number(row[2]));
            let real: f64 = row[5].parse().expect("a number");
            (tpot / real - 1.0).abs() * 100.0
        };
        let errors: Vec<f64> = rows.iter().filter(|row| row[0] == name).map(error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let largest = errors.iter().copied().fold(0.0, f64::max);
        println!("{name:<28}{:>6}{mean:>12.1} %{largest:>12.1} %", errors.len());
        assert!(errors.len() >= 18 && mean < mean_max && largest < 8.5, "{name}: {mean} and {largest}");
    }
}

/// Runs of consecutive numbers are written as `first-last`.
fn blocks_of(line: &str) -> Arc<[u64]> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(part)..=number(part),
    };
    line.split(' ').flat_map(range).collect()
}

/// An endless prefix cache finds 64.0 % of the blocks of Mooncake's synthetic trace.
#[test]
fn an_endless_prefix_cache_finds_what_a_trace_repeats() {
    const BLOCK: u32 = 512;
    let mut replica = Replica::new(Settings {
        step: StepTime { base_ps: 1, ..StepTime::default() },
        sequences_max: 64,
        batch_tokens: 1 << 20,
        kv_blocks: 1_000_000,
        block_tokens: BLOCK,
        queue_max: u32::MAX,
        prefix_cache: true,
        ahead: false,
    });
    let (mut seen, mut repeated, mut all) = (BTreeSet::new(), 0, 0);
    for (visitor, line) in include_str!("../data/mooncake/prefix_blocks.txt").lines().enumerate() {
        let blocks = blocks_of(line);
        all += blocks.len() as u64;
        repeated += blocks.iter().filter(|block| !seen.insert(**block)).count() as u64;
        // One token more than the blocks have, because one is always computed.
        let prompt_tokens = blocks.len() as u32 * BLOCK + 1;
        let job = Job { visitor: visitor as u32, prompt_tokens, output_tokens: 1, prefix: Prefix::Blocks(blocks) };
        assert_eq!(replica.enter(visitor as u64 * 1_000, job), Entry::Waits);
    }
    replica.advance(1_000_000_000, &mut Vec::new());
    let load = replica.load();
    assert_eq!(load.finished, 3_993);
    assert_eq!(load.prefix_hit, repeated * u64::from(BLOCK));
    assert_eq!((repeated * 1_000 + all / 2) / all, 640);
}
