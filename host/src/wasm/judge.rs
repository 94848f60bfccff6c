//! Judges every value that a guest returns before anybody uses it, and turns it into the host's own types.
//!
//! What makes no sense is refused with the field and the value; nothing is guessed or clamped, so that a mistake is
//! seen at once. Only the order of pauses is put right: sorted by token they mean the same.
//! Texts are bounded in bytes before they get here. Names and codes may reach headers and logs, so they hold no control
//! characters; texts of answers may hold anything, since dialects escape them.

use crate::behavior::fault::{Cut, Damage, EarlyFinish, HttpError, Named, Position, REFUSAL, Verdict};
use crate::behavior::latency::{Delay, LogNormal, Pause, Schedule};
use crate::behavior::responder::{Answer, Generate, Item};
use crate::station::autoscaler::{self, Wish};
use crate::station::balancer::chooser::{Choice, Sight};
use crate::types::fields::Fields;
use crate::types::limits;
use crate::types::reply::Finish;
use crate::wasm::bindings::exports::simwright::plugin::{autoscaler as scaling, balancer, fault, latency, responder};
use crate::wasm::bindings::simwright::plugin::types;

/// Why an answer is refused: the field, its value and what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {value}, but {rule}")]
pub(super) struct BadAnswer {
    field: &'static str,
    value: String,
    rule: String,
}

fn bad<T>(field: &'static str, value: impl ToString, rule: impl Into<String>) -> Result<T, BadAnswer> {
    Err(BadAnswer { field, value: value.to_string(), rule: rule.into() })
}

/// Judges a fault's verdict.
#[inline]
pub(super) fn verdict(given: fault::Verdict) -> Result<Verdict, BadAnswer> {
    use fault::Verdict as Given;
    Ok(match given {
        Given::Pass => Verdict::Pass,
        Given::Error(error) => Verdict::Error(http_error(error)?),
        Given::HangMs(ms) => Verdict::Hang(wait_ms("hang-ms", ms)?),
        Given::Cut((kind, at)) => Verdict::Cut(cut(kind), position(at)?),
        Given::StallMs((ms, at)) => Verdict::Stall(wait_ms("stall-ms", ms)?, position(at)?),
        Given::ErrorEvent((message, at)) => {
            Verdict::ErrorEvent(clean("error-event", message, limits::PLUGIN_MESSAGE_BYTES)?, position(at)?)
        }
        Given::Damage((kind, at)) => Verdict::Damage(damage(kind), position(at)?),
        Given::DripBytesPerS(0) => return bad("drip-bytes-per-s", 0, "it must be at least 1"),
        Given::DripBytesPerS(rate) => Verdict::Drip(rate),
        Given::Other(value) => other(named(value)?)?,
    })
}

/// The kinds that have come since the contract was made; what is none of them is for the planner to name.
fn other(value: Named) -> Result<Verdict, BadAnswer> {
    match value.kind.as_str() {
        "finish" => finish(&value.json),
        _ => Ok(Verdict::Other(value)),
    }
}

/// `{"reason": "length", "content-filter" or "refusal", "at": "50%", "message": "…"}`; `message` only for a refusal.
fn finish(json: &str) -> Result<Verdict, BadAnswer> {
    let given = match serde_json::from_str(json) {
        Ok(given) => given,
        Err(error) => return bad("other.finish", format!("no JSON ({error})"), "it is an object with `reason` and `at`"),
    };
    let mut fields = Fields::of(&given, "");
    fields.require("reason");
    fields.require("at");
    let reason = fields.text("reason").unwrap_or_default();
    let at = fields.text("at").map(str::parse::<Position>);
    let message = fields.text("message");
    if let Some(problem) = fields.finish().first() {
        let shown: String = json.chars().take(100).collect();
        return bad("other.finish", format!("`{shown}`"), problem.message.clone());
    }
    let at = match at.unwrap_or(Ok(Position::Start)) {
        Ok(at) => at,
        Err(message) => return bad("other.finish.at", "no place", message),
    };
    let finish = match (reason, message) {
        ("length", None) => EarlyFinish::Length,
        ("content-filter", None) => EarlyFinish::ContentFilter,
        ("refusal", message) => {
            let message = clean("other.finish.message", message.unwrap_or(REFUSAL).to_owned(), limits::PLUGIN_MESSAGE_BYTES)?;
            EarlyFinish::Refusal(message)
        }
        ("length" | "content-filter", Some(_)) => return bad("other.finish.message", "there", "only a refusal has words"),
        (other, _) => return bad("other.finish.reason", format!("`{other}`"), "it is length, content-filter or refusal"),
    };
    Ok(Verdict::Finish(finish, at))
}

