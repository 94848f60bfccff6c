//! A brown-out that breathes: replies slow down towards the full hour (or whatever the period is) and recover after it.
//!
//! The wave hangs on the clock and not on the start of the run, so replicas, restarts and both clocks agree on when it is bad.

use simwright_sdk::prelude::*;

const HOUR: Duration = Duration::from_secs(3_600);

options! {
    /// How slow, how often and when.
    pub struct Options {
        /// The share of its speed that the service loses at the worst moment: at 0.5 everything takes twice as long, at 0 nothing
        /// happens.
        pub depth: f64 = 0.5, in 0.0..=0.95;
        /// From one worst moment to the next.
        pub period: Duration = HOUR, in Duration::from_secs(1)..=24 * HOUR;
        /// How far into the period, counted from midnight UTC, the worst moment comes.
        pub peak: Duration = Duration::ZERO, in Duration::ZERO..=24 * HOUR;
        /// Median time to the first token while all is well.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time between tokens while all is well.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(60);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

/// The options with everything worked out that does not depend on a call.
#[derive(Debug)]
pub struct BrownOut {
    depth: f64,
    period_ns: u64,
    /// From a worst moment to the beginning of the run.
    offset_ns: u64,
    first: Delay,
    between: Delay,
    /// How many times as long everything may take at most, so that the slowest hundredth takes an hour: the host refuses longer delays.
    most: f64,
    is_immediate: bool,
}

impl Plugin for BrownOut {
    type Options = Options;

    fn configure(options: Options, setting: &Setting) -> Result<Self, Vec<Problem>> {
        if options.peak > options.period {
            let problem = Problem::at("/peak", "`peak` lies beyond `period`");
            return Err(vec![problem.hint("count it from the beginning of a period")]);
        }
        let period_ns = options.period.as_nanos();
        let offset_ns = (setting.clock().epoch().as_nanos() + period_ns - options.peak.as_nanos()) % period_ns;
        Ok(Self {
            depth: options.depth,
            period_ns: period_ns as u64,
            offset_ns: offset_ns as u64,
            first: Delay::around(options.first, options.spread),
            between: Delay::around(options.between, options.spread),
            most: HOUR.as_secs_f64() / (options.first.max(options.between).as_secs_f64() * options.spread).max(1.0),
            is_immediate: options.first.is_zero() && options.between.is_zero(),
        })
    }
}

impl Latency for BrownOut {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        if self.is_immediate {
            return Schedule::immediate();
        }
        let factor = (1.0 / (1.0 - self.depth * self.badness(call))).min(self.most);
        Schedule::new(self.first.clone().times(factor), self.between.clone().times(factor))
    }
}

impl BrownOut {
    /// 1 at the worst moment of the period, 0 halfway between two of them, and a smooth wave between.
    fn badness(&self, call: &Call) -> f64 {
        let elapsed_ns = (self.offset_ns + call.now_ns % self.period_ns) % self.period_ns;
        let phase = elapsed_ns as f64 / self.period_ns as f64;
        let distance = 2.0 * phase.min(1.0 - phase);
        // A polynomial instead of a cosine: the same bits on every machine, and cheaper.
        1.0 - distance * distance * (3.0 - 2.0 * distance)
    }
}

export!(BrownOut: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing;

    fn first_us_at(options: &str, now: Duration) -> u32 {
        let plugin: BrownOut = testing::plugin(options).unwrap();
        match plugin.plan(&testing::call().now(now).build(), 10).first {
            Delay::Us(us) => us,
            other => panic!("not a fixed delay: {other:?}"),
        }
    }

    #[test]
    fn it_is_twice_as_slow_on_the_hour_and_well_at_half_past() {
        let options = r#"{"first": "100ms", "spread": 1}"#;
        assert_eq!(first_us_at(options, Duration::ZERO), 200_000);
        assert_eq!(first_us_at(options, HOUR / 2), 100_000);
        assert_eq!(first_us_at(options, 5 * HOUR), 200_000);
        let quarter_past = first_us_at(options, HOUR / 4);
        assert!((110_000..190_000).contains(&quarter_past), "{quarter_past}");
    }

    #[test]
    fn the_peak_moves_with_the_option_and_the_epoch() {
        let options = r#"{"first": "100ms", "spread": 1, "period": "24h", "peak": "14h"}"#;
        assert_eq!(first_us_at(options, 14 * HOUR), 200_000);
        assert_eq!(first_us_at(options, 2 * HOUR), 100_000);
        let setting = testing::setting().epoch(1_767_225_600 + 13 * 3_600).build();
        let plugin: BrownOut = testing::plugin_in(options, &setting).unwrap();
        assert_eq!(plugin.plan(&testing::call().now(HOUR).build(), 10).first, Delay::Us(200_000));
    }

    #[test]
    fn gaps_between_tokens_breathe_too() {
        let plugin: BrownOut = testing::plugin(r#"{"depth": 0.75, "between": "10ms"}"#).unwrap();
        assert_eq!(plugin.plan(&testing::call().build(), 10).between, Delay::log_normal(ms(40), ms(120)));
    }

    #[test]
    fn the_slowest_that_the_options_allow_takes_an_hour() {
        let plugin: BrownOut = testing::plugin(r#"{"first": "60s", "depth": 0.95, "spread": 10}"#).unwrap();
        let slowest = plugin.plan(&testing::call().build(), 10).first;
        assert_eq!(slowest, Delay::log_normal(Duration::from_secs(360), HOUR));
    }

    #[test]
    fn without_delays_nothing_is_worked_out() {
        let plugin: BrownOut = testing::plugin(r#"{"first": "0s", "between": "0s"}"#).unwrap();
        assert_eq!(plugin.plan(&testing::call().build(), 10), Schedule::immediate());
    }

    #[test]
    fn a_peak_beyond_the_period_is_refused() {
        let problems = testing::plugin::<BrownOut>(r#"{"period": "1h", "peak": "2h"}"#).unwrap_err();
        assert_eq!(problems[0].path, "/peak");
    }
}
