//! {{summary}}
//!
//! The host asks once a request, never once a token: a plugin decides, the host acts. Nothing here may look at a clock or draw from
//! anything but the call, so that the same seed gives the same run in real and in virtual time.

use simwright_sdk::prelude::*;

options! {
    /// What a scenario may set. Each has a default, bounds where they are wanted, and a sentence that editors show.
    pub struct {{Type}} {
%% if fault
        /// The share of first attempts that are refused.
        pub refuse: Share = Share::percent(5.0);
        /// How long refused clients are asked to wait.
        pub wait: Duration = Duration::from_secs(1), in ms(1)..=Duration::from_secs(3_600);
%% end
%% if responder
        /// What every answer begins with.
        pub greeting: String = "Hello!".to_owned();
        /// The most tokens that follow.
        pub tokens: u32 = 60, in 1..=4_000;
%% end
%% if latency
        /// Time to the first token.
        pub first: Duration = ms(300), in ms(0)..=Duration::from_secs(60);
        /// Time from each token to the next.
        pub between: Duration = ms(20), in ms(0)..=Duration::from_secs(10);
        /// The share of the requests that wait five times as long for their first token.
        pub slow: Share = Share::percent(10.0);
%% end
%% if balancer
        /// Requests that a backend may have before another one is chosen.
        pub enough: u32 = 8, in 1..=10_000;
%% end
%% if autoscaler
        /// Requests, running and waiting, that one replica is good for.
        pub per_replica: u32 = 8, in 1..=10_000;
%% end
    }
}
%% if fault

impl Fault for {{Type}} {
    fn decide(&self, call: &Call) -> Verdict {
        // Who comes again is answered. A draw by name depends on the call and on its name: adding another one shifts nothing.
        if !call.is_retry() && call.key().named("refuse").chance(self.refuse.get()) {
            return Verdict::rate_limited(self.wait);
        }
        Verdict::Pass
    }
}
%% end
%% if responder

impl Responder for {{Type}} {
    fn answer(&self, call: &Call) -> Answer {
        let more = 1 + call.key().named("length").rng().below(self.tokens);
        // Text of our own, and as many tokens as were drawn, written by the host.
        Answer::text(self.greeting.clone()).and(Item::generate(more, ""))
    }
}
%% end
%% if latency

impl Latency for {{Type}} {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        // A draw by name depends on the call and on its name: adding another one shifts nothing.
        let slow = call.key().named("slow").chance(self.slow.get());
        let first = if slow { self.first * 5 } else { self.first };
        Schedule::steady(first, self.between)
    }
}
%% end
%% if balancer

impl Balancer for {{Type}} {
    fn pick(&self, ask: &Ask, backends: &[Backend]) -> Choice {
        // Prompts that begin alike go together, as long as those backends are not much busier than the others.
        let home = (ask.prefix % backends.len().max(1) as u64) as usize;
        let cost = |backend: &Backend| backend.busy() as f64 / f64::from(backend.weight.max(1));
        match backends.get(home) {
            Some(backend) if backend.open && backend.busy() < u64::from(self.enough) => Choice::Backend(home as u32),
            _ => Choice::cheapest(backends, cost),
        }
    }
}
%% end
%% if autoscaler

impl Autoscaler for {{Type}} {
    fn decide(&self, group: &Group) -> Decision {
        let needed = group.requests().div_ceil(u64::from(self.per_replica));
        group.wish(needed as f64).because(format!("{} requests", group.requests()))
    }
}
%% end

export!({{Type}}: {{kind_words}});

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing;
%% if fault

    #[test]
    fn a_first_attempt_may_be_refused_and_a_retry_is_answered() {
        let plugin: {{Type}} = testing::plugin(r#"{"refuse": "100%", "wait": "2s"}"#).unwrap();
        assert_eq!(plugin.decide(&testing::call().build()), Verdict::rate_limited(Duration::from_secs(2)));
        assert_eq!(plugin.decide(&testing::call().attempt(1).build()), Verdict::Pass);
    }
%% end
%% if responder

    #[test]
    fn an_answer_begins_with_the_greeting() {
        let plugin: {{Type}} = testing::plugin(r#"{"greeting": "Good evening.", "tokens": 1}"#).unwrap();
        let expected = Answer::text("Good evening.").and(Item::generate(1, ""));
        assert_eq!(plugin.answer(&testing::call().build()), expected);
    }
%% end
%% if latency

    #[test]
    fn a_slow_request_waits_five_times_as_long_for_its_first_token() {
        let at = |options| testing::plugin::<{{Type}}>(options).unwrap().plan(&testing::call().build(), 10);
        assert_eq!(at(r#"{"first": "100ms", "slow": "0%"}"#), Schedule::steady(ms(100), ms(20)));
        assert_eq!(at(r#"{"first": "100ms", "slow": "100%"}"#), Schedule::steady(ms(500), ms(20)));
    }
%% end
%% if balancer

    #[test]
    fn prompts_that_begin_alike_go_together_until_there_are_enough() {
        let plugin: {{Type}} = testing::plugin(r#"{"enough": 2}"#).unwrap();
        let backends = |busy| [testing::backend().load(busy, 0).build(), testing::backend().build()];
        assert_eq!(plugin.pick(&testing::ask().prompt(0, 10).build(), &backends(1)), Choice::Backend(0));
        assert_eq!(plugin.pick(&testing::ask().prompt(0, 10).build(), &backends(2)), Choice::Backend(1));
    }
%% end
%% if autoscaler

    #[test]
    fn there_is_a_replica_for_every_eight_requests() {
        let plugin: {{Type}} = testing::plugin("{}").unwrap();
        let group = testing::group().load(17, 0).build();
        assert_eq!(plugin.decide(&group).wish, group.wish(3.0).wish);
    }
%% end

    #[test]
    fn a_mistake_in_the_options_is_told_with_its_place() {
        let problems = testing::plugin::<{{Type}}>(r#"{"no-such-option": 1}"#).unwrap_err();
        assert_eq!(problems[0].path, "/no-such-option");
    }
}
