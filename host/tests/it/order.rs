use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use simwright::random::{Key, Stream};

use super::support::client;
use super::support::host::{TestHost, ask};

/// Faults by rate, texts and delays by draws, tools and log probabilities: everything that a draw decides.
const SCENARIO: &str = "
simwright: 1
models:
  - match: m
    latency: { log-normal: { first: { p50: 1ms, p99: 3ms }, between: { p50: 100us, p99: 300us } } }
    faults:
      - http-error: { rate: 10%, status: 503, retry-after: 1s }
      - cut: { rate: 10%, at: 50%, how: close }
      - error-event: { rate: 10%, at: token 3 }
    reply: { text: { tokens: { p50: 12, p99: 30 } } }
";

const REQUESTS: usize = 300;

/// Request number `index`: its identity and its body. Some stream, some want tools or log probabilities, some share their content.
fn request(index: usize) -> (String, Value) {
    let mut body = ask("m", &format!("question {}", index % 100));
    if index.is_multiple_of(2) {
        body["stream"] = true.into();
    }
    match index % 5 {
        0 => {
            body["logprobs"] = true.into();
            body["n"] = 2.into();
        }
        1 => {
            let parameters = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
            body["tools"] = serde_json::json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
            body["tool_choice"] = "required".into();
        }
        _ => {}
    }
    (format!("request-{index}"), body)
}

/// Everything that one request got: the bytes of its answer without what a clock decides, and how it ended.
fn exchange(address: SocketAddr, index: usize) -> String {
    let (identity, body) = request(index);
    let headers = [("x-simwright-identity", identity.as_str())];
    let mut socket: TcpStream = client::open(address);
    socket.write_all(&client::request("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes())).expect("taken");
    let mut bytes = Vec::new();
    let ended = socket.read_to_end(&mut bytes).map_err(|error| error.kind());
    let reply = client::parse(&bytes);
    let of_the_clock = [
        "date",
        "openai-processing-ms",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    ];
    let headers: BTreeSet<_> = reply.headers.iter().filter(|(name, _)| !of_the_clock.contains(&name.as_str())).collect();
    format!("{} {headers:?} {} {:?} {}", reply.status, reply.complete, ended.map(drop), without_created(reply.text()))
}

/// `body` with every `"created":123` made the same.
fn without_created(body: &str) -> String {
    let mut parts = body.split("\"created\":");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "\"created\":" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A server in a process of its own. Dropping it ends it.
struct Process {
    child: Child,
    api: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = folder.path().join("scenario.yaml");
        std::fs::write(&scenario, SCENARIO).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_simwright"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "off", "--seed", "7"])
            .arg(scenario)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let api = line.split(' ').find_map(|word| word.strip_prefix("api=http://")).and_then(|address| address.parse().ok());
        Self { child, api: api.unwrap_or_else(|| panic!("not a ready line: {line:?}")), _folder: folder }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What each request gets from the server at `api`, sent in the order that `seed` draws by `clients` at a time.
fn run(api: SocketAddr, clients: usize, seed: u64) -> Vec<String> {
    let mut order: Vec<usize> = (0..REQUESTS).collect();
    shuffle(&mut order, &mut Key::of_seed(seed).stream());
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); REQUESTS]));
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = exchange(api, *index);
                    answers.lock().expect("nobody panicked")[*index] = answer;
                }
            });
        }
    });
    answers.into_inner().expect("nobody panicked")
}

fn shuffle(order: &mut [usize], draws: &mut Stream) {
    for last in (1..order.len()).rev() {
        order.swap(last, draws.below(last as u32 + 1) as usize);
    }
}

#[test]
fn what_a_request_gets_depends_neither_on_order_nor_on_company_nor_on_the_process() {
    let alone = run(TestHost::start(SCENARIO).api, 1, 1);
    let kinds = ["200 ", "503 ", "event", " false "].map(|kind| alone.iter().filter(|answer| answer.contains(kind)).count());
    assert!(kinds.iter().all(|count| *count >= 10), "the run should meet every kind of answer: {kinds:?}");
    let same = |clients: usize, answers: Vec<String>| {
        for (index, (first, again)) in alone.iter().zip(answers).enumerate() {
            assert_eq!(*first, again, "request {index} among {clients} at a time");
        }
    };
    // Each server has seen none of the requests before.
    same(64, run(TestHost::start(SCENARIO).api, 64, 2));
    same(1, run(Process::start().api, 1, 3));
    same(64, run(Process::start().api, 64, 4));
}
