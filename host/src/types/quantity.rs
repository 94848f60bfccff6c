//! Quantities as people write them: `350ms`, `1.5s`, `16MiB`, `5%`.

/// Microseconds from text such as `250us`, `350ms`, `1.5s`, `2m`, `1h`. Negative or unit-less text is an error that says so.
pub fn parse_duration_us(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text, "a duration", "`350ms` or `1.5s`")?;
    let us_per_unit = match unit {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" | "min" => 60e6,
        "h" => 3600e6,
        "" => return Err(format!("`{text}` has no unit; write for example `{text}ms`")),
        other => return Err(format!("`{other}` is no unit of time; use us, ms, s, m or h")),
    };
    let us = number * us_per_unit;
    if us > 86_400e6 * 366.0 {
        return Err(format!("`{text}` is longer than a year"));
    }
    Ok(us.round() as u64)
}

/// Picoseconds from a short time such as `49.9ns`, `19.6us` or `6.42ms`; `0` needs no unit. Anything from a minute on is an error.
pub fn parse_duration_ps(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text, "a time", "`49.9ns` or `6.42ms`")?;
    let ps_per_unit = match unit {
        "ps" => 1.0,
        "ns" => 1e3,
        "us" | "µs" => 1e6,
        "ms" => 1e9,
        "s" => 1e12,
        "" if number == 0.0 => 0.0,
        "" => return Err(format!("`{text}` has no unit; write for example `{text}us`")),
        other => return Err(format!("`{other}` is no unit of a short time; use ps, ns, us, ms or s")),
    };
    let ps = number * ps_per_unit;
    if ps >= 60e12 {
        return Err(format!("`{text}` is longer than a minute"));
    }
    Ok(ps.round() as u64)
}

/// A share from 0 to 1, from `5%` or `0.05`.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text, "a share", "`5%` or `0.05`")?;
    let share = match unit {
        "%" => number / 100.0,
        "" => number,
        other => return Err(format!("`{other}` is no unit of a share; use % or none")),
    };
    if share > 1.0 {
        return Err(format!("`{text}` is more than 100%"));
    }
    Ok(share)
}

/// Bytes from `512KiB`, `16MiB`, `1GiB` or `64kB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text, "a size", "`16MiB`")?;
    let bytes_per_unit = match unit {
        "B" | "" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        other => return Err(format!("`{other}` is no unit of size; use KiB, MiB or GiB")),
    };
    Ok((number * bytes_per_unit).round() as u64)
}

/// `us` as [`parse_duration_us`] reads it, in the largest unit that it is a whole number of: `20ms`, `1h`.
pub fn show_duration_us(us: u64) -> String {
    let units = [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    match units.into_iter().find(|(size, _)| us >= *size && us.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", us / size),
        None => format!("{us}us"),
    }
}

/// `bytes` as [`parse_bytes`] reads it, in the largest unit that it is a whole number of: `16MiB`.
pub fn show_bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
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
    fn durations_need_a_unit_and_keep_fractions() {
        assert_eq!(parse_duration_us("1.5s"), Ok(1_500_000));
        assert_eq!(parse_duration_us("250 us"), Ok(250));
        assert!(parse_duration_us("20").unwrap_err().contains("no unit"));
        assert!(parse_duration_us("-1s").unwrap_err().contains("negative"));
        assert!(parse_duration_us("fast").unwrap_err().contains("not a duration"));
    }

    #[test]
    fn short_times_are_exact_to_the_picosecond() {
        let read: Vec<_> = ["6.42ms", "19.6us", "49.9 ns", "5_000ps", "0", "0us"].map(parse_duration_ps).into_iter().collect();
        assert_eq!(read, [6_420_000_000, 19_600_000, 49_900, 5_000, 0, 0].map(Ok));
        assert!(parse_duration_ps("5").unwrap_err().contains("no unit"));
        assert!(parse_duration_ps("-5ns").unwrap_err().contains("negative"));
        assert!(parse_duration_ps("1m").unwrap_err().contains("no unit of a short time"));
        assert!(parse_duration_ps("60s").unwrap_err().contains("longer"));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for us in [0, 1, 999, 1_000, 1_500, 20_000, 60_000_000, 90_000_000, 3_600_000_000] {
            assert_eq!(parse_duration_us(&show_duration_us(us)), Ok(us));
        }
        for bytes in [0, 1, 1_000, 1_024, 1_536, 16 << 20, 3 << 30] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn shares_are_percentages_or_fractions() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.25"), Ok(0.25));
        assert!(parse_share("120%").is_err());
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        assert_eq!(parse_bytes("16MiB"), Ok(16 * 1024 * 1024));
        assert_eq!(parse_bytes("64kB"), Ok(64_000));
    }
}
