//! The two clocks agree: one scenario and one seed, over real sockets and in virtual time.
//!
//! The same [`Traffic`](simwright::workload::Traffic) asks twice. Once `fleet` answers, in virtual time. Once the real server does, over a connection for each attempt
//! (`sockets`), while this program looks at the clock. Every attempt must come in the same order, end in the same way and with as many tokens, and at
//! the same times within [`TOLERANCE`].
//!
//! A machine that is busy with something else proves nothing. So a run that differs is repeated if in it the server, or a witness that does
//! nothing but wake up, was late by more than [`LATE`]; a few times even if not, because the witness sits on one core only, and what
//! is really decided otherwise differs every time. If the machine goes on being late, the run is made slower than real time, so that
//! the same lateness is less of it. And this is a program of its own, beside which no other test runs.
#![allow(missing_docs, unreachable_pub, dead_code, reason = "nobody imports a test, and the support is shared with others")]
#![allow(clippy::disallowed_methods, reason = "the real clock is what is compared")]

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use simwright::app::ServeOptions;
use simwright::app::simulate::{SimulateOptions, Simulation};
use simwright::clock::Nanos;
use simwright::fleet::{Ended, Fate, Limits, Watch};

#[path = "../it/support/client.rs"]
mod client;
#[path = "../it/support/guests.rs"]
mod guests;
#[path = "../it/support/host.rs"]
mod host;
mod sockets;

use host::{TestHost, compiler, options};
use sockets::live;

/// How far the times of the two clocks may be apart, on the run's own clock, as all times here.
const TOLERANCE: Nanos = 3_000_000;
/// A run that differs does not count if anything was later than this.
const LATE: Nanos = 1_000_000;
/// How long a request takes at most from its client to the server on a quiet machine, in a debug build.
const WAY: Nanos = 1_500_000;
/// The runs that are tried, each by how many times it is slower than real time.
const TRIES: [u32; 12] = [1, 1, 1, 4, 4, 4, 12, 12, 12, 30, 30, 30];
/// So many of those may differ though nothing was seen to be late.
const QUIET_TRIES: usize = 3;
/// And so many seeds.
const SEEDS: u64 = 1_000;

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
    let (mut late, mut quiet) = (Vec::new(), 0);
    for slowness in TRIES {
        let host = start(scenario, seed, slowness);
        let (real, lateness) = live(&host, slowness, &workload, seed, &simulation.generation.scenario.name);
        let differences = differences(&planned, &in_order(real));
        if differences.is_empty() {
            return;
        }
        let first = differences[..differences.len().min(5)].join("\n");
        let told =
            format!("seed {seed}, {slowness} times slower: {} of {} differ, first\n{first}", differences.len(), planned.len());
        quiet += usize::from(lateness.is_none());
        late.push(format!("{}: {told}", lateness.as_deref().unwrap_or("nothing was late")));
        assert!(quiet < QUIET_TRIES, "the clocks disagree:\n{}", late.join("\n"));
    }
    panic!("this machine was too busy in every one of {} runs:\n{}", late.len(), late.join("\n"));
}

/// A server with `scenario` whose run is `slowness` times as slow as real time.
fn start(scenario: &str, seed: u64, slowness: u32) -> TestHost {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    TestHost::start_by(folder, ServeOptions { seed: Some(seed), slowness, ..options(file) })
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
  requests: 45
";
    agree(&scenario.replace("LONG", &words(900)), |seen| {
        let fates = ["refused 429", "refused 503", "truncated", "whole"].map(|fate| count(seen, fate));
        fates[0] >= 4 && fates[1] >= 3 && fates[2] >= 2 && fates[3] >= 30
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
  requests: 45
";
    agree(scenario, |seen| {
        let fates = ["truncated", "broken", "refused 500", "refused 500 stage-failed", "whole"].map(|fate| count(seen, fate));
        fates.iter().zip([3, 6, 2, 1, 15]).all(|(found, wanted)| *found >= wanted)
    });
}

#[test]
fn groups_that_grow_and_plugins_that_choose_decide_alike_on_both_clocks() {
    const MS: Nanos = 1_000_000;
    let choosers =
        guests::build(&guests::workspace().join("plugins"), &["--locked", "--package", "test-choosers"], "test_choosers");
    let scenario = format!(
        "
simwright: 1
tokens: exact
plugins: {{ chooser: {{ file: {} }} }}
stations:
  gpu:
    replicas:
      # Who comes a little late is in the next step, which must be well within the tolerance.
      step: {{ base: 1.2ms, prefill-token: 10us, sequence: 100us }}
      sequences: 4
      kv-blocks: 4096
      balancer: chooser
      autoscale:
        max: 4
        every: 500ms
        boot: 200ms
        rule: {{ chooser: {{}}, fallback: {{ target: {{ busy: 60% }} }} }}
        down: {{ after: 1s, step: 1 }}
models:
  - match: m
    context-window: 32768
    reply: {{ text: {{ tokens: 90 }} }}
    pipeline: [{{ model: {{ through: gpu }} }}]
workload:
  arrivals: {{ gamma: {{ rate: 14, cv: 0.5 }} }}
  classes:
    - {{ name: one, model: m, prompt: ONE }}
    - {{ name: two, model: m, prompt: TWO }}
    - {{ name: whole, model: m, prompt: Tell me all., stream: false }}
  requests: 30
",
        choosers.display()
    );
    // A decision falls on each half second, and what starts is ready 200 ms later: nothing else happens close to that.
    let is_apart = |at: Nanos, after: Nanos| (4 * MS..496 * MS).contains(&((at + 500 * MS - after) % (500 * MS)));
    agree(&scenario.replace("ONE", &words(120)).replace("TWO", &format!("Two {}", words(90))), |seen| {
        let decided = seen.iter().all(|seen| is_apart(seen.arrival, 0) && is_apart(seen.end, 0));
        decided && seen.iter().all(|seen| is_apart(seen.arrival, 200 * MS)) && count(seen, "whole") == 30
    });
}
