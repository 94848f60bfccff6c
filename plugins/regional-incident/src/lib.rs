//! A region fails: its callers get errors, are moved to the other regions after a while, where everybody is slower for it, and come back.
//!
//! A caller belongs to a region by a hash of its name, and is moved early or late by another, so one caller sees one story: errors, then a
//! detour, then home. The fault and the latency model tell the same story if their options are the same. Before and after the incident the
//! host is asked for nothing.

use simwright_sdk::prelude::*;

/// However many regions have failed, the others are at most so many times as slow: beyond that they would refuse.
const LOAD_FACTOR_MAX: f64 = 4.0;

options! {
    /// Where, when and how badly.
    pub struct Options {
        /// The header whose value says who the caller is; a request without it is a caller of its own.
        pub header: String = "x-simwright-tenant".to_owned();
        /// Regions that callers are spread over.
        pub regions: u32 = 4, in 2..=100;
        /// How many of them fail.
        pub struck: u32 = 1, in 1..=99;
        /// When it begins, since the run began.
        pub at: Duration = Duration::from_secs(600), in Duration::ZERO..=Duration::from_secs(31_536_000);
        /// How long the region is ill.
        pub lasts: Duration = Duration::from_secs(1_800), in Duration::from_secs(1)..=Duration::from_secs(31_536_000);
        /// The share of a failed region's requests that fail when it is at its worst.
        pub worst: Share = Share::percent(90.0);
        /// How long each change takes: getting worse, moving callers away, and letting them back.
        pub ramp: Duration = Duration::from_secs(120), in Duration::ZERO..=Duration::from_secs(86_400);
        /// From the beginning until callers are moved; if longer than `lasts`, they never are.
        pub failover: Duration = Duration::from_secs(300), in Duration::ZERO..=Duration::from_secs(31_536_000);
        /// What the way to another region adds to the first token.
        pub detour: Duration = ms(80), in Duration::ZERO..=Duration::from_secs(10);
        /// Median time to the first token while all is well.
        pub first: Duration = ms(350), in Duration::ZERO..=Duration::from_secs(60);
        /// Median time between tokens while all is well.
        pub between: Duration = ms(20), in Duration::ZERO..=Duration::from_secs(60);
        /// How many times the median the slowest hundredth takes; 1 makes every token alike.
        pub spread: f64 = 3.0, in 1.0..=10.0;
    }
}

/// The options, which fit together.
#[derive(Debug)]
pub struct RegionalIncident(Options);

/// How things stand at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    /// The share of requests that fail in a struck region.
    failing: f64,
    /// The share of its callers that have been moved.
    moved: f64,
}

impl Plugin for RegionalIncident {
    type Options = Options;

    fn configure(options: Options, _setting: &Setting) -> Result<Self, Vec<Problem>> {
        if options.struck >= options.regions {
            let problem = Problem::at("/struck", format!("{} of {} regions would fail", options.struck, options.regions));
            return Err(vec![problem.hint("leave one at least that callers can be moved to")]);
        }
        Ok(Self(options))
    }
}

impl Fault for RegionalIncident {
    fn decide(&self, call: &Call) -> Verdict {
        let moment = self.moment(call.now());
        if moment.failing == 0.0 || self.stay(call, moment) != Stay::Struck || !call.key().named("fails").chance(moment.failing) {
            return Verdict::Pass;
        }
        log::count("failed", 1);
        HttpError::new(503).message("The region is unavailable.").into()
    }
}

impl Latency for RegionalIncident {
    fn plan(&self, call: &Call, _output_tokens: u32) -> Schedule {
        let Options { regions, struck, detour, first, between, spread, .. } = self.0;
        let moment = self.moment(call.now());
        let usual = Schedule::new(Delay::around(first, spread), Delay::around(between, spread));
        if moment.moved == 0.0 {
            return usual;
        }
        let stay = self.stay(call, moment);
        if stay == Stay::Struck {
            return usual;
        }
        let more = f64::from(struck) / f64::from(regions - struck);
        let factor = (1.0 + moment.moved * more).min(LOAD_FACTOR_MAX);
        let way = if stay == Stay::Moved { detour } else { Duration::ZERO };
        let first = first.mul_f64(factor);
        let first = if spread > 1.0 { Delay::log_normal(way + first, way + first.mul_f64(spread)) } else { (way + first).into() };
        Schedule::new(first, usual.between.times(factor))
    }
}

/// Where a caller is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// In a region that works.
    Home,
    /// In one that has failed.
    Struck,
    /// In a region that is not its own.
    Moved,
}

impl RegionalIncident {
    fn moment(&self, now: Duration) -> Moment {
        let Options { at, lasts, worst, ramp, failover, .. } = self.0;
        let Some(since) = now.checked_sub(at) else { return Moment { failing: 0.0, moved: 0.0 } };
        let failing = if since < lasts { worst.get() * share_of(since, ramp) } else { 0.0 };
        let away = if failover < lasts { since.checked_sub(failover).map_or(0.0, |since| share_of(since, ramp)) } else { 0.0 };
        let back = since.checked_sub(lasts).map_or(0.0, |since| share_of(since, ramp));
        Moment { failing, moved: away.min(1.0 - back) }
    }

