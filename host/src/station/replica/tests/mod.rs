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
    queue_max: 100,
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
    let mut replica = Replica::new(Settings { kv_blocks: 10, sequences_max: 1, queue_max: 1, ..SETTINGS });
    let refused = |cause| Entry::Refused(Refusal::of(cause));
    assert_eq!(replica.enter(0, job(0, 100, 62)), refused(Cause::TooLong));
    assert_eq!(replica.enter(0, job(0, u32::MAX, u32::MAX)), refused(Cause::TooLong));
    assert_eq!(replica.enter(0, job(1, 100, 61)), Entry::Waits);
    assert_eq!(replica.enter(0, job(2, 1, 1)), Entry::Waits);
    assert_eq!(replica.enter(0, job(3, 1, 1)), refused(Cause::QueueFull));
}

#[test]
fn a_long_prompt_is_computed_in_chunks_beside_those_who_decode() {
    let mut replica = Replica::new(SETTINGS);
    replica.enter(0, job(0, 10, 100));
    replica.enter(1, job(1, 1_000, 2));
    let mut events = Vec::new();
    replica.advance(60 * MS, &mut events);
    let chunks: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::Steps { prefill_tokens, .. } if *prefill_tokens > 0 => Some(*prefill_tokens),
            _ => None,
        })
        .collect();
    // Of 512 tokens one is for the sequence that decodes.
    assert_eq!(chunks, [10, 511, 489]);
}

#[test]
fn the_newest_is_preempted_and_goes_on_where_it_was() {
    // Two sequences of 5 blocks each do not fit into 8.
    let mut replica = Replica::new(Settings { kv_blocks: 8, ..SETTINGS });
    replica.enter(0, job(0, 48, 30));
    replica.enter(0, job(1, 48, 30));
    let events = told(&mut replica);
    let of = |visitor| {
        let mine = events.iter().filter_map(move |event| match *event {
            Event::Started { visitor: who, .. } if who == visitor => Some("started"),
            Event::FirstToken { visitor: who, .. } if who == visitor => Some("first"),
            Event::Preempted { visitor: who, .. } if who == visitor => Some("preempted"),
            Event::Resumed { visitor: who, .. } if who == visitor => Some("resumed"),
            Event::Finished { visitor: who, .. } if who == visitor => Some("finished"),
            _ => None,
        });
        mine.collect::<Vec<_>>()
    };
    assert_eq!(of(0), ["started", "first", "finished"]);
    assert_eq!(of(1), ["started", "first", "preempted", "resumed", "finished"]);
    let load = replica.load();
    assert_eq!((load.preemptions, load.output_tokens, load.finished, load.kv_used), (1, 60, 2, 0));
    // It had 4 whole blocks, of which the other needed one: 64 tokens and some were computed again, but for those 3 blocks.
    assert!((96 + 16..96 + 64).contains(&load.prefill_tokens), "{}", load.prefill_tokens);
}

#[test]
fn prompts_of_one_group_share_their_blocks_while_they_run_and_after() {
    let mut replica = Replica::new(SETTINGS);
    let grouped = |visitor| Job { prefix: Prefix::Group { group: 7, tokens: 100 }, ..job(visitor, 200, 5) };
    replica.enter(0, grouped(0));
    replica.enter(1, grouped(1));
    replica.advance(15 * MS, &mut Vec::new());
    // 13 blocks each, of which 6 hold the 96 tokens that are whole blocks of the group.
    assert_eq!(replica.load().kv_used, 13 + 7);
    told(&mut replica);
    replica.enter(1_000 * MS, grouped(2));
    let load = replica.load();
    assert_eq!((load.prefix_asked, load.prefix_hit, load.kv_used), (600, 192, 13));
    // Without the cache nobody asks.
    let mut plain = Replica::new(Settings { prefix_cache: false, ..SETTINGS });
    plain.enter(0, grouped(0));
    told(&mut plain);
    plain.enter(1_000 * MS, grouped(1));
    assert_eq!((plain.load().prefix_asked, plain.load().prefix_hit), (0, 0));
}