fn http_error(given: fault::HttpError) -> Result<HttpError, BadAnswer> {
    if !(400..=599).contains(&given.status) {
        return bad("error.status", given.status, "errors have 400 to 599");
    }
    if let Some(ms) = given.retry_after_ms.filter(|ms| *ms > limits::RETRY_AFTER_MS_MAX) {
        return bad("error.retry-after-ms", ms, format!("a day ({}) is the most", limits::RETRY_AFTER_MS_MAX));
    }
    let message = given.message.map(|text| clean("error.message", text, limits::PLUGIN_MESSAGE_BYTES)).transpose()?;
    let code = given.code.map(|text| clean("error.code", text, limits::PLUGIN_NAME_BYTES)).transpose()?;
    Ok(HttpError { status: given.status, retry_after_ms: given.retry_after_ms, message, code, ..HttpError::default() })
}

fn cut(given: fault::Cut) -> Cut {
    match given {
        fault::Cut::Reset => Cut::Reset,
        fault::Cut::Close => Cut::Close,
        fault::Cut::End => Cut::End,
    }
}

fn damage(given: fault::Damage) -> Damage {
    match given {
        fault::Damage::MalformedChunk => Damage::MalformedChunk,
        fault::Damage::TruncatedJson => Damage::TruncatedJson,
        fault::Damage::SplitUtf8 => Damage::SplitUtf8,
        fault::Damage::MissingEnd => Damage::MissingEnd,
        fault::Damage::DuplicateChunk => Damage::DuplicateChunk,
        fault::Damage::SwapChunks => Damage::SwapChunks,
        fault::Damage::WrongContentType => Damage::WrongContentType,
        fault::Damage::EmptyBody => Damage::EmptyBody,
        fault::Damage::BadToolArguments => Damage::BadToolArguments,
        fault::Damage::SchemaViolation => Damage::SchemaViolation,
        fault::Damage::WrongUsage => Damage::WrongUsage,
    }
}

fn position(given: fault::Position) -> Result<Position, BadAnswer> {
    Ok(match given {
        fault::Position::Start => Position::Start,
        fault::Position::Token(token) => Position::Token(token),
        // Not a number is in no range, so it is refused here too.
        fault::Position::Share(share) if !(0.0..=1.0).contains(&share) => {
            return bad("position.share", share, "it must be 0 to 1");
        }
        fault::Position::Share(share) => Position::Share(share),
        fault::Position::AfterMs(ms) => Position::AfterMs(wait_ms("position.after-ms", ms)?),
    })
}

/// Judges a latency model's schedule.
#[inline]
pub(super) fn schedule(given: latency::Schedule) -> Result<Schedule, BadAnswer> {
    // Most schedules have no pauses, and an empty list needs none of what follows.
    let pauses = if given.pauses.is_empty() { Vec::new() } else { pauses(given.pauses)? };
    Ok(Schedule { first: delay("first", given.first)?, between: delay("between", given.between)?, pauses, rules: None })
}

fn pauses(given: Vec<latency::Pause>) -> Result<Vec<Pause>, BadAnswer> {
    if given.len() > limits::PLUGIN_ITEMS_MAX {
        return bad("pauses", format!("{} long", given.len()), format!("{} is the most", limits::PLUGIN_ITEMS_MAX));
    }
    if given.iter().any(|pause| pause.after_token == 0) {
        return bad("pauses.after-token", 0, "tokens are counted from 1");
    }
    for pause in &given {
        wait_us("pauses.us", pause.us)?;
    }
    let mut pauses: Vec<Pause> = given.into_iter().map(|pause| Pause { after_token: pause.after_token, us: pause.us }).collect();
    pauses.sort_by_key(|pause| pause.after_token);
    Ok(pauses)
}

