//! The list of models, and one model.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

use super::page;
use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_each, push_nullable, push_number, push_string};
use crate::types::api_error::ApiError;

/// The answer to `GET /v1/models`: the page that `query` asks for.
pub(super) fn page(models: &[ModelCard], query: Option<&str>) -> Result<Bytes, ApiError> {
    let page = page::of(query, true)?;
    let shown = if wants_active(query) { models.iter().collect() } else { Vec::new() };
    let absent = || {
        let id: String = page.after.as_ref().or(page.before.as_ref()).map_or("", String::as_str).chars().take(100).collect();
        ApiError::of_status(404, format!("No model found with id {id}"))
    };
    let (shown, has_more) = page.of(shown, |model| &model.id).ok_or_else(absent)?;
    Ok(list(shown.into_iter(), has_more))
}

/// Is a list wanted in which active models are? All are active here.
fn wants_active(query: Option<&str>) -> bool {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut stages = pairs.filter(|(name, _)| name.trim_end_matches("[]") == "lifecycle").peekable();
    stages.peek().is_none() || stages.any(|(_, value)| value.split(',').any(|stage| stage == "active"))
}

/// `models` as a page, behind which there are others if it `has_more`.
pub(super) fn list<'a>(models: impl DoubleEndedIterator<Item = &'a ModelCard> + Clone, has_more: bool) -> Bytes {
    let (first, last) = (models.clone().next(), models.clone().next_back());
    let mut out = BytesMut::with_capacity(1_024);
    out.put_slice(b"{\"data\":[");
    push_each(&mut out, models, push_model);
    out.put_slice(if has_more { b"],\"has_more\":true,\"first_id\":" } else { b"],\"has_more\":false,\"first_id\":" });
    push_nullable(&mut out, first.map(|model| &*model.id));
    out.put_slice(b",\"last_id\":");
    push_nullable(&mut out, last.map(|model| &*model.id));
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

    fn card(id: &str) -> ModelCard {
        ModelCard {
            id: id.into(),
            created_unix_s: 1_790_000_000,
            owned_by: "simwright".into(),
            context_window: 200_000,
            max_output_tokens: 16_384,
        }
    }

    #[test]
    fn a_page_is_what_the_query_asks_for() {
        let models = ["a", "b", "c", "d", "e"].map(card);
        let found = |query: &str| {
            let page: serde_json::Value = serde_json::from_slice(&page(&models, Some(query)).unwrap()).unwrap();
            let ids: String = page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
            let end = |key: &str| page[key].as_str().unwrap_or("-").to_owned();
            (ids, page["has_more"].as_bool().unwrap(), end("first_id") + &end("last_id"))
        };
        let table = [
            ("", "abcde", false, "ae"),
            ("limit=2", "ab", true, "ab"),
            ("limit=2&after_id=b", "cd", true, "cd"),
            ("limit=2&after_id=d", "e", false, "ee"),
            ("limit=2&before_id=d", "bc", true, "bc"),
            ("limit=2&before_id=c", "ab", false, "ab"),
            ("after_id=e", "", false, "--"),
            ("lifecycle=active&lifecycle=retired", "abcde", false, "ae"),
            ("lifecycle[]=retired", "", false, "--"),
        ];
        for (query, ids, has_more, ends) in table {
            assert_eq!(found(query), (ids.to_owned(), has_more, ends.to_owned()), "{query}");
        }
    }

    #[test]
    fn a_page_that_makes_no_sense_is_refused() {
        let refused = |query: &str| page(&["a"].map(card), Some(query)).unwrap_err();
        for query in ["limit=0", "limit=1001", "limit=x"] {
            assert_eq!((refused(query).status, refused(query).param.as_deref()), (400, Some("limit")), "{query}");
        }
        for query in ["after_id=zzz", "before_id=zzz"] {
            assert_eq!((refused(query).status, &*refused(query).message), (404, "No model found with id zzz"), "{query}");
        }
    }

    #[test]
    fn a_list_is_one_page_with_its_ends() {
        insta::assert_snapshot!(
            std::str::from_utf8(&list([card("claude-x"), card("claude-y")].iter(), false)).unwrap(),
            @r#"{"data":[{"type":"model","id":"claude-x","display_name":"claude-x","created_at":"2026-09-21T14:13:20Z","max_input_tokens":200000,"max_tokens":16384,"capabilities":null,"line":null,"lifecycle":"active","deprecated_at":null,"retires_at":null},{"type":"model","id":"claude-y","display_name":"claude-y","created_at":"2026-09-21T14:13:20Z","max_input_tokens":200000,"max_tokens":16384,"capabilities":null,"line":null,"lifecycle":"active","deprecated_at":null,"retires_at":null}],"has_more":false,"first_id":"claude-x","last_id":"claude-y"}"#
        );
        assert!(std::str::from_utf8(&list([].iter(), false)).unwrap().ends_with(r#""first_id":null,"last_id":null}"#));
    }
}
