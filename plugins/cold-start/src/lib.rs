//! Model servers that sleep when nobody asks: the first request waits for one to start, and the next ones find it slow until it is warm.
//!
//! Replicas are filled in order: with n requests running, the next one goes to replica n / `per-replica`. So the first request after a quiet
//! hour and the one that needs another replica in a rush meet the same thing, a replica that nobody has used for a while. When each one was
//! used and started is in the host's state, so workers agree on it.

use simwright_sdk::prelude::*;

options! {
    /// How long servers sleep, start and warm up.
    pub struct Options {
        /// A replica that nobody has asked for so long is stopped.
        pub idle: Duration = Duration::from_secs(300), in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// From the request that wakes a replica until it answers; whoever comes meanwhile waits for it too.
        pub start: Duration = Duration::from_secs(8), in Duration::ZERO..=Duration::from_secs(600);
        /// From its start until it is as fast as ever.
        pub warm_up: Duration = Duration::from_secs(60), in Duration::ZERO..=Duration::from_secs(3_600);
        /// How many times as slow it is when it has just started.
        pub slow: f64 = 2.5, in 1.0..=5.0;
        /// Requests that one replica answers at a time; one more wakes the next replica.
        pub per_replica: u32 = 8, in 1..=100_000;
        /// Median time to the first token of a warm replica.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time between tokens of a warm replica.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(60);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

/// The options, and what replicas of each model entry are called in the state.
#[derive(Debug)]
pub struct ColdStart {
    options: Options,
    models: Vec<Key>,
}

impl Plugin for ColdStart {
    type Options = Options;

    fn configure(options: Options, setting: &Setting) -> Result<Self, Vec<Problem>> {
        // By name, since a reload may give an entry another number.
        let models = setting.names.models.iter().map(|name| Key::of_seed(0).named(name)).collect();
        Ok(Self { options, models })
    }
}

impl Latency for ColdStart {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        let Options { first, between, spread, .. } = self.options;
        let Some(ready_ns) = self.ready_ns(call) else {
            return Schedule::new(Delay::around(first, spread), Delay::around(between, spread));
        };
        let wait = Duration::from_nanos(ready_ns.saturating_sub(call.now_ns));
        let factor = self.factor(Duration::from_nanos(call.now_ns.saturating_sub(ready_ns)));
        let first = first.mul_f64(factor);
        // The wait has no spread: it ends when the replica is there.
        let first =
            if spread > 1.0 { Delay::log_normal(wait + first, wait + first.mul_f64(spread)) } else { (wait + first).into() };
        Schedule::new(first, Delay::around(between, spread).times(factor))
    }
}

impl ColdStart {
    /// When the replica of `call` answers for the first time since it was woken; `None` if it is warm.
    fn ready_ns(&self, call: &Call) -> Option<u64> {
        let Options { idle, start, warm_up, per_replica, .. } = self.options;
        let model = self.models.get(call.model as usize).map_or(0, |model| model.bits());
        let replica = format!("{model:016x}/{}", call.running / per_replica);
        // A replica that is starting is not stopped, so its counter lives that long at least.
        let is_woken = state::add_for(&replica, 1, idle.max(start)) == 1;
        if is_woken {
            let ready_ns = call.now_ns + start.as_nanos() as u64;
            state::set_for(&replica, &ready_ns.to_le_bytes(), start + warm_up);
            log::count("started", 1);
            return Some(ready_ns);
        }
        state::get(&replica).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
    }

    /// How many times as slow a replica is so long after its start: much at first, as caches and kernels fill, then less and less.
    fn factor(&self, age: Duration) -> f64 {
        let Options { warm_up, slow, .. } = self.options;
        let cold = if age >= warm_up { 0.0 } else { 1.0 - age.as_secs_f64() / warm_up.as_secs_f64() };
        1.0 + (slow - 1.0) * cold * cold
    }
}

export!(ColdStart: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    const OPTIONS: &str = r#"{"idle": "60s", "start": "8s", "warm-up": "20s", "slow": 3, "per-replica": 2, "first": "100ms",
        "between": "10ms", "spread": 1}"#;

    fn at(plugin: &ColdStart, second: u64, running: u32) -> Schedule {
        plugin.plan(&testing::call().now(Duration::from_secs(second)).load(running, 0).build(), 10)
    }

    #[test]
    fn whoever_comes_while_a_replica_starts_waits_for_it_and_finds_it_slow() {
        let host = FakeHost::new();
        let plugin: ColdStart = testing::plugin(OPTIONS).unwrap();
        assert_eq!(at(&plugin, 0, 0), Schedule::steady(ms(8_300), ms(30)));
        host.advance(Duration::from_secs(5));
        assert_eq!(at(&plugin, 5, 1), Schedule::steady(ms(3_300), ms(30)));
        assert_eq!(host.counter("started"), 1);
    }

    #[test]
    fn a_replica_warms_up_and_stays_warm_while_it_is_asked() {
        let host = FakeHost::new();
        let plugin: ColdStart = testing::plugin(OPTIONS).unwrap();
        at(&plugin, 0, 0);
        host.advance(Duration::from_secs(18));
        // Half of the warm-up is over, and three quarters of its price.
        assert_eq!(at(&plugin, 18, 0), Schedule::steady(ms(150), ms(15)));
        for second in (28..300).step_by(50) {
            host.advance(Duration::from_secs(50));
            assert_eq!(at(&plugin, second, 0), Schedule::steady(ms(100), ms(10)));
        }
        host.advance(Duration::from_secs(60));
        assert_eq!(at(&plugin, 400, 0).first, Delay::Us(8_300_000));
    }

    #[test]
    fn a_rush_wakes_the_next_replica_and_the_first_one_stays_warm() {
        let host = FakeHost::new();
        let plugin: ColdStart = testing::plugin(OPTIONS).unwrap();
        at(&plugin, 0, 0);
        host.advance(Duration::from_secs(30));
        assert_eq!(at(&plugin, 30, 1).first, Delay::Us(100_000));
        assert_eq!(at(&plugin, 30, 2).first, Delay::Us(8_300_000));
        assert_eq!(at(&plugin, 30, 1).first, Delay::Us(100_000));
    }

    #[test]
    fn entries_of_the_scenario_have_replicas_of_their_own() {
        let _host = FakeHost::new();
        let setting = testing::setting().models(["big", "small"]).build();
        let plugin: ColdStart = testing::plugin_in(OPTIONS, &setting).unwrap();
        let first = |model| plugin.plan(&testing::call().model(model).build(), 10).first;
        assert_eq!([first(0), first(1)], [Delay::Us(8_300_000), Delay::Us(8_300_000)]);
    }

    #[test]
    fn a_wait_has_no_spread_of_its_own() {
        let _host = FakeHost::new();
        let plugin: ColdStart = testing::plugin(r#"{"start": "8s", "slow": 1, "first": "100ms", "spread": 3}"#).unwrap();
        assert_eq!(at(&plugin, 0, 0).first, Delay::log_normal(ms(8_100), ms(8_300)));
    }
}
