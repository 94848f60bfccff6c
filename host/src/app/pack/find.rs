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
use crate::pack::whole::{MANIFEST, Pack};
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
    let is_no_recipe = || !folder.join(RECIPE).exists() && (!folder.is_dir() || folder.join(MANIFEST).exists());
    if Pack::is_built(folder) || is_no_recipe() {
        return Ok(Pack::in_folder(folder)?);
    }
    make(bench, folder, projects)
}

/// The installed pack `which`: a name, a name with `@` and a version, or the beginning of a digest. Of several versions the newest
/// release is meant; of several packs with one version, or one beginning of their digests, none is.
pub fn installed(store: &Store, which: &str) -> Result<Record, Failure> {
    let found = all(store, which)?;
    let by_name = found.iter().filter(|record| which.split('@').next() == Some(&record.name));
    let newest = by_name.max_by_key(|record| (record.version.pre.is_empty(), &record.version)).map(key_of);
    only(found.iter().filter(|record| newest.is_none_or(|newest| newest == key_of(record))), which)
}

/// The one installed pack that `which` can mean. Of several none is meant: for who takes away what was meant.
pub fn only_installed(store: &Store, which: &str) -> Result<Record, Failure> {
    only(all(store, which)?.iter(), which)
}

fn key_of(record: &Record) -> (&str, &Version) {
    (&record.name, &record.version)
}

fn only<'a>(found: impl Iterator<Item = &'a Record>, which: &str) -> Result<Record, Failure> {
    let found: Vec<&Record> = found.collect();
    if let [record] = found[..] {
        return Ok(record.clone());
    }
    let name = |record: &&Record| match found.iter().filter(|other| key_of(other) == key_of(record)).count() {
        1 => format!("`{}@{}`", record.name, record.version),
        _ => format!("`sha256:{}` ({} {})", record.digest.short(), record.name, record.version),
    };
    let names: Vec<String> = found.iter().map(name).collect();
    Err(Failure::Refused(format!("`{which}` may be several packs; say which of them: {}", names.join(", "))))
}

/// Every installed pack that `which` can mean: at least one.
fn all(store: &Store, which: &str) -> Result<Vec<Record>, Failure> {
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
    let found: Vec<Record> = records.iter().filter(fits).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let hint = match did_you_mean(name, records.iter().map(|record| record.name.as_str())) {
        Some(near) if near != name => format!("did you mean `{near}`?"),
        _ => "`simwright pack list` names what is installed; a folder begins with `./`".to_owned(),
    };
    Err(Failure::Refused(format!("the pack `{which}` is not installed; {hint}")))
}
