//! Plugin projects: a folder with `plugin.toml`, sources in one of four languages, test vectors, and the component that is made of them.
//!
//! [`Manifest`] is what `plugin.toml` says, [`Lang`] the languages. [`Template`] writes a new project; what it brings (`vendor`) is
//! embedded in the program (`embedded`). [`Project::build`] (`build`, a file a language) wraps the language's toolchain, which `tool` runs.
//! Nothing here loads a component: whoever builds one has it checked by a host as a server would.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

mod build;
mod embedded;
mod lang;
mod manifest;
mod template;
mod tool;
mod vendor;

pub use build::{BuildError, Built, Toolchain};
pub use embedded::interface;
pub use lang::Lang;
pub use manifest::{FILE, KINDS, Manifest};
pub use template::{NewError, Template};

use crate::scenario::refusal::Refusal;
use crate::types::limits::{PLUGIN_PROJECT_TOML_BYTES_MAX, WATCHED_FILES_MAX};

/// A project on disk.
#[derive(Debug, Clone)]
pub struct Project {
    folder: PathBuf,
    manifest: Manifest,
}

/// Why a folder is no project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// `plugin.toml` is missing or cannot be read.
    #[error("cannot read `{}`: {error}{}", .path.display(), if error.kind() == std::io::ErrorKind::NotFound {
        "\n  hint: a plugin project has a `plugin.toml`; `simwright plugin new NAME` makes one"
    } else { "" })]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// `plugin.toml` has mistakes.
    #[error(transparent)]
    Manifest(Refusal),
}

impl Project {
    /// The project in `folder`.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let path = folder.join(FILE);
        let mut text = String::new();
        // A byte more than may be, so that the manifest itself tells of a file that is too large.
        let read = File::open(&path).and_then(|file| file.take(PLUGIN_PROJECT_TOML_BYTES_MAX + 1).read_to_string(&mut text));
        read.map_err(|error| ProjectError::Unreadable { path: path.clone(), error })?;
        let manifest = Manifest::parse(&path.display().to_string(), &text).map_err(ProjectError::Manifest)?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it says of its plugin.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the component is, once it has been built.
    pub fn component(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.manifest.ident()))
    }

    /// Its sources, in order; of a heap of data only the first. Files that toolchains write as they build are none.
    pub fn sources(&self) -> Vec<PathBuf> {
        let (mut files, mut left) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = left.pop() {
            for path in std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let is_lock = path.extension().is_some_and(|ending| ending == "lock") || path.ends_with("package-lock.json");
                // A link may lead in a circle, and what it leads to is no source of this project.
                match std::fs::symlink_metadata(&path) {
                    _ if is_lock || !self.is_source(&path) || files.len() >= WATCHED_FILES_MAX => {}
                    Ok(meta) if meta.is_dir() => left.push(path),
                    Ok(meta) if meta.is_file() => files.push(path),
                    _ => {}
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// Is a source younger than the component, or is there no component?
    pub fn is_stale(&self) -> bool {
        let time = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let Some(built) = time(&self.component()) else { return true };
        self.sources().iter().any(|source| time(source).is_some_and(|saved| saved > built))
    }

    /// May a change of `path`, a file below the project's folder, change the component? False for what a build writes and for what
    /// hides behind a dot.
    pub fn is_source(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.folder) else { return false };
        let mut steps = below.components().map(|step| step.as_os_str().to_string_lossy());
        !below.as_os_str().is_empty() && steps.all(|step| !is_made(&step) && step != "tests")
    }
}

/// Does a folder or file called `name` belong to toolchains, or hide behind a dot? What happens there is no reason to look.
pub fn is_made(name: &str) -> bool {
    name.starts_with('.') || ["build", "target", "node_modules", "__pycache__"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_manifest_is_told_how_to_become_a_project() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Project::open(folder.path()).expect_err("no project").to_string();
        assert!(error.contains("plugin.toml") && error.contains("hint: "), "{error}");
    }

    #[test]
    fn sources_are_what_people_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Template { name: "slow-lane", kinds: vec!["latency"], lang: Lang::Rust };
        let project = template.write(&folder.path().join("slow-lane")).expect("written");
        let is_source = |path: &str| project.is_source(&project.folder().join(path));
        assert!(["src/lib.rs", "plugin.toml", "vendor/wit/types.wit", "deep/er.c"].into_iter().all(is_source));
        assert!(
            !["build/slow_lane.wasm", "target/x", ".git/index", "tests/a.yaml", "src/.lib.rs.swp"].into_iter().any(is_source)
        );
        assert!(!project.is_source(Path::new("/elsewhere/src/lib.rs")));
    }
}
