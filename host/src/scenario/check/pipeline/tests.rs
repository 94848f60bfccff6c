//! What pipelines are read and compiled to, what is said of mistakes, and that every walk ends with one reply.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::random::{Key, Stream};
use crate::station::pipeline::route::{StageRetry, Step};
use crate::station::pipeline::{Happened, Role, Settings, Site, What as Event, Work};
use crate::station::{Cause, pool, replica};

fn known(name: &str, station: u16, role: Role) -> Known<'_> {
    Known { name, station, role: Some(role), may_refuse: false, tokens_max: None, prefix_block: None }
}

fn stations() -> Vec<Known<'static>> {
    vec![
        known("db", 0, Role::Way),
        Known { may_refuse: true, ..known("busy", 1, Role::Way) },
        known("gpu", 2, Role::Replicas),
        known("answers", 3, Role::Cache),
        known("breaker", 4, Role::Breaker),
        known("spare", 5, Role::RetryBudget),
        Known { tokens_max: Some(1_000), ..known("small", 6, Role::Replicas) },
        Known { may_refuse: true, prefix_block: Some(16), ..known("near", 7, Role::Replicas) },
        Known { prefix_block: Some(32), ..known("far", 8, Role::Replicas) },
    ]
}

fn read(value: &Value) -> Result<Pipeline, Vec<Problem>> {
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
        retry: Some(StageRetry { times: 2, budget: Some(5) }),
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

/// Random pipelines, most of which have no mistakes: each list writes the reply or does not, as it is asked to.
struct Maker {
    draws: Stream,
    names: u32,
}

impl Maker {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.draws.below(bound)
    }

    fn plain(&mut self) -> Value {
        let fields = [
            json!({}),
            json!({ "takes": "3ms" }),
            json!({ "takes": "2ms", "fails": "50%" }),
            json!({ "through": "db", "takes": "1ms", "fails": 0.3, "retry": { "times": 1 } }),
            json!({ "takes": "7ms", "within": "5ms" }),
            json!({ "through": "busy", "takes": "4ms" }),
        ];
        let index = self.below(fields.len() as u32) as usize;
        json!({ self.name(): fields[index].clone() })
    }

    fn writer(&mut self, may_fail: bool) -> Value {
        let mut fields = match self.below(3) {
            0 if may_fail => json!({ "through": "gpu", "within": "1ms" }),
            1 => json!({ "text": "hi" }),
            _ => json!({ "reply": true, "takes": "2ms" }),
        };
        if may_fail && fields.get("within").is_none() {
            fields["fails"] = json!("40%");
        }
        json!({ self.name(): fields })
    }

    /// A list that writes the reply if `writes`, with caches if `caches`.
    fn list(&mut self, writes: bool, caches: bool, depth: u32) -> Value {
        let mut list = Vec::new();
        for _ in 0..self.below(3) {
            list.push(self.item(depth));
        }
        if writes {
            if caches && self.below(3) == 0 {
                list.push(json!({ self.name(): { "through": "answers" } }));
                list.push(self.plain());
            }
            list.push(self.writing(caches, depth));
            for _ in 0..self.below(2) {
                list.push(json!({ self.name(): { "takes": "1ms" } }));
            }
        } else {
            list.push(self.plain());
        }
        json!(list)
    }

    fn item(&mut self, depth: u32) -> Value {
        match self.below(5) {
            0 if depth > 0 => {
                let need = [json!("all"), json!("any"), json!(2)][self.below(3) as usize].clone();
                let branches: Vec<_> = (0..2 + self.below(2)).map(|_| self.list(false, false, depth - 1)).collect();
                json!({ "fork": { "need": need, "branches": branches } })
            }
            1 if depth > 0 => {
                let first = json!({ self.name(): { "takes": "2ms", "fails": "50%" } });
                json!({ "first-of": [first, self.list(false, false, depth - 1)] })
            }
            2 if depth > 0 => {
                json!({ "route": [{ "when": { "stream": true }, "stages": self.list(false, false, depth - 1) }, { "stages": [] }] })
            }
            _ => self.plain(),
        }
    }

    fn writing(&mut self, caches: bool, depth: u32) -> Value {
        match self.below(3) {
            0 if depth > 0 => {
                let mut first = self.list(true, caches, depth - 1).as_array().cloned().expect("a list");
                first.insert(0, json!({ self.name(): { "takes": "1ms", "fails": "30%" } }));
                json!({ "first-of": [first, self.writer(true), self.writer(false)] })
            }
            1 if depth > 0 => {
                let (one, other) = (self.list(true, caches, depth - 1), self.list(true, caches, depth - 1));
                json!({ "route": [{ "when": { "stream": true }, "stages": one }, { "stages": other }] })
            }
            _ => {
                let may_fail = self.below(2) == 0;
                self.writer(may_fail)
            }
        }
    }
}

fn random(seed: u64, caches: bool) -> Value {
    let mut maker = Maker { draws: Key::of_seed(seed).stream(), names: 0 };
    maker.list(true, caches, 3)
}

