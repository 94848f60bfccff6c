//! JavaScript: componentize-js, a library for Node, which joins the engine and the sources to one component of some 12 MB.
//!
//! Its output differs from build to build in a few bytes: the engine is started once, and its memory kept. What would need HTTP is left
//! out, because no plugin is given it.
//!
//! Version 0.23 traps where a plugin passes a negative number of 64 bits, as `state.add` may, because its engine takes only what is unsigned
//! (its issue 343). So the bindings that it makes are changed in one place, to pass the same bits as an unsigned number.

use crate::project::build::{BuildError, Toolchain};
use crate::project::tool::Tool;
use crate::project::vendor::put;

/// The version that templates name.
pub(crate) const COMPONENTIZE_JS: &str = "0.23.0";

/// Run in `build/`, so that Node looks for the library in the project's `node_modules` and above it.
const SCRIPT: &str = r#"import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const library = import.meta.resolve("@bytecodealliance/componentize-js");
const { splicer } = await import(new URL("../lib/spidermonkey-embedding-splicer.js", library));
const { spliceBindings } = splicer;
splicer.spliceBindings = (...given) => {
  const made = spliceBindings(...given);
  return { ...made, jsBindings: made.jsBindings.replace("BigInt.asIntN(64, converted)", "BigInt.asUintN(64, converted)") };
};

const [sourcePath, witPath, out] = process.argv.slice(2);
const disableFeatures = ["http", "fetch-event"];
const { component } = await componentize({ sourcePath, witPath, worldName: "component", disableFeatures });
await writeFile(out, component);
"#;

pub(super) fn build(toolchain: &mut Toolchain<'_>) -> Result<Vec<u8>, BuildError> {
    let (script, out) = (toolchain.made("componentize.mjs"), toolchain.made("component.wasm"));
    put(&script, SCRIPT)?;
    // The source by a name that is relative to the project, because it is what errors are told with.
    let tool =
        Tool::new("node", &toolchain.folder).with([script.as_os_str(), "plugin.js".as_ref()]).with([&toolchain.wit(), &out]);
    let folder = toolchain.project.folder().display().to_string();
    toolchain.run("node", &tool, "install Node 20 or later, https://nodejs.org", |words| {
        let no_library = words.contains("ERR_MODULE_NOT_FOUND") && words.contains("componentize-js");
        no_library.then(|| BuildError::Missing {
            what: "`@bytecodealliance/componentize-js` is not installed in the project".to_owned(),
            get: format!("`npm install` in `{folder}`"),
        })
    })?;
    let bytes = toolchain.read(&out)?;
    // It has been read, and 12 MB need not lie there twice.
    let _ = std::fs::remove_file(&out);
    Ok(bytes)
}
