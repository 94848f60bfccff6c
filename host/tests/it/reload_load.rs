//! Two scenarios take turns under load: nothing is lost, nothing is mixed, nothing that was acknowledged is taken back.
//!
//! Requests leave at planned moments, however long the earlier ones take. Every answer is looked at as a whole: all that can be seen
//! in it must come from one scenario, and one generation must never show two.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::support::client::{self, Connection, Reply};
use super::support::cold::{close, open, unseen, waiting_in};
use super::support::guests::adversary;
use super::support::host::{TestHost, ask, ask_streamed, eventually, full, sooner_or_later};
use super::support::stream::{chunks, content};

/// One of the two scenarios: what can be seen of it.
struct Side {
    word: &'static str,
    tokens: usize,
    status: u16,
    component: &'static str,
    /// What the component says over and over.
    said: &'static str,
}

const SIDES: [Side; 2] = [
    Side { word: "alpha", tokens: 12, status: 429, component: "a.wasm", said: "word " },
    Side { word: "beta", tokens: 7, status: 503, component: "b.wasm", said: "verb " },
];

impl Side {
    fn scenario(&self) -> String {
        let Self { word, tokens, status, component, .. } = self;
        let text = vec![*word; *tokens].join(" ");
        let long = vec![*word; 40].join(" ");
        format!(
            "
simwright: 1
seed: {tokens}
plugins: {{ guest: {{ file: ./{component} }} }}
defaults:
  latency: {{ constant: {{ first: {status}us, between: {status}us }} }}
models:
  - {{ match: [turns, 'only-*'], list: [only-{word}], reply: {{ fixed: {{ text: {text} }} }} }}
  - match: turns-long
    latency: {{ constant: {{ first: 1ms, between: 10ms }} }}
    reply: {{ fixed: {{ text: {long} }} }}
  - {{ match: turns-failing, faults: [{{ http-error: {{ status: {status}, message: {word} }} }}] }}
  - {{ match: turns-plugin, reply: {{ guest: {{}} }} }}
"
        )
    }

    /// The side's component: the adversary with another word in it.
    fn build(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(adversary()).expect("a component");
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, "word ").collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at..at + 5].copy_from_slice(self.said.as_bytes()));
        bytes
    }
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Whole,
    Streamed,
    Long,
    Failing,
    Models,
    Plugin,
}

impl Kind {
    fn send(self, connection: &mut Connection, text: &str) -> Reply {
        let mut chat = |body: serde_json::Value| {
            connection.send("POST", "/v1/chat/completions", &[("x-adversary", "116")], body.to_string().as_bytes())
        };
        match self {
            Self::Whole => chat(ask("turns", text)),
            Self::Streamed => chat(ask_streamed("turns", text)),
            Self::Long => chat(ask_streamed("turns-long", text)),
            Self::Failing => chat(ask("turns-failing", text)),
            Self::Plugin => chat(ask("turns-plugin", text)),
            Self::Models => connection.send("GET", "/v1/models", &[], b""),
        }
    }

    /// Is all of `reply` what `side` gives?
    fn is_wholly(self, reply: &Reply, side: &Side) -> bool {
        let text = |count: usize| vec![side.word; count].join(" ");
        let said = || reply.json()["choices"][0]["message"]["content"].as_str().map(str::to_owned);
        match self {
            Self::Whole => reply.status == 200 && said() == Some(text(side.tokens)),
            Self::Streamed => reply.status == 200 && streamed(reply) == text(side.tokens),
            Self::Long => reply.status == 200 && streamed(reply) == text(40),
            Self::Failing => reply.status == side.status && reply.json()["error"]["message"] == side.word,
            Self::Models => reply.status == 200 && reply.json()["data"][0]["id"] == format!("only-{}", side.word),
            Self::Plugin => reply.status == 200 && said().is_some_and(|said| said.trim_end() == side.said.repeat(64).trim_end()),
        }
    }
}

