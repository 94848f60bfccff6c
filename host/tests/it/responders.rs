use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use simwright::builtin::responder::style::{LANGUAGES, SHAPES};

use super::support::guests::workspace;
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::readme::blocks;
use super::support::stream::{chunks, content};

const SCENARIO: &str = "
simwright: 1
seed: 7
defaults: { latency: { constant: {} } }
models:
  - match: prose
  - match: markdown-zh
    reply: { text: { style: markdown, language: zh, tokens: { min: 20, max: 80 } } }
  - match: code
    reply: { text: { style: code, tokens: 120, reasoning: { p50: 10, p99: 30 } } }
  - match: max
    reply: { text: { tokens: max-tokens } }
  - match: template
    reply: { template: { text: '{{ last_user_text }} {{ draw(\"a\") }} {{ tokens(30, \"chat-fr\") }}' } }
  - match: fixtures
    reply:
      fixtures:
        entries: [{ match: { user: '7' }, reply: 'seven €uros' }]
        otherwise: { text: { tokens: 15 } }
  - match: conversation
    reply: { conversation: { steps: [Hello., { echo: {} }] } }
  - match: fixed
    reply: { fixed: { text: 'Größe: 10 €. 你好' } }
  - match: echo
    reply: { echo: {} }
  - match: failing
    reply: { template: { text: '{{ headers[\"x-none\"] }}' }, fallback: { fixed: { text: instead } } }
";
const MODELS: [&str; 9] = ["prose", "markdown-zh", "code", "max", "template", "fixtures", "conversation", "fixed", "echo"];

fn bounded(mut request: Value) -> Value {
    request["max_tokens"] = json!(200);
    request
}

fn whole(host: &TestHost, model: &str, text: &str) -> Value {
    let reply = host.chat(&bounded(ask(model, text)));
    assert_eq!(reply.status, 200, "{model}: {}", reply.text());
    reply.json()
}

fn text_of(reply: &Value) -> String {
    reply["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("no content: {reply}")).to_owned()
}

#[test]
fn a_reply_is_the_same_streamed_and_whole() {
    let host = TestHost::start(SCENARIO);
    for model in MODELS {
        let reply = whole(&host, model, "number 7");
        let streamed = host.chat(&bounded(ask_streamed(model, "number 7")));
        let chunks = chunks(streamed.text());
        assert_eq!(content(&chunks, 0), text_of(&reply), "{model}");
        let finish = chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect::<Vec<_>>();
        assert_eq!(finish, [reply["choices"][0]["finish_reason"].as_str().expect("a finish")], "{model}");
    }
}

#[test]
fn the_same_requests_get_the_same_texts_in_every_server_at_any_concurrency() {
    let gather = |host: &Arc<TestHost>, threads: usize| -> BTreeMap<(&str, usize), String> {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let host = Arc::clone(host);
                std::thread::spawn(move || {
                    let mine = (0..MODELS.len() * 8).filter(|job| job % threads == thread);
                    let job = |job: usize| {
                        let (model, number) = (MODELS[job % MODELS.len()], job / MODELS.len());
                        ((model, number), text_of(&whole(&host, model, &format!("number {number}"))))
                    };
                    mine.map(job).collect::<Vec<_>>()
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("a thread")).collect()
    };
    let (one, other) = (Arc::new(TestHost::start(SCENARIO)), Arc::new(TestHost::start(SCENARIO)));
    let (alone, crowded) = (gather(&one, 1), gather(&other, 16));
    assert_eq!(alone.len(), MODELS.len() * 8);
    assert_eq!(alone, crowded);
    // Texts that are drawn differ from request to request.
    for model in ["prose", "markdown-zh", "code", "max", "template"] {
        assert_ne!(alone[&(model, 0)], alone[&(model, 1)], "{model}");
    }
}

#[test]
fn what_runs_into_the_limit_says_length_and_has_as_many_tokens() {
    let host = TestHost::start(SCENARIO);
    let reply = whole(&host, "max", "go on");
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 200);
    let reply = whole(&host, "fixed", "x");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let mut request = ask("fixed", "x");
    request["max_tokens"] = json!(2);
    let cut = host.chat(&request).json();
    assert_eq!((&cut["choices"][0]["finish_reason"], &cut["usage"]["completion_tokens"]), (&json!("length"), &json!(2)));
}

#[test]
fn several_replies_to_one_request_differ() {
    let host = TestHost::start(SCENARIO);
    for model in ["prose", "code", "template"] {
        let mut request = bounded(ask(model, "x"));
        request["n"] = json!(3);
        let reply = host.chat(&request).json();
        let texts: std::collections::BTreeSet<_> =
            (0..3).map(|index| reply["choices"][index]["message"]["content"].as_str().expect("a text").to_owned()).collect();
        assert_eq!(texts.len(), 3, "{model}: {texts:?}");
    }
}

#[test]
fn a_template_that_fails_gives_way_to_its_fallback() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(text_of(&whole(&host, "failing", "x")), "instead");
}

