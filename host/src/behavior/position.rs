//! Where in a reply a fault acts, as people write it.
//!
//! `start` is before the first byte, `token 12` after so many tokens, `50%` after a share of them, `350ms` so long after the
//! request.

use std::str::FromStr;

use crate::behavior::fault::Position;
use crate::types::limits::{DELAY_US_MAX, OUTPUT_TOKENS_MAX};
use crate::types::quantity::{parse_duration_us, parse_share};

/// What may be written, for messages.
pub const ALLOWED: &str = "write `start`, `token 12`, `50%` or `350ms`";

impl FromStr for Position {
    /// What is wrong, and what is allowed.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text.trim())
    }
}

fn parse(text: &str) -> Result<Position, String> {
    let refuse = || format!("`{text}` is no place in a reply; {ALLOWED}");
    if text == "start" {
        return Ok(Position::Start);
    }
    if let Some(number) = text.strip_prefix("token ") {
        let token = number.trim().parse().ok().filter(|token| *token <= OUTPUT_TOKENS_MAX);
        return token.map(Position::Token).ok_or_else(|| {
            format!("`{text}` names no token; write a whole number from 0 to {OUTPUT_TOKENS_MAX}, for example `token 12`")
        });
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(refuse());
    }
    if text.ends_with('%') {
        return parse_share(text).map(|share| Position::Share(share as f32));
    }
    if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(format!("`{text}` does not say of what; {ALLOWED}"));
    }
    match parse_duration_us(text)? {
        us if us > DELAY_US_MAX => Err(format!("`{text}` is longer than an hour; give at most `1h`")),
        us => Ok(Position::AfterMs(us.div_ceil(1_000) as u32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_start_a_token_a_share_or_a_time() {
        assert_eq!(parse("start"), Ok(Position::Start));
        assert_eq!(parse("token 12"), Ok(Position::Token(12)));
        assert_eq!(parse("token 0"), Ok(Position::Token(0)));
        assert_eq!(parse("50%"), Ok(Position::Share(0.5)));
        assert_eq!(parse("350ms"), Ok(Position::AfterMs(350)));
        assert_eq!(parse("1.5 s"), Ok(Position::AfterMs(1_500)));
    }

    #[test]
    fn what_is_no_place_is_named_with_what_is_allowed() {
        for text in ["", "end", "tokens 5", "12", "0.5", "Start", "half"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(&format!("`{text}`")) && message.contains(ALLOWED), "{message}");
        }
        for (text, said) in [
            ("token x", "names no token"),
            ("token -1", "names no token"),
            ("token 2000000", "names no token"),
            ("120%", "more than 100%"),
            ("5 apples", "no unit of time"),
            ("2h", "at most `1h`"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
    }
}
