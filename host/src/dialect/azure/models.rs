//! The list of models, and one model, as the vendor describes them: what each can do, and until when.

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_each, push_number, push_string};

/// How long a model is served, in seconds: two years.
const SERVED_S: u64 = 2 * 365 * 86_400;

/// The answer to `GET /openai/models`.
pub(super) fn list(models: &[ModelCard]) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + 320 * models.len());
    out.put_slice(b"{\"data\":[");
    push_each(&mut out, models.iter(), push_model);
    out.put_slice(b"],\"object\":\"list\"}");
    out.freeze()
}

/// The answer to `GET /openai/models/{id}`.
pub(super) fn one(model: &ModelCard) -> Bytes {
    let mut out = BytesMut::with_capacity(320);
    push_model(&mut out, model);
    out.freeze()
}

/// Every model answers everything but a fine-tuning.
fn push_model(out: &mut BytesMut, model: &ModelCard) {
    out.put_slice(
        b"{\"capabilities\":{\"fine_tune\":false,\"inference\":true,\"completion\":true,\"chat_completion\":true,\
        \"embeddings\":true},\"lifecycle_status\":\"generally-available\",\"deprecation\":{\"inference\":",
    );
    push_number(out, model.created_unix_s + SERVED_S);
    out.put_slice(b"},\"id\":");
    push_string(out, &model.id);
    out.put_slice(b",\"status\":\"succeeded\",\"created_at\":");
    push_number(out, model.created_unix_s);
    out.put_slice(b",\"updated_at\":");
    push_number(out, model.created_unix_s);
    out.put_slice(b",\"object\":\"model\"}");
}