#[test]
fn every_style_is_written_in_every_language() {
    let models: String = SHAPES
        .iter()
        .flat_map(|shape| LANGUAGES.iter().map(move |language| (shape, language)))
        .map(|(shape, language)| {
            format!(
                "  - match: {shape}-{language}\n    reply: {{ text: {{ tokens: 90, style: {shape}, language: {language} }} }}\n"
            )
        })
        .collect();
    let host = TestHost::start(&format!("simwright: 1\ndefaults: {{ latency: {{ constant: {{}} }} }}\nmodels:\n{models}"));
    let mut texts = std::collections::BTreeSet::new();
    for (shape, language) in SHAPES.iter().flat_map(|shape| LANGUAGES.iter().map(move |language| (shape, language))) {
        let reply = whole(&host, &format!("{shape}-{language}"), "x");
        assert_eq!(reply["usage"]["completion_tokens"], 90);
        if *language == "zh" {
            assert!(!text_of(&reply).is_ascii(), "{shape}: {reply}");
        }
        texts.insert(text_of(&reply));
    }
    // No style is another one by a different name.
    assert_eq!(texts.len(), SHAPES.len() * LANGUAGES.len());
}

#[test]
fn an_agent_is_led_through_its_loop() {
    let scenario = "
simwright: 1
defaults: { latency: { constant: {} } }
models:
  - match: agent
    reply: { tool-calls: { call: [find, 'get_*'], count: 2, one-by-one: true, quote: true, answer: { fixed: { text: Done. } } } }
";
    let host = TestHost::start(scenario);
    let tool = |name: &str| {
        let schema =
            json!({"type": "object", "properties": {"id": {"type": "integer", "minimum": 5, "maximum": 6}}, "required": ["id"]});
        json!({"type": "function", "function": {"name": name, "parameters": schema}})
    };
    let mut request = ask("agent", "Where is it?");
    request["tools"] = json!([tool("get_it"), tool("find")]);
    let mut called = Vec::new();
    for _ in 0..2 {
        let reply = host.chat(&request).json();
        assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls", "{reply}");
        let message = &reply["choices"][0]["message"];
        let calls = message["tool_calls"].as_array().expect("calls");
        assert_eq!(calls.len(), 1, "{reply}");
        called.push(calls[0]["function"]["name"].as_str().expect("a name").to_owned());
        let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().expect("a text")).expect("JSON");
        assert!([5, 6].contains(&arguments["id"].as_u64().expect("a number")), "{arguments}");
        let messages = request["messages"].as_array_mut().expect("messages");
        messages.push(message.clone());
        messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": format!("result of {}", called.len())}));
    }
    assert_eq!(called, ["find", "get_it"]);
    let reply = host.chat(&request).json();
    assert_eq!(text_of(&reply), "result of 2\n\nDone.");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
}

#[test]
fn the_examples_in_the_documentation_answer_as_it_says() {
    let document = std::fs::read_to_string(workspace().join("docs/replies.md")).expect("a document");
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let (mut scenario, mut request) = (String::new(), Value::Null);
    let (mut compared, mut wrong) = (0, String::new());
    for block in blocks(&document) {
        match block.language.as_str() {
            "yaml" => scenario = block.text,
            "json request" => request = serde_json::from_str(&block.text).expect("JSON"),
            "json message" => {
                let expected: Value = serde_json::from_str(&block.text).expect("JSON");
                let folder = tempfile::tempdir().expect("a folder");
                files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).expect("written"));
                let host = TestHost::start_in(folder, &scenario, None);
                let reply = host.chat(&request);
                assert_eq!(reply.status, 200, "line {}: {}", block.line, reply.text());
                let message = without_ids(reply.json()["choices"][0]["message"].clone());
                if message != expected {
                    wrong.push_str(&format!("line {}: {message}\n", block.line));
                }
                compared += 1;
            }
            file => {
                let name = file.split_once(' ').unwrap_or_else(|| panic!("line {}: what is `{file}`?", block.line)).1;
                files.insert(name.to_owned(), block.text);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(compared >= 7, "only {compared} examples were found");
}

/// A message as the documentation shows it: what each message has, and ids of calls, are left out.
fn without_ids(mut message: Value) -> Value {
    let fields = message.as_object_mut().expect("a message");
    fields.retain(|name, value| name != "role" && name != "annotations" && !value.is_null());
    for call in fields.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        call.as_object_mut().expect("a call").retain(|name, _| name == "function");
    }
    message
}
