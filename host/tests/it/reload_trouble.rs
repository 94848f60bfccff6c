//! Reloads beside trouble: a compiler that takes its time, plugins that loop, many writers, a server that starts or ends. Nothing waits
//! that need not.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use simwright::app::{App, ServeOptions};
use simwright::wasm::{ChildCompiler, Compiler};
use tempfile::TempDir;

use super::support::client::{self, Reply};
use super::support::cold::{self, open, waiting_in};
use super::support::guests::adversary;
use super::support::host::{TestHost, ask, ask_streamed, eventually, full, sooner_or_later};

fn scenario(word: &str) -> String {
    format!(
        "simwright: 1\nmodels:\n  - {{ match: said, latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: {word} }} }} }}\n"
    )
}

fn with_guest(word: &str, file: &str) -> String {
    format!("{}plugins: {{ guest: {{ file: ./{file} }} }}\n", scenario(word))
}

fn unseen() -> Vec<u8> {
    cold::unseen(std::fs::read(adversary()).expect("a component"))
}

/// A server whose compiler waits, and the folder in which it looks for its file.
fn host_that_waits(text: &str) -> (TestHost, TempDir) {
    let (folder, gate) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("scenario.yaml"), text).expect("written");
    let compiler = waiting_in(gate.path());
    (TestHost::start_with(folder, Some(7), compiler), gate)
}

fn put_scenario(host: &TestHost, text: &str) -> Reply {
    client::send(host.admin, "PUT", "/scenario", &[("content-type", "text/yaml")], text.as_bytes())
}

fn said(host: &TestHost) -> String {
    host.chat(&ask("said", "x")).json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
}

fn is_compiling(host: &TestHost) -> bool {
    let told = client::send(host.admin, "GET", "/generations", &[], b"").json();
    told["compiling"].as_array().expect("a list").iter().any(|one| {
        let one = one.as_str().expect("a text");
        one.starts_with("compiling `guest`, ") && one.ends_with(" s so far, limit 300 s")
    })
}

#[test]
fn a_change_that_waits_for_the_compiler_holds_nobody_up() {
    let (host, gate) = host_that_waits(&scenario("one"));
    std::fs::write(host.scenario_file().with_file_name("cold.wasm"), unseen()).expect("written");
    let (text, headers) = (with_guest("cold", "cold.wasm"), [("content-type", "text/yaml")]);
    std::thread::scope(|scope| {
        let cold = scope.spawn(|| client::send_patiently(host.admin, "PUT", "/scenario", &headers, text.as_bytes()));
        sooner_or_later("it is compiled", || is_compiling(&host));
        // The old generation answers, the door answers, and a change that needs no compiler passes.
        assert_eq!(said(&host), "one");
        assert_eq!(put_scenario(&host, &scenario("two")).json()["generation"], 2);
        assert_eq!(said(&host), "two");
        assert!(is_compiling(&host) && !cold.is_finished());
        open(&gate);
        let cold = cold.join().expect("an answer");
        assert_eq!((cold.status, &cold.json()["generation"]), (200, &json!(3)), "{}", cold.text());
    });
    assert_eq!(said(&host), "cold");
}

#[test]
fn of_two_saves_the_newer_counts_and_nothing_is_compiled_for_the_older() {
    let (host, gate) = host_that_waits(&scenario("one"));
    std::fs::write(host.scenario_file().with_file_name("cold.wasm"), unseen()).expect("written");
    std::fs::write(host.scenario_file(), with_guest("cold", "cold.wasm")).expect("written");
    sooner_or_later("the first is compiled", || is_compiling(&host));
    std::fs::write(host.scenario_file(), scenario("two")).expect("written");
    eventually("the second answers", || said(&host) == "two");
    // The compiler still waits for its sign, so it can only have been ended.
    eventually("the compiler is ended", || !is_compiling(&host));
    assert_eq!(host.app().generation(), 2);
    // Nothing is broken by that: what is wanted again is compiled again.
    open(&gate);
    std::fs::write(host.scenario_file(), with_guest("cold", "cold.wasm")).expect("written");
    sooner_or_later("it answers after all", || said(&host) == "cold");
}

