//! Punishes retry storms: a request that is retried too often gets 429, too many retries of everybody together get 503, and the
//! waits that are asked for grow as long as the storm does.
//!
//! Counts live in the host's state, because every worker has an instance of its own and a reload makes new ones. First attempts
//! cost nothing: they are answered without a look at the state.

use simwright_sdk::prelude::*;

options! {
    /// What is tolerated and what is asked for.
    pub struct Options {
        /// Retries of one request that are tolerated.
        pub per_request: u32 = 3, in 0..=1_000;
        /// Retries of all requests together that are tolerated in one window.
        pub per_window: u32 = 100, in 0..=1_000_000_000;
        /// The window, and how long a request's retries are remembered after the last one.
        pub window: Duration = Duration::from_secs(10), in ms(100)..=Duration::from_secs(3_600);
        /// The first wait that is asked for; it doubles with each further retry of the same request.
        pub wait: Duration = Duration::from_secs(1), in ms(1)..=Duration::from_secs(3_600);
        /// The longest wait that is asked for.
        pub longest_wait: Duration = Duration::from_secs(60), in ms(1)..=Duration::from_secs(3_600);
    }
}

impl Fault for Options {
    fn decide(&self, call: &Call) -> Verdict {
        if call.is_retry() { self.judge(call) } else { Verdict::Pass }
    }
}

impl Options {
    fn judge(&self, call: &Call) -> Verdict {
        let own = state::add_for(&format!("request/{:016x}", call.identity), 1, self.window);
        // Windows are numbered, because a counter's lifetime begins anew with each retry and would never end in a storm.
        let number = call.now_ns / u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        let all = state::add_for(&format!("window/{number}"), 1, 2 * self.window);
        let too_many_own = own - i64::from(self.per_request);
        let too_many_all = all - i64::from(self.per_window);
        if too_many_own > 0 {
            log::count("refused_request", 1);
            return Verdict::rate_limited(self.wait_after(too_many_own));
        }
        if too_many_all > 0 {
            if too_many_all == 1 {
                log::warn!("retry storm: more than {} retries in one window", self.per_window);
            }
            log::count("refused_window", 1);
            // Doubled each time that the storm is as large again as what is tolerated.
            return Verdict::overloaded(self.wait_after(1 + too_many_all / i64::from(self.per_window.max(1))));
        }
        Verdict::Pass
    }

    /// The wait after so many retries too many, from 1.
    fn wait_after(&self, too_many: i64) -> Duration {
        let doublings = u32::try_from(too_many - 1).unwrap_or(0).min(31);
        self.wait.saturating_mul(1 << doublings).min(self.longest_wait)
    }
}

export!(Options: fault);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    fn retry(plugin: &Options, identity: u64, attempt: u32) -> Verdict {
        plugin.decide(&testing::call().identity(identity).attempt(attempt).build())
    }

    #[test]
    fn first_attempts_pass_without_a_look_at_the_state() {
        let host = FakeHost::new();
        let plugin: Options = testing::plugin(r#"{"per-request": 0, "per-window": 0}"#).unwrap();
        assert_eq!(retry(&plugin, 7, 0), Verdict::Pass);
        assert_eq!(host.questions(), 0);
    }

    #[test]
    fn one_request_may_be_retried_so_often_and_then_waits_double() {
        let host = FakeHost::new();
        let plugin: Options = testing::plugin(r#"{"per-request": 2, "wait": "1s", "longest-wait": "3s"}"#).unwrap();
        let verdicts: Vec<_> = (1..=5).map(|attempt| retry(&plugin, 7, attempt)).collect();
        let refused = |seconds| Verdict::rate_limited(Duration::from_secs(seconds));
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, refused(1), refused(2), refused(3)]);
        assert_eq!(retry(&plugin, 8, 1), Verdict::Pass);
        assert_eq!(host.counter("refused_request"), 3);
    }

    #[test]
    fn a_request_that_waits_is_forgiven() {
        let host = FakeHost::new();
        let plugin: Options = testing::plugin(r#"{"per-request": 1, "window": "10s"}"#).unwrap();
        assert_eq!(retry(&plugin, 7, 1), Verdict::Pass);
        assert_ne!(retry(&plugin, 7, 2), Verdict::Pass);
        host.advance(Duration::from_secs(10));
        assert_eq!(retry(&plugin, 7, 3), Verdict::Pass);
    }

    #[test]
    fn many_retries_in_one_window_are_a_storm_whoever_they_come_from() {
        let host = FakeHost::new();
        let plugin: Options = testing::plugin(r#"{"per-window": 2, "window": "10s"}"#).unwrap();
        let verdicts: Vec<_> = (0..6).map(|identity| retry(&plugin, identity, 1)).collect();
        let refused = |seconds| Verdict::overloaded(Duration::from_secs(seconds));
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, refused(1), refused(2), refused(2), refused(4)]);
        let next_window = testing::call().identity(9).attempt(1).now(Duration::from_secs(10)).build();
        assert_eq!(plugin.decide(&next_window), Verdict::Pass);
        assert_eq!(host.logs().len(), 1);
    }
}
