//! A budget for retries, so that they stay a share of what is asked.
//!
//! As Finagle's `RetryBudget` does it: every request pays a share of a retry in, every retry takes a whole one out, what was paid in is
//! worth something for a limited time (`ttl`), and a small rate of retries is free, so that who asks seldom may retry too. The
//! account is a ring of [`SLICES`] parts of the time; the oldest runs out as a new one begins.
//!
//! Otherwise than Finagle's, what is less than one retry does not run out: without free retries, a share of so few requests that it is
//! no whole retry within the time would else be none at all. So the share holds at any rate, and more than one old retry is never saved.

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
    /// How long what a request paid in can be used, in nanoseconds; at least 10. Finagle's default is 10 s. Up to one retry is kept
    /// longer.
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
    /// What has run out and is kept all the same, because the account would else be below one retry.
    kept: i64,
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
            kept: 0,
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
        let may = self.free + self.sum + self.kept >= RETRY;
        if may {
            self.add(now, -RETRY);
        }
        may
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
            // A retry that runs out gives what it was taken from back, and that is spent: it is kept no more.
            self.kept = (RETRY - self.free - self.sum).clamp(0, (self.kept + gone).max(0));
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

    /// How many retries there could be at once at `now`.
    fn left(retry: &Retry, now: Nanos) -> usize {
        let mut retry = retry.clone();
        std::iter::repeat_with(|| retry.withdraw(now)).take_while(|may| *may).count()
    }

    #[test]
    fn a_tenth_of_the_requests_may_be_retried() {
        let mut retry = budget(100, 0);
        assert!(!retry.withdraw(0));
        for _ in 0..25 {
            retry.deposit(0);
        }
        assert_eq!(left(&retry, 0), 2);
        assert_eq!([retry.withdraw(0), retry.withdraw(0), retry.withdraw(0)], [true, true, false]);
        // The half that was left over counts.
        for _ in 0..5 {
            retry.deposit(S);
        }
        assert_eq!([retry.withdraw(S), retry.withdraw(S)], [true, false]);
    }

    #[test]
    fn what_was_paid_in_runs_out_but_for_one_retry() {
        let mut retry = budget(1_000, 0);
        (0..3).for_each(|_| retry.deposit(S / 2));
        assert_eq!((left(&retry, 10 * S - 1), left(&retry, 10 * S), left(&retry, 1_000 * S)), (3, 1, 1));
        // A retry out of what was kept is one, and does not come back.
        assert_eq!([retry.withdraw(50 * S), retry.withdraw(50 * S)], [true, false]);
        assert_eq!((left(&retry, 60 * S), left(&retry, 1_000 * S)), (0, 0));
        // Time does not go backwards.
        retry.deposit(1_000 * S);
        retry.deposit(0);
        assert_eq!((left(&retry, 1_009 * S), left(&retry, 1_010 * S)), (2, 1));
    }

    #[test]
    fn the_share_is_the_same_however_seldom_requests_come() {
        for every_ms in [1, 100, 3_000, 60_000, 3_600_000] {
            let mut retry = budget(200, 0);
            let mut retries = 0;
            for number in 1..=1_000_u64 {
                let now = number * every_ms * 1_000_000;
                retry.deposit(now);
                retries += u64::from(retry.withdraw(now));
                assert!(retries * 5 <= number, "{retries} retries of {number} requests");
            }
            assert_eq!(retries, 200, "every {every_ms} ms");
        }
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
        assert!((retries + 1) * 5 > requests, "{retries} retries of {requests} requests");
    }

    proptest::proptest! {
        #[test]
        fn no_history_gives_more_than_the_share(
            per_mille in 1_u32..1_500,
            steps in proptest::collection::vec((0_u64..12_000, 0_u32..4, 0_u32..4), 1..300),
        ) {
            let mut retry = budget(per_mille, 0);
            let (mut now, mut requests, mut retries) = (0, 0_u64, 0_u64);
            for (gap_ms, deposits, asked) in steps {
                now += gap_ms * gap_ms / 12_000 * 1_000_000;
                (0..deposits).for_each(|_| retry.deposit(now));
                requests += u64::from(deposits);
                retries += (0..asked).filter(|_| retry.withdraw(now)).count() as u64;
                proptest::prop_assert!(retries * 1_000 <= requests * u64::from(per_mille), "{} of {}", retries, requests);
            }
        }
    }
}
