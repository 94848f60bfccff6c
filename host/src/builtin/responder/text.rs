//! `text`: generated text of a drawn length, a tool call where the client demands one, JSON where it asks for JSON.
//!
//! Options: `tokens`, the length: a number, `{min, max}` (uniform) or `{p50, p99}` (log-normal, the default with 120 and 900);
//! `reasoning`, the same for thinking that comes first (none if not given); `style`, see [`crate::builtin::responder::style`].
//! Lengths are drawn from the call's seed. What is longer than the client allows is asked for one token longer than that, so that
//! the planner sees that it has to cut and says `length`.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Generate, Item, Responder};
use crate::builtin::responder::style::STYLES;
use crate::random::{Key, Stream};
use crate::types::fields::Fields;
use crate::types::limits::OUTPUT_TOKENS_MAX;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::reply::Finish;
use crate::types::request::{Format, ToolChoice};

/// Makes [`Text`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "generated text, tool calls and JSON: `tokens`, `reasoning`, `style`"
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let tokens = Length::read(&mut fields, "tokens").unwrap_or(Length::log_normal(120, 900));
        let reasoning = Length::read(&mut fields, "reasoning");
        let style = fields.text("style").unwrap_or_default().to_owned();
        let is_known = style.is_empty() || STYLES.contains(&style.as_str());
        let mut problems = fields.finish();
        if !is_known {
            let hint = match did_you_mean(&style, STYLES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known styles: {}", STYLES.join(", ")),
            };
            problems.push(Problem::new("/style", format!("unknown style `{style}`")).hint(hint));
        }
        if problems.is_empty() { Ok(Arc::new(Text { tokens, reasoning, style })) } else { Err(problems) }
    }
}

/// How long a text is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Length {
    Exactly(u32),
    Uniform { min: u32, max: u32 },
    LogNormal { median: f64, sigma: f64 },
}

impl Length {
    /// Log-normal by its median and 99th percentile.
    fn log_normal(p50: u32, p99: u32) -> Self {
        // The 99 % point of the standard normal distribution.
        const Z99: f64 = 2.326_347_874_040_841;
        Self::LogNormal { median: f64::from(p50), sigma: libm::log(f64::from(p99) / f64::from(p50)) / Z99 }
    }

    /// Reads the field `name`. `None` means that it is absent or that a mistake has been noted.
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        let limit = u64::from(OUTPUT_TOKENS_MAX);
        let value = fields.value(name)?;
        if !value.is_object() {
            return fields.integer(name, 0..=limit).map(|tokens| Self::Exactly(tokens as u32));
        }
        let mut inner = Fields::of(value, fields.pointer(name));
        let is_log_normal = value.get("p50").is_some() || value.get("p99").is_some();
        let (low_name, high_name, lowest) = if is_log_normal { ("p50", "p99", 1) } else { ("min", "max", 0) };
        inner.require(low_name);
        inner.require(high_name);
        let low = inner.integer(low_name, lowest..=limit).map(|tokens| tokens as u32);
        let high = inner.integer(high_name, lowest..=limit).map(|tokens| tokens as u32);
        if let (Some(low), Some(high)) = (low, high)
            && high < low
        {
            inner.problem(high_name, format!("`{high_name}` is less than `{low_name}`; swap the two"));
        }
        let problems = inner.finish();
        let good = problems.is_empty();
        fields.extend(problems);
        match (low, high) {
            (Some(p50), Some(p99)) if good && is_log_normal => Some(Self::log_normal(p50, p99)),
            (Some(min), Some(max)) if good => Some(Self::Uniform { min, max }),
            _ => None,
        }
    }

    /// A length at `key`.
    fn draw(self, key: Key) -> u32 {
        match self {
            Self::Exactly(tokens) => tokens,
            Self::Uniform { min, max } => min + key.stream().below(max - min + 1),
            Self::LogNormal { median, sigma } => {
                let tokens = median * libm::exp(sigma * normal(&mut key.stream()));
                // An answer has at least one token, as the uniform and the exact lengths say for themselves.
                (tokens.round() as u32).clamp(1, OUTPUT_TOKENS_MAX)
            }
        }
    }
}

/// A standard normal draw (Box and Muller), by a portable mathematics library so that machines agree.
fn normal(stream: &mut Stream) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - stream.unit())).sqrt();
    radius * libm::cos(std::f64::consts::TAU * stream.unit())
}

/// Generated text.
#[derive(Debug, Clone)]
pub struct Text {
    tokens: Length,
    reasoning: Option<Length>,
    style: String,
}

impl Responder for Text {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let key = Key::of_seed(call.seed).named("text");
        Ok((0..choices).map(|choice| self.answer(call, key.with(u64::from(choice)))).collect())
    }
}

