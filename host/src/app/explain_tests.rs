//! What an explanation says of draws and of a time line that a fault disturbs.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::behavior::latency::{Delay, Latency, Schedule};
use crate::behavior::responder::{Answer, Item, Responder};
use crate::builtin::testing;
use crate::plan::build::testing::generation;
use crate::plan::identity::Identity;
use crate::scenario::IncidentSet;
use crate::types::problem::Problem;
use crate::types::reply::Finish;

/// Ten tokens, 100 ms apart, as `place` and `action` leave them: times in milliseconds, `None` for a token and the fault's kind.
fn left(place: Place, action: Action) -> Vec<(u64, Option<&'static str>)> {
    let token = |index: u64| Step { at: (index + 1) * 100_000_000, what: What::Token("x".to_owned()) };
    let steps = interrupted((0..10).map(token).collect(), &Interrupt { place, action });
    let kind = |step: &Step| match step.what {
        What::Token(_) => None,
        What::Interrupt(kind) => Some(kind),
    };
    steps.iter().map(|step| (step.at / 1_000_000, kind(step))).collect()
}

#[test]
fn a_cut_ends_the_time_line_where_it_strikes() {
    let cut = || Action::Cut(crate::behavior::fault::Cut::Reset);
    assert_eq!(left(Place::BeforeHead, cut()), [(0, Some("cut-reset"))]);
    assert_eq!(left(Place::AfterStep(2), cut()), [(100, None), (200, None), (200, Some("cut-reset"))]);
    let after = Place::AfterTime(Duration::from_millis(150));
    assert_eq!(left(after, cut()), [(100, None), (150, Some("cut-reset"))]);
}

#[test]
fn a_stall_moves_what_comes_after_it() {
    let steps = left(Place::AfterStep(9), Action::Stall(Duration::from_secs(1)));
    assert_eq!(steps[8..], [(900, None), (900, Some("stall")), (2_000, None)]);
}

#[test]
fn what_comes_after_the_last_token_comes_too_late() {
    let cut = || Action::Cut(crate::behavior::fault::Cut::Reset);
    let at = |ms| Place::AfterTime(Duration::from_millis(ms));
    assert_eq!(left(at(1_001), cut()).len(), 10);
    // In the moment in which the last token is due it still comes before that token, as it is played.
    assert_eq!(left(at(1_000), cut())[8..], [(900, None), (1_000, Some("cut-reset"))]);
    let finish = Action::Finish(crate::behavior::fault::EarlyFinish::Length);
    assert_eq!(left(at(5_000), finish)[9..], [(1_000, None), (1_000, Some("length"))]);
}

const CONDITIONS: &str = r#"
simwright: 1
seed: 1
defaults: { latency: { constant: { first: 10ms, between: 10ms } }, reply: { fixed: { text: one two three } } }
models:
  - match: m
    faults:
      - http-error: { status: 401 }
        when: { header: { x-team: red } }
      - http-error: { status: 402 }
        when: { attempt: 3 }
      - http-error: { status: 403 }
        when: { requests: 7 }
      - http-error: { status: 404 }
        when: { time: 60s..61s }
      - bad-tool-arguments
  - match: late
    faults: [cut: { at: 5s }]
incidents:
  slow: { models: [m], faults: [{ http-error: { status: 503 } }] }
  ramped: { models: [m], faults: [{ http-error: { status: 529 } }] }
phases:
  line:
    - { name: calm, for: 2m }
    - { name: outage, for: 1m, incidents: [slow] }
    - { name: half, for: hand, incidents: [ramped], ramp: 50% }
"#;

#[test]
fn what_a_share_of_a_list_meets_does_not_depend_on_the_incidents_that_apply() {
    let text = "simwright: 1\nmodels:\n  - match: test\n    latency:\n      - { constant: { first: 1ms }, when: { share: 50% } }\n\
                \x20     - constant: { first: 2ms }\nincidents:\n  never: { latency: { constant: { first: 9ms }, when: { stream: true } } }\n";
    let generation = generation(text, |_| {});
    let request = Arc::new(testing::request("hi"));
    let met = |occurrence, incidents| {
        let facts = Facts::first(Identity { content: 1, identity: 1, attempt: 0, occurrence });
        crate::plan::planner::plan(&generation, 0, &request, &Facts { incidents, ..facts }).asked.1.map(|at| at.index)
    };
    let all = |incidents| (0..64).map(|occurrence| met(occurrence, incidents)).collect::<Vec<_>>();
    let without = all(IncidentSet::default());
    assert!(without.contains(&Some(0)) && without.contains(&Some(1)), "{without:?}");
    assert_eq!(all(IncidentSet::default().with(0)), without);
}

