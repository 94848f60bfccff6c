//! Changes that are tried on a share of the requests first: who is asked, what ends a trial, and what is said of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::client::{self, Reply};
use super::support::guests::adversary;
use super::support::host::{TestHost, ask, eventually};

/// A scenario whose model answers `word` and has `more`.
fn scenario(word: &str, more: &str) -> String {
    format!(
        "
simwright: 1
plugins: {{ guest: {{ file: ./guest.wasm }} }}
models:
  - {{ match: said, latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: {word} }} }}, {more} }}
"
    )
}

/// A fault that panics at every request.
const CLUMSY: &str = "faults: [{ guest: { configure: clumsy } }]";

fn host() -> TestHost {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(adversary(), folder.path().join("guest.wasm")).expect("copied");
    TestHost::start_in(folder, &scenario("one", ""), Some(7))
}

fn put(host: &TestHost, query: &str, text: &str) -> Reply {
    client::send(host.admin, "PUT", &format!("/scenario?{query}"), &[("content-type", "text/yaml")], text.as_bytes())
}

fn post(host: &TestHost, path: &str) -> Reply {
    client::send(host.admin, "POST", path, &[], b"")
}

fn told(host: &TestHost) -> Value {
    client::send(host.admin, "GET", "/generations", &[], b"").json()
}

/// What `GET /generations` says of generation `number`.
fn of(told: &Value, number: u64) -> Value {
    told["generations"].as_array().expect("a list").iter().find(|one| one["number"] == number).cloned().expect("listed")
}

/// The generation that answers a request of `identity`, and the status.
fn answer(host: &TestHost, identity: usize) -> (u64, u16) {
    let reply = host.chat_with(&ask("said", "x"), &[("x-simwright-identity", &identity.to_string())]);
    (reply.header("x-simwright-generation").and_then(|number| number.parse().ok()).expect("a number"), reply.status)
}

fn ended(host: &TestHost, outcome: &str) -> f64 {
    host.metric("simwright_canaries_total", &[&format!("outcome=\"{outcome}\"")])
}

#[test]
fn a_canary_whose_plugin_fails_is_rolled_back_and_says_why() {
    let host = host();
    let before = ended(&host, "rolled-back");
    let begun = put(&host, "canary=50%25&requests=1000&max-failures=1%25", &scenario("two", CLUMSY));
    assert_eq!((begun.status, &begun.json()["state"], &begun.json()["generation"]), (200, &json!("canary"), &json!(2)));
    assert_eq!(of(&told(&host), 2)["state"], "canary");
    assert_eq!(told(&host)["canary"]["share"], 0.5);
    let answers: Vec<(u64, u16)> = (0..100).map(|identity| answer(&host, identity)).collect();
    // The first failure is forgiven, the second ends it; the requests of the other half never noticed.
    let failed: Vec<_> = answers.iter().filter(|(generation, _)| *generation == 2).collect();
    assert_eq!(failed, [&(2, 500), &(2, 500)]);
    assert!(answers.iter().all(|&(generation, status)| generation == 2 || status == 200));
    eventually("it is recorded", || of(&told(&host), 2)["note"].is_string());
    let record = told(&host);
    let note = of(&record, 2)["note"].as_str().expect("a note").to_owned();
    assert!(
        note.starts_with("rolled back: 2 of 2 requests failed, the first with: ") && note.contains("two left hands"),
        "{note}"
    );
    assert_eq!(
        (&of(&record, 2)["state"], &of(&record, 1)["state"], &record["canary"]),
        (&json!("gone"), &json!("running"), &json!(null))
    );
    assert!(ended(&host, "rolled-back") > before);
    assert_eq!(host.app().generation(), 1);
    // The next change has the next number.
    assert_eq!(put(&host, "", &scenario("three", "")).json()["generation"], 3);
}

