//! Axes: where their lines are, and what stands at them.
//!
//! Steps are what people count in: 1, 2 and 5 times a power of ten, and of time seconds, minutes, hours and days. Logarithms and powers are
//! taken by multiplication, so that no tick depends on the machine.

use crate::clock::Nanos;

/// Lines of a vertical axis at most, the bottom not counted.
const LINES_MAX: f64 = 4.0;
/// Ticks of the axis of time at most.
const TICKS_MAX: u64 = 9;
/// A span of times so many times as long as the shortest is drawn by its logarithm.
const LOG_FROM: f64 = 25.0;

const S: Nanos = 1_000_000_000;

/// What a vertical axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nanoseconds.
    Time,
    /// Something a second.
    PerSecond,
    /// A share, 0 to 1.
    Share,
}

/// A vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    unit: Unit,
    low: f64,
    high: f64,
    /// Between two lines; `None` if the axis is logarithmic.
    step: Option<f64>,
}

impl Axis {
    /// One on which all of `values` fit, from 0 on, or from their smallest on if they are times that differ by much.
    pub(super) fn of(unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        values
            .filter(|value| value.is_finite() && *value > 0.0)
            .for_each(|value| (low, high) = (low.min(value), high.max(value)));
        if unit == Unit::Time && high >= low * LOG_FROM {
            return Self { unit, low: nice_below(low), high: nice_above(high), step: None };
        }
        if high == 0.0 {
            high = if unit == Unit::Time { 1e9 } else { 1.0 };
        }
        let step = step_of(high / LINES_MAX);
        Self { unit, low: 0.0, high: (high / step).ceil() * step, step: Some(step) }
    }

    /// Where `value` is, 0 at the bottom and 1 at the top.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.step {
            Some(_) => value / self.high,
            None => libm::log(value.max(self.low) / self.low) / libm::log(self.high / self.low),
        };
        place.clamp(0.0, 1.0)
    }

    /// Places of the lines and what stands at them.
    pub(super) fn lines(&self) -> Vec<(f64, String)> {
        let values: Vec<f64> = match self.step {
            Some(step) => (0..).map(|line| f64::from(line) * step).take_while(|value| *value <= self.high * 1.000_001).collect(),
            None => nice_numbers(self.low, self.high),
        };
        values.into_iter().map(|value| (self.place(value), self.label(value))).collect()
    }

    fn label(&self, value: f64) -> String {
        match self.unit {
            _ if value == 0.0 => "0".to_owned(),
            Unit::Share => format!("{} %", plain(value * 100.0)),
            Unit::PerSecond if value >= 1e6 => format!("{} M/s", plain(value / 1e6)),
            Unit::PerSecond if value >= 1e4 => format!("{} k/s", plain(value / 1e3)),
            Unit::PerSecond => format!("{}/s", plain(value)),
            Unit::Time => time(value),
        }
    }
}