/// A responder that fails.
#[derive(Debug, Clone, Copy)]
struct Failing;

impl Responder for Failing {
    fn respond(&self, _call: &Call<'_>, _choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        Err(BehaviorError { behaviour: "responder", name: "failing".to_owned(), message: "it fails".to_owned(), cause: "trap" })
    }
}

#[test]
fn a_responder_that_fails_under_a_fault_is_no_fault_that_was_played() {
    let text = "simwright: 1\nmodels:\n  - { match: a, reply: failing, faults: [stall: { for: 1s, at: start }] }\n\
                \x20 - { match: b, reply: failing, faults: [http-error: { status: 500 }] }\n";
    let generation = generation(text, |catalog| {
        catalog.responder.insert("failing".to_owned(), Arc::new(Failing));
    });
    let request = Arc::new(testing::request("hi"));
    let facts = Facts::first(Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 });
    let kind = |model| crate::plan::planner::plan(&generation, model, &request, &facts).fault_kind();
    assert_eq!([kind(0), kind(1)], [None, Some("error")]);
}

/// What becomes of a request to `model` of [`CONDITIONS`], in words.
fn told(model: &str, options: ExplainOptions) -> Result<String, ExplainError> {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("s.yaml");
    std::fs::write(&scenario, CONDITIONS).expect("written");
    let request = format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#).into_bytes();
    explain(&ExplainOptions { scenario: Some(scenario), request, ..options }).map(|explanation| explanation.text())
}

#[test]
fn whatever_conditions_look_at_can_be_said() {
    let header = |name: &'static str, value: &str| HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
    let seconds = |s| Duration::from_secs(s);
    let given = ExplainOptions::default;
    for (options, status) in [
        (ExplainOptions { headers: header("x-team", "red"), ..given() }, 401),
        (ExplainOptions { attempt: Some(2), ..given() }, 402),
        (ExplainOptions { headers: header("x-stainless-retry-count", "2"), ..given() }, 402),
        (ExplainOptions { occurrence: 2, ..given() }, 402),
        (ExplainOptions { number: Some(7), ..given() }, 403),
        (ExplainOptions { at: seconds(60), ..given() }, 404),
        (ExplainOptions { at: seconds(121), ..given() }, 503),
        (ExplainOptions { phase: Some("outage".to_owned()), ..given() }, 503),
        (ExplainOptions { incidents: vec!["slow".to_owned()], ..given() }, 503),
        // Those that stand first in the file go first.
        (ExplainOptions { incidents: vec!["ramped".to_owned(), "slow".to_owned()], ..given() }, 503),
        (ExplainOptions { incidents: vec!["ramped".to_owned()], attempt: Some(2), ..given() }, 529),
    ] {
        let text = told("m", options.clone()).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            text.contains(&format!("refused with {status}:")),
            "{options:?}:
{text}"
        );
    }
    // An attempt that the client announces is what conditions see, however often it has come.
    let text = told("m", ExplainOptions { attempt: Some(0), occurrence: 2, ..given() }).unwrap_or_else(|error| panic!("{error}"));
    assert!(text.contains("outcome    answered"), "{text}");
    let text = told("m", ExplainOptions { at: seconds(200), ..given() }).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        text.contains(
            "seen as    attempt 1, request 1 of its entry, 200s after the run began
phase      half
"
        ),
        "{text}"
    );
    assert!(text.contains("at a strength of 0.5"), "{text}");
    let unknown = told("m", ExplainOptions { phase: Some("lunch".to_owned()), ..given() }).err().map(|error| error.to_string());
    assert_eq!(unknown.as_deref(), Some("the scenario has no phase `lunch`; it has: calm, outage, half"));
}

#[test]
fn a_fault_that_changes_nothing_says_so() {
    let text = told("m", ExplainOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        text.contains(
            "faults     bad-tool-arguments struck but found nothing to spoil
"
        ),
        "{text}"
    );
    let text = told("late", ExplainOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        text.contains(
            "faults     cut struck but came too late
"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "outcome    answered before cut-reset 5000.0 ms after the request
"
        ),
        "{text}"
    );
}

