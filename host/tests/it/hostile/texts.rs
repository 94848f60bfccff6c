//! The adversary says what it was asked, so whatever is asked comes back through every layer that writes.

use serde_json::Value;

use super::super::support::client::Connection;
use super::super::support::guests::adversary;
use super::super::support::host::{TestHost, ask, ask_streamed, full};
use super::super::support::stream::{chunks, content};
use super::serve;

/// What means something to one layer or another.
const PIECES: [&str; 24] = [
    "\n\n",
    "\r",
    "\r\n\r\n",
    "data: [DONE]\n\n",
    "event: message_stop\ndata: {}\n\n",
    ": comment\n",
    "id: 7\n",
    "retry: 0\n\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "0\r\n\r\n",
    "\0",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{10ffff}",
    "</script>",
    "\"",
    "\\",
    "\"}]}\n\n",
    "😀",
    "e\u{301}",
    " plain words ",
];

/// Text number `number`: some of the pieces, as the number says.
fn text(number: u64) -> String {
    // A step that no power of two divides goes through them in ever other orders.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..=draw(8)).map(|_| PIECES[draw(PIECES.len() as u64) as usize]).collect()
}

fn says() -> TestHost {
    let file = adversary().display();
    TestHost::start(&format!(
        "simwright: 1\ndefaults: {{ latency: {{ constant: {{ first: 0ms, between: 0ms }} }} }}\nplugins: {{ live-says: {{ file: {file} }} \
         }}\nmodels: [{{ match: live-says, reply: live-says }}]\n"
    ))
}

// P8: a strict reader finds exactly the events that were meant, and in them exactly the text.
#[test]
fn no_text_of_a_plugin_ends_an_event_or_begins_one() {
    let host = says();
    let mut connection = Connection::open(host.api);
    let mut send =
        |body: &Value| connection.send("POST", "/v1/chat/completions", &[("x-adversary", "118")], body.to_string().as_bytes());
    for number in 0..if full() { 100_000 } else { 400 } {
        let said = text(number);
        let streamed = send(&ask_streamed("live-says", &said));
        assert_eq!(streamed.status, 200, "{}", streamed.text());
        assert_eq!(content(&chunks(streamed.text()), 0), said, "text {number}");
        let whole = send(&ask("live-says", &said)).json();
        assert_eq!(whole["choices"][0]["message"]["content"], said, "text {number}");
    }
}

// P8: what a plugin says in an error stays in the error's message, or is refused; no header comes of it.
#[test]
fn no_text_of_a_plugin_becomes_a_header() {
    let host = serve(&["live-errs"]);
    let mut connection = Connection::open(host.api);
    let mut names = Vec::new();
    for number in 0..if full() { 100_000 } else { 400 } {
        let said = text(number);
        let body = ask("live-errs", &said).to_string();
        let reply = connection.send("POST", "/v1/chat/completions", &[("x-adversary", "200")], body.as_bytes());
        assert_eq!(reply.status, 500);
        let error = reply.json()["error"].clone();
        if said.chars().any(char::is_control) {
            // Refused, or refused by the breaker because so many were.
            assert_eq!(error["code"], "behaviour_failed", "text {number}: {error}");
        } else if error["code"] != "behaviour_failed" {
            assert_eq!(error["message"], said, "text {number}");
        }
        let mut these: Vec<String> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
        these.sort();
        if names.is_empty() {
            names = these;
        } else {
            assert_eq!(these, names, "text {number}");
        }
    }
}
