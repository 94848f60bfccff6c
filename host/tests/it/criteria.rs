use std::time::Duration;

use serde_json::Value;
use simwright::app::verdict::{AskError, ask as ask_verdict};
use simwright::types::criterion;

use super::support::client;
use super::support::guests::workspace;
use super::support::host::{TestHost, ask, ask_streamed, eventually};

/// `refusing` refuses everything and asks for an hour's patience, `cutting` cuts every stream; `good` answers.
const SCENARIO: &str = "
simwright: 1
models:
  - match: good
    latency: { constant: { first: 20ms, between: 1ms } }
    reply: { fixed: { text: one two three four } }
  - match: refusing
    faults: [{ http-error: { status: 429, retry-after: 1h } }]
  - match: hasty
    faults: [{ http-error: { status: 503 } }]
  - match: cutting
    latency: { constant: {} }
    reply: { fixed: { text: one two three four } }
    faults: [{ cut: { at: 50%, how: end } }]
  - match: endless
    reply: { text: { tokens: 10000 } }
criteria:
CRITERIA";

fn host(criteria: &[&str]) -> TestHost {
    let lines: String = criteria.iter().map(|criterion| format!("  - {criterion}\n")).collect();
    TestHost::start(&SCENARIO.replace("CRITERIA", &lines))
}

/// What `GET /criteria` says.
fn verdict(host: &TestHost) -> Value {
    let reply = client::send(host.admin, "GET", "/criteria", &[], b"");
    assert_eq!(reply.status, 200);
    reply.json()
}

fn named(host: &TestHost, model: &str, identity: &str) -> u16 {
    host.chat_with(&ask(model, "x"), &[("x-simwright-identity", identity)]).status
}

#[test]
fn a_run_is_judged_by_what_was_measured_of_it() {
    let host = host(&[
        "p50 ttft of good >= 20ms",
        "p50 ttft of good < 1ms",
        "requests of good = 3",
        "max gap of good < 1h",
        "errors of good < 1%",
        "errors <= 25%",
        "refusals = 2",
        "tokens/s of good > 0",
        "p99 ttft of endless < 1h",
    ]);
    (0..2).for_each(|_| drop(host.chat(&ask("good", "x"))));
    host.chat(&ask_streamed("good", "x"));
    assert_eq!(host.chat(&ask("refusing", "x")).status, 429);
    assert_eq!(host.chat(&ask("no-such-model", "x")).status, 404);
    let verdict = verdict(&host);
    let kept: Vec<_> = verdict["criteria"].as_array().expect("a list").iter().map(|one| one["kept"].as_bool()).collect();
    // Two of five requests failed; nobody asked `endless`.
    assert_eq!(kept, [true, false, true, true, true, false, true, true, false].map(Some), "{verdict:#}");
    assert_eq!((&verdict["kept"], &verdict["total"]["requests"]), (&false.into(), &5.into()));
    assert_eq!((&verdict["models"]["good"]["gap"]["count"], &verdict["models"][""]["refusals"]), (&3.into(), &1.into()));
}

#[test]
fn a_client_that_ignores_what_it_is_told_is_found_out_and_a_patient_one_is_not() {
    let host = host(&["ignored retry-after = 0", "retry storms = 0", "retries of refusing = 1", "retries of hasty <= 6"]);
    for identity in ["patient-1", "patient-2"] {
        assert_eq!(named(&host, "refusing", identity), 429);
    }
    assert_eq!(verdict(&host)["criteria"][0]["measured"], 0.0);
    // An hour has not passed.
    assert_eq!(named(&host, "refusing", "patient-2"), 429);
    assert_eq!(verdict(&host)["criteria"][0]["measured"], 1.0);
    // One request and six retries at once are a storm.
    (0..7).for_each(|_| assert_eq!(named(&host, "hasty", "storm"), 503));
    let verdict = verdict(&host);
    let measured = |index: usize| verdict["criteria"][index]["measured"].as_f64();
    assert_eq!([0, 1, 2, 3].map(measured), [1.0, 1.0, 1.0, 6.0].map(Some), "{verdict:#}");
    assert_eq!(host.metric("simwright_client_retry_storms_total", &["model=\"hasty\""]), 1.0);
    assert_eq!(host.metric("simwright_client_ignored_retry_after_total", &["model=\"refusing\""]), 1.0);
}

