//! What the program carries for projects: the contract, an SDK for each language, the templates. A project gets copies, because it must
//! build where there is no copy of this repository and no registry has them.

use std::sync::LazyLock;

/// Files with their paths, in the order of the paths.
pub(super) type Files = &'static [(&'static str, &'static str)];

/// `wit/`: the contract and its README.
pub(super) const CONTRACT: Files = include!(concat!(env!("OUT_DIR"), "/contract.rs"));
/// `guest-sdk/src`: the SDK for Rust.
pub(super) const RUST_SDK: Files = include!(concat!(env!("OUT_DIR"), "/rust_sdk.rs"));
/// `host/assets/plugin`: a folder a language, and `any` for all.
pub(super) const TEMPLATES: Files = include!(concat!(env!("OUT_DIR"), "/templates.rs"));
/// The SDK for Python.
pub(super) const PYTHON_SDK: &str = include_str!("../../../guest-sdk/python/simwright.py");
/// The SDK for JavaScript.
pub(super) const JAVASCRIPT_SDK: &str = include_str!("../../../guest-sdk/javascript/simwright.js");
/// The SDK for C.
pub(super) const C_SDK: &str = include_str!("../../../guest-sdk/c/simwright.h");

/// The contract that this release speaks: `simwright:plugin@1.0.0` or the like, as the files of the contract say it.
pub fn interface() -> &'static str {
    static INTERFACE: LazyLock<&str> = LazyLock::new(|| {
        let world = contract_files().find(|(path, _)| *path == "world.wit").map_or("", |(_, text)| text);
        let first = world.lines().next().unwrap_or_default();
        first.trim_start_matches("package ").trim_end_matches(';')
    });
    *INTERFACE
}

/// The version in [`interface`].
pub(super) fn version() -> &'static str {
    interface().split_once('@').map_or("", |(_, version)| version)
}

/// The contract's WIT files.
pub(super) fn contract_files() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONTRACT.iter().copied().filter(|(path, _)| path.ends_with(".wit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_what_the_contract_says() {
        assert!(interface().starts_with("simwright:plugin@1.0.0"), "{}", interface());
        assert!(contract_files().all(|(path, text)| text.starts_with(&format!("package {};", interface())) || panic!("{path}")));
    }

    #[test]
    fn the_whole_sdk_is_here() {
        for file in ["lib.rs", "options/mod.rs", "testing/fake.rs"] {
            assert!(RUST_SDK.iter().any(|(path, _)| *path == file), "{file}");
        }
    }
}
