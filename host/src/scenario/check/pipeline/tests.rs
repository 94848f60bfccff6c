//! What pipelines are read and compiled to, and what is said of mistakes.

use serde_json::{Value, json};

use super::*;
use crate::station::pipeline::Role;
use crate::station::pipeline::route::{StageRetry, Step};

fn known(name: &str, station: u16, role: Role) -> Known<'_> {
    Known { name, station, role: Some(role), has_queue: true, may_refuse: false, tokens_max: None, prefix_block: None }
}

fn stations() -> Vec<Known<'static>> {
    vec![
        known("db", 0, Role::Way),
        Known { may_refuse: true, ..known("busy", 1, Role::Way) },
        known("gpu", 2, Role::Replicas),
        Known { has_queue: false, ..known("answers", 3, Role::Cache) },
        known("breaker", 4, Role::Breaker),
        known("spare", 5, Role::RetryBudget),
        Known { tokens_max: Some(1_000), ..known("small", 6, Role::Replicas) },
        Known { may_refuse: true, prefix_block: Some(16), ..known("near", 7, Role::Replicas) },
        Known { prefix_block: Some(32), ..known("far", 8, Role::Replicas) },
        Known { has_queue: false, ..known("wan", 9, Role::Way) },
    ]
}

pub(super) fn read(value: &Value) -> Result<Pipeline, Vec<Problem>> {
    let stations = stations();
    let entry = Entry { stations: &stations, context_window: 8_000, has_latency: false };
    let mut problems = Vec::new();
    let made = pipeline(value, "/p", entry, &mut problems);
    assert_eq!(made.is_none(), !problems.is_empty());
    made.ok_or(problems)
}

/// The steps of `value`, each in a few letters: `name>failure~hit`, the names of stages with their jumps.
fn steps(value: &Value) -> Vec<String> {
    let made = read(value).unwrap_or_else(|problems| panic!("{problems:?}"));
    let to = |mark: char, step: Option<u16>| step.map_or(String::new(), |step| format!("{mark}{step}"));
    let show = |step: &Step| match step {
        Step::Stage(stage) => {
            let name = &made.route.stages[usize::from(stage.index)];
            format!("{name}{}{}", to('>', stage.on_failure), to('~', stage.on_hit))
        }
        Step::Fork { branches, join, need, on_failure } => format!("fork {need} of {branches:?} {join}{}", to('>', *on_failure)),
        Step::Join => "join".to_owned(),
        Step::Switch { choice, ways } => format!("switch {choice} {ways:?}"),
        Step::Jump(to) => format!("-> {to}"),
        Step::End => "end".to_owned(),
    };
    made.route.steps.iter().map(show).collect()
}

/// The mistakes in `value`: where, below the pipeline, and what.
fn mistakes(value: &Value) -> Vec<(String, String)> {
    let problems = read(value).expect_err("mistakes");
    assert!(problems.iter().all(|problem| problem.pointer.starts_with("/p")), "{problems:?}");
    problems.into_iter().map(|problem| (problem.pointer[2..].to_owned(), problem.message)).collect()
}

/// The only mistake in `value`, its place and hint beside it.
fn mistake(value: &Value) -> (String, String, String) {
    let problems = read(value).expect_err("a mistake");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    (problem.pointer[2..].to_owned(), problem.message.clone(), problem.hint.clone().unwrap_or_default())
}

