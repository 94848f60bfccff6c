/// Caches, chains of fallbacks, and what fails behind the reply.
mod chains;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{self, Reply};
use crate::support::h2_client::{H2Client, StreamEnd, read_out, run};
use crate::support::host::{TestHost, ask, ask_streamed, eventually};
use crate::support::stream::{chunks, content};

const TEN: &str = "one two three four five six seven eight nine ten";
/// Metrics are those of the whole process: `NAME` keeps the tests apart.
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 20ms, between: 2ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
stations:
  NAME-desk: { pool: { size: 1 } }
  NAME-gpu: { replicas: { count: 1, preset: llama-3.1-8b-h100 } }
  NAME-small: { replicas: { count: 1, preset: llama-3.1-8b-h100, kv-blocks: 8 } }
models:
  - match: pooled
    name: NAME-pooled
    pipeline:
      - route: { takes: { constant: { first: 3ms } } }
      - model: { through: NAME-desk }
  - match: batched
    name: NAME-batched
    pipeline:
      - route: { takes: { constant: { first: 3ms } } }
      - model: { through: NAME-gpu }
  - match: long
    name: NAME-long
    reply: { text: { tokens: 50 } }
    pipeline:
      - model: { through: NAME-gpu }
  - match: endless
    name: NAME-endless
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 4000000
    pipeline:
      - model: { through: NAME-desk }
  - match: batched-endless
    name: NAME-batched-endless
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
    pipeline:
      - model: { through: NAME-gpu }
  - match: flood
    name: NAME-flood
    latency: { constant: { first: 0, between: 5us } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 4000000
    pipeline:
      - model: { through: NAME-desk }
  - match: too-long
    name: NAME-too-long
    pipeline:
      - first-of:
          - small: { through: NAME-small }
          - large: { through: NAME-gpu }
  - match: plain
    name: NAME-plain
";

fn host(name: &str) -> TestHost {
    TestHost::start(&SCENARIO.replace("NAME", name))
}

fn text(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    content(&chunks(reply.text()), 0)
}

/// What `server-timing` says, in milliseconds.
fn timing(reply: &Reply) -> Vec<(String, f64)> {
    let header = reply.header("server-timing").expect("the header");
    let metric = |text: &str| {
        let (name, duration) = text.split_once(";dur=").expect("a duration");
        (name.to_owned(), duration.parse().expect("a number"))
    };
    header.split(", ").map(metric).collect()
}

/// Sends `count` streamed requests at once and waits for all.
fn at_once(host: &TestHost, model: &str, count: usize) -> Vec<(Reply, Duration)> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let one = |number: usize| {
            scope.spawn(move || {
                let reply = host.chat(&ask_streamed(model, &format!("number {number}")));
                (reply, start.elapsed())
            })
        };
        let threads: Vec<_> = (0..count).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reply")).collect()
    })
}

/// A stream that has begun and is not read any further.
fn held(host: &TestHost, model: &str) -> std::net::TcpStream {
    let mut socket = client::open(host.api);
    let body = ask_streamed(model, "x").to_string();
    socket.write_all(&client::request("POST", "/v1/chat/completions", &[], body.as_bytes())).expect("taken");
    socket.read_exact(&mut [0; 64]).expect("the stream begins");
    socket
}

fn station(host: &TestHost, metric: &str, station: &str) -> f64 {
    host.metric(metric, &[&format!("station=\"{station}\"")])
}

#[test]
fn who_finds_a_pool_full_waits_for_those_before() {
    let host = host("st-order");
    let mut replies = at_once(&host, "pooled", 4);
    replies.sort_by_key(|(_, at)| *at);
    for (place, (reply, at)) in replies.iter().enumerate() {
        assert_eq!(text(reply), TEN);
        // Each takes 20 + 9 · 2 ms, one after the other.
        assert!(*at >= Duration::from_millis(3 + 38 * (place as u64 + 1)), "{place}: {at:?}");
    }
}

