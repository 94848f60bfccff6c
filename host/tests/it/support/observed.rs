//! What a client sees of one answer, in words: made from the bytes and the way in which they ended, without knowing what was planned.

use http::HeaderMap;
use serde_json::Value;

use super::client::{self, Ended};
use super::h2_client::StreamEnd;

/// One answer as it came.
pub struct Observed {
    /// Status and headers; `None` if there was no head.
    head: Option<(u16, HeaderMap)>,
    body: Vec<u8>,
    /// How it ended.
    ending: String,
}

/// What the answer would be without a fault.
pub struct Expected<'a> {
    /// The tokens of the text.
    pub tokens: &'a [&'a str],
    /// The schema of the JSON or of the tool's arguments that is asked for.
    pub schema: Option<&'a Value>,
    /// The counts of prompt and reply, if they are looked at.
    pub usage: Option<(u64, u64)>,
    /// Bytes of the body of a whole reply.
    pub whole_bytes: usize,
}

impl Observed {
    /// All bytes of an HTTP/1.1 connection that had one request.
    pub fn h1(bytes: &[u8], ended: Ended) -> Self {
        let end = match ended {
            Ended::Closed => "FIN",
            Ended::Reset => "RST",
        };
        if bytes.is_empty() {
            return Self { head: None, body: Vec::new(), ending: end.to_owned() };
        }
        let reply = client::parse(bytes);
        let name = |name: &str| http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let headers = reply.headers.iter().map(|(header, value)| (name(header), value.parse().expect("a value"))).collect();
        let ending = match (reply.complete, ended) {
            (true, Ended::Closed) => "ends in order".to_owned(),
            (true, Ended::Reset) => "complete, then RST".to_owned(),
            (false, _) => format!("{end} inside the body"),
        };
        Self { head: Some((reply.status, headers)), body: reply.body, ending }
    }

    /// An HTTP/2 stream that was reset before its head.
    pub fn h2_headless(end: StreamEnd) -> Self {
        Self { head: None, body: Vec::new(), ending: h2_ending(end) }
    }

    /// An HTTP/2 stream.
    pub fn h2(status: u16, headers: HeaderMap, body: Vec<u8>, end: StreamEnd) -> Self {
        Self { head: Some((status, headers)), body, ending: h2_ending(end) }
    }

    /// How many bytes the body had.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// In words: head; body; end.
    pub fn words(&self, expected: &Expected<'_>, streamed: bool) -> String {
        let Some((status, headers)) = &self.head else { return format!("no byte; {}", self.ending) };
        let mut head = status.to_string();
        let media = headers["content-type"].to_str().expect("text");
        if media != if streamed { "text/event-stream; charset=utf-8" } else { "application/json" } {
            head = format!("{head} `{media}`");
        }
        let body = match (self.body.is_empty(), streamed) {
            (true, _) => "no body".to_owned(),
            (false, true) => stream(&self.body, expected),
            (false, false) => whole(&self.body, expected),
        };
        format!("{head}; {body}; {}", self.ending)
    }

    /// The words of a refusal: status, type, code, what is wrong, and what the headers say of trying again.
    pub fn refusal(&self) -> String {
        let (status, headers) = self.head.as_ref().expect("a head");
        assert_eq!(headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        let error = body["error"].as_object().expect("an error");
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
        let word = |key: &str| error[key].as_str().map_or("–".to_owned(), |word| format!("`{word}`"));
        let mut hints = Vec::new();
        for name in ["retry-after", "retry-after-ms", "x-should-retry"] {
            let Some(value) = headers.get(name) else { continue };
            let value = value.to_str().expect("text");
            match httpdate::parse_http_date(value) {
                Ok(_) => hints.push(format!("`{name}: <date>`")),
                Err(_) => hints.push(format!("`{name}: {value}`")),
            }
        }
        let hints = if hints.is_empty() { "–".to_owned() } else { hints.join(", ") };
        let message = error["message"].as_str().expect("a message");
        format!("{status} | {} | {} | {} | {hints} | {message}", word("type"), word("code"), word("param"))
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.head.as_ref().expect("a head").1[name].to_str().expect("text")
    }
}

fn h2_ending(end: StreamEnd) -> String {
    match end {
        StreamEnd::Complete => "ends in order".to_owned(),
        StreamEnd::Reset(reason) => format!("RST_STREAM {reason:?}"),
    }
}

/// What a strict reader of server-sent events makes of `body`.
fn stream(body: &[u8], expected: &Expected<'_>) -> String {
    let (mut said, mut seen) = (Seen::default(), Vec::new());
    let mut rest = body;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        let event = rest[..end].strip_prefix(b"data: ").expect("a data line");
        rest = &rest[end + 2..];
        match std::str::from_utf8(event) {
            Err(_) => said.count("not UTF-8"),
            Ok("[DONE]") => said.done = true,
            Ok(text) => match serde_json::from_str::<Value>(text) {
                Err(_) => said.count("not JSON"),
                Ok(chunk) => said.chunk(&chunk, &mut seen),
            },
        }
    }
    if !rest.is_empty() {
        said.count("broken off");
    }
    said.words(&seen, expected)
}

