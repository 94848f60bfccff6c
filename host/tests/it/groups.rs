//! Groups of replicas with plugins: who takes a request, and how many there are, in virtual time and live.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use simwright::app::explain::{ExplainOptions, explain};
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::fleet::{Limits, Report};
use simwright::vectors::{Asks, Suite, check, read};
use simwright::wasm::{LoadSpec, Meter, PluginHost, PluginHostConfig, default_folder};

use super::support::client;
use super::support::guests::{build, workspace};
use super::support::host::{TestHost, ask, compiler, eventually};

fn component(package: &str) -> PathBuf {
    build(&workspace().join("plugins"), &["--locked", "--package", package], &package.replace('-', "_"))
}

/// The component that does what its option `deed` says.
fn choosers() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| component("test-choosers"))
}

fn simulate(scenario: &str) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let limits = Limits::default();
    let options =
        SimulateOptions { scenario: file, seed: Some(1), until: None, requests: None, trace: None, limits, compiler: compiler() };
    let simulation = Simulation::prepare(options).unwrap_or_else(|error| panic!("{error}"));
    let report = simulation.play(&mut ()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.broken, Vec::<String>::new());
    report
}

#[test]
fn the_examples_pass_their_vectors() {
    let host = PluginHostConfig { cache_dir: default_folder(), workers: 1, meter: Meter::Fuel, compiler: compiler() };
    let host = PluginHost::new(host).expect("a plugin host");
    for name in ["session-affinity", "queue-scaler"] {
        let bytes = std::fs::read(component(name)).expect("a component");
        let plugin = host.load(LoadSpec::new(name, &bytes)).unwrap_or_else(|error| panic!("{error}"));
        let suite = read::read(&read::files_of(&workspace().join("plugins").join(name)));
        let report = check(&plugin, &suite.unwrap_or_else(|refusal| panic!("{refusal}"))).expect("it runs");
        assert!(report.is_good() && report.cases.len() >= 8 && report.warnings.is_empty(), "{}", report.text());
        // The document about vectors has one case for each.
        let document = include_str!("../../../docs/vectors.md");
        let (_, example) = document.split_once("what it sees of it:\n\n```yaml\n").expect("an example");
        let mut cases = read::parse("docs/vectors.md", example.split_once("```").expect("its end").0).expect("cases");
        cases.retain(|case| matches!(case.steps[0].asks, Asks::Balancer(_)) == (name == "session-affinity"));
        let report = check(&plugin, &Suite { cases }).expect("it runs");
        assert!(report.is_good() && report.cases.len() == 1, "{}", report.text());
    }
}

#[test]
fn a_balancer_that_keeps_sessions_together_finds_their_prefixes() {
    // Sessions are tenants here, and the prompts of each have a beginning of their own.
    let class = |session: usize| {
        format!("{{ name: s{session}, model: m, input: 1200, output: 60, prefix: {{ tokens: 1000 }}, tenants: [s{session}] }}")
    };
    let classes: Vec<String> = (0..40).map(class).collect();
    let hit = |balancer: &str| {
        let report = simulate(&format!(
            "
simwright: 1
plugins: {{ session-affinity: {{ file: {} }} }}
stations:
  gpus: {{ replicas: {{ preset: llama-3.1-8b-h100, count: 4, balancer: {balancer} }} }}
models: [{{ match: m, through: gpus }}]
workload:
  arrivals: {{ poisson: {{ rate: 6 }} }}
  classes: [{}]
  requests: 800
",
            component("session-affinity").display(),
            classes.join(", ")
        ));
        let station = &report.stations[0];
        let load = station.replicas.expect("replicas");
        (load.prefix_hit as f64 / load.prefix_asked as f64, station.choices)
    };
    let (random, nobody) = hit("random");
    let (kept, choices) = hit("{ session-affinity: { header: x-simwright-tenant, slack: 20 }, fallback: random }");
    // Of 20 requests of a session the first finds nothing, wherever it goes; at random the first at each of four replicas does not.
    assert!(kept > 0.77 && random < 0.70, "{kept} {random}");
    assert_eq!((choices.asked, choices.fell_back, nobody.asked), (800, 0, 0));
}

