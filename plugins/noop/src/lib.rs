//! Adds no delay: the smallest plugin, to begin from and to measure the cost of a call.

use simwright_sdk::prelude::*;

options! {
    /// There is nothing to set.
    pub struct Noop {}
}

impl Latency for Noop {
    fn plan(&self, _call: &Call, _output_tokens: u32) -> Schedule {
        Schedule::immediate()
    }
}

export!(Noop: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing;

    #[test]
    fn every_token_leaves_at_once() {
        let noop: Noop = testing::plugin("{}").unwrap();
        assert_eq!(noop.plan(&testing::call().build(), 1_000), Schedule::immediate());
    }
}
