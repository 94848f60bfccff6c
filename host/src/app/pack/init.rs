//! A pack to begin with, which passes its own checks at once.

use std::fs;
use std::path::Path;

use crate::app::pack::Failure;
use crate::pack::store::StoreError;
use crate::pack::title::fault_of_name;
use crate::wasm::CONTRACT;

/// Writes the pack `name` to `folder`, which must not be there yet. Gives the files.
pub fn init(folder: &Path, name: &str) -> Result<Vec<String>, Failure> {
    if let Some(fault) = fault_of_name(name) {
        return Err(Failure::Refused(fault));
    }
    if folder.exists() {
        return Err(Failure::Refused(format!("`{}` is there already; name another folder with `--dir`", folder.display())));
    }
    let files =
        [("pack.toml", recipe(name)), ("scenarios/noon.yaml", SCENARIO.replace("NAME", name)), ("README.md", readme(name))];
    for (file, text) in &files {
        let path = folder.join(file);
        let io = |error| StoreError::Io { path: path.clone(), error };
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(io)?;
        let io = |error| StoreError::Io { path: path.clone(), error };
        fs::write(&path, text).map_err(io)?;
    }
    Ok(files.into_iter().map(|(file, _)| file.to_owned()).collect())
}

fn recipe(name: &str) -> String {
    format!(
        r#"name = "{name}"
version = "0.1.0"
licence = "MIT OR Apache-2.0"
description = "What happens to our models at noon."
interface = "^{CONTRACT}"                     # the versions of the plugin contract that it is for

# A plugin: a component, or the folder of a plugin project (`simwright plugin new`) in place of `file`.
# [[plugin]]
# name = "night-shift"                    # scenarios use it as `{name}/night-shift`
# project = "night-shift"
# capabilities = ["request"]              # what its component imports; `simwright pack check` says what that is
# memory = "64MiB"                        # only what is beyond the defaults
# time = "50ms"

[[scenario]]
name = "noon"
file = "scenarios/noon.yaml"
summary = "Half of the requests are slow, and some are refused."
"#
    )
}

const SCENARIO: &str = "\
simwright: 1
name: NAME-noon
seed: 12
models:
  - match: '*'
    list: [any-model]
    latency:
      log-normal:
        first: { p50: 900ms, p99: 4s }
        between: { p50: 30ms, p99: 120ms }
    faults:
      - http-error: { rate: 3%, status: 429, retry-after: 2s }
    reply:
      text: { tokens: { p50: 120, p99: 600 } }
";

fn readme(name: &str) -> String {
    format!(
        "# {name}\n\nWhat happens to our models at noon. A pack for Simwright.\n\n\
         ```console\n$ simwright pack check          # every mistake, with its place\n\
         $ simwright pack test           # runs the vectors in tests/\n\
         $ simwright pack build          # writes build/{name}-0.1.0, equal bytes for equal files\n```\n"
    )
}
