use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::support::bystander::beside_a_bystander;
use super::support::guests::{adversary, workspace};
use super::support::host::{TestHost, ask, ask_streamed, eventually};
use super::support::readme::blocks;
use super::support::stream::{chunks, content};

const SCENARIO: &str = "
simwright: 1
models:
  - match: scripted
    latency: { brown-out: { first: 1ms, between: 0ms } }
    faults: [{ retry-storm: {} }]
    reply: { support-desk: { attentive: false, tokens: 20 } }
";

#[test]
fn faults_replies_and_latency_are_decided_by_components() {
    let host = TestHost::start(SCENARIO);
    let calls = |plugin: &str| host.metric("simwright_plugin_calls_total", &[&format!("plugin=\"{plugin}\"")]);
    let before: Vec<f64> = ["brown-out", "retry-storm", "support-desk"].map(calls).into();
    let whole = host.chat(&ask("scripted", "hello"));
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert_eq!(whole.json()["usage"]["completion_tokens"], 20);
    let streamed = host.chat(&ask_streamed("scripted", "hello"));
    assert_eq!(whole.json()["choices"][0]["message"]["content"], content(&chunks(streamed.text()), 0));
    let after: Vec<f64> = ["brown-out", "retry-storm", "support-desk"].map(calls).into();
    // Once a behaviour a request: never once a token.
    assert!(before.iter().zip(&after).all(|(before, after)| after - before == 2.0), "{before:?} → {after:?}");
}

#[test]
fn a_mistake_in_a_plugins_options_has_a_line_and_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(&file, SCENARIO.replace("first: 1ms", "frist: 1ms")).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("a misspelt option").to_string();
    assert!(refusal.contains("s.yaml:5:") && refusal.contains("frist"), "{refusal}");
}

#[test]
fn an_unknown_behaviour_is_named_with_what_may_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(&file, SCENARIO.replace("brown-out", "brown-uot")).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("a misspelt plugin").to_string();
    assert!(refusal.contains("`brown-uot`") && refusal.contains("did you mean `brown-out`"), "{refusal}");
}

#[test]
fn a_behaviour_in_the_wrong_place_is_told_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(&file, SCENARIO.replace("latency: { brown-out: { first: 1ms, between: 0ms } }", "latency: retry-storm"))
        .expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("a fault is no latency").to_string();
    assert!(refusal.contains("unknown latency `retry-storm`") && refusal.contains("stands under `faults`"), "{refusal}");
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_one_mistake_and_hides_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(folder.path().join("bad.wasm"), "no component").expect("written");
    let text = "
simwright: 1
plugins:
  gone: { file: ./gone.wasm }
  bad: { file: ./bad.wasm }
  huge: { file: ./bad.wasm, memory: 64GiB }
models:
  - match: m
    faults: [{ gone: {} }, { bad: { x: 1 } }, huge, cut]
    latency: 5
    replyy: echo
";
    std::fs::write(&file, text).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("six mistakes").to_string();
    let lines: Vec<_> = refusal.lines().filter_map(|line| line.split_once("s.yaml:").map(|(_, rest)| rest)).collect();
    let expected = [
        "4:17: there is no file",
        "5:16: its file is no WebAssembly",
        "6:37: expected up to",
        "9:53: the field `at` is missing",
        "10:14: expected a behaviour",
        "11:5: unknown field `replyy`",
    ];
    assert!(lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, said)| line.starts_with(said)), "{refusal}");
}

/// A misdeed, and what the client, the log reader and the metrics are told of it.
struct Misdeed {
    /// The plugin's name in the scenario, which is also the model's: state, breaker and metrics belong to the name.
    name: &'static str,
    /// What the header asks the adversary for.
    deed: &'static str,
    /// The behaviour that it answers for.
    kind: &'static str,
    /// The call as errors name it.
    call: &'static str,
    cause: &'static str,
    /// What to try.
    hint: &'static str,
}

const fn misdeed(name: &'static str, deed: &'static str, cause: &'static str, hint: &'static str) -> Misdeed {
    Misdeed { name, deed, kind: "fault", call: "fault.decide", cause, hint }
}

