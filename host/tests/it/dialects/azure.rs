//! Azure's form of OpenAI on the wire.

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const SCENARIO: &str = "
simwright: 1
defaults:
  latency: { constant: { first: 1ms, between: 1ms } }
  reply: { fixed: { text: one two three } }
models:
  - match: mini
  - match: filtered
    faults: [{ content-filter: { at: token 2 } }]
  - match: blocked
    faults: [{ http-error: { status: 400, code: content_filter } }]
  - match: refused
    faults: [{ http-error: { status: 429, retry-after: 1500ms } }]
";

fn ask(host: &TestHost, deployment: &str, query: &str, streams: bool) -> Reply {
    let body = json!({"messages": [{"role": "user", "content": "Hi"}], "stream": streams});
    let path = format!("/openai/deployments/{deployment}/chat/completions{query}");
    client::send(host.api, "POST", &path, &[("api-key", "key")], body.to_string().as_bytes())
}

const VERSION: &str = "?api-version=2024-10-21";

fn events(reply: &Reply) -> Vec<Value> {
    let data = reply.text().split("\n\n").filter_map(|event| event.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

#[test]
fn a_stream_begins_with_what_filters_found_and_its_choices_go_on_with_it() {
    let host = TestHost::start(SCENARIO);
    let reply = ask(&host, "mini", VERSION, true);
    assert!(reply.header("apim-request-id").is_some() && reply.header("x-ms-region").is_some());
    assert!(reply.header("openai-version").is_none());
    let events = events(&reply);
    assert_eq!((&events[0]["id"], &events[0]["choices"], &events[0]["created"]), (&"".into(), &json!([]), &0.into()));
    assert!(events[0]["prompt_filter_results"][0]["content_filter_results"]["hate"].is_object());
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "one two three");
    assert!(events[1..].iter().all(|event| event["choices"][0]["content_filter_results"].is_object()));
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_filter_says_what_it_found_in_a_reply_or_in_a_prompt() {
    let host = TestHost::start(SCENARIO);
    let whole = ask(&host, "filtered", VERSION, false).json();
    assert_eq!(whole["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(whole["choices"][0]["content_filter_results"]["hate"]["filtered"], true);
    let streamed = events(&ask(&host, "filtered", VERSION, true));
    assert_eq!(streamed.last().expect("events")["choices"][0]["content_filter_results"]["hate"]["filtered"], true);
    let blocked = ask(&host, "blocked", VERSION, true);
    assert_eq!((blocked.status, &blocked.json()["error"]["innererror"]["code"]), (400, &"ResponsibleAIPolicyViolation".into()));
}

#[test]
fn filters_that_look_later_tell_it_between_and_behind_the_tokens() {
    let host = TestHost::start(&SCENARIO.replace("simwright: 1", "simwright: 1\napi: { azure-filters: asynchronous }"));
    let sent = events(&ask(&host, "mini", VERSION, true));
    let text: String = sent.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "one two three");
    let last = &sent.last().expect("events")["choices"][0];
    assert_eq!((&last["content_filter_offsets"]["end_offset"], last.get("delta")), (&13.into(), None));
    let cut = events(&ask(&host, "filtered", VERSION, true));
    assert_eq!(cut.last().expect("events")["choices"][0]["finish_reason"], "content_filter");
    assert!(ask(&host, "filtered", VERSION, false).json()["choices"][0]["content_filter_results"]["hate"]["filtered"] == true);
}

#[test]
fn completions_are_filtered_too_and_models_are_described() {
    let host = TestHost::start(SCENARIO);
    let path = format!("/openai/deployments/mini/completions{VERSION}");
    let complete = |streams: bool| {
        let body = json!({"prompt": ["a", "b"], "stream": streams}).to_string();
        client::send(host.api, "POST", &path, &[("api-key", "key")], body.as_bytes())
    };
    let whole = complete(false).json();
    assert_eq!(whole["prompt_filter_results"][1]["prompt_index"], 1);
    assert!(whole["choices"][1]["content_filter_results"]["hate"].is_object());
    assert_eq!(events(&complete(true))[0]["prompt_filter_results"].as_array().map(Vec::len), Some(2));
    let models = client::send(host.api, "GET", &format!("/openai/models{VERSION}"), &[("api-key", "key")], b"").json();
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["status"]), (&"mini".into(), &"succeeded".into()));
}

#[test]
fn the_gateway_refuses_in_its_own_form() {
    let host = TestHost::start(SCENARIO);
    let unversioned = ask(&host, "mini", "", false);
    assert_eq!(
        (unversioned.status, unversioned.json()),
        (404, json!({"error": {"code": "404", "message": "Resource not found"}}))
    );
    assert_eq!(ask(&host, "nope", VERSION, false).json()["error"]["code"], "DeploymentNotFound");
    let refused = ask(&host, "refused", VERSION, false);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &"429".into()));
    assert_eq!((refused.header("retry-after"), refused.header("retry-after-ms")), (Some("2"), Some("1500")));
    let path = format!("/openai/deployments/mini/nowhere{VERSION}");
    let astray = client::send(host.api, "POST", &path, &[("api-key", "key")], b"{}");
    assert_eq!((astray.status, &astray.json()["error"]["code"]), (404, &"404".into()));
}
