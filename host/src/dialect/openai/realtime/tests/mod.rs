//! What a session hears and says, and how its responses look, byte by byte.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::manners::Manners;
use crate::types::request::{Role, ToolChoice};

/// Refusals and what they say.
mod refusals;
/// Responses, byte by byte.
mod responses;

fn session() -> Session {
    Session::new(7, "gpt-realtime", 1_700_000_000, false)
}

/// Every line of `out`, parsed.
fn lines(out: &BytesMut) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What `session` says to `event`, and what it wants.
fn hear(session: &mut Session, event: &Value) -> (Vec<Value>, Heard) {
    let mut out = BytesMut::new();
    let heard = session.hear(event.to_string().as_bytes(), None, &mut out);
    (lines(&out), heard)
}

fn told(session: &mut Session, event: &Value) -> Vec<Value> {
    hear(session, event).0
}

fn message(role: &str, kind: &str, text: &str) -> Value {
    json!({"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}})
}

/// The request that `response.create` with `response` comes to.
fn asked(session: &mut Session, response: &Value) -> Result<(Request, Options), ApiError> {
    let event = json!({"type": "response.create", "response": response});
    let (said, heard) = hear(session, &event);
    let Heard::Ask(ask) = heard else { panic!("it is refused: {said:?}") };
    read_ask(ask.body)
}

fn read_ask(body: Bytes) -> Result<(Request, Options), ApiError> {
    read(Inbound { target: "?model=gpt-realtime", body, ..Inbound::default() })
}

#[test]
fn a_session_shows_its_settings_as_it_begins() {
    let mut out = BytesMut::new();
    session().greet(&mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap().trim_end(), @r#"{"type":"session.created","event_id":"event_gVKWliGLzV6ej93GhEnqq","session":{"type":"realtime","object":"realtime.session","id":"sess_F4PMqoWWfhM1b1KDK03Wz","model":"gpt-realtime","output_modalities":["text"],"instructions":"","tools":[],"tool_choice":"auto","max_output_tokens":"inf","tracing":null,"truncation":"auto","prompt":null,"expires_at":1700003600,"audio":{"input":{"format":{"type":"audio/pcm","rate":24000},"transcription":null,"noise_reduction":null,"turn_detection":null},"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin","speed":1.0}},"include":null}}"#);
}

#[test]
fn settings_that_are_told_are_shown_and_the_others_stay() {
    let mut session = session();
    let update =
        json!({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief.", "max_output_tokens": 5}});
    let [updated] = &told(&mut session, &update)[..] else { panic!("not one event") };
    assert_eq!(updated["type"], "session.updated");
    let settings = &updated["session"];
    assert_eq!((&settings["instructions"], &settings["max_output_tokens"]), (&json!("Be brief."), &json!(5)));
    assert_eq!((&settings["model"], &settings["tool_choice"]), (&json!("gpt-realtime"), &json!("auto")));
}

#[test]
fn an_item_is_added_and_done_with_what_the_server_adds_to_it() {
    let mut session = session();
    let mut out = BytesMut::new();
    session.hear(message("user", "input_text", "Hi\n").to_string().as_bytes(), None, &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap().trim_end(), @r#"
    {"type":"conversation.item.added","event_id":"event_gVKWliGLzV6ej93GhEnqq","previous_item_id":null,"item":{"id":"item_NFIO0Rm4e0jQSqzvdgmRs","object":"realtime.item","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"Hi\n"}]}}
    {"type":"conversation.item.done","event_id":"event_zJrzO4r6fZLbC7PcRQHVL","previous_item_id":null,"item":{"id":"item_NFIO0Rm4e0jQSqzvdgmRs","object":"realtime.item","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"Hi\n"}]}}
    "#);
    let second = told(&mut session, &message("user", "input_text", "there"));
    assert_eq!(second[0]["previous_item_id"], lines(&out)[0]["item"]["id"]);
}

#[test]
fn items_are_put_shown_and_deleted_where_the_client_says() {
    let mut session = session();
    let item = |id: &str, before: Value| {
        let item = json!({"id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": id}]});
        json!({"type": "conversation.item.create", "item": item, "previous_item_id": before})
    };
    told(&mut session, &item("b", Value::Null));
    let first = told(&mut session, &item("a", json!("root")));
    assert_eq!(first[0]["previous_item_id"], Value::Null);
    let between = told(&mut session, &item("between", json!("a")));
    assert_eq!(between[0]["previous_item_id"], "a");
    let shown = told(&mut session, &json!({"type": "conversation.item.retrieve", "item_id": "b"}));
    assert_eq!(
        (&shown[0]["type"], &shown[0]["item"]["content"][0]["text"]),
        (&json!("conversation.item.retrieved"), &json!("b"))
    );
    let gone = told(&mut session, &json!({"type": "conversation.item.delete", "item_id": "between"}));
    assert_eq!((&gone[0]["type"], &gone[0]["item_id"]), (&json!("conversation.item.deleted"), &json!("between")));
    let (request, options) = asked(&mut session, &json!({})).unwrap();
    let texts: Vec<&str> = request.messages.iter().map(|message| &*message.text).collect();
    assert_eq!(texts, ["a", "b"]);
    assert_eq!(options.previous_item_id.as_deref(), Some("b"));
}

#[test]
fn a_response_answers_the_whole_conversation_under_the_settings_of_both() {
    let mut session = session();
    let tool = json!({"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}});
    told(
        &mut session,
        &json!({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief.", "tools": [tool]}}),
    );
    told(&mut session, &message("user", "input_text", "Hi"));
    told(&mut session, &message("assistant", "output_text", "Hello"));
    told(
        &mut session,
        &json!({"type": "conversation.item.create", "item": {"type": "function_call", "name": "add", "arguments": "{}"}}),
    );
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "3"});
    told(&mut session, &json!({"type": "conversation.item.create", "item": result}));
    let response = json!({"max_output_tokens": 9, "tool_choice": {"type": "function", "name": "add"}, "metadata": {"a": "b\n"}});
    let (request, options) = asked(&mut session, &response).unwrap();
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Assistant, Role::Tool]);
    assert_eq!((&*request.model, request.max_output_tokens, request.streams), ("gpt-realtime", Some(9), true));
    assert_eq!(request.tool_choice, ToolChoice::Named("add".into()));
    assert_eq!(request.tools.len(), 1);
    assert_eq!(&*request.messages[3].tool_calls()[0].0, "add");
    assert_eq!(options.metadata.as_deref(), Some(r#"{"a":"b\n"}"#));
    assert!(options.is_kept());
}

#[test]
fn a_response_may_have_an_input_of_its_own_and_stay_out_of_the_conversation() {
    let mut session = session();
    let item = json!({"id": "x", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "kept"}]});
    told(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    let own = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "own"}]});
    let response = json!({"conversation": "none", "input": [own, {"type": "item_reference", "id": "x"}]});
    let (request, options) = asked(&mut session, &response).unwrap();
    let texts: Vec<&str> = request.messages.iter().map(|message| &*message.text).collect();
    assert_eq!(texts, ["own", "kept"]);
    assert!(!options.is_kept());
}

#[test]
fn sound_and_images_in_items_are_counted_and_sound_is_not_sent_back() {
    let mut session = session();
    let content = json!([
        {"type": "input_audio", "audio": "A".repeat(12_801), "transcript": "spoken"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ]);
    let item = json!({"type": "message", "role": "user", "content": content});
    let added = told(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    assert_eq!(added[0]["item"]["content"][0], json!({"type": "input_audio", "transcript": "spoken"}));
    let (request, _) = asked(&mut session, &json!({})).unwrap();
    let tokens: Vec<u32> = request.messages[0].attachments().iter().map(|attachment| attachment.tokens).collect();
    assert_eq!((&*request.messages[0].text, tokens), ("spoken", vec![3, 85]));
}

#[test]
fn what_is_left_is_told_in_seconds() {
    use crate::types::allowance::{Allowance, Left};
    let left = Left { limit: 10, remaining: 9, reset_ns: 1_500_000_001 };
    let mut out = BytesMut::new();
    session().tell_limits(&Allowance { requests: Some(left), tokens: Some(left) }, &mut out);
    let limits = &lines(&out)[0]["rate_limits"];
    assert_eq!(limits[0], json!({"name": "requests", "limit": 10, "remaining": 9, "reset_seconds": 1.501}));
    assert_eq!(limits[1]["name"], "tokens");
}

#[test]
fn a_conversation_has_an_end() {
    use crate::types::limits::REALTIME_ITEMS_MAX;
    let mut session = session();
    for _ in 0..REALTIME_ITEMS_MAX {
        assert_eq!(told(&mut session, &message("user", "input_text", ""))[0]["type"], "conversation.item.added");
    }
    let full = told(&mut session, &message("user", "input_text", ""));
    assert_eq!(full[0]["error"]["code"], "conversation_too_long");
    // Its settings are no items.
    let said = told(&mut session, &json!({"type": "session.update", "session": {"instructions": "be brief"}}));
    assert_eq!(said[0]["session"]["instructions"], "be brief");
}

/// Any JSON, nested a little.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\\n\"é]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "message",
            "user",
            "input_text",
            "function_call",
            "realtime",
            "text",
            "inf",
            "item_reference",
            "x"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = prop::sample::select(vec![
            "type",
            "id",
            "role",
            "content",
            "text",
            "tools",
            "name",
            "input",
            "tool_choice",
            "metadata",
            "output_modalities",
            "audio",
            "conversation",
            "max_output_tokens",
            "parameters",
            "call_id",
            "output",
            "arguments",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_a_session_panic_or_say_no_json(text in ".*") {
        let mut out = BytesMut::new();
        session().hear(text.as_bytes(), None, &mut out);
        lines(&out);
    }

    #[test]
    fn no_value_in_any_field_makes_a_session_panic_and_what_it_keeps_can_be_answered(
        values in prop::collection::vec((any_json(), any_json(), any_json()), 1..4),
    ) {
        let mut session = session();
        for (one, other, third) in values {
            let events = [
                json!({"type": "session.update", "session": one, "event_id": third}),
                json!({"type": "conversation.item.create", "item": other, "previous_item_id": one}),
                json!({"type": "conversation.item.delete", "item_id": one}),
                json!({"type": third}),
                json!({"type": "response.create", "response": third}),
            ];
            for event in events {
                if let (_, Heard::Ask(ask)) = hear(&mut session, &event) {
                    // Settings and items have been checked, so that only the response's own fields can be refused.
                    if let Err(error) = read_ask(ask.body) {
                        let param = error.param.unwrap_or_default();
                        prop_assert!(param.starts_with("response") || param == "tool_choice" , "{param}: {}", error.message);
                    }
                }
            }
        }
    }
}

#[test]
fn an_ask_is_refused_in_the_place_of_its_field() {
    let mut session = session();
    let error = asked(&mut session, &json!({"max_output_tokens": 0})).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("response.max_output_tokens"));
    let strict = Manners { is_strict: true, ..Manners::default() };
    let body = Bytes::from_static(br#"{"session":{"model":"m"},"response":{"sped":1}}"#);
    let error = read(Inbound { body, manners: strict, ..Inbound::default() }).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("response.sped"));
}
