//! One plugin that is a whole service: it counts its callers in the host's state, greets them, and gets tired.

use simwright_sdk::prelude::*;

options! {
    /// When it gets tired.
    struct Clerk {
        /// Requests that it takes before it closes.
        patience: u32 = 1_000;
    }
}

impl Fault for Clerk {
    fn decide(&self, _call: &Call) -> Verdict {
        let served = state::add("served", 1);
        if served <= i64::from(self.patience) {
            return Verdict::Pass;
        }
        log::info!("closed after {} requests", self.patience);
        Verdict::overloaded(Duration::from_secs(60))
    }
}

impl Responder for Clerk {
    fn answer(&self, call: &Call) -> Answer {
        Answer::text(format!("You said: {}", call.last_user_text())).and(Item::generate(20, ""))
    }
}

impl Latency for Clerk {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        // Slower by a fifth for each request that is already running.
        Schedule::new(Delay::from(ms(200)).times(1.0 + 0.2 * f64::from(call.running)), ms(20))
    }
}

export!(Clerk: fault, responder, latency);