impl Text {
    fn answer(&self, call: &Call<'_>, key: Key) -> Answer {
        let over_limit = call.max_output_tokens.saturating_add(1);
        let mut items = Vec::with_capacity(2);
        if let Some(reasoning) = self.reasoning {
            let tokens = reasoning.draw(key.named("reasoning")).min(over_limit);
            if tokens > 0 {
                items.push(Item::Think(Generate { tokens, style: self.style.clone() }));
            }
        }
        let mut finish = Finish::Stop;
        if let Some(name) = demanded_tool(call, key) {
            items.push(Item::ToolCall { name: name.to_owned(), arguments: None });
            finish = Finish::ToolCalls;
        } else if matches!(call.request.format, Format::Text) {
            let tokens = self.tokens.draw(key.named("tokens")).min(over_limit);
            items.push(Item::Generate(Generate { tokens, style: self.style.clone() }));
        } else {
            items.push(Item::Structured);
        }
        Answer { items, finish }
    }
}

/// The tool that this request must call, if it must call one.
fn demanded_tool<'a>(call: &'a Call<'_>, key: Key) -> Option<&'a str> {
    match &call.request.tool_choice {
        ToolChoice::Named(name) => Some(name),
        ToolChoice::Required => {
            let tools = &call.request.tools;
            tools.get(key.named("tool").stream().below(tools.len() as u32) as usize).map(|tool| &*tool.name)
        }
        ToolChoice::Auto | ToolChoice::None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;
    use crate::types::request::{Request, Tool};

    fn answer(options: &Value, request: Request, seed: u64) -> Answer {
        let responder = Make.make(options, &Setting::default()).expect("good options");
        let request = Arc::new(request);
        responder.respond(&testing::call(&request, seed), 1).expect("answers").remove(0)
    }

    fn drawn(options: &Value, seed: u64) -> u32 {
        match answer(options, testing::request("hi"), seed).items.as_slice() {
            [Item::Generate(text)] => text.tokens,
            other => panic!("unexpected items {other:?}"),
        }
    }

    #[test]
    fn a_log_normal_length_has_the_quantiles_it_was_given() {
        let options = json!({"tokens": {"p50": 100, "p99": 400}});
        let mut lengths: Vec<u32> = (0..20_000).map(|seed| drawn(&options, seed)).collect();
        lengths.sort_unstable();
        let (p50, p99) = (lengths[10_000], lengths[19_800]);
        assert!((98..=102).contains(&p50), "p50 {p50}");
        assert!((376..=424).contains(&p99), "p99 {p99}");
    }

    #[test]
    fn a_uniform_length_reaches_both_bounds() {
        let lengths: Vec<u32> = (0..200).map(|seed| drawn(&json!({"tokens": {"min": 3, "max": 6}}), seed)).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&3), Some(&6)));
    }

    #[test]
    fn what_is_too_long_is_asked_for_one_token_over_the_limit() {
        assert_eq!(drawn(&json!({"tokens": 32}), 1), 32);
        assert_eq!(drawn(&json!({"tokens": 100_000}), 1), 4_097);
    }

    #[test]
    fn choices_differ_in_length() {
        let responder = Make.make(&Value::Null, &Setting::default()).expect("no options");
        let request = Arc::new(testing::request("hi"));
        let answers = responder.respond(&testing::call(&request, 1), 3).expect("answers");
        assert_eq!(answers.len(), 3);
        assert_ne!(answers[0], answers[1]);
    }

    #[test]
    fn a_demanded_tool_is_called() {
        let tool = |name: &str| Tool { name: name.into(), parameters: None };
        for choice in [ToolChoice::Required, ToolChoice::Named("look-up".into())] {
            let request = Request { tools: vec![tool("look-up")], tool_choice: choice, ..testing::request("hi") };
            let answer = answer(&Value::Null, request, 1);
            assert_eq!(answer.items, [Item::ToolCall { name: "look-up".to_owned(), arguments: None }]);
            assert_eq!(answer.finish, Finish::ToolCalls);
        }
        let request = Request { tools: vec![tool("look-up")], ..testing::request("hi") };
        assert!(matches!(answer(&Value::Null, request, 1).items[0], Item::Generate(_)));
    }

    #[test]
    fn json_is_answered_with_json_after_reasoning() {
        let request = Request { format: Format::JsonObject, ..testing::request("hi") };
        let answer = answer(&json!({"reasoning": 40}), request, 1);
        let thought = Generate { tokens: 40, style: String::new() };
        assert_eq!(answer.items, [Item::Think(thought), Item::Structured]);
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({"tokens": {"min": 5, "max": 2}, "reasoning": "much", "style": "pros"});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/tokens/max", "/reasoning", "/style"]);
        assert_eq!(problems[2].hint.as_deref(), Some("did you mean `prose`?"));
    }
}
