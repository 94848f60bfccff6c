//! The dialect through its one door: what it asks of requests, and where its answers differ from OpenAI's.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::{Azure, CHAT, COMPLETIONS};
use crate::dialect::{Dialect, Endpoint, HeaderFacts, Inbound, Manners, ModelCard, Parsed};
use crate::types::allowance::{Allowance, Left};
use crate::types::api_error::{ApiError, Cause, ErrorKind};
use crate::types::mistake::{Mistake, What};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::usage::Usage;

const HI: &str = r#"{"messages":[{"role":"user","content":"Hi"}]}"#;

fn parsed(target: &str, body: &str) -> Result<Parsed, ApiError> {
    CHAT.parse(Inbound { target, body: Bytes::copy_from_slice(body.as_bytes()), ..Inbound::default() })
}

fn said(error: &ApiError) -> String {
    String::from_utf8(Azure.render_error(error, 7).body.to_vec()).unwrap()
}

fn head() -> Head {
    Head { id: 42, created_unix_s: 1_790_000_000, model: "mini".into(), fingerprint: 7, usage: Usage::default() }
}

fn events(reason: Finish) -> Vec<StreamEvent<'static>> {
    let text = StreamEvent::Text { choice: 0, kind: TextKind::Content, text: "Hello", logprob: None };
    let finish = StreamEvent::Finish { choice: 0, reason };
    vec![
        StreamEvent::Start { choice: 0, tool_first: false },
        text,
        finish,
        StreamEvent::Usage(Usage::default()),
        StreamEvent::End,
    ]
}

#[test]
fn the_deployment_is_the_model_whatever_the_body_says() {
    for body in [HI, r#"{"model":"other","messages":[{"role":"user","content":"Hi"}]}"#] {
        let request = parsed("mini?api-version=2024-10-21", body).unwrap().request;
        assert_eq!((&*request.model, &*request.target), ("mini", "mini?api-version=2024-10-21"));
    }
}

