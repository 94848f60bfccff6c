//! Compiles the standard pack: the plugins that every copy of the program carries.
//!
//! The same cargo builds them for `wasm32-wasip2` from `plugins/`, in a target directory of their own below `OUT_DIR`, with
//! `--locked` and without the flags and wrappers that are meant for the host. The components are copied to `OUT_DIR`;
//! `standard_pack.rs` there is an expression, a slice of `(name, bytes)`, for `include!`. So a fresh clone needs nothing but the
//! Wasm target, which `rust-toolchain.toml` names.
//!
//! The contract, the Rust SDK and the templates of plugin projects are embedded, too: `plugin new` writes them where there is no
//! copy of this repository. `contract.rs`, `rust_sdk.rs` and `templates.rs` in `OUT_DIR` are slices of `(path, text)`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The plugins of the standard pack: folders below `plugins/`, which are also the packages' names.
const STANDARD_PACK: &[&str] = &[
    "brown-out",
    "cache-warm",
    "cold-start",
    "flaky-tools",
    "noisy-neighbour",
    "regional-incident",
    "retry-storm",
    "slow-drip",
    "support-desk",
    "token-exhaustion",
];

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-changed=build.rs");
    // Named one by one: a build in `plugins/` itself changes `plugins/target`, and that must not count.
    for watched in ["guest-sdk", "wit", "host/assets/plugin", "plugins/Cargo.toml", "plugins/Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    for plugin in STANDARD_PACK {
        println!("cargo::rerun-if-changed={}", root.join("plugins").join(plugin).display());
    }
    if !STANDARD_PACK.is_empty() {
        build(&root.join("plugins"), &out.join("guests"));
    }
    let entries: String = STANDARD_PACK.iter().map(|plugin| entry(plugin, &out)).collect();
    let list = out.join("standard_pack.rs");
    fs::write(&list, format!("&[\n{entries}]\n"))
        .unwrap_or_else(|error| fail(&format!("cannot write `{}`: {error}", list.display())));
    for (list, folder) in [("contract", "wit"), ("rust_sdk", "guest-sdk/src"), ("templates", "host/assets/plugin")] {
        embed(&root.join(folder), &out.join(format!("{list}.rs")));
    }
}

/// Writes the list of all texts below `folder`, with their paths from there, in the order of their paths.
fn embed(folder: &Path, list: &Path) {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    let entry = |file: &PathBuf| {
        let path = file.strip_prefix(folder).unwrap_or(file);
        format!("    ({:?}, include_str!({:?})),\n", path.display().to_string(), file.display().to_string())
    };
    let entries: String = files.iter().map(entry).collect();
    fs::write(list, format!("&[\n{entries}]\n"))
        .unwrap_or_else(|error| fail(&format!("cannot write `{}`: {error}", list.display())));
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let unreadable = |error| fail(&format!("cannot read `{}`: {error}", folder.display()));
    for entry in fs::read_dir(folder).unwrap_or_else(unreadable).flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

/// Builds all plugins of the pack with one call of cargo.
fn build(workspace: &Path, target_dir: &Path) {
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--release", "--locked", "--target", TARGET]).current_dir(workspace).env("CARGO_TARGET_DIR", target_dir);
    for plugin in STANDARD_PACK {
        cargo.args(["--package", plugin]);
    }
    for meant_for_the_host in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        cargo.env_remove(meant_for_the_host);
    }
    let output = cargo.output().unwrap_or_else(|error| fail(&format!("cannot run cargo for the standard pack: {error}")));
    if output.status.success() {
        return;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let no_target = said.contains(TARGET) && said.contains("may not be installed");
    let hint = if no_target { format!("\nhint: `rustup target add {TARGET}`") } else { String::new() };
    fail(&format!("the standard pack in `{}` does not build:\n{said}{hint}", workspace.display()));
}

/// Copies one component to `OUT_DIR`; gives its line of the list.
fn entry(plugin: &str, out: &Path) -> String {
    let file = format!("{}.wasm", plugin.replace('-', "_"));
    let built = out.join("guests").join(TARGET).join("release").join(&file);
    let copied = fs::copy(&built, out.join(&file));
    copied.unwrap_or_else(|error| fail(&format!("plugin `{plugin}` gave no `{}`: {error}", built.display())));
    format!("    (\"{plugin}\", include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))),\n")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set `{name}`")))
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}
