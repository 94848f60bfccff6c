use serde_json::json;

use super::*;
use crate::workload::gaps::Gaps;
use crate::workload::profile::Profile;

fn read_in(folder: &Path, value: &Value) -> Result<Workload, Vec<Problem>> {
    read(value, "/workload", &|_| folder)
}

fn good(value: &Value) -> Workload {
    let folder = tempfile::tempdir().expect("a folder");
    read_in(folder.path(), value).unwrap_or_else(|problems| panic!("{value}: {problems:#?}"))
}

fn problems(value: &Value) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let problems = read_in(folder.path(), value).expect_err("mistakes");
    problems.into_iter().map(|problem| (problem.pointer.clone(), problem.to_string())).collect()
}

fn arrivals(value: &Value) -> Arrivals {
    good(&json!({"arrivals": value, "classes": [{"model": "gpt-4o", "input": 10}]})).sources.remove(0).arrivals
}

#[test]
fn a_whole_section_is_read() {
    let workload = good(&json!({
        "arrivals": {"poisson": {"rate": "480/min"}},
        "classes": [
            {"name": "chat", "model": "gpt-4o", "weight": 3, "input": {"p50": 1000, "p99": 4000}, "output": {"exponential": {"mean": 200}},
             "tenants": {"acme": 3, "globex": 1}, "prefix": {"share": "80%", "groups": 20, "tokens": {"min": 500, "max": 900}}},
            {"name": "ping", "model": "gpt-4o", "prompt": "ping", "output": 1, "stream": false, "tenants": ["globex", "ops"],
             "arrivals": {"closed": {"users": 5, "think": "10s"}}},
        ],
        "client": {"retries": 4, "backoff": {"first": "1s", "factor": 3, "max": "20s", "jitter": 0.5}, "obey-retry-after": false,
                   "timeout": "30s", "retry-budget": "10%"},
        "requests": 1000, "until": "1h",
    }));
    assert_eq!(workload.tenants, ["acme", "globex", "ops"]);
    let sources: Vec<_> = workload.sources.iter().map(|source| (&*source.name, &*source.classes)).collect();
    assert_eq!(sources, [(SHARED_SOURCE, &[0][..]), ("ping", &[1])]);
    assert_eq!(workload.classes[1].tenants, [(1, 1.0), (2, 1.0)]);
    assert_eq!((workload.requests, workload.until), (Some(1_000), Some(3_600_000_000_000)));
    let client = Client {
        retries: 4,
        first_ns: 1_000_000_000,
        factor: 3.0,
        max_ns: 20_000_000_000,
        jitter: 0.5,
        obeys_up_to_ns: 0,
        timeout_ns: Some(30_000_000_000),
        retry_budget: Some(0.1),
    };
    assert_eq!(workload.client, client);
}

#[test]
fn every_way_of_coming_is_read() {
    let constant = |rate| Profile::constant(rate);
    for (value, expected, law) in [
        (json!({"every": "100ms"}), constant(10.0), Gaps::Even),
        (json!({"poisson": {"rate": 8}}), constant(8.0), Gaps::Exponential),
        (json!({"gamma": {"rate": 8, "cv": 2}}), constant(8.0), Gaps::Gamma { shape: 0.25 }),
        (
            json!({"ramp": {"from": 0, "to": "60/min", "over": "1m", "cv": 0}}),
            Profile::through(&[(0.0, 0.0), (60.0, 1.0)], false).expect("a profile"),
            Gaps::Even,
        ),
        (
            json!({"spike": {"base": 1, "peak": 9, "at": "5s", "for": "1s", "every": "10s"}}),
            Profile::through(&[(0.0, 1.0), (5.0, 1.0), (5.0, 9.0), (6.0, 9.0), (6.0, 1.0), (10.0, 1.0)], true)
                .expect("a profile"),
            Gaps::Exponential,
        ),
        (
            json!({"profile": {"points": [{"at": 0, "rate": 2}, {"at": "3s", "rate": 0}], "repeat": true}}),
            Profile::through(&[(0.0, 2.0), (3.0, 0.0)], true).expect("a profile"),
            Gaps::Exponential,
        ),
    ] {
        match arrivals(&value) {
            Arrivals::Rate { profile, gaps } => assert_eq!((&*profile, gaps), (&expected, law), "{value}"),
            other => panic!("{value}: {other:?}"),
        }
    }
    let Arrivals::Rate { profile: day, .. } = arrivals(&json!({"diurnal": {"low": 2, "high": 10}})) else { panic!("no rate") };
    assert_eq!(day.reached(6.0 * 86_400.0), Some(86_400_000_000_000));
    // The integral of 6 + 4 cos(2π (t - 14 h) / day) from 0 to 8 h is 6 · 8 h - 4 · day / 2π · 1.5.
    let until_8 = 6.0 * 28_800.0 - 4.0 * 86_400.0 / std::f64::consts::TAU * 1.5;
    let off = day.reached(until_8).expect("a time").abs_diff(28_800_000_000_000);
    assert!(off < 20_000_000_000, "{off} ns off");
    assert!(matches!(
        arrivals(&json!({"bursty": {"calm": {"rate": 0, "for": "10s"}, "burst": {"rate": 9, "for": "1s"}}})),
        Arrivals::Bursty(_)
    ));
}

