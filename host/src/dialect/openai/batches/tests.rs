use http::{HeaderMap, HeaderValue};

use super::*;
use crate::dialect::bulk::{Input, Moments, Tally};

fn order(body: &str) -> Result<Order, String> {
    let inbound = Inbound { body: Bytes::copy_from_slice(body.as_bytes()), ..Inbound::default() };
    let error = |error: ApiError| String::from_utf8_lossy(&OpenAi.render_error(&error, 0).body).into_owned();
    Batches.order(inbound).map_err(error)
}

fn tasks(input: &str) -> Result<Vec<Task>, String> {
    let order = Order { path: "/chat/completions".into(), ..Order::default() };
    let told = |problem: &Problem| {
        let Problem { code, message, param, line } = problem;
        format!("{code} {} {} {message}", line.map_or(String::new(), |line| line.to_string()), param.unwrap_or("-"))
    };
    let input = Bytes::copy_from_slice(input.as_bytes());
    Batches.tasks(&order, &input).map_err(|problems| problems.iter().map(told).collect::<Vec<_>>().join("\n"))
}

fn line_of(name: &str, more: &str) -> String {
    format!(r#"{{"custom_id":"{name}","method":"POST","url":"/v1/chat/completions","body":{{"model":"m"{more}}}}}"#)
}

fn line(outcome: &Outcome<'_>) -> String {
    let task = Task { custom_id: "a-\"1\"".into(), body: Bytes::new(), model: "m".into(), streams: false };
    text_of(|out| Batches.push_line(out, &task, 7, outcome))
}

#[test]
fn an_order_names_a_file_and_what_it_asks() {
    let body = r#"{"input_file_id":"file-1","endpoint":"/v1/embeddings","completion_window":"24h","metadata":{"a":"b"},
        "output_expires_after":{"anchor":"created_at","seconds":3600}}"#;
    let metadata = [("a".into(), "b".into())].into();
    let expected = Order { input: Input::File("file-1".into()), path: "/embeddings".into(), metadata, leavings_s: Some(3_600) };
    assert_eq!(order(body), Ok(expected));
}

