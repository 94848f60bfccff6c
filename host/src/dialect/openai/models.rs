//! The list of models.

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::openai::text;

/// The answer to `GET /v1/models`.
pub(super) fn list(models: &[ModelCard]) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + models.len() * 96);
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    for (index, model) in models.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        card(&mut out, model);
    }
    out.put_slice(b"]}");
    out.freeze()
}

/// The answer to `GET /v1/models/{id}`.
pub(super) fn one(model: &ModelCard) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    card(&mut out, model);
    out.freeze()
}

fn card(out: &mut BytesMut, model: &ModelCard) {
    out.put_slice(b"{\"id\":");
    text::quoted(out, &model.id);
    out.put_slice(b",\"object\":\"model\",\"created\":");
    text::number(out, model.created_unix_s);
    out.put_slice(b",\"owned_by\":");
    text::quoted(out, &model.owned_by);
    // As vLLM says it; load tools read it.
    out.put_slice(b",\"max_model_len\":");
    text::number(out, u64::from(model.context_window));
    out.put_u8(b'}');
}
