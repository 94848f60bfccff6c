use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::support::client;
use super::support::host::{TestHost, ask_streamed, eventually};
use super::support::stream::chunks;

const SCENARIO: &str = "
simwright: 1
defaults: { latency: { constant: { first: 5ms, between: 5ms } } }
models:
  - match: short
    reply: { text: { tokens: 10 } }
  - match: endless
    latency: { constant: { first: 1ms, between: 20ms } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
  - match: late
    latency: { constant: { first: 600s, between: 1s } }
    reply: { text: { tokens: 10 } }
";

fn running(host: &TestHost, model: &str) -> f64 {
    host.metric("simwright_requests_running", &[&format!("model=\"{model}\"")])
}

#[test]
fn tokens_never_leave_early_and_the_last_one_does_not_drift() {
    let host = TestHost::start(SCENARIO);
    let start = Instant::now();
    let reply = host.chat(&ask_streamed("short", "x"));
    // First after 5 ms, nine gaps of 5 ms. An upper bound would judge the machine, not the pacer.
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
    assert_eq!(chunks(reply.text()).len(), 12);
}

#[test]
fn a_client_that_leaves_takes_its_stream_with_it() {
    let host = TestHost::start(SCENARIO);
    let cancelled = host.metric("simwright_requests_cancelled_total", &["model=\"endless\""]);
    let request = client::request("POST", "/v1/chat/completions", &[], ask_streamed("endless", "x").to_string().as_bytes());
    let mut sockets: Vec<_> = (0..20)
        .map(|_| {
            let mut socket = client::open(host.api);
            socket.write_all(&request).expect("taken");
            let mut first = [0; 64];
            socket.read_exact(&mut first).expect("the stream begins");
            socket
        })
        .collect();
    assert_eq!(running(&host, "endless"), 20.0);
    // Half of them close in order, half reset.
    for socket in sockets.drain(..10) {
        drop(socket);
    }
    for socket in sockets.drain(..) {
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("set");
        drop(socket);
    }
    eventually("all streams are gone", || running(&host, "endless") == 0.0);
    assert_eq!(host.metric("simwright_requests_cancelled_total", &["model=\"endless\""]) - cancelled, 20.0);
}

#[test]
fn a_client_that_leaves_before_the_first_byte_is_noticed_too() {
    let host = TestHost::start(SCENARIO);
    let request = client::request("POST", "/v1/chat/completions", &[], ask_streamed("late", "x").to_string().as_bytes());
    let mut socket = client::open(host.api);
    socket.write_all(&request).expect("taken");
    eventually("the request runs", || running(&host, "late") == 1.0);
    drop(socket);
    eventually("the request is gone", || running(&host, "late") == 0.0);
}

#[test]
fn a_draining_server_finishes_its_streams_and_takes_no_more() {
    let host = TestHost::start(&SCENARIO.replace("between: 5ms", "between: 30ms"));
    let api = host.api;
    let streams: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                client::send(api, "POST", "/v1/chat/completions", &[], ask_streamed("short", "x").to_string().as_bytes())
            })
        })
        .collect();
    eventually("the streams run", || running(&host, "short") == 8.0);
    let app = host.into_app();
    assert!(app.stop(Duration::from_secs(20)), "some were cut off");
    for stream in streams {
        let reply = stream.join().expect("a reply");
        assert!(reply.complete);
        assert_eq!(chunks(reply.text()).len(), 12);
    }
    assert!(std::net::TcpStream::connect(api).is_err(), "it still listens");
}

#[test]
fn many_streams_at_once_all_end_well() {
    let host = Arc::new(TestHost::start(SCENARIO));
    let threads: Vec<_> = (0..32)
        .map(|number| {
            let host = Arc::clone(&host);
            std::thread::spawn(move || chunks(host.chat(&ask_streamed("short", &format!("number {number}"))).text()).len())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("a stream") == 12));
}