    fn stay(&self, call: &Call, moment: Moment) -> Stay {
        let Options { header, regions, struck, .. } = &self.0;
        let root = Key::of_seed(0);
        let name = call.header(header).filter(|name| !name.is_empty());
        let caller = name.map_or(root.with(call.identity), |name| root.named(&name));
        let region = (caller.named("region").unit() * f64::from(*regions)) as u32;
        match region < *struck {
            false => Stay::Home,
            true if caller.named("moved").unit() < moment.moved => Stay::Moved,
            true => Stay::Struck,
        }
    }
}

/// How much of a change is done so long after its beginning.
fn share_of(since: Duration, ramp: Duration) -> f64 {
    if since >= ramp { 1.0 } else { since.as_secs_f64() / ramp.as_secs_f64() }
}

export!(RegionalIncident: fault, latency);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::testing::{self, FakeHost};

    const OPTIONS: &str = r#"{"regions": 4, "at": "100s", "lasts": "400s", "failover": "200s", "ramp": "100s", "first": "100ms",
        "between": "12ms", "detour": "50ms", "spread": 1}"#;

    fn incident() -> RegionalIncident {
        testing::plugin(OPTIONS).unwrap()
    }

    fn at(second: u64) -> Moment {
        incident().moment(Duration::from_secs(second))
    }

    /// How many of 4,000 callers fail, and how many are served with the detour.
    fn crowd(second: u64) -> (usize, usize) {
        let (plugin, now) = (incident(), Duration::from_secs(second));
        let calls = (0..4_000).map(|caller| testing::call().identity(caller).seed(caller).now(now).build());
        calls.fold((0, 0), |(failed, moved), call| {
            let is_failed = plugin.decide(&call) != Verdict::Pass;
            let is_moved = plugin.stay(&call, plugin.moment(now)) == Stay::Moved;
            (failed + usize::from(is_failed), moved + usize::from(is_moved))
        })
    }

    #[test]
    fn it_gets_worse_callers_are_moved_and_come_back() {
        let moment = |failing, moved| Moment { failing, moved };
        assert_eq!(at(99), moment(0.0, 0.0));
        assert_eq!(at(150), moment(0.45, 0.0));
        assert_eq!(at(250), moment(0.9, 0.0));
        assert_eq!(at(350), moment(0.9, 0.5));
        assert_eq!(at(450), moment(0.9, 1.0));
        assert_eq!(at(550), moment(0.0, 0.5));
        assert_eq!(at(600), moment(0.0, 0.0));
    }

    #[test]
    fn a_quarter_of_the_callers_meets_it() {
        let near =
            |found: usize, share: f64| (found as f64 - 4_000.0 * share).abs() < 3.0 * (4_000.0 * share * (1.0 - share)).sqrt();
        let (failed, moved) = crowd(250);
        assert!(near(failed, 0.25 * 0.9) && moved == 0, "{failed}, {moved}");
        let (failed, moved) = crowd(350);
        assert!(near(failed, 0.25 * 0.9 / 2.0) && near(moved, 0.125), "{failed}, {moved}");
        let (failed, moved) = crowd(450);
        assert!(failed == 0 && near(moved, 0.25), "{failed}, {moved}");
        assert_eq!(crowd(50), (0, 0));
    }

    #[test]
    fn whoever_is_moved_takes_the_detour_and_everybody_shares_the_load() {
        let (plugin, now) = (incident(), Duration::from_secs(450));
        let firsts: std::collections::BTreeSet<u32> = (0..100)
            .map(|caller| match plugin.plan(&testing::call().identity(caller).now(now).build(), 10) {
                Schedule { first: Delay::Us(us), between: Delay::Us(16_000), .. } => us,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(firsts.into_iter().collect::<Vec<_>>(), [133_333, 183_333]);
    }

    #[test]
    fn a_named_caller_sees_one_story_whatever_it_asks() {
        let (plugin, now) = (incident(), Duration::from_secs(350));
        for name in ["acme", "globex", "initech", "umbrella", "hooli"] {
            let _host = FakeHost::new().header("x-simwright-tenant", name);
            let stays: Vec<Stay> = (0..20)
                .map(|identity| plugin.stay(&testing::call().identity(identity).now(now).build(), plugin.moment(now)))
                .collect();
            assert!(stays.iter().all(|stay| *stay == stays[0]), "{name}: {stays:?}");
        }
    }

    #[test]
    fn outside_of_the_incident_the_host_is_asked_for_nothing() {
        let host = FakeHost::new();
        for second in [0, 99, 600, 100_000] {
            let call = testing::call().now(Duration::from_secs(second)).build();
            assert_eq!(
                (incident().decide(&call), incident().plan(&call, 10)),
                (Verdict::Pass, Schedule::steady(ms(100), ms(12)))
            );
        }
        assert_eq!(host.questions(), 0);
    }

    #[test]
    fn without_a_failover_nobody_is_moved() {
        let plugin: RegionalIncident = testing::plugin(&OPTIONS.replace("200s", "400s")).unwrap();
        assert!((0..700).all(|second| plugin.moment(Duration::from_secs(second)).moved == 0.0));
    }

    #[test]
    fn one_region_must_be_left() {
        let problems = testing::plugin::<RegionalIncident>(r#"{"regions": 3, "struck": 3}"#).unwrap_err();
        assert_eq!(problems[0].path, "/struck");
    }
}