#[test]
fn every_mistake_is_told_where_it_stands() {
    let found = problems(&json!({
        "arrivals": {"poison": {"rate": 8}},
        "classes": [
            {"name": "a b", "input": 0.5, "weight": 0},
            {"model": "m", "prompt": "x", "input": {"p50": 9, "p99": 1}, "tenants": {"acme": -1}},
            {"model": "m", "prefix": {"groups": 0}, "tenants": []},
            {"model": "n", "input": 5, "arrivals": {"poisson": {"rate": "8/year"}}},
        ],
        "client": {"retries": -1, "timeout": 0, "backoff": {"first": "1s", "max": "10ms"}, "obey-retry-after": false, "longest-retry-after": "1s"},
        "requests": 0, "until": 0, "unti": "1h",
    }));
    let expected = [
        ("/workload/arrivals/poison", "did you mean `poisson`?"),
        ("/workload/classes/0", "the field `model` is missing"),
        ("/workload/classes/0/name", "no spaces"),
        ("/workload/classes/0/weight", "nobody"),
        ("/workload/classes/1/input/p99", "shorter than `p50`"),
        ("/workload/classes/1/input", "`prompt` is a text of one length"),
        ("/workload/classes/1/tenants/acme", "expected a weight above 0"),
        ("/workload/classes/2", "the field `input` is missing"),
        ("/workload/classes/2/tenants", "there is no tenant"),
        ("/workload/classes/2/prefix/groups", "expected a whole number from 1"),
        ("/workload/classes/2/prefix", "the field `tokens` is missing"),
        ("/workload/classes/3/arrivals/poisson/rate", "`year` is no unit of time for a rate"),
        ("/workload/client/retries", "expected a whole number from 0 to 1000"),
        ("/workload/client/longest-retry-after", "obeys none"),
        ("/workload/client/timeout", "no answer comes in no time"),
        ("/workload/client/backoff/max", "`max` is shorter than `first`"),
        ("/workload/requests", "expected a whole number from 1"),
        ("/workload/until", "nothing comes before"),
        ("/workload/unti", "did you mean `until`?"),
    ];
    let mut left = found.clone();
    for (pointer, part) in expected {
        let at = left.iter().position(|(at, said)| at == pointer && said.contains(part));
        left.remove(at.unwrap_or_else(|| panic!("{pointer}: {part} is not in {found:#?}")));
    }
    assert_eq!(left, []);
}

