use std::sync::Arc;

use serde_json::{Value, json};
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::behavior::call::Call;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::behavior::fault::Fault;
use simwright::behavior::latency::Latency;
use simwright::behavior::responder::Responder;
use simwright::fleet::Limits;
use simwright::types::request::{Message, Operation, Request, Role};
use simwright::wasm::{LoadSpec, Meter, Plugin, PluginHost, PluginHostConfig, default_folder};

use super::support::conformance::{Build, builds};
use super::support::host::{TestHost, ask, ask_streamed, compiler};

/// The Unix time at which the run begins: nobody's guess.
const EPOCH: u64 = 1_767_225_600;

fn host(meter: Meter) -> PluginHost {
    let config = PluginHostConfig { cache_dir: default_folder(), workers: 1, meter, compiler: compiler() };
    PluginHost::new(config).expect("a host")
}

fn load(host: &PluginHost, build: &Build) -> Arc<Plugin> {
    let spec = LoadSpec { memory_bytes: 64 << 20, ..LoadSpec::new("conformance", &build.bytes) };
    host.load(spec).unwrap_or_else(|error| panic!("{}: {error}", build.lang))
}

/// The three behaviours of one plugin.
struct Scene {
    fault: Arc<dyn Fault>,
    responder: Arc<dyn Responder>,
    latency: Arc<dyn Latency>,
}

impl Scene {
    fn of(plugin: &Arc<Plugin>, options: &Value) -> Self {
        let mut catalog = Catalog::default();
        plugin.register(&mut catalog);
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let setting = Setting {
            models: names(["small", "large"]),
            tenants: names(["gold", ""]),
            epoch_unix_s: EPOCH,
            ..Setting::default()
        };
        Self {
            fault: catalog.fault["conformance"].make(options, &setting).expect("a fault"),
            responder: catalog.responder["conformance"].make(options, &setting).expect("a responder"),
            latency: catalog.latency["conformance"].make(options, &setting).expect("a latency model"),
        }
    }

    /// What all three say to `text`, as text.
    fn told(&self, text: &str, number: u64) -> String {
        let request = request(text);
        let call = call(number, &request);
        let fault = self.fault.decide(&call).map_err(|error| error.cause);
        let reply = self.responder.respond(&call, 1).map_err(|error| error.cause);
        let latency = self.latency.plan(&call, 12).map_err(|error| error.cause);
        format!("{text} {number}: {fault:?}\n  {reply:?}\n  {latency:?}")
    }
}

/// A conversation that ends with `text`, with a header, a credential and a body.
fn request(text: &str) -> Arc<Request> {
    let message = |role, text: &str| Message::new(role, text);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-color", http::HeaderValue::from_static("blue"));
    headers.insert("authorization", http::HeaderValue::from_static("Bearer secret"));
    let messages = vec![message(Role::System, "Be kind: é."), message(Role::User, "first"), message(Role::User, text)];
    let body = bytes::Bytes::from(format!("{{\"text\": \"{text} ß\"}}\0\u{1}"));
    Arc::new(Request { body, headers, ..Request::chat("large-2", messages) })
}

/// A call of which every number differs from the one before.
fn call(number: u64, request: &Arc<Request>) -> Call<'_> {
    Call {
        identity: u64::MAX - number,
        attempt: (number % 3) as u32,
        occurrence: number as u32 * 5,
        seed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        now: 7_000_000_001 + number * 1_000_000_000,
        model: (number % 2) as u32,
        tenant: (number % 2) as u32,
        stage: 0,
        operation: Operation::Chat,
        input_tokens: 10 + number as u32,
        max_output_tokens: 100,
        running: number as u32 % 5,
        waiting: number as u32 % 7,
        request,
        draws: None,
    }
}

/// All that the plugin can be told.
fn orders() -> Vec<String> {
    let words = ["scalars", "now", "options", "draws", "state", "request", "log", "print", "clock", "hello", "größe"];
    let numbered = |word: &'static str, most: u32| (0..=most).map(move |number| format!("{word} {number}"));
    words
        .map(str::to_owned)
        .into_iter()
        .chain(numbered("verdict", 25))
        .chain(numbered("answer", 10))
        .chain(numbered("delay", 7))
        .collect()
}

#[test]
fn every_language_gives_the_same_answers_by_both_meters() {
    let others = json!({"rate": 0.5, "wait": "2s", "factor": 0.75, "limit": 7, "note": "tab\t\"ü\" \u{1f600}", "loud": true});
    let mut first: Option<String> = None;
    for meter in [Meter::Cpu, Meter::Fuel] {
        let host = host(meter);
        for build in builds() {
            host.forget_state();
            let plugin = load(&host, build);
            let mut told = String::new();
            for options in [json!({}), others.clone()] {
                let scene = Scene::of(&plugin, &options);
                for order in orders() {
                    (1..=4).for_each(|number| told.push_str(&format!("{}\n", scene.told(&order, number))));
                }
            }
            let expected = first.get_or_insert_with(|| told.clone());
            let differs = expected.lines().zip(told.lines()).find(|(expected, told)| expected != told);
            assert_eq!(differs, None, "{} by {meter:?}", build.lang);
            assert_eq!(*expected, told);
        }
    }
    // What the first of them says is what the contract says, and not only what all agree upon.
    let told = first.expect("Rust is always here");
    for part in [
        "now 1: Ok(Error(HttpError { status: 418",
        "8000000001",
        // 7 s and a nanosecond after the epoch, and one more second for each number.
        &format!("\"{}\"", EPOCH + 8),
        "18446744073709551614 1 5 11400714819323198485 1 1 0 1 11 100 1 1 00011",
        "2500 1500000 1500 40 so false",
        "3 none 17 -1099511627776",
        "blue none large-2 none [] Be kind: é. none",
    ] {
        assert!(told.contains(part), "no {part} in\n{}", &told[..told.len().min(6_000)]);
    }
}

