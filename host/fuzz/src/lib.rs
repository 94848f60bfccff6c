//! What every target asks: any bytes are a request that is understood or one that is refused, and both answers are the vendor's JSON.
//! README.md says how targets are run; seeds are in `corpus/`. A test of the host asks every seed, too.
#![allow(missing_docs, reason = "nobody but the targets and one test uses it")]

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use simwright::dialect::anthropic::MessageBatches;
use simwright::dialect::bulk::{Bulk, Input, Outcome};
use simwright::dialect::openai::realtime::{Heard, Session};
use simwright::dialect::openai::{Batches, OpenAi, detokenize, files, tokenize};
use simwright::dialect::{Dialect, ENDPOINTS, Endpoint, Inbound, Parsed};
use simwright::scenario::routes::{PathPattern, RouteEntry};
use simwright::types::api_error::ApiError;
use simwright::types::manners::Manners;
use simwright::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use simwright::types::usage::Usage;

/// Asks what `target` is about for what `body` says: a vendor or one of its endpoints as logs name it, with `-` in the place of `/`; or
/// something that takes bytes and is no endpoint.
///
/// # Panics
///
/// If anything else comes of it than an answer or a refusal in the vendor's form.
pub fn ask(target: &str, body: &[u8]) {
    match target {
        "session" => session(body),
        "batches" => batches(body),
        "files" => upload(body),
        "tokens" => tokens(body),
        _ => endpoints(target, body),
    }
}

fn endpoints(target: &str, body: &[u8]) {
    let asked = |endpoint: &&dyn Endpoint| {
        let name = endpoint.name();
        name == target.replace('-', "/") || endpoint.dialect().name() == target
    };
    let mut count = 0;
    for endpoint in ENDPOINTS.into_iter().filter(asked) {
        count += 1;
        // Only Anthropic has two generations.
        let versions: &[&str] = if endpoint.dialect().name() == "anthropic" { &["2023-06-01", "2026-10-21"] } else { &[""] };
        for version in versions {
            for is_strict in [false, true] {
                ask_one(endpoint, body, version, Manners { is_strict, ..Manners::default() });
            }
        }
    }
    assert!(count > 0, "nobody is called `{target}`");
}

fn ask_one(endpoint: &dyn Endpoint, body: &[u8], version: &str, manners: Manners) {
    let mut headers = HeaderMap::new();
    headers
        .extend(HeaderValue::from_str(version).ok().map(|version| (http::HeaderName::from_static("anthropic-version"), version)));
    let dialect = endpoint.dialect();
    let deployment = (dialect.name() == "azure").then_some("some-deployment");
    let (target, routes) = match dialect.name() {
        "http" => ("POST /items/7?a=b", vec![route()]),
        _ => ("some-model?alt=sse&api-version=2024-10-21", Vec::new()),
    };
    let body = Bytes::copy_from_slice(body);
    match endpoint.parse(Inbound { target, deployment, headers, body, manners, routes: &routes }) {
        Err(error) => refused(dialect, &error),
        Ok(parsed) => answer(&parsed, endpoint),
    }
}

/// A route of a scenario's own.
fn route() -> RouteEntry {
    RouteEntry {
        method: Method::POST,
        path: PathPattern::parse("/items/{id}").expect("a path"),
        model: "m".to_owned(),
        status: 200,
        is_sse: true,
        content_type: "application/json",
        pointer: String::new(),
    }
}

/// A refusal is for what the client did, and in the vendor's form.
fn refused(dialect: &dyn Dialect, error: &ApiError) {
    assert!((400..500).contains(&error.status), "a {} for what a client sent", error.status);
    let reply = dialect.render_error(error, 7);
    let refusal: Value = serde_json::from_slice(&reply.body).expect("a refusal is JSON");
    // Google's are lists of one where OpenAI's clients ask it.
    let refusal = refusal.get(0).unwrap_or(&refusal);
    assert!(!refusal["error"].is_null(), "{refusal}");
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}

