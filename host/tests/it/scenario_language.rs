use std::path::Path;

use serde_json::{Value, json};
use simwright::app;
use simwright::scenario::read;

use super::support::client::{self, Reply};
use super::support::guests::workspace;
use super::support::host::{TestHost, ask, ask_streamed, eventually};
use super::support::readme::blocks;

const QUICK: &str = "
simwright: 1
defaults:
  latency: { constant: { first: 0ms, between: 0ms } }
  reply: { fixed: { text: fine } }
";

fn host(text: &str) -> TestHost {
    TestHost::start(&format!("{QUICK}{text}"))
}

/// Asks the admin door; the body is JSON or nothing.
fn admin(host: &TestHost, method: &str, path: &str, body: &str) -> Reply {
    client::send(host.admin, method, path, &[], body.as_bytes())
}

fn status(host: &TestHost, model: &str, headers: &[(&str, &str)]) -> u16 {
    host.chat_with(&ask(model, "x"), headers).status
}

#[test]
fn a_script_fails_the_attempts_that_it_names_and_then_succeeds() {
    let host = host(
        "models:
  - match: scripted
    faults: [{ script: [{ http-error: { status: 429 } }, { http-error: { status: 503 } }] }]
  - match: endless
    faults: [{ script: [{ http-error: { status: 500 } }, pass], then: repeat }]
",
    );
    // A client that says which attempt it is, as official SDKs do; another request in between changes nothing.
    for (attempt, expected) in [("0", 429), ("1", 503), ("0", 429), ("2", 200), ("3", 200)] {
        assert_eq!(status(&host, "scripted", &[("x-stainless-retry-count", attempt)]), expected, "attempt {attempt}");
    }
    // One that says nothing: each time it asks the same it is the next attempt.
    let asked: Vec<u16> = (0..4).map(|_| host.chat(&ask("scripted", "said nothing")).status).collect();
    assert_eq!(asked, [429, 503, 200, 200]);
    let asked: Vec<u16> = (0..5).map(|_| status(&host, "endless", &[("x-simwright-identity", "one")])).collect();
    assert_eq!(asked, [500, 200, 500, 200, 500]);
}

#[test]
fn a_fault_strikes_only_requests_that_its_conditions_fit() {
    let fault = |status: u16, when: &str| format!("      - {{ http-error: {{ status: {status} }}, when: {{ {when} }} }}\n");
    let faults = [
        fault(401, "header: { x-team: [red*, blue] }"),
        fault(402, "tenant: acme-*"),
        fault(403, "content: '*refund*', not: { content: '*please*' }"),
        fault(404, "stream: true, messages: 2"),
        fault(405, "prompt-tokens: '>= 100'"),
        fault(406, "requests: 8.."),
        fault(407, "any: [{ model: two }, { tools: true }]"),
    ];
    let host = host(&format!("models:\n  - match: [one, two]\n    faults:\n{}", faults.concat()));
    let chat = |body: &Value, headers: &[(&str, &str)]| host.chat_with(body, headers).status;
    let one = ask("one", "x");
    let mut two_messages = ask_streamed("one", "x");
    two_messages["messages"] = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]);
    assert_eq!(chat(&one, &[("x-team", "red-2")]), 401);
    assert_eq!(chat(&one, &[("x-team", "green"), ("openai-organization", "acme-eu")]), 402);
    assert_eq!(chat(&ask("one", "My REFUND!"), &[]), 403);
    assert_eq!(chat(&ask("one", "My refund, please"), &[]), 200);
    assert_eq!(chat(&two_messages, &[]), 404);
    assert_eq!(chat(&ask("one", &"many words ".repeat(100)), &[]), 405);
    assert_eq!(chat(&ask("two", "x"), &[]), 407);
    assert_eq!(chat(&one, &[]), 406);
}

