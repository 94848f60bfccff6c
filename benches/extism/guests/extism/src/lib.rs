//! The decisions of `guests/simwright` as people write them for Extism: functions of their own over JSON, and the same over bytes. Its
//! options are constants, which is kind: a plugin that asks Extism for its configuration pays a call of the host for each.
#![allow(missing_docs, reason = "what is exported is called by name; `words.rs` says what is said")]

use extism_pdk::{Error, FnResult, Json, plugin_fn};
use random::Key;
use words::{Answer, Ask, Delay, Finish, Generate, HttpError, Item, Schedule, Verdict};

/// The same draws as in Simwright's SDK.
#[path = "../../../../../guest-sdk/src/random.rs"]
#[allow(dead_code, reason = "the SDK's file has more than these plugins draw")]
mod random;
#[path = "../../../src/words.rs"]
#[allow(dead_code, reason = "half of it is the host's")]
mod words;

const REFUSE: f64 = 0.05;
const WAIT_MS: u32 = 1_000;
const GREETING: &str = "Hello!";
const TOKENS: u32 = 60;
const FIRST_US: u32 = 300_000;
const BETWEEN_US: u32 = 20_000;
const SLOW: f64 = 0.1;
/// The bit of a repeated attempt among the traits.
const RETRY: u32 = 1 << 3;

fn is_refused(ask: &Ask) -> bool {
    let is_retry = ask.attempt > 0 || ask.traits & RETRY != 0;
    !is_retry && Key::of_seed(ask.seed).named("refuse").chance(REFUSE)
}

fn length(ask: &Ask) -> u32 {
    1 + Key::of_seed(ask.seed).named("length").rng().below(TOKENS)
}

fn first_us(ask: &Ask) -> u32 {
    if Key::of_seed(ask.seed).named("slow").chance(SLOW) { FIRST_US * 5 } else { FIRST_US }
}

#[plugin_fn]
pub fn decide(Json(ask): Json<Ask>) -> FnResult<Json<Verdict>> {
    let error = HttpError { status: 429, retry_after_ms: Some(WAIT_MS), message: None, code: None };
    Ok(Json(if is_refused(&ask) { Verdict::Error(error) } else { Verdict::Pass }))
}

#[plugin_fn]
pub fn respond(Json(ask): Json<Ask>) -> FnResult<Json<Vec<Answer>>> {
    let generate = Generate { tokens: length(&ask), style: String::new() };
    let items = vec![Item::Text(GREETING.to_owned()), Item::Generate(generate)];
    Ok(Json(vec![Answer { items, finish: Finish::Stop }]))
}

#[plugin_fn]
pub fn plan(Json(ask): Json<Ask>) -> FnResult<Json<Schedule>> {
    Ok(Json(Schedule { first: Delay::Us(first_us(&ask)), between: Delay::Us(BETWEEN_US), pauses: Vec::new() }))
}

#[plugin_fn]
pub fn decide_bytes(ask: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(if is_refused(&of(&ask)?) { WAIT_MS.to_le_bytes().to_vec() } else { Vec::new() })
}

#[plugin_fn]
pub fn respond_bytes(ask: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok([&length(&of(&ask)?).to_le_bytes(), GREETING.as_bytes()].concat())
}

#[plugin_fn]
pub fn plan_bytes(ask: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok([first_us(&of(&ask)?).to_le_bytes(), BETWEEN_US.to_le_bytes()].concat())
}

/// What a call costs that says and asks nothing.
#[plugin_fn]
pub fn nothing() -> FnResult<()> {
    Ok(())
}

fn of(bytes: &[u8]) -> Result<Ask, Error> {
    Ask::of_bytes(bytes).ok_or_else(|| Error::msg("not the bytes of an ask"))
}
