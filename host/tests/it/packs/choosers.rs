use serde_json::Value;

use super::desk::Desk;
use crate::support::guests::workspace;

const RECIPE: &str = "\
name = \"acme\"
version = \"1.0.0\"
licence = \"MIT\"
description = \"Who takes a request, and how many there are.\"
interface = \"^1.0.0\"

[[plugin]]
name = \"sessions\"
file = \"session-affinity.wasm\"
kinds = [\"balancer\"]
capabilities = [\"request\", \"state\"]

[[plugin]]
name = \"sizes\"
file = \"queue-scaler.wasm\"
kinds = [\"autoscaler\"]
capabilities = [\"state\"]

[[scenario]]
name = \"day\"
file = \"day.yaml\"
";

const SCENARIO: &str = "\
simwright: 1
stations:
  gpus:
    replicas:
      preset: llama-3.1-8b-h100
      count: 2
      balancer: { acme/sessions: { header: x-simwright-tenant }, fallback: random }
      autoscale: { min: 2, max: 4, every: 10s, boot: 30s, rule: { acme/sizes: { requests: 4, calm: 30s }, fallback: keep } }
models: [{ match: m, through: gpus }]
workload:
  arrivals: { ramp: { from: 1, to: 12, over: 3m } }
  classes: [{ model: m, input: 500, output: 250, tenants: [a, b, c] }]
  until: 3m
";

/// The pack with both, whose vectors say `plugin:`, because they lie in the pack's own folder.
fn scene() -> Desk {
    let desk = Desk::new();
    desk.write("acme/pack.toml", RECIPE);
    desk.write("acme/day.yaml", SCENARIO);
    for (file, name) in [("session-affinity", "sessions"), ("queue-scaler", "sizes")] {
        let from = workspace().join("host/tests/data/contract-1.0.0").join(file);
        desk.write(&format!("acme/{file}.wasm"), std::fs::read(from.with_extension("wasm")).expect("a component"));
        let vectors = std::fs::read_to_string(from.with_extension("yaml")).expect("vectors");
        desk.write(&format!("acme/tests/{name}.yaml"), format!("plugin: {name}\n{vectors}"));
    }
    desk
}

#[test]
fn balancers_and_autoscalers_of_a_pack_pass_their_vectors_and_are_asked_by_its_name() {
    let desk = scene();
    let told = desk.done(&["pack", "test", "acme"]);
    assert!(told.contains("sessions: 8 cases pass") && told.contains("sizes: 8 cases pass"), "{told}");
    let theirs = SCENARIO.replace("simwright: 1\n", "simwright: 1\npacks: { acme: { from: ./acme, grant: [request, state] } }\n");
    desk.write("scenario.yaml", theirs);
    desk.done(&["pack", "install", "scenario.yaml"]);
    desk.done(&["check", "scenario.yaml"]);
    let report: Value = serde_json::from_str(&desk.done(&["simulate", "scenario.yaml", "--json", "-"])).expect("a report");
    let station = &report["stations"][0];
    let (came, choices) = (report["attempts"]["came"].as_u64(), &station["chosen"]);
    assert!(came > Some(500) && choices["asked"].as_u64() >= came && choices["fell_back"] == 0, "{station:#}");
    assert!(station["sizes"]["ups"].as_u64() > Some(0), "{station:#}");
}

#[test]
fn what_a_pack_says_of_a_choice_and_a_wish_must_come() {
    let desk = scene();
    desk.edit("acme/tests/sessions.yaml", "expect: { balancer: any }", "expect: { balancer: 2 }");
    desk.edit("acme/tests/sizes.yaml", "autoscaler: { at-most: 10 }", "autoscaler: { at-most: 9 }");
    let said = desk.fails(3, &["pack", "build", "acme"]);
    for part in [
        "plugin `sessions`, case `who names no session is left to the fallback`: balancer.backend is nothing, expected 2",
        "case `nobody gets more than the scenario allows`: autoscaler.replicas is 10, expected at most 9",
        "error: 2 mistakes",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
}