#[inline]
fn delay(field: &'static str, given: latency::Delay) -> Result<Delay, BadAnswer> {
    Ok(match given {
        latency::Delay::Us(us) => Delay::Us(wait_us(field, us)?),
        latency::Delay::Uniform(range) => {
            if range.min_us > range.max_us {
                return bad(field, format!("uniform from {} to {} us", range.min_us, range.max_us), "the least comes first");
            }
            Delay::Uniform(range.min_us, wait_us(field, range.max_us)?)
        }
        latency::Delay::LogNormal(law) => {
            if law.p99_us < law.p50_us {
                return bad(
                    field,
                    format!("log-normal with p50 {} and p99 {} us", law.p50_us, law.p99_us),
                    "p99 is at least p50",
                );
            }
            let (p99_us, cap_us) = (wait_us(field, law.p99_us)?, wait_us(field, law.cap_us)?);
            Delay::LogNormal(LogNormal { p50_us: law.p50_us, p99_us, cap_us })
        }
        latency::Delay::EachUs(list) if list.is_empty() => {
            return bad(field, "an empty list", "the last duration repeats, so one is needed");
        }
        latency::Delay::EachUs(list) => {
            // One pass finds the longest; only that one can be wrong.
            wait_us(field, list.iter().copied().max().unwrap_or(0))?;
            Delay::Each(list.into())
        }
        latency::Delay::Other(value) => Delay::Other(named(value)?),
    })
}

/// Judges a responder's answers to a request for `choices`.
pub(super) fn answers(given: Vec<responder::Answer>, choices: u32) -> Result<Vec<Answer>, BadAnswer> {
    if given.is_empty() {
        return bad("answers", "an empty list", "there must be one at least; the last one repeats");
    }
    if given.len() > choices as usize {
        return bad("answers", format!("{} long", given.len()), format!("the request asks for {choices}"));
    }
    given.into_iter().map(answer).collect()
}

fn answer(given: responder::Answer) -> Result<Answer, BadAnswer> {
    if given.items.len() > limits::PLUGIN_ITEMS_MAX {
        return bad("items", format!("{} long", given.items.len()), format!("{} is the most", limits::PLUGIN_ITEMS_MAX));
    }
    let finish = match given.finish {
        responder::Finish::Stop => Finish::Stop,
        responder::Finish::Length => Finish::Length,
        responder::Finish::ToolCalls => Finish::ToolCalls,
        responder::Finish::ContentFilter => Finish::ContentFilter,
    };
    let items = given.items.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok(Answer { items, finish })
}

fn item(given: responder::Item) -> Result<Item, BadAnswer> {
    Ok(match given {
        responder::Item::Generate(order) => Item::Generate(generate("generate", order)?),
        responder::Item::Think(order) => Item::Think(generate("think", order)?),
        responder::Item::Text(text) => Item::Text(text),
        responder::Item::Reasoning(text) => Item::Reasoning(text),
        responder::Item::ToolCall(call) => {
            let name = clean("tool-call.name", call.name, limits::PLUGIN_NAME_BYTES)?;
            if name.is_empty() {
                return bad("tool-call.name", "empty", "a call names its tool");
            }
            // Arguments may be broken JSON on purpose.
            Item::ToolCall { name, arguments: call.arguments_json }
        }
        responder::Item::Structured => Item::Structured,
        responder::Item::Refusal(text) => Item::Refusal(text),
        responder::Item::Other(value) => Item::Other(named(value)?),
    })
}

fn generate(field: &'static str, given: responder::Generate) -> Result<Generate, BadAnswer> {
    if given.tokens > limits::OUTPUT_TOKENS_MAX {
        return bad(field, format!("{} tokens", given.tokens), format!("{} is the most", limits::OUTPUT_TOKENS_MAX));
    }
    Ok(Generate { tokens: given.tokens, style: clean("style", given.style, limits::PLUGIN_NAME_BYTES)? })
}