#[test]
fn an_autoscaler_follows_a_day_and_its_hours_are_what_it_costs() {
    let scenario = format!(
        "
simwright: 1
plugins: {{ queue-scaler: {{ file: {} }} }}
stations:
  gpus:
    replicas:
      preset: llama-3.1-8b-h100
      cost-per-hour: 3
      autoscale:
        max: 6
        every: 10s
        boot: 60s
        rule: {{ queue-scaler: {{ requests: 10, calm: 2m }}, fallback: keep }}
models: [{{ match: m, through: gpus }}]
workload:
  arrivals: {{ ramp: {{ from: 1, to: 20, over: 20m }} }}
  classes: [{{ model: m, input: 500, output: 250 }}]
  until: 20m
",
        component("queue-scaler").display()
    );
    let [report, again] = [0, 1].map(|_| simulate(&scenario));
    assert_eq!((report.digest, report.json()["stations"].clone()), (again.digest, again.json()["stations"].clone()));
    let sizes = report.stations[0].sizes.as_ref().expect("sizes");
    let most = sizes.changes.iter().map(|(_, size)| size.ready).max();
    assert!(most >= Some(3) && sizes.ups >= 2 && sizes.fell_back == 0, "{sizes:?}");
    let told: Value = report.json()["stations"][0]["sizes"].clone();
    let hours = told["replica_hours"].as_f64().expect("hours");
    assert!((report.cost.expect("a cost").servers - 3.0 * hours).abs() < 1e-9, "{hours}");
    // Sums of areas under the changes, as anybody can add them up.
    let mut area = 0.0;
    let over_time: Vec<[f64; 4]> = serde_json::from_value(told["over_time"].clone()).expect("changes");
    let end = report.virtual_ns as f64 * 1e-9;
    for (index, [from, ready, starting, draining]) in over_time.iter().enumerate() {
        let until = over_time.get(index + 1).map_or(end, |next| next[0]);
        area += (until - from) * (ready + starting + draining);
    }
    assert!((area / 3_600.0 - hours).abs() < 1e-6, "{area} {hours}");
    assert!(report.text().contains("\nreplicas "), "{}", report.text());
    let decisions = told["decisions"].as_array().expect("decisions");
    assert_eq!(decisions.len() as u64, sizes.ups + sizes.downs);
    let (first, newest) = (&decisions[0], &decisions[decisions.len() - 1]);
    assert_eq!((&first["from"], &first["by"]), (&json!(1), &json!("plugin")));
    assert!(first["reason"].as_str().is_some_and(|reason| reason.starts_with("requests: ")), "{first}");
    let said = format!("{} to {}  plugin: {}", newest["from"], newest["to"], newest["reason"].as_str().expect("a reason"));
    assert!(report.text().contains(&said), "{said} is not in\n{}", report.text());
}

#[test]
fn a_plugin_that_fails_leaves_the_choice_to_the_fallback_and_is_counted() {
    let scenario = |deed: &str| {
        format!(
            "
simwright: 1
plugins: {{ chooser: {{ file: {} }} }}
stations:
  gpus:
    replicas:
      preset: llama-3.1-8b-h100
      count: 2
      balancer: {{ chooser: {{ deed: {deed} }}, fallback: round-robin }}
      autoscale: {{ max: 2, every: 1s, rule: {{ chooser: {{ deed: {deed} }}, fallback: keep }} }}
models: [{{ match: m, through: gpus }}]
workload: {{ arrivals: {{ poisson: {{ rate: 5 }} }}, classes: [{{ model: m, input: 100, output: 20 }}], requests: 100 }}
",
            choosers().display()
        )
    };
    for deed in ["panic", "beyond"] {
        let report = simulate(&scenario(deed));
        let station = &report.stations[0];
        assert_eq!((report.attempts.whole, station.choices.asked, station.choices.fell_back), (100, 100, 100), "{deed}");
        assert!(station.sizes.as_ref().expect("sizes").fell_back >= 10, "{deed}");
    }
}

