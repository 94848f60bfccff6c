//! What `simwright plugin new --kind full --lang rust` writes, in few words: one keyed draw and one decision a behaviour.
//! `guests/extism` decides the same.

use simwright_sdk::prelude::*;

options! {
    /// What a scenario may set.
    pub struct Decisions {
        /// The share of first attempts that are refused.
        pub refuse: Share = Share::percent(5.0);
        /// How long refused clients are asked to wait.
        pub wait: Duration = Duration::from_secs(1), in ms(1)..=Duration::from_secs(3_600);
        /// What every answer begins with.
        pub greeting: String = "Hello!".to_owned();
        /// The most tokens that follow.
        pub tokens: u32 = 60, in 1..=4_000;
        /// Time to the first token.
        pub first: Duration = ms(300), in ms(0)..=Duration::from_secs(60);
        /// Time from each token to the next.
        pub between: Duration = ms(20), in ms(0)..=Duration::from_secs(10);
        /// The share of the requests that wait five times as long for their first token.
        pub slow: Share = Share::percent(10.0);
    }
}

impl Fault for Decisions {
    fn decide(&self, call: &Call) -> Verdict {
        if !call.is_retry() && call.key().named("refuse").chance(self.refuse.get()) {
            return Verdict::rate_limited(self.wait);
        }
        Verdict::Pass
    }
}

impl Responder for Decisions {
    fn answer(&self, call: &Call) -> Answer {
        let more = 1 + call.key().named("length").rng().below(self.tokens);
        Answer::text(self.greeting.clone()).and(Item::generate(more, ""))
    }
}

impl Latency for Decisions {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        let slow = call.key().named("slow").chance(self.slow.get());
        let first = if slow { self.first * 5 } else { self.first };
        Schedule::steady(first, self.between)
    }
}

export!(Decisions: fault, responder, latency);
