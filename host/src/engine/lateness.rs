//! How late bytes reach the socket after their plan's deadline: the simulator's own honesty, exported and never hidden.

use std::sync::OnceLock;

use crate::clock::Nanos;
use crate::stats::histogram::{Histogram, Snapshot};
use crate::telemetry::metrics;

struct Lateness {
    exact: Histogram,
    exported: ::metrics::Histogram,
}

fn shared() -> &'static Lateness {
    static SHARED: OnceLock<Lateness> = OnceLock::new();
    SHARED.get_or_init(|| Lateness { exact: Histogram::default(), exported: metrics::histogram(metrics::LATENESS, &[]) })
}

/// Notes that `tokens` tokens due at `due` were written at `written`.
pub fn record(due: Nanos, written: Nanos, tokens: u32) {
    let late = written.saturating_sub(due);
    let lateness = shared();
    lateness.exact.record(late, tokens.into());
    // One observation a write, not one a token: tokens of one write that were due together are one event.
    lateness.exported.record(late as f64 * 1e-9);
}

/// All lateness of this process so far, by token, in nanoseconds.
pub fn snapshot() -> Snapshot {
    shared().exact.snapshot()
}
