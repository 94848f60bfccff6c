use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use crate::support::client::{open, send};
use crate::support::host::{TestHost, ask, eventually};

/// What fails, and how that is told.
mod failing;

/// Metrics belong to the process, so these models are of no other test.
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 5ms, between: 5ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
stations:
  rt-desk: { pool: { size: 1, wait: 30ms } }
tiers:
  - { name: gold, tenants: rt-acme, requests: [3/day] }
models:
  - { match: rt-plain }
  - { match: rt-counted }
  - match: rt-endless
    latency: { constant: { first: 1ms, between: 10ms } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
  - { match: rt-long, latency: { constant: { first: 1ms, between: 40ms } } }
  - match: rt-desk
    latency: { constant: { first: 1ms, between: 10ms } }
    reply: { text: { tokens: 100000 } }
    max-output-tokens: 200000
    context-window: 400000
    pipeline: [{ model: { through: rt-desk } }]
  - { match: rt-400, faults: [{ http-error: { status: 400 } }] }
  - { match: rt-429, faults: [{ http-error: { status: 429, retry-after: 1s } }] }
  - { match: rt-busy, faults: [{ http-error: { status: 503 } }] }
  - { match: rt-early, faults: [{ error-event: { at: start, message: Lost } }] }
  - { match: rt-error, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: rt-stall, faults: [{ stall: { for: 300ms, at: token 4 } }] }
  - { match: rt-hang, faults: [{ hang: { for: 50ms } }] }
  - { match: rt-reset, faults: [reset] }
  - { match: rt-cut-close, faults: [{ cut: { how: close, at: token 4 } }] }
  - { match: rt-cut-reset, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: rt-cut-end, faults: [{ cut: { how: end, at: token 4 } }] }
  - { match: rt-drip, faults: [{ drip: { bytes-per-second: 20000 } }] }
  - { match: rt-length, faults: [{ length: { at: token 4 } }] }
  - { match: rt-content-filter, faults: [{ content-filter: { at: token 4 } }] }
  - { match: rt-malformed, faults: [{ malformed-chunk: { at: token 4 } }] }
  - { match: rt-truncated, faults: [{ truncated-json: { at: token 4 } }] }
  - { match: rt-split, faults: [{ split-utf8: { at: token 4 } }] }
  - { match: rt-duplicate, faults: [{ duplicate-chunk: { at: token 4 } }] }
  - { match: rt-missing-end, faults: [missing-end] }
  - { match: rt-wrong-type, faults: [wrong-content-type] }
  - { match: rt-empty, faults: [empty-body] }
";
const TEN: &str = "one two three four five six seven eight nine ten";

/// A client in its session.
struct Client(WebSocket<TcpStream>);

impl Client {
    /// Connects and hears the greeting.
    fn enter(host: &TestHost, model: &str) -> Self {
        Self::enter_with(host, model, &[])
    }

    fn enter_with(host: &TestHost, model: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://{}/v1/realtime?model={model}", host.api).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let (socket, _) = client(request, open(host.api)).expect("a session");
        let mut client = Self(socket);
        assert_eq!(client.hear()["type"], "session.created");
        client
    }

    fn say(&mut self, event: &Value) {
        self.0.send(Message::text(event.to_string())).expect("taken");
    }

    /// Asks for an answer to `text`.
    fn ask(&mut self, text: &str) {
        let content = json!([{"type": "input_text", "text": text}]);
        self.say(&json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}));
        self.say(&json!({"type": "response.create", "event_id": "mine"}));
    }

    /// The next event.
    fn hear(&mut self) -> Value {
        let message = self.0.read().expect("an event");
        serde_json::from_slice(&message.into_data()).expect("JSON")
    }

    /// Everything up to and with the next event of this type.
    fn hear_to(&mut self, kind: &str) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.hear());
            if heard.last().is_some_and(|event| event["type"] == kind) {
                return heard;
            }
        }
    }

    /// The answer to `text`, up to its last event.
    fn answer(&mut self, text: &str) -> Vec<Value> {
        self.ask(text);
        self.hear_to("response.done")
    }

    /// Everything that still comes, and how it ends: a code, or without one.
    fn hear_out(&mut self) -> (Vec<Message>, Result<Option<CloseCode>, Error>) {
        let mut heard = Vec::new();
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return (heard, Ok(frame.map(|frame| frame.code))),
                Ok(message) => heard.push(message),
                Err(error) => return (heard, Err(error)),
            }
        }
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

