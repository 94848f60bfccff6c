//! A strict reader of server-sent events: what real SDKs forgive is a failure here.

use serde_json::Value;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    pub name: Option<String>,
    pub data: String,
}

/// Every event of `stream` as the standard reads it (HTML, 9.2.6), in order. The error says what the standard would drop or vendors never
/// send: a last event without its blank line, a blank line after nothing, fields other than `event` and `data`.
pub fn read(stream: &[u8]) -> Result<Vec<Event>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    let (mut events, mut name, mut data) = (Vec::new(), None, None::<String>);
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        let line = &rest[..end];
        rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => match data.take() {
                Some(data) => events.push(Event { name: name.take(), data }),
                None => return Err(format!("a blank line after {name:?} without data")),
            },
            // A comment.
            "" => {}
            "event" => name = Some(value.to_owned()),
            "data" => match &mut data {
                None => data = Some(value.to_owned()),
                Some(data) => *data = format!("{data}\n{value}"),
            },
            other => return Err(format!("a field called {other:?}")),
        }
    }
    match (rest, name, data) {
        ("", None, None) => Ok(events),
        left => Err(format!("the last event does not end: {left:?}")),
    }
}

/// The `data` of every event, in order. Panics on whatever [`read`] refuses, on comments, names, and data of more than one line.
pub fn events(body: &str) -> Vec<String> {
    let events = read(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    let data: Vec<String> = events.into_iter().map(|event| event.data).collect();
    let again: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    assert_eq!(again, body, "more than a data line an event");
    data
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

#[test]
fn the_reader_is_the_standards_and_forgives_nothing() {
    let event = |name: Option<&str>, data: &str| Event { name: name.map(str::to_owned), data: data.to_owned() };
    let good = "event: a\ndata: 1\n\n: hm\ndata:2\r\ndata:  3\r\n\r\ndata\r\r";
    assert_eq!(read(good.as_bytes()), Ok(vec![event(Some("a"), "1"), event(None, "2\n 3"), event(None, "")]));
    let bad = [
        &b"data: 1\n"[..],
        b"data: 1",
        b"\n",
        b"data: 1\n\n\n",
        b"event: a\n\n",
        b"id: 1\ndata: 1\n\n",
        b"x\n\n",
        b"data: \xff\n\n",
    ];
    for stream in bad {
        assert!(read(stream).is_err(), "{:?}", String::from_utf8_lossy(stream));
    }
}
