//! What a person means by a pack: a folder with a recipe, a built folder, or an installed pack by name.

use std::path::{Path, PathBuf};

use semver::Version;

use crate::app::pack::Failure;
use crate::app::pack::examine::Bench;
use crate::app::pack::make::{Projects, make};
use crate::pack::installed::Record;
use crate::pack::recipe::RECIPE;
use crate::pack::store::Store;
use crate::pack::trust::Origin;
use crate::pack::whole::Pack;
use crate::types::problem::did_you_mean;

/// A pack that was found.
pub struct Found {
    /// The pack.
    pub pack: Pack,
    /// Where it comes from, for the trust policy.
    pub origin: Origin,
    /// The folder, if it is in one.
    pub folder: Option<PathBuf>,
}

/// The pack that `which` means. A recipe is made on `bench`, with its `projects`.
pub fn find(bench: &Bench, store: &Store, which: &str, projects: Projects<'_>) -> Result<Found, Failure> {
    let folder = Path::new(which);
    if folder.exists() || which.starts_with('.') || which.starts_with('/') {
        let pack = in_folder(bench, folder, projects)?;
        return Ok(Found { pack, origin: Origin::Folder, folder: Some(folder.to_owned()) });
    }
    let record = installed(store, which)?;
    Ok(Found { pack: store.pack(&record)?, origin: record.origin(), folder: None })
}

/// The pack in `folder`, built or made now with its `projects`.
pub fn in_folder(bench: &Bench, folder: &Path, projects: Projects<'_>) -> Result<Pack, Failure> {
    if Pack::is_built(folder) || !folder.join(RECIPE).exists() && !folder.is_dir() {
        return Ok(Pack::in_folder(folder)?);
    }
    make(bench, folder, projects)
}

/// The installed pack `which`: a name, a name with `@` and a version, or the beginning of a digest. Of several, the newest version.
pub fn installed(store: &Store, which: &str) -> Result<Record, Failure> {
    let records = store.records()?;
    let (name, version) = which.split_once('@').map_or((which, None), |(name, version)| (name, Some(version)));
    let wanted: Option<Version> = match version.map(str::parse) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(error)) => return Err(Failure::Refused(format!("`{which}`: {error}; write for example `acme@1.2.0`"))),
    };
    let digits = which.strip_prefix("sha256:").unwrap_or(which);
    let fits = |record: &&Record| {
        let by_name = record.name == name && wanted.as_ref().is_none_or(|version| *version == record.version);
        by_name || digits.len() >= 8 && record.digest.hex().starts_with(digits)
    };
    let known: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    records.iter().rfind(fits).cloned().ok_or_else(|| {
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) if near != name => format!("did you mean `{near}`?"),
            _ => "`simwright pack list` names what is installed; a folder begins with `./`".to_owned(),
        };
        Failure::Refused(format!("the pack `{which}` is not installed; {hint}"))
    })
}
