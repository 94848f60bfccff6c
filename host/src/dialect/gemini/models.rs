//! The list of models, and one model.

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::ModelCard;
use crate::dialect::json::splice::{push_each, push_escaped, push_number, push_string};
use crate::types::api_error::ApiError;

/// How many models a page has unless the client says it, and at most (the vendor's documentation).
const USUAL: usize = 50;
const MOST: usize = 1_000;

/// The answer to `GET /v1beta/models`: the page that `query` asks for. Its token is the place of its first model.
pub(super) fn page(models: &[ModelCard], query: Option<&str>) -> Result<Bytes, ApiError> {
    let (mut size, mut start) = (USUAL, 0);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "pageSize" | "page_size" => match value.parse() {
                Ok(0) => size = USUAL,
                Ok(wanted) => size = usize::min(wanted, MOST),
                Err(_) => {
                    return Err(ApiError::invalid("pageSize", format!("Invalid value at 'page_size' (TYPE_INT32), \"{value}\"")));
                }
            },
            "pageToken" | "page_token" if !value.is_empty() => {
                let place = value.parse().ok().filter(|place| *place < models.len());
                start = place.ok_or_else(|| ApiError::invalid("pageToken", "page token is invalid"))?;
            }
            _ => {}
        }
    }
    let end = models.len().min(start + size);
    Ok(list(&models[start..end], (end < models.len()).then_some(end)))
}

/// `models`, after which the page that begins at `next` comes.
pub(super) fn list(models: &[ModelCard], next: Option<usize>) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + 300 * models.len());
    out.put_slice(b"{\"models\":[");
    push_each(&mut out, models.iter(), push_model);
    out.put_u8(b']');
    if let Some(next) = next {
        out.put_slice(b",\"nextPageToken\":\"");
        push_number(&mut out, next as u64);
        out.put_u8(b'"');
    }
    out.put_u8(b'}');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_the_query_asks_for() {
        let card = |id: &str| ModelCard {
            id: id.into(),
            created_unix_s: 1_790_000_000,
            owned_by: "simwright".into(),
            context_window: 8_192,
            max_output_tokens: 1_024,
        };
        let models = ["a", "b", "c"].map(card);
        let found = |query: &str| {
            let page = page(&models, Some(query)).map_err(|error| error.status)?;
            let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
            let names: Vec<&str> =
                page["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
            Ok((names.join(" "), page["nextPageToken"].as_str().map(str::to_owned)))
        };
        assert_eq!(found("key=k&pageSize=0"), Ok(("models/a models/b models/c".to_owned(), None)));
        assert_eq!(found("pageSize=2"), Ok(("models/a models/b".to_owned(), Some("2".to_owned()))));
        assert_eq!(found("pageSize=2&pageToken=2"), Ok(("models/c".to_owned(), None)));
        for wrong in ["pageSize=-1", "pageSize=x", "pageToken=3", "pageToken=x"] {
            assert_eq!(found(wrong), Err(400), "{wrong}");
        }
    }
}
