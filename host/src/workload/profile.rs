//! A rate over time, as straight lines from point to point: constant, a ramp, spikes, a day.
//!
//! Arrivals at a changing rate are arrivals at rate 1 in another time: the integral of the rate. So a profile is its integral, and
//! what is asked for is the time at which the integral reaches a number. That is exact, needs no rejected draws, and does not drift,
//! because every time follows from the whole integral since the start.

use crate::clock::Nanos;

/// A rate over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Where each straight line begins; the first at 0.
    lines: Box<[Line]>,
    /// After which time it begins anew, in seconds, and the integral over that time.
    period: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    /// When it begins, in seconds.
    start: f64,
    /// The integral up to there.
    before: f64,
    /// The rate there, per second.
    rate: f64,
    /// By how much the rate grows in a second.
    slope: f64,
}

impl Profile {
    /// Always `rate` requests a second, above 0.
    pub fn constant(rate: f64) -> Self {
        Self { lines: [Line { start: 0.0, before: 0.0, rate, slope: 0.0 }].into(), period: None }
    }

    /// Straight lines through `points`, each a time in seconds and a rate per second, neither negative; times do not fall, and two
    /// points of one time make a step. The first rate holds before the first point. The last one holds after the last point, or
    /// else all begins anew at the time of the last point. `None` if nothing would ever come, or times fall.
    pub fn through(points: &[(f64, f64)], repeats: bool) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let good = |(at, rate): &(f64, f64)| at.is_finite() && rate.is_finite() && *at >= 0.0 && *rate >= 0.0;
        if !points.iter().all(good) || points.windows(2).any(|pair| pair[1].0 < pair[0].0) {
            return None;
        }
        let (mut lines, mut before, mut from) = (Vec::with_capacity(points.len() + 1), 0.0, (0.0, first.1));
        for to in points.iter().copied() {
            let span = to.0 - from.0;
            if span > 0.0 {
                lines.push(Line { start: from.0, before, rate: from.1, slope: (to.1 - from.1) / span });
                before += (from.1 + to.1) / 2.0 * span;
            }
            from = to;
        }
        if repeats {
            return (before > 0.0).then(|| Self { lines: lines.into(), period: Some((last.0, before)) });
        }
        lines.push(Line { start: last.0, before, rate: last.1, slope: 0.0 });
        (before > 0.0 || last.1 > 0.0).then(|| Self { lines: lines.into(), period: None })
    }

    /// When the integral of the rate reaches `amount`; `None` if it never does.
    pub fn reached(&self, amount: f64) -> Option<Nanos> {
        if let ([line], None) = (&*self.lines, self.period) {
            // The formula below in fewer steps: most workloads are constant.
            return ns(line.start + if line.rate > 0.0 { amount / line.rate } else { f64::INFINITY });
        }
        let (laps, rest) = match self.period {
            None => (0.0, amount),
            Some((_, whole)) => {
                let laps = libm::floor(amount / whole);
                (laps, (amount - laps * whole).clamp(0.0, whole))
            }
        };
        let line = self.lines[self.lines.partition_point(|line| line.before <= rest).max(1) - 1];
        let wanted = rest - line.before;
        // The stable root of rate·x + slope·x²/2 = wanted.
        let root = libm::sqrt((line.rate * line.rate + 2.0 * line.slope * wanted).max(0.0));
        let within = if wanted == 0.0 { 0.0 } else { 2.0 * wanted / (line.rate + root) };
        let seconds = laps * self.period.map_or(0.0, |(length, _)| length) + line.start + within;
        ns(seconds)
    }
}

/// `seconds` in nanoseconds; thousands of years are never.
fn ns(seconds: f64) -> Option<Nanos> {
    (seconds < 1e10).then_some((seconds * 1e9 + 0.5) as Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn a_constant_rate_does_not_drift() {
        let profile = Profile::constant(10.0);
        assert_eq!(profile.reached(1.0), Some(S / 10));
        assert_eq!(profile.reached(123_456_789.0), Some(123_456_789 * (S / 10)));
    }

    #[test]
    fn a_ramp_is_the_root_of_its_integral() {
        // From 0 to 10/s in 20 s, that is t²/4; then 10/s.
        let profile = Profile::through(&[(0.0, 0.0), (20.0, 10.0)], false).expect("a profile");
        assert_eq!(profile.reached(25.0), Some(10 * S));
        assert_eq!(profile.reached(100.0), Some(20 * S));
        assert_eq!(profile.reached(150.0), Some(25 * S));
        // Down to nothing: what would come after the end never comes.
        let profile = Profile::through(&[(0.0, 10.0), (10.0, 0.0)], false).expect("a profile");
        assert_eq!(profile.reached(37.5), Some(5 * S));
        assert_eq!(profile.reached(50.1), None);
    }

    #[test]
    fn steps_and_laps_are_where_they_were_drawn() {
        // One a second, and 10 a second from 5 s to 6 s of every 10 s: 19 a lap.
        let points = [(0.0, 1.0), (5.0, 1.0), (5.0, 10.0), (6.0, 10.0), (6.0, 1.0), (10.0, 1.0)];
        let profile = Profile::through(&points, true).expect("a profile");
        assert_eq!(profile.reached(5.0), Some(5 * S));
        assert_eq!(profile.reached(10.0), Some(5 * S + S / 2));
        assert_eq!(profile.reached(16.0), Some(7 * S));
        assert_eq!(profile.reached(19.0 * 1000.0 + 10.0), Some(10_005 * S + S / 2));
    }

    #[test]
    fn a_profile_in_which_nothing_comes_is_none() {
        assert_eq!(Profile::through(&[], false), None);
        assert_eq!(Profile::through(&[(0.0, 0.0), (5.0, 0.0)], true), None);
        assert_eq!(Profile::through(&[(0.0, 1.0), (0.0, 0.0)], false), None);
        assert_eq!(Profile::through(&[(5.0, 1.0), (4.0, 1.0)], false), None);
        assert!(Profile::through(&[(0.0, 0.0), (5.0, 1.0)], false).is_some());
    }
}