#[test]
fn stages_are_read_with_their_fields() {
    let made = read(&json!([
        { "authenticate": { "takes": "3ms" } },
        { "intent": { "through": "busy", "takes": { "log-normal": { "first": { "p50": "20ms", "p99": "80ms" } } }, "within": "200ms",
          "fails": "1%", "retry": { "times": 2, "budget": "spare" }, "guard": "breaker", "writes": true, "unless-waiting": 50 } },
        "model",
    ]))
    .expect("no mistakes");
    assert_eq!(made.route.stages, ["authenticate", "intent", "model"]);
    let uses: Vec<Vec<&str>> = made.takes.iter().map(|takes| takes.iter().map(|used| used.name.as_str()).collect()).collect();
    assert_eq!(uses, [vec!["constant"], vec!["log-normal"], vec![]]);
    assert_eq!(made.takes[0][0].options, json!({ "first": "3ms" }));
    assert_eq!(made.takes[1][0].pointer, "/p/1/intent/takes/log-normal");
    let intent = Stage {
        index: 1,
        through: Some(1),
        guard: Some(4),
        retry: Some(StageRetry { times: 2, takes_from: 3, budget: Some(5) }),
        within_ns: 200_000_000,
        fails: 0.01,
        skip_waiting: Some(50),
        writes: true,
        ..Stage::default()
    };
    assert_eq!(made.route.steps[1], Step::Stage(intent));
    let Step::Stage(model) = made.route.steps[2] else { panic!("a stage") };
    assert_eq!((model.reply, made.asks_latency), (Some(ReplyBy::Timing), true));
}

#[test]
fn a_fallback_chain_leads_from_each_alternative_to_the_next_and_then_on() {
    let chain = json!([
        { "first-of": [
            { "primary": { "through": "gpu", "within": "2s" } },
            [{ "check": { "fails": "5%" } }, { "secondary": { "through": "busy", "reply": true } }],
            { "template": { "text": "We are busy" } },
        ] },
        "format",
    ]);
    assert_eq!(steps(&chain), ["primary>2", "-> 6", "check>5", "secondary>5", "-> 6", "template", "format", "end"]);
    let made = read(&chain).expect("no mistakes");
    assert_eq!((made.texts, made.asks_latency), (vec!["We are busy".to_owned()], true));
    assert!(!read(&json!([{ "m": { "through": "gpu" } }])).expect("no mistakes").asks_latency);
}

#[test]
fn a_hit_goes_on_behind_what_would_have_written_the_reply() {
    let near = json!([{ "look": { "through": "answers" } }, "prepare", "model", "format"]);
    assert_eq!(steps(&near), ["look~3", "prepare", "model", "format", "end"]);
    let far = json!([
        { "route": [{ "when": { "stream": true }, "stages": { "look": { "through": "answers" } } }, { "stages": [] }] },
        { "first-of": [{ "a": { "through": "gpu", "within": "1s" } }, "model"] },
    ]);
    assert_eq!(steps(&far), ["switch 0 [1, 3]", "look~7", "-> 4", "-> 4", "a>6", "-> 7", "model", "end"]);
}

#[test]
fn forks_meet_again_and_their_failures_go_where_the_forks_do() {
    let value = json!([
        { "first-of": [
            [{ "fork": { "need": 1, "branches": [[{ "profile": { "fails": "1%" } }], [{ "history": { "fails": "2%" } }, "sort"]] } }, "model"],
            { "sorry": { "text": "Sorry" } },
        ] },
    ]);
    let expected =
        ["fork 1 of [1, 3] 6>9", "profile", "-> 6", "history", "sort", "-> 6", "join", "model", "-> 10", "sorry", "end"];
    assert_eq!(steps(&value), expected);
}

#[test]
fn replicas_of_one_entry_that_keep_prefixes_have_equal_blocks() {
    let first_of = |one: &str, other: &str| json!([{ "first-of": [{ "a": { "through": one } }, { "b": { "through": other } }] }]);
    let (place, message, hint) = mistake(&first_of("near", "far"));
    assert_eq!((place.as_str(), message.contains("32 tokens and those of `near` 16")), ("/0/first-of/1/b/through", true));
    assert!(hint.contains("`block-tokens`") && hint.contains("`prefix-cache: false`"), "{hint}");
    // Whoever keeps no prefixes may have blocks of any size, and one group may be gone through on two ways.
    assert!(read(&json!([{ "first-of": [{ "a": { "through": "near" } }, { "b": { "through": "gpu" } }] }])).is_ok());
    assert!(read(&first_of("near", "near")).is_ok());
}

