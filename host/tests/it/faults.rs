use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::client::{self, Ended, Reply};
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content, events};

/// Ten tokens.
const TOKENS: [&str; 10] = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];

/// A scenario with the model `plain` and the models `faults`, each with its fault.
fn scenario(latency: &str, faults: &[(&str, &str)]) -> String {
    let models: String =
        faults.iter().map(|(model, fault)| format!("  - match: {model}\n    faults: [{{ {fault} }}]\n")).collect();
    format!(
        "simwright: 1\ntokens: exact\ndefaults:\n  latency: {{ constant: {latency} }}\n  reply: {{ fixed: {{ text: {} }} }}\n\
         models:\n  - match: plain\n{models}",
        TOKENS.concat()
    )
}

const QUICK: &str = "{ first: 1ms, between: 1ms }";

/// All bytes of the answer to `body`, and how the connection ended.
fn exchange(host: &TestHost, body: &Value) -> (Vec<u8>, Ended) {
    let mut socket = client::open(host.api);
    socket.write_all(&post(body)).expect("taken");
    client::read_out(&mut socket)
}

fn post(body: &Value) -> Vec<u8> {
    client::request("POST", "/v1/chat/completions", &[], body.to_string().as_bytes())
}

/// The texts in the content chunks of `events`, of which the first is the role and none is the terminator.
fn texts(events: &[String]) -> Vec<String> {
    let Some((first, rest)) = events.split_first() else { return Vec::new() };
    let delta = |event: &str| serde_json::from_str::<Value>(event).expect("JSON")["choices"][0]["delta"].clone();
    assert_eq!(delta(first)["role"], "assistant");
    rest.iter().filter_map(|event| delta(event)["content"].as_str().map(str::to_owned)).collect()
}

fn assert_still_serves(host: &TestHost) {
    assert_eq!(chunks(host.chat(&ask_streamed("plain", "still there?")).text()).len(), 12);
}

#[test]
fn a_cut_stream_delivers_what_came_before_and_ends_as_planned() {
    // The position; how many tokens come before it; whether their choice is finished, too.
    let places = [("token 4", 4, false), ("40%", 4, false), ("49%", 4, false), ("token 0", 0, false), ("token 99", 10, true)];
    let ways = [("reset", Ended::Reset, false), ("close", Ended::Closed, false), ("end", Ended::Closed, true)];
    for (at, tokens, finished) in places {
        for (how, ended, complete) in ways {
            let host = TestHost::start(&scenario(QUICK, &[("cut", &format!("cut: {{ how: {how}, at: {at} }}"))]));
            let (bytes, found) = exchange(&host, &ask_streamed("cut", "x"));
            assert_eq!(found, ended, "{how} at {at}");
            let reply = client::parse(&bytes);
            assert_eq!((reply.status, reply.complete), (200, complete), "{how} at {at}");
            let events = events(reply.text());
            assert_eq!(texts(&events), TOKENS[..tokens], "{how} at {at}");
            // The role's chunk before the tokens, and the finish after the last.
            let role = usize::from(tokens > 0);
            assert_eq!(events.len(), role + tokens + usize::from(finished), "{how} at {at}");
            assert_still_serves(&host);
        }
    }
}

#[test]
fn a_cut_at_the_start_comes_before_the_first_byte() {
    for (how, ended) in [("reset", Ended::Reset), ("close", Ended::Closed), ("end", Ended::Closed)] {
        let host = TestHost::start(&scenario(QUICK, &[("cut", &format!("cut: {{ how: {how}, at: start }}"))]));
        for body in [ask_streamed("cut", "x"), ask("cut", "x")] {
            assert_eq!(exchange(&host, &body), (Vec::new(), ended), "{how}");
        }
        assert_still_serves(&host);
    }
}

#[test]
fn a_cut_after_a_time_comes_between_the_tokens_of_that_time() {
    // The second token would come after ten minutes.
    let latency = "{ first: 1ms, between: 600s }";
    let host = TestHost::start(&scenario(latency, &[("cut", "cut: { how: reset, at: 40ms }")]));
    let start = Instant::now();
    let (bytes, ended) = exchange(&host, &ask_streamed("cut", "x"));
    assert!(start.elapsed() >= Duration::from_millis(40));
    let reply = client::parse(&bytes);
    assert_eq!((ended, reply.complete), (Ended::Reset, false));
    assert_eq!(texts(&events(reply.text())), TOKENS[..1]);
}

