//! Moves the epoch so that guests cannot hang. One plain thread, however many plugins and calls there are: a task of the async
//! runtime would stop exactly when looping guests hold all its workers.
//!
//! An epoch that ends does not end a call. It only makes the guest look up; [`crate::wasm::limits`] then decides by the CPU time
//! that the call has really used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// One tick, in microseconds: how soon an overlong call is noticed.
pub(super) const TICK_US: u64 = 1_000;

/// The thread that ticks; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking for `engine`. Fails if the system gives no thread.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, engine) = (Arc::clone(&stop), engine.clone());
        let thread = std::thread::Builder::new().name("plugin-epochs".to_owned()).spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_micros(TICK_US));
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only sleeps and counts: it cannot fail, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}
