//! `keep_alive`: how long a model stays in memory after a request. Nothing is loaded here, so only this matters: is it a duration, and is
//! it zero? A request that says nothing else and keeps the model for no time takes it out of memory.

use std::borrow::Cow;

use crate::dialect::json::given::{Given, Shape};

/// How long a model stays.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeepAlive {
    /// For no time.
    Zero,
    /// For some time, or for ever.
    Some,
    /// This text is no duration.
    Wrong(Box<str>),
}

impl<'de> Shape<'de> for KeepAlive {
    const EXPECTED: &'static str = "a duration";

    fn of_integer(value: i64) -> Given<Self> {
        Given::Is(if value == 0 { Self::Zero } else { Self::Some })
    }

    fn of_decimal(value: f64) -> Given<Self> {
        Given::Is(if value == 0.0 { Self::Zero } else { Self::Some })
    }

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(match nonzero(&value) {
            Some(false) => Self::Zero,
            Some(true) => Self::Some,
            None => Self::Wrong(value.into()),
        })
    }
}

/// Is the duration `text` more or less than nothing? `None` if it is none. Durations look as Go writes them: `5m`, `1h30m`, `-1s`, `0`.
fn nonzero(text: &str) -> Option<bool> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(false);
    }
    let mut some = false;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.').filter(|end| *end > 0)?;
        some |= rest[..end].parse::<f64>().ok()? != 0.0;
        rest = &rest[end..];
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].into_iter().find(|unit| {
            let after = rest.strip_prefix(unit);
            after.is_some_and(|after| after.is_empty() || after.starts_with(|next: char| next.is_ascii_digit() || next == '.'))
        })?;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("5m", Some(true)),
            ("1h30m", Some(true)),
            ("-1s", Some(true)),
            ("1.5h", Some(true)),
            ("0", Some(false)),
            ("0s", Some(false)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5 minutes", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(nonzero(text), expected, "{text}");
        }
    }
}
