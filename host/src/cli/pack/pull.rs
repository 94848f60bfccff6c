//! `simwright pack pull`: a pack from a registry into a folder.

use std::path::PathBuf;

use serde_json::json;

use crate::app::pack::remote;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::access::AccessArgs;
use crate::cli::pack::user_store;
use crate::pack::registry::reference::Reference;

/// Arguments of `pack pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  simwright pack pull ghcr.io/acme/acme:1.2.0             into acme-1.2.0\n  \
    simwright pack pull ghcr.io/acme/acme:1.2.0 --to look\n\n\
    Every byte is checked against its digest. Nothing is run or installed, and nobody need have signed it: look at it with\n\
    `pack inspect` and `pack verify`, and install it with `pack install`.")]
pub(super) struct Args {
    /// Where from: `host[:port]/name[:tag][@sha256:…]`.
    reference: String,
    /// The folder, which must be new, empty or a built pack; its name and version unless given.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let reference: Reference = args.reference.parse().map_err(|error| Failure::usage(&format!("error: {error}")))?;
    let registry = args.access.registry()?;
    let store = user_store()?;
    let named = |offer: &crate::pack::registry::pull::Offer| {
        args.to.clone().unwrap_or_else(|| format!("{}-{}", offer.manifest.name, offer.manifest.version).into())
    };
    let (pulled, folder) = remote::pull(&registry, &reference, &store, named)?;
    let manifest = &pulled.offer.manifest;
    if args.json {
        let told = json!({
            "reference": pulled.offer.reference.to_string(), "name": manifest.name, "version": manifest.version.to_string(),
            "digest": pulled.offer.artifact.digest(), "folder": folder, "files": pulled.fetched.files, "bytes": pulled.fetched.bytes,
            "kept": pulled.fetched.kept, "signatures": pulled.offer.artifact.signatures.len(),
        });
        output::data(&format!("{told:#}"));
        return Ok(());
    }
    output::data(&folder.display().to_string());
    let signatures = output::count(pulled.offer.artifact.signatures.len(), "signature");
    output::talk(&format!(
        "{} {} from {}: {} fetched, {} here already; {signatures}",
        manifest.name,
        manifest.version,
        pulled.offer.reference,
        output::count(pulled.fetched.files, "file"),
        pulled.fetched.kept,
    ));
    Ok(())
}
