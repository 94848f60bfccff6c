use serde_json::json;

use crate::support::client;
use crate::support::host::{TestHost, ask, ask_streamed, eventually};

const SCENARIO: &str = "
simwright: 1
tokens: exact
api: { vllm-metrics: true }
defaults: { latency: { constant: { first: 30ms, between: 5ms } } }
stations:
  gpu: { replicas: { preset: llama-3.1-8b-h100, count: 2 } }
models:
  - { match: served, list: [served], context-window: 8192, max-output-tokens: 64, reply: { text: { tokens: 20 } } }
  - { match: refused, faults: [{ http-error: { status: 500 } }] }
  - { match: endless, latency: { constant: { first: 1ms, between: 20ms } }, max-output-tokens: 100000, reply: { text: { tokens: 100000 } } }
  - { match: replicas, pipeline: [{ serve: { through: gpu } }], reply: { text: { tokens: 20 } } }
";

fn get(host: &TestHost, path: &str) -> client::Reply {
    client::send(host.api, "GET", path, &[], b"")
}

/// The value of the sample of /metrics on the API's port that begins with `name` and has all of `labels`.
fn sample(host: &TestHost, name: &str, labels: &[&str]) -> Option<f64> {
    let reply = get(host, "/metrics");
    let is_it = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')) && labels.iter().all(|label| line.contains(label))
    };
    reply.text().lines().find(is_it).and_then(|line| line.rsplit(' ').next()?.parse().ok())
}

#[test]
fn probes_and_the_version_are_answered_on_the_port_of_the_api() {
    let host = TestHost::start(SCENARIO);
    for path in ["/health", "/healthz", "/livez", "/readyz", "/ping"] {
        assert_eq!((get(&host, path).status, get(&host, path).body.len()), (200, 0), "{path}");
    }
    assert_eq!(client::send(host.api, "POST", "/ping", &[], b"").status, 200);
    assert!(get(&host, "/version").json()["version"].is_string());
}

#[test]
fn texts_are_cut_into_as_many_tokens_as_prompts_count() {
    let host = TestHost::start(SCENARIO);
    let post = |path: &str, body: serde_json::Value| client::send(host.api, "POST", path, &[], body.to_string().as_bytes());
    let messages = json!([{"role": "user", "content": "Hello there, world"}]);
    let counted = post("/tokenize", json!({"model": "served", "messages": messages})).json();
    let asked = host.chat(&json!({"model": "served", "messages": messages})).json();
    assert_eq!(counted["count"], asked["usage"]["prompt_tokens"]);
    assert_eq!(counted["max_model_len"], 8192);
    // A server need not be told which model.
    let cut = post("/tokenize", json!({"prompt": "Hello there"})).json();
    let text = post("/detokenize", json!({"tokens": cut["tokens"]})).json();
    assert_eq!(text, json!({"prompt": "Hello there"}));
    assert_eq!(post("/tokenize", json!({"model": "unheard-of", "prompt": "x"})).status, 404);
}

#[test]
fn metrics_have_the_names_of_vllm_only_if_the_scenario_says_so() {
    let host = TestHost::start(&SCENARIO.replace("vllm-metrics: true", "unknown-fields: ignore"));
    assert_eq!(get(&host, "/metrics").status, 404);
    let host = TestHost::start(SCENARIO);
    for reply in [get(&host, "/metrics"), get(&host, "/prometheus/metrics")] {
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
        let names = reply.text().lines().filter(|line| !line.starts_with('#')).all(|line| line.starts_with("vllm:"));
        assert!(names, "{}", reply.text());
    }
}

#[test]
fn a_model_without_replicas_is_one_engine() {
    let host = TestHost::start(SCENARIO);
    let served = "model_name=\"served\",engine=\"0\"";
    let running = "vllm:num_requests_running";
    assert_eq!(sample(&host, running, &[served]), Some(0.0), "it is there before anybody asks");
    assert_eq!(sample(&host, "vllm:kv_cache_usage_perc", &[served]), Some(0.0));
    host.chat(&ask_streamed("served", "Hello there"));
    host.chat(&json!({"model": "served", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}));
    host.chat(&ask("refused", "x"));
    let of = |name: &str, label: &str| sample(&host, name, &[served, label]);
    assert_eq!(of("vllm:generation_tokens_total", ""), Some(25.0));
    assert_eq!(of("vllm:request_success_total", "finished_reason=\"stop\""), Some(1.0));
    assert_eq!(of("vllm:request_success_total", "finished_reason=\"length\""), Some(1.0));
    assert_eq!(of("vllm:time_to_first_token_seconds_count", ""), Some(2.0));
    assert_eq!(of("vllm:time_to_first_token_seconds_bucket", "le=\"0.02\""), Some(0.0), "the first token comes after 30 ms");
    assert_eq!(of("vllm:time_to_first_token_seconds_bucket", "le=\"+Inf\""), Some(2.0));
    assert_eq!(of("vllm:inter_token_latency_seconds_count", ""), Some(19.0), "only streams show when tokens leave");
    assert_eq!(of("vllm:e2e_request_latency_seconds_count", ""), Some(2.0));
    assert_eq!(of("vllm:request_params_max_tokens_bucket", "le=\"5.0\""), Some(1.0));
    assert_eq!(of("vllm:request_generation_tokens_sum", ""), Some(25.0));
    let refused = "model_name=\"refused\"";
    assert_eq!(sample(&host, "vllm:request_success_total", &[refused, "stop"]), Some(0.0));
}

#[test]
fn what_runs_is_a_gauge_and_who_leaves_is_aborted() {
    use std::io::{Read, Write};
    let host = TestHost::start(SCENARIO);
    let endless = "model_name=\"endless\"";
    let mut socket = client::open(host.api);
    let body = ask_streamed("endless", "x").to_string();
    socket.write_all(&client::request("POST", "/v1/chat/completions", &[], body.as_bytes())).expect("taken");
    socket.read_exact(&mut [0; 64]).expect("the stream begins");
    assert_eq!(sample(&host, "vllm:num_requests_running", &[endless]), Some(1.0));
    drop(socket);
    eventually("it is gone", || sample(&host, "vllm:num_requests_running", &[endless]) == Some(0.0));
    assert_eq!(sample(&host, "vllm:request_success_total", &[endless, "finished_reason=\"abort\""]), Some(1.0));
}

#[test]
fn replicas_are_engines_of_their_model() {
    let host = TestHost::start(SCENARIO);
    host.chat(&ask_streamed("replicas", "Hello there"));
    for engine in ["engine=\"0\"", "engine=\"1\""] {
        assert_eq!(sample(&host, "vllm:num_requests_running", &["model_name=\"replicas\"", engine]), Some(0.0));
        assert!(sample(&host, "vllm:kv_cache_usage_perc", &["model_name=\"replicas\"", engine]).is_some());
        let cache = ["block_size=\"16\"", "num_gpu_blocks=", "enable_prefix_caching=\"True\"", engine];
        assert_eq!(sample(&host, "vllm:cache_config_info", &cache), Some(1.0));
    }
    assert_eq!(sample(&host, "vllm:request_prefill_time_seconds_count", &["model_name=\"replicas\""]), Some(1.0));
}
