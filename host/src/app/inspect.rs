//! What a component is: who made it, what it exports and imports, which options it takes.

use std::path::Path;
use std::sync::Arc;

use crate::app::StartError;
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::wasm::{LoadSpec, Plugin, PluginError};

/// Loads the component in `file` as a server would and gives it for looking at.
pub fn inspect(file: &Path) -> Result<Arc<Plugin>, InspectError> {
    let bytes = std::fs::read(file).map_err(|error| InspectError::Unreadable(file.display().to_string(), error))?;
    let name = file.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().replace('_', "-"));
    let workshop = Workshop::open(RealClock::start(), None, 1)?;
    Ok(workshop.plugins().load(LoadSpec::new(&name, &bytes))?)
}

/// Why a component cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Unreadable(String, std::io::Error),
    /// The component cannot be loaded.
    #[error("{0}")]
    Refused(#[from] PluginError),
    /// The host cannot start.
    #[error("{0}")]
    Host(#[from] StartError),
}