thread_local! {
    /// Draws made by [`Drawing`] behaviours; each test has a thread of its own.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// A behaviour of every kind that draws as often as its kind says, and counts.
#[derive(Debug, Clone, Copy)]
struct Drawing;

impl Drawing {
    fn draw(call: &Call<'_>, names: &[&str]) {
        for name in names {
            MADE.set(MADE.get() + 1);
            assert!((0.0..1.0).contains(&call.draw(name)));
        }
    }
}

impl Fault for Drawing {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Self::draw(call, &["one", "two", "three"]);
        Ok(Verdict::Pass)
    }
}

impl Responder for Drawing {
    fn respond(&self, call: &Call<'_>, _choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        Self::draw(call, &["tone"]);
        Ok(vec![Answer { items: vec![Item::Text("one two three".to_owned())], finish: Finish::Stop }])
    }
}

impl Latency for Drawing {
    fn plan(&self, call: &Call<'_>, _output_tokens: u32) -> Result<Schedule, BehaviorError> {
        Self::draw(call, &["mood", "weather"]);
        Ok(Schedule {
            first: Delay::Uniform(0, 1_000_000),
            between: Delay::Uniform(0, 1_000_000),
            pauses: Vec::new(),
            rules: None,
        })
    }
}

macro_rules! makes {
    ($maker:ident: $kind:ident) => {
        impl Maker<dyn $kind> for $maker {
            fn summary(&self) -> &str {
                "draws"
            }

            fn make(&self, _options: &Value, _setting: &Setting) -> Result<Arc<dyn $kind>, Vec<Problem>> {
                Ok(Arc::new(Self))
            }
        }
    };
}
makes!(Drawing: Fault);
makes!(Drawing: Responder);
makes!(Drawing: Latency);
makes!(Failing: Responder);

/// The explanation of one request to a model whose behaviours all draw.
fn drawn_explanation() -> Explanation {
    let text =
        "simwright: 1\ntokens: exact\nmodels: [{ match: test, faults: [drawing, drawing], reply: drawing, latency: drawing }]\n";
    let generation = generation(text, |catalog| {
        catalog.fault.insert("drawing".to_owned(), Arc::new(Drawing));
        catalog.responder.insert("drawing".to_owned(), Arc::new(Drawing));
        catalog.latency.insert("drawing".to_owned(), Arc::new(Drawing));
    });
    let request = Arc::new(testing::request("hi"));
    let identity = Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 };
    Explanation::of(&generation, 0, &request, &Facts { input_tokens: 10, ..Facts::first(identity) }, &Draws::default())
}

#[test]
fn every_draw_of_a_plan_is_shown_by_name() {
    let explanation = drawn_explanation();
    let of_behaviours = MADE.get();
    assert_eq!(of_behaviours, 3 + 3 + 1 + 2);
    let names: Vec<String> = explanation.draws.iter().map(|draw| format!("{}: {}", draw.scope, draw.name)).collect();
    let delays = ["first token", "gap after token 1", "gap after token 2"].map(|name| format!("latency drawing: {name}"));
    // Three tokens: each delay is a draw of the plan's own, as is the seed of the only choice.
    assert_eq!(names.len(), of_behaviours + 1 + delays.len(), "{names:#?}");
    assert_eq!(names[..4], ["fault 1 drawing: one", "fault 1 drawing: two", "fault 1 drawing: three", "fault 2 drawing: one"]);
    assert_eq!(
        names[6..10],
        ["reply drawing: tone", "reply drawing: choice 0", "latency drawing: mood", "latency drawing: weather"]
    );
    assert_eq!(names[10..], delays);
    let mut values: Vec<String> = explanation.draws.iter().map(|draw| format!("{:?}", draw.value)).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), names.len(), "two draws share a key");
    let (text, json) = (explanation.text(), explanation.json());
    assert_eq!(json["draws"].as_array().map(Vec::len), Some(names.len()));
    for name in names {
        assert!(text.contains(&name), "`{name}` is missing in:\n{text}");
    }
}

#[test]
fn the_delays_of_the_time_line_are_what_their_draws_say() {
    let explanation = drawn_explanation();
    let delays: Vec<f64> = explanation.draws[10..].iter().map(|draw| drawn(draw.value).as_f64().expect("a number")).collect();
    let mut at = 0.0;
    for (delay, step) in delays.iter().zip(&explanation.steps) {
        at += delay * 1e9;
        assert!((step.at as f64 - at).abs() < 10.0, "{} is not {at}", step.at);
    }
}
