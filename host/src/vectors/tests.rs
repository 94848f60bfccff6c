//! Vectors against real plugins: those of the standard pack, and the adversary for what plugins must not do.

use std::sync::{Arc, OnceLock};

use super::report::Report;
use super::{Suite, check, read};
use crate::wasm::tests::support::{adversary, new_host, small_host};
use crate::wasm::{LoadSpec, Meter, Plugin, PluginHost, STANDARD_PACK};

fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| new_host(Meter::Fuel))
}

fn standard(name: &str) -> Arc<Plugin> {
    let (_, bytes) = STANDARD_PACK.iter().find(|(known, _)| *known == name).expect("in the pack");
    host().load(LoadSpec::new(name, bytes)).expect("a good plugin")
}

fn suite(text: &str) -> Suite {
    Suite { cases: read::parse("tests/v.yaml", text).unwrap_or_else(|refusal| panic!("{refusal}")) }
}

fn run(plugin: &Plugin, text: &str) -> Report {
    check(plugin, &suite(text)).expect("it runs")
}

/// The problems of a file, `line:column message` each.
fn mistakes(text: &str) -> Vec<String> {
    let refusal = read::parse("tests/v.yaml", text).expect_err("mistakes");
    let said = |problem: &crate::types::problem::Problem| {
        let place = problem.place.as_ref().expect("a place");
        format!("{}:{} {}", place.line, place.column, problem.message)
    };
    refusal.problems.iter().map(said).collect()
}

#[test]
fn a_retry_storm_is_told_by_steps_that_share_a_state() {
    let report = run(
        &standard("retry-storm"),
        "
defaults: { options: { per-request: 2 }, call: { identity: 7 } }
cases:
  - name: the third retry of a request is refused, and each waits longer
    steps:
      - { call: { attempt: 0 }, expect: { fault: pass, outcome: answer } }
      - { call: { attempt: 1 }, expect: { fault: pass } }
      - { call: { attempt: 2 }, expect: { fault: pass } }
      - { call: { attempt: 3 }, expect: { fault: { http-error: { status: 429, retry-after: 1s } }, outcome: { kind: refuse, status: 429 } } }
      - { call: { attempt: 4 }, expect: { fault: { http-error: { retry-after: { between: [1500ms, 2s] } } } } }
  - name: a window forgets
    steps:
      - { call: { attempt: 9 }, expect: { fault: pass } }
      - { call: { attempt: 9, now: 60s }, expect: { fault: pass } }
  - name: a share cannot be more than all
    options: { per-request: -1 }
    refused: /per-request
",
    );
    assert!(report.is_good(), "{}", report.text());
    let figures = report.fuel.figures();
    assert!(matches!(figures[..], [("fault", 7, median, most)] if 0 < median && median <= most), "{figures:?}");
    assert_eq!(report.warnings, ["no case sets the options `longest-wait`, `per-window`, `wait`, `window`"]);
}

#[test]
fn fuel_is_the_same_in_every_run_and_bounded_where_a_case_says_so() {
    let text = "[{ name: a, max-fuel: 1, expect: { latency: { first: { log-normal: { p50: 700ms } } } } }]";
    let (one, two) = (run(&standard("brown-out"), text), run(&standard("brown-out"), text));
    assert_eq!(one.fuel.figures(), two.fuel.figures());
    let [case] = &one.cases[..] else { panic!("one case") };
    let [difference] = &case.differences[..] else { panic!("{}", one.text()) };
    assert_eq!((difference.path.as_str(), difference.expected.as_str()), ("max-fuel", "at most 1 instructions a call"));
}

#[test]
fn delays_are_measured_as_the_planner_draws_them() {
    let report = run(
        &standard("brown-out"),
        "
defaults: { options: { first: 100ms, between: 10ms, depth: 0.5 } }
cases:
  - name: without spread the worst moment is exact
    options: { spread: 1 }
    call: { output-tokens: 5 }
    expect: { ttft: 200ms, gap: 20ms, total: 280ms, tokens: 5 }
  - name: it is well halfway
    options: { spread: 1 }
    call: { now: 30m, output-tokens: 2 }
    expect: { latency: { first: 100ms, between: 10ms } }
  - name: with spread the median holds over many
    over: 500
    call: { output-tokens: 20 }
    expect:
      ttft: { p50: { between: [180ms, 220ms] }, p99: { at-least: 400ms } }
      gap: { mean: { between: [19ms, 30ms] } }
",
    );
    assert!(report.is_good(), "{}", report.text());
}

