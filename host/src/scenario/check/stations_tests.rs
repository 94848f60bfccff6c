//! What stations are read as, and what is said of mistakes.

use super::tests::{mistakes, scenario};
use crate::scenario::stations::StationEntry;
use crate::station::pipeline::{Replicas, Settings};
use crate::station::{pool, replica};

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
    let expected = replica::Settings { waiting_max: 200, kv_blocks: 30_000, prefix_cache: false, step, ..preset };
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
        waiting_max: u32::MAX,
        prefix_cache: true,
    };
    assert_eq!(own.replica, expected);
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
        "4:49 expected a whole number from 1 to 10000, found `0`",
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
