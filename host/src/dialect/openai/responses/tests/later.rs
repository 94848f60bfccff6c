//! What follows on a response: it is gone on from, and asked about.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::{Value, json};

use super::super::{CancelResponse, DeleteResponse, InputItems, RetrieveResponse};
use super::{head_of, json as read, parsed};
use crate::dialect::kept::{Kept, Recall};
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Parsed};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, StreamEvent, TextKind, WholeReply};
use crate::types::request::{Request, Role};

/// What is kept of a response that says `text` and calls `calls`.
fn answered(request: &Parsed, number: u64, text: &str, calls: &[&str]) -> Arc<Kept> {
    let mut reply = WholeReply::default();
    reply.gather(&StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: None });
    for (index, name) in (0..).zip(calls) {
        reply.gather(&StreamEvent::ToolStart { choice: 0, index, id: index.into(), name });
        reply.gather(&StreamEvent::ToolArguments { choice: 0, index, fragment: "{}" });
    }
    reply.gather(&StreamEvent::Finish { choice: 0, reason: Finish::Stop });
    let mut out = BytesMut::new();
    request.voice.whole(&head_of(number), &reply, &mut out);
    Arc::new(request.voice.kept(&head_of(number), &out).expect("it is kept"))
}

/// The request with what is `kept` put in.
fn resumed(body: &str, kept: &[&Arc<Kept>]) -> Result<Parsed, ApiError> {
    let mut parsed = parsed(body)?;
    let find = |key: &str| kept.iter().find(|kept| *kept.key == *key).map(|kept| Arc::clone(kept));
    let found: Vec<_> = parsed.voice.goes_on_from().iter().map(|key| find(key)).collect();
    parsed.voice.resume(&found, &mut parsed.request)?;
    Ok(parsed)
}

fn said(request: &Request) -> Vec<(Role, &str)> {
    request.messages.iter().map(|message| (message.role, &*message.text)).collect()
}

fn body_of(kept: &Kept) -> Value {
    read(std::str::from_utf8(&kept.newest().expect("its own").answered).unwrap())
}

/// Status and body of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, Value) {
    let error = result.expect_err("it should be refused");
    (error.status, read(std::str::from_utf8(&OpenAi.render_error(&error, 1).body).unwrap())["error"].clone())
}

