use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::{TestHost, eventually};

const SCENARIO: &str = "
simwright: 1
seed: 7
api: { batch-window: 1h }
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: one two three four } } }
models:
  - { match: plain }
  - { match: text-embedding-3-small }
  - { match: endless, latency: { constant: { first: 1h } } }
  - { match: slow, latency: { constant: { first: 300ms } } }
  - { match: busy, faults: [{ http-error: { status: 429, retry-after: 5s } }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 2 } }] }
  - { match: hung-up, faults: [{ reset: {} }] }
  - { match: garbled, faults: [{ truncated-json: { at: token 2 } }] }
";

fn ask(host: &TestHost, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client::send(host.api, method, path, &[("anthropic-version", "2023-06-01")], body.as_bytes())
}

fn get(host: &TestHost, path: &str) -> Value {
    ask(host, "GET", path, &Value::Null).json()
}

fn upload(host: &TestHost, name: &str, content: &str) -> Reply {
    let part = |head: &str, content: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n");
    let file = part(&format!("name=\"file\"; filename=\"{name}\""), content);
    let body = part("name=\"purpose\"", "batch") + &file + "--b--\r\n";
    client::send(host.api, "POST", "/v1/files", &[("content-type", "multipart/form-data; boundary=b")], body.as_bytes())
}

fn line(name: &str, body: &Value) -> String {
    json!({ "custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body }).to_string() + "\n"
}

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] })
}

/// A new batch of OpenAI's with `lines`.
fn batch(host: &TestHost, lines: &str) -> Value {
    let file = upload(host, "in.jsonl", lines).json();
    let body = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let reply = ask(host, "POST", "/v1/batches", &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// The batch once it is `status`.
fn reached(host: &TestHost, batch: &Value, status: &str) -> Value {
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));
    eventually(status, || get(host, &path)["status"] == status);
    get(host, &path)
}

/// The lines of the file `id` by their names.
fn lines(host: &TestHost, id: &Value) -> Vec<(String, Value)> {
    let content = ask(host, "GET", &format!("/v1/files/{}/content", id.as_str().expect("a file")), &Value::Null);
    by_name(content.text())
}

fn by_name(text: &str) -> Vec<(String, Value)> {
    let read = |line: &str| -> Value { serde_json::from_str(line).expect("a line of JSON") };
    let named = |line: Value| (line["custom_id"].as_str().expect("a name").to_owned(), line);
    let mut lines: Vec<_> = text.lines().map(read).map(named).collect();
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    lines
}

#[test]
fn a_file_is_kept_until_it_is_deleted() {
    let host = TestHost::start(SCENARIO);
    let file = upload(&host, "in.jsonl", "{}\n").json();
    let id = file["id"].as_str().expect("an id");
    assert_eq!((&file["bytes"], &file["filename"], &file["purpose"]), (&json!(3), &json!("in.jsonl"), &json!("batch")));
    let other = upload(&host, "other.jsonl", "").json();
    assert_eq!(get(&host, &format!("/v1/files/{id}")), file);
    assert_eq!(get(&host, "/v1/files")["data"], json!([other, file]));
    let page = get(&host, "/v1/files?limit=1&order=asc");
    assert_eq!((&page["data"], &page["has_more"], &page["last_id"]), (&json!([file]), &json!(true), &json!(id)));
    assert_eq!(get(&host, &format!("/v1/files?after={id}&order=asc"))["data"], json!([other]));
    assert_eq!(get(&host, "/v1/files?purpose=batch_output")["data"], json!([]));
    assert_eq!(ask(&host, "GET", &format!("/v1/files/{id}/content"), &Value::Null).text(), "{}\n");
    assert_eq!(ask(&host, "DELETE", &format!("/v1/files/{id}"), &Value::Null).json()["deleted"], true);
    let gone = ask(&host, "GET", &format!("/v1/files/{id}"), &Value::Null);
    assert_eq!((gone.status, &gone.json()["error"]["message"]), (404, &json!(format!("No such File object: {id}"))));
}