#[test]
fn requests_to_a_group_of_nobody_pay_the_boot_time_and_nothing_runs_between_them() {
    let report = simulate(
        "
simwright: 1
stations:
  gpus:
    replicas:
      preset: llama-3.1-8b-h100
      autoscale: { min: 0, max: 2, every: 10s, boot: 30s, rule: { target: { requests: 8 } }, down: { after: 1m } }
models: [{ match: m, through: gpus }]
workload: { arrivals: { every: 10m }, classes: [{ model: m, input: 100, output: 50 }], until: 1h }
",
    );
    assert_eq!((report.attempts.came, report.attempts.whole), (5, 5));
    assert!(report.waited.mean().is_some_and(|waited| waited >= 30e9), "{}", report.text());
    let told = report.json()["stations"][0]["sizes"].clone();
    // One is there for 100 s each time: half a minute of its start, and a minute beyond the last decision that saw a request. With the
    // fifth request the run ends, half a minute after it came.
    let hours = told["replica_hours"].as_f64().expect("hours");
    assert!((0.118..0.122).contains(&hours), "{hours}");
    let by: Vec<_> = told["decisions"].as_array().expect("decisions").iter().map(|one| one["by"].clone()).collect();
    assert_eq!(by[..4], ["request", "rule", "request", "rule"]);
}

#[test]
fn a_server_starts_a_replica_for_whoever_comes_and_says_why() {
    let host = TestHost::start(
        "
simwright: 1
stations:
  sleeper:
    replicas:
      preset: llama-3.1-8b-h100
      autoscale: { min: 0, max: 2, every: 100ms, boot: 150ms, rule: { target: { requests: 8 } }, down: { after: 200ms } }
models: [{ match: sleepy, through: sleeper, reply: { text: { tokens: 5 } } }]
",
    );
    let stations = || client::send(host.admin, "GET", "/stations", &[], b"").json()["stations"][0].clone();
    let before = stations();
    let asleep = json!({ "wanted": 0, "ready": 0, "starting": 0, "draining": 0 });
    assert_eq!((&before["name"], &before["size"], &before["decisions"]), (&json!("sleeper"), &asleep, &json!([])));
    let reply = host.chat(&ask("sleepy", "hello"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let waited = host.metric("simwright_stage_wait_seconds_sum", &["model=\"sleepy\""]);
    assert!(waited >= 0.15, "{waited}");
    eventually("nobody is left", || stations()["size"] == asleep);
    let decisions = stations()["decisions"].clone();
    let of = |index: usize| (decisions[index]["from"].clone(), decisions[index]["to"].clone(), decisions[index]["by"].clone());
    assert_eq!(of(0), (json!(0), json!(1), json!("request")), "{decisions}");
    assert_eq!(of(1), (json!(1), json!(0), json!("rule")), "{decisions}");
    assert_eq!(decisions[1]["reason"], "`requests` is 0.00, and one replica shall have 8.00");
}

#[test]
fn an_explanation_asks_the_balancer_and_says_what_it_chose() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    let explained = |deed: &str, backend: Option<&'static str>| {
        let text = format!(
            "
simwright: 1
plugins: {{ chooser: {{ file: {} }} }}
stations: {{ gpus: {{ replicas: {{ preset: llama-3.1-8b-h100, count: 3, balancer: {{ chooser: {{ deed: {deed} }} }} }} }} }}
models: [{{ match: m, through: gpus, reply: {{ text: {{ tokens: 5 }} }} }}]
",
            choosers().display()
        );
        std::fs::write(&file, text).expect("written");
        let named = |place| (HeaderName::from_static("x-backend"), HeaderValue::from_static(place));
        let headers: HeaderMap = backend.map(named).into_iter().collect();
        let request = ask("m", "hello").to_string().into_bytes();
        let options = ExplainOptions { scenario: Some(file.clone()), request, headers, ..ExplainOptions::default() };
        let explanation = explain(&options).unwrap_or_else(|error| panic!("{error}"));
        (explanation.text(), explanation.json()["way"]["stages"][0].clone())
    };
    let (text, stage) = explained("header", Some("2"));
    assert!(text.contains(" through gpus, at replica 2, which `chooser` chose\n"), "{text}");
    assert_eq!((&stage["replica"], &stage["chosen"]), (&json!(2), &json!({ "by": "chooser", "said": "backend", "backend": 2 })));
    let (text, _) = explained("header", None);
    assert!(text.contains(", by the station's rule, because `chooser` has no wish\n"), "{text}");
    let (text, stage) = explained("header", Some("9"));
    let why = "by the station's rule, because `chooser` gave no answer: balancer `chooser`: ";
    assert!(text.contains(why) && text.contains("there are 3 of them, counted from 0"), "{text}");
    assert!(stage["chosen"]["error"].as_str().is_some_and(|error| error.contains("counted from 0")), "{stage}");
    let (text, stage) = explained("refuse", None);
    assert!(text.contains(" through gpus, which `chooser` refused to send anywhere, failed\n"), "{text}");
    assert_eq!(stage["chosen"], json!({ "by": "chooser", "said": "refuse", "retry_after_ms": 1_500.0 }));
}