#[test]
fn a_conversation_goes_on_with_all_that_was_said_and_new_instructions() {
    let first = parsed(r#"{"model":"m","instructions":"old","input":"one"}"#).unwrap();
    let first = answered(&first, 1, "two", &[]);
    let second =
        format!(r#"{{"model":"m","input":[{{"role":"user","content":"three"}}],"previous_response_id":"{}"}}"#, first.id);
    let second = answered(&resumed(&second, &[&first]).unwrap(), 2, "four", &[]);
    let third = format!(r#"{{"model":"m","instructions":"new","input":"five","previous_response_id":"{}"}}"#, second.id);
    let third = resumed(&third, &[&first, &second]).unwrap();
    let expected = [
        (Role::System, "new"),
        (Role::User, "one"),
        (Role::Assistant, "two"),
        (Role::User, "three"),
        (Role::Assistant, "four"),
        (Role::User, "five"),
    ];
    assert_eq!(said(&third.request), expected);
    assert_eq!(body_of(&second)["previous_response_id"], *first.id);
    // What came before is shared and not copied.
    assert!(Arc::ptr_eq(&first.exchanges[0], &second.exchanges[0]));
}

#[test]
fn a_result_belongs_to_a_call_of_the_earlier_response_and_no_call_stays_open() {
    let first = parsed(r#"{"model":"m","input":"one","tools":[{"type":"function","name":"look"}]}"#).unwrap();
    let first = answered(&first, 1, "see", &["look"]);
    let call = body_of(&first)["output"][1]["call_id"].as_str().unwrap().to_owned();
    let go_on =
        |input: &str| resumed(&format!(r#"{{"model":"m","input":{input},"previous_response_id":"{}"}}"#, first.id), &[&first]);
    let next = go_on(&format!(r#"[{{"type":"function_call_output","call_id":"{call}","output":"a cat"}}]"#)).unwrap();
    assert_eq!(said(&next.request), [(Role::User, "one"), (Role::Assistant, "see"), (Role::Tool, "a cat")]);
    assert_eq!(next.request.messages[1].tool_calls(), [("look".into(), "{}".into())]);
    let (status, error) = refusal(go_on("\"never mind\""));
    assert_eq!((status, &error["message"]), (400, &json!(format!("No tool output found for function call {call}."))));
}

#[test]
fn an_item_stands_for_what_an_earlier_response_said() {
    let first = answered(&parsed(r#"{"model":"m","input":"one"}"#).unwrap(), 1, "two", &[]);
    let item = body_of(&first)["output"][0]["id"].as_str().unwrap().to_owned();
    let body = |item: &str| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{{"type":"item_reference","id":"{item}"}},{{"role":"user","content":"b"}}]}}"#
        )
    };
    let second = resumed(&body(&item), &[&first]).unwrap();
    assert_eq!(said(&second.request), [(Role::User, "a"), (Role::Assistant, "two"), (Role::User, "b")]);
    // Once kept, it does not need the other any more.
    let second = answered(&second, 2, "c", &[]);
    let third = format!(r#"{{"model":"m","input":"d","previous_response_id":"{}"}}"#, second.id);
    assert_eq!(said(&resumed(&third, &[&second]).unwrap().request).len(), 5);
    let gone = item.replace("msg_", "rs_");
    let (status, error) = refusal(resumed(&body(&gone), &[&first]));
    let message = error["message"].as_str().unwrap();
    assert!(status == 404 && message.starts_with(&format!("Item with id '{gone}' not found.")), "{status} {error}");
    assert_eq!((&error["param"], &error["code"]), (&json!("input"), &Value::Null));
}

#[test]
fn an_earlier_response_that_is_not_kept_is_refused() {
    let (status, error) = refusal(resumed(r#"{"model":"m","input":"x","previous_response_id":"resp_1"}"#, &[]));
    let message = "Previous response with id 'resp_1' not found.";
    assert_eq!(
        (status, error),
        (
            400,
            json!({"message": message, "type": "invalid_request_error", "param": "previous_response_id", "code": "previous_response_not_found"})
        )
    );
}

#[test]
fn a_response_that_shall_not_be_stored_is_not_kept() {
    let request = parsed(r#"{"model":"m","input":"x","store":false}"#).unwrap();
    assert!(request.voice.kept(&head_of(1), b"{}").is_none());
    let mut renderer = request.voice.stream(&head_of(1));
    renderer.event(&StreamEvent::End, &mut BytesMut::new());
    assert!(renderer.kept().is_none());
}

#[test]
fn a_stream_is_kept_once_it_is_complete() {
    let request = parsed(r#"{"model":"m","input":"one","stream":true}"#).unwrap();
    let mut renderer = request.voice.stream(&head_of(1));
    let mut out = BytesMut::new();
    renderer.event(&StreamEvent::Text { choice: 0, kind: TextKind::Content, text: "two", logprob: None }, &mut out);
    renderer.event(&StreamEvent::Finish { choice: 0, reason: Finish::Stop }, &mut out);
    assert!(renderer.kept().is_none());
    renderer.event(&StreamEvent::End, &mut out);
    assert_eq!(renderer.kept().expect("it is kept"), *answered(&request, 1, "two", &[]));
}

#[test]
fn a_response_that_is_kept_is_given_again_and_forgotten() {
    let kept = answered(&parsed(r#"{"model":"m","input":"one"}"#).unwrap(), 1, "two", &[]);
    assert_eq!(RetrieveResponse.answer(&kept, None).unwrap(), kept.newest().unwrap().answered);
    assert!(RetrieveResponse.answer(&kept, Some("stream=true")).is_err());
    let deleted = DeleteResponse.answer(&kept, None).unwrap();
    assert_eq!(read(std::str::from_utf8(&deleted).unwrap()), json!({"id": *kept.id, "object": "response", "deleted": true}));
    assert!(DeleteResponse.forgets() && !RetrieveResponse.forgets());
    let (status, error) = refusal(CancelResponse.answer(&kept, None));
    assert_eq!((status, &error["message"]), (400, &json!("Cannot cancel a synchronous response.")));
    let (status, error) = refusal::<()>(Err(RetrieveResponse.absent("resp_1")));
    assert_eq!(
        (status, error),
        (
            404,
            json!({"message": "Response with id 'resp_1' not found.", "type": "invalid_request_error", "param": null, "code": null})
        )
    );
    assert_eq!(RetrieveResponse.key(&kept.id), &*kept.key);
}

#[test]
fn what_was_put_in_is_listed_newest_first_in_pages() {
    let input = r#"[{"role":"user","content":"one"},{"type":"message","role":"assistant","content":"two"},{"role":"user","content":[{"type":"input_text","text":"three"}]}]"#;
    let kept = answered(&parsed(&format!(r#"{{"model":"m","input":{input}}}"#)).unwrap(), 1, "four", &[]);
    let list = |query| read(std::str::from_utf8(&InputItems.answer(&kept, query).unwrap()).unwrap());
    let texts = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|item| item["content"][0]["text"].as_str().unwrap().to_owned()).collect()
    };
    let all = list(None);
    assert_eq!(texts(&all), ["three", "two", "one"]);
    assert_eq!((&all["object"], &all["has_more"], &all["first_id"]), (&json!("list"), &json!(false), &all["data"][0]["id"]));
    assert_eq!(all["data"][1]["content"][0]["type"], "output_text");
    let page = list(Some("order=asc&limit=2"));
    assert_eq!((texts(&page), &page["has_more"]), (vec!["one".to_owned(), "two".to_owned()], &json!(true)));
    let rest = list(Some(&format!("order=asc&after={}", page["last_id"].as_str().unwrap())));
    assert_eq!(texts(&rest), ["three"]);
    assert_eq!(refusal(InputItems.answer(&kept, Some("limit=0"))).0, 400);
    assert_eq!(refusal(InputItems.answer(&kept, Some("limit=x"))).0, 400);
    let text = answered(&parsed(r#"{"model":"m","input":"one"}"#).unwrap(), 1, "two", &[]);
    let list = InputItems.answer(&text, None).unwrap();
    insta::assert_snapshot!(std::str::from_utf8(&list).unwrap(), @r#"{"object":"list","data":[{"id":"msg_b6955f45b91c7a53a0f159318e2732e00000000000000001","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"one"}]}],"first_id":"msg_b6955f45b91c7a53a0f159318e2732e00000000000000001","last_id":"msg_b6955f45b91c7a53a0f159318e2732e00000000000000001","has_more":false}"#);
}

#[test]
fn what_an_input_refers_to_is_as_short_as_a_body() {
    let first = answered(&parsed(r#"{"model":"m","input":"one"}"#).unwrap(), 1, &"two ".repeat(1 << 20), &[]);
    let item = body_of(&first)["output"][0]["id"].as_str().unwrap().to_owned();
    let refer = |times: usize| {
        let items = vec![json!({"type": "item_reference", "id": item}); times];
        resumed(&json!({"model": "m", "input": items}).to_string(), &[&first])
    };
    assert_eq!(refer(2).unwrap().request.messages.len(), 2);
    let (status, error) = refusal(refer(9));
    assert!(status == 400 && error["message"].as_str().unwrap().contains("longer than"), "{error}");
}
