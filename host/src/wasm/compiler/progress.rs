//! What is being compiled, and since when: for who waits and wants to know why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::real::monotonic_ns;

/// A component on its way through the compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiling {
    /// The plugin's name in the scenario.
    pub plugin: String,
    /// For how long so far, in seconds; `None` while it waits for the component before it.
    pub seconds: Option<u64>,
    /// How long it may take, in seconds; `None` if nothing limits it.
    pub limit_s: Option<u64>,
}

impl std::fmt::Display for Compiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.seconds, self.limit_s) {
            (None, _) => write!(f, "`{}` waits for the compiler", self.plugin),
            (Some(seconds), None) => write!(f, "compiling `{}`, {seconds} s so far", self.plugin),
            (Some(seconds), Some(limit)) => write!(f, "compiling `{}`, {seconds} s so far, limit {limit} s", self.plugin),
        }
    }
}

/// All components on their way, in the order in which they came.
#[derive(Debug, Default)]
pub(in crate::wasm) struct Progress(Mutex<Vec<Arc<Job>>>);

/// One of them.
#[derive(Debug)]
struct Job {
    plugin: String,
    limit_s: Option<u64>,
    /// When its turn began, in nanoseconds of the machine's clock.
    begun: Mutex<Option<u64>>,
}

/// Stands for a component that is on its way until this is dropped.
pub(in crate::wasm) struct OnItsWay<'a> {
    progress: &'a Progress,
    job: Arc<Job>,
}

impl Progress {
    /// `plugin` waits for the compiler, which gives it `limit_s`.
    pub(in crate::wasm) fn enter(&self, plugin: &str, limit_s: Option<u64>) -> OnItsWay<'_> {
        let job = Arc::new(Job { plugin: plugin.to_owned(), limit_s, begun: Mutex::default() });
        lock(&self.0).push(Arc::clone(&job));
        OnItsWay { progress: self, job }
    }

    /// What is on its way now.
    pub(in crate::wasm) fn look(&self) -> Vec<Compiling> {
        let now = monotonic_ns();
        let shown = |job: &Arc<Job>| Compiling {
            plugin: job.plugin.clone(),
            seconds: lock(&job.begun).map(|begun| now.saturating_sub(begun) / 1_000_000_000),
            limit_s: job.limit_s,
        };
        lock(&self.0).iter().map(shown).collect()
    }
}

impl OnItsWay<'_> {
    /// Its turn begins.
    pub(in crate::wasm) fn begins(&self) {
        *lock(&self.job.begun) = Some(monotonic_ns());
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        lock(&self.progress.0).retain(|job| !Arc::ptr_eq(job, &self.job));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_is_compiled_is_told_apart_and_forgotten_at_its_end() {
        let progress = Progress::default();
        let first = progress.enter("first", Some(120));
        let second = progress.enter("second", None);
        first.begins();
        let said: Vec<String> = progress.look().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["compiling `first`, 0 s so far, limit 120 s", "`second` waits for the compiler"]);
        drop(first);
        assert_eq!(progress.look().len(), 1);
        drop(second);
        assert!(progress.look().is_empty());
    }
}
