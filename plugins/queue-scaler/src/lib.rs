//! So many replicas that each has a given number of requests, down only after a calm.
//!
//! Since when fewer would be enough is kept in the host's state, under the name of the group.

use simwright_sdk::prelude::*;

options! {
    /// What one replica shall bear, and how soon it may go.
    pub struct QueueScaler {
        /// Requests that one replica shall have, waiting ones included.
        pub requests: u32 = 16, in 1..=100_000;
        /// For how long fewer replicas must have been enough.
        pub calm: Duration = Duration::from_secs(60), in Duration::ZERO..=Duration::from_secs(86_400);
        /// The time to the first token at which one more is wished; none for no such time.
        pub first_token: Duration = Duration::ZERO, in Duration::ZERO..=Duration::from_secs(3_600);
    }
}

impl Autoscaler for QueueScaler {
    fn decide(&self, group: &Group) -> Decision {
        let enough = (group.requests() as f64 / f64::from(self.requests)).ceil();
        let is_late = !self.first_token.is_zero() && us(group.first_token_max_us.into()) > self.first_token;
        let enough = if is_late { enough.max(f64::from(group.wanted) + 1.0) } else { enough };
        if enough >= f64::from(group.wanted) {
            // Whatever calm there was is over.
            state::set(&group.station, &[]);
            let why = if is_late { "the first token is late" } else { "requests" };
            return group.wish(enough).because(format!("{why}: {} are here", group.requests()));
        }
        let since = calm_since(&group.station).unwrap_or_else(|| {
            state::set(&group.station, &group.now_ns.to_le_bytes());
            group.now_ns
        });
        if group.now_ns.saturating_sub(since) < self.calm.as_nanos() as u64 {
            return Decision::keep();
        }
        group.wish(enough).because(format!("{enough} have been enough for a while"))
    }
}

fn calm_since(station: &str) -> Option<u64> {
    state::get(station)?.try_into().ok().map(u64::from_le_bytes)
}

export!(QueueScaler: autoscaler);

#[cfg(test)]
mod tests {
    use simwright_sdk::testing::{self, FakeHost};

    use super::*;

    const OPTIONS: &str = r#"{"requests": 10, "calm": "30s", "first-token": "2s"}"#;

    fn wish(now_s: u64, requests: u32, first_token: Duration) -> Wish {
        let plugin: QueueScaler = testing::plugin(OPTIONS).unwrap();
        let group = testing::group().now(Duration::from_secs(now_s)).replicas(3, 0).load(requests, 0);
        plugin.decide(&group.first_token(first_token, first_token).build()).wish
    }

    #[test]
    fn more_come_at_once_and_fewer_after_a_calm() {
        let _host = FakeHost::new();
        assert_eq!(wish(15, 41, ms(5)), Wish::Replicas(5));
        assert_eq!(wish(30, 11, ms(5)), Wish::Keep);
        assert_eq!(wish(45, 11, ms(5)), Wish::Keep);
        assert_eq!(wish(60, 11, ms(5)), Wish::Replicas(2));
    }

    #[test]
    fn a_rush_ends_the_calm() {
        let _host = FakeHost::new();
        assert_eq!(wish(30, 11, ms(5)), Wish::Keep);
        assert_eq!(wish(45, 30, ms(5)), Wish::Replicas(3));
        assert_eq!(wish(60, 11, ms(5)), Wish::Keep);
        assert_eq!(wish(90, 11, ms(5)), Wish::Replicas(2));
    }

    #[test]
    fn a_late_first_token_asks_for_one_more() {
        let _host = FakeHost::new();
        assert_eq!(wish(15, 5, Duration::from_secs(3)), Wish::Replicas(4));
    }
}