#[test]
fn server_timing_says_what_stages_took_and_what_of_it_was_waiting() {
    let host = host("st-timing");
    for request in [ask("pooled", "x"), ask_streamed("pooled", "x")] {
        let timing = timing(&host.chat(&request));
        let names: Vec<_> = timing.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, timing[0].1), (vec!["route", "model"], 3.0));
        // A stream's head leaves with the first token, a whole reply after the last.
        let least = if request["stream"] == true { 20.0 } else { 38.0 };
        assert!(timing[1].1 >= least, "{timing:?}");
    }
    assert_eq!(host.chat(&ask("plain", "x")).header("server-timing"), None);
    // Behind one that holds the desk for as long as it likes.
    let holder = held(&host, "endless");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| host.chat(&ask("pooled", "x")));
        eventually("it waits", || station(&host, "simwright_station_waiting", "st-timing-desk") == 1.0);
        drop(holder);
        let timing = timing(&waiting.join().expect("a reply"));
        assert!(
            matches!(&timing[..], [_, (model, took), (wait, waited)]
            if model == "model" && wait == "model.wait" && (took - waited) > 37.999_999),
            "{timing:?}"
        );
    });
}

#[test]
fn streams_of_a_replica_share_its_steps() {
    let host = host("st-share");
    for (reply, _) in at_once(&host, "long", 16) {
        assert_eq!(chunks(reply.text()).len(), 52);
    }
    // 800 tokens. One after the other they would be 800 steps; a machine that starts the clients slowly may cost some.
    let steps = station(&host, "simwright_replica_steps_total", "st-share-gpu");
    assert!((50.0..400.0).contains(&steps), "{steps} steps");
}

#[test]
fn a_replica_answers_streamed_and_whole_over_both_versions_of_http() {
    let host = host("st-http");
    for (reply, at) in at_once(&host, "batched", 8) {
        assert_eq!(text(&reply), TEN);
        // Ten steps of 6.42 ms at least, after the way there.
        assert!(at >= Duration::from_micros(3_000 + 10 * 6_420), "{at:?}");
    }
    let whole = host.chat(&ask("batched", "x"));
    assert_eq!(whole.json()["choices"][0]["message"]["content"], TEN);
    assert!(timing(&whole)[1].1 >= 64.2, "{:?}", timing(&whole));
    run(async {
        let mut client = H2Client::open(host.api).await;
        let mut streams = tokio::task::JoinSet::new();
        for number in 0..100 {
            let answer = client.begin(&ask_streamed("batched", &format!("number {number}"))).await.expect("taken");
            streams.spawn(async { read_out(answer.await.expect("an answer").into_body()).await });
        }
        while let Some(stream) = streams.join_next().await {
            let (body, end) = stream.expect("a stream");
            assert_eq!((content(&chunks(&body), 0).as_str(), end), (TEN, StreamEnd::Complete));
        }
        let reply = client.chat(&ask("batched", "x")).await.expect("an answer");
        let whole: Value = serde_json::from_str(&read_out(reply.into_body()).await.0).expect("JSON");
        assert_eq!(whole["choices"][0]["message"]["content"], TEN);
    });
}

