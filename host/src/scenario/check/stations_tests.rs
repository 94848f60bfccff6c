//! What stations are read as, and what is said of mistakes.

use super::tests::{mistakes, scenario};
use crate::scenario::stations::StationEntry;
use crate::station::balancer::Rule;
use crate::station::pipeline::{Replicas, Settings};
use crate::station::{admission, batcher, breaker, cache, link, pool, replica, retry};
use crate::stats::law::Law;

fn stations(written: &str) -> Vec<StationEntry> {
    scenario(&format!("simwright: 1\nmodels: [{{ match: a }}]\nstations:\n{written}")).stations
}

fn group(written: &str) -> Replicas {
    match &stations(&format!("  gpu: {{ replicas: {{ {written} }} }}\n"))[..] {
        [StationEntry { settings: Settings::Replicas(group), .. }] => group.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pools_have_their_limits_in_the_units_of_stations() {
    let read =
        stations("  db: { pool: { size: 20, wait: 500ms, queue: 100, reads: 15, writes: 5 } }\n  free: { pool: { size: 1 } }\n");
    let names: Vec<&str> = read.iter().map(|station| station.name.as_str()).collect();
    assert_eq!(names, ["db", "free"]);
    let full = pool::Settings { size: 20, wait_max_ns: 500_000_000, queue_max: 100, reads: Some(15), writes: Some(5) };
    assert_eq!(read[0].settings, Settings::Pool(full));
    assert_eq!(read[1].settings, Settings::Pool(pool::Settings::of(1)));
}

#[test]
fn a_preset_gives_all_and_single_fields_change_it() {
    let preset = replica::presets::find("llama-3.1-8b-h100").expect("a preset").settings.clone();
    assert_eq!(group("preset: llama-3.1-8b-h100").replica, preset);
    let changed =
        group("preset: llama-3.1-8b-h100, count: 4, queue: 200, kv-blocks: 30_000, prefix-cache: false, step: { sequence: 2ns }");
    let step = replica::StepTime { per_sequence_ps: 2_000, ..preset.step };
    let expected = replica::Settings { queue_max: 200, kv_blocks: 30_000, prefix_cache: false, step, ..preset };
    assert_eq!((changed.count, changed.replica), (4, expected));
}

#[test]
fn a_replica_of_ones_own_says_its_step_and_its_cache() {
    let own = group(
        "kv-blocks: 1_000, sequences: 8, batch-tokens: 512, block-tokens: 32, step: { base: 6.42ms, prefill-token: 19.6us, kv-token: 49.9ns }",
    );
    let step = replica::StepTime {
        base_ps: 6_420_000_000,
        per_prefill_token_ps: 19_600_000,
        per_kv_token_ps: 49_900,
        ..replica::StepTime::default()
    };
    let expected = replica::Settings {
        step,
        sequences_max: 8,
        batch_tokens: 512,
        kv_blocks: 1_000,
        block_tokens: 32,
        queue_max: u32::MAX,
        prefix_cache: true,
        ahead: true,
    };
    assert_eq!(own.replica, expected);
    // As the preset's engine does, and otherwise if one says so.
    let ahead = |more: &str| group(&format!("preset: llama-3.1-8b-{more}")).replica.ahead;
    assert_eq!([ahead("h100"), ahead("rtx-4090")], [false, true]);
    assert_eq!([ahead("h100, async-scheduling: true"), ahead("rtx-4090, async-scheduling: false")], [true, false]);
}

#[test]
fn the_other_kinds_have_their_limits_in_the_units_of_stations() {
    let read = stations(
        "  a: { admission: { places: 64, queue: 500, wait: 10s, fair: true } }\n\
         \x20 b: { cache: { levels: [{ entries: 1_000, bytes: 64MiB, ttl: 10m, latency: 1ms }, { policy: fifo }], flush-every: 1h } }\n\
         \x20 c: { link: { latency: 20ms, bandwidth: 100MB, loss: 0.1%, jitter: 2ms, retransmit: 200ms } }\n\
         \x20 d: { batcher: { size: 8, wait: 20ms, tokens: 4096 } }\n\
         \x20 e: { breaker: { failures: 5 } }\n  f: { breaker: { share: 50%, window: 2s, at-least: 3, open: 1s, trials: 2 } }\n\
         \x20 g: { retry: { share: 10%, free: 0, for: 1s } }\n  h: { retry: {} }\n",
    );
    let expected = [
        Settings::Admission(admission::Settings { places: 64, queue_max: 500, wait_max_ns: 10_000_000_000, fair: true }),
        Settings::Cache(cache::Settings {
            levels: vec![
                cache::Level {
                    entries_max: 1_000,
                    bytes_max: 64 << 20,
                    ttl_ns: 600_000_000_000,
                    latency_ns: 1_000_000,
                    policy: cache::Policy::Lru,
                },
                cache::Level { policy: cache::Policy::Fifo, ..cache::Level::of(1_000_000) },
            ],
            flush_ns: 3_600_000_000_000,
        }),
        Settings::Link(link::Settings {
            latency_ns: 20_000_000,
            bandwidth_bytes_per_s: 100_000_000,
            loss: 0.001,
            jitter: Some(Law::uniform(0.0, 2e6)),
            retransmit_ns: 200_000_000,
        }),
        Settings::Batcher(batcher::Settings { size_max: 8, wait_max_ns: 20_000_000, tokens_max: 4_096 }),
        Settings::Breaker(breaker::Settings { in_a_row: Some(5), share: None, open_ns: 30_000_000_000, trials: 1 }),
        Settings::Breaker(breaker::Settings {
            in_a_row: None,
            share: Some(breaker::Share { per_mille: 500, window_ns: 2_000_000_000, at_least: 3 }),
            open_ns: 1_000_000_000,
            trials: 2,
        }),
        Settings::Retry(retry::Settings { per_mille: 100, free_per_s: 0, ttl_ns: 1_000_000_000 }),
        Settings::Retry(retry::Settings { per_mille: 200, free_per_s: 10, ttl_ns: 10_000_000_000 }),
    ];
    assert_eq!(read.into_iter().map(|station| station.settings).collect::<Vec<_>>(), expected);
}

#[test]
fn balancers_are_words_or_words_with_fields() {
    let rule = |written: &str| group(&format!("preset: llama-3.1-8b-h100, count: 2{written}")).balancer;
    assert_eq!(rule(""), Rule::LeastBusy);
    assert_eq!(rule(", balancer: two-choices"), Rule::TwoChoices);
    assert_eq!(rule(", balancer: prefix-affinity"), Rule::PrefixAffinity { blocks_max: 26_700, busy_blocks: 8 });
    assert_eq!(rule(", balancer: { latency: { decay: 5s } }"), Rule::Latency { decay_ns: 5_000_000_000 });
    let bounded = Rule::ConsistentHash { points: 7, bound_percent: Some(125) };
    assert_eq!(rule(", balancer: { consistent-hash: { points: 7, bound: 1.25 } }"), bounded);
    assert_eq!(group("preset: llama-3.1-8b-h100, count: 2, weights: [3, 0]").weights, [3, 0]);
}

#[test]
fn a_group_that_may_have_none_begins_with_none_unless_a_count_is_said() {
    let group = |more: &str| {
        let rule = "rule: { schedule: { steps: [{ from: 0s, replicas: 0 }] } }";
        group(&format!("preset: llama-3.1-8b-h100, autoscale: {{ min: 0, max: 2, {rule} }}{more}"))
    };
    assert_eq!([group("").count, group(", count: 0").count, group(", count: 2").count], [0, 0, 2]);
    assert_eq!((group("").autoscale.map(|settings| settings.least), group("").most()), (Some(0), 2));
}

#[test]
fn mistakes_of_the_other_kinds_are_named() {
    let text = "\
simwright: 1
models: [{ match: x }]
stations:
  a: { admission: { queue: 1 } }
  b: { cache: { levels: [] } }
  c: { link: { loss: 100%, bandwidth: 0 } }
  d: { batcher: { size: 8 } }
  e: { breaker: { window: 1s } }
  f: { replicas: { preset: llama-3.1-8b-h100, balancer: { own: {}, fallback: lest-busy }, weights: [1, 2] } }
  g: { replicas: { preset: llama-3.1-8b-h100, balancer: { random: {} }, weights: [0] } }
  h: { cache: { levels: [{ entries: 0 }, { bytes: 0 }] } }
  i: { replicas: { preset: llama-3.1-8b-h100, autoscale: { max: 2, rule: { schedule: { steps: [{ from: 0s, replicas: 0 }] } } } } }
";
    let expected = [
        "4:19 the field `places` is missing",
        "5:25 expected at least one level",
        "6:22 a link that loses everything",
        "6:39 expected bytes a second",
        "7:17 the field `wait` is missing",
        "8:17 the field `failures` is missing",
        "8:27 this says of which requests",
        "9:78 `lest-busy` is no rule of this program",
        "9:100 there are 2 weights for 1 replicas",
        "10:59 unknown field `random`",
        "10:82 a replica of weight 0 gets no work",
        "11:37 expected a whole number from 1 to 100000000",
        "11:51 expected a size such as",
        "a step has 0 replicas, and `min` is 1",
    ];
    let found = mistakes(text);
    for message in expected {
        assert!(found.iter().any(|line| line.contains(message)), "{message} is not in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn every_mistake_of_stations_is_named_at_once() {
    let text = "\
simwright: 1
stations:
  a: { pool: { size: 0, wait: 0ms, reads: 2, quue: 1 } }
  b: { replicas: { preset: llama-3.1-8b, count: 0 } }
  c: { replicas: { sequences: 9, batch-tokens: 8 } }
  d: { pol: { size: 1 } }
  e: { pool: { size: 1 }, link: {} }
  f: 7
  g: { replicas: { kv-blocks: 1, step: { base: 0, kv-token: 5 } } }
  h h: { pool: { size: 1 } }
models:
  - { match: x, through: a }
  - { match: y, pipeline: [{ model: { through: f } }] }
";
    let found = mistakes(text);
    let expected = [
        "3:22 expected a whole number from 1 to 100000000, found `0`",
        "3:31 expected a time, found none at all",
        "3:43 expected at most the pool's size of 1",
        "3:46 unknown field `quue`",
        "4:28 there is no preset `llama-3.1-8b`",
        "4:49 expected at least 1; only with `autoscale: { min: 0, … }` may there be none",
        "5:18 the field `step` is missing",
        "5:18 the field `kv-blocks` is missing",
        "5:48 a step of 8 tokens has no room for 9 sequences with one token each",
        "6:8 there is no kind of station `pol`",
        "7:27 `link` is a second kind beside `pool`, and a station is one thing",
        "8:6 expected the kind of this station with its fields",
        "9:48 expected a time: steps that take none would never end",
        "9:61 `5` has no unit; write for example `5us`",
        "10:3 the name \"h h\" has a space or a control character",
    ];
    for message in expected {
        assert!(found.iter().any(|line| line.contains(message)), "{message} is not in\n{}", found.join("\n"));
    }
    // Stations with mistakes are known, so that their names are no mistakes.
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn mistakes_of_a_short_pipeline_stand_at_the_name_of_its_station() {
    let text = "\
simwright: 1
stations: { db: { pool: { size: 1 } }, gpu: { replicas: { preset: llama-3.1-8b-rtx-4090 } } }
models:
  - { match: x, through: dbb }
  - { match: y, through: db, pipeline: [model] }
  - { match: z, context-window: 128_000, through: gpu }
";
    let found = mistakes(text);
    assert!(found[0].contains("4:26 there is no station `dbb`") && found[0].contains("did you mean `db`?"), "{found:?}");
    assert!(found[1].contains("5:17 `through` stands for a pipeline"), "{found:?}");
    assert!(found[2].contains("6:51 a prompt may have up to the 128000 tokens"), "{found:?}");
    assert_eq!(found.len(), 3);
}

#[test]
fn what_all_replicas_hold_before_anybody_comes_is_bounded() {
    let of = |groups: &str| format!("simwright: 1\nmodels: [{{ match: x }}]\nstations:\n{groups}");
    let group =
        |name: &str, more: &str| format!("  {name}: {{ replicas: {{ preset: llama-3.1-8b-h100, count: 10_000{more} }} }}\n");
    let ring = |points: u32| format!(", balancer: {{ consistent-hash: {{ points: {points} }} }}");
    scenario(&of(&group("a", &ring(100))));
    let most = [
        (group("a", &ring(101)), "4:8 up to here the stations have 1010000 points on rings"),
        (
            [group("a", &ring(100)), group("b", &ring(1)), group("c", &ring(1))].concat(),
            "5:8 up to here the stations have 1010000 points",
        ),
        (group("a", ", block-tokens: 65_536"), "4:8 up to here the stations have 655360000 tokens in a block"),
        ((0..12).map(|number| group(&format!("g{number}"), "")).collect(), "14:10 up to here the stations have 110000 replicas"),
    ];
    for (groups, expected) in most {
        let found = mistakes(&of(&groups));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected} is not in\n{}", found.join("\n"));
    }
}
