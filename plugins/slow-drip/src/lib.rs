//! Streams that stall at some token, drip for a while, and recover: what a congested network or a preempted batch does to those who read.
//!
//! Which stream it strikes and where are draws of their own, so that another rate moves no place.

use simwright_sdk::prelude::*;

options! {
    /// How many streams, where in them and how badly.
    pub struct Options {
        /// The share of the replies that it strikes.
        pub rate: Share = Share::percent(10.0);
        /// It strikes after this token at the earliest.
        pub earliest: u32 = 10, in 1..=1_000_000;
        /// It strikes after this token at the latest. A reply that is shorter escapes.
        pub latest: u32 = 80, in 1..=1_000_000;
        /// How long nothing comes at all.
        pub stall: Duration = Duration::from_secs(3), in Duration::ZERO..=Duration::from_secs(600);
        /// Tokens that drip after it.
        pub length: u32 = 20, in 0..=2_000;
        /// Time between tokens while they drip.
        pub drip: Duration = ms(250), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time to the first token.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time between tokens while all is well.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(60);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

/// The options, which fit together.
#[derive(Debug)]
pub struct SlowDrip(Options);

impl Plugin for SlowDrip {
    type Options = Options;

    fn configure(options: Options, _setting: &Setting) -> Result<Self, Vec<Problem>> {
        if options.earliest > options.latest {
            let problem = Problem::at("/earliest", "`earliest` lies behind `latest`");
            return Err(vec![problem.hint("it strikes after a token between the two")]);
        }
        Ok(Self(options))
    }
}

impl Latency for SlowDrip {
    fn plan(&self, call: &Call, output_tokens: u32) -> Schedule {
        let Options { rate, stall, length, drip, first, between, spread, .. } = self.0;
        let schedule = Schedule::new(Delay::around(first, spread), Delay::around(between, spread));
        if !call.key().named("struck").chance(rate.get()) {
            return schedule;
        }
        let after = self.place(call);
        let schedule = if after < output_tokens { schedule.pause(after, stall) } else { schedule };
        // A pause comes besides the usual gap.
        let more = drip.saturating_sub(between);
        let dripping = (after.saturating_add(1)..output_tokens).take(length as usize);
        dripping.fold(schedule, |schedule, token| schedule.pause(token, more))
    }
}

impl SlowDrip {
    /// The token after which the stream stalls.
    fn place(&self, call: &Call) -> u32 {
        let Options { earliest, latest, .. } = self.0;
        let places = f64::from(latest - earliest) + 1.0;
        earliest + (call.key().named("place").unit() * places) as u32
    }
}

export!(SlowDrip: latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing;

    const OPTIONS: &str = r#"{"rate": 1, "earliest": 5, "latest": 5, "stall": "2s", "length": 3, "drip": "200ms", "spread": 1}"#;

    fn schedule(options: &str, seed: u64, tokens: u32) -> Schedule {
        let plugin: SlowDrip = testing::plugin(options).unwrap();
        plugin.plan(&testing::call().seed(seed).build(), tokens)
    }

    #[test]
    fn a_stream_stalls_drips_and_recovers() {
        let expected = Schedule::steady(ms(350), ms(20)).pause(5, ms(2_000));
        let expected = (6..9).fold(expected, |schedule, token| schedule.pause(token, ms(180)));
        assert_eq!(schedule(OPTIONS, 1, 100), expected);
    }

    #[test]
    fn a_short_reply_escapes_and_one_that_ends_while_it_drips_ends_so() {
        assert_eq!(schedule(OPTIONS, 1, 5), Schedule::steady(ms(350), ms(20)));
        assert_eq!(schedule(OPTIONS, 1, 8).pauses.len(), 3);
    }

    #[test]
    fn the_rate_and_the_places_hold_within_three_sigma() {
        let options = r#"{"rate": "10%", "earliest": 10, "latest": 19, "length": 0}"#;
        let plugin: SlowDrip = testing::plugin(options).unwrap();
        let struck: Vec<u32> = (0..20_000)
            .filter_map(|seed| {
                plugin.plan(&testing::call().seed(seed).build(), 100).pauses.first().map(|pause| pause.after_token)
            })
            .collect();
        assert!((struck.len() as f64 - 2_000.0).abs() < 3.0 * (20_000.0_f64 * 0.1 * 0.9).sqrt(), "{}", struck.len());
        for place in 10..20 {
            let here = struck.iter().filter(|at| **at == place).count() as f64;
            assert!((here - 200.0).abs() < 3.5 * (2_000.0_f64 * 0.1 * 0.9).sqrt(), "{place}: {here}");
        }
    }

    #[test]
    fn places_that_cannot_be_are_refused() {
        let problems = testing::plugin::<SlowDrip>(r#"{"earliest": 90}"#).unwrap_err();
        assert_eq!(problems[0].path, "/earliest");
    }
}