/// Judges a balancer's choice between `backends`.
#[inline]
pub(super) fn choice(given: balancer::Choice, backends: &[Sight]) -> Result<Choice, BadAnswer> {
    Ok(match given {
        balancer::Choice::Backend(place) => match backends.get(place as usize) {
            Some(backend) if backend.open => Choice::Backend(place),
            Some(_) => return bad("backend", place, "that one is not open"),
            None => return bad("backend", place, format!("there are {} of them, counted from 0", backends.len())),
        },
        balancer::Choice::Any => Choice::Any,
        balancer::Choice::Refuse(away) => match away.retry_after_ms {
            Some(ms) if ms > limits::RETRY_AFTER_MS_MAX => {
                return bad("refuse.retry-after-ms", ms, format!("a day ({}) is the most", limits::RETRY_AFTER_MS_MAX));
            }
            ms => Choice::Refuse(u64::from(ms.unwrap_or(0)) * 1_000_000),
        },
        balancer::Choice::Other(value) => return unknown(named(value)?),
    })
}

/// Judges what an autoscaler wishes for a group, and why it does.
pub(super) fn decision(given: scaling::Decision, settings: &autoscaler::Settings) -> Result<(Wish, String), BadAnswer> {
    let reason = clean("reason", given.reason, limits::PLUGIN_MESSAGE_BYTES)?;
    let wish = match given.wish {
        scaling::Wish::Keep => Wish::Keep,
        scaling::Wish::Replicas(wish) if !(settings.least..=settings.most).contains(&wish) => {
            return bad("replicas", wish, format!("the scenario allows {} to {}", settings.least, settings.most));
        }
        scaling::Wish::Replicas(wish) => Wish::Replicas(wish),
        scaling::Wish::Other(value) => return unknown(named(value)?),
    };
    Ok((wish, reason))
}

/// A kind that this release has no case for.
fn unknown<T>(value: Named) -> Result<T, BadAnswer> {
    bad("other.kind", format!("`{}`", value.kind), "this release knows no such kind")
}

fn named(given: types::Named) -> Result<Named, BadAnswer> {
    if given.kind.is_empty() {
        return bad("other.kind", "empty", "the host finds the case by its kind");
    }
    if given.json.len() > limits::STATE_VALUE_BYTES {
        return bad("other.json", format!("{} bytes", given.json.len()), format!("{} is the most", limits::STATE_VALUE_BYTES));
    }
    Ok(Named { kind: clean("other.kind", given.kind, limits::PLUGIN_NAME_BYTES)?, json: given.json })
}

/// A text of at most `bytes_max` without control characters.
fn clean(field: &'static str, text: String, bytes_max: usize) -> Result<String, BadAnswer> {
    if text.len() > bytes_max {
        return bad(field, format!("{} bytes", text.len()), format!("{bytes_max} is the most"));
    }
    if text.chars().any(char::is_control) {
        let shown: String = text.chars().take(60).flat_map(char::escape_default).collect();
        return bad(field, format!("\"{shown}\""), "it must not hold control characters such as line ends");
    }
    Ok(text)
}

fn wait_us(field: &'static str, us: u32) -> Result<u32, BadAnswer> {
    if u64::from(us) > limits::DELAY_US_MAX {
        return bad(field, format!("{us} us"), format!("an hour ({}) is the most", limits::DELAY_US_MAX));
    }
    Ok(us)
}

