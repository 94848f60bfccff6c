//! The two clocks agree: one scenario and one seed, over real sockets and in virtual time.
//!
//! The same [`Traffic`] asks twice. Once `fleet` answers, in virtual time. Once the real server does, over a connection for each attempt,
//! while this program looks at the clock. Every attempt must come in the same order, end in the same way and with as many tokens, and at
//! the same times within [`TOLERANCE`].
//!
//! A machine that is busy with something else proves nothing. So a run that differs is repeated if in it the server, or a witness that does
//! nothing but wake up, was late by more than [`LATE`]; and this is a program of its own, beside which no other test runs.
#![allow(missing_docs, unreachable_pub, dead_code, reason = "nobody imports a test, and the support is shared with others")]
#![allow(clippy::disallowed_methods, reason = "the real clock is what is compared")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::clock::Nanos;
use simwright::fleet::{Ended, Fate, Limits, Watch, identity_of};
use simwright::station::Cause;
use simwright::workload::{Answer, Ask, Prompt, Traffic, Workload};

#[path = "it/support/client.rs"]
mod client;
#[path = "it/support/host.rs"]
mod host;

use host::{TestHost, compiler};

/// How far the times of the two clocks may be apart.
const TOLERANCE: Nanos = 3_000_000;
/// A run that differs does not count if anything was later than this.
const LATE: Nanos = 1_000_000;
/// How long a request takes at most from its client to the server on a quiet machine, in a debug build.
const WAY: Nanos = 1_500_000;
/// So many runs are tried.
const TRIES: usize = 20;
/// And so many seeds.
const SEEDS: u64 = 1_000;

/// How a whole stream ends on the wire.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What became of one attempt, on either clock.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    number: u64,
    attempt: u32,
    arrival: Nanos,
    first_token: Option<Nanos>,
    end: Nanos,
    /// In words: `whole`, `refused 429`, `truncated`, `broken`, `abandoned`.
    fate: String,
    output_tokens: u32,
}

#[derive(Default)]
struct Virtual(Vec<Seen>);

impl Watch for Virtual {
    fn ended(&mut self, ended: &Ended) {
        let fate = match ended.fate {
            Fate::Whole => "whole".to_owned(),
            Fate::Refused(status, cause) => refused(status, cause.filter(|_| status >= 500).map(|cause| cause.name())),
            Fate::Truncated => "truncated".to_owned(),
            Fate::Broken | Fate::Lost => "broken".to_owned(),
            Fate::Abandoned => "abandoned".to_owned(),
        };
        let Ended { number, attempt, arrival, first_token, end, output_tokens, .. } = *ended;
        self.0.push(Seen { number, attempt, arrival, first_token, end, fate, output_tokens });
    }
}

fn refused(status: u16, cause: Option<&str>) -> String {
    format!("refused {status} {}", cause.unwrap_or_default()).trim_end().to_owned()
}

/// The real clock of one run.
#[derive(Clone, Copy)]
struct Begun(Instant);

impl Begun {
    fn now(self) -> Nanos {
        self.0.elapsed().as_nanos() as Nanos
    }

    /// From now to `at`.
    fn until(self, at: Nanos) -> Duration {
        Duration::from_nanos(at.saturating_sub(self.now()))
    }
}

/// One attempt over a socket.
struct Attempt {
    ask: Ask,
    begun: Begun,
    api: SocketAddr,
    request: Vec<u8>,
    deadline: Option<Nanos>,
}

impl Attempt {
    /// Sends it and reads what comes, until the end or the deadline.
    fn make(&self) -> (Seen, Answer) {
        let mut socket = client::open(self.api);
        socket.write_all(&self.request).expect("the request is taken");
        if let Some(deadline) = self.deadline {
            hang_up(&socket, self.begun, deadline);
        }
        let (mut bytes, mut buffer, mut first_token) = (Vec::new(), [0; 16 * 1024], None);
        // A reset is a way to end, too; what came before it counts.
        while let Ok(count @ 1..) = socket.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            if first_token.is_none() && bytes.windows(11).any(|window| window == b"\"content\":\"") {
                first_token = Some(self.begun.now());
            }
            if bytes.ends_with(LAST_CHUNK) {
                break;
            }
        }
        let end = self.begun.now();
        let is_whole = bytes.ends_with(LAST_CHUNK);
        let is_abandoned = !is_whole && self.deadline.is_some_and(|deadline| end >= deadline);
        let (fate, output_tokens, answer) = read(&bytes, is_abandoned);
        let Ask { number, attempt, at, .. } = self.ask;
        (Seen { number, attempt, arrival: at, first_token, end, fate, output_tokens }, answer)
    }
}

