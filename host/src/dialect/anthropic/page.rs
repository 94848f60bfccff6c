//! Which part of a list a query asks for: so many behind one id, or before one.

use crate::dialect::bulk::Page;
use crate::dialect::json::path::Path;
use crate::types::api_error::ApiError;
use crate::types::mistake::Kind;

/// How many a page has unless the client says it, and at most (the vendor's documentation).
const USUAL: usize = 20;
const MOST: i64 = 1_000;

/// The part that `query` asks for, of a list that begins with the oldest if `is_ascending`.
pub(super) fn of(query: Option<&str>, is_ascending: bool) -> Result<Page, ApiError> {
    let mut page = Page { limit: USUAL, after: None, before: None, is_ascending };
    let root = Path::root(false);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "limit" => {
                let path = root.field("limit");
                let number = value.parse().map_err(|_| path.wrong_kind("an integer", Kind::Text))?;
                page.limit = path.integer(number, 1, MOST)? as usize;
            }
            "after_id" if !value.is_empty() => page.after = Some(value.into_owned()),
            "before_id" if !value.is_empty() => page.before = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok(page)
}