#[test]
fn a_server_lets_plugins_choose_replicas_that_a_schedule_starts() {
    let host = TestHost::start(&format!(
        "
simwright: 1
plugins: {{ live-chooser: {{ file: {} }} }}
stations:
  live-group:
    replicas:
      preset: llama-3.1-8b-h100
      balancer: {{ live-chooser: {{ deed: header }} }}
      autoscale: {{ max: 3, every: 100ms, boot: 100ms, rule: {{ schedule: {{ steps: [{{ from: 0s, replicas: 3 }}] }} }} }}
models: [{{ match: m, through: live-group, reply: {{ text: {{ tokens: 5 }} }} }}]
",
        choosers().display()
    ));
    let size = |state: &str| host.metric("simwright_replicas", &["station=\"live-group\"", &format!("state=\"{state}\"")]);
    eventually("three replicas are ready though nobody has come", || size("ready") == 3.0);
    assert_eq!((size("wanted"), size("starting"), size("draining")), (3.0, 0.0, 0.0));
    let steps = |replica: u32| {
        host.metric("simwright_replica_steps_total", &["station=\"live-group\"", &format!("replica=\"{replica}\"")])
    };
    for _ in 0..3 {
        let reply = host.chat_with(&ask("m", "hello"), &[("x-backend", "2")]);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert!(steps(2) >= 15.0 && steps(0) + steps(1) == 0.0, "{} {} {}", steps(0), steps(1), steps(2));
    // What is beyond the list is no choice, and nobody's request fails for it.
    assert_eq!(host.chat_with(&ask("m", "hello"), &[("x-backend", "9")]).status, 200);
    let bad = host.metric("simwright_plugin_failures_total", &["plugin=\"live-chooser\"", "cause=\"bad-answer\""]);
    let fallbacks = host.metric("simwright_fallbacks_total", &["model=\"m\"", "behaviour=\"balancer\""]);
    assert_eq!((bad, fallbacks), (1.0, 1.0));
    let ups = host.metric("simwright_scaling_decisions_total", &["station=\"live-group\"", "direction=\"up\""]);
    assert_eq!(ups, 1.0);
}

#[test]
fn an_unknown_balancer_or_autoscaler_is_named_with_what_may_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    let text = "
simwright: 1
stations:
  a: { replicas: { preset: llama-3.1-8b-h100, balancer: lest-busy } }
  b: { replicas: { preset: llama-3.1-8b-h100, balancer: { brown-out: {} } } }
  c: { replicas: { preset: llama-3.1-8b-h100, autoscale: { max: 2, rule: { tarket: { busy: 50% } } } } }
models: [{ match: m, through: a }]
";
    std::fs::write(&file, text).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("mistakes").to_string();
    for said in [
        "s.yaml:4:57: unknown balancer `lest-busy`",
        "did you mean `least-busy`?",
        "s.yaml:5:59: unknown balancer `brown-out`",
        "`brown-out` stands under `latency`",
        "s.yaml:6:76: unknown autoscaler `tarket`",
        "did you mean `target`?",
    ] {
        assert!(refusal.contains(said), "{said} is not in\n{refusal}");
    }
}
