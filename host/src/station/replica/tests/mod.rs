//! The replica from outside.

mod jumps;
mod reference;
mod theory;

use super::*;

/// 10 ms a step, 10 us a token of prompt, 100 us a sequence, 1 ns a token in the cache.
const STEP: StepTime = StepTime {
    base_ps: 10_000_000_000,
    per_prefill_token_ps: 10_000_000,
    per_sequence_ps: 100_000_000,
    per_kv_token_ps: 1_000,
    per_prefill_pair_ps: 0,
};

const SETTINGS: Settings = Settings {
    step: STEP,
    sequences_max: 8,
    batch_tokens: 512,
    kv_blocks: 1_000,
    block_tokens: 16,
    waiting_max: 100,
    prefix_cache: true,
    ahead: false,
};

const MS: u64 = 1_000_000;

fn job(visitor: Visitor, prompt_tokens: u32, output_tokens: u32) -> Job {
    Job { visitor, prompt_tokens, output_tokens, prefix: Prefix::None }
}

/// All events but the steps, until the replica is idle.
fn told(replica: &mut Replica) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(at) = replica.next_at() {
        replica.advance(at, &mut events);
    }
    events.retain(|event| !matches!(event, Event::Steps { .. }));
    events
}

#[test]
fn a_lone_request_has_its_prefill_and_then_a_step_a_token() {
    let mut replica = Replica::new(SETTINGS);
    assert_eq!(replica.enter(5 * MS, job(3, 100, 4)), Entry::Waits);
    // Prefill: 10 ms + 100 · 10 us. Then three steps of 10.1 ms and 101, 102, 103 tokens of cache.
    let first = 5 * MS + 11 * MS;
    let end = first + 3 * (10 * MS + 100_000) + 101 + 102 + 103;
    assert_eq!(
        told(&mut replica),
        [
            Event::Started { at: 5 * MS, visitor: 3 },
            Event::FirstToken { at: first, visitor: 3 },
            Event::Finished { at: end, visitor: 3 }
        ]
    );
    assert_eq!(replica.token_at(3, 1), Some(first + 10 * MS + 100_000 + 101));
    assert_eq!((replica.token_at(3, 3), replica.token_at(3, 4)), (Some(end), None));
    replica.leave(end, 3);
    assert_eq!((replica.token_at(3, 0), replica.next_at(), replica.load().kv_used), (None, None, 0));
}

#[test]
fn what_can_never_fit_is_refused_and_so_is_whom_the_queue_has_no_place_for() {
    let mut replica = Replica::new(Settings { kv_blocks: 10, sequences_max: 1, waiting_max: 1, ..SETTINGS });
    let refused = |cause| Entry::Refused(Refusal::of(cause));
    assert_eq!(replica.enter(0, job(0, 100, 62)), refused(Cause::TooLong));
    assert_eq!(replica.enter(0, job(0, u32::MAX, u32::MAX)), refused(Cause::TooLong));
    assert_eq!(replica.enter(0, job(1, 100, 61)), Entry::Waits);
    assert_eq!(replica.enter(0, job(2, 1, 1)), Entry::Waits);
    assert_eq!(replica.enter(0, job(3, 1, 1)), refused(Cause::QueueFull));
}
