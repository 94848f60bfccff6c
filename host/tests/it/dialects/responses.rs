use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const WORDS: &str = "one two three four five six seven eight nine ten";

const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 1ms, between: 1ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
models:
  - match: plain
  - match: echo
    reply: echo
  - match: thinks
    reply: { fixed: { text: Yes., reasoning: Hm well. } }
  - match: busy
    faults: [{ http-error: { status: 503, retry-after: 1s } }]
  - match: error-event
    faults: [{ error-event: { at: token 4, message: Lost } }]
  - match: cut
    faults: [{ cut: { how: reset, at: token 4 } }]
  - match: length
    faults: [{ length: { at: token 4 } }]
  - match: content-filter
    faults: [{ content-filter: { at: token 4 } }]
  - match: refusal
    faults: [{ refusal: { message: No. } }]
  - match: missing-end
    faults: [missing-end]
  - match: malformed
    faults: [{ malformed-chunk: { at: token 4 } }]
  - match: text
    reply: text
  - match: small
    context-window: 100
";

fn ask(host: &TestHost, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    client::send(host.api, method, path, &[], &body)
}

fn create(host: &TestHost, body: &Value) -> Reply {
    ask(host, "POST", "/v1/responses", body)
}

/// Every event of a stream: named, numbered, each in lines of its own.
fn events(text: &str) -> Vec<Value> {
    let event = |(number, part): (usize, &str)| {
        let (name, data) = part.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        assert_eq!(data["sequence_number"], number);
        data
    };
    assert!(text.ends_with("\n\n"), "the last event would be lost");
    text.split_terminator("\n\n").enumerate().map(event).collect()
}

fn deltas(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"].as_str()).collect()
}

fn text_of(reply: &Value) -> &str {
    let message = reply["output"].as_array().and_then(|items| items.iter().find(|item| item["type"] == "message"));
    message.and_then(|message| message["content"][0]["text"].as_str()).unwrap_or_else(|| panic!("no text: {reply}"))
}

#[test]
fn a_stream_ends_with_what_a_whole_reply_says() {
    let host = TestHost::start(SCENARIO);
    let whole = create(&host, &json!({"model": "plain", "input": "Hello"}));
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/json")));
    let stream = create(&host, &json!({"model": "plain", "input": "Hello", "stream": true}));
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(stream.text());
    assert_eq!(deltas(&events), WORDS);
    let (first, last) = (&events[0], events.last().expect("an end"));
    assert_eq!((&first["type"], &last["type"]), (&json!("response.created"), &json!("response.completed")));
    assert_eq!(first["response"]["id"], last["response"]["id"]);
    let whole = whole.json();
    assert_eq!((text_of(&whole), text_of(&last["response"])), (WORDS, WORDS));
    assert_eq!(whole["usage"], last["response"]["usage"]);
    assert_eq!(whole["usage"]["output_tokens"], 10);
}

#[test]
fn a_conversation_goes_on_from_its_last_response() {
    let host = TestHost::start(SCENARIO);
    let first = create(&host, &json!({"model": "plain", "input": "Hello"})).json();
    let second = create(&host, &json!({"model": "plain", "input": "And?", "previous_response_id": first["id"], "stream": true}));
    let second = events(second.text()).pop().expect("an end")["response"].clone();
    let third = json!({"model": "plain", "input": "So?", "previous_response_id": second["id"]});
    let third = create(&host, &third).json();
    assert_eq!(third["previous_response_id"], second["id"]);
    let tokens = |reply: &Value| reply["usage"]["input_tokens"].as_u64().expect("a count");
    // Ten words of the answer come with each turn, and what the format adds.
    assert!(tokens(&second) >= tokens(&first) + 10 && tokens(&third) >= tokens(&second) + 10, "{first} {second} {third}");
    // The same as if the client had sent all of it.
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let input =
        [said("user", "Hello"), said("assistant", WORDS), said("user", "And?"), said("assistant", WORDS), said("user", "So?")];
    let at_once = create(&host, &json!({"model": "plain", "input": input})).json();
    assert_eq!(at_once["usage"], third["usage"]);
    let count = ask(&host, "POST", "/v1/responses/input_tokens", &json!({"model": "plain", "input": input})).json();
    assert_eq!(count, json!({"object": "response.input_tokens", "input_tokens": tokens(&third)}));
    let count = json!({"model": "plain", "input": "So?", "previous_response_id": second["id"]});
    assert_eq!(ask(&host, "POST", "/v1/responses/input_tokens", &count).json()["input_tokens"], tokens(&third));
}