#[test]
fn a_client_that_goes_gives_its_place_to_the_next() {
    let host = host("st-leave");
    let (holder, waiting) = (held(&host, "endless"), || station(&host, "simwright_station_waiting", "st-leave-desk"));
    let body = ask_streamed("pooled", "x").to_string();
    let request = client::request("POST", "/v1/chat/completions", &[], body.as_bytes());
    std::thread::scope(|scope| {
        let mut impatient = client::open(host.api);
        impatient.write_all(&request).expect("taken");
        eventually("the first waits", || waiting() == 1.0);
        let patient = scope.spawn(|| host.chat(&ask_streamed("pooled", "y")));
        eventually("the second waits", || waiting() == 2.0);
        drop(impatient);
        eventually("the first has gone", || waiting() == 1.0);
        drop(holder);
        assert_eq!(text(&patient.join().expect("a reply")), TEN);
    });
    eventually("the desk is free", || station(&host, "simwright_station_busy", "st-leave-desk") == 0.0);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_behind_it() {
    let host = host("st-silent");
    // More than its socket takes in half a second: from then on nobody polls for its stages.
    let silent = held(&host, "flood");
    assert_eq!(text(&host.chat(&ask_streamed("pooled", "y"))), TEN);
    assert_eq!(host.metric("simwright_requests_running", &["model=\"st-silent-flood\""]), 1.0);
    drop(silent);
}

#[test]
fn a_prompt_that_a_replica_cannot_hold_goes_on_to_the_next() {
    let host = host("st-refuse");
    let long = "word ".repeat(200);
    for request in [ask("too-long", &long), ask_streamed("too-long", &long)] {
        let reply = host.chat(&request);
        let stages: Vec<String> = timing(&reply).into_iter().map(|(stage, _)| stage).collect();
        assert_eq!((reply.status, stages.last().map(String::as_str)), (200, Some("large")), "{stages:?}");
    }
    let reply = host.chat(&ask("too-long", "x"));
    assert_eq!(timing(&reply).last().map(|(stage, _)| stage.clone()).as_deref(), Some("small"));
    assert_eq!(host.metric("simwright_requests_running", &["model=\"st-refuse-too-long\""]), 0.0);
}

#[test]
fn the_prompt_that_came_before_is_found_in_the_prefix_cache() {
    let host = host("st-prefix");
    let long = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    let prefix = |name: &str| station(&host, &format!("simwright_replica_prefix_{name}_tokens_total"), "st-prefix-gpu");
    host.chat(&ask("batched", &long));
    assert_eq!(prefix("hit"), 0.0);
    let asked = prefix("asked");
    host.chat(&ask("batched", &long));
    assert_eq!(prefix("asked"), 2.0 * asked);
    // All but the last block, of which at least one token must be computed.
    assert!(prefix("hit") >= asked - 32.0 && prefix("hit") < asked, "{} of {asked}", prefix("hit"));
    host.chat(&ask("batched", &format!("Not so: {long}")));
    assert!(prefix("hit") < asked, "another beginning shares nothing");
}

#[test]
fn replicas_show_what_they_do_under_the_names_of_vllm() {
    let host = host("st-vllm");
    let model = "model_name=\"st-vllm-batched\"";
    let running = || host.metric("vllm:num_requests_running", &[model, "engine=\"0\""]);
    let streams: Vec<_> = (0..3).map(|_| held(&host, "batched-endless")).collect();
    assert_eq!(running(), 3.0);
    assert_eq!(station(&host, "simwright_replica_running", "st-vllm-gpu"), 3.0);
    assert!(host.metric("vllm:kv_cache_usage_perc", &[model]) > 0.0);
    assert_eq!(host.metric("vllm:num_requests_waiting", &[model]), 0.0);
    drop(streams);
    eventually("they have gone", || running() == 0.0);
    assert_eq!(host.metric("vllm:kv_cache_usage_perc", &[model]), 0.0);
    assert!(host.metric("vllm:prefix_cache_queries_total", &[model]) > 0.0);
    let stages = |name: &str| host.metric(name, &["model=\"st-vllm-batched-endless\"", "stage=\"model\""]);
    assert_eq!(stages("simwright_stage_seconds_count"), 3.0);
    assert_eq!(stages("simwright_stage_wait_seconds_count"), 3.0);
}

#[test]
fn a_reload_that_leaves_the_stations_alone_leaves_those_alone_who_are_there() {
    let host = host("st-reload");
    let save = |text: &str| {
        std::fs::write(host.scenario_file(), text).expect("written");
        host.app().reload().expect("a good scenario");
    };
    let busy = || station(&host, "simwright_station_busy", "st-reload-desk");
    let holder = held(&host, "endless");
    let scenario = SCENARIO.replace("NAME", "st-reload");
    save(&scenario.replace("ten }", "ten eleven }"));
    std::thread::scope(|scope| {
        // The desk is the same, and taken.
        let waiting = scope.spawn(|| host.chat(&ask("pooled", "x")));
        eventually("it waits", || station(&host, "simwright_station_waiting", "st-reload-desk") == 1.0);
        // Two desks are others: there is room at once, and the old ones count as long as somebody is there.
        save(&scenario.replace("size: 1", "size: 2"));
        assert_eq!(host.chat(&ask("pooled", "x")).status, 200);
        assert_eq!(busy(), 1.0);
        drop(holder);
        let reply = waiting.join().expect("a reply");
        assert_eq!(reply.json()["choices"][0]["message"]["content"], format!("{TEN} eleven"));
    });
    eventually("nobody is left", || busy() == 0.0);
}
