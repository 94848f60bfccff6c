//! Builds components for tests as a person would: with cargo, for `wasm32-wasip2`. Their target directory lies below the workspace's,
//! so that a second run finds everything built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the host's own build is told and guests must not hear.
const MEANT_FOR_THE_HOST: [&str; 5] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"];

/// The component of `plugins/test-guests`: misbehaves as the header `x-adversary` asks.
pub fn adversary() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| build(&workspace().join("plugins"), &["--locked", "--package", "test-guests"], "adversary"))
}

/// Builds the crate or workspace in `folder` for release; gives the file of the component `name`.
pub fn build(folder: &Path, arguments: &[&str], name: &str) -> PathBuf {
    let target = target_dir().join("guests");
    let mut cargo = cargo(folder);
    cargo.args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"]).args(arguments).env("CARGO_TARGET_DIR", &target);
    run(cargo);
    target.join("wasm32-wasip2").join("release").join(format!("{name}.wasm"))
}

/// Cargo in `folder`, as a person's shell would start it.
pub fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder);
    MEANT_FOR_THE_HOST.iter().for_each(|name| {
        cargo.env_remove(name);
    });
    cargo
}

/// Runs `command`; a failure shows all that it said.
pub fn run(mut command: Command) {
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{command:?} fails:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The folder of the whole repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The target directory of these tests.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
