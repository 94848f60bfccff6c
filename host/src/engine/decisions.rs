//! The decision log: what was decided for each request and from which facts, one JSON object a line, so that one failing request can be
//! planned again (`simwright replay`).
//!
//! A worker hands a decision over and goes on; a thread of its own writes. If the thread falls behind, decisions are dropped and counted,
//! in a metric and in the closing line: a log never holds up a request. Headers that may carry a secret are left out. The first line says
//! what the run is, a line `generation` what answers from then on, the line `end` how much was written and dropped.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::dialect::Endpoint;
use crate::plan::Plan;
use crate::plan::decision::decision_of;
use crate::plan::generation::Generation;
use crate::plan::planner::Facts;
use crate::scenario::IncidentSet;
use crate::scenario::read::DEFAULT_FILE;
use crate::telemetry::metrics;
use crate::types::limits::{DECISION_BODY_BYTES_MAX, DECISIONS_BYTES_MAX, DECISIONS_WAITING_BYTES_MAX, DECISIONS_WAITING_MAX};
use crate::types::request::Request;

/// The version of the log's format: the field `simwright_decisions` of its first line.
pub const FORMAT: u64 = 1;

/// One decision as a worker hands it over.
pub struct Decided {
    /// What was asked; without one the log has no ids.
    pub endpoint: Option<&'static dyn Endpoint>,
    /// What was asked.
    pub request: Arc<Request>,
    /// What else the plan follows from.
    pub facts: Facts,
    /// What was decided.
    pub plan: Plan,
}

/// A log being written.
pub struct Decisions {
    queue: Sender<Message>,
    tally: Arc<Tally>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Decided(Box<Decided>),
    End,
}

/// What workers and the writer count together.
struct Tally {
    dropped: AtomicU64,
    /// Bytes of the bodies in the queue.
    waiting_bytes: AtomicUsize,
    exported: ::metrics::Counter,
}

impl Tally {
    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.exported.increment(1);
    }
}

impl Decisions {
    /// Begins a log in `file`, which only its owner may read; what it held is gone. `generation` answers first, and `epoch_unix_s` is
    /// when the run began.
    pub fn create(file: &Path, generation: &Generation, epoch_unix_s: u64) -> io::Result<Self> {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Self::write_to(BufWriter::new(file), generation, epoch_unix_s, DECISIONS_BYTES_MAX)
    }

    fn write_to(
        mut out: impl Write + Send + 'static,
        generation: &Generation,
        epoch_unix_s: u64,
        bytes_max: u64,
    ) -> io::Result<Self> {
        let (queue, waiting) = bounded(DECISIONS_WAITING_MAX);
        let exported = metrics::counter(metrics::DECISIONS_DROPPED, &[]);
        let tally = Arc::new(Tally { dropped: AtomicU64::new(0), waiting_bytes: AtomicUsize::new(0), exported });
        let first = json!({
            "simwright_decisions": FORMAT, "version": env!("CARGO_PKG_VERSION"), "epoch_unix_s": epoch_unix_s,
            "generation": describe(generation),
        });
        writeln!(out, "{first}")?;
        out.flush()?;
        let writer =
            Writer { out, tally: Arc::clone(&tally), newest: generation.number, epoch_unix_s, bytes: 0, bytes_max, written: 0 };
        let thread = std::thread::Builder::new().name("decisions".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(Self { queue, tally, writer: Mutex::new(Some(thread)) })
    }

    /// Hands a decision over, or counts it as dropped if too many wait already. Never blocks.
    pub fn note(&self, decided: Decided) {
        let size = decided.request.body.len();
        let before = self.tally.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= DECISIONS_WAITING_BYTES_MAX;
        if !fits || self.queue.try_send(Message::Decided(Box::new(decided))).is_err() {
            self.tally.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
            self.tally.drop_one();
        }
    }

    /// Writes what waits and the closing line. What is handed over later is lost.
    pub fn close(&self) {
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Both fail only if the writer has died, and it has said why.
            let _ = self.queue.send(Message::End);
            let _ = thread.join();
        }
    }
}

/// What the log says of a generation.
fn describe(generation: &Generation) -> Value {
    let source = &generation.scenario.source;
    let file = (source.name() != DEFAULT_FILE).then(|| {
        let path = Path::new(source.name());
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
    });
    json!({
        "number": generation.number, "seed": generation.seed,
        "scenario": {"name": generation.scenario.name, "file": file, "digest": scenario_digest(generation)},
    })
}

/// A digest of the scenario's files: 16 hexadecimal digits.
pub fn scenario_digest(generation: &Generation) -> String {
    hex(generation.scenario.source.digest())
}

