//! Tenants that share a service: while others have many requests running, yours are slow, and theirs hardly notice you.
//!
//! How many requests run comes with the call; how many of them are somebody else's follows from the tokens that each tenant has asked for of
//! late, which are counted in the host's state. Two windows are looked at, the older one less the older it gets, so that nothing jumps when
//! a window ends.

use simwright_sdk::prelude::*;

options! {
    /// Who shares, and how much of it is noticed.
    pub struct Options {
        /// The header that names a tenant; requests without it are one tenant more.
        pub header: String = "x-simwright-tenant".to_owned();
        /// How far back tokens count for whose the load is.
        pub window: Duration = Duration::from_secs(10), in ms(100)..=Duration::from_secs(3_600);
        /// Running requests of others that nobody notices.
        pub free: u32 = 4, in 0..=1_000_000;
        /// By how much each further one slows a request.
        pub drag: Share = Share::percent(8.0);
        /// How many times as slow it is at most.
        pub worst: f64 = 6.0, in 1.0..=12.0;
        /// Median time to the first token while nobody else asks.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(30);
        /// Median time between tokens while nobody else asks.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(30);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

impl Latency for Options {
    fn plan(&self, call: &Call, output_tokens: u32) -> Schedule {
        let factor = self.factor(self.neighbours(call, output_tokens));
        let [first, between] = [self.first, self.between].map(|median| Delay::around(median, self.spread).times(factor));
        Schedule::new(first, between)
    }
}

/// Tenants that are told apart; of more, some count as one. Whoever makes up names cannot fill the state, which holds 100,000 keys, in
/// the three windows that are in it at a time.
const TENANTS: u64 = 1 << 14;

impl Options {
    /// How many of the requests that run or wait are somebody else's.
    fn neighbours(&self, call: &Call, output_tokens: u32) -> f64 {
        let tenant = Key::of_seed(0).named(&call.header(&self.header).unwrap_or_default());
        let tokens = i64::from(call.input_tokens) + i64::from(output_tokens);
        let crowd = call.running.saturating_add(call.waiting);
        let [own, all] =
            [format!("{:x}", tenant.bits() % TENANTS), "all".to_owned()].map(|who| self.recent(&who, tokens, crowd, call.now_ns));
        // The request itself is in both, so nothing is divided by 0.
        let others = if all > own { 1.0 - own / all } else { 0.0 };
        f64::from(crowd) * others
    }

    /// The tokens that `who` has asked for of late, `tokens` more from now on.
    fn recent(&self, who: &str, tokens: i64, crowd: u32, now_ns: u64) -> f64 {
        let window_ns = self.window.as_nanos() as u64;
        let (number, elapsed_ns) = (now_ns / window_ns, now_ns % window_ns);
        let newest = state::add_for(&format!("{who}/{number}"), tokens.max(1), 2 * self.window) as f64;
        if crowd <= self.free || number == 0 {
            // Nobody asks for more than that it is counted.
            return newest;
        }
        let before = state::add_for(&format!("{who}/{}", number - 1), 0, self.window) as f64;
        newest + before * (1.0 - elapsed_ns as f64 / window_ns as f64)
    }

    /// How many times as slow everything is with so many requests of others.
    fn factor(&self, neighbours: f64) -> f64 {
        let noticed = (neighbours - f64::from(self.free)).max(0.0);
        (1.0 + self.drag.get() * noticed).min(self.worst)
    }
}

export!(Options: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    const OPTIONS: &str =
        r#"{"window": "10s", "free": 0, "drag": "10%", "worst": 3, "first": "100ms", "between": "10ms", "spread": 1}"#;

    /// The first token of a request of `tenant` for 1,000 tokens, in milliseconds. Keeps what the state has.
    fn first_ms(host: FakeHost, plugin: &Options, tenant: &str, running: u32, second: u64) -> (FakeHost, u32) {
        let host = host.header("x-simwright-tenant", tenant);
        let call = testing::call().tokens(900, 1_000).load(running, 0).now(Duration::from_secs(second)).build();
        let Delay::Us(us) = plugin.plan(&call, 100).first else { panic!("a fixed delay") };
        (host, us / 1_000)
    }

    #[test]
    fn the_load_of_others_slows_and_ones_own_does_not() {
        let plugin: Options = testing::plugin(OPTIONS).unwrap();
        let (host, alone) = first_ms(FakeHost::new(), &plugin, "loud", 50, 0);
        assert_eq!(alone, 100);
        let mut host = host;
        for _ in 0..8 {
            host = first_ms(host, &plugin, "loud", 10, 1).0;
        }
        // Nine of ten requests are the loud one's, so nine of the ten that run are.
        let (host, quiet) = first_ms(host, &plugin, "quiet", 10, 1);
        assert_eq!(quiet, 190);
        // And one of eleven is the quiet one's.
        let (_, loud) = first_ms(host, &plugin, "loud", 11, 1);
        assert_eq!(loud, 110);
    }

    #[test]
    fn it_is_never_slower_than_the_worst_and_forgets_after_two_windows() {
        let plugin: Options = testing::plugin(OPTIONS).unwrap();
        let (mut host, _) = first_ms(FakeHost::new(), &plugin, "loud", 0, 0);
        for _ in 0..20 {
            host = first_ms(host, &plugin, "loud", 0, 0).0;
        }
        let (host, quiet) = first_ms(host, &plugin, "quiet", 1_000, 1);
        assert_eq!(quiet, 300);
        host.advance(Duration::from_secs(25));
        let (_, later) = first_ms(host, &plugin, "quiet", 1_000, 25);
        assert_eq!(later, 100);
    }

    #[test]
    fn an_older_window_counts_less_the_older_it_gets() {
        let plugin: Options = testing::plugin(&OPTIONS.replace("\"worst\": 3", "\"worst\": 12")).unwrap();
        let host = first_ms(FakeHost::new(), &plugin, "loud", 0, 0).0;
        // Three quarters of the window before: 0.75 of what the loud one asked, and as much of its own as it asks now.
        let (_, quiet) = first_ms(host, &plugin, "quiet", 7, 12);
        assert_eq!(quiet, 100 + (10.0 * 7.0 * 0.8 / 1.8) as u32);
    }

    #[test]
    fn few_neighbours_go_unnoticed_and_are_looked_at_no_further() {
        let host = FakeHost::new();
        let plugin: Options = testing::plugin(r#"{"free": 4, "spread": 1}"#).unwrap();
        let call = testing::call().load(4, 0).now(Duration::from_secs(60)).build();
        assert_eq!(plugin.plan(&call, 10), Schedule::steady(ms(350), ms(20)));
        // The header and two counters.
        assert_eq!(host.questions(), 3);
    }
}
