//! Decisions in the words of scenarios and of the contract: what vectors are compared with, and what people are shown.
//!
//! A fault is `pass`, or its kind with what a scenario would say: `{ http-error: { status: 429 } }`. A reply is
//! `{ items: [...], finish: stop }`, each item by the contract's name: `{ generate: { tokens: 40 } }`, `{ text: Hello }`. Latency is
//! `{ first, between, pauses }`, each delay a duration or a law. A balancer's choice is `{ backend: 2 }`, `{ any: true }` or
//! `{ refuse: true }`, an autoscaler's wish `{ replicas: 4 }` or `{ keep: true }`. A behaviour that failed is `{ failed: { cause, message } }`.

use serde_json::{Map, Value, json};

use crate::behavior::call::BehaviorError;
use crate::behavior::fault::{Cut, EarlyFinish, HttpError, Named, Position, Verdict};
use crate::behavior::latency::{Delay, Schedule};
use crate::behavior::responder::{Answer, Generate, Item};
use crate::station::autoscaler::Wish;
use crate::station::balancer::chooser::Choice;
use crate::types::api_error::ErrorKind;
use crate::types::quantity::show_duration_us;
use crate::types::reply::{Finish, TextKind};

/// Kinds of faults that a behaviour may decide, with the fields that each has.
pub const FAULTS: &[(&str, &[&str])] = &[
    ("pass", &[]),
    ("http-error", &["status", "kind", "retry-after", "retry-as", "should-retry", "message", "code", "param"]),
    ("hang", &["for"]),
    ("cut", &["how", "at"]),
    ("stall", &["for", "at"]),
    ("error-event", &["message", "at"]),
    ("drip", &["bytes-per-second"]),
    ("length", &["at"]),
    ("content-filter", &["at"]),
    ("refusal", &["message", "at"]),
    ("malformed-chunk", &["at"]),
    ("truncated-json", &["at"]),
    ("split-utf8", &["at"]),
    ("missing-end", &["at"]),
    ("duplicate-chunk", &["at"]),
    ("swap-chunks", &["at"]),
    ("wrong-content-type", &["at"]),
    ("empty-body", &["at"]),
    ("bad-tool-arguments", &["at"]),
    ("schema-violation", &["at"]),
    ("wrong-usage", &["at"]),
    ("other", &["kind", "options"]),
    ("failed", &["cause", "message"]),
];

/// Items of a reply.
pub const ITEMS: &[&str] = &["generate", "think", "text", "reasoning", "tool-call", "structured", "refusal", "other"];

/// Fields of latency.
pub const LATENCY: &[&str] = &["first", "between", "pauses", "failed"];

/// A fault's verdict.
pub fn fault(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Pass => json!("pass"),
        Verdict::Error(error) => json!({ "http-error": http_error(error) }),
        Verdict::Hang(ms) => json!({ "hang": { "for": ms_word(*ms) } }),
        Verdict::Cut(how, at) => {
            let how = match how {
                Cut::Reset => "reset",
                Cut::Close => "close",
                Cut::End => "end",
            };
            json!({ "cut": { "how": how, "at": position(*at) } })
        }
        Verdict::Stall(ms, at) => json!({ "stall": { "for": ms_word(*ms), "at": position(*at) } }),
        Verdict::ErrorEvent(message, at) => json!({ "error-event": { "message": message, "at": position(*at) } }),
        Verdict::Damage(damage, at) => one(damage.name(), json!({ "at": position(*at) })),
        Verdict::Drip(rate) => json!({ "drip": { "bytes-per-second": rate } }),
        Verdict::Finish(finish, at) => {
            let mut fields = json!({ "at": position(*at) });
            if let EarlyFinish::Refusal(message) = finish {
                fields["message"] = json!(message);
            }
            one(finish.name(), fields)
        }
        Verdict::Other(named) => json!({ "other": other(named) }),
    }
}