/// `reply` without the second at which it was made.
fn timeless(reply: &Reply) -> String {
    let (before, after) = reply.text().split_once("\"created\":").expect("a time");
    format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn a_cut_whole_reply_is_announced_whole_and_broken_off_at_its_share() {
    let whole = TestHost::start(&scenario(QUICK, &[("cut", "none: {}")])).chat(&ask("cut", "x"));
    let announced = whole.body.len();
    assert_eq!(whole.header("content-length"), Some(announced.to_string().as_str()));
    for (at, tokens) in [("50%", 5), ("token 8", 8), ("100%", 10)] {
        for (how, ended) in [("reset", Ended::Reset), ("close", Ended::Closed), ("end", Ended::Closed)] {
            let host = TestHost::start(&scenario(QUICK, &[("cut", &format!("cut: {{ how: {how}, at: {at} }}"))]));
            let (bytes, found) = exchange(&host, &ask("cut", "x"));
            assert_eq!(found, ended, "{how} at {at}");
            let reply = client::parse(&bytes);
            let is_end = how == "end";
            assert_eq!((reply.status, reply.complete), (200, is_end), "{how} at {at}");
            let length = (announced * tokens / TOKENS.len()).min(if is_end { announced } else { announced - 1 });
            assert_eq!(reply.body.len(), length, "{how} at {at}");
            let told = if is_end { length } else { announced };
            assert_eq!(reply.header("content-length"), Some(told.to_string().as_str()), "{how} at {at}");
            assert!(timeless(&whole).starts_with(&timeless(&reply)), "{how} at {at}: {}", reply.text());
            assert_still_serves(&host);
        }
    }
}

#[test]
fn a_slow_client_gets_every_byte_before_the_reset() {
    // Far more than the kernel's buffers of a client that takes little at a time.
    let tokens = 20_000;
    let text = scenario("{ first: 0, between: 0 }", &[("cut", &format!("cut: {{ how: reset, at: token {tokens} }}"))])
        .replace("fixed: { text: one two three four five six seven eight nine ten }", "text: { tokens: 30000 }")
        + "    max-output-tokens: 40000\n";
    let host = TestHost::start(&text);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket.connect(&host.api.into()).expect("the server listens");
    let mut socket: std::net::TcpStream = socket.into();
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket.write_all(&post(&ask_streamed("cut", "x"))).expect("taken");
    let (bytes, ended) = client::read_out(&mut socket);
    let reply = client::parse(&bytes);
    assert_eq!((ended, reply.complete), (Ended::Reset, false));
    assert_eq!(texts(&events(reply.text())).len(), tokens);
}

#[test]
fn a_request_that_hangs_gets_no_byte_and_then_the_connection_closes() {
    let host = TestHost::start(&scenario(QUICK, &[("hang", "hang: { for: 60ms }")]));
    for body in [ask_streamed("hang", "x"), ask("hang", "x")] {
        let start = Instant::now();
        assert_eq!(exchange(&host, &body), (Vec::new(), Ended::Closed));
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert_still_serves(&host);
    }
}

#[test]
fn a_stalled_stream_waits_at_its_place() {
    // The stall never ends: what comes is what comes before it.
    let host = TestHost::start(&scenario(QUICK, &[("stall", "stall: { for: 1h, at: token 4 }")]));
    let mut socket = client::open(host.api);
    socket.write_all(&post(&ask_streamed("stall", "x"))).expect("taken");
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while !text(&bytes).contains("\" four\"") {
        let read = socket.read(&mut buffer).expect("tokens come");
        assert!(read > 0, "it ended: {}", text(&bytes));
        bytes.extend_from_slice(&buffer[..read]);
    }
    socket.set_nonblocking(true).expect("set");
    assert_eq!(socket.read(&mut buffer).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    assert_eq!(texts(&events(client::parse(&bytes).text())), TOKENS[..4]);
    assert_still_serves(&host);
}

#[test]
fn a_stalled_reply_is_late_by_the_stall_and_otherwise_whole() {
    for at in ["start", "token 0", "token 4", "50%", "100%", "3ms"] {
        let host = TestHost::start(&scenario(QUICK, &[("stall", &format!("stall: {{ for: 80ms, at: {at} }}"))]));
        let start = Instant::now();
        let reply = host.chat(&ask_streamed("stall", "x"));
        // Ten tokens a millisecond apart, and the stall.
        assert!(start.elapsed() >= Duration::from_millis(90), "{at}: {:?}", start.elapsed());
        assert!(reply.complete, "{at}");
        assert_eq!(chunks(reply.text()).len(), 12, "{at}");
        let start = Instant::now();
        let reply = host.chat(&ask("stall", "x"));
        assert!(start.elapsed() >= Duration::from_millis(90), "{at}: {:?}", start.elapsed());
        assert_eq!(reply.json()["choices"][0]["message"]["content"], TOKENS.concat(), "{at}");
        assert_still_serves(&host);
    }
}

#[test]
fn an_error_event_comes_in_its_place_and_ends_the_stream() {
    let fault = "error-event: { message: lost the thread, at: token 4 }";
    let host = TestHost::start(&scenario(QUICK, &[("broken", fault)]));
    let (bytes, ended) = exchange(&host, &ask_streamed("broken", "x"));
    let reply = client::parse(&bytes);
    assert_eq!((reply.status, reply.complete, ended), (200, true, Ended::Closed));
    let mut events = events(reply.text());
    let error: Value = serde_json::from_str(&events.pop().expect("an event")).expect("JSON");
    let wanted = json!({"error": {"message": "lost the thread", "type": "server_error", "param": null, "code": null}});
    assert_eq!(error, wanted);
    assert_eq!(texts(&events), TOKENS[..4]);
    assert_eq!(events.len(), 5, "{events:?}");
    assert_still_serves(&host);
}

#[test]
fn an_error_without_a_stream_to_put_it_in_is_a_refusal() {
    let faults = [
        ("start", "error-event: { message: lost the thread, at: start }"),
        ("inside", "error-event: { message: lost the thread, at: 50% }"),
    ];
    let host = TestHost::start(&scenario(QUICK, &faults));
    for body in [ask_streamed("start", "x"), ask("start", "x"), ask("inside", "x")] {
        let reply = host.chat(&body);
        assert_eq!(reply.status, 500);
        assert_eq!(reply.json()["error"]["message"], "lost the thread");
        assert_eq!(reply.json()["error"]["type"], "server_error");
    }
    assert_still_serves(&host);
}

#[test]
fn every_fault_is_counted_by_its_kind() {
    let faults = [
        ("kind-hang", "hang: { for: 1ms }"),
        ("kind-cut-reset", "cut: { how: reset, at: 50% }"),
        ("kind-cut-close", "cut: { how: close, at: 50% }"),
        ("kind-cut-end", "cut: { how: end, at: 50% }"),
        ("kind-stall", "stall: { for: 1ms, at: 50% }"),
        ("kind-error-event", "error-event: { at: 50% }"),
        ("kind-drip", "drip: { bytes-per-second: 1000000 }"),
        ("kind-length", "length: {}"),
        ("kind-content-filter", "content-filter: {}"),
        ("kind-refusal", "refusal: {}"),
        ("kind-malformed-chunk", "malformed-chunk: {}"),
        ("kind-truncated-json", "truncated-json: {}"),
        ("kind-split-utf8", "split-utf8: {}"),
        ("kind-duplicate-chunk", "duplicate-chunk: {}"),
        ("kind-swap-chunks", "swap-chunks: {}"),
        ("kind-missing-end", "missing-end: {}"),
        ("kind-wrong-content-type", "wrong-content-type: {}"),
        ("kind-empty-body", "empty-body: {}"),
    ];
    let host = TestHost::start(&scenario(QUICK, &faults));
    for (model, _) in faults {
        drop(exchange(&host, &ask_streamed(model, "x")));
        let kind = model.strip_prefix("kind-").expect("a kind");
        let labels = [format!("model=\"{model}\""), format!("kind=\"{kind}\"")];
        let counted = host.metric("simwright_faults_total", &labels.each_ref().map(String::as_str));
        assert_eq!(counted, 1.0, "{kind}");
    }
}

#[test]
fn a_fault_that_finds_nothing_to_strike_changes_nothing_and_is_not_counted() {
    let whole = ["missing-end", "duplicate-chunk", "swap-chunks"];
    let streamed = ["wrong-usage"];
    let both = ["bad-tool-arguments", "schema-violation"];
    let names = || whole.into_iter().chain(streamed).chain(both);
    let models: Vec<String> = names().map(|name| format!("nothing-{name}")).collect();
    let faults: Vec<String> = names().map(|name| format!("{name}: {{}}")).collect();
    let faults: Vec<_> = models.iter().zip(&faults).map(|(model, fault)| (model.as_str(), fault.as_str())).collect();
    let host = TestHost::start(&scenario(QUICK, &faults));
    let model = |name: &str| format!("nothing-{name}");
    for name in whole.into_iter().chain(both) {
        let reply = host.chat(&ask(&model(name), "x"));
        assert_eq!(reply.json()["choices"][0]["message"]["content"], TOKENS.concat(), "{name}");
    }
    for name in streamed.into_iter().chain(both) {
        assert_eq!(chunks(host.chat(&ask_streamed(&model(name), "x")).text()).len(), 12, "{name}");
    }
    for name in names() {
        let labels = format!("model=\"{}\"", model(name));
        assert_eq!(host.metric("simwright_faults_total", &[&labels]), 0.0, "{name}");
    }
}

#[test]
fn a_drip_begins_with_the_head_and_gives_no_byte_early() {
    // Fifty bytes a second: the ninth comes 160 ms after the first.
    let host = TestHost::start(&scenario(QUICK, &[("drip", "drip: { bytes-per-second: 50 }")]));
    for body in [ask_streamed("drip", "x"), ask("drip", "x")] {
        let mut socket = client::open(host.api);
        let start = Instant::now();
        socket.write_all(&post(&body)).expect("taken");
        let mut bytes = [0; 9];
        for byte in 0..bytes.len() {
            socket.read_exact(&mut bytes[byte..=byte]).expect("a byte");
            assert!(start.elapsed() >= Duration::from_millis(20) * byte as u32, "byte {byte} after {:?}", start.elapsed());
        }
        assert_eq!(&bytes, b"HTTP/1.1 ");
    }
    assert_still_serves(&host);
}

#[test]
fn a_drip_ends_with_its_reply_and_the_connection_goes_on() {
    let host = TestHost::start(&scenario(QUICK, &[("drip", "drip: { bytes-per-second: 20000 }")]));
    let mut socket = client::open(host.api);
    let mut replies = Vec::new();
    for model in ["drip", "plain", "drip"] {
        let body = ask(model, "x").to_string();
        let request = String::from_utf8(post(&ask(model, "x"))).expect("text").replace("connection: close\r\n", "");
        assert!(request.ends_with(&body));
        socket.write_all(request.as_bytes()).expect("taken");
        let mut bytes = Vec::new();
        let mut buffer = [0; 4_096];
        while !bytes.ends_with(b"}") || !client::parse(&bytes).complete {
            let read = socket.read(&mut buffer).expect("bytes come");
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..read]);
        }
        replies.push(client::parse(&bytes).json()["choices"][0]["message"]["content"].clone());
    }
    assert_eq!(replies, [TOKENS.concat(), TOKENS.concat(), TOKENS.concat()]);
}

