//! Packs and registries, for commands: a runtime for one visit, and what is done with what came.
//!
//! [`crate::pack::registry`] checks every byte against what was announced. Whether the one who announced it is believed is decided in
//! `install`, by the trust policy and before a file is fetched.

use std::path::PathBuf;

use semver::VersionReq;

use crate::app::pack::Failure;
use crate::pack::Layer;
use crate::pack::registry::Registry;
use crate::pack::registry::error::RegistryError;
use crate::pack::registry::pull::{Fetched, Offer};
use crate::pack::registry::push::Pushed;
use crate::pack::registry::reference::Reference;
use crate::pack::signature::key_id;
use crate::pack::store::{Intake, Store};
use crate::pack::whole::{Pack, add_signature};

/// A pack that was written to a folder.
#[derive(Debug)]
pub struct Pulled {
    /// What was at the place.
    pub offer: Offer,
    /// What had to be fetched.
    pub fetched: Fetched,
}

/// What is at `reference`: what it says of itself, and no files.
pub fn look(registry: &Registry, reference: &Reference) -> Result<Offer, Failure> {
    visit(registry.look(reference))
}

/// The place that `reference` means to who wants a version in `range`.
pub fn newest(registry: &Registry, reference: &Reference, range: Option<&VersionReq>) -> Result<Reference, Failure> {
    visit(registry.newest(reference, range))
}

/// Brings the files of `offer` into the store.
pub fn fetch(registry: &Registry, offer: &Offer, intake: &Intake) -> Result<(Pack, Fetched), Failure> {
    let fetched = visit(registry.fetch(offer, intake))?;
    Ok((Pack::in_store(offer.artifact.clone(), intake.store())?, fetched))
}

/// Writes what is at `reference` to the folder that `folder_for` names, built and with its signatures. Nothing of it is run, and it is
/// not installed; its files are fetched by way of `store`, so that an install has them then.
pub fn pull(
    registry: &Registry,
    reference: &Reference,
    store: &Store,
    folder_for: impl FnOnce(&Offer) -> PathBuf,
) -> Result<(Pulled, PathBuf), Failure> {
    let offer = look(registry, &newest(registry, reference, None)?)?;
    // All that can be known to be wrong is, before anything is fetched or written.
    let folder = folder_for(&offer);
    Pack::check_place(&folder)?;
    let refused = |reason| Failure::Refused(format!("a signature of `{}`: {reason}", offer.reference));
    let key_ids = offer.artifact.signatures.iter().map(|signature| key_id(signature).map_err(refused));
    let key_ids: Vec<String> = key_ids.collect::<Result<_, _>>()?;
    let intake = store.intake()?;
    let (pack, fetched) = fetch(registry, &offer, &intake)?;
    pack.write(&folder)?;
    for (signature, key_id) in offer.artifact.signatures.iter().zip(&key_ids) {
        add_signature(&folder, key_id, signature)?;
    }
    Ok((Pulled { offer, fetched }, folder))
}

/// Sends `pack` with its signatures to `reference`.
pub fn push(registry: &Registry, reference: &Reference, pack: &Pack) -> Result<Pushed, Failure> {
    visit(registry.push(reference, &pack.artifact, |layer: &Layer| pack.read(layer)))
}

fn visit<T>(visit: impl Future<Output = Result<T, RegistryError>>) -> Result<T, Failure> {
    let refused = |error: std::io::Error| Failure::Refused(format!("no runtime for the network: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let done = runtime.block_on(visit);
    // A resolver of names that hangs is not waited for.
    runtime.shutdown_background();
    Ok(done?)
}
