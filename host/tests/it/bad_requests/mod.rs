//! Requests that cannot be understood, over the wire: each is refused in the form of the vendor that was asked, and the server goes on.
//! What parsers make of any bytes is asked by `host/fuzz`, whose seeds are asked here, too; what bad bodies cost by the bench `bad_bodies`.

use std::io::Write;

use serde_json::Value;

use super::support::client;
use super::support::guests::workspace;
use super::support::host::{TestHost, ask};

mod doors;

use doors::{DOORS, Door};

#[path = "../../../fuzz/src/lib.rs"]
mod fuzzed;

const SCENARIO: &str = "
simwright: 1
models: [{ match: m, context-window: 64, latency: { constant: {} }, reply: { fixed: { text: fine } } }]
routes: [{ path: /search, model: m }]
";

/// Bodies that are no request of any vendor, by name.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| format!("{{\"messages\":{}{}}}", open.repeat(10_000), close.repeat(10_000)).into_bytes();
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"{key}\":0")).collect();
    vec![
        ("nothing", Vec::new()),
        ("no JSON", b"hello".to_vec()),
        ("cut off", b"{\"model\":\"m\",\"messages\":[{\"role\":\"us".to_vec()),
        ("no UTF-8", b"{\"model\":\"\xff\xfe\"}".to_vec()),
        ("half a character", b"{\"model\":\"\\ud800\"}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        (
            "wrong kinds",
            br#"{"model":{},"messages":7,"contents":7,"max_tokens":[],"input":{},"prompt":{},"requests":7}"#.to_vec(),
        ),
        ("two values", b"{} {}".to_vec()),
        (NO_FIELD, b"{}".to_vec()),
        (NO_FIELD, deep("[", "]")),
        (NO_FIELD, deep("{\"a\":", "}")),
        (NO_FIELD, format!("{{{}}}", keys.join(",")).into_bytes()),
    ]
}

/// Bodies with no field that counts, or only with ones that no reader can take: wrong unless nothing must be there.
const NO_FIELD: &str = "no field";

/// Sends `body` to `door`, and expects a refusal with `status` in the vendor's form. The answer is its sentence and its place.
fn refused(host: &TestHost, door: &Door, path: &str, name: &str, body: &[u8], status: u16) -> String {
    let reply = client::send(host.api, "POST", path, &[door.header], body);
    assert_eq!(reply.status, status, "{path}, {name}: {}", reply.text());
    assert_eq!(reply.header("content-type").map(media), Some("application/json"), "{path}, {name}");
    let body = reply.json();
    let message = (door.form)(&body).unwrap_or_else(|| panic!("{path}, {name}: {body}"));
    format!("{message} {}", body["error"]["param"].as_str().unwrap_or_default())
}

/// A content type without its parameters.
fn media(value: &str) -> &str {
    value.split(';').next().unwrap_or_default()
}

#[test]
fn whatever_cannot_be_understood_is_refused_in_the_vendors_form() {
    let host = TestHost::start(SCENARIO);
    let bodies = bodies();
    for door in &DOORS {
        for (name, body) in &bodies {
            if *name == NO_FIELD && door.needs_nothing {
                assert!(client::send(host.api, "POST", door.path, &[door.header], body).status < 500, "{}", door.path);
            } else {
                let sentence = refused(&host, door, door.path, name, body, 400);
                assert!(sentence.len() > 5 && sentence.len() < 1_000, "{}, {name}: {sentence}", door.path);
            }
        }
    }
    assert_eq!(host.chat(&ask("m", "x")).status, 200);
}

#[test]
fn fields_that_are_missing_or_of_another_kind_are_named_with_their_path() {
    let host = TestHost::start(SCENARIO);
    for door in &DOORS {
        if let Some(good) = door.good {
            let reply = client::send(host.api, "POST", door.path, &[door.header], good.as_bytes());
            assert_eq!(reply.status, 200, "{}: {}", door.path, reply.text());
        }
        assert!(!door.wrong.is_empty());
        for (body, place) in door.wrong {
            let sentence = refused(&host, door, door.path, body, body.as_bytes(), 400);
            assert!(sentence.contains(place), "{}, {body}: {sentence}", door.path);
        }
    }
    assert_eq!(host.chat(&ask("m", "x")).status, 200);
}

#[test]
fn models_that_nobody_has_are_refused_with_404_and_their_name() {
    let host = TestHost::start(SCENARIO);
    for door in DOORS.iter().filter(|door| door.knows_models) {
        let path = door.path.replace("/m:", "/nobody:").replace("/m/", "/nobody/");
        let body = door.good.expect("a good body").replace("\"model\":\"m\"", "\"model\":\"nobody\"");
        let sentence = refused(&host, door, &path, "an unknown model", body.as_bytes(), 404);
        assert!(sentence.contains("nobody") || sentence.contains("deployment"), "{path}: {sentence}");
    }
}