#[test]
fn ways_in_which_nobody_comes_are_refused() {
    for (value, part) in [
        (json!({}), "nothing here says when requests come"),
        (json!({"poisson": {"rate": 0}}), "`rate` is 0"),
        (json!({"poisson": {"rate": -3}}), "expected a rate from 0"),
        (json!({"poisson": {"rate": 1}, "closed": {"users": 1, "think": 0}}), "one way of coming too many"),
        (json!({"every": "1s", "closed": {"users": 1, "think": 0}}), "one way of coming too many"),
        (json!({"every": 0}), "`every` is 0"),
        (json!({"gamma": {"rate": 1, "cv": 90}}), "expected a number from 0 to 50"),
        (json!({"ramp": {"from": 0, "to": 0, "over": "1s"}}), "nobody ever comes"),
        (json!({"spike": {"base": 1, "peak": 2, "at": "5s", "for": "5s", "every": "9s"}}), "the spike is not over"),
        (json!({"diurnal": {"low": 5, "high": 2}}), "`high` is less than `low`"),
        (json!({"diurnal": {"low": 1, "high": 2, "peak": "25h"}}), "not within the day"),
        (json!({"profile": {"points": [{"at": "5s", "rate": 1}, {"at": "4s", "rate": 1}]}}), "earlier than the one before"),
        (json!({"bursty": {"calm": {"rate": 0, "for": "1s"}, "burst": {"rate": 0, "for": "1s"}}}), "nobody comes"),
        (json!({"bursty": {"calm": {"rate": 1, "for": 0}, "burst": {"rate": 9, "for": "1s"}}}), "shorter than a millisecond"),
        (json!({"closed": {"users": 0, "think": "1s"}}), "expected a whole number from 1"),
        (json!({"trace": {"file": "../x.csv"}}), "not below the scenario's folder"),
        (json!({"trace": {"file": "x.csv"}}), "there is no file `x.csv`"),
        (json!({"trace": {"file": "x.csv", "format": "azur"}}), "did you mean `azure`?"),
        (json!("poisson"), "expected a map of fields"),
    ] {
        let found = problems(&json!({"arrivals": value, "classes": [{"model": "m", "input": 5}]}));
        assert!(
            found.iter().any(|(at, said)| at.starts_with("/workload/arrivals") && said.contains(part)),
            "{value}: {found:#?}"
        );
    }
    let found = problems(&json!({"classes": [{"model": "m", "input": 5}]}));
    assert_eq!(found[0].0, "/workload/classes/0");
    for (class, part) in [
        (json!({"model": "m", "prompt": "hi", "repeat": {"prompts": 5}}), "the same for every request"),
        (json!({"model": "m", "input": 5, "prefix": {"tokens": 5}, "repeat": {"prompts": 5}}), "shares all of itself"),
        (json!({"model": "m", "input": 5, "repeat": {"prompts": 0}}), "from 1 to 1000000"),
        (json!({"model": "m", "input": 5, "repeat": {}}), "`prompts`"),
    ] {
        let found = problems(&json!({"arrivals": {"every": "1s"}, "classes": [class]}));
        assert!(found.len() == 1 && found[0].1.contains(part), "{class}: {found:?}");
    }
    let found = problems(&json!({"arrivals": {"every": "1s"}, "classes": []}));
    assert!(found[0].1.contains("there is no class"), "{found:?}");
}

#[test]
fn a_bad_recording_is_told_with_its_own_lines_and_a_good_one_says_the_lengths() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |text: &str| std::fs::write(folder.path().join("t.jsonl"), text).expect("written");
    let section = |class: Value| json!({"arrivals": {"trace": {"file": "t.jsonl", "speed": 2}}, "classes": [class]});
    write("{\"at\": 1, \"input\": 5}\n{\"at\": 0, \"input\": 5}\n");
    let problems = read_in(folder.path(), &section(json!({"model": "m"}))).expect_err("mistakes");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].pointer, "/workload/arrivals/trace/file");
    assert!(problems[0].to_string().starts_with("t.jsonl:2:1: this request is earlier"), "{}", problems[0]);
    write("{\"at\": 1, \"input\": 5}\n{\"at\": 2, \"input\": 6}\n");
    assert!(read_in(folder.path(), &section(json!({"model": "m"}))).is_ok());
    let problems = read_in(folder.path(), &section(json!({"model": "m", "input": 5}))).expect_err("mistakes");
    assert!(problems[0].to_string().contains("the recording says how long"), "{problems:?}");
}

#[test]
fn what_is_read_fits_the_schema() {
    let value = json!({
        "arrivals": {"bursty": {"calm": {"rate": "1/min", "for": "10s"}, "burst": {"rate": 9, "for": "1s"}}},
        "classes": [{"model": "m", "input": {"p50": 5, "p99": 9}, "output": {"mixture": [{"share": 1, "constant": 5}]}, "tenants": {"a": 1},
                     "arrivals": {"spike": {"base": 1, "peak": 9, "at": "5s", "for": "1s", "cv": 3}}},
                    {"model": "n", "input": 5, "prefix": {"tokens": 5}},
                    {"name": "o", "model": "n", "input": 5, "repeat": {"prompts": 9, "zipf": 1, "share": "50%"}}],
        "client": {"backoff": {"jitter": "5%"}}, "until": "1h",
    });
    good(&value);
    let schema = jsonschema::validator_for(&schema::section()).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!schema.is_valid(&json!({"classes": [], "client": {"retry": 1}})));
    assert!(!schema.is_valid(&json!({"classes": [], "arrivals": {"poisson": {}}})));
}
