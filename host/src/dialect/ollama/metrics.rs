//! When a line was made, and what a reply took, in nanoseconds. Both follow from the plan: the times are those at which tokens were due.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};

use crate::dialect::json::splice::push_number;
use crate::types::usage::Usage;

/// One part in so many of the time to the first token goes into loading, which is short for a model that is in memory.
const LOAD_PARTS: u64 = 16;

/// What a reply took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Took {
    /// Nanoseconds from the request to its first token.
    pub(super) first_ns: u64,
    /// Nanoseconds from the request to its last token.
    pub(super) last_ns: u64,
}

/// What of the `first_ns` to the first token goes into loading.
pub(super) fn load_of(first_ns: u64) -> u64 {
    first_ns / LOAD_PARTS
}

/// Appends the moment `after_ns` after the second `unix_s`, as a time of RFC 3339 with all of its nanoseconds.
pub(super) fn push_time(out: &mut BytesMut, unix_s: u64, after_ns: u64) {
    let at = UNIX_EPOCH + Duration::from_secs(unix_s) + Duration::from_nanos(after_ns);
    // Nothing can fail here: the buffer grows.
    let _ = write!(out, "{}", humantime::format_rfc3339_nanos(at));
}

/// Appends durations and counts, beginning with a comma.
pub(super) fn push_metrics(out: &mut BytesMut, took: Took, usage: &Usage) {
    let load = load_of(took.first_ns);
    let fields = [
        (&b",\"total_duration\":"[..], took.last_ns),
        (b",\"load_duration\":", load),
        (b",\"prompt_eval_count\":", u64::from(usage.input)),
        (b",\"prompt_eval_duration\":", took.first_ns - load),
        (b",\"eval_count\":", u64::from(usage.output)),
        (b",\"eval_duration\":", took.last_ns.saturating_sub(took.first_ns)),
    ];
    for (key, number) in fields {
        out.put_slice(key);
        push_number(out, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        let mut out = BytesMut::new();
        let usage = Usage { input: 7, output: 3, ..Usage::default() };
        push_metrics(&mut out, Took { first_ns: 1_000, last_ns: 5_000 }, &usage);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            ",\"total_duration\":5000,\"load_duration\":62,\"prompt_eval_count\":7,\"prompt_eval_duration\":938,\"eval_count\":3,\"eval_duration\":4000"
        );
    }

    #[test]
    fn times_have_all_nanoseconds() {
        let mut out = BytesMut::new();
        push_time(&mut out, 1_790_000_000, 1_500_000_001);
        assert_eq!(std::str::from_utf8(&out).unwrap(), "2026-09-21T14:13:21.500000001Z");
    }
}