/// What is put together from a stream.
#[derive(Default)]
struct Seen {
    /// Events that are no chunks, by what is wrong with them.
    wrong: Vec<(&'static str, usize)>,
    done: bool,
    finish: Option<String>,
    usage: Option<(u64, u64)>,
    error: bool,
    refusal: String,
    arguments: String,
}

impl Seen {
    fn count(&mut self, what: &'static str) {
        match self.wrong.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => self.wrong.push((what, 1)),
        }
    }

    fn chunk(&mut self, chunk: &Value, texts: &mut Vec<String>) {
        self.error |= chunk.get("error").is_some();
        self.usage = self.usage.or(usage_of(chunk));
        let choice = &chunk["choices"][0];
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        let delta = &choice["delta"];
        if let Some(text) = delta["content"].as_str().filter(|_| delta.get("role").is_none()) {
            texts.push(text.to_owned());
        }
        self.refusal.push_str(delta["refusal"].as_str().unwrap_or(""));
        self.arguments.push_str(delta["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or(""));
    }

    fn words(&self, texts: &[String], expected: &Expected<'_>) -> String {
        let mut words = vec![answer(texts, &self.refusal, &self.arguments, expected)];
        words.extend(self.wrong.iter().map(|(what, count)| format!("{count} {what}")));
        if self.error {
            words.push("error event".to_owned());
        }
        words.push(self.finish.as_ref().map_or("no finish".to_owned(), |finish| format!("`{finish}`")));
        if self.usage.is_some() {
            words.extend(about_usage(self.usage, expected));
        }
        if !self.done {
            words.push("no `[DONE]`".to_owned());
        }
        words.join(", ")
    }
}

fn whole(body: &[u8], expected: &Expected<'_>) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return "not UTF-8".to_owned() };
    let reply: Value = match serde_json::from_str(text) {
        Ok(reply) => reply,
        Err(error) if error.is_eof() => {
            let percent = (body.len() as f64 * 100.0 / expected.whole_bytes as f64).round();
            return format!("JSON broken off after {percent} % of its bytes");
        }
        Err(_) => return "not JSON".to_owned(),
    };
    if let Some(message) = reply["error"]["message"].as_str() {
        return format!("error `{message}`");
    }
    let (choice, message) = (&reply["choices"][0], &reply["choices"][0]["message"]);
    let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or("");
    let texts: Vec<String> = message["content"].as_str().map(|text| pieces(text, expected)).unwrap_or_default();
    let mut words = vec![answer(&texts, message["refusal"].as_str().unwrap_or(""), arguments, expected)];
    words.push(format!("`{}`", choice["finish_reason"].as_str().unwrap_or("–")));
    words.extend(about_usage(usage_of(&reply), expected));
    words.join(", ")
}

/// `text` cut as the expected tokens are, as far as it goes on like them.
fn pieces(text: &str, expected: &Expected<'_>) -> Vec<String> {
    let (mut rest, mut pieces) = (text, Vec::new());
    for token in expected.tokens {
        let Some(after) = rest.strip_prefix(token) else { break };
        pieces.push((*token).to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

fn answer(texts: &[String], refusal: &str, arguments: &str, expected: &Expected<'_>) -> String {
    let mut words = Vec::new();
    match expected.schema {
        Some(schema) => {
            let json = if arguments.is_empty() { texts.concat() } else { arguments.to_owned() };
            let judge = jsonschema::validator_for(schema).expect("a schema");
            words.push(match serde_json::from_str::<Value>(&json) {
                Err(_) => "no JSON where some is asked for".to_owned(),
                Ok(value) if judge.is_valid(&value) => "JSON that fits".to_owned(),
                Ok(_) => "JSON that does not fit the schema".to_owned(),
            });
        }
        None => words.push(about_tokens(texts, expected.tokens)),
    }
    if !refusal.is_empty() {
        words.push(format!("refusal `{refusal}`"));
    }
    words.join(", ")
}

fn about_tokens(texts: &[String], tokens: &[&str]) -> String {
    let numbers: Vec<usize> =
        texts.iter().filter_map(|text| tokens.iter().position(|token| token == text)).map(|at| at + 1).collect();
    let all: Vec<usize> = (1..=tokens.len()).collect();
    if numbers == all {
        return "all tokens".to_owned();
    }
    if numbers[..] == all[..numbers.len().min(all.len())] {
        return format!("{} of {} tokens", numbers.len(), all.len());
    }
    let row: Vec<String> = numbers.iter().map(usize::to_string).collect();
    format!("tokens {}", row.join(" "))
}

fn usage_of(value: &Value) -> Option<(u64, u64)> {
    let usage = value.get("usage")?;
    Some((usage["prompt_tokens"].as_u64()?, usage["completion_tokens"].as_u64()?))
}

fn about_usage(usage: Option<(u64, u64)>, expected: &Expected<'_>) -> Option<String> {
    let wanted = expected.usage?;
    match usage {
        Some(usage) if usage == wanted => None,
        Some((input, output)) => Some(format!("usage {input} + {output}")),
        None => Some("no usage".to_owned()),
    }
}
