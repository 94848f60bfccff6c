//! Whole responses, byte by byte.

use serde_json::json;

use super::{json as read, whole_text};
use crate::types::reply::{Finish, StreamEvent, TextKind};
use crate::types::usage::Usage;

fn text(kind: TextKind, text: &str, logprob: Option<u64>) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob }
}

fn ends(reason: Finish) -> StreamEvent<'static> {
    StreamEvent::Finish { choice: 0, reason }
}

#[test]
fn a_text_has_all_the_vendors_fields() {
    let usage = Usage { input: 9, cached_input: 4, output: 2, reasoning: 0 };
    let events = [
        text(TextKind::Content, "Hello", None),
        text(TextKind::Content, " \"you\"\n", None),
        ends(Finish::Stop),
        StreamEvent::Usage(usage),
    ];
    insta::assert_snapshot!(whole_text("", &events), @"");
}

#[test]
fn thoughts_a_refusal_and_calls_are_items_of_their_own() {
    let events = [
        text(TextKind::Reasoning, "Hm.", None),
        text(TextKind::Refusal, "I can't.", None),
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"city\":\"Oslo\"}" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "sql" },
        StreamEvent::ToolArguments { choice: 0, index: 1, fragment: "select 1" },
        ends(Finish::ToolCalls),
    ];
    let fields = r#""reasoning":{"summary":"auto"},"tools":[{"type":"function","name":"look"},{"type":"custom","name":"sql"}]"#;
    let reply = read(&whole_text(fields, &events));
    insta::assert_snapshot!(reply["output"].to_string(), @"");
    assert_eq!(reply["status"], "completed");
}

#[test]
fn thoughts_are_not_shown_unless_a_summary_is_wanted() {
    let events = [text(TextKind::Reasoning, "Hm.", None), text(TextKind::Content, "Yes.", None), ends(Finish::Stop)];
    let thoughts = |fields: &str| read(&whole_text(fields, &events))["output"][0].clone();
    assert_eq!((&thoughts("")["type"], &thoughts("")["summary"]), (&json!("reasoning"), &json!([])));
    assert!(thoughts("").get("encrypted_content").is_none());
    let encrypted = thoughts(r#""store":false,"include":["reasoning.encrypted_content"]"#);
    assert!(encrypted["encrypted_content"].as_str().is_some_and(|text| text.starts_with("gAAAAA")), "{encrypted}");
}

#[test]
fn a_reply_that_broke_off_is_incomplete_and_says_why() {
    for (finish, reason) in [(Finish::Length, "max_output_tokens"), (Finish::ContentFilter, "content_filter")] {
        let reply = read(&whole_text("", &[text(TextKind::Content, "Hi", None), ends(finish)]));
        assert_eq!((&reply["status"], &reply["output"][0]["status"]), (&json!("incomplete"), &json!("incomplete")));
        assert_eq!(reply["incomplete_details"], json!({"reason": reason}));
    }
    // It broke off while it thought: nothing has been said.
    let reply = read(&whole_text("", &[text(TextKind::Reasoning, "Hm", None), ends(Finish::Length)]));
    assert_eq!((reply["output"].as_array().unwrap().len(), &reply["output"][0]["type"]), (1, &json!("reasoning")));
}

#[test]
fn a_reply_of_nothing_is_an_empty_text() {
    let reply = read(&whole_text("", &[ends(Finish::Stop)]));
    assert_eq!(reply["output"][0]["content"], json!([{"type": "output_text", "annotations": [], "logprobs": [], "text": ""}]));
}

#[test]
fn log_probabilities_come_one_a_token() {
    let events = [text(TextKind::Content, "Hi", Some(1)), text(TextKind::Content, "é", Some(2)), ends(Finish::Stop)];
    let reply = read(&whole_text(r#""include":["message.output_text.logprobs"],"top_logprobs":1"#, &events));
    let logprobs = &reply["output"][0]["content"][0]["logprobs"];
    assert_eq!((&logprobs[0]["token"], &logprobs[1]["token"]), (&json!("Hi"), &json!("é")));
    assert_eq!(logprobs[1]["top_logprobs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_asked_is_shown_with_its_defaults() {
    let fields = "\"instructions\":\"Be \\n brief\",\"max_output_tokens\":16,\"max_tool_calls\":2,\"parallel_tool_calls\":false,\
                  \"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},\"store\":false,\"temperature\":0.5,\"top_p\":0,\
                  \"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\",\"name\":\"x\",\"schema\":{\n \"type\": \"object\"\r\n}}},\
                  \"tools\":[{\"type\":\"function\",\n\"name\":\"look\"},{\"type\":\"function\",\"name\":\"do\",\"description\":null,\"parameters\":null,\"strict\":false},\
                  {\"type\":\"custom\",\"name\":\"sql\"},\n{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"function\",\n\"name\":\"look\"},\"truncation\":\"auto\",\
                  \"metadata\":{\"a\":\"b\",\"c\":\"\"},\"user\":\"u\",\"top_logprobs\":2,\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\"";
    let reply = whole_text(fields, &[ends(Finish::Stop)]);
    assert!(!reply.contains(['\n', '\r']), "a line of a stream would end there");
    insta::assert_snapshot!(reply, @"");
}
