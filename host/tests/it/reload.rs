use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::support::client::Reply;
use super::support::guests::adversary;
use super::support::host::{TestHost, ask, ask_streamed, eventually};
use super::support::stream::{chunks, content};

/// Two scenarios that differ in every observable: text, length, seed (and so fingerprint), status of a second model.
fn scenario(odd: bool) -> String {
    let (word, seed, status) = if odd { ("alpha", 1, 429) } else { ("beta", 2, 503) };
    let text = vec![word; if odd { 12 } else { 7 }].join(" ");
    format!(
        "
simwright: 1
seed: {seed}
models:
  - match: [same, 'only-*']
    list: [same, only-{word}]
    latency: {{ constant: {{ first: 1ms, between: 1ms }} }}
    reply: {{ fixed: {{ text: {text} }} }}
  - match: failing
    faults: [{{ http-error: {{ rate: 100%, status: {status}, message: {word} }} }}]
"
    )
}

/// Which scenario answered, told by the generation in the head; panics if anything in the reply is the other's.
fn wholly_one(reply: &Reply, streamed: bool, failing: bool) -> u64 {
    let generation: u64 = reply.header("x-simwright-generation").and_then(|number| number.parse().ok()).expect("a generation");
    let odd = generation % 2 == 1;
    let (word, other) = if odd { ("alpha", "beta") } else { ("beta", "alpha") };
    assert!(!reply.text().contains(other), "generation {generation} says {other}: {}", reply.text());
    if failing {
        assert_eq!(reply.status, if odd { 429 } else { 503 });
        assert_eq!(reply.json()["error"]["message"], word);
        return generation;
    }
    assert_eq!(reply.status, 200);
    let text = if streamed {
        let chunks = chunks(reply.text());
        let fingerprint = |chunk: &Value| chunk["system_fingerprint"].clone();
        assert!(chunks.iter().all(|chunk| fingerprint(chunk) == fingerprint(&chunks[0])));
        content(&chunks, 0)
    } else {
        reply.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
    };
    assert_eq!(text, vec![word; if odd { 12 } else { 7 }].join(" "));
    generation
}

#[test]
fn a_saved_file_answers_soon_and_a_bad_one_changes_nothing() {
    let host = TestHost::start(&scenario(true));
    let text = |host: &TestHost| host.chat(&ask("same", "x")).text().to_owned();
    assert!(text(&host).contains("alpha"));
    std::fs::write(host.scenario_file(), scenario(false)).expect("written");
    eventually("the saved scenario answers", || text(&host).contains("beta"));

    let refused = host.metric("simwright_reloads_total", &["outcome=\"refused\""]);
    for bad in ["simwright: 1\nmodels: [", "simwright: 1\nmodels: [{ match: same, latncy: 1 }]", ""] {
        std::fs::write(host.scenario_file(), bad).expect("written");
        let refusal = host.app().reload().expect_err("a bad scenario");
        assert!(refusal.to_string().contains("scenario.yaml:"), "{refusal}");
        assert!(text(&host).contains("beta"));
    }
    assert!(host.metric("simwright_reloads_total", &["outcome=\"refused\""]) >= refused + 3.0);
}

/// One model that answers when a plugin says so.
fn with_plugin(file: &str) -> String {
    format!(
        "
simwright: 1
plugins: {{ guest: {{ file: {file} }} }}
models:
  - match: same
    latency: {{ constant: {{ first: 0ms, between: 0ms }} }}
    faults: [{{ guest: {{}} }}]
    reply: {{ fixed: {{ text: gamma }} }}
"
    )
}

#[test]
fn a_scenario_refused_for_a_missing_plugin_is_live_once_the_plugin_is_built() {
    let host = TestHost::start(&scenario(true));
    let text = || host.chat_with(&ask("same", "x"), &[("x-adversary", "0")]).text().to_owned();
    std::fs::write(host.scenario_file(), with_plugin("./built/later.wasm")).expect("written");
    let refusal = host.app().reload().expect_err("no such file").to_string();
    assert!(refusal.contains("there is no file") && refusal.contains("build the plugin first"), "{refusal}");
    assert!(text().contains("alpha"));

    let place = host.scenario_file().with_file_name("built");
    std::fs::create_dir(&place).expect("made");
    std::fs::copy(adversary(), place.join("later.wasm")).expect("copied");
    eventually("the plugin is there, and with it the scenario", || text().contains("gamma"));
}

#[test]
fn a_file_saved_while_the_server_starts_is_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    let stop = Arc::new(AtomicBool::new(false));
    std::fs::write(&file, scenario(true)).expect("written");
    // Saves one scenario after the other while the server reads the first; the last one must be what answers in the end.
    let (saved, done) = (file.with_extension("new"), Arc::clone(&stop));
    let saving = std::thread::spawn(move || {
        let mut odd = true;
        while odd || !done.load(Ordering::Acquire) {
            odd = !odd;
            std::fs::write(&saved, scenario(odd)).expect("written");
            std::fs::rename(&saved, &file).expect("renamed");
        }
    });
    let host = TestHost::start_beside(folder, None);
    stop.store(true, Ordering::Release);
    saving.join().expect("saved");
    eventually("the last scenario answers", || host.chat(&ask("same", "x")).text().contains("beta"));
}

#[test]
fn a_stream_keeps_the_generation_that_it_began_with() {
    // Metrics are the process's: a model of its own tells this stream from those of tests beside it.
    let own = |odd| scenario(odd).replace("same", "lasting");
    let slow = own(true).replace("between: 1ms", "between: 50ms");
    let host = Arc::new(TestHost::start(&slow));
    let streaming = Arc::clone(&host);
    let stream = std::thread::spawn(move || streaming.chat(&ask_streamed("lasting", "long")));
    eventually("the stream runs", || host.metric("simwright_requests_running", &["model=\"lasting\""]) >= 1.0);
    std::fs::write(host.scenario_file(), own(false)).expect("written");
    host.app().reload().expect("a good scenario");
    assert!(host.chat(&ask("lasting", "new")).text().contains("beta"));
    let reply = stream.join().expect("the stream ends well");
    assert_eq!(wholly_one(&reply, true, false), 1);
}
