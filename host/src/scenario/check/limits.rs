//! Limits of a tier or a model: `requests`, `tokens` and `concurrency`, with windows such as `600/min`.

use serde_json::Value;

use crate::scenario::RateLimits;
use crate::types::allowance::Window;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{QUOTA_CONCURRENCY_MAX, QUOTA_WINDOWS_MAX};
use crate::types::problem::{Problem, did_you_mean};

const MINUTE_NS: u64 = 60_000_000_000;
/// The words of windows; the first of each is the one that messages name.
const PERIODS: [(&[&str], u64); 4] = [
    (&["s", "sec", "second"], 1_000_000_000),
    (&["min", "m", "minute"], MINUTE_NS),
    (&["h", "hour"], 60 * MINUTE_NS),
    (&["day", "d"], 24 * 60 * MINUTE_NS),
];

/// Reads the limits that `fields` has.
pub(super) fn limits(fields: &mut Fields<'_>) -> RateLimits {
    let requests = windows(fields, "requests");
    let tokens = windows(fields, "tokens");
    let concurrency = fields.integer("concurrency", 1..=u64::from(QUOTA_CONCURRENCY_MAX)).map(|places| places as u32);
    RateLimits { requests, tokens, concurrency, refuse: true }
}

/// `rate-limits:` of a model; the older names of limits a minute are short forms.
pub(super) fn rate_limits(fields: &mut Fields<'_>) -> Option<RateLimits> {
    let value = fields.value("rate-limits")?;
    let mut section = Fields::of(value, fields.pointer("rate-limits"));
    let mut limits = limits(&mut section);
    for (name, windows, longer) in
        [("requests-per-minute", &mut limits.requests, "requests"), ("tokens-per-minute", &mut limits.tokens, "tokens")]
    {
        if let Some(limit) = section.integer(name, 1..=u64::from(u32::MAX)) {
            if windows.iter().any(|window| window.period_ns == MINUTE_NS) {
                section.problem(name, format!("`{longer}` has a limit a minute, too; leave one of them out"));
            }
            windows.push(Window::whole(limit as u32, MINUTE_NS));
        }
    }
    limits.refuse = section.flag("refuse").unwrap_or(true);
    fields.extend(section.finish());
    Some(limits)
}

fn windows(fields: &mut Fields<'_>, name: &'static str) -> Vec<Window> {
    let Some(value) = fields.value(name) else { return Vec::new() };
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let pointer = fields.pointer(name);
    if items.len() > QUOTA_WINDOWS_MAX {
        fields.problem(name, format!("these are {} windows, and there may be {QUOTA_WINDOWS_MAX}", items.len()));
    }
    let mut windows: Vec<Window> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = if value.is_array() { format!("{pointer}/{index}") } else { pointer.clone() };
        match window(item, &pointer) {
            Ok(window) if windows.iter().any(|other| other.period_ns == window.period_ns) => {
                fields.extend(vec![Problem::new(pointer, "there is another limit over this window; the smaller one is enough")]);
            }
            Ok(window) => windows.push(window),
            Err(problems) => fields.extend(problems),
        }
    }
    windows.truncate(QUOTA_WINDOWS_MAX);
    windows
}

/// `600/min`, or `{ limit: 600/min, burst: 100 }`.
fn window(value: &Value, pointer: &str) -> Result<Window, Vec<Problem>> {
    match value {
        Value::String(text) => rate(text).map_err(|problem| vec![Problem { pointer: pointer.to_owned(), ..problem }]),
        Value::Object(_) => {
            let mut fields = Fields::of(value, pointer);
            fields.require("limit");
            let limit = fields.text("limit").map(rate);
            let burst = fields.integer("burst", 1..=u64::from(u32::MAX)).map(|burst| burst as u32);
            let at = fields.pointer("limit");
            let limit =
                limit.and_then(|limit| limit.map_err(|problem| fields.extend(vec![Problem { pointer: at, ..problem }])).ok());
            match (fields.finish(), limit) {
                (problems, Some(window)) if problems.is_empty() => Ok(Window { burst: burst.unwrap_or(window.burst), ..window }),
                (problems, _) => Err(problems),
            }
        }
        Value::Number(number) => {
            let problem = Problem::new(pointer, format!("`{number}` has no window"));
            Err(vec![problem.hint(format!("write for example `{number}/min`"))])
        }
        other => {
            let problem = Problem::new(pointer, format!("expected a limit, found {}", kind_of(other)));
            Err(vec![problem.hint("write for example `600/min`, or `{ limit: 600/min, burst: 100 }`")])
        }
    }
}

/// A whole number and a window, `10_000/day`. The problem has no pointer yet.
fn rate(text: &str) -> Result<Window, Problem> {
    let problem = |message: String| Problem::new("", message);
    let Some((number, period)) = text.split_once('/') else {
        return Err(problem(format!("`{text}` has no window")).hint(format!("write for example `{}/min`", text.trim())));
    };
    let (number, period) = (number.trim(), period.trim());
    let digits = number.replace('_', "");
    let limit = match digits.parse::<u32>() {
        Ok(0) => return Err(problem(format!("`{text}` allows nothing; a limit is at least 1"))),
        Ok(limit) => limit,
        Err(_) if digits.starts_with('-') => {
            return Err(problem(format!("`{text}` is less than nothing; a limit is at least 1")));
        }
        Err(_) => {
            let problem = problem(format!("`{number}` is no whole number from 1 to {}", u32::MAX));
            return Err(if digits.contains('.') {
                problem.hint("choose a longer window, such as `30/min` for half a second")
            } else {
                problem
            });
        }
    };
    match PERIODS.iter().find(|(words, _)| words.contains(&period)) {
        Some((_, period_ns)) => Ok(Window::whole(limit, *period_ns)),
        None => {
            let words = || PERIODS.iter().map(|(words, _)| words[0]);
            let all = PERIODS.iter().flat_map(|(words, _)| words.iter().copied()).filter(|word| word.len() > 2);
            let hint = match did_you_mean(period, all) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("windows are {}", words().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
            };
            Err(problem(format!("`{period}` is no window")).hint(hint))
        }
    }
}