#[test]
fn what_the_newer_of_two_saves_needs_too_is_compiled_once() {
    let (folder, gate) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("scenario.yaml"), scenario("one")).expect("written");
    let Compiler::Child(compiler) = waiting_in(gate.path()) else { panic!("a child compiles") };
    // Each compiler says that it has begun.
    let begun = gate.path().join("begun");
    let script = format!("echo >> '{}'; {}", begun.display(), compiler.arguments[1].to_str().expect("text"));
    let arguments = vec!["-c".into(), script.into(), "sh".into()];
    let host = TestHost::start_with(folder, Some(7), Compiler::Child(ChildCompiler { arguments, ..compiler }));
    std::fs::write(host.scenario_file().with_file_name("cold.wasm"), unseen()).expect("written");
    std::fs::write(host.scenario_file(), with_guest("first", "cold.wasm")).expect("written");
    sooner_or_later("the first is compiled", || begun.exists());
    std::fs::write(host.scenario_file(), with_guest("second", "cold.wasm")).expect("written");
    let waiting = || client::send(host.admin, "GET", "/generations", &[], b"").json()["compiling"].as_array().map_or(0, Vec::len);
    sooner_or_later("the second waits for the same", || waiting() == 2);
    open(&gate);
    sooner_or_later("the second answers", || said(&host) == "second");
    assert_eq!(host.app().generation(), 2, "the first never did");
    assert_eq!(std::fs::read_to_string(begun).expect("readable").lines().count(), 1);
}

#[test]
fn a_saved_file_keeps_its_effect_when_its_look_is_outdated() {
    let (host, gate) = host_that_waits(&scenario("one"));
    let beside = |name: &str| host.scenario_file().with_file_name(name);
    std::fs::write(beside("more.yaml"), "simwright: 1\nseed: 1\n").expect("written");
    assert_eq!(put_scenario(&host, &format!("include: ./more.yaml\n{}", scenario("sent"))).status, 200);
    assert_eq!(said(&host), "sent");
    // The text that was sent lasts until the scenario's file is saved. That look waits for the compiler when another file is saved.
    std::fs::write(beside("cold.wasm"), unseen()).expect("written");
    std::fs::write(host.scenario_file(), with_guest("cold", "cold.wasm")).expect("written");
    sooner_or_later("the first is compiled", || is_compiling(&host));
    std::fs::write(beside("more.yaml"), "simwright: 1\nseed: 2\n").expect("written");
    let under_way =
        || client::send(host.admin, "GET", "/generations", &[], b"").json()["compiling"].as_array().map_or(0, Vec::len);
    eventually("the second look is under way", || under_way() == 2 || host.app().generation() > 2);
    open(&gate);
    sooner_or_later("what was saved first answers", || said(&host) == "cold");
}

#[test]
fn a_server_says_what_its_start_waits_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, with_guest("one", "cold.wasm")).expect("written");
    std::fs::write(folder.path().join("cold.wasm"), unseen()).expect("written");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let admin = TcpListener::bind(any).and_then(|listener| listener.local_addr()).expect("an address");
    let options = ServeOptions {
        scenario: Some(file),
        listen: any,
        admin,
        seed: None,
        workers: Some(1),
        compiler: waiting_in(gate.path()),
        watch_plugins: None,
        decisions: None,
        slowness: 1,
    };
    let starting = std::thread::spawn(move || App::start(options).unwrap_or_else(|error| panic!("{error}")));
    eventually("the admin door is open", || std::net::TcpStream::connect(admin).is_ok());
    let get = |path: &str| client::send(admin, "GET", path, &[], b"");
    sooner_or_later("it says what it waits for", || get("/readyz").text().starts_with("not ready: compiling `guest`, "));
    assert_eq!((get("/readyz").status, get("/healthz").status, get("/metrics").status), (503, 200, 200));
    assert!(get("/scenario").status == 503 && get("/scenario").text().contains("compiling `guest`"));
    open(&gate);
    let app = starting.join().expect("started");
    assert_eq!((get("/readyz").status, get("/scenario").status), (200, 200));
    app.stop(Duration::from_secs(1));
}

#[test]
fn a_server_that_ends_waits_for_no_compiler() {
    let (host, gate) = host_that_waits(&scenario("one"));
    std::fs::write(host.scenario_file().with_file_name("cold.wasm"), unseen()).expect("written");
    std::fs::write(host.scenario_file(), with_guest("cold", "cold.wasm")).expect("written");
    sooner_or_later("it is compiled", || is_compiling(&host));
    // The compiler still waits for its sign when this returns.
    assert!(host.into_app().stop(Duration::from_secs(1)) && !gate.path().join("go").exists());
}

