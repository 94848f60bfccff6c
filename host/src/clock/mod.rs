//! Time as the product knows it: nanoseconds since the run began, on whichever clock runs.
//!
//! [`real`] is the only place that reads the machine's clock. Everything else is handed a [`Nanos`] or a [`Clock`].

pub mod real;

/// Nanoseconds since the run began.
pub type Nanos = u64;

/// A clock that says what time it is in the run.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the run began; never goes backwards.
    fn now(&self) -> Nanos;
    /// Unix time in seconds of the moment at which the run began.
    fn epoch_unix_s(&self) -> u64;
}
