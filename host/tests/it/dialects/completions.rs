use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;
use crate::support::stream::chunks;

const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults:
  latency: { constant: { first: 1ms, between: 1ms } }
  reply: { text: { tokens: 24 } }
models:
  - { match: instruct }
  - { match: few, reply: { fixed: { text: one two three } } }
  - { match: small, context-window: 20, max-output-tokens: 10 }
  - { match: status, faults: [{ http-error: { status: 503 } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: malformed, faults: [{ malformed-chunk: { at: token 4 } }] }
  - { match: missing-end, faults: [missing-end] }
  - { match: length, faults: [{ length: { at: token 4 } }] }
  - { match: filter, faults: [{ content-filter: { at: token 4 } }] }
  - { match: refusal, faults: [{ refusal: { message: No. } }] }
  - { match: cut, faults: [{ cut: { how: close, at: token 4 } }] }
  - { match: wrong-usage, faults: [wrong-usage] }
";

fn complete(host: &TestHost, body: &Value) -> Reply {
    client::send(host.api, "POST", "/v1/completions", &[], body.to_string().as_bytes())
}

fn ask(model: &str, fields: Value) -> Value {
    let mut body = json!({"model": model, "prompt": "Once upon a time", "max_tokens": 64});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    body
}

/// The text of choice `index`.
fn text(chunks: &[Value], index: u64) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices"));
    choices.filter(|choice| choice["index"] == index).filter_map(|choice| choice["text"].as_str()).collect()
}

#[test]
fn a_stream_says_what_the_whole_says() {
    let host = TestHost::start(SCENARIO);
    let whole = complete(&host, &ask("instruct", json!({"n": 2}))).json();
    assert_eq!(
        (&whole["object"], &whole["usage"]),
        (&json!("text_completion"), &json!({"prompt_tokens": 4, "completion_tokens": 48, "total_tokens": 52}))
    );
    let options = json!({"n": 2, "stream": true, "stream_options": {"include_usage": true, "continuous_usage_stats": true}});
    let reply = complete(&host, &ask("instruct", options));
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let chunks = chunks(reply.text());
    for index in 0..2 {
        assert_eq!(whole["choices"][index as usize]["text"], text(&chunks, index));
    }
    assert_eq!(chunks.last().expect("chunks")["usage"], whole["usage"]);
    let so_far: Vec<u64> = chunks
        .iter()
        .filter(|chunk| chunk["choices"][0]["index"] == 1)
        .map(|chunk| chunk["usage"]["completion_tokens"].as_u64().expect("a count"))
        .collect();
    assert_eq!(so_far, (1..=24).chain([24]).collect::<Vec<u64>>());
}

#[test]
fn sixteen_tokens_are_the_default_and_the_window_is_a_bound() {
    let host = TestHost::start(SCENARIO);
    let reply = complete(&host, &json!({"model": "instruct", "prompt": "Once"})).json();
    assert_eq!((&reply["usage"]["completion_tokens"], &reply["choices"][0]["finish_reason"]), (&json!(16), &json!("length")));
    let long = complete(&host, &json!({"model": "small", "prompt": "word ".repeat(30)}));
    assert_eq!(long.status, 400);
    assert!(long.json()["error"]["message"].as_str().expect("a message").contains("maximum context length is 20 tokens"));
    let many = complete(&host, &json!({"model": "small", "prompt": vec!["four words are here"; 20]}));
    assert_eq!((many.status, many.json()["choices"].as_array().map(Vec::len)), (200, Some(20)), "each prompt fits");
}

#[test]
fn a_prompt_may_be_scored_without_a_word_of_an_answer() {
    let host = TestHost::start(SCENARIO);
    let fields = json!({"max_tokens": 0, "echo": true, "logprobs": 1, "prompt": ["The cat sat", "The dog"]});
    let reply = complete(&host, &ask("instruct", fields.clone())).json();
    let choices = reply["choices"].as_array().expect("choices");
    let texts: Vec<_> = choices.iter().map(|choice| choice["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["The cat sat", "The dog"]);
    assert_eq!(choices[0]["logprobs"]["tokens"], json!(["The", " cat", " sat"]));
    assert_eq!((choices[0]["logprobs"]["token_logprobs"][0].is_null(), &reply["usage"]["completion_tokens"]), (true, &json!(0)));
    let mut streamed = ask("instruct", fields);
    streamed["stream"] = true.into();
    let chunks = chunks(complete(&host, &streamed).text());
    assert_eq!((text(&chunks, 0), text(&chunks, 1)), ("The cat sat".to_owned(), "The dog".to_owned()));
}

#[test]
fn the_best_are_taken_from_more_and_all_are_paid_for() {
    let host = TestHost::start(SCENARIO);
    let reply = complete(&host, &ask("instruct", json!({"n": 2, "best_of": 3}))).json();
    assert_eq!((reply["choices"].as_array().map(Vec::len), &reply["usage"]["completion_tokens"]), (Some(2), &json!(72)));
}

#[test]
fn load_tools_get_exactly_as_many_tokens_as_they_ask_for() {
    let host = TestHost::start(SCENARIO);
    for model in ["instruct", "few"] {
        let exact = complete(&host, &ask(model, json!({"max_tokens": 40, "ignore_eos": true}))).json();
        assert_eq!(
            (&exact["usage"]["completion_tokens"], &exact["choices"][0]["finish_reason"]),
            (&json!(40), &json!("length")),
            "{model}"
        );
        let fewest = complete(&host, &ask(model, json!({"max_tokens": 60, "min_tokens": 30}))).json();
        assert_eq!(fewest["usage"]["completion_tokens"], 30, "{model}");
        let chat = json!({"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 40, "min_tokens": 40, "ignore_eos": true});
        assert_eq!(host.chat(&chat).json()["usage"]["completion_tokens"], 40, "{model}");
    }
}

#[test]
fn each_fault_has_the_form_in_which_the_vendor_fails() {
    let host = TestHost::start(SCENARIO);
    let whole = |model: &str| complete(&host, &ask(model, json!({})));
    let streamed = |model: &str| complete(&host, &ask(model, json!({"stream": true})));
    for reply in [whole("status"), streamed("status")] {
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (503, &json!("server_is_overloaded")));
    }
    let lost = streamed("error-event");
    let last = lost.text().trim_end().rsplit("\n\n").next().expect("events").to_owned();
    let last: Value = serde_json::from_str(last.strip_prefix("data: ").expect("a data line")).expect("JSON");
    assert_eq!((lost.status, &last["error"]["message"]), (200, &json!("Lost")));
    assert_eq!(whole("error-event").status, 500);
    assert!(serde_json::from_slice::<Value>(&whole("malformed").body).is_err());
    assert!(streamed("malformed").text().contains("]\n\ndata: "), "one chunk ends with a bracket");
    assert!(!streamed("missing-end").text().contains("[DONE]"));
    for (model, reason) in [("length", "length"), ("filter", "content_filter")] {
        assert_eq!(whole(model).json()["choices"][0]["finish_reason"], reason);
        assert_eq!(chunks(streamed(model).text()).last().expect("chunks")["choices"][0]["finish_reason"], reason);
    }
    assert_eq!(whole("refusal").json()["choices"][0]["text"], "No.");
    assert_eq!(text(&chunks(streamed("refusal").text()), 0), "No.");
    assert!(!streamed("cut").complete && !whole("cut").complete);
    assert_ne!(whole("wrong-usage").json()["usage"]["completion_tokens"], 24);
}
