use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use simwright::app::replay::{Pick, ReplayOptions, replay};

use super::support::client::{self, Connection, Reply};
use super::support::host::{TestHost, ask, ask_streamed, eventually, full};

/// Metrics belong to the process, so a test that looks at them has models of its own.
///
/// `acme-*` may ask three times a day and once at a time, everybody else as often as they like.
const TIERS: &str = "
simwright: 1
tiers:
  - { name: gold, tenants: acme-*, requests: [3/day, 100/min], concurrency: 1 }
models:
  - match: good
    latency: { constant: {} }
    reply: { fixed: { text: one two three four } }
  - match: endless
    latency: { constant: { between: 5ms } }
    reply: { text: { tokens: 10000 } }
  - match: failing
    faults: [{ http-error: { status: 503 } }]
criteria: [refusals = 1]
";

fn by(host: &TestHost, tenant: &str, body: &Value) -> Reply {
    host.chat_with(body, &[("x-simwright-tenant", tenant)])
}

fn number(reply: &Reply, header: &str) -> u64 {
    let value = reply.header(header).unwrap_or_else(|| panic!("no `{header}` in {:?}", reply.headers));
    value.parse().unwrap_or_else(|_| panic!("`{header}` is {value}"))
}

#[test]
fn who_asks_too_often_is_refused_in_the_vendors_words_and_nobody_else_is() {
    let host = TestHost::start(TIERS);
    for left in [2, 1, 0] {
        let reply = by(&host, "acme-1", &ask("good", "x"));
        assert_eq!((reply.status, number(&reply, "x-ratelimit-remaining-requests")), (200, left));
        assert_eq!(number(&reply, "x-ratelimit-limit-requests"), 3);
    }
    // No fault is asked, or this would be a 503.
    let refused = by(&host, "acme-1", &ask("failing", "x"));
    assert_eq!(refused.status, 429, "{}", refused.text());
    let error = &refused.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("requests"), &json!("rate_limit_exceeded")));
    assert!(error["message"].as_str().is_some_and(|text| text.contains("`failing` on requests. Please try again in")), "{error}");
    // A third of a day, less the time that the test has taken.
    let wait = number(&refused, "retry-after");
    assert!((20_000..=28_800).contains(&wait), "{wait}");
    assert_eq!(number(&refused, "retry-after-ms").div_ceil(1_000), wait);
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    for other in ["acme-2", "somebody"] {
        assert_eq!(by(&host, other, &ask("good", "x")).status, 200);
    }
    assert_eq!(host.chat(&ask("good", "x")).status, 200);
    assert_eq!(host.metric("simwright_refused_total", &["model=\"failing\"", "cause=\"requests\""]), 1.0);
    assert_eq!(host.metric("simwright_requests_total", &["model=\"failing\"", "status=\"429\""]), 1.0);
    let verdict = client::send(host.admin, "GET", "/criteria", &[], b"").json();
    assert_eq!(verdict["kept"], true, "{verdict:#}");
}

#[test]
fn a_place_comes_free_when_a_client_leaves() {
    let host = TestHost::start(&TIERS.replace("match: good", "match: patient"));
    let mut socket = client::open(host.api);
    let body = ask_streamed("endless", "x").to_string();
    let headers = [("x-simwright-tenant", "acme-1")];
    socket.write_all(&client::request("POST", "/v1/chat/completions", &headers, body.as_bytes())).expect("sent");
    assert!(socket.read(&mut [0; 1024]).expect("a beginning") > 0);
    let refused = by(&host, "acme-1", &ask("patient", "x"));
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    assert!(refused.text().contains("at a time"), "{}", refused.text());
    drop(socket);
    // Refused requests cost nothing, so that one of three is left for this.
    eventually("the place is free", || by(&host, "acme-1", &ask("patient", "x")).status == 200);
    assert_eq!(host.metric("simwright_refused_total", &["model=\"patient\"", "cause=\"requests\""]), 0.0);
}

