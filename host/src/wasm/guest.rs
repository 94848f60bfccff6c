//! What the host knows about one instance while it runs: the data of its store.
//!
//! It holds the request in hand, what is left of the call's budgets, and what the guest has said. Everything about one call is
//! set by [`Guest::begin`] and let go by [`Guest::end`], so that nothing of one request is there for the next.

use std::sync::Arc;

use crate::behavior::call::Call;
use crate::clock::Nanos;
use crate::random::{Key, Stream};
use crate::types::limits;
use crate::types::request::Request;
use crate::wasm::bindings::simwright::plugin::log::Level;
use crate::wasm::error::{Cause, Refusal};
use crate::wasm::host_services::Home;
use crate::wasm::limits::{Space, Watch, overtime};

/// The data of one instance's store.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) home: Arc<Home>,
    pub(super) space: Space,
    pub(super) watch: Watch,
    /// The request in hand; `None` outside a behaviour's call.
    pub(super) request: Option<Arc<Request>>,
    /// Plan time.
    pub(super) now: Nanos,
    /// Unix time in seconds at which `now` is 0.
    pub(super) epoch_unix_s: u64,
    /// Seed of the call in hand.
    seed: u64,
    /// What WASI's random functions give, once one has been asked: few guests do, and each call would pay.
    draws: Option<Stream>,
    /// A trial call: it must leave no trace in state, log and metrics.
    pub(super) rehearsal: bool,
    transfer_left: usize,
    /// Lines that the call may log, and one more to say that it may not.
    log_left: u32,
    /// Standard output's and standard error's unfinished lines.
    lines: [Vec<u8>; 2],
    /// The end of what this call wrote to standard error.
    words: Vec<u8>,
}

/// What a guest may see of a call besides its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// Plan time.
    pub(super) now: Nanos,
    /// Seed of WASI's random numbers.
    pub(super) seed: u64,
    /// The request in hand; nobody's where an autoscaler is asked.
    pub(super) request: Option<&'a Arc<Request>>,
}

impl<'a> From<&Call<'a>> for Moment<'a> {
    fn from(call: &Call<'a>) -> Self {
        Self { now: call.now, seed: call.seed, request: Some(call.request) }
    }
}

/// Where a guest writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

impl Guest {
    /// A guest that has not begun, with `memory_bytes` of memory.
    pub(super) fn new(home: Arc<Home>, memory_bytes: usize, epoch_unix_s: u64) -> Self {
        Self {
            home,
            space: Space::new(memory_bytes),
            watch: Watch::default(),
            request: None,
            now: 0,
            epoch_unix_s,
            seed: 0,
            draws: None,
            rehearsal: false,
            transfer_left: limits::GUEST_TRANSFER_BYTES,
            log_left: 0,
            lines: [Vec::new(), Vec::new()],
            words: Vec::new(),
        }
    }

    /// Setting up begins: no request, no time, the same draws for every instance.
    pub(super) fn begin_setup(&mut self) {
        self.renew(limits::GUEST_SETUP_US);
        self.seed = 0;
    }

    /// A behaviour's call begins, with `time_us` of CPU time.
    #[inline]
    pub(super) fn begin(&mut self, moment: Moment<'_>, time_us: u64) {
        self.renew(time_us);
        self.request = moment.request.map(Arc::clone);
        self.now = moment.now;
        self.seed = moment.seed;
    }

    #[inline]
    fn renew(&mut self, time_us: u64) {
        self.watch.begin(time_us);
        self.space.begin();
        self.transfer_left = limits::GUEST_TRANSFER_BYTES;
        self.log_left = limits::GUEST_LOG_LINES + 1;
        self.draws = None;
        self.words.clear();
    }

    /// The guest looks at a clock of WASI's.
    pub(super) fn looks_at_clock(&self) {
        if let Some(journal) = &self.home.journal
            && self.request.is_some()
        {
            journal.clock();
        }
    }

    /// The random numbers of this call.
    pub(super) fn draws(&mut self) -> &mut Stream {
        let seed = self.seed;
        self.draws.get_or_insert_with(|| Key::of_seed(seed).named("wasi").stream())
    }

    /// The call has ended: lets go of the request and says what was left unsaid.
    #[inline]
    pub(super) fn end(&mut self) {
        self.request = None;
        for output in [Output::Out, Output::Error] {
            if !self.lines[output as usize].is_empty() {
                self.finish_line(output);
            }
        }
    }

    /// Takes `bytes` from what the call may move through the host.
    pub(super) fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        match self.transfer_left.checked_sub(bytes) {
            Some(left) => {
                self.transfer_left = left;
                Ok(())
            }
            None => {
                let limit = crate::wasm::error::mebibytes(limits::GUEST_TRANSFER_BYTES);
                Err(Refusal::raise(Cause::Transfer, format!("moved more than {limit} through the host")))
            }
        }
    }

    /// May one more line be logged? Counts it; says once that there will be no more.
    pub(super) fn may_log(&mut self) -> bool {
        if self.rehearsal || self.log_left == 0 {
            return false;
        }
        self.log_left -= 1;
        if self.log_left == 0 {
            let lines = limits::GUEST_LOG_LINES;
            self.home.say(Level::Warn, &format!("the rest of this call's log is dropped; it has reached {lines} lines"));
            return false;
        }
        true
    }

    /// The guest wrote `bytes`: whole lines go to its log, the end of standard error is kept for error messages.
    pub(super) fn write(&mut self, output: Output, bytes: &[u8]) {
        if output == Output::Error {
            self.words.extend_from_slice(bytes);
            let excess = self.words.len().saturating_sub(limits::GUEST_LAST_WORDS_BYTES);
            self.words.drain(..excess);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = &mut self.lines[output as usize];
            let room = limits::GUEST_LOG_LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish_line(output);
            }
        }
    }

    fn finish_line(&mut self, output: Output) {
        if self.may_log() {
            let text = String::from_utf8_lossy(&self.lines[output as usize]);
            let line = crate::wasm::host_services::printable(text.trim_end());
            let level = if output == Output::Out { Level::Info } else { Level::Warn };
            if !is_noise(&line) {
                self.home.say(level, &line);
            }
        }
        self.lines[output as usize].clear();
    }

    /// What this call wrote to standard error, on one line, without control characters.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.words);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !is_noise(line)).collect();
        // A plugin has one thread, which has no name.
        let text = lines.join(": ").replace(":: ", ": ").replace("thread '<unnamed>' (1) panicked", "panicked");
        crate::wasm::host_services::printable(&text).into_owned()
    }

    /// Did this call write what Rust's and other languages' runtimes write before they abort?
    pub(super) fn has_panicked(&self) -> bool {
        let text = String::from_utf8_lossy(&self.words);
        ["panicked at", "abort", "Traceback", "Error"].iter().any(|sign| text.contains(sign))
    }

    /// Was memory refused to this call?
    pub(super) fn was_refused_memory(&self) -> bool {
        self.space.was_refused()
    }

    /// The memory limit in bytes.
    pub(super) fn memory_limit(&self) -> usize {
        self.space.limit_bytes()
    }

    /// Says that the call took too long.
    pub(super) fn overtime(&self) -> String {
        overtime(self.watch.limit_us())
    }
}

/// A line of a panic's message that says nothing about the plugin.
fn is_noise(line: &str) -> bool {
    line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE")
}
