//! Changes by the admin door: what they do, what they answer, how long they last, and what is refused.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::support::client::{self, Reply};
use super::support::guests::adversary;
use super::support::host::{TestHost, ask, ask_streamed, eventually};

/// A scenario that answers `word`.
fn scenario(word: &str) -> String {
    format!(
        "simwright: 1\nmodels:\n  - {{ match: said, latency: {{ constant: {{}} }}, reply: {{ fixed: {{ text: {word} }} }} }}\n"
    )
}

/// A scenario whose fault `guest` is the component in `guest.wasm`, and whose plugin keeps state.
const WITH_GUEST: &str = "
simwright: 1
plugins: { guest: { file: ./guest.wasm } }
models:
  - match: said
    latency: { constant: {} }
    reply: { guest: {} }
";

fn send(host: &TestHost, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    client::send(host.admin, method, path, headers, body)
}

fn put_scenario(host: &TestHost, query: &str, text: &str) -> Reply {
    send(host, "PUT", &format!("/scenario{query}"), &[("content-type", "application/yaml")], text.as_bytes())
}

fn put_guest(host: &TestHost, component: &[u8]) -> Reply {
    send(host, "PUT", "/plugins/guest", &[("content-type", "application/wasm")], component)
}

fn get(host: &TestHost, path: &str) -> Value {
    let reply = send(host, "GET", path, &[], b"");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// What a new request is answered, and by which generation.
fn said(host: &TestHost) -> (String, u64) {
    said_by(host, &[])
}

fn said_by(host: &TestHost, headers: &[(&str, &str)]) -> (String, u64) {
    let reply = host.chat_with(&ask("said", "x"), headers);
    let text = reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned();
    (text, reply.header("x-simwright-generation").and_then(|number| number.parse().ok()).expect("a generation"))
}

/// The generation of a good answer; its `ETag` says the same.
fn applied(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let number = reply.json()["generation"].as_u64().expect("a number");
    assert_eq!(reply.header("etag"), Some(&*format!("\"{number}\"")));
    number
}

/// The adversary with another word of the same length in it: another component that does the same.
fn guest(word: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(adversary()).expect("a component");
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, "word ").collect();
    assert!(!places.is_empty() && word.len() == 5);
    places.into_iter().for_each(|at| bytes[at..at + 5].copy_from_slice(word.as_bytes()));
    bytes
}

fn host_with_guest() -> TestHost {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("guest.wasm"), guest("word ")).expect("written");
    TestHost::start_in(folder, WITH_GUEST, Some(7))
}

#[test]
fn a_scenario_that_was_put_answers_until_the_file_is_saved() {
    let host = TestHost::start(&scenario("one"));
    let before = send(&host, "GET", "/scenario", &[], b"");
    assert_eq!((before.text(), before.header("etag")), (&*scenario("one"), Some("\"1\"")));
    let put = put_scenario(&host, "", &scenario("two"));
    assert_eq!(applied(&put), 2);
    let lasts = put.json()["lasts"].as_str().expect("a text").to_owned();
    assert!(lasts.contains("scenario.yaml` is saved") && lasts.contains("nothing was written to the disk"), "{lasts}");
    assert_eq!(said(&host), ("two".to_owned(), 2));
    assert_eq!(std::fs::read_to_string(host.scenario_file()).expect("readable"), scenario("one"));
    assert_eq!(send(&host, "GET", "/scenario", &[], b"").text(), scenario("two"));

    std::fs::write(host.scenario_file(), scenario("three")).expect("written");
    eventually("the file counts again", || said(&host) == ("three".to_owned(), 3));
    let told = get(&host, "/generations");
    let states: Vec<_> =
        told["generations"].as_array().expect("a list").iter().map(|one| (&one["number"], &one["state"])).collect();
    assert_eq!(json!(states), json!([[3, "running"], [2, "gone"], [1, "gone"]]));
    assert!(told["generations"][0]["cause"].as_str().is_some_and(|cause| cause.starts_with("saved: ")), "{told}");
    assert_eq!(told["generations"][1]["places"], json!(["models.said.reply.fixed.text"]));
}

