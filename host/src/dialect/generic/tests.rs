//! Routes as the planner sees them, and what goes on the wire.

use bytes::{Bytes, BytesMut};
use http::Method;
use proptest::prelude::*;

use super::{Generic, Route};
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed};
use crate::scenario::routes::{PathPattern, RouteEntry};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::request::Operation;
use crate::types::usage::Usage;

fn entry(method: Method, path: &str, status: u16, is_sse: bool) -> RouteEntry {
    RouteEntry {
        method,
        path: PathPattern::parse(path).unwrap(),
        model: "retrieval".to_owned(),
        status,
        is_sse,
        content_type: "application/json",
        pointer: String::new(),
    }
}

fn parsed(target: &str, body: &[u8]) -> Result<Parsed, ApiError> {
    let routes = [
        entry(Method::POST, "/collections/{name}/search", 200, false),
        entry(Method::DELETE, "/jobs/{id}", 204, false),
        entry(Method::GET, "/events", 200, true),
    ];
    Route.parse(Inbound { target, body: Bytes::copy_from_slice(body), routes: &routes, ..Inbound::default() })
}

fn head() -> Head {
    Head { id: 1, created_unix_s: 1, model: "retrieval".into(), fingerprint: 1, usage: Usage::default() }
}

fn text(text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: None }
}

fn whole(target: &str) -> (u16, String) {
    let voice = parsed(target, b"").unwrap().voice;
    let (mut out, mut reply) = (BytesMut::new(), WholeReply::default());
    [text("{\"a\""), text(":1}"), StreamEvent::Finish { choice: 0, reason: Finish::Stop }]
        .iter()
        .for_each(|event| reply.gather(event));
    voice.whole(&head(), &reply, &mut out);
    (voice.status(), String::from_utf8(out.to_vec()).unwrap())
}

fn streamed(events: &[StreamEvent<'_>]) -> String {
    let (mut out, mut renderer) = (BytesMut::new(), parsed("GET /events", b"").unwrap().voice.stream(&head()));
    events.iter().for_each(|event| renderer.event(event, &mut out));
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_body_is_the_prompt_and_the_path_is_kept() {
    let request = parsed("POST /collections/my%20docs/search?limit=3", b"{\"q\":\"cats\"}").unwrap().request;
    assert_eq!((request.operation, &*request.model, request.streams), (Operation::Generic, "retrieval", false));
    assert_eq!(&*request.messages[0].text, "{\"q\":\"cats\"}");
    let route = request.route.unwrap();
    assert_eq!((route.index, &route.parameters[..]), (0, &[("name".into(), "my docs".into())][..]));
    assert!(parsed("GET /events", b"").unwrap().request.streams);
    assert_eq!(&*parsed("DELETE /jobs/7", b"").unwrap().request.messages[0].text, "DELETE /jobs/7");
}

#[test]
fn nothing_but_a_route_is_understood() {
    for target in ["POST /collections//search", "", "nonsense", "POST /"] {
        assert_eq!(parsed(target, b"").unwrap_err().status, 404, "{target}");
    }
    assert_eq!(parsed("GET /collections/a/search", b"").unwrap_err().status, 405);
}

#[test]
fn a_whole_answer_is_the_text_with_its_status() {
    assert_eq!(whole("POST /collections/a/search"), (200, "{\"a\":1}".to_owned()));
    assert_eq!(whole("DELETE /jobs/7"), (204, String::new()));
}

#[test]
fn a_stream_is_an_event_for_each_token() {
    let events = [text("one"), text(" two\nthree"), StreamEvent::Usage(Usage::default()), StreamEvent::End];
    assert_eq!(streamed(&events), "data: one\n\ndata:  two\ndata: three\n\n");
    let broken = [text("one"), StreamEvent::Error { message: "lost", code: None }];
    assert_eq!(streamed(&broken), "data: one\n\nevent: error\ndata: lost\n\n");
}

#[test]
fn refusals_have_a_plain_form() {
    let error = ApiError { retry_after_ms: Some(1_500), ..ApiError::of_status(429, "Slow down.") };
    let reply = Generic.render_error(&error, 1);
    assert_eq!(&reply.body[..], br#"{"error":{"status":429,"message":"Slow down.","code":null}}"#);
    assert_eq!(reply.headers.len(), 2);
}

proptest! {
    #[test]
    fn no_target_and_no_body_makes_the_parser_panic(target in ".{0,60}", body: Vec<u8>) {
        let _ = parsed(&target, &body);
        let _ = parsed(&format!("POST /collections/{target}/search"), &body);
    }

    #[test]
    fn a_reader_of_events_gets_the_text_back(tokens in prop::collection::vec("[a-z \n]{0,6}", 0..8)) {
        let events: Vec<StreamEvent<'_>> = tokens.iter().map(|token| text(token)).collect();
        let bytes = streamed(&events);
        let mut read = Vec::new();
        for event in bytes.split_terminator("\n\n") {
            read.push(event.lines().map(|line| line.strip_prefix("data: ").expect("data")).collect::<Vec<_>>().join("\n"));
        }
        prop_assert_eq!(read, tokens);
    }
}
