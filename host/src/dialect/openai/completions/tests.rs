//! Completions through their one door: what is understood, what is refused, and what goes on the wire.

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Completions;
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::request::{Operation, Request};
use crate::types::usage::Usage;

fn parse(body: &str) -> Result<Parsed, ApiError> {
    Completions.parse(Inbound { body: body.to_owned().into(), ..Inbound::default() })
}

/// A request with a prompt, and with `fields` besides.
fn with(fields: &str) -> Parsed {
    parse(&format!(r#"{{"model":"m","prompt":"Say: ",{fields}}}"#)).unwrap_or_else(|error| panic!("{fields}: {error:?}"))
}

fn head() -> Head {
    let usage = Usage { input: 4, ..Usage::default() };
    Head { id: 42, created_unix_s: 1_790_000_000, model: "instruct".into(), fingerprint: 7, usage }
}

fn whole(parsed: &Parsed, events: &[StreamEvent<'_>]) -> String {
    let (mut reply, mut out) = (WholeReply::default(), BytesMut::new());
    events.iter().for_each(|event| reply.gather(event));
    parsed.voice.whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

fn streamed(parsed: &Parsed, events: &[StreamEvent<'_>]) -> String {
    let (mut renderer, mut out) = (parsed.voice.stream(&head()), BytesMut::new());
    events.iter().for_each(|event| renderer.event(event, &mut out));
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

/// Reads a stream as the strictest client would: one `data: ` line and one blank line an event, `[DONE]` last.
fn read(stream: &str) -> Vec<Value> {
    let body = stream.strip_suffix("data: [DONE]\n\n").expect("the stream should end with its terminator");
    let events = body.split_terminator("\n\n");
    events.map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("a data line")).unwrap()).collect()
}

fn text(choice: u32, text: &str, logprob: Option<u64>) -> StreamEvent<'_> {
    StreamEvent::Text { choice, kind: TextKind::Content, text, logprob }
}

const START: StreamEvent<'_> = StreamEvent::Start { choice: 0, tool_first: false };
const STOP: StreamEvent<'_> = StreamEvent::Finish { choice: 0, reason: Finish::Stop };
const USAGE: StreamEvent<'_> = StreamEvent::Usage(Usage { input: 4, cached_input: 0, output: 2, reasoning: 0 });

#[test]
fn a_whole_reply_has_all_the_vendors_fields() {
    let events = [START, text(0, "Hi", None), text(0, " \"you\"\n", None), STOP, USAGE];
    insta::assert_snapshot!(whole(&with(r#""echo":false"#), &events), @r#"{"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"model":"instruct","choices":[{"text":"Hi \"you\"\n","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6},"system_fingerprint":"fp_7dd023954e"}"#);
    insta::assert_snapshot!(whole(&with(r#""echo":true,"logprobs":1"#), &[START, text(0, "Hé", Some(1)), text(0, "!", Some(2)), STOP, USAGE]), @r#"{"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"model":"instruct","choices":[{"text":"Say: Hé!","index":0,"logprobs":{"tokens":["Say",":"," ","Hé","!"],"token_logprobs":[null,-0.002058,-0.081015,-0.145974,-0.146004],"top_logprobs":[null,{":":-0.002058},{" ":-0.081015},{"Hé":-0.145974},{"!":-0.146004}],"text_offset":[0,3,4,5,7]},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6},"system_fingerprint":"fp_7dd023954e"}"#);
}

#[test]
fn a_stream_has_the_vendors_chunks() {
    let options = r#""stream":true,"stream_options":{"include_usage":true}"#;
    insta::assert_snapshot!(streamed(&with(options), &[START, text(0, "Hi", None), STOP, USAGE, StreamEvent::End]), @r#"
    data: {"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":null}],"model":"instruct","system_fingerprint":"fp_7dd023954e","usage":null}

    data: {"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"model":"instruct","system_fingerprint":"fp_7dd023954e","usage":null}

    data: {"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"choices":[],"model":"instruct","system_fingerprint":"fp_7dd023954e","usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}

    data: [DONE]
    "#);
}

#[test]
fn a_stream_says_what_the_whole_says() {
    let parsed = with(r#""stream":true,"echo":true,"logprobs":2"#);
    let events = [START, text(0, "Hé", Some(1)), text(0, "!", Some(2)), STOP, USAGE, StreamEvent::End];
    let whole: Value = serde_json::from_str(&whole(&parsed, &events)).expect("JSON");
    let chunks = read(&streamed(&parsed, &events));
    let choices = || chunks.iter().map(|chunk| &chunk["choices"][0]);
    let said: String = choices().map(|choice| choice["text"].as_str().unwrap()).collect();
    assert_eq!(whole["choices"][0]["text"], said);
    for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        let listed: Vec<Value> = choices().filter_map(|choice| choice["logprobs"][list].as_array()).flatten().cloned().collect();
        assert_eq!(whole["choices"][0]["logprobs"][list], json!(listed), "{list}");
    }
    assert_eq!(whole["choices"][0]["logprobs"]["token_logprobs"][0], Value::Null, "nothing comes before the first token");
}

#[test]
fn offsets_count_characters_from_the_beginning_of_the_prompt() {
    for echo in [false, true] {
        let parsed = parse(&format!(r#"{{"model":"m","prompt":"Gruß","logprobs":0,"echo":{echo}}}"#)).unwrap();
        let reply: Value =
            serde_json::from_str(&whole(&parsed, &[START, text(0, "äh", Some(1)), text(0, "!", Some(2)), STOP])).unwrap();
        let choice = &reply["choices"][0];
        let offsets: Vec<u64> =
            choice["logprobs"]["text_offset"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap()).collect();
        assert_eq!(offsets[offsets.len() - 2..], [4, 6]);
        let tokens: String =
            choice["logprobs"]["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
        assert_eq!(choice["text"], tokens);
        assert_eq!(choice["logprobs"]["top_logprobs"].as_array().unwrap().last().unwrap().as_object().unwrap().len(), 1);
    }
}

#[test]
fn each_prompt_has_its_choices_and_the_best_are_shown() {
    let parsed = parse(r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":3,"echo":true}"#).unwrap();
    assert_eq!((parsed.request.choices, parsed.request.messages.len()), (6, 2));
    let letters: Vec<String> = (0..6).map(|choice| choice.to_string()).collect();
    let events: Vec<_> = letters.iter().zip(0..).map(|(letter, choice)| text(choice, letter, None)).collect();
    let reply: Value = serde_json::from_str(&whole(&parsed, &events)).unwrap();
    let shown: Vec<_> =
        reply["choices"].as_array().unwrap().iter().map(|choice| (choice["index"].clone(), choice["text"].clone())).collect();
    assert_eq!(shown, [(json!(0), json!("a0")), (json!(1), json!("a1")), (json!(2), json!("b3")), (json!(3), json!("b4"))]);
}

fn request(fields: &str) -> Request {
    with(fields).request
}

#[test]
fn requests_are_understood() {
    let request =
        request(r#""suffix":" end","stop":["a"],"logprobs":5,"max_tokens":0,"min_tokens":0,"ignore_eos":true,"user":"u""#);
    assert_eq!((request.operation, request.max_output_tokens, request.logprobs), (Operation::Completion, Some(0), Some(5)));
    assert_eq!((request.last_user_text(), &*request.messages[1].text), ("Say: ", " end"));
    assert!(request.ignores_end && !request.streams && request.shows_usage);
    let bare = parse(r#"{"model":"m","prompt":null}"#).unwrap().request;
    assert_eq!((bare.max_output_tokens, bare.choices, bare.messages.len()), (Some(16), 1, 1));
}

#[test]
fn tokens_of_the_clients_own_count_and_are_repeated_as_text() {
    // "hello world" in both vocabularies.
    for (model, ids) in [("gpt-3.5-turbo-instruct", "[15339,1917]"), ("m", "[24912,2375]")] {
        let parsed = parse(&format!(r#"{{"model":"{model}","prompt":{ids},"echo":true,"logprobs":1}}"#)).unwrap();
        assert_eq!(parsed.request.messages[0].attachments()[0].tokens, 2);
        let reply: Value = serde_json::from_str(&whole(&parsed, &[START, STOP])).unwrap();
        assert_eq!(reply["choices"][0]["text"], "hello world");
        assert_eq!(reply["choices"][0]["logprobs"]["tokens"], json!(["hello", " world"]));
    }
    // Half of a character is no text.
    let parsed = parse(r#"{"model":"gpt-4","prompt":[9468],"echo":true,"logprobs":1}"#).unwrap();
    let reply: Value = serde_json::from_str(&whole(&parsed, &[START, STOP])).unwrap();
    assert!(reply["choices"][0]["logprobs"]["tokens"][0].as_str().unwrap().starts_with("bytes:\\x"), "{reply}");
}

/// `param | code | message` of the refusal.
fn refusal(fields: &str) -> String {
    let error = parse(&format!(r#"{{"model":"m",{fields}}}"#)).expect_err(fields);
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&OpenAi.render_error(&error, 1).body).expect("JSON");
    let shown = |name: &str| body["error"][name].as_str().unwrap_or("-").to_owned();
    format!("{} | {} | {}", shown("param"), shown("code"), shown("message"))
}

#[test]
fn bad_requests_are_refused_in_the_vendors_words() {
    let table = [
        (
            r#""prompt":5"#,
            "prompt | invalid_type | Invalid type for 'prompt': expected one of a string, array of strings, array of integers, or array of arrays of integers, but got an integer instead.",
        ),
        (r#""prompt":[]"#, "prompt | empty_array"),
        (r#""prompt":["a",1]"#, "prompt[1] | invalid_type"),
        (r#""max_tokens":-1"#, "max_tokens | integer_below_min_value"),
        (r#""logprobs":6"#, "logprobs | integer_above_max_value"),
        (r#""logprobs":true"#, "logprobs | invalid_type"),
        (r#""n":0"#, "n | integer_below_min_value"),
        (r#""best_of":21"#, "best_of | integer_above_max_value"),
        (r#""max_tokens":4,"min_tokens":5"#, "min_tokens | integer_above_max_value"),
        (r#""echo":1"#, "echo | invalid_type"),
        (r#""suffix":["a"]"#, "suffix | invalid_type"),
        (r#""stream_options":{}"#, "stream_options | -"),
        (r#""temperature":3"#, "temperature | decimal_above_max_value"),
    ];
    for (fields, expected) in table {
        let refused = refusal(fields);
        assert!(refused.starts_with(expected), "{fields}: {refused}");
    }
    insta::assert_snapshot!(refusal(r#""n":3,"best_of":2"#), @"best_of | - | You requested that the server return more choices than it will generate (HINT: you must set 'n' (currently 3) to be at most 'best_of' (currently 2), or omit either parameter if you don't specifically want to use them.)");
    insta::assert_snapshot!(refusal(r#""best_of":2,"stream":true"#), @"best_of | - | Results cannot be streamed when 'best_of' is greater than 'n'.");
    insta::assert_snapshot!(refusal(r#""prompt":["a","b"],"n":65"#), @"- | - | Too many parallel completions requested. You submitted 130 prompts, but you can currently request up to at most a total of 128).");
}

proptest! {
    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        field in "model|prompt|suffix|max_tokens|n|best_of|echo|logprobs|stop|stream|stream_options|temperature|min_tokens|x",
        value in "null|true|-?[0-9]{1,20}|1e400|\"[a-z]{0,3}\"|\\[[0-9,]{0,6}\\]|\\[\"a\",\\[\\]\\]|\\{\"include_usage\":(1|true)\\}",
    ) {
        let _ = parse(&format!(r#"{{"model":"m","prompt":"x","echo":true,"logprobs":1,"{field}":{value}}}"#));
    }

    #[test]
    fn a_strict_client_reads_back_what_was_planned(pieces in prop::collection::vec((0_u32..3, "(?s).{0,12}"), 0..40), usage: bool) {
        let fields = format!(r#""n":3,"stream":true,"stream_options":{{"include_usage":{usage}}}"#);
        let mut events: Vec<StreamEvent<'_>> = (0..3).map(|choice| StreamEvent::Start { choice, tool_first: false }).collect();
        let mut planned = [const { String::new() }; 3];
        for (choice, piece) in &pieces {
            planned[*choice as usize].push_str(piece);
            events.push(text(*choice, piece, None));
        }
        events.extend((0..3).map(|choice| StreamEvent::Finish { choice, reason: Finish::Length }));
        events.extend([USAGE, StreamEvent::End]);
        let mut found = [const { String::new() }; 3];
        let chunks = read(&streamed(&with(&fields), &events));
        for choice in chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()) {
            found[choice["index"].as_u64().unwrap() as usize].push_str(choice["text"].as_str().unwrap());
        }
        prop_assert_eq!(found, planned);
        prop_assert_eq!(chunks.iter().filter(|chunk| chunk["usage"].is_object()).count(), usize::from(usage));
        prop_assert_eq!(chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"] == "length").count(), 3);
    }
}