/// The text of a stream whose chunks all carry one fingerprint.
fn streamed(reply: &Reply) -> String {
    let chunks = chunks(reply.text());
    assert!(chunks.iter().all(|chunk| chunk["system_fingerprint"] == chunks[0]["system_fingerprint"]), "{}", reply.text());
    content(&chunks, 0)
}

/// What all clients of one run share.
struct Run {
    host: TestHost,
    start: Instant,
    rate_per_s: u64,
    stop: AtomicBool,
    /// The newest generation that a reload has acknowledged.
    acknowledged: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    /// Which side each generation has shown.
    shown: Mutex<BTreeMap<u64, &'static str>>,
}

impl Run {
    /// Lets `clients` ask at planned moments, and `streams` one long stream after the other, of `host`, which runs generation `first`.
    fn begin(host: TestHost, first: u64, rate_per_s: u64, clients: usize, streams: usize) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let run = Arc::new(Self {
            host,
            start: Instant::now(),
            rate_per_s,
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(first),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            shown: Mutex::default(),
        });
        let client = |work: fn(&Self)| {
            let run = Arc::clone(&run);
            std::thread::spawn(move || work(&run))
        };
        let mut threads: Vec<_> = (0..clients).map(|_| client(Self::ask_on_time)).collect();
        threads.extend((0..streams).map(|_| client(Self::stream_on)));
        (run, threads)
    }

    /// Waits until `count` more requests have been answered, or a client has found a mistake.
    fn goes_on(&self, threads: &[JoinHandle<()>], count: u64) {
        let so_far = self.answered.load(Ordering::Acquire);
        eventually("requests are answered", || {
            threads.iter().any(JoinHandle::is_finished) || self.answered.load(Ordering::Acquire) >= so_far + count
        });
    }

    /// Ends the load. Nothing is unaccounted for: each request that left has come back and was judged.
    fn close(&self, threads: Vec<JoinHandle<()>>) {
        self.stop.store(true, Ordering::Release);
        for thread in threads {
            thread.join().expect("every answer is whole and of one scenario");
        }
        assert_eq!(self.sent.load(Ordering::Acquire), self.answered.load(Ordering::Acquire));
    }

    /// Makes one request and judges its answer; gives the generation that made it.
    fn request(&self, kind: Kind, connection: &mut Connection, text: &str) -> u64 {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let reply = kind.send(connection, text);
        let generation: u64 = reply.header("x-simwright-generation").and_then(|number| number.parse().ok()).expect("a number");
        let side = SIDES.iter().find(|side| kind.is_wholly(&reply, side));
        let side = side
            .unwrap_or_else(|| panic!("{kind:?} of generation {generation} is of neither: {} {}", reply.status, reply.text()));
        let shown = *self.shown.lock().expect("no panic").entry(generation).or_insert(side.word);
        assert_eq!(shown, side.word, "generation {generation} shows both, {kind:?}");
        assert!(generation >= acknowledged, "asked after {acknowledged} was acknowledged, answered by {generation}");
        self.answered.fetch_add(1, Ordering::AcqRel);
        generation
    }

    /// A client that asks at the planned moments that nobody else has taken.
    fn ask_on_time(&self) {
        const KINDS: [Kind; 5] = [Kind::Whole, Kind::Streamed, Kind::Failing, Kind::Models, Kind::Plugin];
        let mut connection = Connection::open(self.host.api);
        let mut last = 0;
        while !self.stop.load(Ordering::Acquire) {
            let number = self.sent.fetch_add(1, Ordering::AcqRel);
            let planned = self.start + Duration::from_nanos(number * 1_000_000_000 / self.rate_per_s);
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            let kind = KINDS[number as usize % KINDS.len()];
            let generation = self.request(kind, &mut connection, &format!("request {number}"));
            assert!(generation >= last, "{generation} after {last} on one connection");
            last = generation;
        }
    }

    /// A client with one long stream after the other, each of which sees several reloads.
    fn stream_on(&self) {
        let mut connection = Connection::open(self.host.api);
        while !self.stop.load(Ordering::Acquire) {
            self.sent.fetch_add(1, Ordering::AcqRel);
            self.request(Kind::Long, &mut connection, "long");
        }
    }
}

