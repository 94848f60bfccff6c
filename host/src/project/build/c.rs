//! C: bindings are made here from the contract, clang and wasi-libc make a core module, and here again it becomes a component.
//!
//! So no tool is needed that systems do not have in their packages. The module speaks WASI 0.1, the one that wasi-libc knows; an adapter
//! of wasmtime's, embedded, answers it from WASI 0.2. Equal sources and equal tools give equal bytes.

use std::path::{Path, PathBuf};

use wasi_preview1_component_adapter_provider::{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER};
use wit_bindgen_core::Files;
use wit_component::ComponentEncoder;
use wit_parser::{Resolve, WorldId};

use crate::project::build::{BuildError, Toolchain};
use crate::project::tool::Tool;

/// What Debian and its relatives call the parts.
const PACKAGES: &str = "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32";

pub(super) fn build(toolchain: &mut Toolchain<'_>) -> Result<Vec<u8>, BuildError> {
    let failed = |error: &dyn std::fmt::Display| BuildError::Component(format!("{error:#}"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(toolchain.wit()).map_err(|error| failed(&error))?;
    let world = resolve.select_world(&[package], Some("component")).map_err(|error| failed(&error))?;
    let bindings = toolchain.made("bindings");
    write_bindings(&mut resolve, world, &bindings)?;
    let module = toolchain.made("module.wasm");
    compile(toolchain, &bindings, &module)?;
    let bytes = toolchain.read(&module)?;
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&bytes).map_err(|error| failed(&error))?;
    encoder.adapter(adapter.0, adapter.1).map_err(|error| failed(&error))?;
    encoder.encode().map_err(|error| failed(&error))
}

/// Writes `component.h` and `component.c` of `world`, and an object that says what a component of them is to be.
fn write_bindings(resolve: &mut Resolve, world: WorldId, folder: &Path) -> Result<(), BuildError> {
    let mut files = Files::default();
    let made = wit_bindgen_c::Opts::default().build().generate(resolve, world, &mut files);
    made.map_err(|error| BuildError::Component(format!("{error:#}")))?;
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| BuildError::Unwritable { path, error })?;
    }
    Ok(())
}

fn compile(toolchain: &mut Toolchain<'_>, bindings: &Path, module: &Path) -> Result<(), BuildError> {
    let wasi_sdk = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from);
    let program = wasi_sdk.as_ref().map_or_else(|| PathBuf::from("clang"), |sdk| sdk.join("bin/clang"));
    let mut clang = Tool::new(program, &toolchain.folder)
        // Older clangs know the target by this name only, newer ones still do.
        .with([
            "--target=wasm32-wasi",
            "-mexec-model=reactor",
            "-std=c11",
            "-O2",
            "-g0",
            "-Wall",
            "-Wextra",
            "-Wno-overriding-t-option",
        ])
        .with(["-Ivendor", "-Ibuild/bindings", "-Wl,--strip-all", "-Wl,--stack-first", "-z", "stack-size=131072"]);
    if let Some(sdk) = wasi_sdk {
        clang = clang.with([format!("--sysroot={}", sdk.join("share/wasi-sysroot").display())]);
    }
    let define = |kind: &&str| format!("-DSIMWRIGHT_{}", kind.to_uppercase());
    clang = clang.with(toolchain.project.manifest().kinds.iter().map(define));
    let generated = ["component.c", "component_component_type.o"].map(|name| bindings.join(name));
    clang = clang.with(sources(&toolchain.folder)?).with(generated).with(["-o".as_ref(), module.as_os_str()]);
    let get = format!("on Debian and Ubuntu `{PACKAGES}`; elsewhere unpack the WASI SDK and set `WASI_SDK_PATH`");
    toolchain.run("clang", &clang, &get, |words| missing(words, &get)).map(drop)
}

/// What clang's words say is missing.
fn missing(words: &str, get: &str) -> Option<BuildError> {
    let parts = [
        ("\"wasm-ld\"", "the linker `wasm-ld` (package lld)"),
        ("No available targets are compatible", "clang for WebAssembly"),
        ("libclang_rt.builtins", "clang's own library for WebAssembly (libclang-rt-dev-wasm32)"),
        ("'stdint.h' file not found", "wasi-libc"),
        ("'stdlib.h' file not found", "wasi-libc"),
        ("cannot open crt1", "wasi-libc"),
        ("unable to find library -lc", "wasi-libc"),
    ];
    // A mistake in the source may speak of any of these, too, but not in an error of the tools themselves.
    let is_said = |sign: &str| words.lines().any(|line| line.contains(sign) && line.contains("error"));
    let (_, part) = parts.into_iter().find(|(sign, _)| is_said(sign))?;
    Some(BuildError::Missing { what: format!("{part} is not installed"), get: get.to_owned() })
}

/// The project's sources: `*.c` in its folder and in `src/`, in the order of their names, relative to the folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut found = Vec::new();
    for below in ["", "src"] {
        let Ok(entries) = std::fs::read_dir(folder.join(below)) else { continue };
        let names = entries.flatten().map(|entry| Path::new(below).join(entry.file_name()));
        found.extend(names.filter(|name| name.extension().is_some_and(|extension| extension == "c")));
    }
    found.sort();
    if found.is_empty() {
        Err(BuildError::Component("there is no `.c` file in the project or its `src`".to_owned()))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clang_misses_is_named() {
        for (words, part) in [
            ("clang: error: unable to execute command: Executable \"wasm-ld\" doesn't exist!", "wasm-ld"),
            ("wasm-ld: error: cannot open /usr/lib/llvm/libclang_rt.builtins-wasm32.a: No such file", "libclang-rt"),
            ("vendor/simwright.h:19:10: fatal error: 'stdlib.h' file not found", "wasi-libc"),
        ] {
            let Some(BuildError::Missing { what, get }) = missing(words, "apt") else { panic!("{words}") };
            assert!(what.contains(part) && get == "apt", "{what}");
        }
        assert!(missing("plugin.c:3:1: error: unknown type name 'sw_verdic'", "apt").is_none());
    }
}