#[test]
fn latency_replies_and_entries_are_chosen_by_their_conditions() {
    let host = host(
        "tenant-header: x-customer
models:
  - { name: for-acme, match: 'gpt-*', when: { tenant: acme }, reply: { fixed: { text: for acme } } }
  - { name: first-two, match: gpt-4o, when: { requests: ..2 }, reply: { fixed: { text: early } } }
  - match: gpt-4o
    reply:
      - { fixed: { text: streamed }, when: { stream: true } }
      - { fixed: { text: whole } }
  - { match: claude, when: { tenant: acme } }
",
    );
    let said =
        |body: &Value, headers: &[(&str, &str)]| host.chat_with(body, headers).json()["choices"][0]["message"]["content"].clone();
    let body = ask("gpt-4o", "x");
    assert_eq!(said(&body, &[("x-customer", "acme")]), "for acme");
    assert_eq!([said(&body, &[]), said(&body, &[]), said(&body, &[])], ["early", "early", "whole"]);
    assert!(host.chat(&ask_streamed("gpt-4o", "x")).text().contains("streamed"));
    assert_eq!(status(&host, "claude", &[]), 404);
    assert_eq!(status(&host, "claude", &[("x-customer", "acme")]), 200);
    let models = client::send(host.api, "GET", "/v1/models", &[], b"").json();
    let ids: Vec<_> = models["data"].as_array().expect("a list").iter().map(|model| model["id"].clone()).collect();
    assert_eq!(ids, ["gpt-4o"]);
}

const BAD_DAY: &str = "
incidents:
  brown-out:
    faults: [{ http-error: { status: 529 } }]
  outage: { faults: [{ http-error: { status: 503 } }] }
  other-words: { models: second, reply: { fixed: { text: changed } } }
phases:
  start: hand
  repeat: 2
  line:
    - { name: calm, for: 2 requests }
    - { name: outage, for: hand, incidents: [outage, other-words] }
    - { name: recovery, for: 200 requests, incidents: [brown-out], ramp: down }
models:
  - match: first
  - match: second
    faults: [{ http-error: { status: 418 }, when: { content: tea } }]
";

#[test]
fn phases_follow_each_other_by_count_and_by_hand() {
    let host = host(BAD_DAY);
    let phase = |reply: &Reply| (reply.json()["state"].clone(), reply.json()["phase"].clone());
    assert_eq!(phase(&admin(&host, "GET", "/phases", "")), (json!("waiting"), Value::Null));
    assert_eq!(status(&host, "first", &[]), 200);
    assert_eq!(phase(&admin(&host, "POST", "/phases/start", "")), (json!("running"), json!("calm")));
    let day: Vec<u16> = (0..4).map(|_| status(&host, "first", &[])).collect();
    assert_eq!(day, [200, 200, 503, 503]);
    let shown = admin(&host, "GET", "/phases", "").json();
    assert_eq!((&shown["phase"], &shown["requests"], &shown["next"]), (&json!("outage"), &json!(2), &json!("recovery")));
    assert_eq!(host.metric("simwright_phase", &["phase=\"outage\""]), 1.0);
    assert_eq!(host.metric("simwright_incident_strength", &["incident=\"outage\""]), 1.0);

    // A ramp from all to nothing over 200 requests with contents of their own: half of them, within four standard deviations
    // (the sum of p·(1-p) is a sixth of 200).
    admin(&host, "POST", "/phases/next", "");
    let met: Vec<u16> = (0..200).map(|number| host.chat(&ask("first", &format!("request {number}"))).status).collect();
    let count = |part: &[u16]| part.iter().filter(|status| **status == 529).count() as f64;
    assert_eq!(met[0], 529);
    assert!((count(&met) - 100.0).abs() < 4.0 * (200.0_f64 / 6.0).sqrt(), "{}", count(&met));
    assert!(count(&met[..50]) > count(&met[150..]) + 15.0);

    // The second round, and after it nothing.
    assert_eq!(phase(&admin(&host, "GET", "/phases", "")), (json!("running"), json!("calm")));
    assert_eq!(phase(&admin(&host, "PUT", "/phases/recovery", "")), (json!("running"), json!("recovery")));
    assert_eq!(phase(&admin(&host, "POST", "/phases/next", "")), (json!("over"), Value::Null));
    assert_eq!(status(&host, "first", &[]), 200);
    let refused = admin(&host, "PUT", "/phases/outrage", "");
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json()["error"], "the scenario has no phase `outrage`; it has: calm, outage, recovery");
}

#[test]
fn incidents_come_before_a_models_own_behaviours_and_concern_only_their_models() {
    let host = host(BAD_DAY);
    let said = |model: &str| host.chat(&ask(model, "tea")).json()["choices"][0]["message"]["content"].clone();
    assert_eq!(host.chat(&ask("second", "tea")).status, 418);
    admin(&host, "PUT", "/incidents/outage", "");
    assert_eq!(host.chat(&ask("second", "tea")).status, 503);
    admin(&host, "PUT", "/incidents/other-words", "");
    admin(&host, "DELETE", "/incidents/outage", "");
    assert_eq!(said("first"), "fine");
    assert_eq!(host.chat(&ask("second", "coffee")).json()["choices"][0]["message"]["content"], "changed");
}