#[test]
fn a_batch_leaves_what_was_answered_and_what_was_refused() {
    let host = TestHost::start(SCENARIO);
    let wrong = json!({ "model": "plain", "messages": "hello" });
    let streamed = json!({ "model": "plain", "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
    let begun =
        batch(&host, &(line("a", &chat("plain")) + &line("b", &wrong) + &line("c", &chat("plain")) + &line("d", &streamed)));
    assert_eq!(
        (&begun["status"], &begun["request_counts"]["total"], &begun["errors"]),
        (&json!("validating"), &json!(0), &Value::Null)
    );
    let done = reached(&host, &begun, "completed");
    assert_eq!(done["request_counts"], json!({ "total": 4, "completed": 2, "failed": 2 }));
    assert_eq!((&done["model"], &done["endpoint"]), (&json!("plain"), &json!("/v1/chat/completions")));
    let moments: Vec<u64> = ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"]
        .map(|moment| done[moment].as_u64().expect(moment))
        .into();
    assert!(moments.is_sorted() && moments[4] == moments[0] + 3_600, "{moments:?}");
    let good = lines(&host, &done["output_file_id"]);
    assert_eq!(good.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    let response = &good[0].1["response"];
    assert_eq!((&response["status_code"], &good[0].1["error"]), (&json!(200), &Value::Null));
    assert_eq!(response["body"]["choices"][0]["message"]["content"], "one two three four");
    let total: u64 =
        good.iter().map(|(_, line)| line["response"]["body"]["usage"]["total_tokens"].as_u64().expect("tokens")).sum();
    assert_eq!(done["usage"]["total_tokens"], total);
    let bad = lines(&host, &done["error_file_id"]);
    assert_eq!(
        (&bad[0].1["response"]["status_code"], &bad[0].1["response"]["body"]["error"]["param"]),
        (&json!(400), &json!("messages"))
    );
    assert_eq!(bad[1].1["response"]["body"]["error"]["param"], "stream");
    let file = get(&host, &format!("/v1/files/{}", done["output_file_id"].as_str().expect("a file")));
    assert_eq!(
        (&file["purpose"], file["filename"].as_str().is_some_and(|name| name.ends_with("_output.jsonl"))),
        (&json!("batch_output"), true)
    );
    // They are requests like any other.
    assert_eq!(host.metric("simwright_requests_total", &["model=\"plain\"", "status=\"200\""]), 2.0);
    assert_eq!(get(&host, "/v1/batches")["data"], json!([done]));
}

#[test]
fn faults_strike_requests_of_a_batch_and_no_line_is_broken() {
    let host = TestHost::start(SCENARIO);
    let of = |model: &str| {
        let done = reached(&host, &batch(&host, &line("a", &chat(model))), "completed");
        assert_eq!((&done["request_counts"]["failed"], &done["output_file_id"]), (&json!(1), &Value::Null), "{model}");
        lines(&host, &done["error_file_id"]).remove(0).1
    };
    let busy = of("busy");
    assert_eq!(
        (&busy["response"]["status_code"], &busy["response"]["body"]["error"]["code"]),
        (&json!(429), &json!("rate_limit_exceeded"))
    );
    for model in ["cut", "hung-up", "garbled"] {
        let broken = of(model);
        assert_eq!((&broken["response"], &broken["error"]["code"]), (&Value::Null, &json!("server_error")), "{model}");
    }
    assert_eq!(of("unheard-of")["response"]["status_code"], 404);
}

#[test]
fn every_endpoint_that_is_served_can_be_asked_in_bulk() {
    let host = TestHost::start(SCENARIO);
    let one = json!({ "custom_id": "a", "method": "POST", "url": "/v1/embeddings",
        "body": { "model": "text-embedding-3-small", "input": "hello", "dimensions": 2 } });
    let file = upload(&host, "in.jsonl", &one.to_string()).json();
    let body = json!({ "input_file_id": file["id"], "endpoint": "/v1/embeddings", "completion_window": "24h" });
    let done = reached(&host, &ask(&host, "POST", "/v1/batches", &body).json(), "completed");
    let good = lines(&host, &done["output_file_id"]);
    assert_eq!(good[0].1["response"]["body"]["data"][0]["embedding"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_input_that_is_wrong_fails_with_its_lines() {
    let host = TestHost::start(SCENARIO);
    let failed = reached(&host, &batch(&host, &(line("a", &chat("plain")) + "{\n" + &line("a", &chat("plain")))), "failed");
    let problems = failed["errors"]["data"].as_array().expect("errors");
    let told: Vec<_> = problems.iter().map(|problem| (problem["line"].as_u64(), problem["code"].as_str())).collect();
    assert_eq!(told, [(Some(2), Some("invalid_json_line")), (Some(3), Some("duplicate_custom_id"))]);
    assert!(failed["failed_at"].is_u64() && failed["output_file_id"].is_null());
    let unknown = json!({ "input_file_id": "file-x", "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let reply = ask(&host, "POST", "/v1/batches", &unknown);
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("input_file_id")));
    assert_eq!(ask(&host, "GET", "/v1/batches/batch_x", &Value::Null).status, 404);
    assert_eq!(ask(&host, "GET", "/v1/batches?after=batch_x", &Value::Null).status, 404);
    assert_eq!(upload(&host, "in.txt", "").status, 400);
}

#[test]
fn a_batch_that_is_cancelled_ends_what_it_has_begun() {
    let host = TestHost::start(SCENARIO);
    let all: String = (0..100).map(|index| line(&format!("{index:03}"), &chat("slow"))).collect();
    let begun = batch(&host, &all);
    eventually("requests under way", || host.metric("simwright_requests_running", &[]) >= 64.0 || reached_any(&host, &begun));
    let cancel = format!("/v1/batches/{}/cancel", begun["id"].as_str().expect("an id"));
    let told = ask(&host, "POST", &cancel, &Value::Null).json();
    assert!(told["status"] == "cancelling" && told["cancelling_at"].is_u64(), "{told}");
    let done = reached(&host, &begun, "cancelled");
    assert_eq!(done["request_counts"], json!({ "total": 100, "completed": 64, "failed": 36 }));
    let left = lines(&host, &done["error_file_id"]);
    assert_eq!((left[0].0.as_str(), &left[0].1["error"]["code"]), ("064", &json!("batch_cancelled")));
    let again = ask(&host, "POST", &cancel, &Value::Null);
    assert_eq!(
        (again.status, &again.json()["error"]["message"]),
        (409, &json!("Cannot cancel a batch with status 'cancelled'."))
    );
}

/// Have its requests begun?
fn reached_any(host: &TestHost, batch: &Value) -> bool {
    get(host, &format!("/v1/batches/{}", batch["id"].as_str().expect("an id")))["status"] == "in_progress"
}

#[test]
fn a_batch_runs_out_of_time_with_the_requests_that_are_under_way() {
    let host = TestHost::start(&SCENARIO.replace("batch-window: 1h", "batch-window: 300ms"));
    let done = reached(&host, &batch(&host, &line("a", &chat("endless"))), "expired");
    assert_eq!(done["request_counts"], json!({ "total": 1, "completed": 0, "failed": 1 }));
    assert_eq!(lines(&host, &done["error_file_id"])[0].1["error"]["code"], "batch_expired");
}

#[test]
fn a_server_that_stops_waits_for_no_batch() {
    let host = TestHost::start(SCENARIO);
    let begun = batch(&host, &line("a", &chat("endless")));
    eventually("under way", || reached_any(&host, &begun));
    assert!(host.into_app().stop(Duration::from_secs(10)), "nothing else is open");
}

#[test]
fn there_is_room_for_so_many_batches() {
    let host = TestHost::start(SCENARIO);
    let file = upload(&host, "in.jsonl", &line("a", &chat("endless"))).json();
    let body = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    for _ in 0..32 {
        assert_eq!(ask(&host, "POST", "/v1/batches", &body).status, 200);
    }
    let refused = ask(&host, "POST", "/v1/batches", &body);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
}

fn message_batch(host: &TestHost, requests: &[(&str, Value)]) -> Value {
    let requests: Vec<Value> = requests.iter().map(|(name, params)| json!({ "custom_id": name, "params": params })).collect();
    let reply = ask(host, "POST", "/v1/messages/batches", &json!({ "requests": requests }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn message(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": "hello" }] })
}

fn path_of(batch: &Value) -> String {
    format!("/v1/messages/batches/{}", batch["id"].as_str().expect("an id"))
}

fn ended(host: &TestHost, batch: &Value) -> Value {
    let path = path_of(batch);
    eventually("an end", || get(host, &path)["processing_status"] == "ended");
    get(host, &path)
}

#[test]
fn a_message_batch_has_a_line_for_every_request() {
    let host = TestHost::start(SCENARIO);
    let mut wrong = message("plain");
    wrong["max_tokens"] = json!("many");
    let requests = [("a", message("plain")), ("b", message("busy")), ("c", message("cut")), ("d", wrong)];
    let begun = message_batch(&host, &requests);
    assert_eq!((&begun["request_counts"]["processing"], &begun["results_url"]), (&json!(4), &Value::Null));
    let done = ended(&host, &begun);
    let counts = json!({ "processing": 0, "succeeded": 1, "errored": 3, "canceled": 0, "expired": 0 });
    assert_eq!((&done["request_counts"], done["ended_at"].is_string()), (&counts, true));
    let results =
        done["results_url"].as_str().and_then(|url| url.strip_prefix("http://localhost")).expect("a URL of this server");
    let lines = by_name(ask(&host, "GET", results, &Value::Null).text());
    let kinds: Vec<_> = lines.iter().map(|(_, line)| line["result"]["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["succeeded", "errored", "errored", "errored"]);
    assert_eq!(lines[0].1["result"]["message"]["content"][0]["text"], "one two three four");
    assert_eq!(lines[1].1["result"]["error"]["error"]["type"], "rate_limit_error");
    assert_eq!(lines[2].1["result"]["error"]["error"]["type"], "api_error");
    assert_eq!(lines[3].1["result"]["error"]["error"]["type"], "invalid_request_error");
}

#[test]
fn message_batches_are_listed_cancelled_and_deleted() {
    let host = TestHost::start(SCENARIO);
    let slow: Vec<(String, Value)> = (0..65).map(|index| (index.to_string(), message("slow"))).collect();
    let slow: Vec<_> = slow.iter().map(|(name, params)| (name.as_str(), params.clone())).collect();
    let one = message_batch(&host, &slow);
    assert_eq!(ask(&host, "DELETE", &path_of(&one), &Value::Null).status, 400);
    assert_eq!(ask(&host, "GET", &(path_of(&one) + "/results"), &Value::Null).status, 404);
    let told = ask(&host, "POST", &(path_of(&one) + "/cancel"), &Value::Null).json();
    assert_eq!(told["processing_status"], "canceling");
    let other = ended(&host, &message_batch(&host, &[("a", message("plain"))]));
    let one = ended(&host, &one);
    assert!(one["request_counts"]["canceled"].as_u64() >= Some(1), "{one}");
    let page = get(&host, "/v1/messages/batches?limit=1");
    assert_eq!((&page["data"], &page["has_more"]), (&json!([other]), &json!(true)));
    let page = get(&host, &format!("/v1/messages/batches?after_id={}", other["id"].as_str().expect("an id")));
    assert_eq!((&page["data"], &page["has_more"]), (&json!([one]), &json!(false)));
    assert_eq!(ask(&host, "DELETE", &path_of(&one), &Value::Null).json()["type"], "message_batch_deleted");
    let gone = ask(&host, "GET", &path_of(&one), &Value::Null);
    assert_eq!((gone.status, &gone.json()["error"]["type"]), (404, &json!("not_found_error")));
}