/// Hangs up at `deadline`. Timeouts of sockets are as coarse as the kernel's ticks, some milliseconds.
fn hang_up(socket: &TcpStream, begun: Begun, deadline: Nanos) {
    let socket = socket.try_clone().expect("another handle");
    std::thread::spawn(move || {
        std::thread::sleep(begun.until(deadline));
        // The server may have closed it long since.
        let _ = socket.shutdown(Shutdown::Both);
    });
}

/// What a client makes of the bytes that came.
fn read(bytes: &[u8], is_abandoned: bool) -> (String, u32, Answer) {
    let has_head = bytes.windows(4).any(|window| window == b"\r\n\r\n");
    let reply = has_head.then(|| client::parse(bytes));
    let body = reply.as_ref().map_or("", |reply| std::str::from_utf8(&reply.body).unwrap_or_default());
    let is_streamed = body.contains("data: ");
    let tokens = match &reply {
        Some(reply) if !is_streamed && reply.status == 200 && reply.complete => {
            reply.json()["usage"]["completion_tokens"].as_u64().expect("usage") as u32
        }
        // The first event says who speaks, with empty content.
        _ => body.matches("\"content\":\"").count() as u32 - body.matches("\"content\":\"\"").count() as u32,
    };
    let fate = |word: &str| (word.to_owned(), tokens, Answer::Broken);
    match reply {
        _ if is_abandoned => fate("abandoned"),
        Some(reply) if reply.status != 200 => {
            let wait = reply.header("retry-after-ms").and_then(|ms| ms.parse::<u64>().ok()).unwrap_or(0);
            let answer = Answer::Refused { status: reply.status, retry_after_ns: wait * 1_000_000 };
            let error: Value = reply.json();
            let is_cause = |code: &&str| Cause::ALL.iter().any(|cause| cause.name() == *code);
            let cause = error["error"]["code"].as_str().filter(is_cause);
            (refused(reply.status, cause), 0, answer)
        }
        Some(reply) if reply.complete && (!is_streamed || body.ends_with("data: [DONE]\n\n")) => {
            ("whole".to_owned(), tokens, Answer::Whole)
        }
        Some(_) if body.contains("\"error\"") => fate("broken"),
        Some(_) => fate("truncated"),
        None => fate("broken"),
    }
}

