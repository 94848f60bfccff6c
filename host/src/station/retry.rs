//! A budget for retries, so that they stay a share of what is asked.
//!
//! As Finagle's `RetryBudget` does it: every request pays a share of a retry in, every retry takes a whole one out, what was paid in is
//! worth something for a limited time (`ttl`), and a small rate of retries is free, so that who asks seldom may retry too. The
//! account is a ring of [`SLICES`] parts of the time; the oldest runs out as a new one begins.

use crate::clock::Nanos;

/// Parts of the time to live: what is paid in is worth something for between 9/10 and all of it.
const SLICES: usize = 10;
/// The account counts in thousandths of a retry, so that every share is exact.
const RETRY: i64 = 1_000;

/// How many retries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Retries for 1,000 requests; Finagle's default is 200.
    pub per_mille: u32,
    /// Retries a second that are free; Finagle's default is 10.
    pub free_per_s: u32,
    /// How long what a request paid in can be used, in nanoseconds; at least 10. Finagle's default is 10 s.
    pub ttl_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { per_mille: 200, free_per_s: 10, ttl_ns: 10_000_000_000 }
    }
}

/// The budget.
#[derive(Debug, Clone)]
pub struct Retry {
    per_request: i64,
    slice_ns: u64,
    /// What is free within the time to live.
    free: i64,
    /// What was paid in less what was taken out, by slice. A slice may be below 0: retries are taken from the one that they fall in.
    slices: [i64; SLICES],
    sum: i64,
    /// The number of the slice that is being filled, since the run began.
    slice: u64,
}

impl Retry {
    /// A budget into which nothing was paid yet.
    pub fn new(settings: Settings) -> Self {
        let ttl_ns = settings.ttl_ns.max(SLICES as u64);
        let free = u128::from(settings.free_per_s) * u128::from(ttl_ns) * RETRY as u128 / 1_000_000_000;
        Self {
            per_request: i64::from(settings.per_mille),
            slice_ns: ttl_ns / SLICES as u64,
            free: i64::try_from(free).unwrap_or(i64::MAX / 2).min(i64::MAX / 2),
            slices: [0; SLICES],
            sum: 0,
            slice: 0,
        }
    }

    /// Counts a request that is no retry.
    pub fn deposit(&mut self, now: Nanos) {
        self.add(now, self.per_request);
    }

    /// May there be a retry at `now`? If so it is counted.
    pub fn withdraw(&mut self, now: Nanos) -> bool {
        self.turn(now);
        let may = self.free + self.sum >= RETRY;
        if may {
            self.add(now, -RETRY);
        }
        may
    }

    /// How many retries there could be at once now.
    pub fn left(&mut self, now: Nanos) -> u64 {
        self.turn(now);
        u64::try_from((self.free + self.sum) / RETRY).unwrap_or(0)
    }

    fn add(&mut self, now: Nanos, amount: i64) {
        self.turn(now);
        self.slices[(self.slice % SLICES as u64) as usize] += amount;
        self.sum += amount;
    }

    /// Lets the slices run out that are too old at `now`.
    fn turn(&mut self, now: Nanos) {
        let slice = now / self.slice_ns;
        for _ in 0..slice.saturating_sub(self.slice).min(SLICES as u64) {
            self.slice += 1;
            let gone = std::mem::take(&mut self.slices[(self.slice % SLICES as u64) as usize]);
            self.sum -= gone;
        }
        self.slice = self.slice.max(slice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    const S: u64 = 1_000_000_000;

    fn budget(per_mille: u32, free_per_s: u32) -> Retry {
        Retry::new(Settings { per_mille, free_per_s, ttl_ns: 10 * S })
    }

    #[test]
    fn a_tenth_of_the_requests_may_be_retried() {
        let mut retry = budget(100, 0);
        assert!(!retry.withdraw(0));
        for _ in 0..25 {
            retry.deposit(0);
        }
        assert_eq!(retry.left(0), 2);
        assert_eq!([retry.withdraw(0), retry.withdraw(0), retry.withdraw(0)], [true, true, false]);
        // The half that was left over counts.
        for _ in 0..5 {
            retry.deposit(S);
        }
        assert_eq!([retry.withdraw(S), retry.withdraw(S)], [true, false]);
    }

    #[test]
    fn what_was_paid_in_runs_out() {
        let mut retry = budget(1_000, 0);
        retry.deposit(S / 2);
        assert_eq!(retry.left(10 * S - 1), 1);
        assert_eq!(retry.left(10 * S), 0);
        retry.deposit(20 * S);
        assert_eq!((retry.left(25 * S), retry.left(1_000 * S)), (1, 0));
        // Time does not go backwards.
        retry.deposit(0);
        assert_eq!(retry.left(1_009 * S), 1);
    }

    #[test]
    fn a_few_retries_are_free_for_who_asks_seldom() {
        let mut retry = budget(0, 2);
        let taken = (0..100).filter(|_| retry.withdraw(0)).count();
        assert_eq!(taken, 20);
        assert!(!retry.withdraw(9 * S));
        // As the time to live has passed, they are free again.
        assert_eq!((0..100).filter(|_| retry.withdraw(10 * S)).count(), 20);
    }

    #[test]
    fn while_everything_fails_the_load_grows_by_the_share_and_no_more() {
        // 100 requests a second for ten minutes, everything fails and every client retries whenever it may.
        let mut retry = budget(200, 0);
        let mut draws = Key::of_seed(4).stream();
        let (mut requests, mut retries, mut now) = (0_u64, 0_u64, 0);
        while now < 600 * S {
            now += draws.bits() % (S / 50);
            requests += 1;
            retry.deposit(now);
            while retry.withdraw(now) {
                retries += 1;
                assert!(retries * 5 <= requests, "{retries} retries of {requests} requests");
            }
        }
        // Of each time to live, what is no whole retry is lost.
        assert!((retries + 60) * 5 > requests, "{retries} retries of {requests} requests");
    }
}
