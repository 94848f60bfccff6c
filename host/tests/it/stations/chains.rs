use serde_json::{Value, json};

use super::{TEN, held, station, text, timing};
use crate::support::client::{self, Reply};
use crate::support::host::{TestHost, ask, ask_streamed, eventually};
use crate::support::stream::{chunks, content};

/// Metrics are those of the whole process: `NAME` keeps the tests apart.
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 60ms, between: 2ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
stations:
  NAME-answers: { cache: { levels: [{ entries: 100, latency: 2ms }] } }
  NAME-guard: { breaker: { failures: 2, open: 1h } }
  NAME-desk: { pool: { size: 4 } }
  NAME-gpu: { replicas: { count: 1, preset: llama-3.1-8b-h100 } }
  NAME-small: { replicas: { count: 1, preset: llama-3.1-8b-h100, kv-blocks: 8 } }
models:
  - match: cached
    name: NAME-cached
    pipeline:
      - lookup: { through: NAME-answers }
      - model: { through: NAME-desk }
      - log: { takes: 1ms }
  - match: chain
    name: NAME-chain
    pipeline:
      - lookup: { through: NAME-answers }
      - first-of:
          - primary: { takes: 5ms, through: NAME-desk, fails: 100%, guard: NAME-guard, reply: true }
          - secondary: { through: NAME-small }
          - template: { text: We are busy. }
      - log: { takes: 1ms }
  - match: late
    name: NAME-late
    pipeline:
      - model: { through: NAME-desk }
      - log: { takes: 3ms, fails: 100% }
  - match: late-batched
    name: NAME-late-batched
    pipeline:
      - model: { through: NAME-gpu }
      - log: { takes: 3ms, within: 1ms }
  - match: endless
    name: NAME-endless
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
    pipeline:
      - model: { through: NAME-gpu }
";

fn host(name: &str) -> TestHost {
    TestHost::start(&SCENARIO.replace("NAME", name))
}

/// The stages that `server-timing` names, without what of them was waiting.
fn stages(reply: &Reply) -> Vec<String> {
    timing(reply).into_iter().map(|(stage, _)| stage).filter(|stage| !stage.contains('.')).collect()
}

fn whole(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["choices"][0]["message"]["content"].clone()
}

#[test]
fn an_equal_question_is_answered_from_the_cache_however_it_is_sent() {
    let host = host("ch-cache");
    let first = host.chat(&ask("cached", "x"));
    assert_eq!((whole(&first), stages(&first)), (json!(TEN), ["lookup", "model", "log"].map(str::to_owned).to_vec()));
    for request in [ask("cached", "x"), ask_streamed("cached", "x")] {
        let hit = host.chat(&request);
        let timing = timing(&hit);
        assert_eq!(stages(&hit), ["lookup", "log"]);
        // The cache's own time, and at most what is left of the log.
        assert_eq!((timing[0].1, timing[1].1 <= 1.0), (2.0, true), "{timing:?}");
    }
    assert_eq!(text(&host.chat(&ask_streamed("cached", "x"))), TEN);
    assert_eq!(stages(&host.chat(&ask("cached", "y"))), ["lookup", "model", "log"]);
    let station = "station=\"ch-cache-answers\"";
    assert_eq!(host.metric("simwright_cache_hits_total", &[station, "level=\"1\""]), 3.0);
    assert_eq!(host.metric("simwright_cache_misses_total", &[station]), 2.0);
    // Emptied by hand.
    let flush = |name: &str| client::send(host.admin, "DELETE", &format!("/caches/{name}"), &[], b"");
    assert_eq!(flush("ch-cache-answers").json(), json!({ "cache": "ch-cache-answers", "forgotten": 2 }));
    assert_eq!(stages(&host.chat(&ask("cached", "x"))), ["lookup", "model", "log"]);
    // Warmed by hand: two questions nobody has asked.
    let warm = |body: &str| client::send(host.admin, "PUT", "/caches/ch-cache-answers", &[], body.as_bytes());
    let lines = format!("{}\n\n{}\n", ask("cached", "new"), ask("cached", "newer"));
    assert_eq!(warm(&lines).json(), json!({ "cache": "ch-cache-answers", "warmed": 2 }));
    assert_eq!(stages(&host.chat(&ask("cached", "newer"))), ["lookup", "log"]);
    let mistaken = warm(&format!("{}\n{{\n[]", ask("cached", "third")));
    assert_eq!(mistaken.status, 400);
    assert!(mistaken.text().contains("line 2: ") && mistaken.text().contains("line 3: "), "{}", mistaken.text());
    assert_eq!(stages(&host.chat(&ask("cached", "third"))), ["lookup", "model", "log"], "all or nothing");
    assert_eq!(warm("").status, 400);
    for (name, said) in
        [("ch-cache-anwsers", "did you mean `ch-cache-answers`?"), ("ch-cache-gpu", "there is no cache `ch-cache-gpu`")]
    {
        let refused = flush(name);
        assert!(refused.status == 404 && refused.text().contains(said), "{}", refused.text());
    }
}