#[test]
fn every_mistake_of_a_stage_is_named_at_once() {
    let value = json!([
        { "a": { "takes": "-3ms", "through": "dbb", "within": 0, "retry": { "budget": "db" } } },
        { "a": { "through": "breaker", "guard": "db", "fails": "200%", "untill": 1 } },
        { "b": { "through": "gpu", "takes": "3ms", "fails": "1%", "text": "hi", "reply": false } },
        { "c": { "unless-waiting": 0, "takes": "2h" }, "d": {} },
        { "e": { "through": "answers", "reply": true }, },
        7,
        { "fork": { "need": 3, "branches": ["x", []] } },
        { "first-of": ["y"] },
        { "route": [{ "stages": "z" }, { "when": { "stream": true } }] },
    ]);
    let found = mistakes(&value);
    let expected = [
        ("/0/a/takes", "negative"),
        ("/0/a/through", "no station `dbb`"),
        ("/0/a/retry", "`times` is missing"),
        ("/0/a/retry/budget", "`db` is somewhere to go through"),
        ("/0/a/within", "found none at all"),
        ("/1/a", "a stage `a` already"),
        ("/1/a/through", "`breaker` is a circuit breaker"),
        ("/1/a/guard", "`db` is somewhere to go through"),
        ("/1/a/fails", "more than 100%"),
        ("/1/a/untill", "unknown field `untill`"),
        ("/2/b/text", "no room for a text"),
        ("/2/b/takes", "through replicas has no `takes`"),
        ("/2/b/fails", "through replicas has no `fails`"),
        ("/3/d", "a second stage beside `c`"),
        ("/3/c/takes", "the longest delay"),
        ("/3/c/unless-waiting", "from 1 to"),
        ("/4/e/reply", "only if it has it"),
        ("/5", "expected a stage, found a number"),
        ("/6/fork/branches/1", "an empty list"),
        ("/6/fork/need", "from 1 to the 2 branches"),
        ("/7/first-of", "at least 2 alternatives, found a list of 1"),
        ("/8/route/1", "`stages` is missing"),
        ("/8/route/1/when", "the last way has a `when`"),
        ("/8/route/1", "this way is never gone"),
    ];
    for (place, message) in expected {
        let is_there = |(at, what): &&(String, String)| at == place && what.contains(message);
        assert!(found.iter().find(is_there).is_some(), "{place}: {message} is not in\n{found:#?}");
    }
    let others = |(at, _): &&(String, String)| !expected.iter().any(|(place, _)| at == place);
    assert_eq!(found.iter().filter(others).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn what_never_comes_to_pass_is_a_mistake_of_its_stage() {
    // Nobody waits in a cache or on a link, so the way beside it would never be gone.
    for station in ["wan", "answers"] {
        let ways = json!([{ "first-of": [{ "a": { "through": station, "unless-waiting": 3 } }, "b"] }, "model"]);
        let (at, message, _) = mistake(&ways);
        assert_eq!((at.as_str(), message.contains("nobody waits at")), ("/0/first-of/0/a/unless-waiting", true));
    }
    assert!(read(&json!([{ "m": { "through": "db", "unless-waiting": 3, "reply": true } }])).is_ok());
    // Only what fails is tried again.
    let tried_again = |more: &str, value: Value| {
        let mut stage = json!({ "takes": "1ms", "retry": { "times": 2 } });
        stage[more] = value;
        json!([{ "a": stage }, "model"])
    };
    let (at, message, hint) = mistake(&tried_again("writes", json!(true)));
    assert_eq!((at.as_str(), message.contains("cannot fail"), hint.contains("`fails`")), ("/0/a/retry", true, true));
    assert_eq!(mistake(&tried_again("through", json!("db"))).0, "/0/a/retry");
    for (field, value) in
        [("fails", json!("1%")), ("within", json!("1s")), ("guard", json!("breaker")), ("through", json!("busy"))]
    {
        assert!(read(&tried_again(field, value)).is_ok(), "{field}");
    }
    // A station that is not there is the only mistake.
    assert_eq!(mistake(&tried_again("through", json!("dbb"))).0, "/0/a/through");
}

#[test]
fn hints_say_what_to_do() {
    let (_, _, hint) = mistake(&json!([{ "model": { "through": "dbb" } }]));
    assert_eq!(hint, "did you mean `db`?");
    let (_, _, hint) = mistake(&json!([{ "model": { "through": "breaker" } }]));
    assert_eq!(hint, "write `guard: breaker`");
    let (at, message, _) = mistake(&json!([]));
    assert_eq!((at.as_str(), message.as_str()), ("", "expected at least one stage, found an empty list"));
    let many: Vec<String> = (0..1_001).map(|stage| format!("s{stage}")).collect();
    let (at, message, _) = mistake(&json!(many));
    assert_eq!((at.as_str(), message.starts_with("a pipeline may have 1000 stages")), ("/1000", true));
}

#[test]
fn what_can_never_be_reached_is_a_mistake() {
    let (at, message, _) = mistake(&json!([{ "first-of": [{ "t": { "text": "hi" } }, "model"] }]));
    assert_eq!((at.as_str(), message.as_str()), ("/0/first-of/1", "this is never reached: the alternative above it cannot fail"));
    let (at, _, _) = mistake(&json!([{ "first-of": [{ "a": { "through": "gpu" } }, "model", { "t": { "text": "hi" } }] }]));
    assert_eq!(at, "/0/first-of/1");
    // A station that can turn somebody away is reason enough for an alternative.
    assert!(read(&json!([{ "first-of": [{ "a": { "through": "busy", "reply": true } }, "model"] }])).is_ok());
    let (at, message, _) = mistake(&json!([{ "route": [{ "stages": ["a"] }, { "stages": ["b"] }] }, "model"]));
    assert_eq!((at.as_str(), message.contains("never gone")), ("/0/route/1", true));
    // Enough branches cannot fail, so neither can the fork.
    let fork = |need: u32| json!([{ "fork": { "need": need, "branches": ["a", { "b": { "fails": "1%" } }] } }, "model"]);
    let with = |fork: Value| json!([{ "first-of": [fork, { "t": { "text": "hi" } }] }]);
    assert_eq!(mistake(&with(fork(1))).0, "/0/first-of/1");
    assert!(read(&with(fork(2))).is_ok());
}

#[test]
fn each_way_writes_one_reply() {
    let (at, message, _) = mistake(&json!(["a", "b"]));
    assert_eq!((at.as_str(), message.as_str()), ("", "no stage writes the reply"));
    let one_lacks = json!([{ "route": [{ "when": { "stream": true }, "stages": "a" }, { "stages": "model" }] }]);
    let (at, message, _) = mistake(&one_lacks);
    assert_eq!((at.as_str(), message.as_str()), ("/0/route/0", "no stage writes the reply on this way"));
    let (at, message, _) = mistake(&json!(["model", { "t": { "text": "hi" } }]));
    assert_eq!((at.as_str(), message.contains("cannot be written twice")), ("/1/t", true));
    // What fails after the reply must not lead to another one.
    let late = json!([{ "first-of": [["model", { "audit": { "fails": "1%" } }], { "t": { "text": "hi" } }] }]);
    assert_eq!(mistake(&late).0, "/0/first-of/1/t");
    let (at, message, _) = mistake(&json!([{ "fork": { "branches": ["a", { "b": { "reply": true } }] } }, "model"]));
    assert_eq!((at.as_str(), message.contains("inside a fork")), ("/0/fork/branches/1/b", true));
    assert_eq!(mistake(&json!(["model", { "look": { "through": "answers" } }])).0, "/1/look");
    let (_, message, _) = mistake(&json!([{ "route": [{ "stages": { "look": { "through": "answers" } } }] }]));
    assert_eq!(message, "no stage behind this cache writes the reply");
}

#[test]
fn a_prompt_that_fits_no_replica_is_a_mistake_unless_there_is_another_way() {
    let (at, message, hint) = mistake(&json!([{ "m": { "through": "small" } }]));
    assert_eq!((at.as_str(), message.contains("holds 1000")), ("/0/m", true));
    assert!(hint.contains("`context-window: 1000`"), "{hint}");
    assert!(read(&json!([{ "first-of": [{ "m": { "through": "small" } }, { "n": { "through": "gpu" } }] }])).is_ok());
    let routed = json!([{ "route": [
        { "when": { "prompt-tokens": "< 900" }, "stages": { "m": { "through": "small" } } }, { "stages": { "n": { "through": "gpu" } } },
    ] }]);
    assert!(read(&routed).is_ok());
}
