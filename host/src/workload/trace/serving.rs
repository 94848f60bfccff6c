//! The request logs of LLMServingSim's measured runs: a JSON object a line, `arrival_time` in seconds of any clock, `input_toks` and
//! `output_toks`. What was measured then stands beside them and is left alone. The first time is when the recording begins.

use serde::Deserialize;

use super::Row;
use super::lines::Mistake;

#[derive(Deserialize)]
struct Line {
    arrival_time: f64,
    input_toks: u32,
    output_toks: u32,
}

/// The row in `line`; its time counts from `origin`, in nanoseconds, which the first row sets.
pub(super) fn row(line: &str, origin: &mut Option<i64>) -> Result<Row, Mistake> {
    let Line { arrival_time, input_toks, output_toks } = super::native::object(line)?;
    if !(0.0..=SECONDS_MAX).contains(&arrival_time) {
        let message = format!("`arrival_time` is `{arrival_time}`");
        return Err(Mistake::new(1, message, "it counts seconds, for example since 1970"));
    }
    // A double of today's Unix time is exact to a quarter of a microsecond, which is all that the log has.
    let ns = libm::rint(arrival_time * 1e9) as i64;
    let since = ns - *origin.get_or_insert(ns);
    let earlier = || Mistake::new(1, "this request is earlier than the first one", "sort the lines by their time");
    let at = u64::try_from(since).map_err(|_| earlier())?;
    Ok(Row { at, input_tokens: input_toks, output_tokens: Some(output_toks), blocks: None })
}

/// Unix time in the year 2200, in seconds.
const SECONDS_MAX: f64 = 7.3e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first_and_what_was_measured_is_left_alone() {
        let lines = [
            r#"{"request_id": "bench-0", "input_toks": 2358, "output_toks": 531, "arrival_time": 1787267980.0827403, "last_token_ts": 27554.2}"#,
            r#"{"request_id": "bench-1", "input_toks": 1034, "output_toks": 769, "arrival_time": 1787267980.3478317, "last_token_ts": 27562.2}"#,
        ];
        let mut origin = None;
        let rows = lines.map(|line| row(line, &mut origin).expect("a row"));
        assert_eq!((rows[0].at, rows[0].input_tokens, rows[1].output_tokens), (0, 2_358, Some(769)));
        assert!(rows[1].at.abs_diff(265_091_400) < 500, "{}", rows[1].at);
        assert!(row(lines[0], &mut Some(i64::MAX)).is_err());
        assert!(row(&lines[0].replace("1787267980", "-1"), &mut None).is_err());
    }
}