#[test]
fn a_server_that_drains_refuses_changes_and_says_why() {
    let slow = scenario("'a b c d e f g h'").replace("constant: {}", "constant: { first: 1ms, between: 150ms }");
    let host = TestHost::start(&slow);
    let (api, admin) = (host.api, host.admin);
    let stream = std::thread::spawn(move || {
        client::send(api, "POST", "/v1/chat/completions", &[], ask_streamed("said", "x").to_string().as_bytes())
    });
    let generations = || client::send(admin, "GET", "/generations", &[], b"").json();
    eventually("the stream runs", || generations()["generations"][0]["streams"] == 1);
    let app = host.into_app();
    let stopping = std::thread::spawn(move || app.stop(Duration::from_secs(10)));
    eventually("it drains", || client::send(admin, "GET", "/readyz", &[], b"").status == 503);
    let refused = client::send(admin, "PUT", "/scenario", &[("content-type", "text/yaml")], scenario("two").as_bytes());
    assert!(refused.status == 503 && refused.text().contains("is stopping"), "{}", refused.text());
    assert!(stream.join().expect("an answer").complete);
    assert!(stopping.join().expect("it ends"), "every stream came to its end");
}

#[test]
fn many_writers_lose_no_update() {
    let rounds = if full() { 100 } else { 10 };
    let host = TestHost::start(&format!("seed: 0\n{}", scenario("one")));
    let (written, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let numbers = std::sync::Mutex::new(Vec::new());
    let write = || {
        for _ in 0..rounds {
            let read = client::send(host.admin, "GET", "/scenario", &[], b"");
            let (first, rest) = read.text().split_once('\n').expect("lines");
            let seed: u64 = first.trim_start_matches("seed: ").parse().expect("a number");
            let text = format!("seed: {}\n{rest}", seed + 1);
            let tag = read.header("etag").expect("a tag").to_owned();
            let headers = [("content-type", "text/yaml"), ("if-match", tag.as_str())];
            let reply = client::send(host.admin, "PUT", "/scenario", &headers, text.as_bytes());
            match reply.status {
                200 => {
                    written.fetch_add(1, Ordering::AcqRel);
                    numbers.lock().expect("no panic").push(reply.json()["generation"].as_u64().expect("a number"));
                }
                412 => drop(refused.fetch_add(1, Ordering::AcqRel)),
                other => panic!("{other}: {}", reply.text()),
            }
        }
    };
    std::thread::scope(|scope| (0..10).for_each(|_| drop(scope.spawn(write))));
    let written = written.load(Ordering::Acquire);
    assert_eq!(written + refused.load(Ordering::Acquire), 10 * rounds);
    let text = client::send(host.admin, "GET", "/scenario", &[], b"").text().to_owned();
    assert!(text.starts_with(&format!("seed: {written}\n")), "{written} were written: {text}");
    let mut numbers = numbers.into_inner().expect("no panic");
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=written as u64 + 1).collect::<Vec<_>>(), "without gaps");
}

#[test]
fn reloads_go_on_beside_plugins_that_loop() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(adversary(), folder.path().join("guest.wasm")).expect("copied");
    let text = |word: &str| {
        let looping = "  - { match: loops, latency: { constant: {} }, faults: [{ guest: {} }] }\nplugins: { guest: { file: ./guest.wasm } }\n";
        format!("{}{looping}", scenario(word))
    };
    let host = TestHost::start_in(folder, &text("start"), Some(7));
    let (stop, loops) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..16 {
            let (host, stop, loops) = (&host, &stop, &loops);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Acquire) {
                    number += 1;
                    let reply = host.chat_with(&ask("loops", &format!("{client} {number}")), &[("x-adversary", "3")]);
                    assert!(matches!(reply.status, 500 | 503), "{}", reply.text());
                    loops.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        for round in 2..=11 {
            let so_far = loops.load(Ordering::Acquire);
            let word = format!("word{round}");
            assert_eq!(put_scenario(&host, &text(&word)).json()["generation"], round);
            assert_eq!(said(&host), word);
            eventually("plugins loop meanwhile", || loops.load(Ordering::Acquire) > so_far);
        }
        stop.store(true, Ordering::Release);
    });
    let plugins = client::send(host.admin, "GET", "/plugins", &[], b"").json();
    assert!(plugins["plugins"][0]["faults"].as_u64() >= Some(10), "{plugins}");
}