fn http_error(error: &HttpError) -> Value {
    let mut fields = Map::new();
    fields.insert("status".to_owned(), json!(error.status));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let kind = match (error.kind, error.code.as_deref()) {
        (Some(ErrorKind::QuotaExhausted), _) => Some("quota"),
        (Some(ErrorKind::RateLimited), Some("slow_down")) => Some("slow-down"),
        (Some(ErrorKind::RateLimited), _) => Some("rate-limit"),
        _ => None,
    };
    put("kind", kind.map(Value::from));
    put("retry-after", error.retry_after_ms.map(|ms| json!(ms_word(ms))));
    put("should-retry", error.should_retry.map(Value::from));
    put("message", error.message.as_deref().map(Value::from));
    put("code", error.code.as_deref().map(Value::from));
    put("param", error.param.as_deref().map(Value::from));
    Value::Object(fields)
}

fn position(at: Position) -> String {
    match at {
        Position::Start => "start".to_owned(),
        Position::Token(token) => format!("token {token}"),
        // Shares travel as 32-bit floats: more digits than these are noise.
        Position::Share(share) => format!("{}%", (f64::from(share) * 1e6).round() / 1e4),
        Position::AfterMs(ms) => ms_word(ms),
    }
}

/// A responder's answers: one alone, several as a list.
pub fn reply(answers: &[Answer]) -> Value {
    match answers {
        [only] => answer(only),
        many => many.iter().map(answer).collect(),
    }
}

