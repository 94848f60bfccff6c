//! What a client sees of one answer, in words: made from the bytes and the way in which they ended, without knowing what was planned.

use http::HeaderMap;
use serde_json::Value;

use super::client::{self, Ended};
use super::h2_client::StreamEnd;
use super::speakers::{Heard, Said, Speaker};

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

    /// What came of a session after its greeting, each message in a line; `media` is the kind of messages.
    pub fn session(media: &'static str, body: Vec<u8>, ending: String) -> Self {
        let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media))].into_iter().collect();
        Self { head: Some((101, headers)), body, ending }
    }

    /// Status and headers, if there was a head; the body; how it ended.
    pub fn parts(&self) -> (Option<(u16, &HeaderMap)>, &[u8], &str) {
        (self.head.as_ref().map(|(status, headers)| (*status, headers)), &self.body, &self.ending)
    }

    /// How many bytes the body had.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// In words: head; body; end.
    pub fn words(&self, speaker: &dyn Speaker, expected: &Expected<'_>, streamed: bool) -> String {
        let Some((status, headers)) = &self.head else { return format!("no byte; {}", self.ending) };
        let mut head = status.to_string();
        let media = headers["content-type"].to_str().expect("text");
        if media != if streamed { speaker.stream_media() } else { speaker.whole_media() } {
            head = format!("{head} `{media}`");
        }
        let body = match (self.body.is_empty(), streamed) {
            (true, _) => "no body".to_owned(),
            (false, true) => stream(speaker, &self.body, expected),
            (false, false) => whole(speaker, &self.body, expected),
        };
        format!("{head}; {body}; {}", self.ending)
    }

    /// The words of a refusal: status, what the vendor's body says, what the headers say of trying again, and the message.
    pub fn refusal(&self, speaker: &dyn Speaker) -> String {
        let (status, headers) = self.head.as_ref().expect("a head");
        assert_eq!(headers["content-type"], speaker.refusal_media());
        let body = speaker.refusal_body(&self.body);
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
        let message = speaker.message(&body).expect("a message").to_owned();
        let cells = [vec![status.to_string()], speaker.refusal_cells(&body), vec![hints, message]];
        cells.concat().join(" | ")
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref().expect("a head").1.get(name).map(|value| value.to_str().expect("text"))
    }
}

fn h2_ending(end: StreamEnd) -> String {
    match end {
        StreamEnd::Complete => "ends in order".to_owned(),
        StreamEnd::Reset(reason) => format!("RST_STREAM {reason:?}"),
    }
}

/// What a strict reader of events makes of `body`.
fn stream(speaker: &dyn Speaker, body: &[u8], expected: &Expected<'_>) -> String {
    let (mut heard, mut wrong) = (Heard::default(), Wrong::default());
    let (events, rest) = speaker.events(body, &mut heard);
    for event in events {
        match std::str::from_utf8(speaker.payload(event)) {
            Err(_) => wrong.count("not UTF-8"),
            Ok("[DONE]") => heard.is_ended = true,
            Ok(text) => {
                if speaker.event_text(text, &mut heard).is_err() {
                    wrong.count("not JSON");
                }
            }
        }
    }
    if !rest.is_empty() {
        wrong.count("broken off");
    }
    let mut words = vec![answer(heard.only(), expected)];
    words.extend(wrong.0.iter().map(|(what, count)| format!("{count} {what}")));
    if heard.error.is_some() {
        words.push("error event".to_owned());
    }
    if speaker.tells_its_end() {
        words.push(heard.only().finish.as_ref().map_or("no finish".to_owned(), |finish| format!("`{finish}`")));
    }
    if heard.usage.is_some() {
        words.extend(about_usage(heard.usage, expected));
    }
    if let Some(last) = speaker.last_event().filter(|_| !heard.is_ended) {
        words.push(format!("no `{last}`"));
    }
    words.join(", ")
}

/// Events that are no chunks, by what is wrong with them.
#[derive(Default)]
struct Wrong(Vec<(&'static str, usize)>);

impl Wrong {
    fn count(&mut self, what: &'static str) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => self.0.push((what, 1)),
        }
    }
}

fn whole(speaker: &dyn Speaker, body: &[u8], expected: &Expected<'_>) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return "not UTF-8".to_owned() };
    let mut heard = Heard::default();
    match speaker.whole_text(text, &mut heard) {
        Ok(()) => {}
        Err(error) if error.is_eof() => {
            let percent = (body.len() as f64 * 100.0 / expected.whole_bytes as f64).round();
            return format!("JSON broken off after {percent} % of its bytes");
        }
        Err(_) => return "not JSON".to_owned(),
    }
    if let Some(message) = heard.error {
        return format!("error `{message}`");
    }
    let said = heard.only();
    said.texts = said.texts.iter().flat_map(|text| pieces(text, expected)).collect();
    let mut words = vec![answer(said, expected)];
    if speaker.tells_its_end() {
        words.push(format!("`{}`", said.finish.as_deref().unwrap_or("–")));
        words.extend(about_usage(heard.usage, expected));
    }
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

fn answer(said: &Said, expected: &Expected<'_>) -> String {
    let mut words = Vec::new();
    match expected.schema {
        Some(schema) => {
            let json = said.calls.first().map_or_else(|| said.texts.concat(), |(_, arguments)| arguments.clone());
            let judge = jsonschema::validator_for(schema).expect("a schema");
            words.push(match serde_json::from_str::<Value>(&json) {
                Err(_) => "no JSON where some is asked for".to_owned(),
                Ok(value) if judge.is_valid(&value) => "JSON that fits".to_owned(),
                Ok(_) => "JSON that does not fit the schema".to_owned(),
            });
        }
        None => words.push(about_tokens(&said.texts, expected.tokens)),
    }
    if !said.refusal.is_empty() {
        words.push(format!("refusal `{}`", said.refusal));
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

fn about_usage(usage: Option<(u64, u64)>, expected: &Expected<'_>) -> Option<String> {
    let wanted = expected.usage?;
    match usage {
        Some(usage) if usage == wanted => None,
        Some((input, output)) => Some(format!("usage {input} + {output}")),
        None => Some("no usage".to_owned()),
    }
}