#[test]
fn a_failing_case_reads_like_a_diff() {
    let report = run(
        &standard("retry-storm"),
        "
cases:
  - name: a first retry is refused
    options: { per-request: 0 }
    call: { attempt: 1, seed: 3 }
    request: { model: gpt-4o, user: Where is my parcel? }
    expect:
      fault: { http-error: { status: 503, message: { contains: slow } } }
",
    );
    insta::assert_snapshot!(report.text().lines().take(11).collect::<Vec<_>>().join("\n"), @r#"
    FAIL  a first retry is refused
          tests/v.yaml:3
          options   { per-request: 0 }
          asked     gpt-4o "Where is my parcel?", seed 3, attempt 1
        fault.http-error.status  (line 7)
          - 503
          + 429
        fault.http-error.message  (line 7)
          - a text with "slow"
          + nothing
          decided fault: { http-error: { status: 429, retry-after: 1s } }
    "#);
}

#[test]
fn memory_of_an_instance_is_found_out_with_the_case_that_it_comes_from() {
    let plugin = host().load(LoadSpec::new("forgetful", adversary())).expect("a good plugin");
    let counts = "{ call: { identity: 214 }, expect: { fault: { http-error: { message: \"1\" } } } }";
    let report = run(
        &plugin,
        &format!(
            "[{{ name: first, steps: [{counts}] }}, {{ name: good, call: {{ identity: 0 }}, expect: {{ fault: pass }} }}, {{ name: second, steps: [{counts}] }}]"
        ),
    );
    let notes: Vec<_> =
        report.cases.iter().map(|case| case.differences.iter().filter_map(|one| one.note.clone()).collect::<String>()).collect();
    assert!(notes[0].contains("before on the same instance: `first`"), "{notes:?}");
    assert!(notes[1].is_empty() && notes[2].contains("on the same instance: `second`"), "{notes:?}");
}

#[test]
fn a_trap_fails_a_case_that_does_not_ask_for_it_and_says_what_the_plugin_wrote() {
    let plugin = host().load(LoadSpec::new("clumsy", adversary())).expect("a good plugin");
    let report = run(
        &plugin,
        "
- { name: it logs, call: { identity: 213 }, expect: { fault: pass } }
- { name: it panics, call: { identity: 2 }, expect: { outcome: { status: 500 } } }
- { name: panics are expected, call: { identity: 2 }, expect: { fault: { failed: { cause: panic } } } }
- { name: it looks at the clock, call: { identity: 206 }, expect: { fault: { http-error: {} } } }
",
    );
    assert_eq!(report.cases.iter().map(super::report::CaseReport::passes).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(report.cases[0].said, [("info", "line one\\nline two \\u{1b}[31m".to_owned())]);
    assert!(report.warnings.iter().any(|warning| warning.contains("clock of WASI's")), "{:?}", report.warnings);
}

#[test]
fn shares_are_counted_over_many_requests() {
    let plugin = standard("retry-storm");
    let text = |least: &str| {
        format!(
            "[{{ name: half of the retries, options: {{ per-request: 5 }}, call: {{ attempt: 1, identity: 3 }}, over: 10, expect: {{ fails: {{ between: [{least}, 60%] }} }} }}]"
        )
    };
    assert!(run(&plugin, &text("40%")).is_good());
    let report = run(&plugin, &text("55%"));
    assert_eq!(report.cases[0].differences[0].got, "50% (5 of 10)");
}

#[test]
fn a_reply_is_compared_item_by_item() {
    let report = run(
        &standard("support-desk"),
        "
- name: it knows refunds
  request: { user: I want a refund }
  expect: { reply: { items: [{ text: { contains: started your refund } }], finish: stop }, tokens: { at-least: 5 } }
- name: it asks its tools first
  request: { user: Where is my order?, tools: [lookup] }
  expect: { reply: { tool-call: { name: lookup } } }
- name: anything else is text of the host's
  request: { user: Tell me a story, body: null }
  expect: { reply: { generate: { tokens: 60 } }, tokens: 60 }
",
    );
    assert!(report.is_good(), "{}", report.text());
}

#[test]
fn every_mistake_of_a_file_is_named_at_its_place() {
    let found = mistakes(
        "
defaults:
  call: { seed: fast }
cases:
  - name: a
    request: { modle: x, messages: [{ role: user }] }
    expect: { fault: { http-eror: { status: 1 } } }
  - name: a
    over: 0
    expect: { fault: { hang: { fro: 1s } }, ttft: { between: [2s, 1s] } }
  - name: b
    expect: { fails: 5% }
  - options: []
    expect: {}
  - { name: c, refused: per-request, expect: { fault: pass } }
",
    );
    insta::assert_snapshot!(found.join("\n"), @r"
    3:17 `fast` is no seed; write a number, or hexadecimal digits as `explain` shows them
    6:16 unknown field `modle`
    6:37 the field `content` is missing
    7:24 `http-eror` is no fault
    8:11 another case is called `a` too
    9:11 expected a whole number from 1 to 100000, found `0`
    10:32 `fro` is no field of `hang`
    10:51 the least is more than the most, so nothing lies between
    12:22 a share needs many requests; say how many with `over: 1000` beside `expect`
    13:5 the field `name` is missing
    13:14 expected a map of options, found a list
    14:13 nothing is expected
    15:25 `per-request` is no JSON pointer; write for example `/per-request`
    15:25 options that are refused answer nothing; leave out `expect` and `steps`, or this
    ");
}

#[test]
fn a_live_plugin_of_the_same_name_notices_nothing() {
    use crate::wasm::BreakerState;
    let plugin = host().load(LoadSpec::new("noticed", adversary())).expect("a good plugin");
    // It keeps state, counts and logs, and fails often enough to open a breaker.
    let cases = suite(
        "
- { name: it keeps, call: { identity: 203 }, expect: { fault: { http-error: { message: \"1\" } } } }
- { name: it logs and counts, call: { identity: 213 }, expect: { fault: pass } }
- { name: it traps, call: { identity: 6 }, over: 100, expect: { fault: { failed: { cause: trap } } } }
",
    );
    for _ in 0..3 {
        let report = check(&plugin, &cases).expect("it runs");
        assert!(report.is_good(), "{}", report.text());
        assert_eq!(report.cases[1].said.len(), 1, "the log is whoever tries it's");
    }
    assert_eq!((plugin.state(0), plugin.counts(), plugin.breaker(0)), (Vec::new(), (0, 0), BreakerState::Closed));
}

#[test]
fn the_most_fuel_holds_for_every_request_on_the_instance_that_answers_all() {
    let text = |most: u64| {
        format!("[{{ name: a, max-fuel: {most}, over: 40, call: {{ attempt: 1 }}, expect: {{ fails: {{ at-least: 0% }} }} }}]")
    };
    let plugin = standard("retry-storm");
    let open = run(&plugin, &text(1_000_000_000));
    let all = open.cases[0].fuel_max.expect("counted");
    let fresh = open.fuel.figures()[0].3;
    assert!(all >= fresh, "{all} on the instance that answered all, {fresh} on fresh ones");
    assert!(run(&plugin, &text(all)).is_good());
    assert!(!run(&plugin, &text(all - 1)).is_good());
}

#[test]
fn cases_with_many_options_hold_few_instances_at_a_time() {
    // Room for those that are kept of the three runs, and one that is tried.
    let room = 3 * crate::types::limits::VECTOR_SETTINGS_MAX as u32 + 4;
    let host = small_host(Meter::Fuel, room);
    let (_, bytes) = STANDARD_PACK.iter().find(|(name, _)| *name == "brown-out").expect("in the pack");
    let plugin = host.load(LoadSpec::new("brown-out", bytes)).expect("a good plugin");
    let cases = (1..=2 * room).map(|ms| {
        format!(
            "- {{ name: c{ms}, options: {{ first: {ms}ms, spread: 1, depth: 0 }}, expect: {{ latency: {{ first: {ms}ms }} }} }}\n"
        )
    });
    let report = run(&plugin, &cases.collect::<String>());
    assert!(report.is_good(), "{}", report.text());
}

#[test]
fn cases_that_nobody_waits_for_are_given_up() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let suite = suite("[{ name: a, over: 100000, expect: { fails: { at-least: 0% } } }]");
    let is_wanted = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 50;
    let report = super::check_while(&standard("retry-storm"), &suite, &is_wanted).expect("it runs");
    assert!(report.is_none() && asked.into_inner() < 100);
}

#[test]
fn the_example_of_the_document_passes() {
    let document = include_str!("../../../docs/vectors.md");
    let (_, rest) = document.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let report = run(&standard("retry-storm"), example);
    assert!(report.is_good() && report.cases.len() == 3, "{}", report.text());
}

/// The plugin that chooses and scales as its option `deed` says.
fn choosers(name: &str) -> Arc<Plugin> {
    host().load(LoadSpec::new(name, crate::wasm::tests::support::choosers())).expect("a good plugin")
}

#[test]
fn balancers_and_autoscalers_are_asked_with_the_group_that_a_case_describes() {
    let report = run(
        &choosers("asked"),
        "
defaults: { options: { deed: well }, group: { wanted: 3, most: 4 } }
cases:
  - name: it goes where the most is known, and draws between equals
    over: 300
    backends: [{ cached-tokens: 16 }, { open: false, cached-tokens: 99 }, { cached-tokens: 32 }, { cached-tokens: 32 }]
    expect:
      balancer: { one-of: [2, 3] }
      shares: [{ of: { balancer: 2 }, between: [40%, 60%] }]
  - name: a header is asked for
    options: { deed: header }
    steps:
      - { request: { headers: { x-backend: '1' } }, backends: 2, expect: { balancer: 1 } }
      - { backends: 2, expect: { balancer: any } }
  - name: state goes from one choice to the next
    options: { deed: count }
    steps:
      - { backends: 2, expect: { balancer: 0 } }
      - { backends: 2, expect: { balancer: { not: 0 } } }
  - name: it turns away
    options: { deed: refuse }
    backends: 1
    expect: { balancer: { refuse: true, retry-after: { at-least: 1s } } }
  - { name: in short, options: { deed: refuse }, backends: 1, expect: { balancer: refuse } }
  - name: a choice that makes no sense is a failure
    options: { deed: closed }
    backends: [{}, { open: false }]
    expect: { balancer: { failed: { cause: bad-answer } } }
  - name: two requests for each replica
    group: { running: 4, waiting: 1 }
    expect: { autoscaler: { replicas: 3, reason: two for each } }
  - { name: it keeps, options: { deed: keep }, group: {}, expect: { autoscaler: keep } }
  - { name: more than allowed, options: { deed: beyond }, group: {}, expect: { autoscaler: { failed: {} } } }
  - { name: options are checked, options: { dead: well }, refused: /dead }
",
    );
    assert!(report.is_good(), "{}", report.text());
    let words: Vec<_> = report.fuel.figures().into_iter().map(|(word, ..)| word).collect();
    assert_eq!((words, &report.warnings[..]), (vec!["balancer", "autoscaler"], &[] as &[String]));
}

#[test]
fn a_choice_and_a_wish_that_are_others_read_like_a_diff() {
    let report = run(
        &choosers("wrong"),
        "
- { name: a, options: { deed: header }, backends: 2, expect: { balancer: 1 } }
- { name: b, options: { deed: well }, group: { running: 9 }, expect: { autoscaler: { at-most: 4 } } }
- { name: c, options: { deed: panic }, backends: 1, expect: { balancer: { at-least: 0 } } }
",
    );
    let said: Vec<_> = report.cases.iter().map(|case| case.differences.first().expect("a difference")).collect();
    assert_eq!((&*said[0].path, &*said[0].expected, &*said[0].got), ("balancer.backend", "1", "nothing"));
    assert_eq!(said[0].note.as_deref(), Some("decided balancer: { any: true }"));
    assert_eq!((&*said[1].path, &*said[1].expected, &*said[1].got), ("autoscaler.replicas", "at most 4", "5"));
    assert!(report.text().contains("asked     `replicas`: wanted 1, running 9, waiting 0\n"), "{}", report.text());
    assert!(said[2].note.as_deref().is_some_and(|note| note.contains("cause: panic")), "{:?}", said[2]);
}

#[test]
fn every_mistake_about_a_group_is_named_at_its_place() {
    let found = mistakes(
        "
defaults:
  group: { ready: lots, intervall: 1s }
cases:
  - { name: a, expect: { balancer: 0 } }
  - { name: b, backends: 0, expect: { balancer: sometimes } }
  - { name: c, backends: [{ open: false }, { load: 1 }], expect: { balancer: { bakcend: 1 } } }
  - { name: d, backends: 2, expect: { fault: pass } }
  - { name: e, backends: 2, expect: { balancer: 0, autoscaler: keep } }
  - { name: f, group: { least: 11 }, expect: { autoscaler: { one-of: [keep, drop] } } }
  - { name: g, backends: [{ open: false }], expect: { balancer: any, ttft: 1s } }
  - { name: h, group: { interval: 0s }, expect: { autoscaler: { replicas: 1, not: 2 } } }
  - { name: i, group: { least: 11 }, expect: { autoscaler: keep } }
",
    );
    insta::assert_snapshot!(found.join("\n"), @r"
    3:19 expected a whole number from 0 to 4294967295, found a text
    3:25 unknown field `intervall`
    5:24 there is nothing to choose from
    6:26 expected a list of 1 to 1024 backends, or how many idle ones there are
    6:49 `sometimes` is no choice
    7:46 unknown field `load`
    7:80 `bakcend` is no choice
    8:26 these are for a balancer, and of one nothing is expected
    9:37 a step asks one: a balancer, an autoscaler, or the behaviours of a request
    10:77 `drop` is no wish
    11:26 none of these is open, and a balancer is asked only where one is
    12:35 from one decision to the next some time passes
    12:78 `not` is a rule, and nothing may stand beside it
    12:78 `not` is no wish
    13:23 `least` is 11 and `most` is 10, so that no number of replicas is allowed
    ");
}