#[test]
fn a_retry_meets_the_generation_of_the_first_attempt_and_enough_good_requests_promote_it() {
    let host = host();
    let before = ended(&host, "promoted");
    assert_eq!(put(&host, "canary=30%25&requests=60", &scenario("two", "")).status, 200);
    let side = |identity: usize| answer(&host, identity).0;
    let first: Vec<u64> = (0..30).map(side).collect();
    assert_eq!(first, (0..30).map(side).collect::<Vec<_>>());
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 2, "both answer: {first:?}");
    eventually("it has passed", || {
        (0..20).for_each(|identity| assert!(answer(&host, identity).0 > 0));
        host.app().generation() == 2
    });
    assert!((0..20).all(|identity| side(identity) == 2));
    let note = of(&told(&host), 2)["note"].as_str().expect("a note").to_owned();
    assert!(note.starts_with("promoted after its trial: none of ") && ended(&host, "promoted") > before, "{note}");
    // What it took the place of can be brought back.
    assert_eq!(post(&host, "/rollback").json()["generation"], 3);
    assert!(host.chat(&ask("said", "x")).text().contains("one"));
}

#[test]
fn faults_that_the_scenario_asks_for_are_no_failures_and_time_alone_promotes() {
    let host = host();
    let failing = scenario("two", "faults: [{ http-error: { rate: 100%, status: 500 } }]");
    assert_eq!(put(&host, "canary=50%25&for=300ms&max-failures=0%25", &failing).status, 200);
    eventually("its time is over", || {
        for (generation, status) in (0..10).map(|identity| answer(&host, identity)) {
            assert_eq!(status, if generation == 2 { 500 } else { 200 });
        }
        host.app().generation() == 2
    });
}

#[test]
fn a_newer_change_takes_a_canarys_place_and_says_so() {
    let host = host();
    assert_eq!(put(&host, "canary=50%25&for=60s", &scenario("two", "")).status, 200);
    let tagged = |tag: &str, word: &str| {
        let headers = [("content-type", "text/yaml"), ("if-match", tag)];
        client::send(host.admin, "PUT", "/scenario?canary=50%25&for=60s", &headers, scenario(word, "").as_bytes())
    };
    // Who read the running scenario does not know of the canary.
    let unaware = tagged("\"1\"", "three");
    assert!(unaware.status == 412 && unaware.text().contains("generation 2 is on trial"), "{}", unaware.text());
    let aware = tagged("\"2\"", "three");
    assert_eq!((aware.status, &aware.json()["superseded"], &aware.json()["generation"]), (200, &json!(2), &json!(3)));
    assert_eq!(of(&told(&host), 2)["note"], "gave way to generation 3");
    // By hand it ends at once.
    assert_eq!(post(&host, "/canary/abort").json(), json!({ "generation": 3, "state": "gone" }));
    assert_eq!(post(&host, "/canary/abort").status, 409);
    assert!((0..20).all(|identity| answer(&host, identity).0 == 1));
    assert_eq!(put(&host, "canary=1%25&for=60s", &scenario("four", "")).json()["generation"], 4);
    assert_eq!(post(&host, "/canary/promote").json(), json!({ "generation": 4, "state": "running" }));
    assert!((0..20).all(|identity| answer(&host, identity).0 == 4));
}

#[test]
fn a_trial_is_ended_by_hand_on_the_terms_of_the_request_and_shows_its_plugins() {
    let host = host();
    let on_trial = || client::send(host.admin, "GET", "/plugins", &[], b"").json()["on_trial"].take();
    assert_eq!(on_trial(), json!([]));
    assert_eq!(put(&host, "canary=50%25&for=60s", &scenario("two", CLUMSY)).status, 200);
    assert_eq!(on_trial()[0]["name"], "guest");
    for path in ["/canary/promote", "/canary/abort"] {
        let asked = post(&host, &format!("{path}?dry-run=true"));
        assert!(asked.status == 400 && asked.text().contains("`dry-run` is no option of this change"), "{}", asked.text());
        for tag in ["\"1\"", "\"9\""] {
            let other = client::send(host.admin, "POST", path, &[("if-match", tag)], b"");
            assert_eq!((other.status, &other.json()["generation"]), (412, &json!(2)), "{}", other.text());
        }
    }
    assert_eq!(told(&host)["canary"]["generation"], 2, "it is still on trial");
    assert_eq!(client::send(host.admin, "POST", "/canary/abort", &[("if-match", "\"2\"")], b"").status, 200);
    assert_eq!((on_trial(), host.app().generation()), (json!([]), 1));
}

