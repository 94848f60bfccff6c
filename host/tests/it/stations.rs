use std::time::{Duration, Instant};

use super::support::client::Reply;
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content};

const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 20ms, between: 2ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
stations:
  desk: { pool: { size: 1 } }
  gpu: { replicas: { count: 1, preset: llama-3.1-8b-h100 } }
models:
  - match: pooled
    pipeline:
      - model: { through: desk }
  - match: batched
    pipeline:
      - route: { takes: { constant: { first: 3ms } } }
      - model: { through: gpu }
  - match: plain
";

fn times(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    content(&chunks(reply.text()), 0)
}

/// Sends `count` streamed requests at once and waits for all.
fn at_once(host: &TestHost, model: &str, count: usize) -> Vec<(Reply, Duration)> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let one = |number: usize| {
            scope.spawn(move || {
                let reply = host.chat(&ask_streamed(model, &format!("number {number}")));
                (reply, start.elapsed())
            })
        };
        let threads: Vec<_> = (0..count).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reply")).collect()
    })
}

#[test]
fn who_finds_a_pool_full_waits_for_those_before() {
    let host = TestHost::start(SCENARIO);
    let mut replies = at_once(&host, "pooled", 4);
    replies.sort_by_key(|(_, at)| *at);
    for (place, (reply, at)) in replies.iter().enumerate() {
        assert_eq!(times(reply), "one two three four five six seven eight nine ten");
        // Each takes 20 + 9 · 2 ms, one after the other.
        assert!(*at >= Duration::from_millis(38 * (place as u64 + 1)), "{place}: {at:?}");
    }
}

#[test]
fn a_replica_answers_streamed_and_whole() {
    let host = TestHost::start(SCENARIO);
    for (reply, at) in at_once(&host, "batched", 8) {
        assert_eq!(times(&reply), "one two three four five six seven eight nine ten");
        // Ten steps of 6.42 ms at least, after the way there.
        assert!(at >= Duration::from_micros(3_000 + 10 * 6_420), "{at:?}");
    }
    let reply = host.chat(&ask("batched", "x"));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "one two three four five six seven eight nine ten");
}
