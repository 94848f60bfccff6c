//! A WASI 0.2 with nothing in it. Guests import it whether they want or not: Rust's standard library for a panic's message,
//! Python's and JavaScript's interpreters for more.
//!
//! The component's own list of imports decides what is defined, in whatever 0.2 version it names. Interfaces inside
//! `wasi:cli/imports` are answered: the environment is empty, clocks show plan time, random bytes are drawn from the call,
//! output goes to the plugin's log, and every function that could reach further traps by name. Anything else is refused before
//! the first call. This is not `wasmtime-wasi`: its synchronous functions block on an async runtime, and panic when one is
//! already running.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentType, Lift, Linker, LinkerInstance, Lower, ResourceDynamic, ResourceType};

use crate::types::limits;
use crate::wasm::contract::{CONTRACT, Fit, fit, parts};
use crate::wasm::error::{Cause, PluginError, Refusal};
use crate::wasm::guest::{Guest, Output};

/// The contract's own imports, answered by `host_services`.
const OURS: [&str; 4] = ["types", "request", "state", "log"];

/// The interfaces of `wasi:cli/imports`, without their versions.
const ANSWERED: [&str; 28] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:clocks/timezone",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Resources by name: a resource's place here is its type. Those that no function of ours makes never exist.
const RESOURCES: [&str; 14] = [
    "input-stream",
    "output-stream",
    "pollable",
    "error",
    "terminal-input",
    "terminal-output",
    "descriptor",
    "directory-entry-stream",
    "network",
    "tcp-socket",
    "udp-socket",
    "incoming-datagram-stream",
    "outgoing-datagram-stream",
    "resolve-address-stream",
];
const INPUT_STREAM: u32 = 0;
const OUTPUT_STREAM: u32 = 1;
const POLLABLE: u32 = 2;

/// What the output streams are called inside: their resources' numbers.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// How much a stream takes at once; every write is taken.
const WRITE_BYTES: u64 = 4_096;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "the contract has this case; nothing here fails")]
    LastOperationFailed(ResourceDynamic),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Defines what `component` imports of WASI, or refuses it by the names of all imports that no plugin is given.
