//! Quantities as people write them: `350ms`, `1.5s`, `5%`.
//!
//! The same texts mean the same here and in the host's own sections of a scenario.

use std::fmt;
use std::time::Duration;

/// A share from 0 to 1, written `5%` or `0.05`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// So many hundredths, from 0 to 100; numbers beyond are moved to the nearer end.
    pub const fn percent(percent: f64) -> Self {
        Self(percent.clamp(0.0, 100.0) / 100.0)
    }

    /// The share as a number from 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to a millionth of a percent, so that 0.07 does not become 7.000000000000001%.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

/// A duration from text; the longest is a year.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text, "a duration", "`350ms` or `1.5s`")?;
    let us_per_unit = match unit {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" | "min" => 60e6,
        "h" => 3600e6,
        "" if number == 0.0 => 0.0,
        "" => return Err(format!("`{text}` has no unit; write for example `{text}ms`")),
        other => return Err(format!("`{other}` is no unit of time; use us, ms, s, m or h")),
    };
    let us = number * us_per_unit;
    if us > 366.0 * 24.0 * 3600e6 {
        return Err(format!("`{text}` is longer than a year"));
    }
    Ok(Duration::from_micros(us.round() as u64))
}

/// A duration in the largest unit that says it in whole numbers.
pub(super) fn write_duration(duration: Duration) -> String {
    let us = duration.as_micros();
    let units = [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    match units.iter().find(|(length, _)| us != 0 && us.is_multiple_of(*length)) {
        Some((length, unit)) => format!("{}{unit}", us / length),
        None if us == 0 => "0s".to_owned(),
        None => format!("{us}us"),
    }
}

pub(super) fn parse_share(text: &str) -> Result<Share, String> {
    let (number, unit) = split(text, "a share", "`5%` or `0.05`")?;
    let share = match unit {
        "%" => number / 100.0,
        "" => number,
        other => return Err(format!("`{other}` is no unit of a share; use % or none")),
    };
    if share > 1.0 {
        return Err(format!("`{text}` is more than 100%"));
    }
    Ok(Share(share))
}

fn split<'a>(text: &'a str, what: &str, example: &str) -> Result<(f64, &'a str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_'))).unwrap_or(text.len());
    let number: f64 =
        text[..end].replace('_', "").parse().map_err(|_| format!("`{text}` is not {what}; write for example {example}"))?;
    if number < 0.0 {
        return Err(format!("`{text}` is negative"));
    }
    Ok((number, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_the_largest_whole_unit() {
        for text in ["0s", "1us", "350ms", "90s", "2m", "24h", "1500us"] {
            assert_eq!(write_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1.5 s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("1_500ms"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn wrong_quantities_say_what_to_write() {
        assert!(parse_duration("20").unwrap_err().contains("write for example `20ms`"));
        assert!(parse_duration("-1s").unwrap_err().contains("negative"));
        assert!(parse_duration("9000000h").unwrap_err().contains("longer than a year"));
        assert!(parse_share("120%").unwrap_err().contains("more than 100%"));
        assert!(parse_share("most").unwrap_err().contains("not a share"));
    }

    #[test]
    fn shares_are_written_as_percentages() {
        assert_eq!(parse_share("0.07").unwrap().to_string(), "7%");
        assert_eq!(Share::percent(12.5).to_string(), "12.5%");
        assert_eq!(Share::percent(500.0).get(), 1.0);
    }
}
