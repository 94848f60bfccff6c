//! Conditions, scripts, incidents and phases: what they are read as, and what is said of mistakes.

use std::path::Path;

use proptest::prelude::*;

use super::tests::{mistakes, scenario};
use crate::scenario::Draft;
use crate::scenario::phases::{Lasts, Repeat, Start};
use crate::scenario::read::parse_with;

#[test]
fn a_script_is_a_fault_for_each_attempt_that_fails() {
    let scenario = scenario(
        "simwright: 1\nmodels:\n  - match: a\n    faults:\n      - script: [{ http-error: { status: 429 } }, pass, none]\n        then: repeat\n\
         \x20       when: { stream: true }\n      - none\n",
    );
    let faults = &scenario.models[0].faults;
    let names: Vec<_> = faults.iter().map(|used| (used.name.as_str(), used.pointer.as_str(), used.when.is_some())).collect();
    assert_eq!(
        names,
        [
            ("http-error", "/models/0/faults/0/script/0/http-error", true),
            ("none", "/models/0/faults/0/script/2", true),
            ("none", "/models/0/faults/1", false),
        ]
    );
}

#[test]
fn an_entry_with_conditions_takes_nothing_from_those_below_it() {
    let scenario = scenario(
        "simwright: 1\nmodels:\n  - { match: gpt-*, name: acme, when: { tenant: acme } }\n  - { match: gpt-*, list: gpt-4o, when: { stream: true }, name: s }\n\
         \x20 - { match: [gpt-*], list: [gpt-4o] }\n",
    );
    assert!(scenario.models[0].list.is_empty());
    let found = |taker: Option<usize>| scenario.find_if("gpt-4o", |entry, _| Some(entry) == taker);
    assert_eq!((found(Some(0)), found(Some(1)), found(None)), (Some(0), Some(1), Some(2)));
}