fn digest(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

struct Writer<W> {
    out: W,
    tally: Arc<Tally>,
    newest: u64,
    epoch_unix_s: u64,
    bytes: u64,
    bytes_max: u64,
    written: u64,
}

impl<W: Write> Writer<W> {
    fn run(mut self, waiting: &Receiver<Message>) {
        let mut broken = false;
        while let Ok(message) = waiting.recv() {
            let done = match message {
                Message::End => break,
                Message::Decided(decided) => self.take(&decided, broken),
            };
            // A reader should see what there is once nothing waits.
            let done = done.and_then(|()| if waiting.is_empty() && !broken { self.out.flush() } else { Ok(()) });
            if let Err(error) = done {
                tracing::error!(%error, "cannot write the decision log; further decisions are dropped");
                broken = true;
            }
        }
        let dropped = self.tally.dropped.load(Ordering::Relaxed);
        let end = writeln!(self.out, "{}", json!({"end": {"written": self.written, "dropped": dropped}}));
        if let Err(error) = end.and_then(|()| self.out.flush()) {
            tracing::error!(%error, "cannot end the decision log");
        }
        if dropped > 0 {
            tracing::warn!(dropped, "decisions are missing in the log");
        }
    }

    fn take(&mut self, decided: &Decided, broken: bool) -> io::Result<()> {
        self.tally.waiting_bytes.fetch_sub(decided.request.body.len(), Ordering::Relaxed);
        if broken || self.bytes >= self.bytes_max {
            self.tally.drop_one();
            return Ok(());
        }
        let generation = &decided.plan.generation;
        // Requests of the old generation may still follow; each names its own.
        if generation.number > self.newest {
            self.newest = generation.number;
            self.line(&json!({"generation": describe(generation)}))?;
        }
        let line = self.render(decided);
        let done = self.line(&line);
        match done {
            Ok(()) => self.written += 1,
            Err(_) => self.tally.drop_one(),
        }
        done
    }

    fn line(&mut self, line: &Value) -> io::Result<()> {
        let line = line.to_string();
        self.bytes += line.len() as u64 + 1;
        writeln!(self.out, "{line}")
    }

    fn render(&self, decided: &Decided) -> Value {
        let Decided { endpoint, request, facts, plan } = decided;
        let identity = &facts.identity;
        let id = plan.events.named("reply-id").bits();
        let mut asked = json!({
            "identity": hex(identity.identity), "content": hex(identity.content), "attempt": identity.attempt,
            "occurrence": identity.occurrence, "headers": request.loggable_headers(), "body_bytes": request.body.len(),
        });
        if !request.target.is_empty() {
            asked["target"] = (*request.target).into();
        }
        if let Some(overrides) = &request.overrides {
            asked["overrides"] = json!(overrides.written);
        }
        match std::str::from_utf8(&request.body) {
            _ if request.body.len() > DECISION_BODY_BYTES_MAX => asked["body_digest"] = digest(&request.body).into(),
            Ok(text) => asked["body"] = text.into(),
            Err(_) => asked["body_base64"] = STANDARD.encode(&request.body).into(),
        }
        json!({
            "time_unix_ms": self.epoch_unix_s * 1_000 + facts.now / 1_000_000,
            "id": endpoint.map(|endpoint| endpoint.reply_id(id)),
            "request_id": endpoint.map(|endpoint| endpoint.dialect().request_id(id)),
            "endpoint": endpoint.map(|endpoint| endpoint.name()),
            "generation": plan.generation.number,
            "request": asked,
            "facts": {
                "now_ns": facts.now, "attempt": facts.attempt, "number": facts.number, "phase": plan.phase_name(),
                "incidents": scenario_names(facts.incidents, plan), "input_tokens": facts.input_tokens, "running": facts.running,
                "waiting": facts.waiting,
                "tier": facts.tier.map(|tier| &plan.generation.scenario.tiers[tier].name),
                "refused": facts.refused.map(|refused| json!({
                    "cause": refused.cause.name(), "retry_after_ns": refused.retry_after_ns,
                })),
            },
            "decision": decision_of(plan),
        })
    }
}

/// The names of `incidents`, of which some may not concern the model.
fn scenario_names(incidents: IncidentSet, plan: &Plan) -> Vec<&str> {
    incidents.iter().map(|incident| plan.generation.scenario.incidents[incident].name.as_str()).collect()
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::builtin::testing;
    use crate::plan::build::testing::generation;
    use crate::plan::identity::Identity;
    use crate::plan::planner::plan;

    /// Passes on what is written; from the second line on, each write waits for leave.
    struct Gate {
        leave: mpsc::Receiver<()>,
        open: bool,
        lines: mpsc::Sender<Vec<u8>>,
        written: usize,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.written > 0 && !self.open {
                // The end of the channel is leave for everything.
                self.open = self.leave.recv().is_err();
            }
            self.written += usize::from(bytes.contains(&b'\n'));
            self.lines.send(bytes.to_vec()).expect("somebody reads");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const SCENARIO: &str = "simwright: 1\nmodels: [{ match: test, reply: echo }]\n";

    fn decided(generation: &Arc<Generation>, body: Vec<u8>) -> Decided {
        let mut request = testing::request("hi");
        request.body = body.into();
        let request = Arc::new(request);
        let identity = Identity { content: 1, identity: 2, attempt: 0, occurrence: 0 };
        let facts = Facts { input_tokens: 1, ..Facts::first(identity) };
        let plan = plan(generation, 0, &request, &facts);
        Decided { endpoint: None, request, facts, plan }
    }

    /// A log behind a gate that is shut: what lets it go on, and what it has written.
    fn gated(generation: &Generation) -> (Decisions, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let ((let_go, leave), (lines, read)) = (mpsc::channel(), mpsc::channel());
        let gate = Gate { leave, open: false, lines, written: 0 };
        (Decisions::write_to(gate, generation, 1_000, u64::MAX).expect("a log"), let_go, read)
    }

    fn all(read: &mpsc::Receiver<Vec<u8>>) -> Vec<Value> {
        let text: Vec<u8> = read.iter().flatten().collect();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }

    #[test]
    fn a_slow_disk_holds_up_no_worker_and_what_is_lost_is_counted() {
        let generation = generation(SCENARIO, |_| {});
        let (decisions, let_go, read) = gated(&generation);
        let handed_over = 2 * DECISIONS_WAITING_MAX as u64;
        // With the gate shut these would never return if they waited.
        (0..handed_over).for_each(|_| decisions.note(decided(&generation, b"{}".to_vec())));
        drop(let_go);
        decisions.close();
        drop(decisions);
        let lines = all(&read);
        let end = &lines.last().expect("an end")["end"];
        let (written, dropped) = (end["written"].as_u64().expect("a count"), end["dropped"].as_u64().expect("a count"));
        assert_eq!(written + dropped, handed_over);
        assert_eq!(written, lines.len() as u64 - 2);
        // The queue holds so many, and the writer may have one in hand.
        assert!((DECISIONS_WAITING_MAX as u64..=DECISIONS_WAITING_MAX as u64 + 1).contains(&written), "{written}");
    }

    #[test]
    fn large_bodies_that_wait_are_bounded_and_a_body_over_the_limit_leaves_its_digest() {
        let generation = generation(SCENARIO, |_| {});
        let (decisions, let_go, read) = gated(&generation);
        let half = DECISIONS_WAITING_BYTES_MAX / 2;
        (0..6).for_each(|_| decisions.note(decided(&generation, vec![b' '; half])));
        drop(let_go);
        decisions.close();
        drop(decisions);
        let lines = all(&read);
        let end = &lines.last().expect("an end")["end"];
        assert!(end["dropped"].as_u64() >= Some(3), "{end}");
        let asked = &lines[1]["request"];
        assert_eq!((asked["body_bytes"].as_u64(), &asked["body"]), (Some(half as u64), &Value::Null));
        assert_eq!(asked["body_digest"].as_str().map(str::len), Some(16));
    }

    #[test]
    fn a_body_that_is_no_text_is_kept_as_base64() {
        let generation = generation(SCENARIO, |_| {});
        let (decisions, let_go, read) = gated(&generation);
        decisions.note(decided(&generation, vec![0xff, 0xfe]));
        drop(let_go);
        decisions.close();
        drop(decisions);
        assert_eq!(all(&read)[1]["request"]["body_base64"], "//4=");
    }

    #[test]
    fn a_log_stops_growing_at_its_limit_and_says_what_it_lacks() {
        let generation = generation(SCENARIO, |_| {});
        let ((let_go, leave), (lines, read)) = (mpsc::channel(), mpsc::channel());
        drop(let_go);
        let gate = Gate { leave, open: false, lines, written: 0 };
        let decisions = Decisions::write_to(gate, &generation, 1_000, 100).expect("a log");
        (0..5).for_each(|_| decisions.note(decided(&generation, b"{}".to_vec())));
        decisions.close();
        drop(decisions);
        let lines = all(&read);
        // The first decision goes over the limit, and nothing follows it.
        assert_eq!((lines.len(), &lines[2]["end"]), (3, &json!({"written": 1, "dropped": 4})));
    }

    /// A disk that takes the first line and is full then.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += usize::from(bytes.contains(&b'\n'));
            if self.0 > 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_decisions_and_nothing_else() {
        let generation = generation(SCENARIO, |_| {});
        let decisions = Decisions::write_to(Full(0), &generation, 1_000, u64::MAX).expect("a log");
        (0..5).for_each(|_| decisions.note(decided(&generation, b"{}".to_vec())));
        decisions.close();
        assert_eq!(decisions.tally.dropped.load(Ordering::Relaxed), 5);
        assert_eq!(decisions.tally.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
