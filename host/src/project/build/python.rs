//! Python: componentize-py, which joins the interpreter, the standard library and the sources to one component of some 18 MB.
//!
//! Its output differs from build to build in a few bytes: the interpreter is started once, and its memory kept.

use crate::project::build::{BuildError, Toolchain};
use crate::project::tool::Tool;

/// The version that templates name.
pub(crate) const COMPONENTIZE_PY: &str = "0.25.0";

pub(super) fn build(toolchain: &mut Toolchain<'_>) -> Result<Vec<u8>, BuildError> {
    let out = toolchain.made("component.wasm");
    // The project's own environment first, as people who work in it have it.
    let own = toolchain.folder.join(".venv/bin/componentize-py");
    let program = if own.is_file() { own } else { "componentize-py".into() };
    let tool = Tool::new(program, &toolchain.folder)
        .with(["-d".into(), toolchain.wit().into_os_string()])
        .with(["-w", "component", "componentize", "-p", ".", "-p", "vendor", "plugin", "-o"])
        .with([&out]);
    let get = format!(
        "`python3 -m venv .venv && .venv/bin/pip install componentize-py=={COMPONENTIZE_PY}` in `{}`",
        toolchain.project.folder().display()
    );
    toolchain.run("componentize-py", &tool, &get, |_| None)?;
    let bytes = toolchain.read(&out)?;
    // It has been read, and 18 MB need not lie there twice.
    let _ = std::fs::remove_file(&out);
    Ok(bytes)
}
