//! Reading a new batch: its requests are checked for their names alone, the rest is for their own answers to say.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::dialect::Inbound;
use crate::dialect::bulk::{Input, Order, Task};
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::many::kind_of;
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::dialect::json::shapes::List;
use crate::types::api_error::ApiError;
use crate::types::limits::BATCH_REQUESTS_MAX;

/// Characters of a request's name: the vendor's documented bound.
const NAME_MAX: usize = 64;

object! {
    /// The body of a request for a new batch.
    Body<'de> {
        requests "requests": List<'de, One<'de>>,
    }
}

object! {
    /// One request of it.
    One<'de> {
        custom_id "custom_id": Given<Cow<'de, str>>,
        params "params": Option<&'de RawValue>,
    }
}

object! {
    /// What of a request matters before its turn.
    Peek<'de> {
        model "model": Given<Cow<'de, str>>,
        stream "stream": Given<bool>,
    }
}

pub(super) fn read(inbound: &Inbound<'_>) -> Result<Order, ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let body: Body<'_> = read_json(&inbound.body, root)?;
    let path = root.field("requests");
    let requests = body.requests.required(path)?.counted(path, 1, BATCH_REQUESTS_MAX)?;
    let mut names = HashSet::new();
    let mut tasks = Vec::new();
    for (index, given) in requests.into_iter().enumerate() {
        let path = path.element(index);
        let one = given.required(path)?;
        let custom_id = one.custom_id.required(path.field("custom_id"))?;
        path.field("custom_id").name(&custom_id, NAME_MAX)?;
        let params = one.params.ok_or_else(|| path.field("params").missing())?.get();
        if !params.starts_with('{') {
            return Err(path.field("params").wrong_kind("an object", kind_of(params)).into());
        }
        let peek: Peek<'_> = read_json(params.as_bytes(), Path::root(false)).unwrap_or_default();
        let model = if let Given::Is(model) = &peek.model { model.as_ref().into() } else { Box::default() };
        let streams = matches!(peek.stream, Given::Is(true));
        if !names.insert(custom_id.to_string()) {
            let message = format!("requests: custom_id '{}' is used by more than one request", excerpt(&custom_id));
            return Err(ApiError::of_status(400, message));
        }
        tasks.push(Task { custom_id: custom_id.into(), body: inbound.body.slice_ref(params.as_bytes()), model, streams });
    }
    Ok(Order { input: Input::Here(tasks), path: "/messages".into(), ..Order::default() })
}
