//! The compiling child's side: binds itself, begins anew, compiles, answers, ends.
//!
//! Arguments: how time is counted (`cpu` or `fuel`), CPU time in seconds, address space in bytes, and `bound` once the limits hold:
//! it starts itself a second time, because an allocator that began without limits may have taken more than they allow.
//! Standard input is the component up to its end. The answer on standard output is one byte ([`CODE`] or [`REFUSED`]), the length of the rest in eight (little endian),
//! and the rest: code, or why the component is none. An answer that is not whole is no answer.

use std::ffi::OsString;
use std::io::{self, Read, Write};

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::types::limits::COMPONENT_BYTES_MAX;
use crate::wasm::engine_config::{self, Meter};

/// First byte of an answer that is code.
pub(super) const CODE: u8 = 0;
/// First byte of an answer that is a reason.
pub(super) const REFUSED: u8 = 1;

/// Bytes of an answer before the rest.
pub(super) const HEAD_BYTES: usize = 9;

/// The last argument of a process that has bound itself.
const BOUND: &str = "bound";

/// How much a child stands back for others: a compilation may wait, the server's tokens may not.
const NICE: i32 = 10;

/// Compiles one component as the parent asks, within limits that this process can no longer lift. Call it first thing in a process
/// of its own, with the arguments that follow those of [`ChildCompiler::arguments`](super::ChildCompiler::arguments). The error is for
/// the parent, on standard error.
pub fn compiler_main(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let usage = || "expected `cpu` or `fuel`, seconds of CPU time, and bytes of address space".to_owned();
    let [meter, cpu_s, memory_bytes, ref bound @ ..] = texts[..] else { return Err(usage()) };
    let meter = Meter::of_word(meter).ok_or_else(usage)?;
    let cpu_s = cpu_s.parse().map_err(|_| usage())?;
    let memory_bytes = memory_bytes.parse().map_err(|_| usage())?;
    if *bound == [BOUND] {
        return work(meter).map_err(|error| error.to_string());
    }
    bind(cpu_s, memory_bytes).map_err(|error| format!("cannot limit itself: {error}"))?;
    let program = super::this_program().map_err(|error| format!("cannot find itself: {error}"))?;
    let error = Command::new(program).args(std::env::args_os().skip(1)).arg(BOUND).exec();
    Err(format!("cannot start itself: {error}"))
}

/// Takes from this process what compiling does not need.
fn bind(cpu_s: u64, memory_bytes: u64) -> io::Result<()> {
    // A parent that is gone wants no answer.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Refused only where the process is as nice already.
    let _ = rustix::process::nice(NICE);
    // The first limit ends the process with a signal that tells why, the one behind it without mercy.
    lower(Resource::Cpu, cpu_s, cpu_s.saturating_add(1))?;
    lower(Resource::As, memory_bytes, memory_bytes)?;
    // No files: what it has to say goes through pipes, and what it leaves when it dies is of no use.
    lower(Resource::Fsize, 0, 0)?;
    lower(Resource::Core, 0, 0)
}

/// Sets a limit, unless it is stricter already.
fn lower(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = |wanted: u64, known: Option<u64>| Some(known.map_or(wanted, |known| known.min(wanted)));
    let limit = Rlimit { current: least(current, now.current), maximum: least(maximum, now.maximum) };
    Ok(setrlimit(resource, limit)?)
}

fn work(meter: Meter) -> io::Result<()> {
    let mut component = Vec::new();
    io::stdin().lock().take(COMPONENT_BYTES_MAX).read_to_end(&mut component)?;
    let compiled = engine_config::compiling_engine(meter).and_then(|engine| engine.precompile_component(&component));
    let (kind, rest) = match compiled {
        Ok(code) => (CODE, code),
        Err(error) => (REFUSED, format!("{error:#}").into_bytes()),
    };
    let mut out = io::stdout().lock();
    out.write_all(&[kind])?;
    out.write_all(&(rest.len() as u64).to_le_bytes())?;
    out.write_all(&rest)?;
    out.flush()
}
