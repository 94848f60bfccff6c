//! A budget of tokens a day that runs out, around noon if traffic is what it was sized for, and 429 from then on until it begins anew.
//!
//! The budget is charged when a request comes, with its prompt and what a reply usually takes, as vendors reserve it. What does not fit any
//! more is refused and not charged, so a small request may still pass when a large one does not. The day hangs on the clock and not on the
//! start of the run.

use simwright_sdk::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);

options! {
    /// How much there is, for whom and until when.
    pub struct Options {
        /// Tokens of prompts and replies in one period.
        pub budget: u64 = 2_000_000, in 1..=1_000_000_000_000_000;
        /// How long a budget has to last.
        pub period: Duration = DAY, in Duration::from_secs(1)..=DAY;
        /// How far into the period, counted from midnight UTC, the budget begins anew.
        pub reset: Duration = Duration::ZERO, in Duration::ZERO..=DAY;
        /// The header whose values have a budget each; none is one budget for everybody.
        pub header: String = String::new();
        /// Tokens that are charged for a reply, at most what the request allows: how long it will be, nobody knows yet.
        pub reply: u32 = 300, in 0..=1_000_000;
    }
}

/// The options with everything worked out that does not depend on a call.
#[derive(Debug)]
pub struct TokenExhaustion {
    options: Options,
    period_ns: u64,
    /// From the beginning of a period to that of the run.
    offset_ns: u64,
}

impl Plugin for TokenExhaustion {
    type Options = Options;

    fn configure(options: Options, setting: &Setting) -> Result<Self, Vec<Problem>> {
        if options.reset > options.period {
            let problem = Problem::at("/reset", "`reset` lies beyond `period`");
            return Err(vec![problem.hint("count it from the beginning of a period")]);
        }
        let period_ns = options.period.as_nanos();
        let offset_ns = (setting.clock().epoch().as_nanos() + period_ns - options.reset.as_nanos()) % period_ns;
        Ok(Self { options, period_ns: period_ns as u64, offset_ns: offset_ns as u64 })
    }
}

impl Fault for TokenExhaustion {
    fn decide(&self, call: &Call) -> Verdict {
        let asked = u64::from(call.input_tokens) + u64::from(self.options.reply.min(call.max_output_tokens));
        let since_ns = self.offset_ns + call.now_ns;
        let (number, left_ns) = (since_ns / self.period_ns, self.period_ns - since_ns % self.period_ns);
        let left = Duration::from_nanos(left_ns);
        let key = self.key(call, number);
        let used = state::add_for(&key, asked as i64, left) as u64;
        if used <= self.options.budget {
            return Verdict::Pass;
        }
        state::add_for(&key, -(asked as i64), left);
        log::count("refused", 1);
        self.refuse(used - asked, asked, left)
    }
}

/// Callers that have a budget of their own; of more, some share one. Whoever makes up names cannot fill the state, which holds 100,000 keys.
const CALLERS: u64 = 1 << 14;

impl TokenExhaustion {
    /// The name of the caller's budget in period `number`.
    fn key(&self, call: &Call, number: u64) -> String {
        if self.options.header.is_empty() {
            return number.to_string();
        }
        let caller = call.header(&self.options.header).unwrap_or_default();
        format!("{number}/{:x}", Key::of_seed(0).named(&caller).bits() % CALLERS)
    }

    fn refuse(&self, used: u64, asked: u64, left: Duration) -> Verdict {
        let budget = self.options.budget;
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let message = format!(
            "Token budget used up: limit {budget}, used {used}, requested {asked}. It begins anew in {}h{}m{}s.",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        );
        HttpError::new(429).retry_after(Duration::from_secs(seconds)).message(message).into()
    }
}

export!(TokenExhaustion: fault);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn ask(plugin: &TokenExhaustion, tokens: u32, now: Duration) -> Verdict {
        plugin.decide(&testing::call().tokens(tokens, 1_000).now(now).build())
    }

    fn retry_after(verdict: &Verdict) -> Option<u32> {
        match verdict {
            Verdict::Error(error) if error.status == 429 => error.retry_after_ms,
            _ => None,
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_until_the_next_day_and_not_charged() {
        let host = FakeHost::new();
        let plugin: TokenExhaustion = testing::plugin(r#"{"budget": 1000, "reply": 100}"#).unwrap();
        assert_eq!(ask(&plugin, 500, HOUR), Verdict::Pass);
        assert_eq!(retry_after(&ask(&plugin, 301, 12 * HOUR)), Some(12 * 3_600_000));
        assert_eq!(ask(&plugin, 300, 12 * HOUR), Verdict::Pass);
        assert_eq!(retry_after(&ask(&plugin, 1, 23 * HOUR + HOUR / 2)), Some(1_800_000));
        assert_eq!(ask(&plugin, 900, 24 * HOUR), Verdict::Pass);
        assert_eq!(host.counter("refused"), 2);
    }

    #[test]
    fn a_refusal_says_what_was_used_and_when_it_is_over() {
        let _host = FakeHost::new();
        let plugin: TokenExhaustion = testing::plugin(r#"{"budget": 1000}"#).unwrap();
        ask(&plugin, 600, Duration::ZERO);
        let Verdict::Error(error) = ask(&plugin, 600, ms(3_500)) else { panic!("refused") };
        let message = error.message.unwrap();
        assert!(message.contains("limit 1000, used 900, requested 900") && message.contains("in 23h59m57s"), "{message}");
    }

    #[test]
    fn the_day_begins_where_the_epoch_and_the_option_say() {
        let _host = FakeHost::new();
        let setting = testing::setting().epoch(1_767_225_600 + 6 * 3_600).build();
        let plugin: TokenExhaustion = testing::plugin_in(r#"{"budget": 1000, "reset": "9h"}"#, &setting).unwrap();
        assert_eq!(ask(&plugin, 600, Duration::ZERO), Verdict::Pass);
        // The run began at six in the morning.
        assert_eq!(retry_after(&ask(&plugin, 600, HOUR)), Some(2 * 3_600_000));
        assert_eq!(ask(&plugin, 600, 3 * HOUR), Verdict::Pass);
    }

    #[test]
    fn each_value_of_the_header_has_a_budget_of_its_own() {
        let plugin: TokenExhaustion = testing::plugin(r#"{"budget": 1000, "header": "x-team"}"#).unwrap();
        let host = FakeHost::new().header("x-team", "search");
        assert_eq!(ask(&plugin, 600, HOUR), Verdict::Pass);
        assert_ne!(ask(&plugin, 600, HOUR), Verdict::Pass);
        let _host = host.header("x-team", "ads");
        assert_eq!(ask(&plugin, 600, HOUR), Verdict::Pass);
    }

    #[test]
    fn a_request_for_little_is_charged_little() {
        let _host = FakeHost::new();
        let plugin: TokenExhaustion = testing::plugin(r#"{"budget": 1000}"#).unwrap();
        let small = testing::call().tokens(90, 10).build();
        assert_eq!((0..11).filter(|_| plugin.decide(&small) == Verdict::Pass).count(), 10);
    }

    #[test]
    fn a_reset_beyond_the_period_is_refused() {
        let problems = testing::plugin::<TokenExhaustion>(r#"{"period": "1h", "reset": "2h"}"#).unwrap_err();
        assert_eq!(problems[0].path, "/reset");
    }
}
