//! Whole files: what is right becomes a scenario, and what is wrong is named with its place.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scenario::read::parse;

/// Every mistake in `text` as `line:column message`, with the hint after a bar.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let refusal = parse("s.yaml", text, Path::new("")).and_then(Draft::whole).expect_err("mistakes");
    let show = |problem: &Problem| {
        let place = problem.place.as_ref().expect("a place");
        let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{}:{} {}{hint}", place.line, place.column, problem.message)
    };
    refusal.problems.iter().map(show).collect()
}

pub(super) fn scenario(text: &str) -> Scenario {
    parse("folder/my scenario.yaml", text, Path::new("folder"))
        .and_then(Draft::whole)
        .unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn a_line_per_model_is_enough() {
    let scenario = scenario("simwright: 1\nmodels:\n  - match: gpt-4o\n  - match: [claude-*, haiku]\n");
    assert_eq!(scenario.name, "my-scenario");
    assert_eq!((scenario.seed, scenario.tokens), (None, TokenCounting::Estimate));
    let [gpt, claude] = scenario.models.as_slice() else { panic!("two models") };
    assert_eq!((gpt.name.as_str(), claude.name.as_str()), ("gpt-4o", "claude-*"));
    assert_eq!(claude.list, ["haiku"]);
    assert_eq!((gpt.context_window, gpt.max_output_tokens), (128_000, 16_384));
    assert_eq!((gpt.latency[0].name.as_str(), gpt.reply[0].name.as_str(), gpt.faults.len()), ("log-normal", "text", 0));
    assert_eq!(scenario.find("claude-x"), Some(1));
    assert_eq!(scenario.find("gpt-4"), None);
}

#[test]
fn what_an_entry_says_goes_before_the_defaults_and_those_before_the_built_in_ones() {
    let scenario = scenario(
        "simwright: 1\nseed: 7\ntokens: exact\n\
         defaults:\n  latency: slow\n  faults: [{ http-error: { rate: 5% } }]\n  context-window: 1000\n\
         models:\n  - { match: a, faults: [] }\n  - { match: b, latency: { quick: { first: 1ms }, fallback: none }, name: bee, created: 2024-05-13 }\n",
    );
    let [a, b] = scenario.models.as_slice() else { panic!("two models") };
    assert_eq!((scenario.seed, scenario.tokens), (Some(7), TokenCounting::Exact));
    assert_eq!(
        (a.latency[0].name.as_str(), a.latency[0].pointer.as_str(), &a.latency[0].options),
        ("slow", "/defaults/latency", &json!({}))
    );
    assert!(a.faults.is_empty());
    assert_eq!((a.context_window, a.max_output_tokens), (1000, 1000));
    assert_eq!(b.latency[0].pointer, "/models/1/latency/quick");
    assert_eq!(b.latency[0].options, json!({"first": "1ms"}));
    assert_eq!(
        b.latency[0].fallback.as_ref().map(|fallback| (fallback.name.as_str(), fallback.pointer.as_str())),
        Some(("none", "/models/1/latency/fallback"))
    );
    assert_eq!((b.faults[0].name.as_str(), b.faults[0].pointer.as_str()), ("http-error", "/defaults/faults/0/http-error"));
    assert_eq!((b.name.as_str(), b.created_unix_s), ("bee", 1_715_558_400));
}

#[test]
fn a_plugin_has_limits_and_a_path_from_the_scenarios_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("p.wasm"), "").expect("written");
    let text = "simwright: 1\nplugins:\n  p: { file: ./p.wasm }\n  q: { file: p.wasm, memory: 64MiB, time: 5ms, isolation: per-call }\n\
                models: [{ match: a }]\n";
    let scenario = parse("s.yaml", text, folder.path()).and_then(Draft::whole).unwrap_or_else(|refusal| panic!("{refusal}"));
    let [p, q] = scenario.plugins.as_slice() else { panic!("two plugins") };
    assert_eq!((p.memory_bytes, p.time_us, p.fresh_per_call), (16 << 20, 20_000, false));
    assert_eq!((q.memory_bytes, q.time_us, q.fresh_per_call), (64 << 20, 5_000, true));
    assert_eq!(q.file, folder.path().join("p.wasm"));
    assert_eq!(q.pointer, "/plugins/q");
}