pub(super) fn link(plugin: &str, linker: &mut Linker<Guest>, component: &Component) -> Result<(), PluginError> {
    let engine = component.engine().clone();
    let ty = component.component_type();
    let mut refused = Vec::new();
    for (name, import) in ty.imports(&engine) {
        match &import.ty {
            ComponentItem::ComponentInstance(_) if is_ours(name) => {}
            ComponentItem::ComponentInstance(instance) if answered(name).is_some() => {
                let failed =
                    |error: wasmtime::Error| PluginError::new(plugin, Cause::Import, format!("cannot link `{name}`: {error:#}"));
                define(linker, name, instance, component).map_err(failed)?;
            }
            _ => refused.push(format!("`{name}`")),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let cause = if refused.iter().any(|name| name.starts_with("`simwright:plugin/")) { Cause::Version } else { Cause::Import };
    let expected =
        if cause == Cause::Version { format!(" (this release speaks `simwright:plugin@{CONTRACT}`)") } else { String::new() };
    Err(PluginError::new(plugin, cause, format!("it imports what is not given here: {}{expected}", refused.join(", "))))
}

/// Is `import` of the contract, in a version that is given here?
fn is_ours(import: &str) -> bool {
    parts(import).is_some_and(|(interface, version)| OURS.contains(&interface) && fit(version, CONTRACT) == Fit::Good)
}

/// The interface's name without its version, if it is one that is answered.
fn answered(import: &str) -> Option<&str> {
    let (interface, version) = import.split_once('@')?;
    (version.starts_with("0.2.") && ANSWERED.contains(&interface)).then_some(interface)
}

fn define(linker: &mut Linker<Guest>, name: &str, ty: &ComponentInstance, component: &Component) -> wasmtime::Result<()> {
    let interface = answered(name).unwrap_or_default();
    let mut instance = linker.instance(name)?;
    for (item, export) in ty.exports(component.engine()) {
        match export.ty {
            ComponentItem::Resource(_) => {
                let kind = RESOURCES.iter().position(|known| *known == item).unwrap_or(RESOURCES.len());
                instance.resource(item, ResourceType::host_dynamic(kind as u32), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) => define_function(&mut instance, interface, item)?,
            _ => {}
        }
    }
    Ok(())
}

fn define_function(to: &mut LinkerInstance<'_, Guest>, interface: &str, function: &str) -> wasmtime::Result<()> {
    let family = interface.split_once('/').map_or("", |(package, _)| package);
    let known = match family {
        "wasi:cli" => define_cli(to, function)?,
        "wasi:io" => define_output(to, function)? || define_input_and_poll(to, function)?,
        "wasi:clocks" => define_clock(to, interface, function)?,
        "wasi:random" => define_random(to, function)?,
        "wasi:filesystem" if function == "get-directories" => {
            to.func_wrap(function, |_, ()| Ok((Vec::<(ResourceDynamic, String)>::new(),)))?;
            true
        }
        _ => false,
    };
    if !known {
        let name = format!("{interface}#{function}");
        to.func_new(function, move |_, _, _, _| {
            Err(Refusal::raise(Cause::Import, format!("called `{name}`, which no plugin is given")))
        })?;
    }
    Ok(())
}

fn define_cli(to: &mut LinkerInstance<'_, Guest>, function: &str) -> wasmtime::Result<bool> {
    let stream = |kind, number| move |_: wasmtime::StoreContextMut<'_, Guest>, ()| Ok((ResourceDynamic::new_own(number, kind),));
    match function {
        "get-environment" => to.func_wrap(function, |_, ()| Ok((Vec::<(String, String)>::new(),)))?,
        "get-arguments" => to.func_wrap(function, |_, ()| Ok((Vec::<String>::new(),)))?,
        "initial-cwd" => to.func_wrap(function, |_, ()| Ok((None::<String>,)))?,
        "exit" => to.func_wrap(function, |_, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> { Err(exited()) })?,
        "exit-with-code" => to.func_wrap(function, |_, (_,): (u8,)| -> wasmtime::Result<()> { Err(exited()) })?,
        "get-stdin" => to.func_wrap(function, stream(INPUT_STREAM, 0))?,
        "get-stdout" => to.func_wrap(function, stream(OUTPUT_STREAM, STDOUT))?,
        "get-stderr" => to.func_wrap(function, stream(OUTPUT_STREAM, STDERR))?,
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            to.func_wrap(function, |_, ()| Ok((None::<ResourceDynamic>,)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn exited() -> wasmtime::Error {
    Refusal::raise(Cause::Panic, "ended its process (`exit`)")
}

fn define_output(to: &mut LinkerInstance<'_, Guest>, function: &str) -> wasmtime::Result<bool> {
    let done = |_: wasmtime::StoreContextMut<'_, Guest>, (_,): (ResourceDynamic,)| Ok((Ok::<(), StreamError>(()),));
    match function {
        "[method]output-stream.check-write" => {
            to.func_wrap(function, |_, (_,): (ResourceDynamic,)| Ok((Ok::<u64, StreamError>(WRITE_BYTES),)))?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            to.func_wrap(function, |mut store, (stream, bytes): (ResourceDynamic, Vec<u8>)| {
                store.data_mut().charge(bytes.len())?;
                let output = if stream.rep() == STDERR { Output::Error } else { Output::Out };
                store.data_mut().write(output, &bytes);
                Ok((Ok::<(), StreamError>(()),))
            })?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => to.func_wrap(function, done)?,
        "[method]output-stream.subscribe" => to.func_wrap(function, ready_pollable)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn ready_pollable(_: wasmtime::StoreContextMut<'_, Guest>, (_,): (ResourceDynamic,)) -> wasmtime::Result<(ResourceDynamic,)> {
    Ok((ResourceDynamic::new_own(0, POLLABLE),))
}

/// Standard input is at its end, and whatever a guest waits for has happened: no guest ever sleeps here.
fn define_input_and_poll(to: &mut LinkerInstance<'_, Guest>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            to.func_wrap(function, |_, (_, _): (ResourceDynamic, u64)| Ok((Err::<Vec<u8>, _>(StreamError::Closed),)))?;
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            to.func_wrap(function, |_, (_, _): (ResourceDynamic, u64)| Ok((Err::<u64, _>(StreamError::Closed),)))?;
        }
        "[method]input-stream.subscribe" => to.func_wrap(function, ready_pollable)?,
        "[method]pollable.ready" => to.func_wrap(function, |_, (_,): (ResourceDynamic,)| Ok((true,)))?,
        "[method]pollable.block" => to.func_wrap(function, |_, (_,): (ResourceDynamic,)| Ok(()))?,
        "poll" => to.func_wrap(function, |_, (waiting,): (Vec<ResourceDynamic>,)| {
            Ok(((0..waiting.len() as u32).collect::<Vec<u32>>(),))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn define_clock(to: &mut LinkerInstance<'_, Guest>, interface: &str, function: &str) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:clocks/monotonic-clock", "now") => to.func_wrap(function, |store, ()| {
            store.data().looks_at_clock();
            Ok((store.data().now,))
        })?,
        ("wasi:clocks/monotonic-clock", "resolution") => to.func_wrap(function, |_, ()| Ok((1_u64,)))?,
        ("wasi:clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            to.func_wrap(function, |_, (_,): (u64,)| Ok((ResourceDynamic::new_own(0, POLLABLE),)))?;
        }
        ("wasi:clocks/wall-clock", "now") => to.func_wrap(function, |store, ()| {
            let (guest, second) = (store.data(), 1_000_000_000);
            guest.looks_at_clock();
            let seconds = guest.epoch_unix_s.saturating_add(guest.now / second);
            Ok((Datetime { seconds, nanoseconds: (guest.now % second) as u32 },))
        })?,
        ("wasi:clocks/wall-clock", "resolution") => {
            to.func_wrap(function, |_, ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn define_random(to: &mut LinkerInstance<'_, Guest>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-random-u64" | "get-insecure-random-u64" => {
            to.func_wrap(function, |mut store, ()| Ok((store.data_mut().draws().bits(),)))?;
        }
        "get-random-bytes" | "get-insecure-random-bytes" => to.func_wrap(function, |mut store, (len,): (u64,)| {
            use rand::Rng;
            let guest = store.data_mut();
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            guest.charge(len)?;
            let mut bytes = vec![0; len.min(limits::GUEST_TRANSFER_BYTES)];
            guest.draws().fill_bytes(&mut bytes);
            Ok((bytes,))
        })?,
        // Hash maps ask for this once in an instance's life, whichever call comes first. The same answer everywhere keeps the
        // order of a map's keys from depending on which instance a request met.
        "insecure-seed" => to.func_wrap(function, |_, ()| Ok(((0x5169_6d77_7269_6768_u64, 1_u64),)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wasi_0_2_within_its_command_world_is_answered() {
        assert_eq!(answered("wasi:io/streams@0.2.6"), Some("wasi:io/streams"));
        assert_eq!(answered("wasi:sockets/tcp@0.2.0"), Some("wasi:sockets/tcp"));
        assert_eq!(answered("wasi:http/outgoing-handler@0.2.0"), None);
        assert_eq!(answered("wasi:io/streams@0.3.0"), None);
        assert_eq!(answered("evil:io/streams@0.2.0"), None);
    }
}
