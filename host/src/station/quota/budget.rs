//! A minute's budget that refills evenly, as vendors count requests and tokens.
//!
//! The state is one number: when the budget would be full again if nothing more were spent (the "theoretical arrival time" of the
//! generic cell rate algorithm, ITU-T I.371). So a budget costs eight bytes, and spending is one atomic step. A budget only counts
//! so far: what is spent beyond it is forgotten, and nobody is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;
use crate::types::allowance::Left;

/// The time within which a budget refills, in nanoseconds.
const PERIOD_NS: u64 = 60_000_000_000;

/// One budget. Its limit is told with each question, because a reload may change it.
#[derive(Debug, Default)]
pub struct Budget {
    full_at: AtomicU64,
}

impl Budget {
    /// Counts `amount` at `now` against `limit` a minute (at least 1) and says what is left.
    pub fn spend(&self, amount: u32, limit: u32, now: Nanos) -> Left {
        let limit = limit.max(1);
        let cost_ns = u128::from(amount) * u128::from(PERIOD_NS) / u128::from(limit);
        let spent =
            |full_at: u64| full_at.max(now).saturating_add(cost_ns.min(u128::from(PERIOD_NS)) as u64).min(now + PERIOD_NS);
        // Always `Some`, so this never fails.
        let before = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| Some(spent(full_at)));
        let reset_ns = spent(before.unwrap_or_else(|full_at| full_at)) - now;
        // Rounded up: a unit that is not whole yet cannot be used.
        let used = (u128::from(reset_ns) * u128::from(limit)).div_ceil(u128::from(PERIOD_NS)) as u32;
        Left { limit, remaining: limit.saturating_sub(used), reset_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_budget_refills_evenly_within_a_minute() {
        let budget = Budget::default();
        assert_eq!(budget.spend(1, 10_000, 0), Left { limit: 10_000, remaining: 9_999, reset_ns: 6_000_000 });
        assert_eq!(budget.spend(99, 10_000, 0), Left { limit: 10_000, remaining: 9_900, reset_ns: 600_000_000 });
        assert_eq!(budget.spend(1, 10_000, S), Left { limit: 10_000, remaining: 9_999, reset_ns: 6_000_000 });
    }

    #[test]
    fn what_is_spent_beyond_a_budget_is_forgotten() {
        let budget = Budget::default();
        assert_eq!(budget.spend(u32::MAX, 60, 0), Left { limit: 60, remaining: 0, reset_ns: 60 * S });
        assert_eq!(budget.spend(1, 60, 0).remaining, 0);
        assert_eq!(budget.spend(0, 60, 30 * S), Left { limit: 60, remaining: 30, reset_ns: 30 * S });
    }

    #[test]
    fn nothing_is_counted_twice_or_lost_between_threads() {
        let budget = Budget::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| _ = budget.spend(1, 1_000_000, 0)));
            }
        });
        assert_eq!(budget.spend(0, 1_000_000, 0).remaining, 996_000);
    }
}