const MISDEEDS: [Misdeed; 6] = [
    misdeed("panics", "2", "panic", "correct the plugin"),
    misdeed("loops", "3", "timeout", "find the loop"),
    misdeed("eats", "4", "memory", "find the leak"),
    misdeed("recurses", "5", "stack", "find the recursion"),
    misdeed("recurses-inside", "13", "stack", "find the recursion"),
    Misdeed {
        kind: "responder",
        call: "responder.respond",
        ..misdeed("lies", "110", "bad-answer", "correct what the plugin returns")
    },
];

/// One model a misdeed, one that is a mere bystander, and two misdeeds that are none.
fn hostile(fallback: bool) -> String {
    let file = adversary().display();
    let (fault, reply) = match fallback {
        true => (", fallback: { none: {} }", ", fallback: { fixed: { text: instead } }"),
        false => ("", ""),
    };
    let mut scenario = "simwright: 1\ndefaults: { latency: { constant: { first: 1ms, between: 0ms } } }\nplugins:\n".to_owned();
    let harmless = ["prints", "minds-no-refusal"];
    for name in MISDEEDS.iter().map(|misdeed| misdeed.name).chain(harmless) {
        // On a busy machine the first touch of 16 MiB can take more than the usual time.
        let time = if name == "eats" { ", time: 400ms" } else { "" };
        scenario.push_str(&format!("  {name}: {{ file: {file}{time} }}\n"));
    }
    scenario.push_str("models:\n  - { match: bystander, reply: { fixed: { text: fine } } }\n");
    for Misdeed { name, kind, .. } in MISDEEDS {
        scenario.push_str(&match kind {
            "fault" => {
                format!("  - {{ match: {name}, faults: [{{ {name}: {{}}{fault} }}], reply: {{ fixed: {{ text: instead }} }} }}\n")
            }
            _ => format!("  - {{ match: {name}, reply: {{ {name}: {{}}{reply} }} }}\n"),
        });
    }
    for name in harmless {
        scenario
            .push_str(&format!("  - {{ match: {name}, faults: [{{ {name}: {{}} }}], reply: {{ fixed: {{ text: fine }} }} }}\n"));
    }
    scenario
}

#[test]
fn a_misdeed_costs_its_own_request_a_500_that_says_who_where_and_what_to_do() {
    let host = TestHost::start(&hostile(false));
    beside_a_bystander(&host, || {
        for Misdeed { name, deed, call, cause, hint, .. } in MISDEEDS {
            let labels = [format!("plugin=\"{name}\""), format!("cause=\"{cause}\"")];
            let failures = || host.metric("simwright_plugin_failures_total", &[&labels[0], &labels[1]]);
            let before = failures();
            for request in [ask(name, "x"), ask_streamed(name, "x")] {
                let reply = host.chat_with(&request, &[("x-adversary", deed)]);
                let error = &reply.json()["error"];
                assert_eq!(
                    (reply.status, &error["type"], &error["code"]),
                    (500, &"server_error".into(), &"behaviour_failed".into())
                );
                let message = error["message"].as_str().expect("a message");
                for part in [&format!("`{name}`"), &format!("`{call}`"), hint] {
                    assert!(message.contains(part), "{name}: no {part} in: {message}");
                }
            }
            // Metrics are the process's: other tests' plugins of this name count, too.
            assert!(failures() >= before + 2.0, "{name}");
            let good = host.chat_with(&ask(name, "x"), &[("x-adversary", "0")]);
            assert_eq!(good.status, 200, "{name} is done for: {}", good.text());
        }
    });
}

#[test]
fn a_fallback_answers_for_whoever_fails_and_says_so() {
    let host = TestHost::start(&hostile(true));
    for Misdeed { name, deed, kind, .. } in MISDEEDS {
        let reply = host.chat_with(&ask(name, "x"), &[("x-adversary", deed)]);
        assert_eq!((reply.status, reply.header("x-simwright-fallback")), (200, Some(kind)), "{name}: {}", reply.text());
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "instead");
        let streamed = host.chat_with(&ask_streamed(name, "x"), &[("x-adversary", deed)]);
        assert_eq!(
            (content(&chunks(streamed.text()), 0).as_str(), streamed.header("x-simwright-fallback")),
            ("instead", Some(kind))
        );
        let good = host.chat_with(&ask(name, "x"), &[("x-adversary", "0")]);
        assert_eq!((good.status, good.header("x-simwright-fallback")), (200, None), "{name}");
    }
}

