//! One limit over one window, by the generic cell rate algorithm (GCRA, ITU-T I.371) in exact fractions.
//!
//! A key's state is one instant: when its budget would be full again if nothing more were spent. An amount costs `amount × period / limit`
//! nanoseconds. That is seldom a whole number, so instants keep their remainder as a fraction of the window's own denominator: exactly
//! `burst` is admitted at once, and never more than `burst + limit × t / period` in any time `t`.

use crate::clock::Nanos;
use crate::types::allowance::{Left, Window};

/// A [`Window`] with its fraction reduced: one unit costs `price / parts` nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub window: Window,
    price: u64,
    parts: u64,
    /// What the whole burst costs.
    room: Instant,
    /// The version of the settings that brought this window: reservations that are older were not charged for it.
    pub since: u32,
}

/// An instant or a duration, `ns + part / parts` nanoseconds, `parts` being the rate's. 12 bytes, because there are millions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, packed(4))]
pub(super) struct Instant {
    ns: u64,
    part: u32,
}

/// Far beyond every run, and far enough from the end of a `u64` that sums of two do not overflow.
const FAR_NS: u64 = u64::MAX >> 2;

impl Rate {
    pub(super) fn of(window: Window, since: u32) -> Self {
        let window =
            Window { limit: window.limit.max(1), period_ns: window.period_ns.clamp(1, FAR_NS), burst: window.burst.max(1) };
        let common = greatest_common(window.period_ns, u64::from(window.limit));
        let (price, parts) = (window.period_ns / common, u64::from(window.limit) / common);
        let mut rate = Self { window, price, parts, room: Instant::default(), since };
        rate.room = rate.cost(window.burst);
        rate
    }

    fn cost(&self, amount: u32) -> Instant {
        let (ns, part) = match self.price.checked_mul(u64::from(amount)) {
            Some(units) => (units / self.parts, units % self.parts),
            None => {
                let units = u128::from(self.price) * u128::from(amount);
                let parts = u128::from(self.parts);
                // A remainder is below `parts`, which is at most the limit.
                (u64::try_from(units / parts).unwrap_or(u64::MAX), (units % parts) as u64)
            }
        };
        Instant { ns: ns.min(FAR_NS), part: part as u32 }
    }

    fn plus(&self, a: Instant, b: Instant) -> Instant {
        let part = u64::from(a.part) + u64::from(b.part);
        let (carry, part) = if part >= self.parts { (1, part - self.parts) } else { (0, part) };
        Instant { ns: (a.ns + b.ns + carry).min(FAR_NS), part: part as u32 }
    }

    /// `a − b`, or 0 if that is negative.
    fn minus(&self, a: Instant, b: Instant) -> Instant {
        if a.key() <= b.key() {
            return Instant::default();
        }
        let (borrow, part) = match a.part.checked_sub(b.part) {
            Some(part) => (0, u64::from(part)),
            None => (1, u64::from(a.part) + self.parts - u64::from(b.part)),
        };
        Instant { ns: a.ns - b.ns - borrow, part: part as u32 }
    }

    /// How long from `now` until `amount` fits, in nanoseconds: 0 if it does now, `None` if it never will.
    pub(super) fn wait(&self, full_at: Instant, now: Nanos, amount: u32) -> Option<u64> {
        if amount == 0 {
            return Some(0);
        }
        if amount > self.window.burst {
            return None;
        }
        let after = self.plus(full_at.at_least(now), self.cost(amount));
        Some(self.minus(after, self.plus(Instant::at(now), self.room)).rounded_up())
    }

    /// The state once `amount` is spent at `now`, fitting or not.
    pub(super) fn spend(&self, full_at: Instant, now: Nanos, amount: u32) -> Instant {
        self.plus(full_at.at_least(now), self.cost(amount))
    }

    /// The state once `amount` is spent at `now`; what goes beyond the burst is forgotten.
    pub(super) fn spend_up_to_burst(&self, full_at: Instant, now: Nanos, amount: u32) -> Instant {
        let (after, most) = (self.spend(full_at, now, amount), self.plus(Instant::at(now), self.room));
        if after.key() > most.key() { most } else { after }
    }

    /// The state once `charged` turns out to have been `used`. What has refilled since cannot be given back.
    pub(super) fn settle(&self, full_at: Instant, now: Nanos, charged: u32, used: u32) -> Instant {
        if used > charged { self.spend(full_at, now, used - charged) } else { self.minus(full_at, self.cost(charged - used)) }
    }

    /// What is left at `now`.
    pub(super) fn left(&self, full_at: Instant, now: Nanos) -> Left {
        let debt = self.minus(full_at, Instant::at(now));
        let free = self.units(self.minus(self.room, debt)) / u128::from(self.price);
        let remaining = u32::try_from(free).unwrap_or(u32::MAX).min(self.window.burst);
        Left { limit: self.window.limit, remaining, reset_ns: debt.rounded_up() }
    }

    /// What a state under the rate `old` is under this one: the same amount is used up, but no more than the whole burst.
    pub(super) fn carried(&self, old: &Self, full_at: Instant, now: Nanos) -> Instant {
        let debt = old.units(old.minus(full_at, Instant::at(now)));
        let (price, old_price) = (u128::from(self.price), u128::from(old.price));
        // In two steps, because the product may not fit.
        let units = (debt / old_price).saturating_mul(price).saturating_add((debt % old_price * price).div_ceil(old_price));
        let parts = u128::from(self.parts);
        let debt = Instant { ns: u64::try_from(units / parts).unwrap_or(FAR_NS).min(FAR_NS), part: (units % parts) as u32 };
        let debt = if debt.key() > self.room.key() { self.room } else { debt };
        self.plus(Instant::at(now), debt)
    }

    /// A duration in `parts` of nanoseconds.
    fn units(&self, duration: Instant) -> u128 {
        u128::from(duration.ns) * u128::from(self.parts) + u128::from(duration.part)
    }
}

impl Instant {
    fn at(now: Nanos) -> Self {
        Self { ns: now.min(FAR_NS), part: 0 }
    }

    fn at_least(self, now: Nanos) -> Self {
        if self.ns >= now { self } else { Self::at(now) }
    }

    const fn key(self) -> (u64, u32) {
        (self.ns, self.part)
    }

    /// In whole nanoseconds, rounded up.
    pub(super) const fn rounded_up(self) -> u64 {
        self.ns + (self.part > 0) as u64
    }
}

const fn greatest_common(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
