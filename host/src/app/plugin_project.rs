//! Builds a plugin project and checks what came of it as a server would, before it takes its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::app::StartError;
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::interest::Interest;
use crate::project::{BuildError, Manifest, Project, ProjectError};
use crate::types::problem::Problem;
use crate::wasm::{LoadSpec, Plugin, PluginError};

/// A component that was built, checked and put into its place.
pub struct BuiltPlugin {
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
    /// Its digest, `sha256:` and hexadecimal.
    pub digest: String,
    /// The plugin, loaded.
    pub plugin: Arc<Plugin>,
}

/// Why a project gave no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// The folder is no project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The toolchain made none.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A server would refuse it.
    #[error("{0}")]
    Refused(#[from] PluginError),
    /// It is not what `plugin.toml` says.
    #[error("the component is not what `plugin.toml` says:\n{}", list(.0))]
    Differs(Vec<Problem>),
    /// Nobody wanted it any more.
    #[error("the build was given up: nobody waits for the component any more")]
    Unwanted,
    /// The host that checks it cannot start.
    #[error("{0}")]
    Host(#[from] StartError),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// Builds the project in `folder`. What its tools say goes to `say`, a line at a time. With `renew` it first gets the SDK of this release.
pub fn build(folder: &Path, renew: bool, say: &mut dyn FnMut(&str)) -> Result<BuiltPlugin, BuildFailure> {
    build_while(folder, renew, &Interest::for_ever(), say)
}

/// The same as long as `interest` is there: then the tools and the compiler are ended, and what was there before stays.
pub fn build_while(
    folder: &Path,
    renew: bool,
    interest: &Interest,
    say: &mut dyn FnMut(&str),
) -> Result<BuiltPlugin, BuildFailure> {
    let mut project = Project::open(folder)?;
    let built = project.build(renew, interest, say)?;
    let workshop = Workshop::open(RealClock::start(), None, 1)?;
    let loaded = workshop.plugins().load_while(spec(project.manifest(), &built.bytes), interest)?;
    let plugin = loaded.ok_or(BuildFailure::Unwanted)?;
    let problems = differences(project.manifest(), &plugin);
    if !problems.is_empty() {
        return Err(BuildFailure::Differs(problems));
    }
    let digest = Sha256::digest(&built.bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let file = built.keep()?.to_owned();
    Ok(BuiltPlugin { file, bytes: built.bytes.len(), digest: format!("sha256:{digest}"), plugin })
}

/// The component `bytes` with the name and the limits of `manifest`.
pub fn spec<'a>(manifest: &'a Manifest, bytes: &'a [u8]) -> LoadSpec<'a> {
    let mut spec = LoadSpec::new(&manifest.name, bytes);
    if let Some(memory) = manifest.memory_bytes {
        spec.memory_bytes = usize::try_from(memory).unwrap_or(usize::MAX);
    }
    spec.time_us = manifest.time_us.unwrap_or(spec.time_us);
    spec
}

/// Where the component says something else of itself than the manifest does.
fn differences(manifest: &Manifest, plugin: &Plugin) -> Vec<Problem> {
    let about = plugin.about();
    let kinds: Vec<&str> = plugin.kinds().into_iter().map(|kind| kind.word()).collect();
    let pairs = [
        ("name", manifest.name.clone(), about.name.clone()),
        ("version", manifest.version.clone(), about.version.clone()),
        ("kinds", manifest.kinds.join(", "), kinds.join(", ")),
    ];
    let differs = |(field, said, found): (&str, String, String)| {
        let hint = format!("change one of them: `{field}` there, or {} says", manifest.lang.source());
        (said != found)
            .then(|| Problem::new("", format!("`{field}` is `{said}` there, and `{found}` in the component")).hint(hint))
    };
    pairs.into_iter().filter_map(differs).collect()
}