/// Wakes up every half millisecond, and keeps the longest time by which it was late.
fn witness(stop: Arc<AtomicBool>, longest: Arc<AtomicU64>) {
    const BEAT: Duration = Duration::from_micros(500);
    while !stop.load(Ordering::Relaxed) {
        let asleep = Instant::now();
        std::thread::sleep(BEAT);
        longest.fetch_max((asleep.elapsed() - BEAT).as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Tokens that the server sent later than [`LATE`], as it says itself.
fn late_tokens(host: &TestHost) -> f64 {
    let bound = format!("le=\"{}\"", LATE as f64 / 1e9);
    let all = host.metric("simwright_pacing_lateness_seconds_count", &[]);
    all - host.metric("simwright_pacing_lateness_seconds_bucket", &[&bound])
}

/// Plays `workload` over sockets against `host`; and says what was late, if anything was.
fn live(host: &TestHost, workload: &Workload, seed: u64, name: &str) -> (Vec<Seen>, Option<String>) {
    let late_before = late_tokens(host);
    let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watching = std::thread::spawn({
        let (stop, longest) = (Arc::clone(&stop), Arc::clone(&longest));
        move || witness(stop, longest)
    });
    let seen = drive(host.api, workload, seed, name);
    stop.store(true, Ordering::Relaxed);
    watching.join().expect("the witness");
    let (asleep, late) = (longest.load(Ordering::Relaxed), late_tokens(host) - late_before);
    let told = format!("the witness was late by {} us, and {late} tokens by more than {} us", asleep / 1_000, LATE / 1_000);
    (seen, (asleep > LATE || late > 0.0).then_some(told))
}

fn drive(api: SocketAddr, workload: &Workload, seed: u64, name: &str) -> Vec<Seen> {
    let mut traffic = Traffic::begin(workload, seed).expect("a workload");
    let begun = Begun(Instant::now());
    let (sender, receiver) = channel();
    let (mut seen, mut under_way) = (Vec::new(), 0);
    loop {
        while let Some(ask) = traffic.next(begun.now()) {
            under_way += 1;
            depart(api, begun, &traffic, ask, name, &sender);
        }
        let came = match traffic.next_at() {
            Some(at) => receiver.recv_timeout(begun.until(at)).ok(),
            None if under_way > 0 => Some(receiver.recv().expect("an answer")),
            None => break,
        };
        let Some((ask, one, answer)): Option<(Ask, Seen, Answer)> = came else { continue };
        under_way -= 1;
        traffic.ended(one.end, &ask, answer, || true);
        seen.push(one);
    }
    seen
}

fn depart(api: SocketAddr, begun: Begun, traffic: &Traffic, ask: Ask, name: &str, sender: &Sender<(Ask, Seen, Answer)>) {
    let class = &traffic.spec().classes[ask.class as usize];
    let Prompt::Text { text, .. } = &class.prompt else { panic!("the prompts of this test are literal") };
    let body = json!({"model": class.model, "messages": [{"role": "user", "content": &**text}], "stream": class.stream});
    let (identity, attempt) = (identity_of(name, Some(ask.number)), ask.attempt.to_string());
    let tenant = &traffic.spec().tenants[ask.tenant as usize];
    let headers = [
        ("x-simwright-identity", identity.as_str()),
        ("x-stainless-retry-count", attempt.as_str()),
        ("x-simwright-tenant", tenant.as_str()),
    ];
    let request = client::request("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes());
    let deadline = traffic.deadline(&ask);
    let sender = sender.clone();
    std::thread::spawn(move || {
        let attempt = Attempt { ask, begun, api, request, deadline };
        let (seen, answer) = attempt.make();
        // Nobody listens any more if the test has failed.
        let _ = sender.send((attempt.ask, seen, answer));
    });
}

/// Every attempt in the order of coming. Where two ends are close together their order is a matter of chance on a real clock.
fn in_order(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_by_key(|seen| (seen.arrival, seen.number, seen.attempt));
    seen
}

/// What differs, in words.
fn differences(planned: &[Seen], real: &[Seen]) -> Vec<String> {
    let apart = |a: Option<Nanos>, b: Option<Nanos>| match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) > TOLERANCE,
        (a, b) => a.is_some() != b.is_some(),
    };
    let mut found: Vec<String> = planned
        .iter()
        .zip(real)
        .filter(|(a, b)| {
            // A token may leave just before its client hangs up, or just after.
            let chance = u32::from(a.fate == "abandoned");
            let are_same = (a.number, a.attempt, &a.fate) == (b.number, b.attempt, &b.fate)
                && a.output_tokens.abs_diff(b.output_tokens) <= chance;
            let times = [(a.arrival, b.arrival), (a.end, b.end)];
            !are_same || times.iter().any(|(a, b)| apart(Some(*a), Some(*b))) || apart(a.first_token, b.first_token)
        })
        .map(|(a, b)| format!("virtual {a:?}\n   real {b:?}"))
        .collect();
    if planned.len() != real.len() {
        found.push(format!("{} attempts in virtual time, {} over sockets", planned.len(), real.len()));
    }
    found
}

/// A run in virtual time with the first seed in which everything happens that is wanted, and nothing so close together that chance would
/// order it over sockets.
fn plan(file: &Path, has_it_all: impl Fn(&[Seen]) -> bool) -> (u64, Simulation, Vec<Seen>) {
    for seed in 1..SEEDS {
        let (limits, compiler) = (Limits::default(), compiler());
        let scenario = file.to_owned();
        let options = SimulateOptions { scenario, seed: Some(seed), until: None, requests: None, trace: None, limits, compiler };
        let simulation = Simulation::prepare(options).unwrap_or_else(|error| panic!("{error}"));
        let mut planned = Virtual::default();
        let report = simulation.play(&mut planned).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.broken, Vec::<String>::new());
        let planned = in_order(planned.0);
        if has_it_all(&planned) && is_clear(&planned) {
            return (seed, simulation, planned);
        }
    }
    panic!("none of {SEEDS} seeds lets attempts come apart and everything happen");
}

/// Do attempts come apart, and does none end while another is on its way to the server?
fn is_clear(planned: &[Seen]) -> bool {
    let mut ends: Vec<Nanos> = planned.iter().map(|seen| seen.end).collect();
    ends.sort_unstable();
    let ends_between = |from, to| ends.partition_point(|end| *end <= to) > ends.partition_point(|end| *end <= from);
    planned.windows(2).all(|pair| pair[1].arrival - pair[0].arrival > TOLERANCE)
        && planned.iter().all(|seen| !ends_between(seen.arrival, seen.arrival + WAY))
}

/// Plays `scenario` on both clocks, with a seed with which it `has_it_all`.
fn agree(scenario: &str, has_it_all: impl Fn(&[Seen]) -> bool) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let (seed, simulation, planned) = plan(&file, has_it_all);
    let mut workload = simulation.workload.clone();
    // Whoever sends text need not know how long it is.
    workload.count_prompts(|_| 1);
    let mut late = Vec::new();
    while late.len() < TRIES {
        let host = TestHost::start_seeded(scenario, Some(seed));
        let (real, lateness) = live(&host, &workload, seed, &simulation.generation.scenario.name);
        let differences = differences(&planned, &in_order(real));
        if differences.is_empty() {
            return;
        }
        let first = differences[..differences.len().min(5)].join("\n");
        let told = format!("seed {seed}: {} of {} differ, first\n{first}", differences.len(), planned.len());
        late.push(format!("{}: {told}", lateness.unwrap_or_else(|| panic!("nothing was late, {told}"))));
    }
    panic!("this machine was too busy in every one of {TRIES} runs:\n{}", late.join("\n"));
}