#[test]
fn a_trial_that_nobody_has_asked_goes_on_after_its_time() {
    let host = host();
    let before = ended(&host, "promoted");
    assert_eq!(put(&host, "canary=50%25&for=20ms", &scenario("two", "")).status, 200);
    eventually("its time is over", || told(&host)["generations"][0]["age_s"].as_u64() >= Some(1));
    let still = told(&host);
    assert_eq!((&still["canary"]["requests"], &still["running"]), (&json!(0), &json!(1)), "{still}");
    eventually("it passes once it is asked", || {
        (0..10).for_each(|identity| assert_eq!(answer(&host, identity).1, 200));
        host.app().generation() == 2
    });
    assert!(ended(&host, "promoted") > before);
}

#[test]
fn a_scenario_says_itself_how_it_is_tried() {
    let host = host();
    let careful =
        |more: &str| format!("{}reload: {{ canary: {{ share: 50%, for: 60s, max-failures: 0% }} }}\n", scenario("two", more));
    std::fs::write(host.scenario_file(), careful(CLUMSY)).expect("written");
    eventually("it is on trial", || told(&host)["canary"]["generation"] == 2);
    eventually("it is rolled back", || {
        (0..10).for_each(|identity| assert!(answer(&host, identity).0 > 0));
        of(&told(&host), 2)["note"].as_str().is_some_and(|note| note.starts_with("rolled back"))
    });
    // The operator may overrule it.
    assert_eq!(put(&host, "canary=off", &careful("")).json()["state"], "running");
    assert_eq!(host.app().generation(), 3);
}

#[test]
fn an_operators_switch_reaches_the_generation_on_trial() {
    let host = host();
    let with_incident = |word: &str| {
        let incident = "incidents: { down: { faults: [{ http-error: { status: 503 } }] } }\n";
        format!("{}{incident}", scenario(word, ""))
    };
    assert_eq!(put(&host, "", &with_incident("two")).status, 200);
    assert_eq!(put(&host, "canary=50%25&for=60s", &with_incident("three")).status, 200);
    assert_eq!(client::send(host.admin, "PUT", "/incidents/down", &[], b"").status, 200);
    let answers: BTreeSet<(u64, u16)> = (0..40).map(|identity| answer(&host, identity)).collect();
    assert_eq!(answers, BTreeSet::from([(2, 503), (3, 503)]));
}

/// Routes in another order, one route more, and other manners.
const ROUTED: [&str; 2] = [
    "
simwright: 1
models: [{ match: routed, latency: { constant: {} } }]
routes:
  - { path: /a, model: routed, json: { from: 1 } }
",
    "
simwright: 1
api: { unknown-fields: reject }
models: [{ match: routed, latency: { constant: {} } }]
routes:
  - { path: /b, model: routed, json: { from: b } }
  - { path: /a, model: routed, json: { from: 2 } }
",
];

#[test]
fn who_meets_a_canary_meets_its_routes_and_manners_and_who_does_not_meets_the_others() {
    let host = TestHost::start_seeded(ROUTED[0], Some(7));
    assert_eq!(put(&host, "canary=50%25&for=60s", ROUTED[1]).status, 200);
    let mut met = BTreeSet::new();
    for identity in 0..20 {
        let headers = [("x-simwright-identity", &*identity.to_string()), ("content-type", "application/json")];
        let post = |path: &str, body: &str| client::send(host.api, "POST", path, &headers, body.as_bytes());
        let reply = post("/a", "{}");
        let generation: u64 = reply.header("x-simwright-generation").and_then(|number| number.parse().ok()).expect("a number");
        met.insert(generation);
        assert_eq!((reply.status, reply.json()), (200, json!({ "from": generation })));
        let only_new = post("/b", "{}");
        let strange = post(
            "/v1/chat/completions",
            &json!({"model": "routed", "messages": [{"role": "user", "content": "x"}], "fun": 1}).to_string(),
        );
        assert_eq!((only_new.status, strange.status), if generation == 2 { (200, 400) } else { (404, 200) });
        for reply in [only_new, strange] {
            assert_eq!(reply.header("x-simwright-generation"), Some(&*generation.to_string()));
        }
    }
    assert_eq!(met, BTreeSet::from([1, 2]));
    // Without an identity of their own, requests that say the same meet the same.
    let mut met = BTreeSet::new();
    for number in 0..20 {
        let body = json!({ "number": number }).to_string();
        let ask = || client::send(host.api, "POST", "/a", &[], body.as_bytes()).json()["from"].as_u64();
        assert_eq!(ask(), ask());
        met.insert(ask());
    }
    assert_eq!(met, BTreeSet::from([Some(1), Some(2)]));
}
