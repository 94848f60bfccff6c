//! Google's Gemini API.

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

/// Ten tokens.
const TOKENS: [&str; 10] = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];
const KEY: &[(&str, &str)] = &[("x-goog-api-key", "k")];
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: one two three four five six seven eight nine ten } } }
models:
  - { match: [gemini-x, tuned/gemini-y], list: [gemini-x, tuned/gemini-y] }
  - { match: broken, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: narrow, rate-limits: { requests-per-minute: 1 } }
";

fn request() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Please tell me"}]}]})
}

fn send(host: &TestHost, path: &str, body: &Value) -> Reply {
    client::send(host.api, "POST", path, KEY, body.to_string().as_bytes())
}

fn chunks(body: &str) -> Vec<Value> {
    assert!(body.ends_with("\r\n\r\n"), "{body:?}");
    let chunk = |text: &str| serde_json::from_str(text.strip_prefix("data: ").expect("data")).expect("JSON");
    body.split_terminator("\r\n\r\n").map(chunk).collect()
}

fn text(responses: &[Value]) -> String {
    let parts =
        responses.iter().flat_map(|response| response["candidates"][0]["content"]["parts"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

#[test]
fn every_version_is_answered_whole_and_as_a_stream() {
    let host = TestHost::start(SCENARIO);
    for version in ["v1", "v1beta", "v1alpha"] {
        for model in ["gemini-x", "tuned/gemini-y"] {
            let whole = send(&host, &format!("/{version}/models/{model}:generateContent"), &request()).json();
            assert_eq!((text(std::slice::from_ref(&whole)), &whole["modelVersion"]), (TOKENS.concat(), &json!(model)));
            assert_eq!(whole["candidates"][0]["finishReason"], "STOP");
            let stream = send(&host, &format!("/{version}/models/{model}:streamGenerateContent?alt=sse"), &request());
            assert_eq!(stream.header("content-type"), Some("text/event-stream"));
            let chunks = chunks(stream.text());
            assert_eq!((text(&chunks), chunks.len()), (TOKENS.concat(), 11));
        }
    }
}

#[test]
fn without_events_a_stream_is_an_array_and_stays_one_when_it_breaks() {
    let host = TestHost::start(SCENARIO);
    let array = send(&host, "/v1beta/models/gemini-x:streamGenerateContent", &request());
    assert_eq!(array.header("content-type"), Some("application/json; charset=UTF-8"));
    let Value::Array(chunks) = array.json() else { panic!("no array") };
    assert_eq!((text(&chunks), chunks.len()), (TOKENS.concat(), 11));
    let Value::Array(broken) = send(&host, "/v1beta/models/broken:streamGenerateContent", &request()).json() else {
        panic!("no array")
    };
    assert_eq!((text(&broken), &broken[4]["error"]["message"]), (TOKENS[..4].concat(), &json!("Lost")));
}

#[test]
fn what_would_be_an_array_is_refused_in_one() {
    let host = TestHost::start(SCENARIO);
    for (model, body, status) in [("unheard-of", request(), 404), ("gemini-x", json!({}), 400)] {
        let path = format!("/v1beta/models/{model}:streamGenerateContent");
        let object = send(&host, &format!("{path}?alt=sse"), &body);
        let array = send(&host, &path, &body);
        assert_eq!((object.status, array.status), (status, status));
        assert_eq!(array.json(), json!([object.json()]));
        assert!(object.json()["error"]["code"] == status);
    }
    assert_eq!(send(&host, "/v1/models/narrow:streamGenerateContent", &request()).status, 200);
    let refused = send(&host, "/v1/models/narrow:streamGenerateContent", &request());
    assert_eq!((refused.status, &refused.json()[0]["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
}

#[test]
fn openais_api_is_served_with_googles_refusals() {
    let host = TestHost::start(SCENARIO);
    let ask = |path: &str, body: &Value| {
        let path = format!("/v1beta/openai{path}");
        client::send(host.api, "POST", &path, &[("authorization", "Bearer k")], body.to_string().as_bytes())
    };
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "Please tell me"}]});
    for model in ["gemini-x", "models/gemini-x", "models/tuned/gemini-y"] {
        let reply = ask("/chat/completions", &chat(model));
        assert_eq!((reply.status, reply.header("x-content-type-options")), (200, Some("nosniff")), "{model}");
        assert_eq!(reply.json()["choices"][0]["message"]["content"], TOKENS.concat());
    }
    let embedded = ask("/embeddings", &json!({"model": "gemini-x", "input": "a cat", "dimensions": 8})).json();
    assert_eq!(embedded["data"][0]["embedding"].as_array().map(Vec::len), Some(8));
    let get = |path: &str| client::send(host.api, "GET", &format!("/v1beta/openai/models{path}"), &[], b"");
    assert_eq!(get("").json()["data"][1]["id"], "models/tuned/gemini-y");
    for name in ["gemini-x", "models/gemini-x"] {
        assert_eq!(get(&format!("/{name}")).json()["id"], "models/gemini-x");
    }
    for (status, reply) in [
        (404, ask("/chat/completions", &chat("unheard-of"))),
        (400, ask("/chat/completions", &json!({"model": "gemini-x"}))),
        (404, get("/unheard-of")),
    ] {
        assert_eq!((reply.status, &reply.json()[0]["error"]["code"]), (status, &json!(status)));
        assert_eq!(reply.json().as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn models_come_in_pages() {
    let host = TestHost::start(SCENARIO);
    let page = |query: &str| client::send(host.api, "GET", &format!("/v1beta/models?{query}"), KEY, b"").json();
    let first = page("pageSize=1");
    assert_eq!((&first["models"][0]["name"], &first["models"][1]), (&json!("models/gemini-x"), &Value::Null));
    let second = page(&format!("pageSize=1&pageToken={}", first["nextPageToken"].as_str().expect("a token")));
    assert_eq!(second["models"][0]["name"], "models/tuned/gemini-y");
    assert_eq!(page("pageSize=x")["error"]["status"], "INVALID_ARGUMENT");
}

#[test]
fn a_key_may_be_in_the_query_and_is_never_written_down() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let host = TestHost::start_logged(SCENARIO, log.path());
    let reply = client::send(
        host.api,
        "POST",
        "/v1beta/models/gemini-x:generateContent?key=very-secret",
        &[],
        request().to_string().as_bytes(),
    );
    assert_eq!(reply.status, 200);
    assert!(host.into_app().stop(std::time::Duration::from_secs(10)));
    let written = std::fs::read_to_string(log.path()).expect("the log");
    assert!(written.contains("gemini-x") && !written.contains("very-secret"), "{written}");
}

#[test]
fn headers_are_the_vendors_and_no_others() {
    let host = TestHost::start(SCENARIO);
    let reply = send(&host, "/v1/models/gemini-x:generateContent", &request());
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let foreign = ["openai-", "x-ratelimit", "anthropic-", "request-id"];
    assert!(!reply.headers.iter().any(|(name, _)| foreign.iter().any(|prefix| name.starts_with(prefix))), "{:?}", reply.headers);
}

#[test]
fn a_limit_that_is_reached_is_told_in_the_body() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(send(&host, "/v1/models/narrow:generateContent", &request()).status, 200);
    let refused = send(&host, "/v1/models/narrow:generateContent", &request());
    let error = refused.json()["error"].take();
    assert_eq!((refused.status, &error["code"], &error["status"]), (429, &json!(429), &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(error["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert!(error["details"][0]["retryDelay"].as_str().is_some_and(|delay| delay.ends_with('s')));
    assert_eq!(refused.header("retry-after"), None);
}

#[test]
fn counts_and_vectors_are_made_of_the_request_alone() {
    let host = TestHost::start(SCENARIO);
    let count = send(&host, "/v1/models/gemini-x:countTokens", &request()).json();
    assert_eq!(count["totalTokens"], 10);
    let whole = send(&host, "/v1/models/gemini-x:generateContent", &request()).json();
    assert_eq!(whole["usageMetadata"]["promptTokenCount"], 10);
    let content = |text: &str| json!({"parts": [{"text": text}]});
    let one =
        send(&host, "/v1/models/gemini-x:embedContent", &json!({"content": content("a cat"), "outputDimensionality": 8})).json();
    let request = |text: &str| json!({"model": "models/gemini-x", "content": content(text), "outputDimensionality": 8});
    let batch = json!({"requests": [request("a dog"), request("a cat")]});
    let batch = send(&host, "/v1/models/gemini-x:batchEmbedContents", &batch).json();
    assert_eq!(batch["embeddings"][1]["values"], one["embedding"]["values"]);
    assert_ne!(batch["embeddings"][0], batch["embeddings"][1]);
}

#[test]
fn refusals_of_any_path_are_in_the_vendors_shape() {
    let host = TestHost::start(SCENARIO);
    let unknown = send(&host, "/v1beta/models/unheard-of:generateContent", &request());
    assert_eq!((unknown.status, &unknown.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    let get = |path: &str| client::send(host.api, "GET", path, KEY, b"");
    assert_eq!(get("/v1beta/models/gemini-x").json()["name"], "models/gemini-x");
    assert_eq!(get("/v1beta/models").json()["models"][1]["name"], "models/tuned/gemini-y");
    for path in ["/v1beta/models/unheard-of", "/v1beta/unheard/of"] {
        assert_eq!(get(path).json()["error"]["code"], 404, "{path}");
    }
    let deep = format!("{{\"contents\":{}", "[".repeat(10_000));
    for body in [&b"{"[..], b"[]", b"\xff\xfe", b"null", b"{\"contents\":1}", deep.as_bytes()] {
        let reply = client::send(host.api, "POST", "/v1/models/gemini-x:generateContent", KEY, body);
        assert_eq!((reply.status, &reply.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    }
}