#[test]
fn bad_orders_are_refused_with_the_field() {
    let of =
        |more: &str| order(&format!(r#"{{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"24h"{more}}}"#));
    assert!(of("").is_ok());
    insta::assert_snapshot!(order("{}").unwrap_err(), @r#"{"error":{"message":"Missing required parameter: 'input_file_id'.","type":"invalid_request_error","param":"input_file_id","code":"missing_required_parameter"}}"#);
    insta::assert_snapshot!(order(r#"{"input_file_id":"f","endpoint":"/v1/images/edits"}"#).unwrap_err(), @r#"{"error":{"message":"Invalid value: '/v1/images/edits'. Supported values are: '/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/moderations', and '/v1/responses'.","type":"invalid_request_error","param":"endpoint","code":"invalid_value"}}"#);
    insta::assert_snapshot!(order(r#"{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"1h"}"#).unwrap_err(), @r#"{"error":{"message":"Invalid value: '1h'. Supported values are: '24h'.","type":"invalid_request_error","param":"completion_window","code":"invalid_value"}}"#);
    insta::assert_snapshot!(of(r#","metadata":{"a":1}"#).unwrap_err(), @r#"{"error":{"message":"Invalid type for 'metadata': expected a string, but got an integer instead.","type":"invalid_request_error","param":"metadata","code":"invalid_type"}}"#);
    let many: Vec<String> = (0..20).map(|key| format!(r#""{key}":"x""#)).collect();
    insta::assert_snapshot!(of(&format!(r#","metadata":{{{}}}"#, many.join(","))).unwrap_err(), @r#"{"error":{"message":"Invalid 'metadata': array too long. Expected an array with maximum length 16, but got an array with length 17 instead.","type":"invalid_request_error","param":"metadata","code":"array_above_max_length"}}"#);
    insta::assert_snapshot!(of(r#","output_expires_after":{"anchor":"created_at","seconds":1}"#).unwrap_err(), @r#"{"error":{"message":"Invalid 'output_expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 1 instead.","type":"invalid_request_error","param":"output_expires_after.seconds","code":"integer_below_min_value"}}"#);
}

#[test]
fn each_line_is_a_request() {
    let input = format!("{}\r\n\n{}", line_of("a", ""), line_of("b", r#","stream":true"#));
    let tasks = tasks(&input).unwrap();
    assert_eq!((&*tasks[0].custom_id, &tasks[0].body[..], &*tasks[0].model), ("a", &br#"{"model":"m"}"#[..], "m"));
    assert!(Batches.refusal(&tasks[0]).is_none() && Batches.refusal(&tasks[1]).is_some());
}

#[test]
fn all_mistakes_of_an_input_are_named_with_their_lines() {
    insta::assert_snapshot!(tasks(" \n\n").unwrap_err(), @"empty_file  - The batch input file is empty. Please ensure that the file has requests.");
    let other_url = line_of("d", "").replace("chat/", "");
    let get = line_of("e", "").replace("POST", "GET");
    let other_model = r#"{"custom_id":"f","method":"POST","url":"/v1/chat/completions","body":{"model":"n"}}"#;
    let lines = [&line_of("a", ""), "{", &line_of("a", ""), "[1]", "{}", &other_url, &get, other_model, r#"{"custom_id":1}"#];
    insta::assert_snapshot!(tasks(&lines.join("\n")).unwrap_err(), @"
    invalid_json_line 2 - This line is not parseable as valid JSON.
    duplicate_custom_id 3 custom_id The custom_id 'a' is used by more than one request.
    invalid_json_line 4 - This line is not parseable as valid JSON.
    missing_required_parameter 5 custom_id Missing required parameter: 'custom_id'.
    url_mismatch 6 url The URL provided for this request does not match the batch endpoint '/v1/chat/completions'.
    invalid_method 7 method Invalid value for 'method': only 'POST' is supported.
    mismatched_model 8 body.model The model of this request is not that of the rest of the batch: a batch has one model.
    invalid_type 9 custom_id Invalid type for 'custom_id': expected a string, but got an integer instead.
    ");
    assert_eq!(tasks(&"{\n".repeat(500)).unwrap_err().lines().count(), 100);
    let many: String = (0..50_001).map(|index| line_of(&index.to_string(), "") + "\n").collect();
    insta::assert_snapshot!(tasks(&many).unwrap_err(), @"too_many_tasks  - The batch has more than 50000 requests.");
}

#[test]
fn every_result_is_a_line() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("req_1"));
    let answered = |status, body| Outcome::Answered { status, headers: &headers, body };
    insta::assert_snapshot!(line(&answered(200, b"{\"object\":\"chat.completion\"}")), @r#"{"id": "batch_req_7dd023954e1ebc36c166c34f7dc3c440", "custom_id": "a-\"1\"", "response": {"status_code": 200, "request_id": "req_1", "body": {"object":"chat.completion"}}, "error": null}"#);
    insta::assert_snapshot!(line(&answered(429, b"{\"error\":{}}")), @r#"{"id": "batch_req_7dd023954e1ebc36c166c34f7dc3c440", "custom_id": "a-\"1\"", "response": {"status_code": 429, "request_id": "req_1", "body": {"error":{}}}, "error": null}"#);
    insta::assert_snapshot!(line(&Outcome::Broken("The reply broke off.")), @r#"{"id": "batch_req_7dd023954e1ebc36c166c34f7dc3c440", "custom_id": "a-\"1\"", "response": null, "error": {"code": "server_error", "message": "The reply broke off."}}"#);
    insta::assert_snapshot!(line(&Outcome::Cancelled), @r#"{"id": "batch_req_7dd023954e1ebc36c166c34f7dc3c440", "custom_id": "a-\"1\"", "response": null, "error": {"code": "batch_cancelled", "message": "This request was not executed because the batch was cancelled."}}"#);
    insta::assert_snapshot!(line(&Outcome::Expired), @r#"{"id": "batch_req_7dd023954e1ebc36c166c34f7dc3c440", "custom_id": "a-\"1\"", "response": null, "error": {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}}"#);
}

#[test]
fn tokens_are_read_in_the_words_of_either_generation() {
    let of = |body: &str| Batches.spent(body.as_bytes());
    let chat = r#"{"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#;
    assert_eq!(of(chat), Spent { input: 5, cached: 2, output: 3, reasoning: 1 });
    assert_eq!(of(r#"{"usage":{"input_tokens":5,"output_tokens":3}}"#), Spent { input: 5, output: 3, ..Spent::default() });
    assert_eq!(of("{}"), Spent::default());
}

#[test]
fn a_batch_shows_how_far_it_is() {
    let moments = Moments { created: 1_790_000_000, expires: 1_790_086_400, ..Moments::default() };
    let order = Order { input: Input::File("file-1".into()), path: "/embeddings".into(), ..Order::default() };
    let batch = Batch { id: Batches.batch_id(1).into(), order, moments, ..Batch::default() };
    let shown = |batch: &Batch| String::from_utf8_lossy(&Batches.render(batch, "")).into_owned();
    insta::assert_snapshot!(shown(&batch), @r#"{"id":"batch_1cc52098ced2a01976cee8561ad8beeb","object":"batch","endpoint":"/v1/embeddings","model":null,"errors":null,"input_file_id":"file-1","completion_window":"24h","status":"validating","output_file_id":null,"error_file_id":null,"created_at":1790000000,"in_progress_at":null,"expires_at":1790086400,"finalizing_at":null,"completed_at":null,"failed_at":null,"expired_at":null,"cancelling_at":null,"cancelled_at":null,"request_counts":{"total":0,"completed":0,"failed":0},"usage":{"input_tokens":0,"input_tokens_details":{"cached_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0},"metadata":null}"#);
    let moments = Moments { began: Some(1_790_000_001), finalizing: Some(1_790_000_002), ended: Some(1_790_000_003), ..moments };
    let tally = Tally { total: 3, succeeded: 1, failed: 1, cancelled: 0, expired: 1 };
    let spent = Spent { input: 5, cached: 2, output: 3, reasoning: 1 };
    let metadata = [("a".into(), "b".into())].into();
    let order = Order { metadata, ..batch.order.clone() };
    let (model, output, errors) = (Some("m".into()), Some("file-2".into()), Some("file-3".into()));
    insta::assert_snapshot!(shown(&Batch { order, stage: Stage::Expired, moments, tally, spent, model, output, errors, ..batch.clone() }), @r#"{"id":"batch_1cc52098ced2a01976cee8561ad8beeb","object":"batch","endpoint":"/v1/embeddings","model":"m","errors":null,"input_file_id":"file-1","completion_window":"24h","status":"expired","output_file_id":"file-2","error_file_id":"file-3","created_at":1790000000,"in_progress_at":1790000001,"expires_at":1790086400,"finalizing_at":1790000002,"completed_at":null,"failed_at":null,"expired_at":1790000003,"cancelling_at":null,"cancelled_at":null,"request_counts":{"total":3,"completed":1,"failed":2},"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":8},"metadata":{"a":"b"}}"#);
    let problem = Problem { code: "empty_file", message: "It is empty.".to_owned(), param: None, line: None };
    let failed = Batch { stage: Stage::Failed, problems: vec![problem], ..batch };
    assert!(shown(&failed).contains(
        r#""errors":{"object":"list","data":[{"code":"empty_file","message":"It is empty.","param":null,"line":null}]}"#
    ));
}

proptest::proptest! {
    #[test]
    fn no_body_and_no_input_makes_it_panic(name in ".{0,80}", value in "[\\[\\]{}\",:0-9a-z ]{0,40}") {
        let _ = order(&value);
        let _ = tasks(&value);
        let _ = tasks(&format!(r#"{{"custom_id":{name:?},"method":"POST","url":"/v1/chat/completions","body":{value}}}"#));
        let _ = order(&format!(r#"{{"input_file_id":{name:?},"endpoint":{value}}}"#));
        let _ = Batches.spent(value.as_bytes());
        let _ = Batches.page(Some(&name));
    }
}
