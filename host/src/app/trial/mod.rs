//! Tries one plugin out without a server: runs its test vectors, plays requests through it, measures it.
//!
//! A [`Subject`] is the plugin: a project's folder, a component, or the name of one of the standard pack. [`test`] runs its vectors;
//! [`run`] plays a handful of requests in virtual time and `picture` draws what came; [`bench`] measures calls.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::StartError;
use crate::app::plugin_project::{build, spec};
use crate::app::simulate::EPOCH_UNIX_S;
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::project::{FILE, Manifest, Project};
use crate::scenario::pattern::matches;
use crate::scenario::refusal::Refusal;
use crate::types::limits::{COMPONENT_BYTES_MAX, GUEST_MEMORY_BYTES, GUEST_TIME_US};
use crate::vectors::{self, Report};
use crate::wasm::{Compiler, LoadSpec, Plugin, PluginError, STANDARD_PACK};

pub mod bench;
pub mod picture;
pub mod run;
#[cfg(test)]
mod tests;

/// A plugin to try out.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name: the project's, or what its file is called.
    pub name: String,
    /// Where its component lies; `None` for one of the standard pack.
    pub file: Option<PathBuf>,
    /// The folder whose `tests/` are its vectors, if it has one.
    pub folder: Option<PathBuf>,
    bytes: Cow<'static, [u8]>,
    memory_bytes: usize,
    time_us: u64,
}

