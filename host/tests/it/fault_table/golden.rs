//! The bytes of what is seen, as text: of each exchange only what differs from the one without a fault, so that a person can read it.

use http::HeaderMap;

use crate::support::observed::Observed;

/// Stands above every file.
pub const LEGEND: &str = "the bytes of every fault: ids and times are ‹…›, CR is ␍, bytes that are no UTF-8 are \\x…, ⟂ is where the body ends. \
                          Headers are those that differ from the reply without a fault, the first one.";

/// What changes from run to run, in headers and in bodies.
const VOLATILE: &[&str] = &["date", "x-request-id", "request-id", "apim-request-id", "openai-processing-ms", "server-timing"];
/// In bodies, what stands before it.
const MARKS: &[&str] = &[
    "chatcmpl-",
    "cmpl-",
    "resp_",
    "msg_",
    "req_",
    "call_",
    "toolu_",
    "fc_",
    "fp_",
    "item_",
    "event_",
    "conv_",
    "\"responseId\":\"",
    "\"created\":",
    "\"created_at\":",
    "\"created_at\":\"",
    "\"completed_at\":",
    "model-",
];
/// So many characters behind a mark are no word.
const ID_LENGTH_MIN: usize = 8;

/// One vendor's bytes.
#[derive(Default)]
pub struct Golden {
    pub text: String,
    /// For each way, what comes without a fault.
    plain: Vec<(&'static str, Exchange)>,
}

#[derive(Clone)]
struct Exchange {
    status: String,
    headers: Vec<String>,
    body: String,
}

impl Exchange {
    fn of(observed: &Observed) -> Self {
        let (head, body, _) = observed.parts();
        let status = head.map_or("no head".to_owned(), |(status, _)| status.to_string());
        let headers = head.map(|(_, headers)| lines_of(headers)).unwrap_or_default();
        Self { status, headers, body: stable(&shown(body)) }
    }
}

impl Golden {
    /// Adds a reply with `fault` over the way `way`. The first of each way is the one without a fault.
    pub fn reply(&mut self, fault: &str, way: &'static str, observed: &Observed) {
        let exchange = Exchange::of(observed);
        let plain = self.plain.iter().find(|(known, _)| *known == way).map(|(_, plain)| plain.clone());
        self.add(&format!("{fault}, {way}"), &exchange, plain.as_ref(), observed);
        if plain.is_none() {
            self.plain.push((way, exchange));
        }
    }

    /// Adds a refusal.
    pub fn refusal(&mut self, fault: &str, observed: &Observed) {
        // It is as short as a whole reply, if there are whole replies.
        let plain = self.plain.last().map(|(_, plain)| plain.clone());
        self.add(fault, &Exchange::of(observed), plain.as_ref(), observed);
    }

    fn add(&mut self, title: &str, exchange: &Exchange, plain: Option<&Exchange>, observed: &Observed) {
        let Exchange { status, headers, body } = exchange;
        self.text += &format!("# {title}\n{status}\n");
        let known = plain.map(|plain| plain.headers.as_slice()).unwrap_or_default();
        for header in headers.iter().filter(|header| !known.contains(header)) {
            self.text += &format!("{header}\n");
        }
        let name = |header: &str| header.split_once(':').map(|(name, _)| name.to_owned());
        let names: Vec<_> = headers.iter().map(|header| name(header)).collect();
        for missing in known.iter().filter(|known| observed.parts().0.is_some() && !names.contains(&name(known))) {
            self.text += &format!("(without {})\n", name(missing).unwrap_or_default());
        }
        self.text += &format!("\n{}⟂ {}\n\n", difference(body, plain.map(|plain| &*plain.body)), observed.parts().2);
    }
}

/// `body` with the lines that it begins and ends with like `plain` counted, and not repeated.
fn difference(body: &str, plain: Option<&str>) -> String {
    let Some(plain) = plain else { return body.to_owned() };
    if body == plain && !body.is_empty() {
        return "(the body without a fault)".to_owned();
    }
    let (lines, plain): (Vec<_>, Vec<_>) = (body.split_inclusive('\n').collect(), plain.split_inclusive('\n').collect());
    let alike = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(one, other)| one == other).count();
    let first = alike(&mut lines.iter().zip(&plain));
    let last = alike(&mut lines[first..].iter().rev().zip(plain[first..].iter().rev()));
    let mut text = String::new();
    if first > 0 {
        text += &format!("(its first {first} lines)\n");
    }
    text += &lines[first..lines.len() - last].concat();
    if last > 0 {
        text += &format!("(its last {last} lines)");
    }
    text
}

fn lines_of(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = value.to_str().expect("text");
        // What is left of a budget depends on how fast the test asks.
        let is_left =
            name.as_str().contains("ratelimit-") && !name.as_str().contains("limit-limit") && !name.as_str().ends_with("-limit");
        let is_volatile = is_left || VOLATILE.contains(&name.as_str()) || httpdate::parse_http_date(value).is_ok();
        format!("{name}: {}", if is_volatile { "‹…›" } else { value })
    };
    headers.iter().map(line).collect()
}

/// `bytes` as text in which every byte can be seen.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text += &chunk.valid().replace('\r', "␍");
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// `text` with what changes from run to run left out.
fn stable(text: &str) -> String {
    let (mut rest, mut stable) = (text, String::new());
    while let Some((at, mark)) =
        MARKS.iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min_by_key(|(at, mark)| (*at, usize::MAX - mark.len()))
    {
        let behind = &rest[at + mark.len()..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || (mark.ends_with("at\":\"") && ":.".contains(c));
        let run = &behind[..behind.find(|c| !is_part(c)).unwrap_or(behind.len())];
        let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
        let is_id = has_digit && run.len() >= ID_LENGTH_MIN || run.len() >= 2 * ID_LENGTH_MIN || mark == "model-" && has_digit;
        stable += &rest[..at + mark.len()];
        stable += if is_id { "‹…›" } else { run };
        rest = &behind[run.len()..];
    }
    stable + rest
}

#[test]
fn only_what_changes_is_left_out() {
    let text = r#"{"id":"chatcmpl-abcdefg1","event_id":"event_0123456789abcdef","created_at":1790000000,"type":"function_call_arguments","model":"model-07"}"#;
    let left =
        r#"{"id":"chatcmpl-‹…›","event_id":"event_‹…›","created_at":‹…›,"type":"function_call_arguments","model":"model-‹…›"}"#;
    assert_eq!(stable(text), left);
    assert_eq!(stable(r#""created_at":"2026-11-22T05:00:00.1Z","x":"cmpl-a""#), r#""created_at":"‹…›","x":"cmpl-a""#);
    assert_eq!(shown(b"a\xc3\r\n"), "a\\xc3␍\n");
    assert_eq!(difference("a\nx\nc\n", Some("a\nb\nc\n")), "(its first 1 lines)\nx\n(its last 1 lines)");
}