fn text(events: &[Value]) -> String {
    events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .filter_map(|event| event["delta"].as_str())
        .collect()
}

fn requests(host: &TestHost, model: &str, status: u16) -> f64 {
    host.metric("simwright_requests_total", &[&format!("model=\"{model}\""), &format!("status=\"{status}\"")])
}

fn running(host: &TestHost, model: &str) -> f64 {
    host.metric("simwright_requests_running", &[&format!("model=\"{model}\"")])
}

#[test]
fn a_response_comes_in_the_vendors_order_with_its_text_in_every_place() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-plain");
    client.ask("Hi");
    let events = client.hear_to("rate_limits.updated");
    let mut order = vec![
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ];
    order.extend([["response.output_text.delta"; 10]].concat());
    order.extend([
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]);
    assert_eq!(kinds(&events), order);
    assert_eq!(text(&events), TEN);
    let done = &events[events.len() - 2]["response"];
    assert_eq!((&done["status"], &done["output"][0]["content"][0]["text"]), (&json!("completed"), &json!(TEN)));
    let usage = &done["usage"];
    assert_eq!(
        (usage["output_tokens"].as_u64(), usage["total_tokens"].as_u64() > usage["input_tokens"].as_u64()),
        (Some(10), true)
    );
    // The conversation goes on: the next prompt has this question and this answer, too.
    let next = client.answer("And?");
    assert!(
        next.last().expect("an event")["response"]["usage"]["input_tokens"].as_u64()
            >= Some(usage["total_tokens"].as_u64().unwrap())
    );
}

#[test]
fn responses_are_counted_like_any_request_and_tokens_never_leave_early() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-counted");
    let before = requests(&host, "rt-counted", 200);
    let start = Instant::now();
    client.answer("Hi");
    // The first after 5 ms, and nine gaps of 5 ms.
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
    assert_eq!(requests(&host, "rt-counted", 200) - before, 1.0);
    assert_eq!(running(&host, "rt-counted"), 0.0);
}

#[test]
fn what_is_no_handshake_is_refused_before_it() {
    let host = TestHost::start(SCENARIO);
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"), key];
    let plain = send(host.api, "GET", "/v1/realtime?model=rt-plain", &[], b"");
    assert_eq!((plain.status, &plain.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let nameless = send(host.api, "GET", "/v1/realtime", &upgrade, b"");
    assert_eq!((nameless.status, &nameless.json()["error"]["message"]), (400, &json!("you must provide a model parameter")));
    let unknown = send(host.api, "GET", "/v1/realtime?model=nobody", &upgrade, b"");
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("model_not_found")));
    let wrong = send(host.api, "POST", "/v1/realtime?model=rt-plain", &upgrade, b"");
    assert_eq!(wrong.status, 405);
}

#[test]
fn a_handshake_takes_the_subprotocol_and_no_key_that_comes_as_one() {
    let host = TestHost::start(SCENARIO);
    let mut request = format!("ws://{}/v1/realtime?model=rt-plain", host.api).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-x".parse().expect("a value"));
    let (_, response) = client(request, open(host.api)).expect("a session");
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    assert!(response.headers().contains_key("x-request-id"));
}

#[test]
fn a_response_that_is_cancelled_ends_and_the_session_goes_on() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-endless");
    client.ask("Hi");
    client.hear_to("response.output_text.delta");
    assert_eq!(running(&host, "rt-endless"), 1.0);
    client.say(&json!({"type": "response.create"}));
    let busy = client.hear_to("error").pop().expect("an event");
    assert_eq!(busy["error"]["code"], "conversation_already_has_active_response");
    client.say(&json!({"type": "response.cancel"}));
    let done = client.hear_to("response.done").pop().expect("an event");
    assert_eq!(
        (&done["response"]["status"], &done["response"]["status_details"]["reason"]),
        (&json!("cancelled"), &json!("client_cancelled"))
    );
    eventually("nothing runs", || running(&host, "rt-endless") == 0.0);
    client.say(&json!({"type": "response.create"}));
    client.hear_to("response.output_text.delta");
    // A client that leaves takes its response with it.
    drop(client);
    eventually("nothing runs", || running(&host, "rt-endless") == 0.0);
}