#[test]
fn paths_in_a_scenario_that_was_put_start_at_the_running_ones_folder() {
    let host = host_with_guest();
    let beside = host.scenario_file().with_file_name("said.yaml");
    std::fs::write(&beside, scenario("included")).expect("written");
    applied(&put_scenario(&host, "", "simwright: 1\ninclude: ./said.yaml\n"));
    assert_eq!(said(&host).0, "included");
    // What it includes is followed, too.
    std::fs::write(&beside, scenario("changed")).expect("written");
    eventually("the included file is followed", || said(&host).0 == "changed");
    applied(&put_scenario(&host, "", WITH_GUEST));
    assert!(said_by(&host, &[("x-adversary", "116")]).0.starts_with("word "));
}

#[test]
fn a_dry_run_says_what_applying_would_say_and_changes_nothing() {
    let host = TestHost::start(&scenario("one"));
    let dry = put_scenario(&host, "?dry-run=true", &scenario("two"));
    assert_eq!((dry.status, dry.header("etag")), (200, None));
    assert_eq!(said(&host), ("one".to_owned(), 1));
    let (mut dry, applied) = (dry.json(), put_scenario(&host, "", &scenario("two")).json());
    assert_eq!(dry["dry_run"].take(), json!(true));
    let mut applied = applied;
    assert_eq!(applied["dry_run"].take(), json!(false));
    assert_eq!(dry, applied);

    let bad = "simwright: 1\nmodels:\n  - { match: said, latncy: 1 }\n  - { match: other, faults: [{ nonsense: {} }] }\n";
    let (dry, real) = (put_scenario(&host, "?dry-run", bad), put_scenario(&host, "", bad));
    assert_eq!((dry.status, real.status), (422, 422));
    assert_eq!(dry.text(), real.text());
    let problems = real.json()["problems"].clone();
    let places: Vec<_> =
        problems.as_array().expect("a list").iter().map(|one| (one["file"].clone(), one["line"].clone())).collect();
    assert_eq!(json!(places), json!([["(admin)/scenario.yaml", 3], ["(admin)/scenario.yaml", 4]]));
    assert_eq!(problems[0]["path"], "/models/0/latncy");
    assert_eq!(problems[0]["hint"], "did you mean `latency`?");
    // Only what was meant is listed.
    let refusals = get(&host, "/generations")["refusals"].clone();
    assert_eq!(refusals.as_array().map(Vec::len), Some(1), "{refusals}");
    assert_eq!((&refusals[0]["kind"], &refusals[0]["problems"]), (&json!("refused"), &problems));
    assert_eq!(said(&host), ("two".to_owned(), 2));
}

