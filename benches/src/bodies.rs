//! Bodies that cost much and say little: lists, objects and texts of a given size, in the shapes of all vendors.

use bytes::Bytes;

/// Fields that hold lists somewhere.
const LISTS: [&str; 13] = [
    "messages",
    "contents",
    "input",
    "prompt",
    "requests",
    "tools",
    "stop",
    "stop_sequences",
    "tokens",
    "images",
    "system",
    "include",
    "tool_choice",
];
/// Fields that hold objects somewhere.
const OBJECTS: [&str; 9] = [
    "metadata",
    "options",
    "generationConfig",
    "systemInstruction",
    "response_format",
    "text",
    "content",
    "session",
    "output_config",
];
/// Elements of lists, most of them wrong everywhere.
const ELEMENTS: [&str; 7] = ["0", "null", "{}", "[]", "\"\"", "[[]]", "{\"type\":\"text\"}"];

/// A conversation, before and after what is said, in each vendor's words; what comes after is one mistake.
const TALKS: [(&str, &str, &str); 7] = [
    ("messages", r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"#, r#"}],"stop":5,"stop_sequences":5}"#),
    ("contents", r#"{"contents":[{"parts":[{"text":"#, r#"}]}],"generationConfig":5}"#),
    ("content", r#"{"content":{"parts":[{"text":"#, r#"}]},"outputDimensionality":"x"}"#),
    ("input", r#"{"model":"m","input":"#, r#","dimensions":"x","metadata":5,"keep_alive":[]}"#),
    ("items", r#"{"model":"m","input":[{"role":"user","content":"#, r#"}],"metadata":5}"#),
    ("prompt", r#"{"model":"m","prompt":"#, r#","stop":5,"options":5,"return_token_strs":5}"#),
    ("session", r#"{"type":"session.update","session":{"type":"realtime","instructions":"#, r#","tools":5}}"#),
];
/// Things to say: a piece that is repeated inside quotes.
const TEXTS: [(&str, &str); 4] =
    [("plain", "What does the weather do? "), ("escapes", "\\n"), ("codes", "\\u00e9"), ("umlauts", "ä")];
/// Good elements of lists, and what stands around the list; a mistake follows.
const GOOD: [(&str, &str, &str, &str); 12] = [
    (
        "messages",
        r#"{"model":"m","max_tokens":9,"messages":["#,
        r#"{"role":"user","content":"hello there"}"#,
        r#"],"stop":5,"stop_sequences":5}"#,
    ),
    (
        "parts",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":["#,
        r#"{"type":"text","text":"hello"}"#,
        r#"]}],"stop":5,"stop_sequences":5}"#,
    ),
    (
        "results",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":["#,
        r#"{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"x"}]}"#,
        r#"]}],"stop_sequences":5}"#,
    ),
    ("turns", r#"{"contents":["#, r#"{"role":"user","parts":[{"text":"hello there"}]}"#, r#"],"generationConfig":5}"#),
    ("turn's parts", r#"{"contents":[{"parts":["#, r#"{"text":"hello there"}"#, r#"]}],"generationConfig":5}"#),
    (
        "turns that call",
        r#"{"contents":["#,
        r#"{"parts":[{"functionCall":{"name":"look_up","args":{"place":"Rome"}}}]}"#,
        r#"],"generationConfig":5}"#,
    ),
    (
        "calls",
        r#"{"model":"m","messages":["#,
        r#"{"role":"assistant","tool_calls":[{"function":{"name":"look_up","arguments":{"place":"Rome"}}}]}"#,
        r#"],"stop":5,"stream":7}"#,
    ),
    ("items", r#"{"model":"m","input":["#, r#"{"role":"user","content":"hello there"}"#, r#"],"metadata":5}"#),
    (
        "item's parts",
        r#"{"model":"m","input":[{"role":"user","content":["#,
        r#"{"type":"input_text","text":"hello"}"#,
        r#"]}],"metadata":5}"#,
    ),
    ("texts", r#"{"model":"m","input":["#, r#""x""#, r#"],"dimensions":"x","keep_alive":[]}"#),
    ("tokens", r#"{"model":"m","input":["#, "7", r#"],"dimensions":"x"}"#),
    ("requests", r#"{"requests":["#, r#"{"custom_id":"a","params":{}}"#, "]}"),
];

/// Bodies of about `bytes` bytes, by name.
pub fn bodies(bytes: usize) -> Vec<(String, Bytes)> {
    let mut bodies = Vec::new();
    let mut add = |name: String, body: String| bodies.push((name, Bytes::from(body)));
    for field in LISTS {
        for element in ELEMENTS {
            add(
                format!("{field}: [{element}, ...]"),
                format!("{{\"model\":\"m\",\"max_tokens\":9,\"{field}\":[{}]}}", list(element, bytes)),
            );
        }
    }
    for field in OBJECTS {
        add(format!("{field}: many keys"), format!("{{\"model\":\"m\",\"max_tokens\":9,\"{field}\":{{{}}}}}", keys(bytes)));
    }
    for (vendor, before, after) in TALKS {
        for (kind, piece) in TEXTS {
            let text = piece.repeat(bytes / piece.len());
            add(format!("{vendor}: {kind}, then wrong"), format!("{before}\"{text}\"{after}"));
            add(format!("{vendor}: {kind}, cut off"), format!("{before}\"{text}"));
        }
    }
    for (name, before, element, after) in GOOD {
        add(format!("{name}: good ones, then wrong"), format!("{before}{}{after}", list(element, bytes)));
        // What closes the lists and objects, without the mistake.
        let closing = after.split_once(',').map_or(after.to_owned(), |(closing, _)| format!("{closing}}}"));
        add(format!("{name}: good ones, then a bad one"), format!("{before}{},5{closing}", list(element, bytes)));
        add(format!("{name}: good ones, cut off"), format!("{before}{}", list(element, bytes)));
    }
    let half = bytes / 2;
    add("many keys".to_owned(), format!("{{{}}}", keys(bytes)));
    add("one long key".to_owned(), format!("{{\"{}\":0}}", "k".repeat(bytes)));
    add("escaped keys".to_owned(), format!("{{{}}}", list("\"\\u0061\":0", bytes)));
    add("a long number".to_owned(), format!("{{\"model\":\"m\",\"temperature\":{}}}", "7".repeat(bytes)));
    add("a long model".to_owned(), format!("{{\"model\":\"{}\"}}", "m".repeat(bytes)));
    add("a long role".to_owned(), format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"{}\"}}]}}", "r".repeat(bytes)));
    add("deep lists".to_owned(), format!("{{\"messages\":{}{}}}", "[".repeat(half), "]".repeat(half)));
    add("deep objects".to_owned(), format!("{{\"contents\":{}", "{\"parts\":".repeat(bytes / 9)));
    add("a deep schema".to_owned(), deep_schema(bytes));
    add("blanks".to_owned(), " ".repeat(bytes));
    add("lines".to_owned(), "{}\n".repeat(bytes / 3));
    add("empty lines".to_owned(), "\n".repeat(bytes));
    add("parts of a form".to_owned(), "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(bytes / 51));
    bodies
}

/// `element` again and again, with commas.
fn list(element: &str, bytes: usize) -> String {
    let count = (bytes / (element.len() + 1)).max(1);
    let mut list = format!("{element},").repeat(count);
    list.pop();
    list
}

fn keys(bytes: usize) -> String {
    let mut keys = String::with_capacity(bytes + 16);
    for number in 0.. {
        keys += &format!("\"{number}\":\"\",");
        if keys.len() >= bytes {
            break;
        }
    }
    keys.pop();
    keys
}

/// A tool whose parameters are nested without end.
fn deep_schema(bytes: usize) -> String {
    let depth = bytes / 14;
    let schema = format!("{}{}", "{\"properties\":".repeat(depth), "}".repeat(depth));
    format!(
        "{{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"input\":\"x\",\"tools\":[{{\"type\":\
         \"function\",\"name\":\"f\",\"input_schema\":{schema},\"function\":{{\"name\":\"f\",\"parameters\":{schema}}}}}]}}"
    )
}