/// A time in nanoseconds in the largest unit in which it is one at least.
pub(super) fn time(ns: f64) -> String {
    let units = [(86_400e9, "d"), (3_600e9, "h"), (60e9, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (length, unit) = units.into_iter().find(|(length, _)| ns >= *length * 0.999_999).unwrap_or((1.0, "ns"));
    format!("{} {unit}", plain(ns / length))
}

/// Ticks of an axis of time from 0 to `until`, and what stands at them.
pub(super) fn time_ticks(until: Nanos) -> Vec<(Nanos, String)> {
    let (minute, hour, day) = (60 * S, 3_600 * S, 86_400 * S);
    let long = [5, 10, 15, 30].map(|s| s * S).into_iter().chain([1, 2, 5, 10, 15, 30].map(|min| min * minute));
    let longer = [1, 2, 3, 6, 12].map(|h| h * hour).into_iter().chain([1, 2, 5, 10, 20, 50, 100].map(|d| d * day));
    let short = (0..).map(|power| 10_u64.pow(power)).flat_map(|ten| [1, 2, 5].map(|of| of * ten)).take_while(|ns| *ns < 5 * S);
    let step = short.chain(long).chain(longer).find(|step| until / step < TICKS_MAX).unwrap_or(500 * day);
    // One unit for all of them, so that 90 minutes stand between 60 and 120.
    let (length, unit) = match step {
        step if step >= day => (day, "d"),
        step if step >= hour => (hour, "h"),
        step if step >= minute => (minute, "min"),
        step if step >= 500_000_000 => (S, "s"),
        _ => (1_000_000, "ms"),
    };
    let label = |at: Nanos| if at == 0 { "0".to_owned() } else { format!("{} {unit}", plain(at as f64 / length as f64)) };
    (0..=until / step).map(|tick| (tick * step, label(tick * step))).collect()
}

/// `value` with three digits at most behind the point, and no zeros at its end.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The smallest step that is no less than `least`: 1, 2 or 5 times a power of ten.
fn step_of(least: f64) -> f64 {
    let ten = ten_below(least);
    [1.0, 2.0, 5.0].map(|of| of * ten).into_iter().find(|step| *step >= least * 0.999_999).unwrap_or(ten * 10.0)
}

/// The greatest power of ten that is no more than `value`.
fn ten_below(value: f64) -> f64 {
    let mut ten = 1.0;
    while ten > value {
        ten /= 10.0;
    }
    while ten * 10.0 <= value {
        ten *= 10.0;
    }
    ten
}

fn nice_below(value: f64) -> f64 {
    let ten = ten_below(value);
    [5.0, 2.0, 1.0].map(|of| of * ten).into_iter().find(|nice| *nice <= value).unwrap_or(ten)
}

fn nice_above(value: f64) -> f64 {
    step_of(value)
}

/// The lines of a logarithmic axis: powers of ten, and 2 and 5 times those where there is room.
fn nice_numbers(low: f64, high: f64) -> Vec<f64> {
    let mut all = Vec::new();
    let mut ten = ten_below(low);
    while ten <= high * 1.000_001 {
        all.extend(
            [1.0, 2.0, 5.0].map(|of| of * ten).into_iter().filter(|nice| *nice >= low * 0.999_999 && *nice <= high * 1.000_001),
        );
        ten *= 10.0;
    }
    let is_ten = |value: f64| (value / ten_below(value * 1.000_001) - 1.0).abs() < 1e-3;
    let is_even = |value: f64| (value / ten_below(value * 1.000_001) - 5.0).abs() > 1e-3;
    match all.len() {
        ..=6 => all,
        7..=9 => all.into_iter().filter(|value| is_even(*value)).collect(),
        _ => all.into_iter().filter(|value| is_ten(*value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.lines().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn axes_have_round_numbers_that_all_values_fit_under() {
        let axis = |unit, high| Axis::of(unit, [high].into_iter());
        assert_eq!(labels(&axis(Unit::Time, 730e6)), ["0", "200 ms", "400 ms", "600 ms", "800 ms"]);
        assert_eq!(labels(&axis(Unit::Share, 0.23)), ["0", "10 %", "20 %", "30 %"]);
        assert_eq!(labels(&axis(Unit::PerSecond, 3_900.0)), ["0", "1000/s", "2000/s", "3000/s", "4000/s"]);
        assert_eq!(labels(&axis(Unit::PerSecond, 0.7)), ["0", "0.2/s", "0.4/s", "0.6/s", "0.8/s"]);
        for high in [1e-3, 0.04, 1.0, 17.0, 999.0, 1e7] {
            let axis = axis(Unit::PerSecond, high);
            assert!(axis.place(high) > 0.5 && axis.lines().len() <= 6, "{high}: {axis:?}");
        }
    }

    #[test]
    fn times_that_differ_by_much_are_drawn_by_their_logarithm() {
        let axis = Axis::of(Unit::Time, [300e6, 12e9].into_iter());
        assert_eq!(labels(&axis), ["200 ms", "1 s", "2 s", "10 s", "20 s"]);
        let [low, middle, high] = [200e6, 2e9, 20e9].map(|value| axis.place(value));
        assert!(low == 0.0 && high == 1.0 && (middle - 0.5).abs() < 1e-9, "{low} {middle} {high}");
    }

    #[test]
    fn nothing_at_all_has_an_axis_too() {
        for unit in [Unit::Time, Unit::PerSecond, Unit::Share] {
            assert!(Axis::of(unit, [].into_iter()).lines().len() > 1);
        }
    }

    #[test]
    fn time_is_counted_in_what_people_count_it_in() {
        let ticks = |until: Nanos| time_ticks(until).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(ticks(86_400 * S), ["0", "3 h", "6 h", "9 h", "12 h", "15 h", "18 h", "21 h", "24 h"]);
        assert_eq!(ticks(100 * S), ["0", "15 s", "30 s", "45 s", "60 s", "75 s", "90 s"]);
        assert_eq!(ticks(90 * 60 * S)[..3], ["0", "15 min", "30 min"]);
        assert_eq!(ticks(3_000_000)[..3], ["0", "0.5 ms", "1 ms"]);
        assert_eq!(ticks(0), ["0"]);
    }
}
