//! What the export macro makes of a plugin: a component whose exports are the lifecycle and exactly the kinds that it names.
//!
//! The examples are built once for WebAssembly with the cargo that runs this test, into a target directory of their own, because
//! the outer cargo holds the lock of its own. Nothing of the outer build's flags is handed on. The release profile is the quick one
//! here: it leaves macros and build scripts unoptimised, and they are most of the work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use wasmparser::{Parser, Payload};

static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--locked",
        "--release",
        "--examples",
        "--target",
        "wasm32-wasip2",
    ]);
    cargo.arg("--target-dir").arg(&target_dir);
    for flag in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(flag);
    }
    let output = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\nhint: the target is installed with `rustup target add wasm32-wasip2`");
    target_dir.join("wasm32-wasip2/release/examples")
});

/// Names of what the component itself imports and exports; what lies inside its modules does not count.
fn names_of(example: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let bytes = std::fs::read(BUILT.join(example).with_extension("wasm")).expect("the example was built");
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("the component is well formed") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.expect("an import is readable").name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.expect("an export is readable").name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

fn interfaces<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(|name| format!("simwright:plugin/{name}@1.0.0")).into()
}

#[test]
fn a_component_exports_the_kinds_that_it_names_and_no_others() {
    assert_eq!(names_of("flaky_and_slow").1, interfaces(["lifecycle", "fault", "latency"]));
    assert_eq!(names_of("whole_service").1, interfaces(["lifecycle", "fault", "responder", "latency"]));
}

#[test]
fn a_component_imports_only_what_the_host_answers() {
    let (imports, _) = names_of("whole_service");
    let ours: BTreeSet<_> = imports.iter().filter(|name| name.starts_with("simwright:")).cloned().collect();
    assert_eq!(ours, interfaces(["types", "request", "state", "log"]));
    let foreign = imports.iter().find(|name| {
        !["simwright:plugin/", "wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"]
            .iter()
            .any(|known| name.starts_with(known))
    });
    assert_eq!(foreign, None);
}