/// A thousand tokens a day: one comes back in 86 seconds, too slowly for a test to see.
const TOKENS: &str = "
simwright: 1
tiers:
  - { name: everyone, tokens: 1000/day }
models:
  - match: good
    latency: { constant: {} }
    reply: { fixed: { text: one two three four } }
  - match: long-winded
    latency: { constant: { first: 1ms, between: 5ms } }
    reply: { text: { tokens: 800 } }
  - match: broken
    faults: [{ http-error: { status: 503 } }]
";

fn at_most(model: &str, tokens: u32) -> Value {
    let mut body = ask(model, "x");
    body["max_tokens"] = tokens.into();
    body
}

fn tokens_left(reply: &Reply) -> u64 {
    number(reply, "x-ratelimit-remaining-tokens")
}

#[test]
fn tokens_are_reserved_for_the_longest_reply_and_settled_with_what_was_used() {
    let host = TestHost::start(TOKENS);
    let first = by(&host, "a", &at_most("good", 900));
    let usage = first.json()["usage"]["total_tokens"].as_u64().expect("a number");
    let prompt = first.json()["usage"]["prompt_tokens"].as_u64().expect("a number");
    assert!(usage < 50);
    assert_eq!((first.status, tokens_left(&first)), (200, 100 - prompt));
    let second = by(&host, "a", &at_most("good", 900));
    assert_eq!((second.status, tokens_left(&second)), (200, 100 - prompt - usage));
    // A failed request costs no tokens.
    assert_eq!(by(&host, "a", &at_most("broken", 500)).status, 503);
    let refused = by(&host, "a", &at_most("good", 990));
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("tokens")));
    assert_eq!(tokens_left(&refused), 1_000 - 2 * usage);
    let never = by(&host, "a", &at_most("good", 2_000));
    assert_eq!((never.status, never.header("retry-after")), (429, None));
    assert!(never.text().contains("Request too large"), "{}", never.text());
    // Who names no longest reply asks for what fits.
    assert_eq!(by(&host, "b", &ask("good", "x")).status, 200);
}