#[test]
fn an_operators_switch_has_a_strength_goes_before_the_phase_and_survives_a_reload() {
    let host = host(BAD_DAY);
    admin(&host, "PUT", "/phases/outage", "");
    assert_eq!(status(&host, "first", &[]), 503);
    assert_eq!(admin(&host, "PUT", "/incidents/outage", "{\"strength\": 0}").status, 200);
    assert_eq!(status(&host, "first", &[]), 200);
    assert_eq!(admin(&host, "PUT", "/incidents/outage", "{\"strength\": \"50%\"}").json()["incidents"][1]["strength"], 0.5);

    let changed = format!("{QUICK}{}", BAD_DAY.replace("status: 503", "status: 502"));
    std::fs::write(host.scenario_file(), changed).expect("written");
    host.app().reload().expect("a good scenario");
    let met = (0..200).filter(|number| host.chat(&ask("first", &format!("request {number}"))).status == 502).count() as f64;
    assert!((met - 100.0).abs() < 4.0 * (200.0_f64 / 4.0).sqrt(), "{met}");
    // The line is the same, so it goes on.
    admin(&host, "DELETE", "/incidents/outage", "");
    assert_eq!(admin(&host, "GET", "/phases", "").json()["phase"], "outage");
    assert_eq!(status(&host, "first", &[]), 502);

    // Another line begins anew.
    let changed = format!("{QUICK}{}", BAD_DAY.replace("repeat: 2", "repeat: 3"));
    std::fs::write(host.scenario_file(), changed).expect("written");
    host.app().reload().expect("a good scenario");
    assert_eq!(admin(&host, "GET", "/phases", "").json()["state"], "waiting");
    for (path, body, expected) in [
        ("/incidents/outrage", "", 404),
        ("/incidents/outage", "{\"strength\": 2}", 400),
        ("/incidents/outage", "{\"strenght\": 1}", 400),
        ("/incidents/outage", "[", 400),
    ] {
        assert_eq!(admin(&host, "PUT", path, body).status, expected, "{path} {body}");
    }
}

#[test]
fn what_is_active_applies_without_phases_and_a_page_from_elsewhere_changes_nothing() {
    let host =
        host("active: out\nincidents: { out: { faults: [{ http-error: { status: 503 } }] } }\nmodels: [{ match: active }]\n");
    assert_eq!(status(&host, "active", &[]), 503);
    assert_eq!(admin(&host, "GET", "/phases", "").status, 404);
    let from =
        |origin: &str| client::send(host.admin, "PUT", "/incidents/out", &[("origin", origin)], b"{\"strength\": 0}").status;
    assert_eq!((from("https://evil.example"), from("null")), (403, 403));
    assert_eq!(status(&host, "active", &[]), 503);
    assert_eq!(from("http://localhost:3000"), 200);
    assert_eq!(status(&host, "active", &[]), 200);
    eventually("the strength is shown", || host.metric("simwright_incident_strength", &["incident=\"out\""]) == 0.0);
}

#[test]
fn an_included_file_is_followed_even_before_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = folder.path().join("shared/models.yaml");
    std::fs::create_dir(folder.path().join("shared")).expect("made");
    let model = |name: &str, text: &str| format!("models: [{{ match: {name}, reply: {{ fixed: {{ text: {text} }} }} }}]\n");
    std::fs::write(&part, model("included", "before")).expect("written");
    let main = format!("{QUICK}include: shared/models.yaml\n{}", model("own", "mine"));
    let host = TestHost::start_in(folder, &main, None);
    let said = |name: &str| host.chat(&ask(name, "x")).text().to_owned();
    assert!(said("own").contains("mine") && said("included").contains("before"));

    std::fs::write(&part, model("included", "after")).expect("written");
    eventually("the saved file answers", || said("included").contains("after"));

    std::fs::write(host.scenario_file(), main.replace("models.yaml", "later.yaml")).expect("written");
    let refusal = host.app().reload().expect_err("no such file").to_string();
    assert!(refusal.contains("scenario.yaml:6:10: there is no file `") && refusal.contains("shared/later.yaml"), "{refusal}");
    assert!(said("included").contains("after"));
    std::fs::write(part.with_file_name("later.yaml"), model("included", "at last")).expect("written");
    eventually("the file is there, and with it the scenario", || said("included").contains("at last"));

    std::fs::write(part.with_file_name("later.yaml"), "models: [{ match: included, latncy: 1 }]\n").expect("written");
    let refusal = host.app().reload().expect_err("a mistake").to_string();
    assert!(refusal.contains("later.yaml:1:29: unknown field `latncy`"), "{refusal}");
    assert!(refusal.contains(" 1 | models: [{ match: included, latncy: 1 }]"), "{refusal}");
}

