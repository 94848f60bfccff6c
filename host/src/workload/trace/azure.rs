//! The public LLM inference traces of Azure, 2023 and 2024: CSV with `TIMESTAMP,ContextTokens,GeneratedTokens`.
//!
//! Times are of the calendar, such as `2023-11-16 18:15:46.6805900`, with or without `+00:00`; the first one is when the recording
//! begins.

use super::Row;
use super::lines::Mistake;
use crate::clock::Nanos;

const TIME: &str = "write it as `2023-11-16 18:15:46.6805900`";
const COLUMNS: &str = "a line is `TIMESTAMP,ContextTokens,GeneratedTokens`";

pub(super) fn is_header(line: &str) -> bool {
    line.trim_start_matches('\u{feff}').trim_end() == "TIMESTAMP,ContextTokens,GeneratedTokens"
}

/// The row in `line`; its time counts from `origin`, which the first row sets.
pub(super) fn row(line: &str, origin: &mut Option<i64>) -> Result<Row, Mistake> {
    let line = line.trim_end();
    let mut fields = [""; 3];
    let mut columns = [1; 3];
    let mut count = 0;
    let mut start = 0;
    for end in memchr::memchr_iter(b',', line.as_bytes()).chain([line.len()]) {
        if count < 3 {
            (fields[count], columns[count]) = (&line[start..end], start + 1);
        }
        count += 1;
        start = end + 1;
    }
    if count != 3 {
        return Err(Mistake::new(1, format!("expected 3 columns, found {count}"), COLUMNS));
    }
    let ns = unix_ns(fields[0]).ok_or_else(|| Mistake::new(1, format!("`{}` is no time", fields[0]), TIME))?;
    let tokens = |index: usize| {
        let parsed = fields[index].trim().parse::<u32>();
        let message = || format!("`{}` is no number of tokens", fields[index]);
        parsed.map_err(|_| Mistake::new(columns[index], message(), "write a whole number"))
    };
    let (input_tokens, output_tokens) = (tokens(1)?, tokens(2)?);
    let since = ns - *origin.get_or_insert(ns);
    let earlier = || Mistake::new(1, "this request is earlier than the first one", "sort the lines by their time");
    let at = Nanos::try_from(since).map_err(|_| earlier())?;
    Ok(Row { at, input_tokens, output_tokens: Some(output_tokens), blocks: None })
}

/// Nanoseconds since 1970 of a time such as `2023-11-16 18:15:46.6805900`; until 2200.
fn unix_ns(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches("+00:00").trim_end_matches('Z');
    let bytes = text.as_bytes();
    let well_formed = bytes.len() >= 19
        && bytes.is_ascii()
        && (bytes[4], bytes[7], bytes[13], bytes[16]) == (b'-', b'-', b':', b':')
        && matches!(bytes[10], b' ' | b'T');
    if !well_formed {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = &bytes[from..to];
        let value = || digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        digits.iter().all(u8::is_ascii_digit).then(value)
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = match bytes.len() {
        19 => 0,
        length @ 21..=29 if bytes[19] == b'.' => number(20, length)? * 10_i64.pow(29 - length as u32),
        _ => return None,
    };
    let in_range = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = ((days_before(year, month) + day - 1) * 24 + hour) * 3_600 + minute * 60 + second;
    in_range.then(|| seconds * 1_000_000_000 + fraction)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of `month`.
fn days_before(year: i64, month: i64) -> i64 {
    let before = year - 1;
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    years + (1..month.clamp(1, 12)).map(|month| days_of(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(unix_ns("1970-01-01 00:00:00"), Some(0));
        assert_eq!(unix_ns("2023-11-16 18:15:46.6805900"), Some(1_700_158_546_680_590_000));
        assert_eq!(unix_ns("2024-02-29T23:59:59.5+00:00"), Some(1_709_251_199_500_000_000));
        for wrong in
            ["2023-02-29 00:00:00", "2023-11-16 24:00:00", "2023-11-16", "16/11/2023 18:15:46", "2023-11-16 18:15:46.", ""]
        {
            assert_eq!(unix_ns(wrong), None, "{wrong}");
        }
    }
}
