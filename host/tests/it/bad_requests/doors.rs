//! Where something can be asked with JSON, what each door takes, and what it names when that is wrong.

use serde_json::Value;

/// One path of one vendor.
pub struct Door {
    pub path: &'static str,
    /// The header that says whose client asks.
    pub header: (&'static str, &'static str),
    /// The sentence of a refusal, if it has the vendor's form.
    pub form: fn(&Value) -> Option<&str>,
    /// A body that is answered with 200; it says `hi there` and asks the model `m`. `None` where something else must be there before.
    pub good: Option<&'static str>,
    /// Bodies that are wrong, and the places that their refusals name.
    pub wrong: &'static [(&'static str, &'static str)],
    /// Is an object without a field understood?
    pub needs_nothing: bool,
    /// Is a model that nobody has refused?
    pub knows_models: bool,
    /// Is a prompt refused that is longer than the model's window?
    pub has_window: bool,
}

const OPENAI: Door = Door {
    path: "",
    header: ("authorization", "Bearer x"),
    form: openai,
    good: None,
    wrong: &[],
    needs_nothing: false,
    knows_models: true,
    has_window: true,
};
const ANTHROPIC: Door = Door { header: ("anthropic-version", "2023-06-01"), form: anthropic, ..OPENAI };
const GEMINI: Door = Door { header: ("x-goog-api-key", "x"), form: gemini, ..OPENAI };
const OLLAMA: Door = Door { header: ("user-agent", "ollama-python"), form: ollama, ..OPENAI };
const AZURE: Door = Door { header: ("api-key", "x"), form: azure, ..OPENAI };

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi there"}]}"#;
const MESSAGES: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi there"}]}"#;
const MESSAGES_WRONG: &[(&str, &str)] = &[
    (r#"{"max_tokens":9,"messages":[]}"#, "model"),
    (r#"{"model":"m","max_tokens":9,"messages":[{"content":"x"}]}"#, "messages.0.role"),
    (
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#,
        "messages.0.content.0.text",
    ),
    (r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"temperature":"warm"}"#, "temperature"),
];
const CONTENTS: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi there"}]}]}"#;
const CONTENTS_WRONG: &[(&str, &str)] =
    &[(r#"{"contents":[]}"#, "contents"), (r#"{"contents":[{"parts":[{"text":5}]}]}"#, "contents[0].parts[0].text")];
const CONTENT: &str = r#"{"content":{"parts":[{"text":"hi there"}]}}"#;
const RESPONSE: &str = r#"{"model":"m","input":[{"role":"user","content":"hi there"}]}"#;
const RESPONSE_WRONG: &[(&str, &str)] = &[
    (r#"{"input":"x"}"#, "model"),
    (r#"{"model":"m","input":[{"role":"user"}]}"#, "input[0].content"),
    (r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]}"#, "input[0].content[0].text"),
    (r#"{"model":"m","input":[{"role":"nobody","content":"x"}]}"#, "input[0].role"),
    (r#"{"model":"m","input":"x","max_output_tokens":"9"}"#, "max_output_tokens"),
];

/// Everything that takes JSON.
pub static DOORS: [Door; 25] = [
    Door {
        path: "/v1/chat/completions",
        good: Some(CHAT),
        wrong: &[
            (r#"{"messages":[]}"#, "model"),
            (r#"{"model":"m"}"#, "messages"),
            (r#"{"model":"m","messages":[{"content":"x"}]}"#, "messages[0].role"),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":[]}]}]}"#,
                "messages[0].content[0].text",
            ),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"warm"}"#, "temperature"),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":{}}"#, "stream_options"),
        ],
        ..OPENAI
    },
    Door {
        path: "/v1/completions",
        good: Some(r#"{"model":"m","prompt":"hi there"}"#),
        wrong: &[
            (r#"{"model":"m","prompt":["a",1]}"#, "prompt[1]"),
            (r#"{"model":"m","prompt":"x","max_tokens":"9"}"#, "max_tokens"),
        ],
        ..OPENAI
    },
    Door {
        path: "/v1/embeddings",
        good: Some(r#"{"model":"m","input":"hi there"}"#),
        wrong: &[
            (r#"{"model":"m"}"#, "input"),
            (r#"{"model":"m","input":[null]}"#, "$.input"),
            (r#"{"model":"m","input":"x","dimensions":[]}"#, "dimensions"),
        ],
        ..OPENAI
    },
    Door {
        path: "/v1/moderations",
        good: Some(r#"{"model":"m","input":"hi there"}"#),
        wrong: &[(r#"{"model":"m"}"#, "input"), (r#"{"model":"m","input":[{"type":"text"}]}"#, "input[0].text")],
        ..OPENAI
    },
    Door { path: "/v1/responses", good: Some(RESPONSE), wrong: RESPONSE_WRONG, ..OPENAI },
    Door { path: "/v1/responses/input_tokens", good: Some(RESPONSE), wrong: RESPONSE_WRONG, ..OPENAI },
    Door {
        path: "/v1/batches",
        wrong: &[
            (r#"{"endpoint":"/v1/embeddings","completion_window":"24h"}"#, "input_file_id"),
            (r#"{"input_file_id":"file-x","endpoint":5,"completion_window":"24h"}"#, "endpoint"),
            (r#"{"input_file_id":"file-x","endpoint":"/v1/embeddings","completion_window":"1h"}"#, "completion_window"),
        ],
        knows_models: false,
        has_window: false,
        ..OPENAI
    },
    Door {
        path: "/tokenize",
        good: Some(r#"{"model":"m","prompt":"hi there"}"#),
        wrong: &[(r#"{"model":"m"}"#, "prompt"), (r#"{"model":"m","messages":[{}]}"#, "messages[0].role")],
        has_window: false,
        ..OPENAI
    },
    Door {
        path: "/detokenize",
        good: Some(r#"{"model":"m","tokens":[1,2]}"#),
        wrong: &[(r#"{"model":"m"}"#, "tokens"), (r#"{"model":"m","tokens":["1"]}"#, "tokens")],
        has_window: false,
        ..OPENAI
    },
    Door { path: "/v1/messages", good: Some(MESSAGES), wrong: MESSAGES_WRONG, ..ANTHROPIC },
    Door {
        path: "/v1/messages",
        header: ("anthropic-version", "2026-10-21"),
        good: Some(MESSAGES),
        wrong: MESSAGES_WRONG,
        ..ANTHROPIC
    },
    Door { path: "/v1/messages/count_tokens", good: Some(MESSAGES), wrong: MESSAGES_WRONG, ..ANTHROPIC },
    Door {
        path: "/v1/messages/batches",
        wrong: &[
            (r#"{"requests":[]}"#, "requests"),
            (r#"{"requests":[{"params":{}}]}"#, "requests.0.custom_id"),
            (r#"{"requests":[{"custom_id":"a","params":[]}]}"#, "requests.0.params"),
        ],
        knows_models: false,
        has_window: false,
        ..ANTHROPIC
    },
    Door { path: "/v1beta/models/m:generateContent", good: Some(CONTENTS), wrong: CONTENTS_WRONG, ..GEMINI },
    Door { path: "/v1/models/m:streamGenerateContent?alt=sse", good: Some(CONTENTS), wrong: CONTENTS_WRONG, ..GEMINI },
    Door { path: "/v1beta/models/m:countTokens", good: Some(CONTENTS), wrong: CONTENTS_WRONG, ..GEMINI },
    Door {
        path: "/v1beta/models/m:embedContent",
        good: Some(CONTENT),
        wrong: &[("{}", "content"), (r#"{"content":{"parts":[{"text":5}]}}"#, "content.parts[0].text")],
        ..GEMINI
    },
    Door {
        path: "/v1beta/models/m:batchEmbedContents",
        good: Some(r#"{"requests":[{"content":{"parts":[{"text":"hi there"}]}}]}"#),
        wrong: &[
            (r#"{"requests":[]}"#, "requests"),
            (r#"{"requests":[{"content":{"parts":[{"text":5}]}}]}"#, "requests[0].content.parts[0].text"),
        ],
        ..GEMINI
    },
    Door {
        path: "/api/chat",
        good: Some(CHAT),
        wrong: &[(r#"{"messages":[]}"#, "model"), (r#"{"model":"m","messages":[{"role":"user","content":5}]}"#, "content")],
        ..OLLAMA
    },
    Door {
        path: "/api/generate",
        good: Some(r#"{"model":"m","prompt":"hi there"}"#),
        wrong: &[
            (r#"{"prompt":"x"}"#, "model"),
            (r#"{"model":"m","prompt":5}"#, "prompt"),
            (r#"{"model":"m","prompt":"x","options":{"top_k":"x"}}"#, "top_k"),
        ],
        ..OLLAMA
    },
    Door {
        path: "/api/embed",
        good: Some(r#"{"model":"m","input":"hi there"}"#),
        wrong: &[(r#"{"input":"x"}"#, "model"), (r#"{"model":"m","input":[5]}"#, "input")],
        ..OLLAMA
    },
    Door {
        path: "/api/show",
        good: Some(r#"{"model":"m"}"#),
        wrong: &[(r#"{"model":5}"#, "model")],
        has_window: false,
        ..OLLAMA
    },
    Door {
        path: "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        good: Some(CHAT),
        wrong: &[("{}", "messages"), (r#"{"messages":[{"content":"x"}]}"#, "messages[0].role")],
        ..AZURE
    },
    Door {
        path: "/openai/deployments/m/completions?api-version=2024-10-21",
        good: Some(r#"{"prompt":"hi there"}"#),
        wrong: &[(r#"{"prompt":["a",1]}"#, "prompt[1]"), (r#"{"max_tokens":"9"}"#, "max_tokens")],
        needs_nothing: true,
        ..AZURE
    },
    Door {
        path: "/openai/deployments/m/embeddings?api-version=2024-10-21",
        good: Some(r#"{"input":"hi there"}"#),
        wrong: &[("{}", "input"), (r#"{"input":"x","dimensions":[]}"#, "dimensions")],
        ..AZURE
    },
];

/// An object with exactly these keys.
fn has(value: &Value, keys: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.len() == keys.len() && keys.iter().all(|key| object.contains_key(*key)))
}

pub fn openai(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let fits = has(body, &["error"]) && has(error, &["message", "type", "param", "code"]) && error["type"].is_string();
    error["message"].as_str().filter(|_| fits)
}

fn anthropic(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let fits = has(body, &["type", "error", "request_id"])
        && body["type"] == "error"
        && body["request_id"].as_str().is_some_and(|id| id.starts_with("req_"));
    error["message"].as_str().filter(|_| fits && error["type"].is_string())
}

fn gemini(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let fits = has(body, &["error"]) && error["code"].is_u64() && error["status"].is_string();
    error["message"].as_str().filter(|_| fits)
}

fn ollama(body: &Value) -> Option<&str> {
    body["error"].as_str().filter(|_| has(body, &["error"]))
}

fn azure(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let gateway = has(body, &["error"]) && has(error, &["code", "message"]) && error["code"].is_string();
    openai(body).or_else(|| error["message"].as_str().filter(|_| gateway))
}
