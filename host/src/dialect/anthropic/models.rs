//! The list of models, and one model.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_nullable, push_number, push_string};

/// The answer to `GET /v1/models`: all of them on one page.
pub(super) fn list(models: &[ModelCard]) -> Bytes {
    let mut out = BytesMut::with_capacity(96 + 160 * models.len());
    out.put_slice(b"{\"data\":[");
    for (index, model) in models.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push_model(&mut out, model);
    }
    out.put_slice(b"],\"has_more\":false,\"first_id\":");
    push_nullable(&mut out, models.first().map(|model| &*model.id));
    out.put_slice(b",\"last_id\":");
    push_nullable(&mut out, models.last().map(|model| &*model.id));
    out.put_u8(b'}');
    out.freeze()
}

/// The answer to `GET /v1/models/{id}`.
pub(super) fn one(model: &ModelCard) -> Bytes {
    let mut out = BytesMut::with_capacity(160);
    push_model(&mut out, model);
    out.freeze()
}

fn push_model(out: &mut BytesMut, model: &ModelCard) {
    let created = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(model.created_unix_s));
    out.put_slice(b"{\"type\":\"model\",\"id\":");
    push_string(out, &model.id);
    out.put_slice(b",\"display_name\":");
    push_string(out, &model.id);
    out.put_slice(b",\"created_at\":");
    push_string(out, &created.to_string());
    out.put_slice(b",\"max_input_tokens\":");
    push_number(out, u64::from(model.context_window));
    out.put_slice(b",\"max_tokens\":");
    push_number(out, u64::from(model.max_output_tokens));
    out.put_slice(b",\"capabilities\":null,\"line\":null,\"lifecycle\":\"active\",\"deprecated_at\":null,\"retires_at\":null}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_page_with_its_ends() {
        let card = |id: &str| ModelCard {
            id: id.into(),
            created_unix_s: 1_790_000_000,
            owned_by: "simwright".into(),
            context_window: 200_000,
            max_output_tokens: 16_384,
        };
        insta::assert_snapshot!(
            std::str::from_utf8(&list(&[card("claude-x"), card("claude-y")])).unwrap(),
            @r#"{"data":[{"type":"model","id":"claude-x","display_name":"claude-x","created_at":"2026-09-21T14:13:20Z","max_input_tokens":200000,"max_tokens":16384,"capabilities":null,"line":null,"lifecycle":"active","deprecated_at":null,"retires_at":null},{"type":"model","id":"claude-y","display_name":"claude-y","created_at":"2026-09-21T14:13:20Z","max_input_tokens":200000,"max_tokens":16384,"capabilities":null,"line":null,"lifecycle":"active","deprecated_at":null,"retires_at":null}],"has_more":false,"first_id":"claude-x","last_id":"claude-y"}"#
        );
        assert!(std::str::from_utf8(&list(&[])).unwrap().ends_with(r#""first_id":null,"last_id":null}"#));
    }
}