#[test]
fn incidents_concern_entries_by_name_or_by_what_they_match() {
    let scenario = scenario(
        "simwright: 1\nactive: b\nincidents:\n  b: { models: gpt-4*, reply: echo }\n  a: { models: [fast], faults: [none] }\n  c: { latency: x }\n\
         models:\n  - { match: gpt-4o }\n  - { match: gpt-*, name: fast }\n",
    );
    let names: Vec<_> = scenario.incidents.iter().map(|incident| incident.name.as_str()).collect();
    // In the order of the file.
    assert_eq!(names, ["b", "a", "c"]);
    let concerns: Vec<Vec<usize>> = scenario.models.iter().map(|model| model.incidents.iter().collect()).collect();
    assert_eq!(concerns, [vec![0, 2], vec![1, 2]]);
    assert_eq!(scenario.active.iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn a_line_has_phases_by_time_by_count_and_by_hand() {
    let scenario = scenario(
        "simwright: 1\nmodels: [{ match: a }]\nincidents: { out: { faults: [none] } }\nphases:\n  start: 100 requests\n  repeat: 3\n  line:\n\
         \x20   - { name: calm, for: 2m }\n    - { for: 1s, incidents: out, ramp: up }\n    - { for: 200 requests, incidents: [out], ramp: { from: 80%, to: 0.2 } }\n\
         \x20   - { name: held, for: hand, incidents: [out], ramp: 50% }\n",
    );
    let phases = scenario.phases.expect("a line");
    assert_eq!((phases.start, phases.repeat), (Start::Requests(100), Repeat::Times(3)));
    let line: Vec<_> = phases.line.iter().map(|phase| (phase.name.as_str(), phase.lasts, phase.strength)).collect();
    assert_eq!(
        line,
        [
            ("calm", Lasts::Time(120_000_000_000), (1.0, 1.0)),
            ("phase-2", Lasts::Time(1_000_000_000), (0.0, 1.0)),
            ("phase-3", Lasts::Requests(200), (0.8, 0.2)),
            ("held", Lasts::Hand, (0.5, 0.5)),
        ]
    );
}

#[test]
fn every_mistake_of_a_condition_is_named_at_once() {
    let text = "\
simwright: 1
tenant-header: authorization
defaults:
  latency:
    - constant: {}
      when: { attempt: 5..2, every: { each: 0ms, for: 1s }, any: [], share: 0% }
models:
  - match: a
    when: {}
    faults:
      - { none: , when: { atempt: 1, requests: 0, messages: [2, x], prompt-tokens: '< 0', time: 30s } }
      - { none: , when: { header: { x-api-key: a, 'b c': d, e: [] }, model: [], not: { tools: 3 }, content: 4 } }
      - { none: , fallback: { none: , when: { stream: true } } }
      - { script: [], then: stop, rate: 5% }
      - { script: [{ none: , when: { time: 90s..30s } }, passs] }
    reply:
      - echo
      - { fixed: {}, when: { every: { each: 1m, for: 1m } } }
";
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
    2:16 `authorization` carries credentials, which are shown to nothing; use another header
    6:7 the last one has a `when`, so there would be requests for which none counts | end the list with one that has no `when`
    6:24 `5..2` never holds: it ends before it begins
    6:45 expected a period, found no time at all
    6:66 one of nothing never holds
    6:77 a share of nothing never holds
    9:11 expected at least one condition, found none | write for example `when: { attempt: 1..2 }`
    11:27 unknown field `atempt` | did you mean `attempt`?
    11:48 `0` never holds: it is counted from 1
    11:65 `x` is no whole number
    11:84 `< 0` never holds
    11:97 expected a window such as `30s..90s`, found `30s`
    12:37 `x-api-key` carries credentials, which are shown to nothing; use another header
    12:51 `b c` is no name of a header
    12:64 expected a pattern or a list of patterns | `*` fits every value
    12:77 expected at least one pattern, found an empty list
    12:95 expected `true` or `false`, found a number
    12:109 expected a list, found a number
    13:39 a fallback has no `when`: it takes over whenever the other fails
    14:19 expected a list of faults, one for each attempt | `pass` stands for an attempt that does not fail
    14:29 expected `pass` or `repeat`
    14:35 `rate` cannot stand beside a script | only `then` and `when` can; faults of the script stand in its list
    15:44 `90s..30s` never holds: it ends before it begins
    18:9 this never counts: the one above it has no `when`, so it holds for every request | put what has no `when` last
    18:54 this is the whole period, so it always holds
    "#);
}

#[test]
fn every_mistake_of_incidents_and_phases_is_named_at_once() {
    let text = "\
simwright: 1
models: [{ match: gpt-4o }]
active: [outage, outtage]
incidents:
  outage: { faults: [none], models: gpt-5* }
  nothing: {}
  'a b': { latency: 5, modls: gpt-4o }
phases:
  start: clok
  repeat: sometimes
  line:
    - { name: calm, for: 0s }
    - { name: calm, for: 5, incidents: [outage] }
    - { incidents: [blackout], ramp: up }
    - { for: x requests, ramp: down }
    - { for: 1s, incidents: outage, ramp: upp }
    - { for: 1s, incidents: outage, ramp: { from: 2, too: 1 } }
";
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
    3:18 there is no incident `outtage` | did you mean `outage`?
    5:37 no entry of `models` fits `gpt-5*` | did you mean `gpt-4o`?
    6:3 the incident `nothing` changes nothing | give it `faults`, `latency` or `reply`
    7:3 the name "a b" has a space or a control character
    7:21 expected a behaviour, found a number | write `name`, or `name:` with its options below
    7:24 unknown field `modls` | did you mean `models`?
    9:10 `clok` is not a duration; write for example `350ms` or `1.5s` | did you mean `clock`?
    10:11 expected `true` or how many times, found a text
    12:26 this phase lasts no time at all; leave it out
    13:15 another phase is called `calm` too
    13:26 `5` has no unit; write `5s` or `5 requests`
    14:21 there is no incident `blackout` | known: outage, nothing, a b
    14:38 a ramp needs an end, and this phase has none | give it `for`, a duration or a number of requests
    15:7 this phase is never reached: `phase-3` before it has no `for` | say how long `phase-3` lasts, or `for: hand`
    15:14 `x requests` is no number of requests
    15:32 there are no `incidents` here that could be ramped
    16:43 `upp` is no value of `ramp` | did you mean `up`?
    17:51 `2` is more than 100%
    17:54 unknown field `too` | did you mean `to`?
    "#);
    let endless = "simwright: 1\nmodels: [{ match: a }]\nphases:\n  repeat: true\n  line: [{ name: last }]\n";
    assert_eq!(
        mistakes(endless),
        ["4:11 the line never ends: its last phase `last` has no `for` | say how long it lasts, or `for: hand`"]
    );
}

#[test]
fn a_variable_may_stand_for_any_value_and_is_never_shown() {
    let variables = |name: &str| match name {
        "SEED" => Ok("7".to_owned()),
        "KEY" => Ok("sk-canary".to_owned()),
        _ => Err(std::env::VarError::NotPresent),
    };
    let read = |text: &str| parse_with("s.yaml", text, Path::new(""), &variables).and_then(Draft::whole);
    let scenario = read("simwright: 1\nseed: ${SEED}\ntokens: ${COUNTED:-exact}\nmodels: [{ match: \"m-${SEED}\" }]\n");
    let scenario = scenario.unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!((scenario.seed, scenario.find("m-7"), scenario.tokens.name()), (Some(7), Some(0), "exact"));
    let refusal =
        read("simwright: 1\ntokens: ${KEY}\nseed: ${MISSING}\nmodels:\n  - { match: a, list: ['x ${KEY}'] }\n").unwrap_err();
    assert!(!refusal.to_string().contains("canary"), "{refusal}");
    insta::assert_snapshot!(refusal, @r"
    s.yaml:2:9: `${KEY}` is no value of `tokens`
     2 | tokens: ${KEY}
       |         ^
      hint: one of: estimate, exact

    s.yaml:3:7: the environment variable `MISSING` is not set
     3 | seed: ${MISSING}
       |       ^
      hint: set it, or give a default: `${MISSING:-…}`

    s.yaml:5:24: `x ${KEY}` is listed, but nothing under `match` fits it
     5 |   - { match: a, list: ['x ${KEY}'] }
       |                        ^
    ");
}

/// One of everything.
const ALL: &str = "\
simwright: 1
seed: ${SEED:-7}
tenant-header: x-tenant
active: [brown-out]
defaults:
  latency: [{ constant: {}, when: { prompt-tokens: '>= 10', not: { stream: true } } }, none]
models:
  - match: [gpt-*]
    when: { tenant: acme*, any: [{ header: { x-a: [b, c*] } }, { content: '*x*', share: 5% }] }
    faults:
      - script: [{ none: {} }, pass, none]
        then: repeat
        when: { every: { each: 10m, for: 30s, offset: 1s }, identities: 10% }
      - { none: , when: { attempt: [1, 3..], time: 30s..90s, requests: ..9, messages: 2, tools: false } }
  - match: gpt-4o
incidents:
  brown-out: { models: gpt-*, faults: [none], latency: { constant: {} } }
  outage: { reply: [{ echo: , when: { model: gpt-4o } }] }
phases:
  start: 100 requests
  repeat: 3
  line:
    - { name: ramp, for: 1m, incidents: [brown-out, outage], ramp: { from: 20%, to: 0.8 } }
    - { name: held, for: hand }
";

#[test]
fn one_of_everything_is_right() {
    assert_eq!(scenario(ALL).phases.map(|phases| phases.line.len()), Some(2));
}

proptest! {
    #[test]
    fn spoilt_language_is_read_or_refused_with_a_place_and_never_a_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[-\\[\\]{}:,&*$.<>=%#? \n\ta0~é9]{0,6}|null|when: |99999999999999999999|include: "), 1..6),
    ) {
        let mut text: Vec<char> = ALL.chars().collect();
        for (index, length, replacement) in cuts {
            let at = index.index(text.len());
            text.splice(at..(at + length).min(text.len()), replacement.chars());
        }
        let text: String = text.into_iter().collect();
        let none = |_: &str| Err(std::env::VarError::NotPresent);
        if let Err(refusal) = parse_with("s.yaml", &text, Path::new("no-such-folder"), &none).and_then(Draft::whole) {
            prop_assert!(!refusal.problems.is_empty());
            for problem in &refusal.problems {
                prop_assert!(problem.place.is_some(), "no place: {problem}");
            }
        }
    }
}
