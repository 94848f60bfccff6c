//! JSON Schemas that clients send, kept as written. Only their outermost type and their depth are looked at here; whether an instance
//! can be written is found by the one who writes it.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::given::{Given, object};
use super::path::{Path, excerpt};
use crate::types::limits::JSON_DEPTH_MAX;
use crate::types::mistake::{Kind, Mistake, What};

object! {
    /// What is looked at in a JSON Schema: its outermost type.
    SchemaHead<'de> {
        kind "type": Given<Cow<'de, str>>,
    }
}

/// `schema` at `path`, kept as written. It must be an object whose outermost type, if it names one, is `object`; and it must not be nested
/// without end. `owner` says whose it is.
pub(crate) fn kept(schema: &RawValue, path: Path<'_>, owner: impl Fn() -> String) -> Result<Arc<RawValue>, Mistake> {
    let bad = |reason: String| path.mistake(What::Schema { owner: owner().into(), reason: reason.into() });
    check_depth(schema).map_err(bad)?;
    let not_json = |error: serde_json::Error| path.mistake(What::NotJson(error.to_string().into()));
    let head: Given<SchemaHead<'_>> = serde_json::from_str(schema.get()).map_err(not_json)?;
    let wrong = |found: &str| Err(bad(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'")));
    match head {
        Given::Is(SchemaHead { kind: Given::Is(kind), .. }) if kind.eq_ignore_ascii_case("object") => {}
        Given::Is(SchemaHead { kind: Given::Absent, .. }) => {}
        Given::Is(SchemaHead { kind: Given::Is(kind), .. }) => return wrong(excerpt(&kind)),
        Given::Is(SchemaHead { kind: Given::Null | Given::Wrong(_), .. }) => return wrong("None"),
        Given::Wrong(kind) => return Err(path.wrong_kind("an object", kind)),
        Given::Absent | Given::Null => return Err(path.wrong_kind("an object", Kind::Null)),
    }
    Ok(Arc::from(schema.to_owned()))
}

/// Refuses a schema that is nested without end.
pub(crate) fn check_depth(schema: &RawValue) -> Result<(), String> {
    match depth(schema.get()) {
        0..=JSON_DEPTH_MAX => Ok(()),
        _ => Err(format!("it is nested deeper than {JSON_DEPTH_MAX} levels")),
    }
}

/// How deep lists and objects are nested in `json`, which is well formed. Raw values are skipped without a bound by the reader.
fn depth(json: &str) -> usize {
    let mut bytes = json.bytes();
    let (mut now, mut most) = (0_usize, 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => _ = bytes.next(),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_texts_only() {
        assert_eq!(depth(r#"{"a":[1,{"b":"]}[[[\"{{"}]}"#), 3);
        assert_eq!(depth("true"), 0);
    }
}