#[test]
fn prompts_that_are_longer_than_the_window_are_refused() {
    let host = TestHost::start(SCENARIO);
    for door in DOORS.iter().filter(|door| door.has_window) {
        let body = door.good.expect("a good body").replace("hi there", &"word ".repeat(100));
        let sentence = refused(&host, door, door.path, "a long prompt", body.as_bytes(), 400);
        // Most vendors name the window's size, some do not.
        let names_it = ["64", "the context length", "the context window"].iter().any(|words| sentence.contains(words));
        assert!(names_it, "{}: {sentence}", door.path);
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_has_come() {
    let host = TestHost::start(SCENARIO);
    for door in &DOORS {
        let (name, value) = door.header;
        let path = door.path;
        let mut socket = client::open(host.api);
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{name}: {value}\r\ncontent-length: 40000000\r\n\r\n");
        socket.write_all(head.as_bytes()).expect("taken");
        let reply = client::parse(&client::read_out(&mut socket).0);
        assert_eq!(reply.status, 413, "{path}");
        assert!((door.form)(&reply.json()).is_some(), "{path}: {}", reply.text());
    }
}

#[test]
fn content_types_decide_nothing() {
    let host = TestHost::start(SCENARIO);
    for door in &DOORS {
        let Some(good) = door.good else { continue };
        for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin1"] {
            let reply = client::send(host.api, "POST", door.path, &[door.header, ("content-type", kind)], good.as_bytes());
            assert_eq!(reply.status, 200, "{}, {kind}", door.path);
        }
    }
}

#[test]
fn uploads_that_are_no_form_are_refused_with_what_is_wrong_in_them() {
    let host = TestHost::start(SCENARIO);
    let form = "multipart/form-data; boundary=x";
    let part = |disposition: &str, content: &str| {
        format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n").into_bytes()
    };
    let parts = |parts: &[Vec<u8>]| [parts.concat(), b"--x--\r\n".to_vec()].concat();
    let file = || part("name=\"file\"; filename=\"a.jsonl\"", "{}");
    let purpose = |word| part("name=\"purpose\"", word);
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("application/json", b"{}".to_vec(), "not multipart"),
        ("multipart/form-data", b"--x--".to_vec(), "boundary"),
        (form, Vec::new(), "boundary"),
        (form, b"\xff\xfe--x\r\n\xff\r\n\r\n".to_vec(), "form"),
        (form, b"--x\r\n".repeat(10_000), "form"),
        (form, part("name=\"file\"", "{}"), "breaks off"),
        (form, parts(&[purpose("batch")]), "file"),
        (form, parts(&[file()]), "purpose"),
        (form, parts(&[file(), purpose("nothing")]), "purpose"),
        (form, parts(&[part("name=\"file\"; filename=\"a.txt\"", "{}"), purpose("batch")]), ".jsonl"),
        (form, parts(&[file(), purpose("batch"), part("name=\"expires_after[seconds]\"", "1")]), "expires_after.seconds"),
        (form, parts(&vec![purpose("batch"); 100_000]), "too many"),
    ];
    for (kind, body, place) in cases {
        let reply = client::send(host.api, "POST", "/v1/files", &[("content-type", kind)], &body);
        assert_eq!(reply.status, 400, "{place}: {}", reply.text());
        let body = reply.json();
        let message = doors::openai(&body).unwrap_or_else(|| panic!("{place}: {body}"));
        let sentence = format!("{message} {}", body["error"]["param"].as_str().unwrap_or_default());
        assert!(sentence.contains(place), "{place}: {body}");
    }
    let good = parts(&[file(), purpose("batch")]);
    assert_eq!(client::send(host.api, "POST", "/v1/files", &[("content-type", form)], &good).status, 200);
}

#[test]
fn routes_of_ones_own_take_any_body() {
    let host = TestHost::start(SCENARIO);
    for (name, body) in bodies() {
        let reply = client::send(host.api, "POST", "/search", &[], &body);
        // The prompt is the body, so some are longer than the window.
        let expected = if body.len() > 10_000 { 400 } else { 200 };
        assert_eq!(reply.status, expected, "{name}: {}", reply.text());
        if expected == 400 {
            let error: &Value = &reply.json()["error"];
            assert_eq!((error["status"].as_u64(), error["message"].is_string()), (Some(400), true), "{error}");
        }
    }
    assert_eq!(client::send(host.api, "PUT", "/search", &[], b"x").status, 405);
}

#[test]
fn every_seed_of_the_fuzzers_is_understood_or_refused() {
    let mut seeds = 0;
    for target in std::fs::read_dir(workspace().join("host/fuzz/corpus")).expect("the corpus") {
        let target = target.expect("a folder").path();
        for seed in std::fs::read_dir(&target).expect("a folder") {
            let body = std::fs::read(seed.expect("a seed").path()).expect("read");
            fuzzed::ask(target.file_name().and_then(|name| name.to_str()).expect("a name"), &body);
            seeds += 1;
        }
    }
    assert!(seeds >= 40, "{seeds} seeds");
}
