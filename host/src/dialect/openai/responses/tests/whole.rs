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
    insta::assert_snapshot!(whole_text("", &events), @r#"{"id":"resp_78c93c894b25f3e3d3bcfd208e775cb3000000000000002a","object":"response","created_at":1790000000,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":"gpt-5-mini","output":[{"id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hello \"you\"\n"}],"role":"assistant"}],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},"safety_identifier":null,"service_tier":"default","store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11},"metadata":{}}"#);
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
    insta::assert_snapshot!(reply["output"].to_string(), @r#"[{"id":"rs_062ddef7e8a678e84023a2c580078368000000000000002a","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}]},{"id":"msg_cbcd7ea28bfdd066cbc0676f07a71396000000000000002a","type":"message","status":"completed","content":[{"type":"refusal","refusal":"I can't."}],"role":"assistant"},{"id":"fc_6aa83ed8f3b74501eca19e77dbb05dc7000000000000002a","type":"function_call","status":"completed","arguments":"{\"city\":\"Oslo\"}","call_id":"call_X8tolSPiun1zO7GnOahGy9CO","name":"look"},{"id":"ctc_8de577a31121cec01c731b67554110b6000000000000002a","type":"custom_tool_call","status":"completed","input":"select 1","call_id":"call_t11GwgaDbpnDe46bDekFnFqj","name":"sql"}]"#);
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
    insta::assert_snapshot!(reply, @r#"{"id":"resp_78c93c894b25f3e3d3bcfd208e775cb3000000000000002a","object":"response","created_at":1790000000,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":"Be \n brief","max_output_tokens":16,"max_tool_calls":2,"model":"gpt-5-mini","output":[{"id":"msg_062ddef7e8a678e84023a2c580078368000000000000002a","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":""}],"role":"assistant"}],"parallel_tool_calls":false,"previous_response_id":null,"prompt_cache_key":"k","prompt_cache_retention":null,"reasoning":{"effort":"low","summary":"auto"},"safety_identifier":"s","service_tier":"default","store":false,"temperature":0.5,"text":{"format":{"type":"json_schema","name":"x","schema":{ "type": "object"},"strict":false},"verbosity":"low"},"tool_choice":{"type":"function","name":"look"},"tools":[{"type":"function","description":null,"name":"look","parameters":null,"strict":true},{"type":"function","description":null,"name":"do","parameters":null,"strict":false},{"type":"custom","name":"sql"},{"type":"web_search"}],"top_logprobs":2,"top_p":0.0,"truncation":"auto","usage":{"input_tokens":0,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0},"user":"u","metadata":{"a":"b","c":""}}"#);
}