fn write_components(folder: &Path) {
    SIDES.iter().for_each(|side| std::fs::write(folder.join(side.component), side.build()).expect("written"));
}

#[test]
fn reloads_under_load_lose_nothing_mix_nothing_and_take_nothing_back() {
    let (reloads, rate_per_s, clients, streams, pause) =
        if full() { (1_000, 2_000, 64, 200, Duration::from_millis(200)) } else { (100, 300, 12, 8, Duration::ZERO) };
    let folder = tempfile::tempdir().expect("a folder");
    write_components(folder.path());
    let host = TestHost::start_in(folder, &SIDES[0].scenario(), None);
    // Both components are compiled before the load begins: how long that takes is not the question here.
    reload(&host, 1);
    let first = reload(&host, 0);
    let (run, threads) = Run::begin(host, first, rate_per_s, clients, streams);
    for round in 1..=reloads {
        // By both ways, so that each side comes by each.
        let generation = if round % 4 < 2 { reload(&run.host, round % 2) } else { put(&run.host, round % 2) };
        run.acknowledged.store(generation, Ordering::Release);
        std::thread::sleep(pause);
        run.goes_on(&threads, 5);
    }
    run.close(threads);
    let shown = run.shown.lock().expect("no panic");
    assert!(shown.len() > reloads / 2, "{} of {reloads} generations were seen at work", shown.len());
}

// R4: each reload brings a component that nobody has compiled. The compiler has done nothing yet while the old generation answers, and
// goes on answering; it switches when the new one is ready, and everything holds that holds for other reloads.
#[test]
fn components_that_nobody_has_compiled_come_under_load_and_no_request_waits_for_the_compiler() {
    let (rounds, clients, streams) = if full() { (50, 32, 50) } else { (4, 8, 4) };
    let (folder, gate) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    write_components(folder.path());
    std::fs::write(folder.path().join("scenario.yaml"), SIDES[0].scenario()).expect("written");
    open(&gate);
    let host = TestHost::start_with(folder, None, waiting_in(gate.path()));
    let (run, threads) = Run::begin(host, 1, 300, clients, streams);
    for round in 1..=rounds {
        let (side, name) = (&SIDES[round % 2], format!("cold{round}.wasm"));
        std::fs::write(run.host.scenario_file().with_file_name(&name), unseen(side.build())).expect("written");
        let text = side.scenario().replace(side.component, &name);
        close(&gate);
        let generation = std::thread::scope(|scope| {
            let changed = scope.spawn(|| put_text(&run.host, &text));
            let told = || client::send(run.host.admin, "GET", "/generations", &[], b"").json();
            sooner_or_later("it is compiled", || told()["compiling"][0].as_str().is_some_and(|one| one.starts_with("compiling")));
            run.goes_on(&threads, 100);
            assert!(!changed.is_finished() && told()["generations"][0]["number"] == round);
            open(&gate);
            changed.join().expect("an answer")
        });
        assert_eq!(generation, round as u64 + 1);
        run.acknowledged.store(generation, Ordering::Release);
        run.goes_on(&threads, 20);
    }
    run.close(threads);
    assert_eq!(run.shown.lock().expect("no panic").len(), rounds + 1, "every generation was seen at work");
}

/// Puts side `index` in place of the other by the admin door. Gives the generation.
fn put(host: &TestHost, index: usize) -> u64 {
    put_text(host, &SIDES[index].scenario())
}

fn put_text(host: &TestHost, text: &str) -> u64 {
    let reply = client::send_patiently(host.admin, "PUT", "/scenario", &[("content-type", "text/yaml")], text.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["generation"].as_u64().expect("a number")
}

/// The same as an editor would, with a reload. Gives the generation.
fn reload(host: &TestHost, index: usize) -> u64 {
    let (file, new) = (host.scenario_file(), host.scenario_file().with_extension("new"));
    std::fs::write(&new, SIDES[index].scenario()).expect("written");
    std::fs::rename(&new, &file).expect("renamed");
    host.app().reload().expect("a good scenario")
}
