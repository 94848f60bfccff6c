//! What goes wrong with plugins. Every error names the plugin, the call in which it happened, and what to do.
//!
//! A [`Cause`] is the short word for metrics and for `on-failure`; the message is for people. [`PluginError`] is for loading and
//! setting up; calls of behaviours give [`BehaviorError`]. Host functions refuse with a [`Refusal`], which ends the guest's call
//! and comes back here as an error, so that its cause is not lost on the way through wasmtime.

use std::collections::BTreeSet;

use wasmtime::{Trap, WasmBacktrace};

use crate::behavior::call::BehaviorError;
use crate::types::limits;
use crate::wasm::engine_config::BACKTRACE_FRAMES;
use crate::wasm::guest::Guest;

/// Why a plugin gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It executed an instruction that traps.
    Trap,
    /// Its own code panicked or aborted.
    Panic,
    /// It used up its time.
    Timeout,
    /// It wanted more memory than it may have.
    Memory,
    /// It recursed too deep.
    Stack,
    /// It moved too many bytes through the host.
    Transfer,
    /// It kept too much, or too large values, in the host's state.
    State,
    /// It gave a value that makes no sense.
    BadAnswer,
    /// It failed so often that it is not asked for a while.
    Breaker,
    /// It is too slow for others to wait for it.
    Slow,
    /// It was built against another version of the contract.
    Version,
    /// It imports what the host does not give.
    Import,
    /// It reaches what it was not granted.
    NotGranted,
    /// Its file is no component, or too large.
    File,
    /// It is too much for the compiler.
    Compile,
    /// It is made of more, or needs more at the start, than an instance may have.
    Size,
    /// It does not accept its options, or fails while it is set up.
    Setup,
    /// The host has no room for another instance.
    Room,
    /// The host itself failed.
    Host,
}

impl Cause {
    /// The fixed word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Transfer => "transfer",
            Self::State => "state",
            Self::BadAnswer => "bad-answer",
            Self::Breaker => "breaker",
            Self::Slow => "slow",
            Self::Version => "version",
            Self::Import => "import",
            Self::NotGranted => "not-granted",
            Self::File => "file",
            Self::Compile => "compile",
            Self::Size => "size",
            Self::Setup => "setup",
            Self::Room => "room",
            Self::Host => "host",
        }
    }

    /// What to try.
    fn hint(self) -> &'static str {
        match self {
            Self::Trap | Self::Panic => "correct the plugin; its last words, if any, are in its log",
            Self::Timeout => {
                "find the loop, or give the plugin more with `time:` beside its `file:` (in a project, under `[limits]` of `plugin.toml`)"
            }
            Self::Memory => {
                "find the leak, or give the plugin more with `memory:` beside its `file:` (in a project, under `[limits]` of `plugin.toml`)"
            }
            Self::Stack => "find the recursion that does not end",
            Self::Transfer => "let the host write long texts (`generate`), and read the body once",
            Self::State => "give keys a lifetime, use fewer of them, or store less under each",
            Self::BadAnswer => "correct what the plugin returns",
            Self::Breaker => "see its earlier failures; it is tried again after a few seconds",
            Self::Slow => "make it quicker; a choice can be left to a rule of the station",
            Self::Version => "build the plugin again with the SDK of this release",
            Self::Import => "remove what needs it: plugins have no files, no network and no other host than this one",
            Self::NotGranted => "add it to `capabilities` in the pack's `pack.toml`, and let the scenario grant it",
            Self::File => "build the plugin for `wasm32-wasip2`, or make a component of it with `wasm-tools component new`",
            Self::Compile => "build it for release and for size, and split what is generated into smaller functions",
            Self::Size => "make it smaller: one module or a few, one memory in each, and less of everything at the start",
            Self::Setup => "correct the options or the plugin",
            Self::Room => "use fewer plugins, or give them fewer different options: each has an instance a worker",
            Self::Host => "this is a fault of simwright: please report it",
        }
    }
}

/// Why a plugin could not be loaded or set up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("plugin `{plugin}`: {message}; {}", cause.hint())]
pub struct PluginError {
    /// The plugin's name in the scenario.
    pub plugin: String,
    /// The short word.
    pub cause: Cause,
    /// What happened, and in which call.
    pub message: String,
}