#[test]
fn who_comes_during_a_step_joins_the_next_one_or_with_steps_composed_ahead_the_one_after() {
    for (ahead, started) in [(false, 21), (true, 31)] {
        let step = StepTime { base_ps: 10_000_000_000, ..StepTime::default() };
        let mut replica = Replica::new(Settings { step, ahead, ..SETTINGS });
        replica.enter(MS, job(0, 10, 100));
        replica.enter(15 * MS, job(1, 10, 100));
        let events = told(&mut replica);
        assert!(events.contains(&Event::Started { at: started * MS, visitor: 1 }), "{ahead}: {events:?}");
    }
}

#[test]
fn a_client_that_leaves_gives_back_its_place_and_blocks_at_the_boundary() {
    let mut replica = Replica::new(Settings { sequences_max: 1, ..SETTINGS });
    replica.enter(0, job(0, 100, 1_000));
    replica.enter(0, job(1, 100, 2));
    replica.enter(0, job(2, 100, 2));
    let mut events = Vec::new();
    replica.advance(40 * MS, &mut events);
    let boundary = replica.step_end(40 * MS).expect("a step is under way");
    replica.leave(40 * MS, 0);
    replica.leave(40 * MS, 1);
    assert_eq!((replica.load().running, replica.load().waiting), (1, 1));
    assert_eq!(replica.next_at(), Some(boundary));
    let events = told(&mut replica);
    assert_eq!(events[0], Event::Started { at: boundary, visitor: 2 });
    assert!(events.iter().all(|event| !matches!(event, Event::Finished { visitor: 0 | 1, .. })));
}

#[test]
fn other_coefficients_count_from_the_next_step() {
    let mut replica = Replica::new(SETTINGS);
    let slow = StepTime { base_ps: 50_000_000_000, ..StepTime::default() };
    replica.enter(0, job(0, 100, 3));
    replica.set_step(5 * MS, slow);
    assert_eq!(told(&mut replica)[2], Event::Finished { at: 11 * MS + 2 * 50 * MS, visitor: 0 });
}

/// Nobody new comes in with a step in which somebody was preempted; the next step may take the preempted one in again, and a jump must
/// not skip that.
#[test]
fn who_was_preempted_may_come_in_again_with_the_next_step() {
    let mut replica = Replica::new(Settings { kv_blocks: 13, block_tokens: 4, ..SETTINGS });
    let grouped = |job| Job { prefix: Prefix::Group { group: 7, tokens: 12 }, ..job };
    // The second shares 2 blocks and has a copy of the third, because its last token must be computed. With 24 tokens it needs a block and
    // finds none; without it there are 4, which are enough, because now it can share the third block, too.
    replica.enter(0, grouped(job(0, 20, 20)));
    replica.enter(0, grouped(job(1, 12, 20)));
    let events = told(&mut replica);
    let at = |wanted: fn(&Event) -> bool| match events.iter().find(|event| wanted(event)) {
        Some(Event::Preempted { at, .. } | Event::Resumed { at, .. }) => *at,
        _ => panic!("{events:?}"),
    };
    let preempted = at(|event| matches!(event, Event::Preempted { .. }));
    let resumed = at(|event| matches!(event, Event::Resumed { .. }));
    assert!(resumed - preempted < 25 * MS, "one step without it and one that computes what it lost: {}", resumed - preempted);
}

#[test]
fn a_job_takes_a_quarter_of_a_kilobyte() {
    assert!(size_of::<Sequence>() <= 256, "{}", size_of::<Sequence>());
}

#[test]
fn times_beyond_all_bounds_stay_at_the_end_of_time() {
    let step = StepTime {
        base_ps: u64::MAX,
        per_prefill_token_ps: u64::MAX,
        per_sequence_ps: u64::MAX,
        per_kv_token_ps: u64::MAX,
        per_prefill_pair_ps: u64::MAX,
    };
    let mut replica = Replica::new(Settings { step, kv_blocks: u32::MAX, batch_tokens: u32::MAX, ..SETTINGS });
    for visitor in 0..8 {
        assert_eq!(replica.enter(0, job(visitor, 1 << 30, 1 << 30)), Entry::Waits);
    }
    let mut events = Vec::new();
    replica.advance(u64::MAX, &mut events);
    assert_eq!(replica.next_at(), Some(u64::MAX));
    assert!(events.iter().all(|event| !matches!(event, Event::Finished { .. })));
}
