//! One plugin with two kinds of behaviour that share their options: some requests fail, and the others are slow.

use simwright_sdk::prelude::*;

options! {
    /// How flaky, how slow.
    struct Flaky {
        /// The share of requests that get 503.
        rate: Share = Share::percent(5.0);
        /// Time to the first token of the others.
        first: Duration = ms(800);
    }
}

impl Fault for Flaky {
    fn decide(&self, call: &Call) -> Verdict {
        if call.key().named("rate").chance(self.rate.get()) { Verdict::http(503) } else { Verdict::Pass }
    }
}

impl Latency for Flaky {
    fn plan(&self, _call: &Call, _output_tokens: u32) -> Schedule {
        Schedule::new(Delay::log_normal(self.first, 3 * self.first), ms(25))
    }
}

export!(Flaky: fault, latency);