#[test]
fn each_link_of_a_chain_answers_when_those_before_it_fail_and_a_breaker_spares_the_first() {
    let host = host("ch-chain");
    let long = "word ".repeat(300);
    let first = host.chat(&ask("chain", "x"));
    assert_eq!(
        (whole(&first), stages(&first)),
        (json!(TEN), ["lookup", "primary", "secondary", "log"].map(str::to_owned).to_vec())
    );
    assert_eq!(timing(&first)[1].1, 5.0, "the first was tried");
    // What the second said is remembered, and nobody is asked again.
    assert_eq!(stages(&host.chat(&ask("chain", "x"))), ["lookup", "log"]);
    // The second failure in a row opens the breaker. The prompt is too long for the second, so the template answers.
    for (tried, times) in [(5.0, "the first is tried"), (0.0, "the breaker is open"), (0.0, "a template is not remembered")] {
        let reply = host.chat(&ask("chain", &long));
        assert_eq!(
            (whole(&reply), stages(&reply)),
            (json!("We are busy."), ["lookup", "primary", "secondary", "template", "log"].map(str::to_owned).to_vec())
        );
        assert_eq!(timing(&reply)[1].1, tried, "{times}");
        assert_eq!(reply.json()["usage"]["completion_tokens"], 4);
    }
    let streamed = host.chat(&ask_streamed("chain", &long));
    assert_eq!(content(&chunks(streamed.text()), 0), "We are busy.");
    assert_eq!(station(&host, "simwright_station_busy", "ch-chain-desk"), 0.0);
    assert_eq!(station(&host, "simwright_breaker_opened_total", "ch-chain-guard"), 1.0);
    assert_eq!(station(&host, "simwright_breaker_open", "ch-chain-guard"), 1.0);
}

#[test]
fn a_stage_that_fails_behind_the_reply_is_an_error_event_in_a_stream_and_a_status_before_it() {
    let host = host("ch-late");
    for (model, status, code) in [("late", 500, "stage-failed"), ("late-batched", 504, "budget")] {
        let reply = host.chat(&ask(model, "x"));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{}", reply.text());
        let streamed = host.chat(&ask_streamed(model, "x"));
        let events: Vec<Value> =
            streamed.text().lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        let texts = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        assert_eq!((streamed.status, texts.collect::<String>()), (200, TEN.to_owned()));
        let error = &events.last().expect("events")["error"];
        assert_eq!((&error["code"], streamed.text().contains("[DONE]")), (&json!(code), false), "{}", streamed.text());
        assert_eq!(
            host.metric(
                "simwright_station_refusals_total",
                &[&format!("model=\"ch-late-{model}\""), &format!("cause=\"{code}\"")]
            ),
            2.0
        );
    }
}

#[test]
fn a_reload_keeps_what_caches_know_and_who_is_in_a_batch() {
    let host = host("ch-reload");
    let save = |text: &str| {
        std::fs::write(host.scenario_file(), text).expect("written");
        host.app().reload().expect("a good scenario");
    };
    let running = || host.metric("simwright_replica_running", &["station=\"ch-reload-gpu\""]);
    assert_eq!(stages(&host.chat(&ask("cached", "x"))), ["lookup", "model", "log"]);
    let stream = held(&host, "endless");
    // Replies change, stations and ways do not.
    let scenario = SCENARIO.replace("NAME", "ch-reload");
    save(&scenario.replace("nine ten }", "nine ten eleven }"));
    let hit = host.chat(&ask("cached", "x"));
    assert_eq!((whole(&hit), stages(&hit)), (json!(format!("{TEN} eleven")), ["lookup", "log"].map(str::to_owned).to_vec()));
    let (steps, other) =
        (|| host.metric("simwright_replica_steps_total", &["station=\"ch-reload-gpu\""]), held(&host, "endless"));
    assert_eq!(running(), 2.0, "both generations share the batch");
    let before = steps();
    eventually("its steps go on", || steps() > before);
    // Another cache is another: it knows nothing.
    save(&scenario.replace("entries: 100", "entries: 99"));
    assert_eq!(stages(&host.chat(&ask("cached", "x"))), ["lookup", "model", "log"]);
    drop((stream, other));
    eventually("nobody is left", || running() == 0.0);
}