fn wait_ms(field: &'static str, ms: u32) -> Result<u32, BadAnswer> {
    let most = limits::DELAY_US_MAX / 1_000;
    if u64::from(ms) > most {
        return bad(field, format!("{ms} ms"), format!("an hour ({most}) is the most"));
    }
    Ok(ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_delay() -> impl Strategy<Value = latency::Delay> {
        prop_oneof![
            any::<u32>().prop_map(latency::Delay::Us),
            any::<[u32; 2]>().prop_map(|[min_us, max_us]| latency::Delay::Uniform(latency::Uniform { min_us, max_us })),
            any::<[u32; 3]>().prop_map(|[p50_us, p99_us, cap_us]| latency::Delay::LogNormal(latency::LogNormal {
                p50_us,
                p99_us,
                cap_us
            })),
            prop::collection::vec(any::<u32>(), 0..4).prop_map(latency::Delay::EachUs),
        ]
    }

    fn longest_us(delay: &Delay) -> u32 {
        match delay {
            Delay::Us(us) | Delay::Uniform(_, us) => *us,
            Delay::LogNormal(law) => law.p99_us.max(law.cap_us),
            Delay::Each(list) => list.iter().copied().max().unwrap_or(u32::MAX),
            Delay::Law(_) | Delay::Other(_) => 0,
        }
    }

    #[test]
    fn a_finish_comes_as_another_kind_with_its_reason_and_place() {
        let judged = |json: &str| {
            let value = types::Named { kind: "finish".to_owned(), json: json.to_owned() };
            verdict(fault::Verdict::Other(value)).map_err(|error| error.to_string())
        };
        let half = Position::Share(0.5);
        assert_eq!(judged(r#"{"reason":"length","at":"50%"}"#), Ok(Verdict::Finish(EarlyFinish::Length, half)));
        assert_eq!(judged(r#"{"reason":"content-filter","at":"50%"}"#), Ok(Verdict::Finish(EarlyFinish::ContentFilter, half)));
        let refusal = Verdict::Finish(EarlyFinish::Refusal("no".to_owned()), Position::Start);
        assert_eq!(judged(r#"{"reason":"refusal","at":"start","message":"no"}"#), Ok(refusal));
        for (json, words) in [
            ("{", "no JSON"),
            (r#"{"at":"50%"}"#, "`reason` is missing"),
            (r#"{"reason":"length"}"#, "`at` is missing"),
            (r#"{"reason":"length","at":"half"}"#, "`half` is no place"),
            (r#"{"reason":"boredom","at":"50%"}"#, "`boredom`"),
            (r#"{"reason":"length","at":"50%","message":"x"}"#, "only a refusal"),
            (r#"{"reason":"refusal","at":"50%","message":"a\nb"}"#, "control characters"),
            (r#"{"reason":"length","at":"50%","extra":1}"#, "unknown field `extra`"),
        ] {
            assert!(judged(json).is_err_and(|error| error.contains(words)), "{json}: {:?}", judged(json));
        }
    }

    proptest! {
        #[test]
        fn accepted_schedules_keep_every_bound(
            first in any_delay(), between in any_delay(), pauses in prop::collection::vec(any::<(u32, u32)>(), 0..4),
        ) {
            let pauses = pauses.into_iter().map(|(after_token, us)| latency::Pause { after_token, us }).collect();
            if let Ok(schedule) = schedule(latency::Schedule { first, between, pauses }) {
                prop_assert!(u64::from(longest_us(&schedule.first)) <= limits::DELAY_US_MAX);
                prop_assert!(u64::from(longest_us(&schedule.between)) <= limits::DELAY_US_MAX);
                prop_assert!(schedule.pauses.is_sorted_by_key(|pause| pause.after_token));
                let in_bounds = |pause: &Pause| pause.after_token > 0 && u64::from(pause.us) <= limits::DELAY_US_MAX;
                prop_assert!(schedule.pauses.iter().all(in_bounds));
            }
        }

        #[test]
        fn accepted_errors_can_be_sent(
            status in any::<u16>(), retry_after_ms in any::<Option<u32>>(), message in any::<Option<String>>(),
            code in any::<Option<String>>(),
        ) {
            let given = fault::HttpError { status, retry_after_ms, message, code };
            if let Ok(Verdict::Error(error)) = verdict(fault::Verdict::Error(given)) {
                prop_assert!((400..=599).contains(&error.status));
                let texts = [error.message, error.code];
                prop_assert!(texts.iter().flatten().all(|text| !text.chars().any(char::is_control)));
            }
        }

        #[test]
        fn accepted_places_are_numbers_in_range(bits in any::<u32>()) {
            let given = fault::Position::Share(f32::from_bits(bits));
            if let Ok(Position::Share(share)) = position(given) {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }
}
