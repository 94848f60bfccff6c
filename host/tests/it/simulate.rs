use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::fleet::{Limits, Report};

use super::support::guests::workspace;
use super::support::host::compiler;

/// Every behaviour is a plugin of the standard pack, and one of them keeps state.
const PLUGINS: &str = "
simwright: 1
seed: 3
stations: { desk: { pool: { size: 3 } } }
models:
  - match: m
    latency: { brown-out: { first: 200ms, between: 5ms } }
    faults:
      - retry-storm: { per-request: 3 }
      - { when: { share: 20% }, http-error: { status: 503 } }
    reply: { support-desk: { attentive: false, tokens: 32 } }
    pipeline: [ { model: { through: desk } } ]
workload:
  arrivals: { poisson: { rate: 9 } }
  classes: [{ model: m, input: { p50: 400, p99: 2000 } }]
  requests: 500
";

/// A server that is so quick that each prompt finds those before it computed.
const MOONCAKE: &str = "
simwright: 1
stations: { gpu: { replicas: { kv-blocks: 1_000_000, block-tokens: 512, sequences: 1000, batch-tokens: 1_000_000, step: { base: 1us } } } }
models: [{ match: m, context-window: 1_000_000, max-output-tokens: 100_000, through: gpu }]
workload: { arrivals: { every: 1s }, classes: [{ model: m, input: 1 }] }
";

fn simulate(folder: &Path, scenario: &str, seed: Option<u64>) -> Report {
    simulate_with(folder, scenario, seed, None)
}

fn simulate_with(folder: &Path, scenario: &str, seed: Option<u64>, trace: Option<PathBuf>) -> Report {
    play(&prepare(folder, scenario, seed, trace))
}

fn prepare(folder: &Path, scenario: &str, seed: Option<u64>, trace: Option<PathBuf>) -> Simulation {
    let file = folder.join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let limits = Limits::default();
    let options = SimulateOptions { scenario: file, seed, until: None, requests: None, trace, limits, compiler: compiler() };
    Simulation::prepare(options).unwrap_or_else(|error| panic!("{error}"))
}

fn play(simulation: &Simulation) -> Report {
    simulation.play(&mut ()).unwrap_or_else(|error| panic!("{error}"))
}

/// All that is equal for equal runs.
fn told(report: &Report) -> Value {
    let mut json = report.json();
    json["wall_s"] = Value::Null;
    json
}

#[test]
fn a_run_with_plugins_is_the_same_again_and_another_with_another_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, again] = [0, 1].map(|_| simulate(folder.path(), PLUGINS, None));
    // What plugins remember of one run is nothing to the next.
    let simulation = prepare(folder.path(), PLUGINS, None, None);
    let [first, second] = [0, 1].map(|_| play(&simulation).digest);
    assert_eq!([first, second], [one.digest, one.digest]);
    assert_eq!(one.broken, Vec::<String>::new());
    assert_eq!((one.requests, one.total.output_tokens), (500, one.attempts.whole * 32));
    assert!(one.attempts.refused > 50 && one.attempts.retries > 50, "{:?}", one.attempts);
    assert_eq!((one.digest, told(&one)), (again.digest, told(&again)));
    assert_ne!(simulate(folder.path(), PLUGINS, Some(4)).digest, one.digest);
}

#[test]
fn a_scenario_without_a_workload_says_so_beside_its_other_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, "simwright: 1\nmodels: [{ match: m, latency: { konstant: {} } }]\n").expect("written");
    let limits = Limits::default();
    let options =
        SimulateOptions { scenario: file, seed: None, until: None, requests: None, trace: None, limits, compiler: compiler() };
    let Err(error) = Simulation::prepare(options) else { panic!("it has mistakes") };
    let said = error.to_string();
    assert!(said.contains("there is no `workload`") && said.contains("konstant"), "{said}");
}

/// Mooncake's synthetic trace: 64.0 % of its blocks have come before. Of those the whole ones that begin a prompt are found, and one
/// token of it is always computed.
#[test]
fn an_endless_prefix_cache_finds_all_that_a_recording_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = workspace().join("benches/data/mooncake_synthetic_trace.jsonl");
    let report = simulate_with(folder.path(), MOONCAKE, None, Some(recording.clone()));
    let (mut seen, mut hit, mut asked, mut again, mut all) = (BTreeSet::new(), 0, 0, 0, 0);
    for line in std::fs::read_to_string(recording).expect("a recording").lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let blocks: Vec<u64> = row["hash_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let tokens = row["input_length"].as_u64().expect("a length");
        let whole = blocks.iter().take(((tokens - 1) / 512) as usize);
        hit += whole.take_while(|block| seen.contains(*block)).count() as u64 * 512;
        asked += tokens;
        all += blocks.len();
        again += blocks.into_iter().filter(|block| !seen.insert(*block)).count();
    }
    assert_eq!((again * 1_000 + all / 2) / all, 640);
    let load = report.stations[0].replicas.expect("replicas");
    assert_eq!((report.requests, load.finished, load.prefix_asked, load.prefix_hit), (3_993, 3_993, asked, hit));
    assert_eq!(report.broken, Vec::<String>::new());
}
