//! Components that no machine has compiled, and a compiler that waits for a sign.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use simwright::wasm::{ChildCompiler, CompileLimits, Compiler};
use tempfile::TempDir;

/// `component` with a section of its own: a component that no machine has compiled.
pub fn unseen(mut component: Vec<u8>) -> Vec<u8> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos();
    let name = format!("{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    component.extend([0, u8::try_from(name.len() + 1).expect("short"), u8::try_from(name.len()).expect("short")]);
    component.extend(name.as_bytes());
    component
}

/// The compiler of a person's server, which waits until the file `go` is in `folder`, and gives up when that is gone.
pub fn waiting_in(folder: &Path) -> Compiler {
    let (program, folder) = (env!("CARGO_BIN_EXE_simwright"), folder.display());
    let wait = format!("while [ ! -e '{folder}/go' ]; do [ -d '{folder}' ] || exit 1; sleep 0.02; done");
    let script = format!("{wait}; exec '{program}' compile-plugin \"$@\"");
    let arguments = vec!["-c".into(), script.into(), "sh".into()];
    Compiler::Child(ChildCompiler { program: "/bin/sh".into(), arguments, limits: CompileLimits::default() })
}

/// Opens the way for the compiler.
pub fn open(gate: &TempDir) {
    std::fs::write(gate.path().join("go"), "").expect("written");
}

/// Closes it for the next component.
pub fn close(gate: &TempDir) {
    std::fs::remove_file(gate.path().join("go")).expect("it was open");
}