#[test]
fn damage_after_a_time_strikes_the_token_that_comes_next() {
    // Deadlines decide, however late the server looks: the second token is the first one after 20 ms.
    let host = TestHost::start(&scenario("{ first: 1ms, between: 40ms }", &[("twice", "duplicate-chunk: { at: 20ms }")]));
    let events = events(client::parse(&exchange(&host, &ask_streamed("twice", "x")).0).text());
    assert_eq!(texts(&events[..events.len() - 1])[..4], ["one", " two", " two", " three"]);
}

#[test]
fn an_early_finish_ends_every_choice_after_the_tokens_that_were_due_by_then() {
    // The second token would come after ten minutes.
    let host = TestHost::start(&scenario("{ first: 1ms, between: 600s }", &[("short", "length: { at: 40ms }")]));
    let mut request = ask_streamed("short", "x");
    request["n"] = 2.into();
    request["stream_options"] = json!({"include_usage": true});
    let mut chunks = chunks(host.chat(&request).text());
    assert_eq!(chunks.pop().expect("counts")["usage"]["completion_tokens"], 2);
    for index in [0, 1] {
        assert_eq!(content(&chunks, index), "one");
        let finish = chunks.iter().rev().find(|chunk| chunk["choices"][0]["index"] == index).expect("a chunk");
        assert_eq!(finish["choices"][0]["finish_reason"], "length");
    }
}

#[test]
fn an_early_finish_inside_a_tool_call_leaves_its_arguments_unfinished() {
    let text = scenario(QUICK, &[("tools", "length: { at: 60% }")]) + "    reply: text\n";
    let host = TestHost::start(&text);
    let mut request = ask("tools", "x");
    let schema = json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "minLength": 40}}});
    request["tools"] = json!([{"type": "function", "function": {"name": "look_up", "parameters": schema}}]);
    request["tool_choice"] = "required".into();
    let choice = host.chat(&request).json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "length");
    let arguments = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().expect("arguments").to_owned();
    let error = serde_json::from_str::<Value>(&arguments).expect_err("they break off");
    assert!(error.is_eof() && arguments.starts_with("{\"city\""), "{arguments}");
}
