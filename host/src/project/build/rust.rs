//! Rust: cargo, for `wasm32-wasip2`. Its messages as JSON say where the component lies, also in a workspace.

use serde_json::Value;

use crate::project::build::{BuildError, Toolchain};
use crate::project::tool::Tool;

const TARGET: &str = "wasm32-wasip2";

/// What is set for a build of something else must not reach this one.
const HIDDEN: [&str; 6] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_MAKEFLAGS"];

pub(super) fn build(toolchain: &mut Toolchain<'_>) -> Result<Vec<u8>, BuildError> {
    let mut cargo = Tool::new("cargo", &toolchain.folder).with(["build", "--release", "--target", TARGET]);
    cargo = cargo.with(["--message-format", "json-render-diagnostics"]);
    (cargo.hidden, cargo.data) = (&HIDDEN, true);
    let said = toolchain.run("cargo", &cargo, "install Rust with rustup, https://rustup.rs", |words| {
        let no_target = words.contains(TARGET) && words.contains("may not be installed");
        no_target.then(|| BuildError::Missing {
            what: format!("Rust has no target `{TARGET}` here"),
            get: format!("`rustup target add {TARGET}`"),
        })
    })?;
    let name = toolchain.project.manifest().ident();
    match component(&said, &name) {
        Some(path) => toolchain.read(path.as_ref()),
        None => Err(BuildError::Component(format!(
            "cargo built no `{name}.wasm`; `Cargo.toml` must say `name = \"{}\"` and, under `[lib]`, `crate-type = [\"cdylib\"]`",
            toolchain.project.manifest().name
        ))),
    }
}

/// Where cargo's messages say that the component of the library `name` is.
fn component(messages: &str, name: &str) -> Option<String> {
    let file = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["reason"] == "compiler-artifact").then_some(())?;
        let mut files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
        let of_name = |file: &&str| file.rsplit('/').next() == Some(&format!("{name}.wasm"));
        files.rfind(of_name).map(str::to_owned)
    };
    messages.lines().filter_map(file).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_where_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/deps/libserde.rlib"]}
no json
{"reason":"compiler-artifact","filenames":["/t/wasm32-wasip2/release/brown_out.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(component(messages, "brown_out").as_deref(), Some("/t/wasm32-wasip2/release/brown_out.wasm"));
        assert_eq!(component(messages, "noop"), None);
    }
}