/// How many of `seen` have such a fate.
fn count(seen: &[Seen], fate: &str) -> usize {
    seen.iter().filter(|seen| seen.fate.starts_with(fate)).count()
}

/// A long prompt is many words.
fn words(count: usize) -> String {
    vec!["word"; count].join(" ")
}

#[test]
fn replicas_quotas_and_retries_decide_alike_on_both_clocks() {
    let scenario = "
simwright: 1
tokens: exact
tiers:
  - { name: gold, tenants: [acme], priority: 1 }
  - { name: free, tenants: ['*'], requests: [8/s], concurrency: 3 }
stations:
  gpu:
    replicas:
      count: 2
      step: { base: 1.2ms, prefill-token: 3us, sequence: 60us, kv-token: 100ns }
      sequences: 2
      batch-tokens: 256
      kv-blocks: 4096
models:
  - match: llama
    context-window: 32768
    reply: { text: { tokens: 60 } }
    faults:
      - { when: { share: 10% }, http-error: { status: 503, retry-after: 200ms } }
      - { when: { stream: true, share: 10% }, cut: { at: 50% } }
    pipeline: [{ model: { through: gpu } }]
workload:
  arrivals: { gamma: { rate: 18, cv: 0.4 } }
  classes:
    - { name: short, model: llama, prompt: Are you there?, tenants: { acme: 1, globex: 2 } }
    - { name: long, model: llama, prompt: LONG, tenants: { acme: 1, globex: 2 } }
    - { name: whole, model: llama, prompt: Tell me all., stream: false }
  # What comes again when a quota says so comes together.
  client: { retries: 1, backoff: { first: 150ms }, obey-retry-after: false }
  requests: 60
";
    agree(&scenario.replace("LONG", &words(900)), |seen| {
        let fates = ["refused 429", "refused 503", "truncated", "whole"].map(|fate| count(seen, fate));
        fates[0] >= 5 && fates[1] >= 3 && fates[2] >= 2 && fates[3] >= 40
    });
}

#[test]
fn a_pipeline_with_every_kind_of_station_decides_alike_on_both_clocks() {
    let scenario = "
simwright: 1
tokens: exact
stations:
  lobby: { admission: { places: 1, queue: 1, wait: 20ms, fair: true } }
  database: { pool: { size: 2, wait: 30ms } }
  gather: { batcher: { size: 2, wait: 15ms } }
  answers: { cache: { levels: [{ entries: 3, latency: 1ms }, { ttl: 10s, latency: 6ms }] } }
  wan: { link: { latency: 5ms, bandwidth: 200kB, jitter: 4ms, loss: 5%, retransmit: 25ms } }
  guard: { breaker: { failures: 2, open: 200ms } }
  spare: { retry: { share: 50%, free: 1 } }
  gpu: { replicas: { step: { base: 1.2ms, sequence: 100us, prefill-token: 5us }, sequences: 2, kv-blocks: 4096, queue: 1 } }
models:
  - match: assistant
    context-window: 32768
    reply: { text: { tokens: 40 } }
    pipeline:
      - arrive: { through: wan }
      - enter: { takes: 24ms, through: lobby }
      - fork:
          branches:
            - profile: { takes: 12ms, through: database }
            - [{ embed: { takes: 9ms, through: gather } }, { rank: { takes: { log-normal: { first: { p50: 8ms, p99: 30ms } } } } }]
      - route:
          - when: { prompt-tokens: '>= 100' }
            stages: [{ compress: { takes: 20ms } }]
          - stages: []
      - lookup: { through: answers }
      - first-of:
          - [{ gate: { takes: 3ms, fails: 50%, guard: guard, retry: { times: 1, budget: spare } } }, { primary: { through: gpu, within: 150ms } }]
          - template: { takes: 2ms, text: We are busy. Please try again in a minute. }
      - log: { takes: 7ms, through: database, writes: true }
workload:
  arrivals: { gamma: { rate: 32, cv: 0.6 } }
  classes:
    - { name: one, model: assistant, prompt: What is the capital of France? }
    - { name: two, model: assistant, prompt: Who wrote Faust?, tenants: [acme, globex] }
    - { name: long, model: assistant, prompt: LONG }
    - { name: whole, model: assistant, prompt: Tell me all., stream: false, weight: 0.5 }
  client: { retries: 1, backoff: { first: 100ms } }
  requests: 45
";
    agree(&scenario.replace("LONG", &words(300)), |seen| {
        // Eleven words are the template's.
        let templates = seen.iter().filter(|seen| seen.output_tokens == 11).count();
        templates >= 2 && count(seen, "refused 503 queue-full") >= 2 && count(seen, "refused 503 queue-timeout") >= 1
    });
}

