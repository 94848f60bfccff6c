//! Streams, event by event.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{json as read, stream_text, whole_text};
use crate::types::reply::{Finish, StreamEvent, TextKind};
use crate::types::usage::Usage;

const START: StreamEvent<'_> = StreamEvent::Start { choice: 0, tool_first: false };

fn text(kind: TextKind, text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob: None }
}

fn ends(reason: Finish) -> StreamEvent<'static> {
    StreamEvent::Finish { choice: 0, reason }
}

/// A strict reader: every event has its name and its number, and the name is the type inside.
fn events(text: &str) -> Vec<Value> {
    let parts: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(parts.last(), Some(&""), "the last event would be lost without its blank line");
    let event = |(number, part): (usize, &&str)| {
        let lines: Vec<&str> = part.split('\n').collect();
        assert_eq!(lines.len(), 2, "{part}");
        let data = read(lines[1].strip_prefix("data: ").expect("a data line"));
        assert_eq!(lines[0].strip_prefix("event: "), data["type"].as_str());
        assert_eq!(data["sequence_number"], number);
        data
    };
    parts[..parts.len() - 1].iter().enumerate().map(event).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap_or("error")).collect()
}

#[test]
fn a_text_begins_grows_and_ends_part_in_item_in_response() {
    let stream = [
        START,
        text(TextKind::Content, "Hi"),
        text(TextKind::Content, " \"you\"\n"),
        ends(Finish::Stop),
        StreamEvent::Usage(Usage { input: 9, cached_input: 4, output: 2, reasoning: 0 }),
        StreamEvent::End,
    ];
    insta::assert_snapshot!(stream_text("", &stream), @"");
}

#[test]
fn thoughts_a_message_and_calls_come_in_their_order() {
    let stream = [
        START,
        text(TextKind::Reasoning, "Hm"),
        text(TextKind::Reasoning, "."),
        text(TextKind::Refusal, "No"),
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"a\"" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: ":1}" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "sql" },
        StreamEvent::ToolArguments { choice: 0, index: 1, fragment: "select 1" },
        ends(Finish::ToolCalls),
        StreamEvent::End,
    ];
    let fields = r#""reasoning":{"summary":"auto"},"tools":[{"type":"function","name":"look"},{"type":"custom","name":"sql"}]"#;
    let all = stream_text(fields, &stream);
    let between: Vec<&str> = all.split_inclusive("\n\n").skip(2).collect();
    insta::assert_snapshot!(between[..between.len() - 1].concat(), @"");
    // What the stream ends with is what a whole reply would have been.
    let last = events(&all).pop().unwrap();
    assert_eq!(last["response"], read(&whole_text(fields, &stream)));
}

#[test]
fn thoughts_that_are_not_shown_leave_an_empty_item() {
    let stream = [START, text(TextKind::Reasoning, "Hm"), text(TextKind::Reasoning, "."), text(TextKind::Content, "Yes")];
    let events = events(&stream_text("", &stream));
    let expected = ["created", "in_progress", "output_item.added", "output_item.done", "output_item.added", "content_part.added"];
    assert_eq!(types(&events)[..6], expected);
    assert_eq!((&events[3]["item"]["type"], &events[3]["item"]["summary"]), (&json!("reasoning"), &json!([])));
}

