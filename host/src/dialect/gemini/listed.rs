//! OpenAI's API below `/v1beta/openai/`: OpenAI's requests and replies, Google's refusals. Those are lists of one, as they are where a
//! stream is a JSON array.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

use super::{Gemini, error};
use crate::dialect::json::splice::{push_each, push_escaped, push_string};
use crate::dialect::openai;
use crate::dialect::{Dialect, Endpoint, ErrorReply, HeaderFacts, Inbound, ModelCard, Parsed};
use crate::types::api_error::ApiError;

/// What may come before a model's name.
const PREFIX: &str = "models/";

/// Google where its refusals are lists of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listed;

impl Dialect for Listed {
    fn name(&self) -> &'static str {
        Gemini.name()
    }

    fn request_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        Gemini.headers(facts, out);
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        error::render_listed(error)
    }

    fn other_name(&self, name: &str) -> Option<Box<str>> {
        name.strip_prefix(PREFIX).map(Into::into)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        let mut out = BytesMut::with_capacity(32 + 128 * models.len());
        out.put_slice(b"{\"object\":\"list\",\"data\":[");
        push_each(&mut out, models.iter(), push_model);
        out.put_slice(b"]}");
        out.freeze()
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        push_model(&mut out, model);
        out.freeze()
    }
}

fn push_model(out: &mut BytesMut, model: &ModelCard) {
    out.put_slice(b"{\"id\":\"models/");
    push_escaped(out, &model.id);
    out.put_slice(b"\",\"object\":\"model\",\"owned_by\":\"google\",\"display_name\":");
    push_string(out, &model.id);
    out.put_u8(b'}');
}

/// One of OpenAI's endpoints, as Google serves it.
#[derive(Debug)]
pub struct Compatible {
    name: &'static str,
    inner: &'static dyn Endpoint,
}

/// A conversation to continue.
pub static CHAT: Compatible = Compatible { name: "gemini/chat", inner: &openai::Chat };
/// Vectors for texts.
pub static EMBEDDINGS: Compatible = Compatible { name: "gemini/embeddings", inner: &openai::Embeddings };

impl Endpoint for Compatible {
    fn name(&self) -> &'static str {
        self.name
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Listed
    }

    fn reply_id(&self, id: u64) -> String {
        self.inner.reply_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let mut parsed = self.inner.parse(Inbound { target: "", ..inbound })?;
        if let Some(name) = parsed.request.model.strip_prefix(PREFIX) {
            parsed.request.model = name.into();
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: &ApiError) -> String {
        String::from_utf8(Listed.render_error(error, 7).body.to_vec()).unwrap()
    }

    fn model_of(body: &str) -> Result<Box<str>, ApiError> {
        let inbound = Inbound { body: Bytes::copy_from_slice(body.as_bytes()), ..Inbound::default() };
        CHAT.parse(inbound).map(|parsed| parsed.request.model)
    }

    #[test]
    fn a_model_is_called_with_and_without_the_prefix() {
        for name in ["gemini-x", "models/gemini-x"] {
            let body = format!(r#"{{"model":"{name}","messages":[{{"role":"user","content":"Hi"}}]}}"#);
            assert_eq!(&*model_of(&body).unwrap(), "gemini-x");
        }
        assert_eq!(Listed.other_name("models/a/b").as_deref(), Some("a/b"));
        assert_eq!(Listed.other_name("a/models/b"), None);
    }

    #[test]
    fn refusals_are_googles_in_a_list_of_one() {
        let error = ApiError { retry_after_ms: Some(2_000), ..ApiError::of_status(429, "Quota.") };
        insta::assert_snapshot!(said(&error), @r#"[{"error":{"code":429,"message":"Quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}}]"#);
        let error = model_of(r#"{"model":"gemini-x","messages":5}"#).unwrap_err();
        insta::assert_snapshot!(said(&error), @r#"[{"error":{"code":400,"message":"Invalid value at 'messages' (TYPE_MESSAGE), a number","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"messages","description":"Invalid value at 'messages' (TYPE_MESSAGE), a number"}]}]}}]"#);
    }

    #[test]
    fn models_have_their_prefix_and_belong_to_google() {
        let card = |id: &str| ModelCard {
            id: id.into(),
            created_unix_s: 1_790_000_000,
            owned_by: "simwright".into(),
            context_window: 8_192,
            max_output_tokens: 1_024,
        };
        insta::assert_snapshot!(
            std::str::from_utf8(&Listed.render_models(&[card("a"), card("org/b\"")])).unwrap(),
            @r#"{"object":"list","data":[{"id":"models/a","object":"model","owned_by":"google","display_name":"a"},{"id":"models/org/b\"","object":"model","owned_by":"google","display_name":"org/b\""}]}"#
        );
        assert!(Listed.render_model(&card("a")).starts_with(b"{\"id\":\"models/a\",\"object\""));
    }
}
