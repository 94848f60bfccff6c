//! The real program: what its commands print, and how the server starts and ends as a process.
//!
//! `cli/*.trycmd` hold commands with their output and exit codes; `TRYCMD=overwrite` writes them anew. They run in `host/`.
#![allow(missing_docs, unreachable_pub, dead_code, reason = "nobody imports a test, and the client is shared with another one")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[path = "it/support/client.rs"]
mod client;
#[path = "it/support/guests.rs"]
mod guests;
#[path = "it/support/process.rs"]
mod process;
#[path = "it/support/readme.rs"]
mod readme;

const SCENARIO: &str = "
simwright: 1
defaults: { latency: { constant: { first: 1ms, between: 20ms } } }
models:
  - { match: short, reply: { text: { tokens: 20 } } }
  - { match: endless, reply: { text: { tokens: 100000 } }, max-output-tokens: 200000, context-window: 400000 }
";

#[test]
fn commands_print_what_their_transcripts_say() {
    // Help is wrapped at the terminal's width.
    trycmd::TestCases::new().case("tests/cli/*.trycmd").env("COLUMNS", "100").env("LC_ALL", "C.UTF-8");
}

/// A server in a process of its own. Dropping it ends it.
struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    api: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Process {
    fn start() -> Self {
        Self::start_with(SCENARIO, &[])
    }

    fn start_with(scenario_text: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = folder.path().join("scenario.yaml");
        std::fs::write(&scenario, scenario_text).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_simwright"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "off"])
            .arg(scenario)
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        let ["ready", api, admin] = words[..] else { panic!("not a ready line: {line:?}") };
        let address = |word: &str, name: &str| -> SocketAddr {
            let url = word.strip_prefix(name).unwrap_or_else(|| panic!("no {name} in {line:?}"));
            url.strip_prefix("http://")
                .and_then(|address| address.parse().ok())
                .unwrap_or_else(|| panic!("no address in {line:?}"))
        };
        let (api, admin) = (address(api, "api="), address(admin, "admin="));
        Self { child, stdout, api, admin, folder }
    }

    /// Begins a stream and returns once its first bytes are here.
    fn stream(&self, model: &str) -> (TcpStream, Vec<u8>) {
        let body = format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"x"}}]}}"#);
        let mut socket = client::open(self.api);
        socket.write_all(&client::request("POST", "/v1/chat/completions", &[], body.as_bytes())).expect("taken");
        let mut first = vec![0; 64];
        socket.read_exact(&mut first).expect("the stream begins");
        (socket, first)
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Waits for its end; gives the exit code and what it printed after the ready line.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_prints_one_line_and_finishes_its_streams_when_it_is_terminated() {
    let mut server = Process::start();
    let streams: Vec<_> = (0..4).map(|_| server.stream("short")).collect();
    server.terminate();
    for (mut socket, mut bytes) in streams {
        socket.read_to_end(&mut bytes).expect("the rest");
        let reply = client::parse(&bytes);
        assert!(reply.complete && reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    }
    assert_eq!(server.end(), (Some(0), String::new()));
}

#[test]
fn a_second_signal_ends_the_server_in_the_middle_of_its_streams() {
    let mut server = Process::start();
    let (mut socket, mut bytes) = server.stream("endless");
    server.terminate();
    // Signals of one kind that wait together are one: the second is sent when the first has been taken.
    while client::send(server.admin, "GET", "/readyz", &[], b"").status != 503 {}
    server.terminate();
    assert_eq!(server.end(), (Some(1), String::new()));
    let _ = socket.read_to_end(&mut bytes);
    assert!(!client::parse(&bytes).complete);
}

#[test]
fn a_taken_address_is_a_failure_that_names_the_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_simwright"))
        .args(["serve", "--listen", &address, "--admin", "127.0.0.1:0", "--log", "off"])
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains(&format!("`{address}`")) && said.contains("`--listen`"), "{said}");
}

