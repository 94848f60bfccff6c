use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::support::bystander::{beside_a_bystander, p99};
use super::super::support::client::{self, Connection};
use super::super::support::guests::adversary;
use super::super::support::host::{TestHost, ask, eventually, full};
use super::super::support::process::Server;
use super::{scenario, serve, status};

/// Lets `clients` clients share `requests` requests, by number.
fn share(clients: u64, requests: u64, send: impl Fn(&mut Connection, u64) + Sync, host: &TestHost) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut connection = Connection::open(host.api);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    send(&mut connection, number);
                }
            });
        }
    });
}

// P1: both workers go on, because no loop stays on one: the first one that is slow is the last one there.
#[test]
fn loops_on_every_worker_leave_the_workers_to_the_others() {
    let host = serve(&["live-loops"]);
    let loops = if full() { 200 } else { 16 };
    let took = beside_a_bystander(&host, || {
        share(
            16,
            loops,
            |connection, _| {
                let body = ask("live-loops", "x").to_string();
                let reply = connection.send("POST", "/v1/chat/completions", &[("x-adversary", "3")], body.as_bytes());
                assert_eq!(reply.status, 500, "{}", reply.text());
            },
            &host,
        );
    });
    if full() {
        let p99 = p99(took);
        assert!(p99 <= Duration::from_millis(50), "the bystander's p99 is {p99:?}");
    }
    assert_eq!(host.metric("simwright_requests_running", &["model=\"live-loops\""]), 0.0);
}

// P4: every call that does not trap succeeds, and one in a hundred opens no breaker.
#[test]
fn one_call_in_a_hundred_traps_and_all_others_are_answered() {
    let host = serve(&["live-traps"]);
    let requests = if full() { 100_000 } else { 2_500 };
    beside_a_bystander(&host, || {
        share(
            4,
            requests,
            |connection, number| {
                let traps = number % 100 == 99;
                let body = ask("live-traps", &number.to_string()).to_string();
                let deed = if traps { "6" } else { "0" };
                let reply = connection.send("POST", "/v1/chat/completions", &[("x-adversary", deed)], body.as_bytes());
                assert_eq!(reply.status, if traps { 500 } else { 200 }, "request {number}: {}", reply.text());
            },
            &host,
        );
    });
    let failures = |cause: &str| host.metric("simwright_plugin_failures_total", &["plugin=\"live-traps\"", cause]);
    assert_eq!((failures("cause=\"trap\""), failures("cause=\"breaker\"")), (requests as f64 / 100.0, 0.0));
}

// P11: clients reset their connection at any moment of a call that takes some milliseconds. The call ends for itself, nobody is told
// its answer, and nothing of it is left.
#[test]
fn clients_that_leave_within_a_call_leave_nothing_behind() {
    let host = serve(&["live-left"]);
    let leaving = if full() { 100_000_u64 } else { 160 };
    beside_a_bystander(&host, || {
        std::thread::scope(|scope| {
            for client in 0..8_u64 {
                let host = &host;
                scope.spawn(move || {
                    for number in 0..leaving / 8 {
                        let mut socket = client::open(host.api);
                        let body = ask("live-left", "x").to_string();
                        let headers = [("x-adversary", "14")];
                        socket
                            .write_all(&client::request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
                            .expect("taken");
                        // Spread over the 20 ms that a call may take, by a step that meets every moment.
                        std::thread::sleep(Duration::from_micros((number * 7_919 + client * 2_503) % 20_000));
                        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("reset at the end");
                    }
                });
            }
        });
    });
    eventually("no request runs", || host.metric("simwright_requests_running", &["model=\"live-left\""]) == 0.0);
    eventually("no request waits", || host.metric("simwright_slow_lane_waiting", &[]) == 0.0);
    for _ in 0..if full() { 100_000 } else { 100 } {
        assert_eq!(status(&host, "live-left", "0"), 200);
    }
    // One for each of two workers, and spares: those that are made at the start and those that came back.
    eventually("no instance is lost", || {
        let ready = host.metric("simwright_plugin_instances_ready", &["plugin=\"live-left\""]);
        (2.0..=8.0).contains(&ready)
    });
}

// P2: a thousand calls that eat all they can get, many at once, in a server that has half a GiB: what a call ate is given back when it
// ends. A cgroup of that size would end the process where this test looks at its greatest size.
#[test]
fn calls_that_eat_memory_never_fill_the_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    // The first touch of memory is slow on some machines, and time is not what this is about.
    let text = scenario(&["live-eats"], &adversary().display().to_string()).replace(".wasm }", ".wasm, time: 400ms }");
    std::fs::write(&file, text).expect("written");
    let server = Server::start(&file);
    let calls = if full() { 1_000 } else { 64 };
    std::thread::scope(|scope| {
        for client in 0..32 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..calls / 32 {
                    let body = ask("live-eats", &format!("{client} {number}")).to_string();
                    let deed = if number % 4 == 3 { "12" } else { "4" };
                    let reply =
                        client::send(server.api, "POST", "/v1/chat/completions", &[("x-adversary", deed)], body.as_bytes());
                    // The breaker refuses most of them, as it should; then nothing is eaten.
                    assert!([200, 500].contains(&reply.status), "{}", reply.text());
                }
            });
        }
    });
    assert!(server.kib("VmHWM") < 512 * 1024, "it once had {} KiB", server.kib("VmHWM"));
    let body = ask("bystander", "after").to_string();
    assert_eq!(client::send(server.api, "POST", "/v1/chat/completions", &[], body.as_bytes()).status, 200);
}
