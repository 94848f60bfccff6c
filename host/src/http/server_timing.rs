//! The header `server-timing` (W3C Server Timing) of replies that went through a pipeline: what each stage took, in milliseconds.
//!
//! `route;dur=3, model;dur=41.27, model.wait;dur=12.5`: a stage's time counts from coming to leaving, and the part that was waiting
//! stands behind it. A stream's head leaves while its reply is being written: that stage counts up to then.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};

use crate::engine::drive::Marks;
use crate::types::limits::SERVER_TIMING_STAGES_MAX;

/// The header's name.
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What `marks` say, by the names of the stages; `None` if they say nothing.
pub(super) fn server_timing(marks: &Marks, stages: &[String]) -> Option<HeaderValue> {
    let mut text = String::new();
    for mark in marks.iter().take(SERVER_TIMING_STAGES_MAX) {
        let name = stages.get(usize::from(mark.stage)).map_or("", |name| name);
        let waited = mark.begun.unwrap_or(mark.left).saturating_sub(mark.entered);
        metric(&mut text, name, "", mark.left.saturating_sub(mark.entered));
        if waited > 0 {
            metric(&mut text, name, ".wait", waited);
        }
    }
    (!text.is_empty()).then(|| HeaderValue::from_str(&text).ok()).flatten()
}

fn metric(text: &mut String, name: &str, suffix: &str, ns: u64) {
    if !text.is_empty() {
        text.push_str(", ");
    }
    // A name of the scenario may be any text; a metric's is a token of RFC 9110.
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    text.extend(name.chars().map(|letter| if is_token(letter) { letter } else { '-' }));
    // Thousands of milliseconds need no exponent, and a nanosecond is what the stations know.
    let (ms, rest) = (ns / 1_000_000, ns % 1_000_000);
    let written = match rest {
        0 => write!(text, "{suffix};dur={ms}"),
        rest => write!(text, "{suffix};dur={ms}.{}", format!("{rest:06}").trim_end_matches('0')),
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::station::pipeline::Mark;

    #[test]
    fn times_are_milliseconds_and_waiting_stands_behind_its_stage() {
        let stages = ["route".to_owned(), "the model".to_owned(), "späť".to_owned()];
        let marks = Marks::from_iter([
            Mark { stage: 0, entered: 1_000_000, begun: Some(1_000_000), left: 4_000_000, passed: true, member: 0 },
            Mark { stage: 1, entered: 4_000_000, begun: Some(16_500_000), left: 45_270_001, passed: false, member: 0 },
            Mark { stage: 2, entered: 5, begun: None, left: 5, passed: false, member: 0 },
        ]);
        let value = server_timing(&marks, &stages).unwrap();
        assert_eq!(value, "route;dur=3, the-model;dur=41.270001, the-model.wait;dur=12.5, sp--;dur=0");
    }

    #[test]
    fn a_reply_without_stages_has_no_header() {
        assert_eq!(server_timing(&Marks::new(), &[]), None);
    }

    #[test]
    fn a_header_stays_short_however_often_a_stage_is_tried() {
        let mark = Mark { stage: 0, entered: 0, begun: Some(0), left: 7, passed: false, member: 0 };
        let marks = std::iter::repeat_n(mark, 10_000).collect();
        let value = server_timing(&marks, &["a".to_owned()]).unwrap();
        assert_eq!(value.to_str().unwrap().split(", ").count(), SERVER_TIMING_STAGES_MAX);
    }
}
