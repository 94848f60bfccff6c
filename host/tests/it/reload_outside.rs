//! Reloads seen from outside, by a server in a process of its own: what they leave in memory, what a full disk does to them, and
//! what becomes of the server's memory while a component is far too much for the compiler.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use super::compiler::bomb;
use super::support::client::{self, Reply};
use super::support::cold::unseen;
use super::support::guests::adversary;
use super::support::host::{ask, eventually, full, sooner_or_later};
use super::support::process::{Server, kib};

fn scenario(word: &str, plugins: &str) -> String {
    format!(
        "simwright: 1\nmodels:\n  - {{ match: said, latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: {word} }} }} }}\n{plugins}"
    )
}

/// More than the memory that the adversary begins with, and less than its compiled code.
const FILE_BYTES: u64 = 256 * 1024;

/// A folder with a scenario and the adversary as `guest.wasm`.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(adversary(), folder.path().join("guest.wasm")).expect("copied");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario("one", "")).expect("written");
    (folder, file)
}

fn put(server: &Server, text: &str) -> Reply {
    client::send_patiently(server.admin, "PUT", "/scenario", &[("content-type", "text/yaml")], text.as_bytes())
}

fn said(server: &Server) -> String {
    let body = ask("said", "x").to_string();
    let reply = client::send(server.api, "POST", "/v1/chat/completions", &[], body.as_bytes());
    reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
}

/// What the allocator may have taken by then: it went up in steps by up to 10 MiB within 6,000 reloads, and stayed there for the next 6,000.
/// A leak of 2 KiB a reload is 20 MiB in the full size.
const STEPS_KIB: u64 = 16 * 1024;

// R1, and the list "Measure first" of the plugin host: reloads leave nothing behind. Each changes the scenario, the plugin's options and
// so its instances, and is used before the next one.
#[test]
fn thousands_of_reloads_leave_the_memory_as_it_was() {
    let (_folder, file) = folder();
    let server = Server::start(&file);
    let plugins =
        "  - { match: loops, latency: { constant: {} }, faults: [{ guest: {} }] }\nplugins: { guest: { file: ./guest.wasm } }\n";
    let reload = |round: usize| {
        let word = format!("word{round}");
        let reply = put(&server, &scenario(&word, if round % 4 == 3 { "" } else { plugins }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(said(&server), word);
    };
    let (warm, rounds) = if full() { (1_000, 10_000) } else { (200, 400) };
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.child.id())).expect("it runs").count();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).expect("it runs").count();
    // Memory goes up and down by some MiB as instances come and go, so the most of the warm-up is compared with the least of the end.
    let resident = |round: usize| {
        reload(round);
        server.kib("VmRSS")
    };
    let before = (0..warm).map(resident).max().expect("rounds");
    let (files_before, threads_before) = (files(), threads());
    (warm..warm + rounds * 9 / 10).for_each(reload);
    let after = (warm + rounds * 9 / 10..warm + rounds).map(resident).min().expect("rounds");
    assert!(after <= before + STEPS_KIB, "{before} KiB at most before, {after} KiB at least after {rounds} reloads");
    // Connections that have just ended, and threads that have just been idle, may still be there.
    assert!(files() <= files_before + 4, "{files_before} files before, {} after", files());
    assert!(threads() <= threads_before + 4, "{threads_before} threads before, {} after", threads());
}

// R8: what cannot be written is only not kept for the next start. A limit on the size of files stands for a disk that is full: compiled
// code does not fit, while what instances begin with does, which lies in files without a disk.
#[test]
fn a_disk_that_is_full_stops_no_reload() {
    let (folder, file) = folder();
    let cache = tempfile::tempdir().expect("a folder");
    // A shell that does not mind the signal, so that the program meets the error.
    let script = format!("trap '' XFSZ; exec '{}' serve \"$@\"", env!("CARGO_BIN_EXE_simwright"));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, "sh"]).arg(&file).env("XDG_CACHE_HOME", cache.path());
    let server = Server::start_by(command);
    let pid = Pid::from_child(&server.child);
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: Some(FILE_BYTES), maximum: Some(FILE_BYTES) }).expect("a limit");
    for round in 0..3 {
        let (word, name) = (format!("word{round}"), format!("cold{round}.wasm"));
        std::fs::write(folder.path().join(&name), unseen(std::fs::read(adversary()).expect("a component"))).expect("written");
        let reply = put(&server, &scenario(&word, &format!("plugins: {{ guest: {{ file: ./{name} }} }}\n")));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(said(&server), word);
    }
    let kept = || std::fs::read_dir(cache.path().join("simwright")).expect("a folder").flatten().map(|entry| entry.file_name());
    assert_eq!(kept().collect::<Vec<_>>(), ["key"], "nothing was written, and nothing half");
}

// P15: whatever a component costs the compiler, it costs the server next to nothing, whether the compiler comes to its end or is ended.
#[test]
fn a_component_that_is_far_too_much_for_the_compiler_costs_the_server_no_memory() {
    let (folder, file) = folder();
    let bytes = unseen(bomb(1, 200_000));
    std::fs::write(folder.path().join("bomb.wasm"), &bytes).expect("written");
    let server = Server::start(&file);
    assert_eq!(put(&server, &scenario("before", "")).status, 200);
    let before = server.kib("VmHWM");
    std::fs::write(&file, scenario("two", "plugins: { guest: { file: ./bomb.wasm } }\n")).expect("written");
    let greatest = || server.children().into_iter().filter_map(|child| kib(child, "VmHWM")).max().unwrap_or(0);
    sooner_or_later("the compiler takes 200 MiB", || greatest() > 200 * 1024);
    assert_eq!(said(&server), "before");
    if full() {
        let refused = || client::send(server.admin, "GET", "/generations", &[], b"").json()["refusals"][0].is_object();
        let start = Instant::now();
        while !refused() {
            assert!(start.elapsed() < Duration::from_secs(320), "it never ends");
            assert_eq!(said(&server), "before");
        }
    } else {
        std::fs::write(&file, scenario("three", "")).expect("written");
        eventually("the newer scenario answers", || said(&server) == "three");
    }
    eventually("the compiler is gone", || server.children().is_empty());
    let after = server.kib("VmHWM");
    // The file itself is there, once as it was read and once on its way to the compiler.
    let file = bytes.len() as u64 / 1024 * 2;
    assert!(after <= before + file + 16 * 1024, "{before} KiB before, {after} KiB at most");
}
