//! What one guest may use, and what happens when it wants more.
//!
//! Memory and tables: growth beyond the limit is refused as the instruction allows (-1), and remembered, so that the abort that
//! usually follows is called by its name. Time: when an epoch ends the guest's thread looks at its own CPU time and goes on if
//! the guest has not used it up; a busy machine must not kill the innocent. A cap in wall time stops the rest.

use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};

use crate::clock::real::{monotonic_ns, thread_cpu_ns};
use crate::types::limits;
use crate::wasm::error::{Cause, Refusal};
use crate::wasm::guest::Guest;

/// Epochs until a call is looked at for the first time. The first may end at once; two make sure that quick calls never pay.
pub(super) const FIRST_LOOK_TICKS: u64 = 2;

/// Memory and tables of one instance.
#[derive(Debug)]
pub(super) struct Space {
    limit_bytes: usize,
    used_bytes: usize,
    refused: bool,
}

impl Space {
    /// Room for `limit_bytes` of linear memory, all memories together.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, refused: false }
    }

    /// The limit in bytes.
    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Linear memory in bytes, used or not.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Has growth been refused since [`Space::begin`]?
    pub(super) fn was_refused(&self) -> bool {
        self.refused
    }

    /// A new call begins.
    pub(super) fn begin(&mut self) {
        self.refused = false;
    }
}

impl ResourceLimiter for Space {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.used_bytes.saturating_sub(current).saturating_add(desired);
        if total > self.limit_bytes {
            self.refused = true;
            return Ok(false);
        }
        self.used_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= limits::GUEST_TABLE_ELEMENTS;
        self.refused |= !granted;
        Ok(granted)
    }
}

/// The time of one call.
#[derive(Debug, Default)]
pub(super) struct Watch {
    limit_us: u64,
    /// CPU and wall time in nanoseconds at the first look.
    first_look: Option<(u64, u64)>,
}

impl Watch {
    /// A call with `limit_us` of CPU time begins.
    pub(super) fn begin(&mut self, limit_us: u64) {
        self.limit_us = limit_us;
        self.first_look = None;
    }

    /// The limit in microseconds.
    pub(super) fn limit_us(&self) -> u64 {
        self.limit_us
    }

    /// Has the call that just ended used so much CPU time that it should not run on a worker? Free for calls that end at once.
    pub(super) fn was_slow(&self) -> bool {
        self.first_look.is_some_and(|(cpu, _)| thread_cpu_ns().saturating_sub(cpu) > limits::GUEST_INLINE_US * 1_000)
    }

    /// Looks at the time when an epoch ends: go on, or stop. What was used before the first look, less than
    /// [`FIRST_LOOK_TICKS`] ticks, is not charged, since nobody knows how much of it the thread was really running.
    fn look(&mut self) -> Result<(), String> {
        let (cpu, wall) = (thread_cpu_ns(), monotonic_ns());
        let Some((first_cpu, first_wall)) = self.first_look else {
            self.first_look = Some((cpu, wall));
            return Ok(());
        };
        if cpu.saturating_sub(first_cpu) > self.limit_us * 1_000 {
            return Err(overtime(self.limit_us));
        }
        let wall_limit_us = limits::GUEST_WALL_US.max(self.limit_us * 5);
        if wall.saturating_sub(first_wall) > wall_limit_us * 1_000 {
            return Err(format!(
                "was not done after {} ms, most of which the machine spent on other things",
                wall_limit_us / 1_000
            ));
        }
        Ok(())
    }
}

/// Says that a call took more than `limit_us`.
pub(super) fn overtime(limit_us: u64) -> String {
    format!("used up its {} ms of time", limit_us as f64 / 1_000.0)
}

/// What an ended epoch does to the guest that is running.
pub(super) fn on_epoch(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    match store.data_mut().watch.look() {
        Ok(()) => Ok(UpdateDeadline::Continue(1)),
        Err(message) => Err(Refusal::raise(Cause::Timeout, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_beyond_the_limit_is_refused_and_remembered() {
        let mut space = Space::new(1 << 20);
        assert!(space.memory_growing(0, 1 << 19, None).expect("an answer"));
        assert!(!space.memory_growing(1 << 19, 1 << 32, None).expect("an answer"));
        assert!(space.was_refused());
        assert_eq!(space.used_bytes(), 1 << 19);
        space.begin();
        assert!(!space.was_refused());
    }

    #[test]
    fn several_memories_share_one_limit() {
        let mut space = Space::new(1 << 20);
        assert!(space.memory_growing(0, 1 << 19, None).expect("an answer"));
        assert!(space.memory_growing(0, 1 << 19, None).expect("an answer"));
        assert!(!space.memory_growing(0, 1 << 16, None).expect("an answer"));
    }

    #[test]
    fn a_call_that_nobody_looked_at_is_not_slow() {
        let mut watch = Watch::default();
        watch.begin(20_000);
        assert!(!watch.was_slow());
        assert_eq!(watch.look(), Ok(()));
    }

    #[test]
    fn a_call_is_stopped_when_its_cpu_time_is_used_up() {
        let mut watch = Watch::default();
        watch.begin(0);
        watch.look().expect("the first look only starts the watch");
        // CPU time passes as the watch itself is read; no limit is smaller than this one.
        let stopped = (0..1_000_000).find_map(|_| watch.look().err());
        assert_eq!(stopped.as_deref(), Some("used up its 0 ms of time"));
    }
}