#[test]
fn pings_are_answered_and_json_may_come_as_bytes() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-plain");
    client.0.send(Message::Ping("there?".into())).expect("taken");
    assert_eq!(client.0.read().expect("a message"), Message::Pong("there?".into()));
    client.0.send(Message::binary(br#"{"type":"input_audio_buffer.clear"}"#.to_vec())).expect("taken");
    assert_eq!(client.hear()["type"], "input_audio_buffer.cleared");
    client.0.close(None).expect("taken");
    assert!(matches!(client.hear_out().1, Ok(None)));
}

#[test]
fn what_is_no_websocket_is_told_so_with_the_right_code() {
    let host = TestHost::start(SCENARIO);
    // The head of a text of 30 MiB, a text that is no UTF-8, and a frame that is not masked.
    let mut large = vec![0x81, 0xff];
    large.extend_from_slice(&(30_u64 << 20).to_be_bytes());
    large.extend_from_slice(&[0; 4]);
    let frames = [
        (large, CloseCode::Size),
        (vec![0x81, 0x81, 0, 0, 0, 0, 0xff], CloseCode::Invalid),
        (vec![0x81, 1, b'x'], CloseCode::Protocol),
    ];
    for (bytes, code) in frames {
        let mut client = Client::enter(&host, "rt-plain");
        client.0.get_mut().write_all(&bytes).expect("taken");
        let (_, ended) = client.hear_out();
        assert!(matches!(ended, Ok(Some(found)) if found == code), "{code:?}: {ended:?}");
    }
    // The server is as well as before.
    assert_eq!(host.chat(&ask("rt-plain", "x")).status, 200);
}

#[test]
fn quotas_hold_and_are_told() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter_with(&host, "rt-plain", &[("x-simwright-tenant", "rt-acme")]);
    for left in [2, 1, 0] {
        client.ask("Hi");
        let limits = client.hear_to("rate_limits.updated").pop().expect("an event");
        let told = &limits["rate_limits"][0];
        assert_eq!((&told["name"], &told["limit"], &told["remaining"]), (&json!("requests"), &json!(3), &json!(left)));
    }
    let done = client.answer("Hi").pop().expect("an event");
    assert_eq!(done["response"]["status_details"]["error"]["code"], "rate_limit_exceeded", "{done}");
}

#[test]
fn a_draining_server_finishes_a_response_and_then_says_goodbye() {
    let host = TestHost::start(SCENARIO);
    let (mut speaking, mut silent) = (Client::enter(&host, "rt-long"), Client::enter(&host, "rt-plain"));
    speaking.ask("Hi");
    speaking.hear_to("response.created");
    let app = host.into_app();
    let stopped = std::thread::spawn(move || app.stop(Duration::from_secs(20)));
    assert!(matches!(silent.hear_out().1, Ok(Some(CloseCode::Away))));
    drop(silent);
    let events = speaking.hear_to("response.done");
    assert_eq!(text(&events), TEN);
    assert!(matches!(speaking.hear_out().1, Ok(Some(CloseCode::Away))));
    drop(speaking);
    assert!(stopped.join().expect("stopped"), "something was cut off");
}

#[test]
fn the_headers_of_a_handshake_say_how_its_responses_are_answered() {
    let host =
        TestHost::start("simwright: 1\napi: { overrides: true }\nmodels: [{ match: rt-over, latency: { constant: {} } }]\n");
    let mut short = Client::enter_with(&host, "rt-over", &[("x-simwright-output-tokens", "3")]);
    let done = short.answer("Hi").pop().expect("an event");
    assert_eq!(done["response"]["usage"]["output_tokens"], 3, "{done}");
    let mut failing =
        Client::enter_with(&host, "rt-over", &[("x-simwright-fault", "http-error: { status: 503, message: Busy }")]);
    let done = failing.answer("Hi").pop().expect("an event");
    assert_eq!(done["response"]["status_details"]["error"]["message"], "Busy", "{done}");
    let mut wrong = Client::enter_with(&host, "rt-over", &[("x-simwright-seed", "x")]);
    wrong.ask("Hi");
    let error = wrong.hear_to("error").pop().expect("an event");
    assert_eq!(error["error"]["param"], "x-simwright-seed", "{error}");
}