#[test]
fn every_mistake_is_named_at_once() {
    let text = "\
simwright: 2
nmae: x
tokens: exat
seed: -1
plugins:
  p: { fil: ./p.wasm, memory: 4TB, isolation: never }
  q: { file: ./q.wasm, time: 2s }
defaults:
  latency: 5
  context-window: 0
models:
  - match: [gpt-*, 'a b']
    list: [gpt-4, claude, 'x*']
    faults: http-error
    reply: { text: { tokens: 3 }, fixed: { text: a } }
  - match: gpt-4
    name: gpt-*
    latency: { constant: 5ms }
    created: yesterday
    max-output-tokens: 200000
    replly: echo
  - list: []
";
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
    1:12 this program reads format 1, and the file is of format `2`
    2:1 unknown field `nmae` | did you mean `name`?
    3:9 `exat` is no value of `tokens` | did you mean `exact`?
    4:7 expected a whole number from 0 to 18446744073709551615, found `-1`
    6:6 the field `file` is missing
    6:8 unknown field `fil` | did you mean `file`?
    6:31 `TB` is no unit of size; use KiB, MiB or GiB
    6:47 `never` is no value of `isolation` | one of: reused, per-call
    7:30 expected up to 500ms, and more than nothing
    9:12 expected a behaviour, found a number | write `name`, or `name:` with its options below
    10:19 expected a whole number from 1 to 100000000, found `0`
    12:20 the name "a b" has a space or a control character
    13:19 `claude` is listed, but nothing under `match` fits it
    13:27 `x*` is a pattern, and only names can be listed
    14:13 expected a list of faults, found a text | write one fault a line, each after `- `; `[]` for none
    15:35 `fixed` is a second behaviour beside `text` | options of `text` stand one level deeper; only `fallback` and `when` may stand beside it
    16:12 `gpt-4` never comes here: `gpt-*` of the entry `gpt-*` above takes it | the first entry that fits answers; move this one above it
    17:11 entry 1 has the name `gpt-*` too, and metrics could not tell the two apart | give this entry another `name`
    18:26 expected the options of `constant`, found a text | options are a map of fields, such as `rate: 5%`
    19:14 `yesterday` is no date; write for example `2024-05-13`
    20:24 expected at most the context window of 128000 tokens
    21:5 unknown field `replly` | did you mean `reply`?
    22:5 the field `match` is missing
    "#);
}

#[test]
fn a_mistake_in_the_defaults_is_named_once_however_many_models_use_it() {
    let found = mistakes("simwright: 1\ndefaults: { faults: [{}] }\nmodels: [{ match: a }, { match: b }]\n");
    assert_eq!(found, ["2:22 expected the name of a behaviour | write `name`, or `name:` with its options below"]);
}

#[test]
fn a_behaviour_is_one_name_with_options_and_perhaps_a_fallback() {
    let found = |latency: &str| mistakes(&format!("simwright: 1\nmodels:\n  - match: a\n    latency: {latency}\n"));
    assert_eq!(
        found("{ quick: {}, falback: none }"),
        ["4:27 `falback` is a second behaviour beside `quick` | did you mean `fallback`?"]
    );
    assert!(found("{ fallback: none }")[0].contains("expected the name of a behaviour"));
    assert!(found("{ quick: {}, fallback: { slow: 3 } }")[0].starts_with("4:45 expected the options of `slow`, found a number"));
    assert!(found("''")[0].contains("found an empty text"));
    assert!(found("[[quick]]")[0].contains("expected a behaviour, found a list"));
    assert!(found("[]")[0].contains("expected a behaviour, found an empty list"));
}

#[test]
fn an_empty_file_says_how_to_begin() {
    for text in ["", "# nothing\n", "null\n", "{}\n"] {
        let found = mistakes(text);
        assert!(found[0].contains("begin the file with `simwright: 1`"), "{text:?}: {found:?}");
    }
    let found = mistakes("just text\n");
    assert!(found.iter().any(|line| line.contains("expected a map of fields, found a text")), "{found:?}");
    assert!(mistakes("simwright: 1\nmodels: []\n")[0].contains("there are no models"));
}

#[test]
fn there_can_be_many_models_but_not_any_number() {
    let text = |models: usize| {
        let entries: String = (0..models).map(|number| format!("  - match: m{number}\n")).collect();
        format!("simwright: 1\nmodels:\n{entries}")
    };
    assert_eq!(scenario(&text(1_000)).find("m999"), Some(999));
    assert!(mistakes(&text(1_001))[0].contains("1001 entries"));
}

proptest! {
    #[test]
    fn any_text_is_a_scenario_or_a_list_of_mistakes(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, "[-\\[\\]{}:,&*!|>'\"%@`#? \n\ta0~é\\\\]{0,6}|null|fallback: |match: "), 1..8),
    ) {
        let mut text: Vec<char> = DEFAULT.chars().collect();
        for (index, length, replacement) in cuts {
            let at = index.index(text.len());
            text.splice(at..(at + length).min(text.len()), replacement.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(refusal) = parse("s.yaml", &text, Path::new("")) {
            prop_assert!(!refusal.problems.is_empty());
            prop_assert!(!refusal.to_string().is_empty());
            for problem in &refusal.problems {
                let line = problem.place.as_ref().map_or(1, |place| place.line as usize);
                prop_assert!(line <= text.lines().count() + 1, "line {line} of a shorter text: {problem}");
            }
        }
    }
}
