//! The real side: the traffic's attempts over sockets, a thread and a connection each, against the clock.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simwright::clock::Nanos;
use simwright::fleet::identity_of;
use simwright::station::Cause;
use simwright::workload::{Answer, Ask, Prompt, Traffic, Workload};

use super::host::TestHost;
use super::{LATE, Seen, client, refused};

/// How a whole stream ends on the wire.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The real clock of one run.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    slowness: u32,
}

impl Begun {
    fn now(self) -> Nanos {
        self.at.elapsed().as_nanos() as Nanos / Nanos::from(self.slowness)
    }

    /// From now to `at`, as the machine sleeps.
    fn until(self, at: Nanos) -> Duration {
        Duration::from_nanos(at.saturating_sub(self.now())) * self.slowness
    }
}

/// One attempt over a socket.
struct Attempt {
    ask: Ask,
    begun: Begun,
    socket: TcpStream,
    request: Vec<u8>,
    deadline: Option<Nanos>,
}

impl Attempt {
    /// Sends it and reads what comes, until the end or the deadline.
    fn make(&self) -> (Seen, Answer) {
        let mut socket = &self.socket;
        socket.write_all(&self.request).expect("the request is taken");
        if let Some(deadline) = self.deadline {
            hang_up(socket, self.begun, deadline);
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

/// Plays `workload` over sockets against `host`, which is `slowness` times slower than real time; and says what was late, if anything was.
pub(super) fn live(host: &TestHost, slowness: u32, workload: &Workload, seed: u64, name: &str) -> (Vec<Seen>, Option<String>) {
    let late_before = late_tokens(host);
    let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watching = std::thread::spawn({
        let (stop, longest) = (Arc::clone(&stop), Arc::clone(&longest));
        move || witness(stop, longest)
    });
    let seen = drive(host, slowness, workload, seed, name);
    stop.store(true, Ordering::Relaxed);
    watching.join().expect("the witness");
    let asleep = longest.load(Ordering::Relaxed) / u64::from(slowness);
    let late = late_tokens(host) - late_before;
    let told = format!("the witness was late by {} us, and {late} tokens by more than {} us", asleep / 1_000, LATE / 1_000);
    (seen, (asleep > LATE || late > 0.0).then_some(told))
}

/// Waits until the server's clock shows a whole second: what it does in intervals then falls on the same times of the run as in virtual time.
fn wait_for_a_whole_second(host: &TestHost, slowness: u32) {
    const SECOND: Nanos = 1_000_000_000;
    let next = (host.app().now() / SECOND + 1) * SECOND;
    while let Some(left) = next.checked_sub(host.app().now()).filter(|left| *left > 0) {
        // The last millisecond is not slept, because sleepers wake up late.
        if left > 1_000_000 {
            std::thread::sleep(Duration::from_nanos(left - 1_000_000) * slowness);
        }
    }
}

fn drive(host: &TestHost, slowness: u32, workload: &Workload, seed: u64, name: &str) -> Vec<Seen> {
    let api = host.api;
    let mut traffic = Traffic::begin(workload, seed).expect("a workload");
    // Connections are there before anybody asks, as those of a client's pool are. In a slow run the server would not wait so long for
    // the first request, and opening one takes little of it.
    let ahead = if slowness == 1 { 2 * workload.requests.unwrap_or(0) as usize } else { 0 };
    let mut sockets: Vec<TcpStream> = (0..ahead).map(|_| client::open(api)).collect();
    wait_for_a_whole_second(host, slowness);
    let begun = Begun { at: Instant::now(), slowness };
    let (sender, receiver) = channel();
    let (mut seen, mut under_way) = (Vec::new(), 0);
    loop {
        while let Some(ask) = traffic.next(begun.now()) {
            under_way += 1;
            let socket = sockets.pop().unwrap_or_else(|| client::open(api));
            depart(socket, begun, &traffic, ask, name, &sender);
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

fn depart(socket: TcpStream, begun: Begun, traffic: &Traffic, ask: Ask, name: &str, sender: &Sender<(Ask, Seen, Answer)>) {
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
        let attempt = Attempt { ask, begun, socket, request, deadline };
        let (seen, answer) = attempt.make();
        // Nobody listens any more if the test has failed.
        let _ = sender.send((attempt.ask, seen, answer));
    });
}
