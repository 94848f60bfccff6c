//! Where components are compiled: in a child process, so that a component that is too much for the compiler costs a limited amount
//! of time and memory, and at worst the child.
//!
//! The child is this program again. Its main function hands over to [`compiler_main`] (`child`), which binds itself by limits, reads
//! a component from standard input and writes code to standard output; `process` starts it and judges what comes of it, `progress` knows for how long it has been at it. A program
//! that has no such way in, such as a test, names another program that has, or compiles in its own process and without limits.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::interest::Interest;
use crate::types::limits;
use crate::wasm::code::Code;
use crate::wasm::engine_config::{self, Meter};
use crate::wasm::error::{Cause, PluginError};

mod child;
mod process;
mod progress;

pub use child::compiler_main;
pub use progress::Compiling;
pub(super) use progress::Progress;

/// Who compiles components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// The calling thread, without limits: for components that are trusted, and for programs that offer no child.
    #[default]
    InProcess,
    /// A child process with limits.
    Child(ChildCompiler),
}

/// How to start a child that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildCompiler {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// What makes it call [`compiler_main`]; the arguments for that function follow.
    pub arguments: Vec<OsString>,
    /// What one component may use up.
    pub limits: CompileLimits,
}

/// What the compilation of one component may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU time of all threads, in seconds.
    pub cpu_s: u64,
    /// Address space, in bytes: a bound on memory that no allocator gets around.
    pub memory_bytes: u64,
    /// Time from start to end, in seconds.
    pub wall_s: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { cpu_s: limits::COMPILE_CPU_S, memory_bytes: limits::COMPILE_MEMORY_BYTES, wall_s: limits::COMPILE_WALL_S }
    }
}

/// What this process has said of itself with [`Compiler::offer`].
static OFFERED: OnceLock<Compiler> = OnceLock::new();

/// Held while one component is compiled, so that the limits hold for all of them together.
static TURN: Mutex<()> = Mutex::new(());

impl Compiler {
    /// A child that runs `program`, an absolute path; with `arguments` it calls [`compiler_main`] and gives it the rest.
    pub fn child(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self::Child(ChildCompiler { program: program.into(), arguments, limits: CompileLimits::default() })
    }

    /// A child that runs the program which is running, even if its file has been replaced since. `arguments` as in
    /// [`Compiler::child`]. Fails if the system does not say which program that is.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> std::io::Result<Self> {
        Ok(Self::child(this_program()?, arguments))
    }

    /// Says for the whole process who compiles where nobody says otherwise: for `main`, before anything is loaded. Only it knows
    /// whether the program can be its own child. Of several offers the first counts.
    pub fn offer(self) {
        // That the first one counts is what the caller has been told.
        let _ = OFFERED.set(self);
    }

    /// Who compiles in this process where nobody says otherwise: what was offered, else [`Compiler::InProcess`].
    pub fn offered() -> Self {
        OFFERED.get().cloned().unwrap_or_default()
    }

    /// How long one component may take, in seconds; `None` if nothing limits it.
    pub(super) fn limit_s(&self) -> Option<u64> {
        match self {
            Self::InProcess => None,
            Self::Child(child) => Some(child.limits.wall_s),
        }
    }

    /// Waits until no other component is compiled in this process. The guard is the caller's turn.
    pub(super) fn turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles the component `bytes` of `plugin`. The caller has the turn. A child is ended, and `None`, if `interest` is lost before.
    pub(super) fn compile(
        &self,
        plugin: &str,
        meter: Meter,
        bytes: &[u8],
        interest: &Interest,
    ) -> Result<Option<Code>, PluginError> {
        match self {
            Self::InProcess => {
                let compiled = engine_config::compiling_engine(meter).and_then(|engine| engine.precompile_component(bytes));
                compiled.map(|code| Some(Code::vouched(code))).map_err(|error| refused(plugin, &format!("{error:#}")))
            }
            Self::Child(child) => child.compile(plugin, meter, bytes, interest),
        }
    }
}

/// What starts the program that is running: on Linux even if its file has been replaced.
fn this_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

/// The compiler read the component and refused it for `reason`.
fn refused(plugin: &str, reason: &str) -> PluginError {
    PluginError::new(plugin, Cause::File, format!("it does not compile: {reason}"))
}
