//! How long a registry may take, and when it is worth another try. Decided here, waited for elsewhere.

use std::time::Duration;

use crate::pack::registry::error::RegistryError;
use crate::random::{Key, fresh_seed};
use crate::types::limits;

/// Deadlines and tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From a request to the head of its answer.
    pub head: Duration,
    /// Between bytes of a body.
    pub idle: Duration,
    /// The slowest rate, in bytes a second, of a body as a whole once [`Bounds::idle`] has passed.
    pub slowest: u64,
    /// Tries of one request.
    pub tries: u32,
    /// Before the second try, and doubled before each later one.
    pub wait: Duration,
    /// The longest wait, also one that the registry asks for.
    pub longest_wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(limits::REGISTRY_CONNECT_S),
            head: Duration::from_secs(limits::REGISTRY_HEAD_S),
            idle: Duration::from_secs(limits::REGISTRY_IDLE_S),
            slowest: limits::REGISTRY_RATE_BYTES_PER_S,
            tries: limits::REGISTRY_TRIES_MAX,
            wait: Duration::from_millis(limits::REGISTRY_WAIT_MS),
            longest_wait: Duration::from_secs(limits::REGISTRY_WAIT_S_MAX),
        }
    }
}

impl Bounds {
    /// How long a body of `size` bytes may take.
    pub(super) fn whole(&self, size: u64) -> Duration {
        self.idle + Duration::from_secs_f64(size as f64 / self.slowest.max(1) as f64)
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Tries {
    made: u32,
    key: Key,
}

impl Tries {
    /// None so far.
    pub(super) fn new() -> Self {
        Self { made: 0, key: Key::of_seed(fresh_seed()) }
    }

    /// After a try that ended in `error`: how long to wait before the next, or the error if there is none.
    pub(super) fn after(&mut self, error: RegistryError, bounds: &Bounds) -> Result<Duration, RegistryError> {
        self.made += 1;
        let asked = match &error {
            RegistryError::Unreachable { .. } | RegistryError::TimedOut { .. } | RegistryError::Cut { .. } => Duration::ZERO,
            RegistryError::Status { status: 429 | 500 | 502 | 503 | 504, retry_after, .. } => retry_after.unwrap_or_default(),
            _ => return Err(error),
        };
        if asked > bounds.longest_wait {
            return Err(error);
        }
        if self.made >= bounds.tries {
            return Err(RegistryError::GaveUp { tries: self.made, error: Box::new(error) });
        }
        let doubled = bounds.wait.saturating_mul(1 << (self.made - 1).min(16)).min(bounds.longest_wait);
        // Half is certain, half is drawn, so that clients that failed together do not come back together.
        Ok(asked.max(doubled.mul_f64(0.5 + 0.5 * self.key.with(self.made.into()).unit())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<u64>) -> RegistryError {
        let retry_after = retry_after.map(Duration::from_secs);
        RegistryError::Status { place: "r.io".to_owned(), status, said: String::new(), retry_after }
    }

    #[test]
    fn waits_double_with_a_part_that_is_drawn_and_then_end() {
        let bounds = Bounds::default();
        let mut tries = Tries::new();
        for (low, high) in [(250, 500), (500, 1_000), (1_000, 2_000)] {
            let wait = tries.after(status(500, None), &bounds).expect("another try");
            assert!((low..=high).contains(&wait.as_millis()), "{wait:?}");
        }
        let error = tries.after(status(500, None), &bounds).expect_err("enough");
        assert_eq!(error.to_string(), "`r.io` answers 500; tried 4 times");
        let waits = |_| Tries::new().after(status(500, None), &bounds).expect("another try");
        assert!((0..20).map(waits).collect::<std::collections::BTreeSet<_>>().len() > 10, "a part is drawn");
    }

    #[test]
    fn a_registry_is_given_the_time_that_it_asks_for_but_not_any() {
        let bounds = Bounds::default();
        assert_eq!(Tries::new().after(status(429, Some(7)), &bounds).expect("another try"), Duration::from_secs(7));
        let error = Tries::new().after(status(429, Some(600)), &bounds).expect_err("too long");
        assert_eq!(error.to_string(), "`r.io` answers 429; it asks to come back in 600 s");
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        for code in [400, 404, 409, 501] {
            assert!(Tries::new().after(status(code, None), &Bounds::default()).is_err(), "{code}");
        }
        let lie = RegistryError::Stranger { place: "r.io".to_owned(), reason: "it is none".to_owned() };
        assert_eq!(Tries::new().after(lie, &Bounds::default()).expect_err("no other try").code(), "no_registry");
    }

    #[test]
    fn a_body_has_its_time_by_its_size() {
        let bounds = Bounds::default();
        assert_eq!(bounds.whole(0), Duration::from_secs(30));
        assert_eq!(bounds.whole(8 * 1024 * 60), Duration::from_secs(90));
    }
}