#[test]
fn a_response_is_kept_until_it_is_deleted() {
    let host = TestHost::start(SCENARIO);
    let made = create(&host, &json!({"model": "plain", "input": "Hello"}));
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/responses/{id}");
    let again = ask(&host, "GET", &path, &Value::Null);
    assert_eq!((again.status, again.text()), (200, made.text()));
    assert!(again.header("x-request-id").is_some());
    let items = ask(&host, "GET", &format!("{path}/input_items"), &Value::Null).json();
    assert_eq!(items["data"][0]["content"], json!([{"type": "input_text", "text": "Hello"}]));
    let cancelled = ask(&host, "POST", &format!("{path}/cancel"), &Value::Null);
    assert_eq!((cancelled.status, &cancelled.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let deleted = ask(&host, "DELETE", &path, &Value::Null);
    assert_eq!((deleted.status, deleted.json()), (200, json!({"id": id, "object": "response", "deleted": true})));
    let message = format!("Response with id '{id}' not found.");
    let gone = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/cancel")),
        ("GET", format!("{path}/input_items")),
    ] {
        let reply = ask(&host, method, &path, &Value::Null);
        assert_eq!((reply.status, reply.json()), (404, gone.clone()), "{method} {path}");
    }
    let next = create(&host, &json!({"model": "plain", "input": "And?", "previous_response_id": id}));
    assert_eq!((next.status, &next.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
}

#[test]
fn nothing_is_kept_of_what_shall_not_be_stored_or_did_not_end() {
    let host = TestHost::start(SCENARIO);
    let unstored = create(&host, &json!({"model": "plain", "input": "Hello", "store": false})).json();
    let failed = create(&host, &json!({"model": "error-event", "input": "Hello", "stream": true}));
    let failed = events(failed.text())[0]["response"].clone();
    for reply in [unstored, failed] {
        let path = format!("/v1/responses/{}", reply["id"].as_str().expect("an id"));
        assert_eq!(ask(&host, "GET", &path, &Value::Null).status, 404);
    }
}

#[test]
fn thoughts_count_and_are_shown_only_where_a_summary_is_wanted() {
    let host = TestHost::start(SCENARIO);
    let hidden = create(&host, &json!({"model": "thinks", "input": "Well?"})).json();
    assert_eq!((&hidden["output"][0]["type"], &hidden["output"][0]["summary"]), (&json!("reasoning"), &json!([])));
    assert!(hidden["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    let body = json!({"model": "thinks", "input": "Well?", "reasoning": {"summary": "auto"}, "stream": true});
    let events = events(create(&host, &body).text());
    let summary: String = events
        .iter()
        .filter(|event| event["type"] == "response.reasoning_summary_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!((summary.as_str(), text_of(&events.last().expect("an end")["response"])), ("Hm well.", "Yes."));
    // Hidden thoughts are waited for and send nothing.
    let hidden = create(&host, &json!({"model": "thinks", "input": "Well?", "stream": true}));
    assert!(hidden.complete && !hidden.text().contains("Hm well"));
}

#[test]
fn a_tool_is_called_and_its_result_is_answered() {
    let host = TestHost::start(SCENARIO);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let tools = json!([{"type": "function", "name": "look", "parameters": schema, "strict": true}]);
    let asked = json!({"model": "text", "input": "Oslo?", "tools": tools, "tool_choice": "required"});
    let called = create(&host, &asked).json();
    let call =
        called["output"].as_array().expect("items").iter().find(|item| item["type"] == "function_call").expect("a call").clone();
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().expect("a text")).expect("JSON");
    assert!(arguments["city"].is_string());
    let result = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}]);
    let answer =
        create(&host, &json!({"model": "text", "input": result, "tools": tools, "previous_response_id": called["id"]})).json();
    assert_eq!(answer["status"], "completed");
    let forgotten = create(&host, &json!({"model": "text", "input": "Well?", "previous_response_id": called["id"]}));
    assert_eq!(forgotten.status, 400);
    assert!(forgotten.text().contains("No tool output found for function call"), "{}", forgotten.text());
}

#[test]
fn faults_have_the_shape_in_which_the_service_fails() {
    let host = TestHost::start(SCENARIO);
    let streamed = |model: &str| create(&host, &json!({"model": model, "input": "Hello", "stream": true}));
    let whole = |model: &str| create(&host, &json!({"model": model, "input": "Hello"}));
    let busy = streamed("busy");
    assert_eq!((busy.status, &busy.json()["error"]["code"]), (503, &json!("server_is_overloaded")));
    assert_eq!(busy.header("retry-after"), Some("1"));

    let lost = events(streamed("error-event").text());
    let error = json!({"type": "server_error", "code": null, "message": "Lost", "param": null});
    let [.., told, failed] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!((&told["error"], deltas(&lost).as_str()), (&error, "one two three four"));
    let why = json!({"code": "server_error", "message": "Lost"});
    assert_eq!((&failed["type"], &failed["response"]["error"]), (&json!("response.failed"), &why));
    assert_eq!(whole("error-event").status, 500);

    for (model, reason) in [("length", "max_output_tokens"), ("content-filter", "content_filter")] {
        let events = events(streamed(model).text());
        let last = events.last().expect("an end");
        assert_eq!(
            (&last["type"], &last["response"]["incomplete_details"]["reason"]),
            (&json!("response.incomplete"), &json!(reason))
        );
        assert_eq!(deltas(&events), "one two three four");
        let whole = whole(model).json();
        assert_eq!((&whole["status"], &whole["incomplete_details"]["reason"]), (&json!("incomplete"), &json!(reason)));
    }

    let refused = events(streamed("refusal").text());
    assert!(refused.iter().any(|event| event["type"] == "response.refusal.done" && event["refusal"] == "No."));
    assert_eq!(whole("refusal").json()["output"][0]["content"], json!([{"type": "refusal", "refusal": "No."}]));

    let unended = events(streamed("missing-end").text());
    assert_eq!(unended.last().expect("an event")["type"], "response.output_item.done");
    let malformed = streamed("malformed");
    let broken = |event: &&str| serde_json::from_str::<Value>(event.split_once("data: ").expect("data").1).is_err();
    assert_eq!(malformed.text().split_terminator("\n\n").filter(broken).count(), 1);

    let cut = streamed("cut");
    assert!(!cut.complete);
    assert_eq!(deltas(&events(cut.text())), "one two three four");
}

#[test]
fn bad_requests_are_refused_with_the_fields_path() {
    let host = TestHost::start(SCENARIO);
    let reply =
        create(&host, &json!({"model": "plain", "input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}));
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("input[0].content[0].type")));
    let reply = create(&host, &json!({"model": "nobody", "input": "x"}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!("model_not_found")));
    let reply = create(&host, &json!({"model": "small", "input": "word ".repeat(200)}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("context_length_exceeded")));
    assert_eq!(reply.json()["error"]["param"], "input");
    assert_eq!(ask(&host, "GET", "/v1/responses", &Value::Null).status, 405);
    assert_eq!(ask(&host, "PUT", "/v1/responses/resp_1", &Value::Null).status, 405);
}