#[test]
fn a_stream_whose_client_leaves_is_charged_what_left() {
    let host = TestHost::start(TOKENS);
    let mut socket = client::open(host.api);
    let mut body = at_most("long-winded", 900);
    body["stream"] = true.into();
    let headers = [("x-simwright-tenant", "a")];
    socket.write_all(&client::request("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes())).expect("sent");
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while read.iter().filter(|byte| **byte == b'\n').count() < 40 {
        let count = socket.read(&mut buffer).expect("more");
        read.extend_from_slice(&buffer[..count]);
    }
    drop(socket);
    eventually("the client has left", || host.metric("simwright_requests_cancelled_total", &["model=\"long-winded\""]) == 1.0);
    // Its 900 would not fit beside another 700; some dozens of tokens do.
    let after = by(&host, "a", &at_most("good", 700));
    assert_eq!(after.status, 200, "{}", after.text());
    let left = tokens_left(&after);
    assert!((200..295).contains(&left), "{left} of 300");
}

#[test]
fn a_client_that_waits_exactly_as_told_is_let_in() {
    let scenario = "
simwright: 1
models:
  - match: good
    rate-limits: { requests: { limit: 6_000/min, burst: 2 } }
    latency: { constant: {} }
    reply: { fixed: { text: ok } }
";
    let host = TestHost::start(scenario);
    let mut connection = Connection::open(host.api);
    let mut send = || connection.send("POST", "/v1/chat/completions", &[], ask("good", "x").to_string().as_bytes());
    let (mut waits, wanted) = (0, if full() { 10_000 } else { 50 });
    while waits < wanted {
        let reply = send();
        if reply.status == 429 {
            waits += 1;
            std::thread::sleep(Duration::from_millis(number(&reply, "retry-after-ms")));
            assert_eq!(send().status, 200, "came when told, after {waits} waits");
        }
    }
}

#[test]
fn many_connections_at_once_get_the_burst_and_not_one_more() {
    let host = TestHost::start(
        &TIERS
            .replace("[3/day, 100/min], concurrency: 1", "{ limit: 20/day, burst: 40 }")
            .replace("match: good", "match: crowded"),
    );
    let answered: usize = std::thread::scope(|scope| {
        let one = |_| {
            scope.spawn(|| {
                let mut connection = Connection::open(host.api);
                let headers = [("x-simwright-tenant", "acme-1")];
                let body = ask("crowded", "x").to_string();
                let mut send = || connection.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).status;
                (0..50).filter(|_| send() == 200).count()
            })
        };
        let threads: Vec<_> = (0..8).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(answered, 40);
    assert_eq!(host.metric("simwright_refused_total", &["model=\"crowded\"", "cause=\"requests\""]), 360.0);
}

#[test]
fn a_reload_in_the_middle_of_a_window_grants_no_second_burst() {
    let of = |limit: &str| TIERS.replace("[3/day, 100/min], concurrency: 1", limit);
    let host = TestHost::start(&of("10/day"));
    let used = || (0..50).filter(|_| by(&host, "acme-1", &ask("good", "x")).status == 200).count();
    let generation = || number(&host.chat(&ask("good", "x")), "x-simwright-generation");
    assert_eq!(used(), 10);
    for (limit, expected) in [("15/day", 5), ("4/day", 0), ("[4/day, 100/h]", 0), ("40/day", 36)] {
        let before = generation();
        std::fs::write(host.scenario_file(), of(limit)).expect("written");
        eventually("the new limit counts", || generation() > before);
        assert_eq!(used(), expected, "{limit}");
    }
}

#[test]
fn a_refusal_is_in_the_decision_log_and_replays_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let scenario = TIERS.replace("[3/day, 100/min]", "1/day");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, &scenario).expect("written");
    let host = TestHost::start_logged(&scenario, &log);
    assert_eq!(by(&host, "acme-1", &ask("good", "x")).status, 200);
    assert_eq!(by(&host, "acme-1", &ask("good", "y")).status, 429);
    assert_eq!(host.chat(&ask("good", "z")).status, 200);
    host.into_app().stop(Duration::from_secs(1));
    let text = std::fs::read_to_string(&log).expect("a log");
    let decisions: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["decision"].is_object())
        .collect();
    assert_eq!(
        decisions.iter().map(|line| &line["facts"]["tier"]).collect::<Vec<_>>(),
        [&json!("gold"), &json!("gold"), &Value::Null]
    );
    assert_eq!(
        (&decisions[1]["facts"]["refused"]["cause"], &decisions[1]["decision"]["outcome"]["status"]),
        (&json!("requests"), &json!(429))
    );
    let replayed = replay(&ReplayOptions { log, pick: Pick::All, scenario: Some(file) }).expect("replayed");
    assert!(replayed.count == 3 && replayed.is_same(), "{:#}", replayed.json());
}

#[test]
fn limits_that_are_built_in_announce_and_refuse_nobody() {
    let host = TestHost::start(&TIERS.replace("[3/day, 100/min], concurrency: 1", "5/day").replace("acme-*", "none"));
    let first = host.chat(&ask("good", "x"));
    assert_eq!(number(&first, "x-ratelimit-limit-requests"), 10_000);
    assert_eq!(number(&first, "x-ratelimit-remaining-requests"), 9_999);
    let announced = TestHost::start(
        "simwright: 1\nmodels: [{ match: good, rate-limits: { requests: 1/day, refuse: false }, latency: { constant: {} } }]\n",
    );
    for _ in 0..3 {
        let reply = announced.chat(&ask("good", "x"));
        assert_eq!((reply.status, number(&reply, "x-ratelimit-remaining-requests")), (200, 0));
        assert_eq!(reply.header("x-ratelimit-limit-tokens"), None);
    }
}
