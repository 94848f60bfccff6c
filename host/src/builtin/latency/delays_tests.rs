//! Options of `delays` and of its short forms, and what they make.

use serde_json::json;

use super::*;
use crate::builtin::testing;
use crate::grammar::law::KINDS;

fn setting() -> Setting {
    Setting::default()
}

/// What `model` plans for a request with 1,000 tokens of prompt while `running` others are answered.
fn planned(model: &dyn Latency, running: u32) -> Schedule {
    let request = Arc::new(testing::request("hi"));
    let call = Call { input_tokens: 1_000, running, ..testing::call(&request, 1) };
    model.plan(&call, 10).expect("a schedule")
}

fn drawn(delay: Delay) -> Drawn {
    match delay {
        Delay::Law(drawn) => drawn,
        other => panic!("{other:?}"),
    }
}

fn pointers(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.pointer.as_str()).collect()
}

#[test]
fn each_delay_has_a_law_of_its_own() {
    let options = json!({"first": "350ms", "between": {"gamma": {"mean": "20ms", "shape": 2}}, "correlation": 0.5});
    let schedule = planned(&*Make::any().make(&options, &setting()).expect("good options"), 0);
    let (first, between) = (drawn(schedule.first), drawn(schedule.between));
    assert_eq!(first, Drawn::from(Arc::new(Law::constant(350e6))));
    assert_eq!((between.correlation, &*between.law), (0.5, &Law::gamma(20e6, 2.0)));
}

#[test]
fn a_short_form_is_the_law_for_both_delays() {
    let log_normal = Kind::find("log-normal").expect("a kind");
    let options = json!({"first": {"p50": "300ms", "p99": "1.2s", "max": "5s"}, "between": {"p50": "18ms", "p99": "60ms"}});
    let schedule = planned(&*Make::of(log_normal).make(&options, &setting()).expect("good options"), 0);
    assert_eq!(Some(&*drawn(schedule.first).law), Law::log_normal(300e6, 1_200e6).within(0.0, 5e9).as_ref());
    assert_eq!(*drawn(schedule.between).law, Law::log_normal(18e6, 60e6));
}

#[test]
fn every_kind_of_law_makes_a_latency_model() {
    for (name, parameters) in [
        ("uniform", json!({"min": "1ms", "max": "9ms"})),
        ("exponential", json!({"mean": "5ms", "min": "1ms"})),
        ("log-normal", json!({"p50": "5ms", "p99": "5ms"})),
        ("gamma", json!({"p50": "5ms", "p99": "20ms", "max": "30ms"})),
        ("weibull", json!({"scale": "5ms", "shape": 0.7})),
        ("pareto", json!({"min": "5ms", "shape": 1.5, "max": "1s"})),
        ("mixture", json!([{"share": "90%", "constant": "5ms"}, {"share": 0.1, "exponential": {"mean": "1s"}}])),
        ("empirical", json!({"values": ["5ms", "7ms"]})),
    ] {
        let options = json!({"first": parameters, "between": parameters});
        let made = Make::of(Kind::find(name).expect(name)).make(&options, &setting());
        assert!(made.is_ok(), "{name}: {:?}", made.err());
        let options = json!({"first": {name: parameters}});
        assert!(Make::any().make(&options, &setting()).is_ok(), "{name}");
    }
    assert_eq!(KINDS.len(), 9, "a new kind needs a line above");
}

#[test]
fn prefill_grows_with_the_prompt_and_delays_with_the_load() {
    let options = json!({
        "first": "100ms", "between": "10ms", "per-prompt-token": "80us",
        "load": {"first": "10%", "between": "1%", "above": 2, "max": 3},
    });
    let model = Make::any().make(&options, &setting()).expect("good options");
    for (running, first_factor, between_factor) in [(0, 1.0, 1.0), (2, 1.0, 1.0), (7, 1.5, 1.05), (1_000, 3.0, 3.0)] {
        let schedule = planned(&*model, running);
        let (first, between) = (drawn(schedule.first), drawn(schedule.between));
        assert_eq!((first.factor, between.factor), (first_factor, between_factor), "{running}");
        assert_eq!(first.extra_us, (80_000.0 * first_factor) as u32, "{running}");
    }
}

