//! Bad scenarios between good ones: each is refused with its places, `check` says the same, and what runs stays.

use simwright::app;
use simwright::engine::change::Declined;

use super::support::client;
use super::support::host::{TestHost, ask, full};

fn good(word: &str) -> String {
    format!(
        "simwright: 1\nmodels:\n  - {{ match: same, latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: {word} }} }} }}\n"
    )
}

/// A scenario with one mistake of a kind that `number` chooses; the number is in it, so that no two are alike.
fn bad(number: usize) -> Vec<u8> {
    let model = |entry: &str| format!("simwright: 1\nname: n{number}\nmodels:\n  - {{ match: same, {entry} }}\n");
    let top = |line: &str| format!("{}{line}\n", good(&format!("n{number}")));
    let text = match number % 25 {
        0 => top("models: ["),
        1 => top("modles: []"),
        2 => top("seed: -1"),
        3 => top("seed: .nan"),
        4 => top("seed: 1e400"),
        5 => top("name: 'two words'"),
        6 => top("tokens: guess"),
        7 => top("plugins: { gone: { file: ./gone.wasm } }"),
        8 => top("plugins: { core: { file: ./core.wasm } }"),
        9 => top("plugins: { other: { file: ./other.wasm } }"),
        10 => top("a: &a [*a]"),
        11 => top("---\nsimwright: 1"),
        12 => top("\ttabs: 1"),
        13 => model("latency: { constant: { first: 350 } }"),
        14 => model("latency: { constant: { first: 2h } }"),
        15 => model("latency: { warp: {} }"),
        16 => model("faults: [{ http-error: { rate: 101%, status: 500 } }]"),
        17 => model("faults: [{ http-error: { status: 200 } }]"),
        18 => model("reply: { fixed: { text: [1] } }"),
        19 => model("context-window: 0"),
        20 => format!("simwright: {}\nmodels: []\n", number + 2),
        21 => format!("# {number}\n"),
        22 => format!("simwright: 1\nmodels: [{}]\n", format!("{{ match: m{number} }}, ").repeat(2_000)),
        23 => format!("# {number}\n{}", "#".repeat(10 << 20)),
        _ => return [good("x").as_bytes(), b"name: \xff\n"].concat(),
    };
    text.into_bytes()
}

fn assert_placed(number: usize, declined: &Declined) {
    let Declined::Refused(refusal) = declined else { panic!("scenario {number}: {declined}") };
    assert!(!refusal.problems.is_empty());
    for problem in &refusal.problems {
        let place = problem.place.as_ref().unwrap_or_else(|| panic!("scenario {number}: no place: {problem}"));
        assert!(place.file.ends_with("scenario.yaml") && place.line >= 1 && place.column >= 1, "{problem}");
    }
}

/// By the admin door it is refused as well, in a dry run with the same words.
fn assert_put_refused(host: &TestHost, text: &[u8]) {
    if text.len() > 4 << 20 {
        // The door answers before it has all of it, and this client is still writing then; another test sends one that just fits.
        return;
    }
    let put = |query: &str| client::send(host.admin, "PUT", &format!("/scenario{query}"), &[("content-type", "text/yaml")], text);
    let (dry, real) = (put("?dry-run=true"), put(""));
    assert!(matches!(real.status, 400 | 413 | 422), "{}", real.text());
    assert_eq!((dry.status, dry.text()), (real.status, real.text()));
    for problem in real.json()["problems"].as_array().into_iter().flatten() {
        assert!(problem["file"] == "(admin)/scenario.yaml" && problem["line"].as_u64() >= Some(1), "{problem}");
    }
}

/// A good one is applied as a dry run says.
fn assert_put(host: &TestHost, text: &str) {
    let put = |query: &str| {
        let reply =
            client::send(host.admin, "PUT", &format!("/scenario{query}"), &[("content-type", "text/yaml")], text.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let mut told = reply.json();
        told["dry_run"].take();
        told
    };
    assert_eq!(put("?dry-run=true"), put(""));
}

#[test]
fn every_bad_scenario_is_refused_with_its_places_and_changes_nothing() {
    let rounds = if full() { 500 } else { 100 };
    let host = TestHost::start(&good("start"));
    let beside = |name: &str| host.scenario_file().with_file_name(name);
    std::fs::write(beside("core.wasm"), b"\0asm\x01\0\0\0").expect("written");
    std::fs::write(beside("other.wasm"), b"\0asm\x0d\0\x01\0").expect("written");
    let save = |text: &[u8]| {
        std::fs::write(beside("new"), text).expect("written");
        std::fs::rename(beside("new"), host.scenario_file()).expect("renamed");
    };
    for number in 0..rounds {
        let word = format!("word{number}");
        save(good(&word).as_bytes());
        app::check(Some(&host.scenario_file())).unwrap_or_else(|error| panic!("{error}"));
        let generation = host.app().reload().unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(host.chat(&ask("same", "x")).text().contains(&word));
        assert_put(&host, &good(&word));
        let generation = generation + 1;

        save(&bad(number));
        let refusal = host.app().reload().expect_err("a refusal");
        assert_placed(number, &refusal);
        let checked = app::check(Some(&host.scenario_file())).expect_err("a refusal");
        assert_eq!(checked.to_string(), refusal.to_string(), "a dry run says what the reload says");
        assert_put_refused(&host, &bad(number));
        assert_eq!(host.app().generation(), generation);
        assert!(host.chat(&ask("same", "x")).text().contains(&word));
    }
}