/// One walk over the steps alone: each stage that can passes, fails or has the answer, as the draws say. Gives how many replies were
/// written, and whether it came to its end.
fn walk(steps: &[Step], mut at: u16, replies: &mut u32, draws: &mut Stream) -> Option<u16> {
    for _ in 0..10_000 {
        let fails = draws.below(3) == 0;
        at = match &steps[usize::from(at)] {
            Step::Stage(stage) if fails && stage.on_failure.is_some() => stage.on_failure?,
            Step::Stage(stage) => {
                let is_hit = stage.on_hit.is_some() && draws.below(2) == 0;
                *replies += u32::from(is_hit || stage.reply.is_some());
                stage.on_hit.filter(|_| is_hit).unwrap_or(at + 1)
            }
            Step::Fork { branches, join, on_failure, .. } => {
                for branch in branches {
                    assert_eq!(walk(steps, *branch, replies, draws), Some(*join), "branches meet at their join");
                }
                on_failure.filter(|_| fails).unwrap_or(join + 1)
            }
            Step::Switch { ways, .. } => ways[draws.below(ways.len() as u32) as usize],
            Step::Jump(to) => *to,
            Step::Join | Step::End => return Some(at),
        };
    }
    None
}

#[test]
fn every_walk_over_a_random_pipeline_ends_with_one_reply() {
    let (mut good, mut shapes) = (0, HashSet::new());
    for seed in 0..400 {
        let value = random(seed, true);
        let Ok(made) = read(&value) else { continue };
        good += 1;
        let steps = &made.route.steps;
        shapes.insert(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let targets: Vec<u16> = match step {
                Step::Stage(stage) => [stage.on_failure, stage.on_hit].into_iter().flatten().collect(),
                Step::Fork { branches, join, on_failure, .. } => {
                    branches.iter().copied().chain([*join]).chain(*on_failure).collect()
                }
                Step::Switch { ways, .. } => ways.to_vec(),
                Step::Jump(to) => vec![*to],
                Step::Join | Step::End => Vec::new(),
            };
            // Only forwards: so every walk ends, and nothing that failed comes back into its chain.
            assert!(targets.iter().all(|to| usize::from(*to) > index && usize::from(*to) < steps.len()), "{value}\n{steps:?}");
        }
        for run in 0..50 {
            let mut replies = 0;
            let end = walk(steps, 0, &mut replies, &mut Key::of_seed(seed).with(run).stream());
            assert_eq!((end, replies), (Some(steps.len() as u16 - 1), 1), "{value}\n{steps:?}");
        }
    }
    assert!(good > 150 && shapes.len() > 20, "{good} pipelines of {} lengths", shapes.len());
}

/// What the named stations are, as far as walks need them.
fn site(route: &Route) -> Site {
    let pool = |size, queue_max| Settings::Pool(pool::Settings { queue_max, ..pool::Settings::of(size) });
    let gpu = replica::presets::find("llama-3.1-8b-h100").expect("a preset").settings.clone();
    let group = Settings::Replicas(crate::station::pipeline::Replicas {
        count: 1,
        replica: gpu,
        balancer: crate::station::balancer::Rule::LeastBusy,
        weights: Vec::new(),
    });
    Site::new(&[pool(2, u32::MAX), pool(1, 1), group], vec![route.clone()], false)
}

#[test]
fn whoever_is_walked_to_the_end_by_a_site_has_one_reply_and_whoever_is_refused_none_or_one() {
    let (mut done, mut refused, mut causes) = (0, 0, HashSet::new());
    for seed in 0..200 {
        let value = random(seed, false);
        let Ok(made) = read(&value) else { continue };
        let mut site = site(&made.route);
        let mut happened: Vec<Happened> = Vec::new();
        let mut visits = Vec::new();
        for number in 0..12 {
            let key = Key::of_seed(seed).with(number);
            let mut draws = key.stream();
            let work = Work {
                route: 0,
                tenant: 0,
                priority: 0,
                content: number,
                affinity: number,
                prompt_tokens: 10,
                output_tokens: 3,
                prefix: replica::Prefix::None,
                bytes: 100,
                reply_ns: 5_000_000,
                step: None,
                takes: (0..made.takes.len()).map(|_| 1_000_000 * u64::from(1 + draws.below(6))).collect(),
                choices: made.switches.iter().map(|ways| draws.below(ways.len() as u32) as u8).collect(),
                draws: key,
            };
            visits.push(site.enter(number * 500_000, work, &mut happened));
        }
        while let Some(at) = site.next_at() {
            assert!(at < 60_000_000_000, "walks end: {value}");
            site.advance(at, &mut happened);
        }
        for visit in visits {
            let own = || happened.iter().filter(|happened| happened.visit == visit);
            let replies = own().filter(|event| matches!(event.what, Event::Begun(_) | Event::FirstToken)).count();
            match site.end_of(visit) {
                Some((_, Ok(()))) => {
                    assert_eq!(replies, 1, "{value}");
                    done += 1;
                }
                Some((_, Err(refusal))) => {
                    assert!(replies <= 1, "{value}");
                    refused += 1;
                    causes.insert(refusal.cause);
                }
                None => panic!("a visit without an end: {value}"),
            }
        }
        assert_eq!(site.load(0), Default::default(), "nobody is left in a station: {value}");
    }
    assert!(done > 500 && refused > 100, "{done} done, {refused} refused");
    assert!([Cause::Budget, Cause::StageFailed, Cause::QueueFull].iter().all(|cause| causes.contains(cause)), "{causes:?}");
}
