//! The conformance plugin in four languages, each built once by the real program as a person would, and kept by the digest of all that it
//! is made of. A language whose tools are missing is left out with a word on standard error, unless `CI` or `SIMWRIGHT_FULL` is set.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::guests::{target_dir, workspace};

/// One build: the language's word and the component.
pub struct Build {
    pub lang: &'static str,
    pub file: PathBuf,
    pub bytes: Vec<u8>,
}

/// Every language that can be built here; Rust comes first and is what the others are compared with.
pub fn builds() -> &'static [Build] {
    static BUILDS: OnceLock<Vec<Build>> = OnceLock::new();
    BUILDS.get_or_init(|| ["rust", "python", "javascript", "c"].into_iter().filter_map(build).collect())
}

#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn build(lang: &'static str) -> Option<Build> {
    let source = workspace().join("plugins/conformance").join(lang);
    let mut hasher = DefaultHasher::new();
    for part in [source.clone(), workspace().join("wit"), workspace().join("guest-sdk"), workspace().join("host/src/project")] {
        digest(&part, &mut hasher);
    }
    // Below one folder, so that Node finds one `node_modules` for all.
    let folder = target_dir().join("conformance").join(format!("{lang}-{:016x}", hasher.finish()));
    let file = folder.join("build/conformance.wasm");
    if !file.is_file() {
        let _ = std::fs::remove_dir_all(&folder);
        copy(&source, &folder);
        let mut command = Command::new(env!("CARGO_BIN_EXE_simwright"));
        command.args(["plugin", "build"]).arg(&folder).env("CARGO_TARGET_DIR", target_dir().join("guests"));
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let must = ["CI", "SIMWRIGHT_FULL"].into_iter().any(|name| std::env::var_os(name).is_some());
            assert!(!must && said.contains("installed"), "{lang}:\n{said}");
            eprintln!("left out: the conformance plugin in {lang}\n{said}");
            return None;
        }
    }
    let bytes = std::fs::read(&file).expect("a component");
    Some(Build { lang, file, bytes })
}

/// Paths and contents of all files below `path` that people write.
fn digest(path: &Path, hasher: &mut DefaultHasher) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries.into_iter().filter(|path| is_written(path)) {
        if entry.is_dir() {
            digest(&entry, hasher);
        } else {
            entry.hash(hasher);
            std::fs::read(&entry).expect("a file").hash(hasher);
        }
    }
}

fn is_written(path: &Path) -> bool {
    let made = ["vendor", "build", "target", "node_modules", "__pycache__", "Cargo.lock"];
    path.file_name().is_some_and(|name| !made.iter().any(|made| name == *made))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten().map(|entry| entry.path()).filter(|path| is_written(path)) {
        let to = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).expect("copied");
        }
    }
}
