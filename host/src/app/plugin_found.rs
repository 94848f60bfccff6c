//! What is in a folder of plugins: projects and components, what they are made of, and by which names they can be offered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::app::plugin_project::{BuildFailure, build_while};
use crate::app::workshop::Offer;
use crate::clock::real::monotonic_ns;
use crate::interest::Interest;
use crate::project::{BuildError, FILE, Project, is_made};
use crate::scenario::watch::fingerprint;
use crate::types::limits::WATCHED_BUILD_LINES;
use crate::vectors::read::files_of;

/// A plugin in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// A project's folder.
    Project(PathBuf),
    /// A component.
    Component(PathBuf),
}

/// What a plugin was made of when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) made_of: u128,
    pub(super) vectors: u128,
}

pub(super) type Prints = BTreeMap<Found, Print>;

impl Found {
    pub(super) fn path(&self) -> &Path {
        let (Self::Project(path) | Self::Component(path)) = self;
        path
    }

    pub(super) fn print(&self) -> Print {
        match self {
            Self::Component(file) => Print { made_of: digest(std::slice::from_ref(file)), vectors: 0 },
            Self::Project(folder) => {
                let made_of = match Project::open(folder) {
                    Ok(project) => digest(&project.sources()),
                    Err(error) => xxh3_128(error.to_string().as_bytes()),
                };
                Print { made_of, vectors: digest(&files_of(folder)) }
            }
        }
    }

    /// Its name, and what can be offered by it.
    pub(super) fn offer(&self) -> Result<(String, Offer), String> {
        match self {
            Self::Project(folder) => {
                let project = Project::open(folder).map_err(|error| error.to_string())?;
                let manifest = project.manifest();
                let (memory_bytes, time_us) = (manifest.memory_bytes, manifest.time_us);
                Ok((manifest.name.clone(), Offer { file: project.component(), memory_bytes, time_us }))
            }
            Self::Component(file) => {
                let name = file.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-")).unwrap_or_default();
                Ok((name, Offer { file: file.clone(), memory_bytes: None, time_us: None }))
            }
        }
    }

    /// Builds it, if it is a project: how long that took, or why there is nothing new. The tools are ended when `interest` is lost.
    pub(super) fn build(&self, interest: &Interest) -> Result<Option<Duration>, Unbuilt> {
        let Self::Project(folder) = self else { return Ok(None) };
        let from = monotonic_ns();
        let mut said: Vec<String> = Vec::new();
        match build_while(folder, false, interest, &mut |line| said.push(line.to_owned())) {
            Ok(_) => Ok(Some(Duration::from_nanos(monotonic_ns().saturating_sub(from)))),
            Err(BuildFailure::Unwanted | BuildFailure::Build(BuildError::Unwanted { .. })) => Err(Unbuilt::Unwanted),
            Err(error @ BuildFailure::Build(_)) => {
                let shown = &said[..said.len().min(WATCHED_BUILD_LINES)];
                Err(Unbuilt::Wrong(format!("it does not build\n{}\n{error}", shown.join("\n"))))
            }
            Err(error) => Err(Unbuilt::Wrong(error.to_string())),
        }
    }
}

/// Why there is nothing new.
pub(super) enum Unbuilt {
    /// Nobody wants it any more.
    Unwanted,
    /// What is wrong.
    Wrong(String),
}

/// The plugins in `folder`, which may be one itself.
pub(super) fn find(folder: &Path) -> Vec<Found> {
    let is_project = |folder: &Path| folder.join(FILE).is_file();
    if is_project(folder) {
        return vec![Found::Project(folder.to_owned())];
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let of = |path: PathBuf| match &path {
        // What happens there is not seen, either.
        _ if path.file_name().is_none_or(|name| is_made(&name.to_string_lossy())) => None,
        _ if is_project(&path) => Some(Found::Project(path)),
        _ if path.extension().is_some_and(|ending| ending == "wasm") && path.is_file() => Some(Found::Component(path)),
        _ => None,
    };
    entries.flatten().filter_map(|entry| of(entry.path())).collect()
}

pub(super) fn prints(folder: &Path) -> Prints {
    find(folder).into_iter().map(|found| (found.print(), found)).map(|(print, found)| (found, print)).collect()
}

/// A digest of `files`, so that what is saved without a change is none.
fn digest(files: &[PathBuf]) -> u128 {
    let mut hash = Xxh3::new();
    for file in files {
        hash.update(file.as_os_str().as_encoded_bytes());
        // One that is gone meanwhile is another set of files at the next look.
        hash.update(&fingerprint(file).unwrap_or_default().to_le_bytes());
    }
    hash.digest128()
}