#[test]
fn a_text_after_a_refusal_is_another_part_of_the_message() {
    let stream = [START, text(TextKind::Refusal, "No"), text(TextKind::Content, "But"), ends(Finish::Stop), StreamEvent::End];
    let events = events(&stream_text("", &stream));
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), expected);
    assert_eq!((&events[8]["content_index"], &events[8]["output_index"]), (&json!(1), &json!(0)));
    assert_eq!(events[11]["item"]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn a_stream_that_reaches_its_bound_ends_incomplete() {
    let events = events(&stream_text("", &[START, text(TextKind::Content, "Hi"), ends(Finish::Length), StreamEvent::End]));
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.incomplete"), &json!("incomplete")));
    assert_eq!(events[events.len() - 2]["item"]["status"], "incomplete");
}

#[test]
fn log_probabilities_stream_with_their_token_and_come_again_at_the_end() {
    let token = StreamEvent::Text { choice: 0, kind: TextKind::Content, text: "Hi", logprob: Some(1) };
    let fields = r#""include":["message.output_text.logprobs"],"top_logprobs":1"#;
    let events = events(&stream_text(fields, &[START, token, ends(Finish::Stop), StreamEvent::End]));
    let first = &events[4]["logprobs"];
    assert_eq!((first[0]["token"].as_str(), first[0]["top_logprobs"].as_array().map(Vec::len)), (Some("Hi"), Some(1)));
    assert_eq!(&events[5]["logprobs"], first);
    assert_eq!(&events[6]["part"]["logprobs"], first);
}

#[test]
fn an_error_inside_a_stream_has_the_shape_in_which_the_service_fails() {
    let text = stream_text("", &[StreamEvent::Error { message: "lost \"it\"", code: Some("server_is_overloaded") }]);
    insta::assert_snapshot!(text, @"");
}

#[test]
fn padding_hides_the_length_of_the_text() {
    let fields = r#""stream":true,"stream_options":{"include_obfuscation":true}"#;
    let text = stream_text(fields, &[START, text(TextKind::Content, "a"), text(TextKind::Content, "abcdefgh")]);
    let deltas: Vec<&str> = text.split("\n\n").filter(|event| event.contains("delta")).collect();
    assert_eq!((deltas.len(), deltas[0].len()), (2, deltas[1].len()));
    assert!(events(&text)[4]["obfuscation"].is_string());
}

proptest! {
    #[test]
    fn a_strict_client_reads_back_what_was_planned(pieces in prop::collection::vec((0_u8..4, "(?s).{0,12}"), 0..30), shows: bool) {
        let mut planned: Vec<(u8, String)> = Vec::new();
        let mut stream = vec![START];
        for (number, (kind, text)) in pieces.iter().enumerate() {
            // Pieces of one kind in a row are one part; each call is one of its own.
            match planned.last_mut().filter(|(last, _)| last == kind && *kind < 3) {
                Some((_, planned)) => planned.push_str(text),
                None => planned.push((*kind, text.clone())),
            }
            match kind {
                3 => {
                    stream.push(StreamEvent::ToolStart { choice: 0, index: number as u32, id: 1, name: "t" });
                    stream.push(StreamEvent::ToolArguments { choice: 0, index: number as u32, fragment: text });
                }
                kind => {
                    let kind = [TextKind::Content, TextKind::Reasoning, TextKind::Refusal][usize::from(*kind)];
                    stream.push(StreamEvent::Text { choice: 0, kind, text, logprob: None });
                }
            }
        }
        stream.extend([ends(Finish::Stop), StreamEvent::Usage(Usage::default()), StreamEvent::End]);
        let fields = if shows { r#""reasoning":{"summary":"auto"}"# } else { "" };
        let events = events(&stream_text(fields, &stream));

        let mut grown: BTreeMap<String, String> = BTreeMap::new();
        let mut read_back: Vec<(u8, String)> = Vec::new();
        for event in &events {
            let place = format!("{} {}", event["item_id"], event["content_index"]);
            if let Some(delta) = event["delta"].as_str() {
                grown.entry(place.clone()).or_default().push_str(delta);
            }
            let (kind, field) = match event["type"].as_str().unwrap() {
                "response.output_text.done" => (0, "text"),
                "response.reasoning_summary_text.done" => (1, "text"),
                "response.refusal.done" => (2, "refusal"),
                "response.function_call_arguments.done" => (3, "arguments"),
                _ => continue,
            };
            let whole = event[field].as_str().unwrap().to_owned();
            prop_assert_eq!(grown.remove(&place).unwrap_or_default(), whole.clone());
            read_back.push((kind, whole));
        }
        if planned.is_empty() {
            planned.push((0, String::new()));
        }
        planned.retain(|(kind, _)| shows || *kind != 1);
        prop_assert_eq!(read_back, planned);
        prop_assert!(grown.is_empty());
        // Every item that begins ends, and the response has all of them.
        let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        let items = events.last().unwrap()["response"]["output"].as_array().unwrap().len();
        prop_assert_eq!((count("response.output_item.added"), count("response.output_item.done")), (items, items));
        prop_assert_eq!(count("response.content_part.added"), count("response.content_part.done"));
    }
}
