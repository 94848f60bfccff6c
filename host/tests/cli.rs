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
    trycmd::TestCases::new().case("tests/cli/*.trycmd").env("COLUMNS", "100");
}

/// A server in a process of its own. Dropping it ends it.
struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    api: SocketAddr,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = folder.path().join("scenario.yaml");
        std::fs::write(&scenario, SCENARIO).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_simwright"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "off"])
            .arg(scenario)
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
        Self { child, stdout, api, admin, _folder: folder }
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
