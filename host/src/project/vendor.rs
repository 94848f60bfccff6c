//! What a project gets from this program and keeps in `vendor/`: the SDK of its language, and for Rust the contract that the SDK reads.
//!
//! It is copied, because the SDK is on no registry and a path into somebody's clone of this repository would work for nobody else. A
//! project owns its copy: nothing changes it but `plugin build --renew`, which takes the one of the running release.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::embedded::{self, C_SDK, JAVASCRIPT_SDK, PYTHON_SDK, RUST_SDK};
use crate::project::lang::Lang;

/// The folder's name.
pub(super) const FOLDER: &str = "vendor";

/// What lies in `vendor/` for `lang`: paths from there, and texts.
pub(super) fn files(lang: Lang) -> Vec<(String, String)> {
    let one = |name: &str, text: &str| vec![(name.to_owned(), text.replace("{{version}}", embedded::version()))];
    match lang {
        Lang::Rust => {
            let sdk = RUST_SDK.iter().map(|(path, text)| (format!("simwright-sdk/src/{path}"), (*text).to_owned()));
            let contract = embedded::contract_files().map(|(path, text)| (format!("wit/{path}"), text.to_owned()));
            let manifest = ("simwright-sdk/Cargo.toml".to_owned(), sdk_manifest());
            sdk.chain(contract).chain([manifest]).collect()
        }
        Lang::Python => one("simwright.py", PYTHON_SDK),
        Lang::JavaScript => one("simwright.js", JAVASCRIPT_SDK),
        Lang::C => one("simwright.h", C_SDK),
    }
}

/// The SDK's own `Cargo.toml`, standing alone.
fn sdk_manifest() -> String {
    let template = embedded::TEMPLATES.iter().find(|(path, _)| *path == "sdk/Cargo.toml.template").map_or("", |(_, text)| text);
    template.replace("{{release}}", env!("CARGO_PKG_VERSION"))
}

/// Writes our part of `vendor/` in the project in `folder` anew: single files, and folders that are ours as a whole. The rest is the
/// project's own and stays.
pub(super) fn write(folder: &Path, lang: Lang) -> Result<(), (PathBuf, io::Error)> {
    let vendor = folder.join(FOLDER);
    let files = files(lang);
    let ours: BTreeSet<&str> = files.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    for path in ours.into_iter().map(|name| vendor.join(name)) {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((path, error)),
            _ => {}
        }
    }
    for (path, text) in &files {
        put(&vendor.join(path), text)?;
    }
    Ok(())
}

/// Writes a file and the folders above it.
pub(super) fn put(path: &Path, text: &str) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (path.to_owned(), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copied_sdk_depends_on_what_the_real_one_depends_on() {
        let table = |text: &str| -> toml::Table { text.parse().expect("TOML") };
        let (copied, real) = (table(&sdk_manifest()), table(include_str!("../../../guest-sdk/Cargo.toml")));
        let workspace = table(include_str!("../../../Cargo.toml"));
        let names =
            |manifest: &toml::Table| manifest["dependencies"].as_table().expect("a table").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&copied), names(&real));
        assert_eq!(copied["dependencies"]["serde_json"], real["dependencies"]["serde_json"]);
        let bindgen = &copied["dependencies"]["wit-bindgen"];
        assert_eq!(bindgen["version"], workspace["workspace"]["dependencies"]["wit-bindgen"]["version"]);
        let mut features = workspace["workspace"]["dependencies"]["wit-bindgen"]["features"].as_array().expect("a list").clone();
        features.extend(real["dependencies"]["wit-bindgen"]["features"].as_array().expect("a list").clone());
        assert_eq!(bindgen["features"].as_array(), Some(&features));
        let package = &workspace["workspace"]["package"];
        assert_eq!((&copied["package"]["edition"], &copied["package"]["license"]), (&package["edition"], &package["license"]));
    }

    #[test]
    fn what_a_project_keeps_beside_the_sdk_stays_when_that_is_renewed() {
        for lang in Lang::ALL {
            let folder = tempfile::tempdir().expect("a folder");
            write(folder.path(), lang).unwrap_or_else(|(path, error)| panic!("{}: {error}", path.display()));
            let all = || {
                files(lang).iter().all(|(path, text)| {
                    std::fs::read_to_string(folder.path().join(FOLDER).join(path)).is_ok_and(|now| now == *text)
                })
            };
            assert!(all(), "{lang}");
            let add = |path: &str| put(&folder.path().join(FOLDER).join(path), "x").expect("written");
            ["notes.txt", "own/helper.py", "simwright-sdk/src/gone.rs"].into_iter().for_each(add);
            let first = &files(lang)[0].0;
            add(first);
            write(folder.path(), lang).unwrap_or_else(|(path, error)| panic!("{}: {error}", path.display()));
            let is_there = |path: &str| folder.path().join(FOLDER).join(path).is_file();
            assert!(all() && is_there("notes.txt") && is_there("own/helper.py"), "{lang}");
            assert_eq!(
                is_there("simwright-sdk/src/gone.rs"),
                lang != Lang::Rust,
                "a file of an older release, where it is the SDK's folder"
            );
        }
    }

    #[test]
    fn every_file_names_the_contract_that_is_spoken_and_no_other() {
        for lang in Lang::ALL {
            for (path, text) in files(lang) {
                assert!(!text.contains("{{"), "{path}");
                for (at, _) in text.match_indices("@1.0") {
                    assert!(text[at + 1..].starts_with(embedded::version()), "{path}: {}", &text[at.saturating_sub(40)..at + 20]);
                }
            }
        }
    }
}
