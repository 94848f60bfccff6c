//! The janitor: one thread for all pools, which drops instances that have been retired and makes new ones, so that neither costs a
//! request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::wasm::pool::Pool;

/// The thread that tends all pools; it ends when this is dropped.
pub(super) struct Janitor {
    rounds: Arc<Rounds>,
    thread: Option<JoinHandle<()>>,
    handle: Thread,
}

#[derive(Default)]
struct Rounds {
    stop: AtomicBool,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Janitor {
    /// Starts the thread. Fails if the system gives none.
    pub(super) fn start() -> std::io::Result<Self> {
        let rounds = Arc::new(Rounds::default());
        let seen = Arc::clone(&rounds);
        let thread = std::thread::Builder::new().name("plugin-janitor".to_owned()).spawn(move || {
            while !seen.stop.load(Ordering::Relaxed) {
                seen.go();
                std::thread::park_timeout(Duration::from_secs(1));
            }
        })?;
        Ok(Self { rounds, handle: thread.thread().clone(), thread: Some(thread) })
    }

    /// Sees to the pools now and not in a second.
    pub(super) fn wake(&self) {
        self.handle.unpark();
    }

    /// Tends `pool` too, while somebody holds it.
    pub(super) fn tend_also(&self, pool: &Arc<Pool>) {
        self.rounds.pools().push(Arc::downgrade(pool));
    }
}

impl Rounds {
    fn pools(&self) -> MutexGuard<'_, Vec<Weak<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn go(&self) {
        let pools: Vec<_> = {
            let mut pools = self.pools();
            pools.retain(|pool| pool.strong_count() > 0);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        pools.iter().for_each(|pool| pool.tend());
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.rounds.stop.store(true, Ordering::Relaxed);
        self.handle.unpark();
        // The last pool may go on the janitor's own thread and take this along; a thread cannot wait for itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A round cannot panic, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}
