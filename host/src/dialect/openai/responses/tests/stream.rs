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
    insta::assert_snapshot!(stream_text("", &stream), @r#"
    event: response.created
    data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_78c93c894b25f3e3d3bcfd208e775cb3000000000000002a","object":"response","created_at":1790000000,"status":"in_progress","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":"gpt-5-mini","output":[],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},"safety_identifier":null,"service_tier":"default","store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","metadata":{}}}

    event: response.in_progress
    data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_78c93c894b25f3e3d3bcfd208e775cb3000000000000002a","object":"response","created_at":1790000000,"status":"in_progress","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":"gpt-5-mini","output":[],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},"safety_identifier":null,"service_tier":"default","store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","metadata":{}}}

    event: response.output_item.added
    data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","type":"message","status":"in_progress","content":[],"role":"assistant"}}

    event: response.content_part.added
    data: {"type":"response.content_part.added","sequence_number":3,"item_id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}

    event: response.output_text.delta
    data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"content_index":0,"delta":"Hi","logprobs":[]}

    event: response.output_text.delta
    data: {"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"content_index":0,"delta":" \"you\"\n","logprobs":[]}

    event: response.output_text.done
    data: {"type":"response.output_text.done","sequence_number":6,"item_id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"content_index":0,"text":"Hi \"you\"\n","logprobs":[]}

    event: response.content_part.done
    data: {"type":"response.content_part.done","sequence_number":7,"item_id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi \"you\"\n"}}

    event: response.output_item.done
    data: {"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi \"you\"\n"}],"role":"assistant"}}

    event: response.completed
    data: {"type":"response.completed","sequence_number":9,"response":{"id":"resp_78c93c894b25f3e3d3bcfd208e775cb3000000000000002a","object":"response","created_at":1790000000,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":"gpt-5-mini","output":[{"id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi \"you\"\n"}],"role":"assistant"}],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},"safety_identifier":null,"service_tier":"default","store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11},"metadata":{}}}
    "#);
}

/// Thoughts, a message and calls.
const MIXED: [StreamEvent<'_>; 11] = [
    START,
    StreamEvent::Text { choice: 0, kind: TextKind::Reasoning, text: "Hm", logprob: None },
    StreamEvent::Text { choice: 0, kind: TextKind::Reasoning, text: ".", logprob: None },
    StreamEvent::Text { choice: 0, kind: TextKind::Refusal, text: "No", logprob: None },
    StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
    StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"a\"" },
    StreamEvent::ToolArguments { choice: 0, index: 0, fragment: ":1}" },
    StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "sql" },
    StreamEvent::ToolArguments { choice: 0, index: 1, fragment: "select 1" },
    StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
    StreamEvent::End,
];
const MIXED_FIELDS: &str =
    r#""reasoning":{"summary":"auto"},"tools":[{"type":"function","name":"look"},{"type":"custom","name":"sql"}]"#;

/// Some of the events of that stream.
fn mixed(from: usize, to: usize) -> String {
    stream_text(MIXED_FIELDS, &MIXED).split_inclusive("\n\n").skip(from).take(to - from).collect()
}