fn answer(answer: &Answer) -> Value {
    let finish = match answer.finish {
        Finish::Stop | Finish::StopText(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool-calls",
        Finish::ContentFilter => "content-filter",
    };
    json!({ "items": answer.items.iter().map(item).collect::<Vec<_>>(), "finish": finish })
}

fn item(item: &Item) -> Value {
    let generate = |order: &Generate| match order.style.as_str() {
        "" => json!({ "tokens": order.tokens }),
        style => json!({ "tokens": order.tokens, "style": style }),
    };
    match item {
        Item::Generate(order) => json!({ "generate": generate(order) }),
        Item::Think(order) => json!({ "think": generate(order) }),
        Item::Text(text) => json!({ "text": text }),
        Item::Reasoning(text) => json!({ "reasoning": text }),
        Item::Refusal(text) => json!({ "refusal": text }),
        Item::Prepared(prepared) => {
            let name = match prepared.kind() {
                TextKind::Content => "text",
                TextKind::Reasoning => "reasoning",
                TextKind::Refusal => "refusal",
            };
            one(name, json!(&**prepared.text()))
        }
        Item::ToolCall { name, arguments } => match arguments {
            // Arguments may be broken JSON on purpose, and are then a text.
            Some(text) => {
                let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                json!({ "tool-call": { "name": name, "arguments": value } })
            }
            None => json!({ "tool-call": { "name": name } }),
        },
        Item::Structured => json!("structured"),
        Item::Other(named) => json!({ "other": other(named) }),
    }
}

/// A latency model's schedule.
pub fn latency(schedule: &Schedule) -> Value {
    let mut fields = json!({ "first": delay(&schedule.first), "between": delay(&schedule.between) });
    if !schedule.pauses.is_empty() {
        let pauses = schedule.pauses.iter();
        fields["pauses"] = pauses.map(|pause| json!({ "after": pause.after_token, "for": us_word(pause.us) })).collect();
    }
    fields
}

fn delay(delay: &Delay) -> Value {
    match delay {
        Delay::Us(us) => json!(us_word(*us)),
        Delay::Uniform(min, max) => json!({ "uniform": { "min": us_word(*min), "max": us_word(*max) } }),
        Delay::LogNormal(law) => {
            let mut fields = json!({ "p50": us_word(law.p50_us), "p99": us_word(law.p99_us) });
            if law.cap_us > 0 {
                fields["max"] = json!(us_word(law.cap_us));
            }
            json!({ "log-normal": fields })
        }
        Delay::Each(list) => json!({ "each": list.iter().map(|us| us_word(*us)).collect::<Vec<_>>() }),
        Delay::Law(_) => json!("a native law"),
        Delay::Other(named) => one(&named.kind, options(named)),
    }
}

/// A balancer's choice.
pub fn choice(choice: &Choice) -> Value {
    match choice {
        Choice::Backend(place) => json!({ "backend": place }),
        Choice::Any => json!({ "any": true }),
        Choice::Refuse(0) => json!({ "refuse": true }),
        Choice::Refuse(ns) => json!({ "refuse": true, "retry-after": show_duration_us(ns / 1_000) }),
    }
}

/// An autoscaler's wish, and why it has it.
pub fn wish((wish, reason): &(Wish, String)) -> Value {
    let mut fields = match wish {
        Wish::Keep => json!({ "keep": true }),
        Wish::Replicas(replicas) => json!({ "replicas": replicas }),
    };
    if !reason.is_empty() {
        fields["reason"] = json!(reason);
    }
    fields
}

/// A behaviour that gave no answer.
pub fn failed(error: &BehaviorError) -> Value {
    json!({ "failed": { "cause": error.cause, "message": error.message } })
}

fn other(named: &Named) -> Value {
    json!({ "kind": named.kind, "options": options(named) })
}

fn options(named: &Named) -> Value {
    serde_json::from_str(&named.json).unwrap_or_else(|_| json!(named.json))
}

fn one(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

fn ms_word(ms: u32) -> String {
    show_duration_us(u64::from(ms) * 1_000)
}

fn us_word(us: u32) -> String {
    match us {
        0 => "0ms".to_owned(),
        us => show_duration_us(u64::from(us)),
    }
}

/// `value` on one line as YAML has it: `{ http-error: { status: 429 } }`.
pub fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text, quoted where YAML would read something else.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '%' | ' ' | '/' | '(' | ')');
    let plain = text.starts_with(char::is_alphanumeric) && !text.ends_with(' ') && text.chars().all(is_plain);
    let other_type = text.parse::<f64>().is_ok() || matches!(text, "true" | "false" | "null" | "");
    if plain && !other_type { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::fault::Damage;
    use crate::behavior::latency::LogNormal;

    #[test]
    fn decisions_are_said_as_scenarios_write_them() {
        let error =
            HttpError { status: 429, retry_after_ms: Some(2_000), code: Some("slow_down".to_owned()), ..HttpError::default() };
        for (verdict, words) in [
            (Verdict::Pass, "pass"),
            (Verdict::Error(error), "{ http-error: { status: 429, retry-after: 2s, code: slow_down } }"),
            (Verdict::Cut(Cut::Close, Position::Share(0.35)), "{ cut: { how: close, at: 35% } }"),
            (Verdict::Damage(Damage::SplitUtf8, Position::Token(3)), "{ split-utf8: { at: token 3 } }"),
            (
                Verdict::Finish(EarlyFinish::Refusal("No.".to_owned()), Position::Start),
                "{ refusal: { at: start, message: No. } }",
            ),
        ] {
            assert_eq!(flow(&fault(&verdict)), words);
        }
        let law = LogNormal { p50_us: 20_000, p99_us: 60_000, cap_us: 0 };
        let schedule = Schedule { first: Delay::Us(0), between: Delay::LogNormal(law), pauses: Vec::new(), rules: None };
        assert_eq!(flow(&latency(&schedule)), "{ first: 0ms, between: { log-normal: { p50: 20ms, p99: 60ms } } }");
    }

    #[test]
    fn every_kind_of_damage_has_its_word_in_the_table() {
        for (damage, _) in crate::builtin::fault::damage::TABLE {
            assert!(FAULTS.iter().any(|(name, _)| *name == damage.name()), "{damage:?}");
        }
    }
}
