use std::path::Path;

use serde_json::Value;
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::fleet::{Limits, Report};

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

fn simulate(folder: &Path, scenario: &str, seed: Option<u64>) -> Report {
    let file = folder.join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let limits = Limits::default();
    let options =
        SimulateOptions { scenario: file, seed, until: None, requests: None, trace: None, limits, compiler: compiler() };
    let simulation = Simulation::prepare(options).unwrap_or_else(|error| panic!("{error}"));
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