#[test]
fn every_mistake_is_reported_where_it_stands() {
    let options = json!({
        "first": {"log-normal": {"p50": "3s", "p99": "1s"}},
        "between": {"lognormal": {"p50": "3s", "p99": "1s"}},
        "per-prompt-token": {"uniform": {"min": "1ms", "max": "9ms"}, "gamma": {}},
        "pauses": [{"after": 0, "for": "1s"}, {"every": 5}, {"for": "1s"}, {"after": 1, "rate": "1%", "for": {}}],
        "load": {"max": 2},
        "correlation": 1,
        "secnd": 1,
    });
    let problems = Make::any().make(&options, &setting()).err().expect("mistakes");
    let expected = [
        "/first/log-normal/p99",
        "/between/lognormal",
        "/per-prompt-token/gamma",
        "/pauses/0/after",
        "/pauses/1",
        "/pauses/2",
        "/pauses/3/for",
        "/load",
        "/correlation",
        "/secnd",
    ];
    assert_eq!(pointers(&problems), expected, "{problems:#?}");
    assert_eq!(problems[1].hint.as_deref(), Some("did you mean `log-normal`?"));
    assert!(problems[2].message.contains("second law beside `uniform`"));

    let log_normal = Make::of(Kind::find("log-normal").expect("a kind"));
    let options = json!({"first": {"p50": "3s", "p99": "1s", "max": "2s", "p90": "1s"}});
    let problems = log_normal.make(&options, &setting()).err().expect("mistakes");
    assert_eq!(pointers(&problems), ["/first/p99", "/first/p90"]);
    let problems = log_normal.make(&json!({"between": {"p50": "1s", "p99": "3s"}}), &setting()).err().expect("a mistake");
    assert_eq!(pointers(&problems), [""]);
}

#[test]
fn without_a_law_between_tokens_nothing_lies_between_them() {
    let log_normal = Make::of(Kind::find("log-normal").expect("a kind"));
    let model = log_normal.make(&json!({"first": {"p50": "1s", "p99": "3s"}}), &setting()).expect("good options");
    assert_eq!(*drawn(planned(&*model, 0).between).law, Law::constant(0.0));
}

#[test]
fn parameters_that_make_no_law_are_refused_with_the_reason() {
    for (law, part) in [
        (json!({"uniform": {"min": "9ms", "max": "1ms"}}), "give the larger of the two as `max`"),
        (json!({"gamma": {"mean": "5ms"}}), "the field `shape` is missing"),
        (json!({"gamma": {"mean": "5ms", "p50": "5ms", "p99": "9ms"}}), "`mean` follows from `p50` and `p99`"),
        (json!({"gamma": {"p50": "5ms", "p99": "5.1ms"}}), "too near to `p50`"),
        (json!({"weibull": {"p50": "5ms", "p99": "5ms"}}), "`p99` is not longer than `p50`"),
        (json!({"exponential": {"mean": 0}}), "`mean` is 0"),
        (json!({"exponential": {"mean": "1ms", "min": "1s"}}), "less than one draw in a million lies above `min`"),
        (json!({"exponential": {"mean": "1ms", "min": "3ms", "max": "2ms"}}), "`max` is not longer than `min`"),
        (json!({"pareto": {"min": "5ms", "shape": 1, "max": "4ms"}}), "lies below `max`"),
        (json!({"mixture": [{"share": "50%", "constant": "1ms"}, {"share": "40%", "constant": "2ms"}]}), "add up to 90%"),
        (json!({"mixture": [{"share": 1, "mixture": []}]}), "holds no mixture"),
        (json!({"mixture": []}), "expected 1 to 32 laws"),
        (json!({}), "there is no law here"),
        (json!([]), "expected a delay, found a list"),
        (json!("2h"), "longer than an hour"),
        (json!(5), "`5` has no unit"),
    ] {
        let problems = Make::any().make(&json!({"first": law}), &setting()).err().unwrap_or_else(|| panic!("{law} is a law"));
        let said = problems[0].to_string();
        assert!(problems.len() == 1 && said.contains(part), "{law}: {problems:#?}");
        assert!(problems[0].pointer.starts_with("/first"), "{law}: {}", problems[0].pointer);
    }
}

#[test]
fn what_a_model_accepts_its_schema_accepts() {
    let options = json!({
        "first": {"log-normal": {"p50": "3s", "p99": "4s", "max": "9s"}},
        "between": {"mixture": {"of": [{"share": 1, "gamma": {"mean": "1ms", "shape": 2}}], "max": "5ms"}},
        "per-prompt-token": "80us",
        "pauses": [{"rate": "1%", "for": {"empirical": {"quantiles": {"p50": "1s", "p99.9": "2s"}}}}],
        "load": {"first": 0.1},
        "correlation": 0.5,
    });
    assert!(Make::any().make(&options, &setting()).is_ok());
    let schema = jsonschema::validator_for(&Make::any().schema()).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&options).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!schema.is_valid(&json!({"frist": "1s"})));
    assert!(!schema.is_valid(&json!({"first": {"gama": {}}})));
}