/// Renders a reply of every kind of event, whole and as a stream.
fn answer(parsed: &Parsed, endpoint: &dyn Endpoint) {
    let head = Head { id: 1, created_unix_s: 1, model: parsed.request.model.clone(), fingerprint: 1, usage: Usage::default() };
    let text = |kind, text| StreamEvent::Text { choice: 0, kind, text, logprob: parsed.request.logprobs.map(|_| 9) };
    let events = [
        StreamEvent::Start { choice: 0, tool_first: false },
        text(TextKind::Reasoning, "well \"\u{1}"),
        text(TextKind::Content, "so\n"),
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "tool" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"a\":" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "1}" },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::Usage(Usage::default()),
        StreamEvent::End,
    ];
    let mut whole = WholeReply::default();
    let (mut renderer, mut out) = (parsed.voice.stream(&head), BytesMut::new());
    for event in &events {
        whole.gather(event);
        renderer.event(event, &mut out);
    }
    assert!(std::str::from_utf8(&out).is_ok(), "a stream is text");
    let mut out = BytesMut::new();
    parsed.voice.whole(&head, &whole, &mut out);
    match endpoint.name() {
        // What routes say is what the scenario says; a session's events are lines.
        "http/route" => {}
        "openai/realtime" => out[..].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| _ = json(line)),
        _ => _ = json(&out),
    }
}

/// A session hears each line as a message of its own, and asks for what it is asked for.
fn session(body: &[u8]) {
    for is_strict in [false, true] {
        let mut session = Session::new(1, "some-model", 1, is_strict);
        let (mut out, mut playing) = (BytesMut::new(), None);
        for line in body.split(|byte| *byte == b'\n') {
            let heard = session.hear(line, playing, &mut out);
            match heard {
                Heard::Nothing => {}
                Heard::Cancel => playing = None,
                Heard::Ask(ask) => {
                    playing = Some("resp_1");
                    for endpoint in ENDPOINTS.into_iter().filter(|endpoint| endpoint.name() == "openai/realtime") {
                        ask_one(endpoint, &ask.body, "", Manners { is_strict, ..Manners::default() });
                    }
                }
            }
        }
        out[..].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| _ = json(line));
    }
}

/// Orders of batches, and their requests: those that an order holds, and those in a file.
fn batches(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for bulk in [&Batches as &dyn Bulk, &MessageBatches] {
        match bulk.order(Inbound { body: body.clone(), ..Inbound::default() }) {
            Err(error) => refused(bulk.dialect(), &error),
            Ok(order) => {
                if let Input::Here(tasks) = &order.input {
                    tasks.iter().for_each(|task| line(bulk, task));
                }
            }
        }
        let order = simwright::dialect::bulk::Order { path: "/chat/completions".into(), ..Default::default() };
        match bulk.files().map_or(Ok(Vec::new()), |filing| filing.tasks(&order, &body)) {
            Ok(tasks) => tasks.iter().for_each(|task| line(bulk, task)),
            Err(problems) => assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty())),
        }
        bulk.spent(&body);
    }
}

fn line(bulk: &dyn Bulk, task: &simwright::dialect::bulk::Task) {
    let headers = HeaderMap::new();
    let answered = Outcome::Answered { status: 200, headers: &headers, body: b"{}" };
    for outcome in [answered, Outcome::Broken("why"), Outcome::Cancelled, Outcome::Expired] {
        let mut out = BytesMut::new();
        bulk.push_line(&mut out, task, 1, &outcome);
        assert!(out.iter().filter(|byte| **byte == b'\n').count() == 1 && out.ends_with(b"\n"), "one line");
        assert!(json(&out)["custom_id"].is_string());
    }
}

/// An upload: the first line is its content type.
fn upload(body: &[u8]) {
    let (kind, form) = body.split_at(body.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_bytes(kind.trim_ascii());
    headers.extend(kind.ok().map(|kind| (http::header::CONTENT_TYPE, kind)));
    match files::upload(&headers, &Bytes::copy_from_slice(form)) {
        Err(error) => refused(&OpenAi, &error),
        Ok(upload) => {
            let file = files::StoredFile { id: "file-1".into(), number: 1, upload, created: 1 };
            assert!(json(&files::render(&file))["filename"].is_string());
        }
    }
}

/// Texts to tokens and back.
fn tokens(body: &[u8]) {
    for question in [tokenize(body, Manners::default()), detokenize(body, Manners::default())] {
        match question {
            Err(error) => refused(&OpenAi, &error),
            Ok(question) => _ = json(&question.answer("gpt-4o", 4_096)),
        }
    }
}