#[test]
fn every_example_of_the_language_is_a_scenario_that_starts() {
    let read = |document: &str| std::fs::read_to_string(workspace().join("docs").join(document)).expect("the document");
    let (language, stations) = (read("scenario.md"), read("stations.md"));
    let mut examples = blocks(&language);
    examples.extend(blocks(&stations));
    examples.retain(|block| block.language == "yaml");
    assert!(examples.len() >= 9);
    for example in examples {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("shared")).expect("made");
        std::fs::write(folder.path().join("shared/incidents.yaml"), "incidents: { out: { faults: [none] } }\n").expect("written");
        std::fs::write(folder.path().join("shared/models.yaml"), "models: [{ match: theirs }]\n").expect("written");
        let path = folder.path().join("scenario.yaml");
        std::fs::write(&path, &example.text).expect("written");
        app::check(Some(&path)).unwrap_or_else(|error| panic!("the block in line {}:\n{error}", example.line));
    }
}

#[test]
fn every_condition_that_is_read_is_explained() {
    let text = std::fs::read_to_string(workspace().join("docs/scenario.md")).expect("the document");
    let rows = rows(&text, "| condition");
    for known in known_fields("models: [{ match: a, when: { zzzzz: 1 } }]\n") {
        assert!(rows.iter().any(|row| row.contains(&format!("`{known}`"))), "`{known}` has no row");
    }
}

#[test]
fn every_field_of_stations_and_stages_is_explained() {
    let text = std::fs::read_to_string(workspace().join("docs/scenario.md")).expect("the document");
    let stages = rows(&text, "| field");
    for known in known_fields("models: [{ match: a, pipeline: [{ b: { zzzzz: 1 } }] }]\n") {
        assert!(stages.iter().any(|row| row.contains(&format!("`{known}`"))), "`{known}` has no row");
    }
    let text = std::fs::read_to_string(workspace().join("docs/stations.md")).expect("the document");
    // What the reader itself says that there is.
    let draft = read::parse("s.yaml", "simwright: 1\nmodels: [{ match: a }]\nstations: { a: { zzzzz: {} } }\n", Path::new(""));
    let kinds = draft.expect("read").problems[0].hint.clone().expect("a hint");
    let kinds = kinds.rsplit("kinds ").next().expect("kinds");
    assert!(kinds.starts_with("pool, "), "{kinds}");
    for kind in kinds.split(", ") {
        let chapter = text.split(&format!("\n## `{kind}`\n")).nth(1).unwrap_or_else(|| panic!("`{kind}` has no chapter"));
        let chapter = chapter.split("\n## ").next().expect("a chapter");
        for known in known_fields(&format!("models: [{{ match: a }}]\nstations: {{ a: {{ {kind}: {{ zzzzz: 1 }} }} }}\n")) {
            assert!(chapter.contains(&format!("`{known}`")), "`{known}` of `{kind}` is not explained");
        }
    }
    for preset in simwright::station::replica::presets::ALL {
        assert!(text.contains(&format!("`{}`", preset.name)), "{} is not listed", preset.name);
    }
}

/// The first cells of the table in `text` whose head begins with `head`.
fn rows<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let table = text.lines().skip_while(|line| !line.starts_with(head)).take_while(|line| line.starts_with('|'));
    table.skip(2).filter_map(|line| line.split('|').nth(1)).collect()
}

/// The fields that the reader itself says that it knows, beside the unknown field in `sections`.
fn known_fields(sections: &str) -> Vec<String> {
    let draft = read::parse("s.yaml", &format!("simwright: 1\n{sections}"), Path::new("")).expect("read");
    let hint = draft.problems.iter().find_map(|problem| problem.hint.as_deref()?.strip_prefix("known fields: ")).expect("a hint");
    hint.split(", ").map(str::to_owned).collect()
}