#[test]
fn a_request_without_a_version_finds_nothing() {
    for target in ["mini", "mini?", "mini?api-version=", "mini?version=2024-10-21"] {
        let error = parsed(target, HI).unwrap_err();
        assert_eq!(
            (error.status, said(&error).as_str()),
            (404, r#"{"error":{"code":"404","message":"Resource not found"}}"#),
            "{target}"
        );
    }
}

#[test]
fn a_stream_tells_what_filters_found() {
    let mut out = BytesMut::new();
    let voice = parsed("mini?api-version=2024-10-21", HI).unwrap().voice;
    let mut renderer = voice.stream(&head());
    events(Finish::Stop).iter().for_each(|event| renderer.event(event, &mut out));
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap(), @r#"
    data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"content_filter_results":{},"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"content_filter_results":{},"delta":{},"logprobs":null,"finish_reason":"stop"}]}

    data: [DONE]
    "#);
}

#[test]
fn filters_that_look_later_tell_it_in_choices_without_a_delta() {
    let manners = Manners { filters_later: true, ..Manners::default() };
    let body = r#"{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let inbound = || Inbound {
        target: "mini?api-version=2024-10-21",
        body: Bytes::from_static(body.as_bytes()),
        manners,
        ..Inbound::default()
    };
    let streamed = |texts: &[&str], reason| {
        let mut renderer = CHAT.parse(inbound()).unwrap().voice.stream(&head());
        let said = texts.iter().map(|text| StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: None });
        let all = events(reason);
        let mut out = BytesMut::new();
        let (before, after) = (all[..1].iter().copied(), all[2..].iter().copied());
        before.chain(said).chain(after).for_each(|event| renderer.event(&event, &mut out));
        String::from_utf8(out.to_vec()).unwrap()
    };
    insta::assert_snapshot!(streamed(&["Héllo"], Finish::Stop), @r#"
    data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"content":"Héllo"},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

    data: {"choices":[{"content_filter_offsets":{"check_offset":0,"start_offset":0,"end_offset":5},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"mini","system_fingerprint":"fp_7dd023954e","choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

    data: [DONE]
    "#);
    let cut = streamed(&["Hello"], Finish::ContentFilter);
    let last: Vec<&str> = cut.rsplit("\n\n").skip(1).take(2).collect();
    insta::assert_snapshot!(last[1], @r#"data: {"choices":[{"content_filter_offsets":{"check_offset":0,"start_offset":0,"end_offset":5},"content_filter_results":{"hate":{"filtered":true,"severity":"high"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"finish_reason":"content_filter","index":0}],"created":0,"id":"","model":"","object":""}"#);
    assert_eq!(last[0], "data: [DONE]", "no counts follow");
    let long = "é".repeat(100);
    let stream = streamed(&[&long, &long, &long], Finish::Stop);
    let chunks = stream.split("\n\n").filter_map(|chunk| chunk.strip_prefix("data: {")).map(|chunk| format!("{{{chunk}"));
    let choices = chunks
        .map(|chunk| serde_json::from_str::<serde_json::Value>(&chunk).unwrap()["choices"].get(0).cloned().unwrap_or_default());
    let windows: Vec<(u64, u64)> = choices
        .filter(|choice| choice["content_filter_offsets"].is_object() && choice.get("delta").is_none())
        .map(|choice| ["start_offset", "end_offset"].map(|key| choice["content_filter_offsets"][key].as_u64().unwrap()).into())
        .collect();
    assert_eq!(windows, [(0, 200), (200, 300)]);
}

#[test]
fn a_whole_reply_tells_what_filters_found() {
    let whole = |reason| {
        let (mut out, mut reply) = (BytesMut::new(), WholeReply::default());
        events(reason).iter().for_each(|event| reply.gather(event));
        parsed("mini?api-version=2024-10-21", HI).unwrap().voice.whole(&head(), &reply, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    insta::assert_snapshot!(whole(Finish::Stop), @r#"{"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion","created":1790000000,"model":"mini","choices":[{"index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"message":{"role":"assistant","content":"Hello","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"system_fingerprint":"fp_7dd023954e","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}"#);
    assert!(whole(Finish::ContentFilter).contains(r#""content_filter_results":{"hate":{"filtered":true,"severity":"high"}"#));
}

#[test]
fn completions_tell_what_filters_found_in_every_prompt() {
    let body = r#"{"prompt":["a","b"]}"#;
    let inbound =
        || Inbound { target: "mini?api-version=2024-10-21", body: Bytes::from_static(body.as_bytes()), ..Inbound::default() };
    let voice = COMPLETIONS.parse(inbound()).unwrap().voice;
    let (mut out, mut reply) = (BytesMut::new(), WholeReply::default());
    events(Finish::ContentFilter).iter().for_each(|event| reply.gather(event));
    voice.whole(&head(), &reply, &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap(), @r#"{"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"model":"mini","choices":[{"content_filter_results":{"hate":{"filtered":true,"severity":"high"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"text":"Hello","index":0,"logprobs":null,"finish_reason":"content_filter"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0},"system_fingerprint":"fp_7dd023954e","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}},{"prompt_index":1,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}"#);
    out.clear();
    let mut renderer = voice.stream(&head());
    events(Finish::Stop).iter().for_each(|event| renderer.event(event, &mut out));
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap(), @r#"
    data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}},{"prompt_index":1,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}

    data: {"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"text":"Hello","index":0,"logprobs":null,"finish_reason":null}],"model":"mini","system_fingerprint":"fp_7dd023954e"}

    data: {"id":"cmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"text_completion","created":1790000000,"choices":[{"content_filter_results":{},"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"model":"mini","system_fingerprint":"fp_7dd023954e"}

    data: [DONE]
    "#);
}

#[test]
fn models_say_what_they_can_do_and_until_when() {
    let card = ModelCard {
        id: "mini".into(),
        created_unix_s: 1_790_000_000,
        owned_by: "simwright".into(),
        context_window: 8_192,
        max_output_tokens: 1_024,
    };
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let one = text(Azure.render_model(&card));
    insta::assert_snapshot!(one, @r#"{"capabilities":{"fine_tune":false,"inference":true,"completion":true,"chat_completion":true,"embeddings":true},"lifecycle_status":"generally-available","deprecation":{"inference":1853072000},"id":"mini","status":"succeeded","created_at":1790000000,"updated_at":1790000000,"object":"model"}"#);
    assert_eq!(text(Azure.render_models(&[card.clone(), card])), format!(r#"{{"data":[{one},{one}],"object":"list"}}"#));
}

#[test]
fn refusals_of_the_gateway_have_a_code_and_a_sentence() {
    let of = |status| said(&ApiError::of_status(status, "No."));
    let table = [
        (401, r#"{"error":{"code":"401","message":"No."}}"#),
        (404, r#"{"error":{"code":"404","message":"No."}}"#),
        (408, r#"{"error":{"code":"Timeout","message":"No."}}"#),
        (429, r#"{"error":{"code":"429","message":"No."}}"#),
        (500, r#"{"error":{"code":"InternalServerError","message":"No."}}"#),
        (503, r#"{"error":{"code":"ServiceUnavailable","message":"No."}}"#),
    ];
    for (status, body) in table {
        assert_eq!(of(status), body, "status {status}");
    }
    assert!(
        said(&ApiError::unknown_model("x")).starts_with(r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment"#)
    );
    let spent = ApiError { kind: ErrorKind::QuotaExhausted, ..ApiError::of_status(429, "Spent.") };
    assert_eq!(said(&spent), r#"{"error":{"code":"insufficient_quota","message":"Spent."}}"#);
    let late = ApiError { retry_after_ms: Some(1_500), ..ApiError::of_status(429, "No.") };
    let headers: Vec<String> =
        Azure.render_error(&late, 7).headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(headers, ["retry-after: 2", "retry-after-ms: 1500"]);
}

#[test]
fn a_limit_says_which_one_it_is_and_when_to_come_back() {
    let usual = ApiError::because(Cause::Usual, 429, "ours");
    let limited = ApiError { kind: ErrorKind::TokensLimited, retry_after_ms: Some(1_500), ..usual.clone() };
    assert!(said(&limited).contains("exceeded token rate limit") && said(&limited).contains("Please retry after 2 seconds."));
    assert!(said(&usual).contains("exceeded call rate limit") && !said(&usual).contains("Please retry after"));
}

#[test]
fn mistakes_are_told_as_openai_tells_them() {
    let mistake = Mistake { at: vec![], what: What::Missing };
    let error = ApiError::from(mistake);
    assert!(said(&error).contains(r#""code":"missing_required_parameter""#));
    assert!(said(&parsed("mini?api-version=1", "{}").unwrap_err()).contains("Missing required parameter: 'messages'."));
}

#[test]
fn a_prompt_that_is_filtered_says_by_which_filter() {
    insta::assert_snapshot!(said(&ApiError::of_status(400, "No.").with_code("content_filter")), @r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}}}"#);
}

#[test]
fn headers_are_the_gateways_with_whole_seconds() {
    let left = |limit, remaining, ms: u64| Some(Left { limit, remaining, reset_ns: ms * 1_000_000 });
    let allowance = Some(Allowance { requests: left(50, 49, 1_200), tokens: left(4_000, 3_990, 30) });
    let mut headers = HeaderMap::new();
    Azure.headers(&HeaderFacts { request_id: 1, processing_ms: 2, now_unix_ms: 0, allowance }, &mut headers);
    let value = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(["limit", "remaining", "reset"].map(|what| value(&format!("x-ratelimit-{what}-requests"))), ["50", "49", "2"]);
    assert_eq!(value("x-ratelimit-reset-tokens"), "1");
    assert_eq!(value("apim-request-id"), Azure.request_id(1));
    assert_eq!(value("apim-request-id").split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
}