#[test]
fn a_run_ends_with_its_verdict_and_a_broken_promise_has_an_exit_code_of_its_own() {
    let criteria = "criteria: [requests of short = 1, errors = 0, p50 ttft < BOUND]";
    for (criteria, code, last) in [
        (criteria.replace("BOUND", "1h"), 0, "all 3 criteria are kept"),
        (criteria.replace("BOUND", "0us"), 4, "1 of 3 criteria broken"),
    ] {
        let mut server = Process::start_with(&format!("{SCENARIO}{criteria}\n"), &["--report", "verdict.json"]);
        let (mut socket, mut bytes) = server.stream("short");
        socket.read_to_end(&mut bytes).expect("the rest");
        server.terminate();
        let (ended, said) = server.end();
        assert_eq!((ended, said.lines().last()), (Some(code), Some(last)), "{said}");
        assert_eq!(said.lines().count(), 4);
        let report = std::fs::read(server.folder.path().join("verdict.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
        assert_eq!((&report["kept"], &report["total"]["requests"]), (&(code == 0).into(), &1.into()));
    }
}

#[test]
fn a_server_with_a_time_to_live_ends_by_itself() {
    let mut server = Process::start_with(SCENARIO, &["--for", "1ms"]);
    assert_eq!(server.end(), (Some(0), String::new()));
}

#[test]
fn a_decision_log_of_a_process_is_replayed_by_another_one() {
    let faulty = SCENARIO.replace("match: short,", "match: short, faults: [{ http-error: { status: 429 } }],");
    let mut server = Process::start_with(&faulty, &["--decisions", "log.jsonl", "--seed", "7"]);
    for text in ["one", "two"] {
        let body = format!(r#"{{"model":"short","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        assert_eq!(client::send(server.api, "POST", "/v1/chat/completions", &[], body.as_bytes()).status, 429);
    }
    server.terminate();
    assert_eq!(server.end().0, Some(0));
    let replay = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simwright"));
        let output =
            command.args(["replay", "log.jsonl"]).args(arguments).current_dir(server.folder.path()).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(replay(&[]), (Some(0), "2 decisions: 2 the same, 0 otherwise\n".to_owned(), String::new()));
    let (code, said, _) = replay(&["--first-failure"]);
    assert!(code == Some(0) && said.contains("decided the same") && said.contains("http-error struck"), "{said}");
    std::fs::write(server.folder.path().join("scenario.yaml"), faulty.replace("429", "503")).expect("written");
    let (code, said, _) = replay(&["--all"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("note: ") && said.contains("outcome") && said.ends_with("2 decisions: 0 the same, 2 otherwise\n"),
        "{said}"
    );
    let (code, _, said) = replay(&["--id", "req_none"]);
    assert!(code == Some(1) && said.contains("`req_none`"), "{said}");
}

/// Runs the commands of the README in the folder `example`, in a copy of it: each must print the text that follows it, and end with the
/// exit code that `codes` has for it.
fn run_readme(example: &str, codes: &[i32]) {
    let copy = tempfile::tempdir().expect("a folder");
    let (from, to) = (guests::workspace().join(example), copy.path().join(example));
    std::fs::create_dir_all(&to).expect("made");
    for file in std::fs::read_dir(&from).expect("a folder").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
    let markdown = std::fs::read_to_string(from.join("README.md")).expect("a README");
    let blocks: Vec<_> =
        readme::blocks(&markdown).into_iter().filter(|block| matches!(&*block.language, "sh" | "text")).collect();
    assert_eq!(blocks.len(), 2 * codes.len(), "a command and its output for each exit code");
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_simwright")).parent().expect("a folder");
    let path = std::env::join_paths(
        [programs.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    for (pair, code) in blocks.chunks(2).zip(codes) {
        let [command, expected] = pair else { panic!("a command without its output") };
        let output = Command::new("sh")
            .args(["-c", &command.text])
            .current_dir(copy.path())
            .env("PATH", path.as_ref().expect("a path"))
            .output()
            .expect("sh runs");
        let place = format!("{example}/README.md:{}\n{}", command.line, String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected.text, "{place}");
        assert_eq!(output.status.code(), Some(*code), "{place}");
    }
}

#[test]
fn the_ci_job_passes_with_a_patient_client_and_fails_with_a_hasty_one() {
    run_readme("examples/ci", &[0, 4]);
}
