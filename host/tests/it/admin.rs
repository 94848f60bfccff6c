use super::support::client;
use super::support::host::{TestHost, ask, ask_streamed};

const SCENARIO: &str = "
simwright: 1
models:
  - match: admin-model
    latency: { constant: { first: 2ms, between: 1ms } }
    reply: { text: { tokens: 10 } }
  - match: admin-secret
  - { match: admin-small, context-window: 20, max-output-tokens: 10 }
  - match: admin-failing
    faults: [{ http-error: { rate: 100%, status: 429, retry-after: 1s } }]
";

#[test]
fn a_started_server_is_healthy_and_ready() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(client::send(host.admin, "GET", "/healthz", &[], b"").status, 200);
    assert_eq!(client::send(host.admin, "GET", "/readyz", &[], b"").status, 200);
}

#[test]
fn the_admin_door_closes_with_the_server() {
    let host = TestHost::start(SCENARIO);
    let admin = host.admin;
    assert!(host.into_app().stop(std::time::Duration::from_secs(1)));
    assert!(std::net::TcpStream::connect(admin).is_err(), "somebody still listens");
}

#[test]
fn metrics_count_requests_tokens_faults_and_lateness() {
    let host = TestHost::start(SCENARIO);
    let lateness = host.metric("simwright_pacing_lateness_seconds_count", &[]);
    host.chat(&ask("admin-model", "one"));
    host.chat(&ask_streamed("admin-model", "two"));
    host.chat(&ask("admin-failing", "three"));
    let model = "model=\"admin-model\"";
    assert_eq!(host.metric("simwright_requests_total", &[model, "status=\"200\""]), 2.0);
    assert_eq!(host.metric("simwright_requests_total", &["model=\"admin-failing\"", "status=\"429\""]), 1.0);
    assert_eq!(host.metric("simwright_faults_total", &["model=\"admin-failing\"", "kind=\"error\""]), 1.0);
    assert_eq!(host.metric("simwright_tokens_total", &[model, "direction=\"output\""]), 20.0);
    assert_eq!(host.metric("simwright_time_to_first_token_seconds_count", &[model]), 2.0);
    assert_eq!(host.metric("simwright_inter_token_latency_seconds_count", &[model]), 9.0);
    assert_eq!(host.metric("simwright_requests_running", &[model]), 0.0);
    assert!(host.metric("simwright_pacing_lateness_seconds_count", &[]) > lateness);
    assert!(host.metric("simwright_generations_alive", &[]) >= 1.0);
}

#[test]
fn a_refusal_that_no_fault_asked_for_is_no_fault() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(host.chat(&ask("admin-small", &"word ".repeat(100))).status, 400);
    let model = "model=\"admin-small\"";
    assert_eq!(host.metric("simwright_requests_total", &[model, "status=\"400\""]), 1.0);
    assert_eq!(host.metric("simwright_faults_total", &[model]), 0.0);
}

#[test]
fn a_page_that_rebinds_its_name_to_loopback_gets_nothing() {
    let host = TestHost::start(SCENARIO);
    let mut socket = client::open(host.admin);
    use std::io::{Read, Write};
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").expect("taken");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an answer");
    let reply = client::parse(&bytes);
    assert_eq!(reply.status, 421);
    assert!(!reply.text().contains("simwright_"));
}

#[test]
fn credentials_appear_in_no_metric() {
    let host = TestHost::start(SCENARIO);
    host.chat_with(&ask("admin-secret", "secret"), &[("authorization", "Bearer sk-canary-4711"), ("x-api-key", "canary-4712")]);
    let metrics = host.metrics();
    assert!(!metrics.contains("canary"), "{metrics}");
}