#[test]
fn a_plugin_that_prints_or_is_refused_four_gibibytes_answers_as_always() {
    let host = TestHost::start(&hostile(false));
    for (name, deed) in [("prints", "1"), ("prints", "10"), ("minds-no-refusal", "12")] {
        let reply = host.chat_with(&ask(name, "x"), &[("x-adversary", deed)]);
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
}

// P1: more loops than workers.
#[test]
fn sixteen_loops_at_once_keep_nobody_else_from_an_answer() {
    let host = TestHost::start(&hostile(false));
    let bystander_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..16)
            .map(|_| {
                let (host, bystander_done) = (&host, &bystander_done);
                scope.spawn(move || {
                    let mut asked = 0;
                    while asked == 0 || !bystander_done.load(Ordering::Acquire) {
                        let reply = host.chat_with(&ask("loops", "x"), &[("x-adversary", "3")]);
                        assert_eq!(reply.status, 500, "{}", reply.text());
                        asked += 1;
                    }
                })
            })
            .collect();
        eventually("the loops run", || host.metric("simwright_requests_running", &["model=\"loops\""]) > 0.0);
        for number in 0..20 {
            assert_eq!(host.chat(&ask("bystander", &number.to_string())).status, 200);
        }
        bystander_done.store(true, Ordering::Release);
        for looping in loops {
            looping.join().expect("every loop ends with a 500");
        }
    });
    assert_eq!(host.chat_with(&ask("bystander", "after"), &[]).status, 200);
}

/// A running server with the scenario of a plugin's README.
fn as_in_the_readme_of(plugin: &str) -> TestHost {
    let readme = std::fs::read_to_string(workspace().join("plugins").join(plugin).join("README.md")).expect("a README");
    let scenario = blocks(&readme).into_iter().find(|block| block.language == "yaml").expect("a scenario").text;
    TestHost::start(&format!("{scenario}\ndefaults: {{ latency: {{ constant: {{ first: 1ms, between: 0ms }} }} }}\n"))
}

#[test]
fn the_support_desk_does_what_its_readme_says() {
    let host = as_in_the_readme_of("support-desk");
    let message = |request: &Value| host.chat(request).json()["choices"][0]["message"].clone();
    assert_eq!(message(&ask("gpt-5", "I need an invoice."))["content"], "I have sent your invoice again.");
    assert_eq!(host.chat(&ask("gpt-5", "Good morning!")).json()["usage"]["completion_tokens"], 60);

    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}})
    };
    let mut request = ask("gpt-5", "Where is my order?");
    request["tools"] = json!([tool("get_weather"), tool("get_order_status")]);
    let calls = message(&request);
    assert_eq!(calls["tool_calls"][0]["function"]["name"], "get_order_status", "{calls}");
    let arguments = calls["tool_calls"][0]["function"]["arguments"].as_str().expect("a text");
    assert!(serde_json::from_str::<Value>(arguments).expect("JSON")["id"].is_string(), "{arguments}");
    let messages = request["messages"].as_array_mut().expect("messages");
    messages.push(calls.clone());
    messages.push(json!({"role": "tool", "tool_call_id": calls["tool_calls"][0]["id"], "content": "{\"status\": \"shipped\"}"}));
    let answer = message(&request)["content"].as_str().expect("a text").to_owned();
    assert!(answer.starts_with("Thank you for waiting. I looked it up for you: {\"status\": \"shipped\"}"), "{answer}");
}

#[test]
fn the_retry_storm_does_what_its_readme_says() {
    let host = as_in_the_readme_of("retry-storm");
    let wait = |attempt: u32| {
        let retry = attempt.to_string();
        let reply = host.chat_with(&ask("gpt-5", "x"), &[("x-stainless-retry-count", &retry), ("x-simwright-identity", "one")]);
        let wait = reply.header("retry-after-ms").map(str::to_owned);
        (reply.status, wait)
    };
    // The README counts attempts from 1; the failing server below the plugin may refuse with 500 what the plugin lets pass.
    let seen: Vec<_> = (0..6).map(wait).collect();
    assert!(seen[..3].iter().all(|(status, _)| [200, 500].contains(status)), "{seen:?}");
    let refused = |wait: &str| (429, Some(wait.to_owned()));
    assert_eq!(seen[3..], [refused("500"), refused("1000"), refused("2000")]);
}
