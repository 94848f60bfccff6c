//! The list of models, and one model.
//!
//! `max_model_len` is vLLM's addition: load tools read the context window from it. Clients of the vendor ignore it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_each, push_number, push_string};

/// The answer to `GET /v1/models`.
pub(in crate::dialect) fn list(models: &[ModelCard]) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + 160 * models.len());
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    push_each(&mut out, models.iter(), push_model);
    out.put_slice(b"]}");
    out.freeze()
}

/// The answer to `GET /v1/models/{id}`.
pub(in crate::dialect) fn one(model: &ModelCard) -> Bytes {
    let mut out = BytesMut::with_capacity(160);
    push_model(&mut out, model);
    out.freeze()
}

fn push_model(out: &mut BytesMut, model: &ModelCard) {
    out.put_slice(b"{\"id\":");
    push_string(out, &model.id);
    out.put_slice(b",\"object\":\"model\",\"created\":");
    push_number(out, model.created_unix_s);
    out.put_slice(b",\"owned_by\":");
    push_string(out, &model.owned_by);
    out.put_slice(b",\"max_model_len\":");
    push_number(out, u64::from(model.context_window));
    out.put_u8(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_the_models_in_order() {
        let card = |id: &str| ModelCard {
            id: id.into(),
            created_unix_s: 1_700_000_000,
            owned_by: "simwright".into(),
            context_window: 128_000,
            max_output_tokens: 16_384,
        };
        let list = list(&[card("gpt-x"), card("org/model\"1")]);
        insta::assert_snapshot!(
            std::str::from_utf8(&list).unwrap(),
            @r#"{"object":"list","data":[{"id":"gpt-x","object":"model","created":1700000000,"owned_by":"simwright","max_model_len":128000},{"id":"org/model\"1","object":"model","created":1700000000,"owned_by":"simwright","max_model_len":128000}]}"#
        );
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&one(&card("a"))).unwrap()["id"], "a");
    }
}