/// `value` with all numbers alike: `10` and `10.0` are one number in JSON Schema.
fn plain(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(fields) => fields.values_mut().for_each(plain),
        _ => {}
    }
}

#[test]
fn every_language_describes_the_same_options_and_refuses_the_same_mistakes() {
    let host = host(Meter::Cpu);
    let mut first: Option<(Value, Vec<String>)> = None;
    for build in builds() {
        let plugin = load(&host, build);
        let mut schema: Value = serde_json::from_str(&plugin.about().options_schema).expect("JSON");
        plain(&mut schema);
        let mut catalog = Catalog::default();
        plugin.register(&mut catalog);
        let mistakes = [
            json!({"wait": "2h"}),
            json!({"wait": "15"}),
            json!({"wait": "3 parsecs"}),
            json!({"rate": "120%"}),
            json!({"rate": "-1%"}),
            json!({"rate": "much"}),
            json!({"wait": "2h", "rate": "1 kg"}),
        ];
        let refused = mistakes.map(|options| {
            let problems = catalog.fault["conformance"].make(&options, &Setting::default()).err().expect("a mistake");
            let mut said: Vec<String> =
                problems.iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect();
            said.sort();
            said.join("; ")
        });
        let found = (schema, refused.to_vec());
        assert_eq!(found, *first.get_or_insert_with(|| found.clone()), "{}", build.lang);
    }
    let (_, refused) = first.expect("Rust is always here");
    assert_eq!(refused[0], "/wait: expected 1ms to 1h, found `2h`");
}

#[test]
fn a_guest_that_fails_in_its_own_language_fails_alone() {
    let host = host(Meter::Cpu);
    for build in builds() {
        let scene = Scene::of(&load(&host, build), &json!({}));
        let request = request("panic");
        let error = scene.fault.decide(&call(1, &request)).expect_err("it was told to");
        assert!(["panic", "trap"].contains(&error.cause), "{}: {error:?}", build.lang);
        assert!(scene.told("verdict 1", 1).contains("503"), "{}", build.lang);
    }
}

/// One model whose faults, replies and delays are the plugin's.
fn scenario(build: &Build, more: &str) -> String {
    format!(
        "
simwright: 1
seed: 11
plugins:
  conformance: {{ file: {}, memory: 64MiB }}
models:
  - match: m
    faults: [{{ conformance: {{ rate: 30% }} }}]
    reply: {{ conformance: {{ limit: 20 }} }}
    latency: {{ conformance: {{ factor: 1 }} }}
{more}",
        build.file.display()
    )
}

#[test]
fn every_language_answers_alike_over_sockets() {
    let mut first: Option<Vec<String>> = None;
    for build in builds() {
        let server = TestHost::start(&scenario(build, ""));
        let mut seen = Vec::new();
        for order in [
            "hello",
            "größe",
            "draws",
            "options",
            "request",
            "answer 2",
            "answer 6",
            "verdict 2",
            "verdict 21",
            "delay 5",
            "state",
        ] {
            for request in [ask("m", order), ask_streamed("m", order)] {
                let reply = server.chat_with(&request, &[("x-color", "red"), ("x-simwright-identity", "one")]);
                let wait = reply.header("retry-after-ms").unwrap_or_default().to_owned();
                seen.push(format!("{order}: {} {wait} {}", reply.status, words(reply.text())));
            }
        }
        assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "{}", build.lang);
    }
    let seen = first.expect("Rust is always here").join("\n");
    // The draw of the seed refuses `answer 2` when it is asked whole, and answers it when it is streamed, word by word.
    let parts = ["hello: 200", "verdict 2: 429 1500", "later", "red none m none", r#""content":" zwei""#, "I'd rather not."];
    for part in parts.into_iter().chain(["3 none 17 -1099511627776"]) {
        assert!(seen.contains(part), "no {part} in\n{seen}");
    }
}

/// A body without what differs from request to request: ids and times.
fn words(body: &str) -> String {
    let plain = |line: &str| {
        let (start, json) = line.split_at(line.find('{').unwrap_or(line.len()));
        let Ok(mut value) = serde_json::from_str::<Value>(json) else { return line.to_owned() };
        if let Some(fields) = value.as_object_mut() {
            ["id", "created", "obfuscation"].into_iter().for_each(|name| drop(fields.remove(name)));
        }
        format!("{start}{value}")
    };
    body.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_language_gives_the_same_run_in_virtual_time() {
    let workload = "
workload:
  arrivals: { poisson: { rate: 20 } }
  classes: [{ model: m, input: { p50: 200, p99: 900 } }]
  requests: 300
";
    let mut first: Option<Value> = None;
    for build in builds() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("scenario.yaml");
        std::fs::write(&file, scenario(build, workload)).expect("written");
        let (seed, limits) = (Some(5), Limits::default());
        let options =
            SimulateOptions { scenario: file, seed, until: None, requests: None, trace: None, limits, compiler: compiler() };
        let simulation = Simulation::prepare(options).unwrap_or_else(|error| panic!("{}: {error}", build.lang));
        let mut report = simulation.play(&mut ()).unwrap_or_else(|error| panic!("{}: {error}", build.lang)).json();
        report["wall_s"] = Value::Null;
        assert!(report["digest"].is_string(), "{report}");
        assert_eq!(*first.get_or_insert_with(|| report.clone()), report, "{}", build.lang);
    }
}
