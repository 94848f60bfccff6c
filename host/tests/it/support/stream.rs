//! A strict reader of server-sent events: what real SDKs forgive is a failure here.

use serde_json::Value;

/// The `data` of every event, in order. Panics on anything but `data: ` lines and blank lines between them, and on a last event
/// without its blank line.
pub fn events(body: &str) -> Vec<String> {
    assert!(body.is_empty() || body.ends_with("\n\n"), "the last event lacks its blank line: {body:?}");
    body.split_terminator("\n\n")
        .map(|event| {
            assert!(!event.contains('\n'), "an event of more than one line: {event:?}");
            event.strip_prefix("data: ").unwrap_or_else(|| panic!("not a data line: {event:?}")).to_owned()
        })
        .collect()
}

/// The chunks of a stream that ended well, parsed.
pub fn chunks(body: &str) -> Vec<Value> {
    let mut events = events(body);
    assert_eq!(events.pop().as_deref(), Some("[DONE]"), "no terminator");
    events.iter().map(|event| serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}"))).collect()
}

/// The text of choice `index` in `chunks`.
pub fn content(chunks: &[Value], index: u64) -> String {
    chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().into_iter().flatten())
        .filter(|choice| choice["index"] == index)
        .filter_map(|choice| choice["delta"]["content"].as_str())
        .collect()
}
