//! The list of models, and one model.

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_escaped, push_number, push_string};

/// The answer to `GET /v1beta/models`: all of them on one page.
pub(super) fn list(models: &[ModelCard]) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + 300 * models.len());
    out.put_slice(b"{\"models\":[");
    for (index, model) in models.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push_model(&mut out, model);
    }
    out.put_slice(b"]}");
    out.freeze()
}

/// The answer to `GET /v1beta/models/{id}`.
pub(super) fn one(model: &ModelCard) -> Bytes {
    let mut out = BytesMut::with_capacity(320);
    push_model(&mut out, model);
    out.freeze()
}

fn push_model(out: &mut BytesMut, model: &ModelCard) {
    out.put_slice(b"{\"name\":\"models/");
    push_escaped(out, &model.id);
    out.put_slice(b"\",\"version\":\"001\",\"displayName\":");
    push_string(out, &model.id);
    out.put_slice(b",\"inputTokenLimit\":");
    push_number(out, u64::from(model.context_window));
    out.put_slice(b",\"outputTokenLimit\":");
    push_number(out, u64::from(model.max_output_tokens));
    out.put_slice(b",\"supportedGenerationMethods\":[\"generateContent\",\"streamGenerateContent\",\"countTokens\",\"embedContent\",\"batchEmbedContents\"]}");
}
