//! What a session refuses, in the vendor's words.

use serde_json::{Value, json};

use super::super::*;
use super::{asked, hear, lines, session, told};
use crate::types::limits::{REALTIME_ITEMS_MAX, REALTIME_KEPT_BYTES_MAX};

/// The error that `event` is answered with.
fn refused(event: &Value) -> Value {
    let mut said = told(&mut session(), event);
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)["error"].take()
}

#[test]
fn each_mistake_names_its_field() {
    let item = |item: Value| json!({"type": "conversation.item.create", "item": item});
    let update = |settings: Value| json!({"type": "session.update", "session": settings});
    let table = [
        (json!({}), "type", "missing_required_parameter"),
        (json!({"type": "speak"}), "type", "invalid_value"),
        (json!({"type": 5}), "type", "invalid_type"),
        (json!({"type": "session.update"}), "session", "missing_required_parameter"),
        (update(json!({"type": "transcription"})), "session.type", "invalid_value"),
        (update(json!({"instructions": 1})), "session.instructions", "invalid_type"),
        (update(json!({"model": "other"})), "session.model", "cannot_update_model"),
        (update(json!({"max_output_tokens": 5_000})), "session.max_output_tokens", "integer_above_max_value"),
        (update(json!({"max_output_tokens": "many"})), "session.max_output_tokens", "invalid_value"),
        (update(json!({"output_modalities": ["audio"]})), "session.output_modalities", "unsupported_audio"),
        (update(json!({"output_modalities": ["smell"]})), "session.output_modalities[0]", "invalid_value"),
        (update(json!({"tools": [{"type": "function"}]})), "session.tools[0].name", "missing_required_parameter"),
        (update(json!({"tool_choice": "perhaps"})), "session.tool_choice", "invalid_value"),
        (item(json!("x")), "item", "invalid_type"),
        (item(json!({"type": "message", "role": "robot", "content": []})), "item.role", "invalid_value"),
        (item(json!({"type": "message", "role": "user"})), "item.content", "missing_required_parameter"),
        (
            item(json!({"type": "message", "role": "user", "content": [{"type": "input_text"}]})),
            "item.content[0].text",
            "missing_required_parameter",
        ),
        (item(json!({"type": "function_call_output", "output": ""})), "item.call_id", "missing_required_parameter"),
        (json!({"type": "conversation.item.delete", "item_id": "x"}), "item_id", "item_delete_invalid_item_id"),
        (json!({"type": "conversation.item.retrieve", "item_id": "x"}), "item_id", "item_retrieve_invalid_item_id"),
        (json!({"type": "conversation.item.truncate", "item_id": "x"}), "item_id", "item_truncate_invalid_item_id"),
    ];
    for (event, param, code) in table {
        let error = refused(&event);
        assert_eq!((&error["param"], &error["code"]), (&param.into(), &code.into()), "{event}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
}

#[test]
fn an_error_names_the_event_that_is_at_fault() {
    assert_eq!(refused(&json!({"type": "speak", "event_id": "mine"}))["event_id"], "mine");
    assert_eq!(refused(&json!({"type": "speak"}))["event_id"], Value::Null);
}

#[test]
fn an_item_comes_only_once_and_only_after_one_that_is_there() {
    let mut session = session();
    let item = json!({"id": "a", "type": "message", "role": "user", "content": []});
    told(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    let again = told(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    assert_eq!(again[0]["error"]["code"], "item_create_duplicate_item_id");
    let other = json!({"type": "message", "role": "user", "content": []});
    let lost = told(&mut session, &json!({"type": "conversation.item.create", "item": other, "previous_item_id": "z"}));
    assert_eq!(lost[0]["error"]["code"], "item_create_invalid_previous_item_id");
}

#[test]
fn sound_is_refused_in_a_sentence_and_only_once_per_session() {
    let mut session = session();
    let append = json!({"type": "input_audio_buffer.append", "audio": "AAAA"});
    let first = told(&mut session, &append);
    assert_eq!(first[0]["error"]["code"], "unsupported_audio");
    assert!(first[0]["error"]["message"].as_str().unwrap().starts_with("Audio is not simulated"));
    assert!(told(&mut session, &append).is_empty());
    assert_eq!(told(&mut session, &json!({"type": "input_audio_buffer.commit"}))[0]["type"], "error");
    assert_eq!(told(&mut session, &json!({"type": "input_audio_buffer.clear"}))[0]["type"], "input_audio_buffer.cleared");
}

#[test]
fn only_one_response_is_made_at_a_time_and_only_one_that_is_made_can_be_cancelled() {
    let mut session = session();
    let mut say = |event: Value, playing| {
        let mut out = BytesMut::new();
        let heard = session.hear(event.to_string().as_bytes(), playing, &mut out);
        (lines(&out), heard)
    };
    let (said, _) = say(json!({"type": "response.create"}), Some("resp_1"));
    assert_eq!(said[0]["error"]["code"], "conversation_already_has_active_response");
    assert!(said[0]["error"]["message"].as_str().unwrap().contains("resp_1"));
    let (said, _) = say(json!({"type": "response.cancel"}), None);
    assert_eq!(said[0]["error"]["code"], "response_cancel_not_active");
    let (said, _) = say(json!({"type": "response.cancel", "response_id": "resp_2"}), Some("resp_1"));
    assert_eq!(said[0]["error"]["code"], "response_cancel_not_active");
    assert!(matches!(say(json!({"type": "response.cancel"}), Some("resp_1")).1, Heard::Cancel));
}

#[test]
fn a_response_that_refers_to_nothing_is_refused() {
    let mut session = session();
    let error = asked(&mut session, &json!({"input": [{"type": "item_reference", "id": "gone"}]})).unwrap_err();
    assert_eq!(error.code.as_deref(), Some("item_not_found"));
    let error = asked(&mut session, &json!({"tool_choice": {"type": "function", "name": "gone"}})).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tool_choice"));
}

#[test]
fn nesting_without_end_is_refused_before_it_is_kept() {
    let deep = format!(r#"{{"type":"conversation.item.create","item":{{"x":{}1{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let mut out = BytesMut::new();
    assert!(matches!(session().hear(deep.as_bytes(), None, &mut out), Heard::Nothing));
    assert_eq!(lines(&out)[0]["type"], "error");
    let (said, _) = hear(&mut session(), &json!({"type": "session.update", "session": []}));
    assert_eq!(said[0]["error"]["param"], "session");
}

#[test]
fn settings_count_as_what_a_session_keeps() {
    let mut session = session();
    let large = "x".repeat(REALTIME_KEPT_BYTES_MAX / 5 * 2);
    for (name, is_kept) in [("tracing", true), ("prompt", true), ("audio", false), ("prompt", true)] {
        let before = session.bytes();
        let said = told(&mut session, &json!({"type": "session.update", "session": {name: large}}));
        let kind = if is_kept { "session.updated" } else { "error" };
        assert_eq!(said[0]["type"], kind, "{name}");
        assert!(session.bytes() <= REALTIME_KEPT_BYTES_MAX && (is_kept || session.bytes() == before));
    }
    // In the place of what was there, it is no more.
    let small = told(&mut session, &json!({"type": "session.update", "session": {"prompt": null, "tracing": "auto"}}));
    assert_eq!(small[0]["session"]["tracing"], "auto");
    assert!(session.bytes() < REALTIME_KEPT_BYTES_MAX / 2);
}

#[test]
fn a_session_keeps_no_more_than_others_leave_it() {
    let mut session = session();
    let create = |id: &str| json!({"type": "conversation.item.create", "item": {"id": id, "type": "message", "role": "user", "content": []}});
    told(&mut session, &create("a"));
    let one = session.bytes();
    session.may_keep(one);
    let refused = told(&mut session, &create("b"));
    assert!(refused[0]["error"]["message"].as_str().unwrap().contains("keep too much together"), "{refused:?}");
    assert_eq!(session.bytes(), one);
    told(&mut session, &json!({"type": "conversation.item.delete", "item_id": "a"}));
    assert!(session.bytes() < one);
    assert_eq!(told(&mut session, &create("b"))[0]["type"], "conversation.item.added");
}

#[test]
fn the_input_of_a_response_has_no_more_items_than_a_conversation() {
    let input = vec![json!({"type": "message", "role": "user", "content": []}); REALTIME_ITEMS_MAX + 1];
    let mut session = session();
    assert!(asked(&mut session, &json!({"input": input[1..]})).is_ok());
    let error = asked(&mut session, &json!({"input": input})).unwrap_err();
    assert_eq!((error.status, error.param.as_deref()), (400, Some("response.input")));
}
