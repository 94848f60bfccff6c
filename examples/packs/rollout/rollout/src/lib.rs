//! A new version of a model reaches its callers: a few at first, all in the end. It says more, and takes longer for each token.
//!
//! Whoever has got the new version keeps it, because the caller's place in the queue is drawn from its identity and not from the request's
//! draws. The responder and the latency model agree about a request for the same reason, if their options are the same.

use simwright_sdk::prelude::*;

options! {
    /// When the new version comes, to whom, and what it is like.
    pub struct Rollout {
        /// When the first callers get it, since the run began.
        pub at: Duration = Duration::from_secs(600), in Duration::ZERO..=Duration::from_secs(31_536_000);
        /// How long it takes until all who shall have it do.
        pub over: Duration = Duration::from_secs(3_600), in Duration::ZERO..=Duration::from_secs(31_536_000);
        /// The share of the callers that gets it in the end.
        pub most: Share = Share::percent(100.0);
        /// Tokens of a reply of the old version.
        pub tokens: u32 = 150, in 1..=100_000;
        /// How many times as long replies of the new version are.
        pub longer: f64 = 1.4, in 0.1..=10.0;
        /// Time to the first token of the old version.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(60);
        /// Time between tokens of the old version.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(10);
        /// How many times as long the new version takes for a token.
        pub slower: f64 = 1.3, in 0.1..=10.0;
    }
}

impl Responder for Rollout {
    fn answer(&self, call: &Call) -> Answer {
        if self.is_new(call) {
            let tokens = (f64::from(self.tokens) * self.longer).round() as u32;
            return Answer::styled(tokens.max(1), "markdown");
        }
        Answer::generate(self.tokens)
    }
}

impl Latency for Rollout {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        let factor = if self.is_new(call) { self.slower } else { 1.0 };
        let [first, between] = [self.first, self.between].map(|time| Delay::from(time).times(factor));
        Schedule::new(first, between)
    }
}

impl Rollout {
    /// Does the caller have the new version?
    fn is_new(&self, call: &Call) -> bool {
        let Some(since) = call.now().checked_sub(self.at) else { return false };
        let done = if since >= self.over { 1.0 } else { since.as_secs_f64() / self.over.as_secs_f64() };
        Key::of_seed(call.identity).named("place").chance(done * self.most.get())
    }
}

export!(Rollout: responder, latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing;

    const OPTIONS: &str = r#"{"at": "100s", "over": "100s", "most": "50%", "tokens": 100, "first": "100ms", "between": "10ms"}"#;

    fn at(second: u64, identity: u64) -> (Answer, Schedule) {
        let plugin: Rollout = testing::plugin(OPTIONS).unwrap();
        let call = testing::call().identity(identity).now(Duration::from_secs(second)).build();
        (plugin.answer(&call), plugin.plan(&call, 100))
    }

    #[test]
    fn half_of_the_callers_have_it_in_the_end_and_nobody_before_it_comes() {
        let new = |second| (0..2_000).filter(|identity| at(second, *identity).0 == Answer::styled(140, "markdown")).count();
        assert_eq!(new(99), 0);
        assert!((430..570).contains(&new(150)), "{}", new(150));
        assert!((930..1_070).contains(&new(200)), "{}", new(200));
    }

    #[test]
    fn whoever_has_it_keeps_it_and_waits_longer_for_it() {
        for identity in 0..200 {
            let (before, (answer, schedule)) = (at(150, identity).0, at(200, identity));
            let is_new = answer == Answer::styled(140, "markdown");
            assert!(is_new || before == Answer::generate(100));
            assert_eq!(schedule, if is_new { Schedule::steady(ms(130), ms(13)) } else { Schedule::steady(ms(100), ms(10)) });
        }
    }
}
