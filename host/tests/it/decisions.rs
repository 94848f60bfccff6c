use std::path::{Path, PathBuf};

use serde_json::Value;
use simwright::app::replay::{Item, Pick, Replay, ReplayError, ReplayOptions, replay};

use super::support::host::{TestHost, ask, ask_streamed};

const SCENARIO: &str = "
simwright: 1
models:
  - match: flaky
    latency: { log-normal: { first: { p50: 2ms, p99: 5ms }, between: { p50: 100us, p99: 300us } } }
    faults:
      - http-error: { rate: 5%, status: 503, retry-after: 1s }
      - cut: { rate: 5%, at: 50% }
    reply: { text: { tokens: { p50: 10, p99: 20 } } }
  - match: other
    reply: { fixed: { text: hello } }
    latency: { constant: {} }
";

/// A log of 120 requests, of which some failed, in a folder with its scenario.
struct Logged {
    folder: tempfile::TempDir,
    scenario: PathBuf,
}

impl Logged {
    fn run() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("decisions.jsonl");
        let host = TestHost::start_logged(SCENARIO, &log);
        for index in 0..60 {
            let identity = format!("request-{index}");
            let headers = [
                ("x-simwright-identity", identity.as_str()),
                ("authorization", "Bearer sk-canary"),
                ("x-my-token", "canary"),
                ("sec-websocket-protocol", "realtime, openai-insecure-api-key.canary"),
            ];
            host.chat_to_the_end(&ask_streamed("flaky", &format!("question {index}")), &headers);
            host.chat_to_the_end(&ask("flaky", "the same each time"), &[]);
        }
        let scenario = folder.path().join("scenario.yaml");
        std::fs::copy(host.scenario_file(), &scenario).expect("copied");
        host.into_app().stop(std::time::Duration::from_secs(5));
        Self { folder, scenario }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("decisions.jsonl")
    }

    fn replay(&self, pick: Pick) -> Result<Replay, ReplayError> {
        replay(&ReplayOptions { log: self.log(), pick, scenario: Some(self.scenario.clone()) })
    }

    fn lines(&self) -> Vec<Value> {
        lines(&self.log())
    }
}

fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn whats(item: &Item) -> Vec<&str> {
    item.differences.iter().map(|difference| difference.what.as_str()).collect()
}

#[test]
fn a_failing_request_of_a_log_is_decided_the_same_when_it_is_replayed() {
    let logged = Logged::run();
    let lines = logged.lines();
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!((&first["simwright_decisions"], &first["generation"]["seed"]), (&1.into(), &7.into()));
    assert_eq!((&last["end"]["written"], &last["end"]["dropped"]), (&120.into(), &0.into()));
    let failures: Vec<_> =
        lines.iter().filter(|line| line["decision"].is_object() && !line["decision"]["fault"].is_null()).collect();
    assert!((3..40).contains(&failures.len()), "about a tenth of 120 requests should fail, not {}", failures.len());

    let replayed = logged.replay(Pick::FirstFailure).unwrap_or_else(|error| panic!("{error}"));
    assert!(replayed.notes.is_empty(), "{:?}", replayed.notes);
    let item = &replayed.items[0];
    assert_eq!((replayed.items.len(), item.id.as_str()), (1, failures[0]["id"].as_str().expect("an id")));
    assert!(item.differences.is_empty(), "{:?}", item.differences);
    let text = item.explanation.as_ref().expect("a plan").text();
    let fault = failures[0]["decision"]["fault"]["name"].as_str().expect("a name");
    assert!(text.contains(&format!("{fault} struck")) && text.contains("strikes at a rate of 0.05"), "{text}");

    // Every failure is found by each of its ids, and none is decided otherwise.
    for failure in failures {
        for id in [&failure["id"], &failure["request_id"]] {
            let found = logged.replay(Pick::Id(id.as_str().expect("an id").to_owned())).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((found.items.len(), found.is_same()), (1, true), "{id}");
        }
    }
    let all = logged.replay(Pick::All).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((all.items.len(), all.count, all.is_same()), (120, 120, true));
}

#[test]
fn a_replay_with_another_scenario_says_so_and_names_what_is_decided_otherwise() {
    let logged = Logged::run();
    let edited = SCENARIO.replace("status: 503", "status: 500").replace("tokens: { p50: 10, p99: 20 }", "tokens: 200");
    std::fs::write(&logged.scenario, format!("{edited}seed: 8\n")).expect("written");
    let replayed = logged.replay(Pick::All).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(replayed.notes.len(), 2, "{:?}", replayed.notes);
    assert!(replayed.notes[0].contains("seed was 7") && replayed.notes[1].contains("is not what generation 1 was built from"));
    assert!(!replayed.is_same());
    let lines = logged.lines();
    for (item, line) in replayed.items.iter().zip(lines.iter().filter(|line| line["decision"].is_object())) {
        match line["decision"]["fault"]["name"].as_str() {
            Some("http-error") => assert_eq!(whats(item), ["outcome"]),
            _ => assert!(whats(item).contains(&"reply"), "{:?}", item.differences),
        }
    }
    std::fs::write(&logged.scenario, "simwright: 1\nmodels: [{ match: other }]\n").expect("written");
    let replayed = logged.replay(Pick::FirstFailure).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(whats(&replayed.items[0]), ["entry"]);
}