/// Why a plugin cannot be tried out.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no plugin, or none can be built of its project.
    #[error("{0}")]
    Unfound(String),
    /// Its vectors cannot be used.
    #[error("{0}")]
    Vectors(#[from] Refusal),
    /// The component cannot be used.
    #[error("{0}")]
    Refused(#[from] PluginError),
    /// The scenario cannot be used, or the host cannot start.
    #[error("{0}")]
    Start(#[from] StartError),
}

impl Subject {
    /// The plugin that `path` means: a folder with `plugin.toml`, a `.wasm` file, or the name of one of the standard pack.
    /// A project that must be built first says so to `say`, and what its tools say.
    pub fn find(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, TrialError> {
        let named = path.to_str().and_then(|name| STANDARD_PACK.iter().find(|(known, _)| *known == name));
        match named {
            _ if path.is_dir() => Self::of_project(path, say),
            _ if path.is_file() => Self::of_component(path),
            Some((name, bytes)) => Ok(Self {
                name: (*name).to_owned(),
                file: None,
                folder: None,
                bytes: Cow::Borrowed(*bytes),
                memory_bytes: GUEST_MEMORY_BYTES,
                time_us: GUEST_TIME_US,
            }),
            None => {
                let known: Vec<&str> = STANDARD_PACK.iter().map(|(name, _)| *name).collect();
                let (shown, known) = (path.display(), known.join(", "));
                Err(TrialError::Unfound(format!(
                    "there is no plugin `{shown}`\n  hint: name a project's folder, a `.wasm` file, or one of the standard pack ({known})"
                )))
            }
        }
    }

    /// The plugin of a project, built first where its component is missing or older than a source.
    fn of_project(folder: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, TrialError> {
        let project = opened(folder)?;
        if project.is_stale() {
            say(&format!("building `{}`: its component is missing, or older than a source", folder.display()));
            build(folder, false, say).map_err(|error| TrialError::Unfound(error.to_string()))?;
        }
        let manifest = project.manifest();
        Ok(Self::of_file(manifest.name.clone(), &project.component(), Some(folder.to_owned()))?.within(manifest))
    }

    /// The plugin of a component. One that lies in its project has the limits that the project asks for.
    fn of_component(file: &Path) -> Result<Self, TrialError> {
        let stem = file.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().replace('_', "-"));
        let subject = Self::of_file(stem, file, tests_beside(file))?;
        match above_build(file).filter(|folder| folder.join(FILE).is_file()) {
            Some(folder) => Ok(subject.within(opened(folder)?.manifest())),
            None => Ok(subject),
        }
    }

    /// The same within the limits of `manifest`.
    fn within(mut self, manifest: &Manifest) -> Self {
        let LoadSpec { memory_bytes, time_us, .. } = spec(manifest, &self.bytes);
        (self.memory_bytes, self.time_us) = (memory_bytes, time_us);
        self
    }

    fn of_file(name: String, file: &Path, folder: Option<PathBuf>) -> Result<Self, TrialError> {
        let shown = file.display();
        let failed = |message: String| TrialError::Unfound(message);
        let size = std::fs::metadata(file).map_err(|error| failed(format!("cannot read `{shown}`: {error}")))?.len();
        if size > COMPONENT_BYTES_MAX {
            return Err(failed(format!("`{shown}` has {size} bytes; components have at most {COMPONENT_BYTES_MAX}")));
        }
        let bytes = std::fs::read(file).map_err(|error| failed(format!("cannot read `{shown}`: {error}")))?;
        Ok(Self {
            name,
            file: Some(file.to_owned()),
            folder,
            bytes: Cow::Owned(bytes),
            memory_bytes: GUEST_MEMORY_BYTES,
            time_us: GUEST_TIME_US,
        })
    }

    /// What to load, with the limits that the project asks for.
    pub fn spec(&self) -> LoadSpec<'_> {
        LoadSpec { memory_bytes: self.memory_bytes, time_us: self.time_us, ..LoadSpec::new(&self.name, &self.bytes) }
    }

    /// Size of its component in bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The files of its vectors: those that `wanted` names (files, folders, or names with `*`), else those of its project.
    pub fn vectors(&self, wanted: &[String]) -> Result<Vec<PathBuf>, TrialError> {
        if wanted.is_empty() {
            return Ok(self.folder.as_deref().map(vectors::read::files_of).unwrap_or_default());
        }
        let mut files = Vec::new();
        for text in wanted {
            let found = named(text);
            if found.is_empty() {
                return Err(TrialError::Unfound(format!("there are no vectors `{text}`")));
            }
            files.extend(found);
        }
        Ok(files)
    }
}

fn opened(folder: &Path) -> Result<Project, TrialError> {
    Project::open(folder).map_err(|error| TrialError::Unfound(error.to_string()))
}

/// The folder above the `build/` that a component lies in.
fn above_build(component: &Path) -> Option<&Path> {
    let folder = component.parent()?;
    folder.parent().filter(|_| folder.ends_with("build"))
}

/// The folder of the project that a component belongs to: above `build/`, or where the component lies, if there are vectors.
fn tests_beside(component: &Path) -> Option<PathBuf> {
    let mut folders = above_build(component).into_iter().chain(component.parent());
    folders.find(|folder| folder.join(vectors::read::FOLDER).is_dir()).map(Path::to_owned)
}

/// The files that `text` means: itself, those of a folder, or those whose names fit a pattern with `*`.
fn named(text: &str) -> Vec<PathBuf> {
    let path = Path::new(text);
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let pattern = if path.is_dir() {
        "*.yaml".to_owned()
    } else {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(listed) else { return Vec::new() };
    let fits = |name: &std::ffi::OsString| name.to_str().is_some_and(|name| matches(&pattern, name));
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.file_name()).filter(fits).map(|name| folder.join(name)).collect();
    files.retain(|file| file.is_file());
    files.sort_unstable();
    files
}

/// A host that counts instructions and not time, so that what is seen is the same on every machine.
pub(super) fn steady_host() -> Result<Workshop, StartError> {
    Workshop::open_virtual(RealClock::of_run(EPOCH_UNIX_S), None, Compiler::offered())
}

/// Runs the vectors in `files` against `subject`.
pub fn test(subject: &Subject, files: &[PathBuf]) -> Result<Report, TrialError> {
    let suite = vectors::read::read(files)?;
    let plugin: Arc<Plugin> = steady_host()?.plugins().load(subject.spec())?;
    suite.only_about(&plugin)?;
    Ok(vectors::check(&plugin, &suite)?)
}