impl PluginError {
    /// An error of `plugin`.
    pub(crate) fn new(plugin: &str, cause: Cause, message: impl Into<String>) -> Self {
        Self { plugin: plugin.to_owned(), cause, message: message.into() }
    }

    /// The same as the error of a behaviour's call.
    pub(crate) fn in_call(self, behaviour: &'static str) -> BehaviorError {
        let message = format!("{}; {}", self.message, self.cause.hint());
        BehaviorError { behaviour, name: self.plugin, message, cause: self.cause.word() }
    }

    /// What to try.
    pub fn hint(&self) -> &'static str {
        self.cause.hint()
    }
}

/// A host function's refusal: ends the guest's call.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) message: String,
}

impl Refusal {
    /// The refusal as wasmtime carries it.
    pub(crate) fn raise(cause: Cause, message: impl Into<String>) -> wasmtime::Error {
        wasmtime::Error::from(Self { cause, message: message.into() })
    }
}

/// Why compiled code of `plugin` cannot be loaded: it does not fit into the pool of instances, or it is a fault of ours.
pub(crate) fn not_loaded(plugin: &str, error: &wasmtime::Error) -> PluginError {
    let text = format!("{error:#}");
    // wasmtime has no type for this one either; a test holds us to its words.
    if text.contains("exceeds the") {
        return PluginError::new(plugin, Cause::Size, format!("it is more than one instance may be: {text}"));
    }
    PluginError::new(plugin, Cause::Host, format!("its compiled code cannot be loaded: {text}"))
}

/// What a failed call into a guest was: reads the error and what the guest left behind in its store.
pub(crate) fn diagnose(plugin: &str, call: &str, error: &wasmtime::Error, guest: &Guest) -> PluginError {
    let (cause, what) = cause_of(error, guest);
    let words = guest.last_words();
    let message = if words.is_empty() || matches!(cause, Cause::Timeout | Cause::Stack | Cause::Transfer) {
        format!("`{call}` {what}")
    } else {
        format!("`{call}` {what}; it said: {words}")
    };
    tracing::debug!(plugin, "{message}: {error:?}");
    PluginError::new(plugin, cause, message)
}

fn cause_of(error: &wasmtime::Error, guest: &Guest) -> (Cause, String) {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return (refusal.cause, refusal.message.clone());
    }
    let memory = || format!("wanted more than its {} of memory", mebibytes(guest.memory_limit()));
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            (Cause::Stack, format!("recursed deeper than its {} KiB of stack", limits::GUEST_STACK_BYTES / 1024))
        }
        Some(Trap::MemoryOutOfBounds) if is_recursion(error) => {
            (Cause::Stack, "recursed deeper than the stack inside its memory".to_owned())
        }
        Some(Trap::Interrupt | Trap::OutOfFuel) => (Cause::Timeout, guest.overtime()),
        Some(_) if guest.was_refused_memory() => (Cause::Memory, memory()),
        Some(Trap::UnreachableCodeReached) if guest.has_panicked() => (Cause::Panic, "panicked".to_owned()),
        Some(trap) => (Cause::Trap, format!("trapped ({trap})")),
        None => {
            let text = error.to_string();
            // wasmtime has no public type for this one; a test holds us to its words.
            if text.contains("too much data is being copied") {
                let limit = mebibytes(limits::GUEST_TRANSFER_BYTES);
                (Cause::Transfer, format!("handed over more than {limit}"))
            } else if text.contains("out of bounds") {
                (Cause::BadAnswer, format!("handed over a text or list that does not lie in its memory ({text})"))
            } else if text.contains("maximum concurrent") {
                (Cause::Room, format!("found no room for another instance ({text})"))
            } else if guest.was_refused_memory() {
                (Cause::Memory, memory())
            } else {
                (Cause::Trap, format!("failed ({text})"))
            }
        }
    }
}

/// Did the guest trap deep in calls of a few functions by each other? Compiled languages keep large frames in linear memory, and
/// when that stack ends the guest reads outside its memory.
fn is_recursion(error: &wasmtime::Error) -> bool {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return false };
    let functions: BTreeSet<u32> = trace.frames().iter().map(|frame| frame.func_index()).collect();
    trace.frames().len() >= BACKTRACE_FRAMES && functions.len() <= BACKTRACE_FRAMES / 4
}

/// A number of bytes for people.
pub(crate) fn mebibytes(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}
