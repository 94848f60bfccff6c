use http::HeaderMap;

use super::*;
use crate::dialect::bulk::{Input, Moments, Tally};

fn order(body: &str) -> Result<Vec<Task>, String> {
    let inbound = Inbound { body: Bytes::copy_from_slice(body.as_bytes()), ..Inbound::default() };
    let error = |error: ApiError| String::from_utf8_lossy(&Anthropic.render_error(&error, 0).body).into_owned();
    MessageBatches.order(inbound).map_err(error).map(|order| match order.input {
        Input::Here(tasks) => tasks,
        Input::File(_) => panic!("there are no files"),
    })
}

fn task() -> Task {
    Task { custom_id: "a-\"1\"".into(), body: Bytes::new(), model: "m".into(), streams: false }
}

fn line(outcome: &Outcome<'_>) -> String {
    text_of(|out| MessageBatches.push_line(out, &task(), 7, outcome))
}

#[test]
fn an_order_is_a_list_of_named_requests() {
    let body =
        r#"{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":1}},{"custom_id":"b","params":{"stream":true}}]}"#;
    let tasks = order(body).unwrap();
    assert_eq!((&*tasks[0].custom_id, &tasks[0].body[..], &*tasks[0].model), ("a", &br#"{"model":"m","max_tokens":1}"#[..], "m"));
    assert!(MessageBatches.refusal(&tasks[0]).is_none() && MessageBatches.refusal(&tasks[1]).is_some());
}

#[test]
fn bad_orders_are_refused_with_the_place() {
    insta::assert_snapshot!(order("{}").unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests: Field required"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    insta::assert_snapshot!(order(r#"{"requests":[]}"#).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests: List should have at least 1 item after validation, not 0"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    insta::assert_snapshot!(order(r#"{"requests":[{"params":{}}]}"#).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests.0.custom_id: Field required"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    insta::assert_snapshot!(order(r#"{"requests":[{"custom_id":"a b","params":{}}]}"#).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]+$'"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    insta::assert_snapshot!(order(r#"{"requests":[{"custom_id":"a"}]}"#).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests.0.params: Field required"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    insta::assert_snapshot!(order(r#"{"requests":[{"custom_id":"a","params":7}]}"#).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests.0.params: Input should be a valid object"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
    let twice = r#"{"requests":[{"custom_id":"a","params":{}},{"custom_id":"a","params":{}}]}"#;
    insta::assert_snapshot!(order(twice).unwrap_err(), @r#"{"type":"error","error":{"type":"invalid_request_error","message":"requests: custom_id 'a' is used by more than one request"},"request_id":"req_012vbrSQaiauxMqBbsBnl4SB"}"#);
}

#[test]
fn every_result_is_a_line() {
    let headers = HeaderMap::new();
    let answered = |status, body| Outcome::Answered { status, headers: &headers, body };
    insta::assert_snapshot!(line(&answered(200, b"{\"type\":\"message\"}")), @r#"{"custom_id":"a-\"1\"","result":{"type":"succeeded","message":{"type":"message"}}}"#);
    insta::assert_snapshot!(line(&answered(529, b"{\"type\":\"error\"}")), @r#"{"custom_id":"a-\"1\"","result":{"type":"errored","error":{"type":"error"}}}"#);
    insta::assert_snapshot!(line(&Outcome::Broken("The reply broke off.")), @r#"{"custom_id":"a-\"1\"","result":{"type":"errored","error":{"type":"error","error":{"type":"api_error","message":"The reply broke off."},"request_id":"req_01YKfVVYRFBChHdyPp30gedR"}}}"#);
    insta::assert_snapshot!(line(&Outcome::Cancelled), @r#"{"custom_id":"a-\"1\"","result":{"type":"canceled"}}"#);
    insta::assert_snapshot!(line(&Outcome::Expired), @r#"{"custom_id":"a-\"1\"","result":{"type":"expired"}}"#);
}

#[test]
fn counts_and_results_are_shown_once_it_is_over() {
    let moments =
        Moments { created: 1_790_000_000, expires: 1_790_086_400, cancelling: Some(1_790_000_100), ..Moments::default() };
    let tally = Tally { total: 4, succeeded: 1, failed: 1, cancelled: 1, expired: 1 };
    let id = MessageBatches.batch_id(1).into();
    let batch = Batch { id, stage: Stage::Cancelling, moments, tally, ..Batch::default() };
    let shown = |batch: &Batch| String::from_utf8_lossy(&MessageBatches.render(batch, "http://host/v1")).into_owned();
    insta::assert_snapshot!(shown(&batch), @r#"{"id":"msgbatch_01jH1eMWm4uOwpzUvx8MhI6g","type":"message_batch","processing_status":"canceling","request_counts":{"processing":4,"succeeded":0,"errored":0,"canceled":0,"expired":0},"ended_at":null,"created_at":"2026-09-21T14:13:20Z","expires_at":"2026-09-22T14:13:20Z","archived_at":null,"cancel_initiated_at":"2026-09-21T14:15:00Z","results_url":null}"#);
    let moments = Moments { ended: Some(1_790_000_200), ..moments };
    let batch = Batch { stage: Stage::Cancelled, moments, ..batch };
    insta::assert_snapshot!(shown(&batch), @r#"{"id":"msgbatch_01jH1eMWm4uOwpzUvx8MhI6g","type":"message_batch","processing_status":"ended","request_counts":{"processing":0,"succeeded":1,"errored":1,"canceled":1,"expired":1},"ended_at":"2026-09-21T14:16:40Z","created_at":"2026-09-21T14:13:20Z","expires_at":"2026-09-22T14:13:20Z","archived_at":null,"cancel_initiated_at":"2026-09-21T14:15:00Z","results_url":"http://host/v1/messages/batches/msgbatch_01jH1eMWm4uOwpzUvx8MhI6g/results"}"#);
    let list = MessageBatches.render_list(&[], false, "");
    insta::assert_snapshot!(std::str::from_utf8(&list).unwrap(), @r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    insta::assert_snapshot!(std::str::from_utf8(&MessageBatches.render_deleted("msgbatch_1").unwrap()).unwrap(), @r#"{"id":"msgbatch_1","type":"message_batch_deleted"}"#);
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(name in ".{0,80}", value in "[\\[\\]{}\",:0-9a-z ]{0,40}") {
        let _ = order(&value);
        let _ = order(&format!(r#"{{"requests":[{{"custom_id":{name:?},"params":{value}}}]}}"#));
        let _ = order(&format!(r#"{{"requests":{value}}}"#));
        let _ = MessageBatches.page(Some(&name));
    }
}