#[test]
fn a_component_that_was_put_takes_the_files_place_until_that_is_saved() {
    let host = host_with_guest();
    let word = || said_by(&host, &[("x-adversary", "116")]).0[..5].to_owned();
    let from = || get(&host, "/plugins")["plugins"][0].clone();
    assert_eq!(word(), "word ");
    let before = from();
    assert!(before["from"].as_str().is_some_and(|from| from.ends_with("guest.wasm")), "{before}");

    let put = put_guest(&host, &guest("verb "));
    assert_eq!(applied(&put), 2);
    assert_eq!(put.json()["replaced_plugins"], json!(["guest"]));
    assert_eq!(put.json()["changed"], "another component of guest");
    assert_eq!(word(), "verb ");
    let now = from();
    assert!(now["from"].as_str().is_some_and(|from| from.starts_with("the admin door")), "{now}");
    assert!(now["digest"] != before["digest"] && now["breaker"] == "closed" && now["calls"].as_u64() >= Some(1), "{now}");

    // Another scenario keeps it; the file takes it back.
    applied(&put_scenario(&host, "", &WITH_GUEST.replace("simwright: 1", "simwright: 1\nseed: 5")));
    assert_eq!(word(), "verb ");
    std::fs::write(host.scenario_file().with_file_name("guest.wasm"), guest("noun ")).expect("written");
    eventually("the file counts again", || word() == "noun ");
    // Only the component's place was taken back: the scenario that was put stays.
    assert!(send(&host, "GET", "/scenario", &[], b"").text().contains("seed: 5"));
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let host = host_with_guest();
    let yaml = [("content-type", "application/yaml")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let wasm = [("content-type", "application/wasm")];
    let text = scenario("two");
    let large = vec![b'#'; (4 << 20) + 1];
    let core = b"\0asm\x01\0\0\0";
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: [Case<'_>; 14] = [
        ("PUT", "/scenario", &form, text.as_bytes(), 415, "curl -T scenario.yaml"),
        ("PUT", "/scenario", &yaml, b"", 400, "the body is empty"),
        ("PUT", "/scenario", &yaml, b"name: \xff", 400, "not UTF-8"),
        ("PUT", "/scenario", &yaml, &large, 413, "4194304 bytes"),
        ("PUT", "/scenario?dryrun", &yaml, text.as_bytes(), 400, "did you mean `dry-run`?"),
        ("PUT", "/scenario", &[("content-type", "text/yaml"), ("if-match", "1")], text.as_bytes(), 400, "If-Match"),
        ("POST", "/scenario", &yaml, text.as_bytes(), 405, "no such method"),
        ("PUT", "/plugins/gest", &wasm, core, 404, "did you mean `guest`?"),
        ("PUT", "/plugins/guest", &wasm, core, 422, "not a component"),
        ("PUT", "/plugins/guest", &yaml, core, 415, "application/wasm"),
        ("POST", "/rollback", &[], b"", 404, "none is kept"),
        ("POST", "/rollback?to=first", &[], b"", 400, "number of a generation"),
        ("POST", "/canary/promote", &[], b"", 409, "no generation is on trial"),
        ("GET", "/scenarios", &[], b"", 404, "no such route"),
    ];
    for (method, path, headers, body, status, reason) in cases {
        let reply = send(&host, method, path, headers, body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        let error = reply.json()["error"].as_str().expect("a reason").to_owned();
        assert!(error.contains(reason), "{method} {path}: {error}");
    }
    assert_eq!(host.app().generation(), 1);
}

#[test]
fn a_body_that_is_too_large_is_taken_to_its_end_and_then_refused() {
    let host = host_with_guest();
    // More than sockets hold between them: who answers without reading breaks the connection of who still sends.
    let large = vec![b'#'; (64 << 20) + 1];
    let wasm = [("content-type", "application/wasm")];
    for (path, headers, status) in [("/plugins/guest", &wasm[..], 413), ("/nowhere", &[], 404), ("/plugins", &[], 405)] {
        let reply = send(&host, "PUT", path, headers, &large);
        assert_eq!((reply.status, reply.complete), (status, true), "{path}: {}", reply.text());
    }
    // Nobody knows before how long this one is.
    let mut socket = client::open(host.admin);
    let head = "PUT /plugins/guest HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("taken");
    for chunk in large.chunks(1 << 20).chain([&large[..0]]) {
        socket.write_all(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).expect("taken");
    }
    assert_eq!(client::parse(&client::read_out(&mut socket).0).status, 413);
    // Who waits to be asked is told before anything is sent.
    let mut socket = client::open(host.admin);
    let head = "PUT /plugins/guest HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 67108865\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("taken");
    assert_eq!(client::parse(&client::read_out(&mut socket).0).status, 413);
    assert_eq!(host.app().generation(), 1);
}

#[test]
fn a_change_meant_for_another_generation_is_refused() {
    let host = TestHost::start(&scenario("one"));
    let put = |tag: &str, word: &str| {
        send(&host, "PUT", "/scenario", &[("content-type", "text/yaml"), ("if-match", tag)], scenario(word).as_bytes())
    };
    assert_eq!(applied(&put("\"1\"", "two")), 2);
    let late = put("\"1\"", "three");
    assert_eq!((late.status, late.header("etag")), (412, Some("\"2\"")));
    assert!(late.text().contains("generation 2 runs"), "{}", late.text());
    assert_eq!(said(&host).0, "two");
    assert_eq!(applied(&put("\"7\", \"2\"", "four")), 3);
    assert_eq!(applied(&put("*", "five")), 4);
}

#[test]
fn a_rollback_brings_back_what_answered_under_a_number_of_its_own() {
    let host = host_with_guest();
    let word = || said_by(&host, &[("x-adversary", "116")]).0[..5].to_owned();
    applied(&put_guest(&host, &guest("verb ")));
    applied(&put_scenario(&host, "", &scenario("three")));
    let back = send(&host, "POST", "/rollback", &[], b"");
    assert_eq!(applied(&back), 4);
    assert_eq!((word(), &*back.json()["cause"].as_str().expect("a text").to_owned()), ("verb ".to_owned(), "a rollback"));
    let first = send(&host, "POST", "/rollback?to=1&dry-run", &[], b"");
    assert_eq!((first.status, first.json()["generation"].as_u64()), (200, Some(5)));
    assert_eq!(applied(&send(&host, "POST", "/rollback?to=1", &[], b"")), 5);
    assert_eq!(word(), "word ");
    // The last four before the running one are kept.
    (6..=9).for_each(|number| assert_eq!(applied(&put_scenario(&host, "", &scenario(&format!("s{number}")))), number));
    let gone = send(&host, "POST", "/rollback?to=4", &[], b"");
    assert!(gone.status == 404 && gone.text().contains("kept: 5, 6, 7, 8"), "{}", gone.text());
    let told = get(&host, "/generations");
    let kept: Vec<_> = told["generations"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["kept"] == true)
        .map(|one| &one["number"])
        .collect();
    assert_eq!(json!(kept), json!([8, 7, 6, 5]));
    // After a rollback the files count again as soon as one is saved.
    applied(&send(&host, "POST", "/rollback?to=5", &[], b""));
    std::fs::write(host.scenario_file(), scenario("saved")).expect("written");
    eventually("the saved file answers", || said(&host).0 == "saved");
}

#[test]
fn state_that_the_host_keeps_for_a_plugin_survives_every_way_of_changing_it() {
    let host = host_with_guest();
    let counting = WITH_GUEST.replace("reply: { guest: {} }", "faults: [{ guest: {} }]");
    // The plugin counts its calls in the host's state and tells the sum.
    let count = || {
        let reply = host.chat_with(&ask("said", "x"), &[("x-adversary", "203")]);
        let number = reply.header("x-simwright-generation").expect("a generation").to_owned();
        (reply.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned(), number)
    };
    let expect = |counted: &str, generation: &str| assert_eq!(count(), (counted.to_owned(), generation.to_owned()));
    applied(&put_scenario(&host, "", &counting));
    expect("1", "2");
    applied(&put_guest(&host, &guest("verb ")));
    expect("2", "3");
    applied(&send(&host, "POST", "/rollback", &[], b""));
    expect("3", "4");
    std::fs::write(host.scenario_file(), format!("# saved\n{counting}")).expect("written");
    eventually("the saved scenario runs", || host.app().generation() == 5);
    expect("4", "5");
    std::fs::write(host.scenario_file().with_file_name("guest.wasm"), guest("noun ")).expect("written");
    eventually("the saved component runs", || host.app().generation() == 6);
    expect("5", "6");
    applied(&send(&host, "POST", "/reload", &[], b""));
    expect("6", "7");
}

#[test]
fn a_stream_is_listed_with_the_generation_that_it_began_with() {
    let slow = scenario("word word word word").replace("constant: {}", "constant: { first: 1ms, between: 100ms }");
    let host = TestHost::start(&slow.replace("text: word word word word", "text: 'word word word word word word word word'"));
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| host.chat(&ask_streamed("said", "long")));
        let first = |told: &Value| told["generations"].as_array().expect("a list").last().cloned().expect("one");
        eventually("the stream runs", || first(&get(&host, "/generations"))["streams"] == 1);
        applied(&put_scenario(&host, "", &scenario("two")));
        let old = first(&get(&host, "/generations"));
        assert_eq!((&old["state"], &old["requests"], &old["streams"]), (&json!("draining"), &json!(1), &json!(1)));
        assert_eq!(stream.join().expect("an answer").header("x-simwright-generation"), Some("1"));
        eventually("it is gone", || first(&get(&host, "/generations"))["state"] == "gone");
    });
}

#[test]
fn a_path_that_is_a_folder_is_no_scenario() {
    let host = TestHost::start(&scenario("one"));
    let refused = put_scenario(&host, "", "simwright: 1\ninclude: .\nmodels: [{ match: m }]\n");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(Path::new(&host.scenario_file()).is_file());
}
