//! What is asked about a response that is kept: the response itself, what was put in, that it be forgotten or stopped.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::json::id::text_of;
use crate::dialect::json::path::{Path, excerpt};
use crate::dialect::json::splice::push_string;
use crate::dialect::kept::{Kept, Recall};
use crate::dialect::openai::ids::{common_end, push_response_id};
use crate::dialect::openai::{OpenAi, words};
use crate::types::api_error::ApiError;

/// Items in a list of what was put in: the vendor's bound and default.
const LISTED_MAX: i64 = 100;
const LISTED: usize = 20;
/// Items that were put in have numbers beyond those that came out.
const PUT_IN: usize = 1 << 20;

macro_rules! recall {
    ($(#[$doc:meta])* $name:ident $called:literal forgets $forgets:literal |$kept:ident, $query:ident| $answer:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $name;

        impl Recall for $name {
            fn name(&self) -> &'static str {
                $called
            }

            fn dialect(&self) -> &'static dyn Dialect {
                &OpenAi
            }

            fn key<'a>(&self, id: &'a str) -> &'a str {
                common_end(id)
            }

            fn forgets(&self) -> bool {
                $forgets
            }

            fn answer(&self, $kept: &Kept, $query: Option<&str>) -> Result<Bytes, ApiError> {
                $answer
            }

            fn absent(&self, id: &str) -> ApiError {
                let message = format!("Response with id '{}' not found.", excerpt(id));
                // Of the usual kind and not `NotFound`, because the vendor has no code for it.
                ApiError { status: 404, ..ApiError::of_status(400, message) }
            }
        }
    };
}

recall! {
    /// The response as it was answered.
    RetrieveResponse "openai/response" forgets false |kept, query| retrieve(kept, query)
}

recall! {
    /// What was put in.
    InputItems "openai/input_items" forgets false |kept, query| input_items(kept, query)
}

recall! {
    /// The response shall be forgotten.
    DeleteResponse "openai/delete_response" forgets true |kept, _query| {
        let mut out = BytesMut::from(&b"{\"id\":"[..]);
        push_string(&mut out, &kept.id);
        out.put_slice(b",\"object\":\"response\",\"deleted\":true}");
        Ok(out.freeze())
    }
}

recall! {
    /// The response shall be stopped, which only one in the background can be; here there is none.
    CancelResponse "openai/cancel_response" forgets false |_kept, _query| {
        Err(ApiError::of_status(400, "Cannot cancel a synchronous response."))
    }
}

fn retrieve(kept: &Kept, query: Option<&str>) -> Result<Bytes, ApiError> {
    if values(query, "stream").any(|value| value == "true") {
        return Err(words::unsupported("stream", "POST /v1/responses"));
    }
    Ok(kept.newest().map_or_else(Bytes::new, |exchange| exchange.answered.clone()))
}

/// The values of `name` in a query.
fn values<'a>(query: Option<&'a str>, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(move |(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn input_items(kept: &Kept, query: Option<&str>) -> Result<Bytes, ApiError> {
    let root = Path::root(false);
    let limit = match values(query, "limit").next() {
        None => LISTED,
        Some(text) => {
            let path = root.field("limit");
            let number = text.parse().map_err(|_| path.wrong_kind("an integer", crate::types::mistake::Kind::Text))?;
            path.integer(number, 1, LISTED_MAX)? as usize
        }
    };
    let mut items = put_in(kept);
    match values(query, "order").next().as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(other) => return Err(root.field("order").unknown_word(other, &["asc", "desc"]).into()),
    }
    if let Some(after) = values(query, "after").next() {
        let at = items.iter().position(|item| item["id"] == after.as_str());
        items = at.map_or_else(Vec::new, |at| items.split_off(at + 1));
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(items.first()), id(items.last()));
    let list = json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more});
    Ok(list.to_string().into())
}

/// The items that were put in, each with an id and its defaults written out.
fn put_in(kept: &Kept) -> Vec<Value> {
    let asked = kept.newest().map_or(&b"null"[..], |exchange| &exchange.asked);
    let items = match serde_json::from_slice(asked) {
        Ok(Value::Array(items)) => items,
        Ok(text @ Value::String(_)) => vec![json!({"role": "user", "content": text})],
        _ => Vec::new(),
    };
    let reply = u64::from_str_radix(&kept.key, 16).unwrap_or_default();
    items.into_iter().enumerate().map(|(index, item)| shown(item, reply, index)).collect()
}

fn shown(item: Value, reply: u64, index: usize) -> Value {
    let Value::Object(given) = item else { return item };
    let kind = given.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    let prefix = match &*kind {
        "message" => "msg_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "ctco_",
        "reasoning" => "rs_",
        _ => "item_",
    };
    let mut item = Map::new();
    item.insert("id".to_owned(), text_of(|out| push_response_id(out, prefix, reply, Some(PUT_IN + index))).into());
    item.insert("type".to_owned(), kind.as_str().into());
    if matches!(&*kind, "message" | "function_call" | "function_call_output") {
        item.insert("status".to_owned(), "completed".into());
    }
    item.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    if let Some(text) = item.get("content").and_then(Value::as_str).map(str::to_owned) {
        let part = match item.get("role").and_then(Value::as_str) {
            Some("assistant") => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
            _ => json!({"type": "input_text", "text": text}),
        };
        item.insert("content".to_owned(), json!([part]));
    }
    Value::Object(item)
}