#[test]
fn thoughts_come_before_a_message() {
    insta::assert_snapshot!(mixed(2, 15), @r#"
    event: response.output_item.added
    data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","type":"reasoning","summary":[]}}

    event: response.reasoning_summary_part.added
    data: {"type":"response.reasoning_summary_part.added","sequence_number":3,"item_id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

    event: response.reasoning_summary_text.delta
    data: {"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"summary_index":0,"delta":"Hm"}

    event: response.reasoning_summary_text.delta
    data: {"type":"response.reasoning_summary_text.delta","sequence_number":5,"item_id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"summary_index":0,"delta":"."}

    event: response.reasoning_summary_text.done
    data: {"type":"response.reasoning_summary_text.done","sequence_number":6,"item_id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"summary_index":0,"text":"Hm."}

    event: response.reasoning_summary_part.done
    data: {"type":"response.reasoning_summary_part.done","sequence_number":7,"item_id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"Hm."}}

    event: response.output_item.done
    data: {"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}]}}

    event: response.output_item.added
    data: {"type":"response.output_item.added","sequence_number":9,"output_index":1,"item":{"id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","type":"message","status":"in_progress","content":[],"role":"assistant"}}

    event: response.content_part.added
    data: {"type":"response.content_part.added","sequence_number":10,"item_id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","output_index":1,"content_index":0,"part":{"type":"refusal","refusal":""}}

    event: response.refusal.delta
    data: {"type":"response.refusal.delta","sequence_number":11,"item_id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","output_index":1,"content_index":0,"delta":"No"}

    event: response.refusal.done
    data: {"type":"response.refusal.done","sequence_number":12,"item_id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","output_index":1,"content_index":0,"refusal":"No"}

    event: response.content_part.done
    data: {"type":"response.content_part.done","sequence_number":13,"item_id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","output_index":1,"content_index":0,"part":{"type":"refusal","refusal":"No"}}

    event: response.output_item.done
    data: {"type":"response.output_item.done","sequence_number":14,"output_index":1,"item":{"id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","type":"message","status":"completed","content":[{"type":"refusal","refusal":"No"}],"role":"assistant"}}
    "#);
}

#[test]
fn calls_come_after_a_message() {
    insta::assert_snapshot!(mixed(15, 24), @r#"
    event: response.output_item.added
    data: {"type":"response.output_item.added","sequence_number":15,"output_index":2,"item":{"id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","type":"function_call","status":"in_progress","arguments":"","call_id":"call_X8tolSPiun1zO7GnOahGy9CO","name":"look"}}

    event: response.function_call_arguments.delta
    data: {"type":"response.function_call_arguments.delta","sequence_number":16,"item_id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","output_index":2,"delta":"{\"a\""}

    event: response.function_call_arguments.delta
    data: {"type":"response.function_call_arguments.delta","sequence_number":17,"item_id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","output_index":2,"delta":":1}"}

    event: response.function_call_arguments.done
    data: {"type":"response.function_call_arguments.done","sequence_number":18,"item_id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","output_index":2,"arguments":"{\"a\":1}","name":"look"}

    event: response.output_item.done
    data: {"type":"response.output_item.done","sequence_number":19,"output_index":2,"item":{"id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_X8tolSPiun1zO7GnOahGy9CO","name":"look"}}

    event: response.output_item.added
    data: {"type":"response.output_item.added","sequence_number":20,"output_index":3,"item":{"id":"ctc_8de577a31121cec01c731b67554110b6000000000000002a","type":"custom_tool_call","status":"in_progress","input":"","call_id":"call_t11GwgaDbpnDe46bDekFnFqj","name":"sql"}}

    event: response.custom_tool_call_input.delta
    data: {"type":"response.custom_tool_call_input.delta","sequence_number":21,"item_id":"ctc_8de577a31121cec01c731b67554110b6000000000000002a","output_index":3,"delta":"select 1"}

    event: response.custom_tool_call_input.done
    data: {"type":"response.custom_tool_call_input.done","sequence_number":22,"item_id":"ctc_8de577a31121cec01c731b67554110b6000000000000002a","output_index":3,"input":"select 1"}

    event: response.output_item.done
    data: {"type":"response.output_item.done","sequence_number":23,"output_index":3,"item":{"id":"ctc_8de577a31121cec01c731b67554110b6000000000000002a","type":"custom_tool_call","status":"completed","input":"select 1","call_id":"call_t11GwgaDbpnDe46bDekFnFqj","name":"sql"}}
    "#);
}

#[test]
fn a_stream_ends_with_what_a_whole_reply_would_have_been() {
    let last = events(&stream_text(MIXED_FIELDS, &MIXED)).pop().unwrap();
    assert_eq!(last["response"], read(&whole_text(MIXED_FIELDS, &MIXED)));
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
    // Only what is finished tells the bytes.
    let mut last = events[6]["part"]["logprobs"].clone();
    assert_eq!(last[0].as_object_mut().unwrap().remove("bytes"), Some(json!([72, 105])));
    assert!(last[0]["top_logprobs"][0].as_object_mut().unwrap().remove("bytes").is_some());
    assert_eq!(&last, first);
}

#[test]
fn an_error_inside_a_stream_is_told_and_fails_the_response() {
    let text = stream_text("", &[StreamEvent::Error { message: "lost \"it\"", code: Some("server_is_overloaded") }]);
    let event = r#"event: error
data: {"type":"error","error":{"type":"server_error","code":"server_is_overloaded","message":"lost \"it\"","param":null},"sequence_number":2}

event: response.failed
data: {"type":"response.failed","sequence_number":3,"response":{"id":"resp_"#;
    assert!(text.contains(event), "{text}");
    let events = events(&text);
    assert_eq!(types(&events), ["created", "in_progress", "error", "failed"]);
    let response = &events[3]["response"];
    let why = json!({"code": "server_is_overloaded", "message": "lost \"it\""});
    assert_eq!((&response["status"], &response["error"], &response["output"]), (&json!("failed"), &why, &json!([])));
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