#[test]
fn a_truncated_reply_counts_as_accepted_until_its_client_asks_again() {
    let host = host(&["truncated accepted = 0", "errors of cutting = 3"]);
    let ask = |identity: &str| host.chat_with(&ask_streamed("cutting", "x"), &[("x-simwright-identity", identity)]);
    assert!(!ask("one").text().contains("[DONE]"));
    ask("two");
    assert_eq!(verdict(&host)["criteria"][0]["measured"], 2.0);
    // Its answer is cut, too: it has come again, and been cut again.
    ask("two");
    let verdict = verdict(&host);
    assert_eq!((&verdict["criteria"][0]["measured"], &verdict["criteria"][1]["kept"]), (&2.0.into(), &true.into()));
    assert_eq!(verdict["total"]["retries"], 1);
    // At the same identity a good answer settles it.
    assert_eq!(named(&host, "good", "one"), 200);
    assert_eq!(self::verdict(&host)["criteria"][0]["measured"], 1.0);
}

#[test]
fn a_client_that_leaves_is_counted_as_gone_and_not_as_an_error() {
    let host = host(&["abandoned = 1", "errors = 0", "requests = 1"]);
    let mut socket = client::open(host.api);
    use std::io::{Read, Write};
    let body = ask_streamed("endless", "x").to_string();
    socket.write_all(&client::request("POST", "/v1/chat/completions", &[], body.as_bytes())).expect("taken");
    socket.read_exact(&mut [0; 64]).expect("the stream begins");
    drop(socket);
    eventually("the server notices that its client has left", || verdict(&host)["kept"] == true);
}

#[test]
fn the_verdict_is_the_same_at_the_end_and_counts_across_reloads() {
    let host = host(&["requests of good = 2"]);
    host.chat(&ask("good", "x"));
    std::fs::write(host.scenario_file(), SCENARIO.replace("CRITERIA", "  - requests of good = 2\n  - errors = 0\n"))
        .expect("written");
    host.app().reload().unwrap_or_else(|error| panic!("{error}"));
    host.chat(&ask("good", "y"));
    assert!(host.app().verdict().is_kept());
    let verdict = host.into_app().finish(Duration::from_secs(5)).verdict;
    assert_eq!((verdict.judgements.len(), verdict.is_kept()), (2, true), "{}", verdict.text());
}

#[test]
fn a_running_server_tells_its_verdict_as_a_table_or_as_json() {
    let host = host(&["errors = 0", "requests of good >= 1"]);
    let admin = host.admin.to_string();
    let table = ask_verdict(&admin, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((table.kept, table.text.lines().last()), (false, Some("1 of 2 criteria broken")));
    host.chat(&ask("good", "x"));
    let json = ask_verdict(&format!("http://{admin}/"), true).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((json.kept, serde_json::from_str::<Value>(&json.text).expect("JSON")), (true, verdict(&host)));
    // The data door is not the admin door, and a closed one is named with a way out.
    assert!(matches!(ask_verdict(&host.api.to_string(), false), Err(AskError::Stranger(_))));
    host.into_app().stop(Duration::from_secs(1));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let error = ask_verdict(&closed, false).expect_err("nobody listens").to_string();
    assert!(error.contains(&closed) && error.contains("admin="), "{error}");
}

#[test]
fn the_table_of_metrics_in_the_example_has_a_row_for_every_metric_and_no_other() {
    let readme = std::fs::read_to_string(workspace().join("examples/ci/README.md")).expect("a README");
    let rows: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, criterion::metrics().collect::<Vec<_>>());
}