#[test]
fn a_log_keeps_no_secret_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let logged = Logged::run();
    let text = std::fs::read_to_string(logged.log()).expect("a log");
    assert!(!text.contains("canary") && text.contains("x-simwright-identity"));
    let mode = std::fs::metadata(logged.log()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_log_of_a_server_that_was_killed_is_replayed_as_far_as_it_goes() {
    let logged = Logged::run();
    let text = std::fs::read_to_string(logged.log()).expect("a log");
    let half = text.lines().take(4).collect::<Vec<_>>().join("\n");
    std::fs::write(logged.log(), &half[..half.len() - 10]).expect("written");
    let replayed = logged.replay(Pick::All).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.count, replayed.is_same()), (2, true));
    assert!(replayed.notes[0].contains("no closing line"), "{:?}", replayed.notes);
    let error = logged.replay(Pick::Id("chatcmpl-none".to_owned())).err().expect("no such id").to_string();
    assert!(error.contains("`chatcmpl-none`") && error.contains("it has 2"), "{error}");
}

#[test]
fn a_file_that_is_no_decision_log_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let refused = |text: &str| {
        std::fs::write(&log, text).expect("written");
        let options = ReplayOptions { log: log.clone(), pick: Pick::All, scenario: None };
        replay(&options).err().expect("a refusal").to_string()
    };
    assert!(refused("hello\n").contains("log:1`: this is no decision log"));
    assert!(refused("{\"simwright_decisions\": 99}\n").contains("another format"));
    assert!(refused("{\"simwright_decisions\": 1}\n{}\n{}\n").contains("log:2`"));
    assert!(
        refused("{\"simwright_decisions\": 1}\n{\"generation\": 3, \"decision\": {}}\n").contains("describes the generation")
    );
}

#[test]
fn a_log_names_each_generation_that_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("decisions.jsonl");
    let host = TestHost::start_logged(SCENARIO, &log);
    host.chat(&ask("other", "before"));
    std::fs::write(host.scenario_file(), SCENARIO.replace("hello", "good evening")).expect("written");
    host.app().reload().unwrap_or_else(|error| panic!("{error}"));
    host.chat(&ask("other", "after"));
    host.into_app().stop(std::time::Duration::from_secs(5));
    let lines = lines(&log);
    let decisions: Vec<_> = lines.iter().filter(|line| line["decision"].is_object()).collect();
    assert_eq!(decisions[0]["generation"], 1);
    let later = decisions[1]["generation"].as_u64().expect("a number");
    assert!(later > 1);
    let described = |number: u64| lines.iter().map(|line| &line["generation"]).find(|generation| generation["number"] == number);
    let (before, after) = (described(1).expect("described"), described(later).expect("described"));
    assert_ne!(before["scenario"]["digest"], after["scenario"]["digest"]);
}

#[test]
fn what_plugins_decide_by_the_hour_is_decided_the_same_in_a_replay() {
    let scenario = "
simwright: 1
models:
  - match: m
    latency: { brown-out: { first: 2ms, between: 100us, depth: 0.9, period: 7s } }
    faults: [{ retry-storm: {} }]
    reply: { fixed: { text: one two three } }
";
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("decisions.jsonl");
    let host = TestHost::start_logged(scenario, &log);
    (0..5).for_each(|index| drop(host.chat(&ask("m", &format!("question {index}")))));
    let file = folder.path().join("scenario.yaml");
    std::fs::copy(host.scenario_file(), &file).expect("copied");
    host.into_app().stop(std::time::Duration::from_secs(5));
    let with = |pick| replay(&ReplayOptions { log: log.clone(), pick, scenario: Some(file.clone()) });
    let all = with(Pick::All).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((all.count, all.is_same()), (5, true), "{:#}", all.json());
    let id = lines(&log)[1]["id"].as_str().expect("an id").to_owned();
    let one = with(Pick::Id(id)).unwrap_or_else(|error| panic!("{error}"));
    let text = one.items[0].explanation.as_ref().expect("a plan").text();
    assert!(text.contains("latency brown-out: seed, a plugin draws from it"), "{text}");

    // The hour counts: with another beginning of the run, or later in it, the same requests are answered at another pace.
    let text = std::fs::read_to_string(&log).expect("a log");
    for (pointer, more) in [("/epoch_unix_s", 3), ("/facts/now_ns", 500_000_000)] {
        std::fs::write(&log, text.lines().map(|line| moved(line, pointer, more)).collect::<Vec<_>>().join("\n"))
            .expect("written");
        let otherwise = with(Pick::All).unwrap_or_else(|error| panic!("{error}"));
        assert!(otherwise.items.iter().any(|item| whats(item) == ["deadlines_ns"]), "{pointer}: {:#}", otherwise.json());
    }
}

/// A line of a log with `more` added to the number at `pointer`, if it has one.
fn moved(line: &str, pointer: &str, more: u64) -> String {
    let mut line: Value = serde_json::from_str(line).expect("JSON");
    if let Some(number) = line.pointer_mut(pointer) {
        *number = (number.as_u64().expect("a number") + more).into();
    }
    line.to_string()
}