#[test]
fn plugins_and_clients_without_patience_decide_alike_on_both_clocks() {
    let scenario = "
simwright: 1
tokens: exact
stations: { desk: { pool: { size: 2 } } }
models:
  - match: m
    # It follows the hour, which is another one in virtual time; without depth it does not.
    latency: { brown-out: { depth: 0, first: 40ms, between: 3ms } }
    faults:
      - retry-storm: { per-request: 2 }
      - { when: { share: 20% }, http-error: { status: 503, retry-after: 90ms } }
      - { when: { share: 10% }, stall: { at: token 5, for: 60ms } }
    reply: { support-desk: { attentive: false, tokens: 24 } }
    pipeline: [{ model: { through: desk } }]
workload:
  arrivals: { gamma: { rate: 12, cv: 0.6 } }
  classes: [{ model: m, prompt: My parcel has not come. }]
  client: { retries: 1, timeout: 230ms, backoff: { first: 60ms } }
  requests: 50
";
    agree(scenario, |seen| {
        let fates = ["abandoned", "refused 503", "whole"].map(|fate| count(seen, fate));
        fates[0] >= 3 && fates[1] >= 5 && fates[2] >= 30
    });
}

#[test]
fn what_strikes_replies_among_stages_ends_alike_on_both_clocks() {
    let scenario = "
simwright: 1
tokens: exact
stations:
  desk: { pool: { size: 3 } }
  wan: { link: { latency: 2ms, loss: 30% } }
  gpu: { replicas: { step: { base: 1.5ms, sequence: 60us }, sequences: 4, kv-blocks: 4096 } }
models:
  - match: m
    context-window: 32768
    latency: { constant: { first: 30ms, between: 4ms } }
    reply: { text: { tokens: 20 } }
    rate-limits: { tokens: [40_000/min] }
    faults:
      - { when: { stream: true, share: 10% }, cut: { at: token 7 } }
      - { when: { share: 10% }, cut: { at: start } }
      - { when: { stream: true, share: 10% }, cut: { at: 70ms } }
      - { when: { share: 10% }, stall: { at: 70ms, for: 50ms } }
      - { when: { share: 10% }, error-event: { at: token 5 } }
      - { when: { share: 10% }, error-event: { at: 60ms } }
      - { when: { share: 10% }, hang: { for: 90ms } }
    pipeline:
      - arrive: { through: wan, retry: { times: 3 } }
      - check: { takes: { uniform: { first: { min: 2ms, max: 30ms } } }, within: 20ms, retry: { times: 2 } }
      - first-of:
          - large: { through: gpu, unless-waiting: 1 }
          - small: { through: desk, reply: true }
      - log: { takes: 40ms, fails: 10% }
workload:
  arrivals: { gamma: { rate: 16, cv: 0.4 } }
  classes:
    - { name: stream, model: m, prompt: Are you there?, weight: 2 }
    - { name: whole, model: m, prompt: Tell me all., stream: false }
  client: { retries: 0 }
  requests: 60
";
    agree(scenario, |seen| {
        let fates = ["truncated", "broken", "refused 500", "refused 500 stage-failed", "whole"].map(|fate| count(seen, fate));
        fates.iter().zip([4, 8, 3, 1, 20]).all(|(found, wanted)| *found >= wanted)
    });
}
