//! `simwright pack push`: a pack to a registry.

use serde_json::json;

use crate::app::pack::examine::Bench;
use crate::app::pack::find::find;
use crate::app::pack::make::Projects;
use crate::app::pack::{Failure as PackFailure, remote};
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::access::AccessArgs;
use crate::pack::registry::reference::Reference;
use crate::pack::store::Store;

/// Arguments of `pack push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack push acme/build/acme-1.2.0 ghcr.io/acme/acme:1.2.0\n\n\
    Prints the place with the digest of what lies there now. Signatures travel with the pack.")]
pub(super) struct Args {
    /// A folder, built or with `pack.toml`, or the name of an installed pack.
    pack: String,
    /// Where to: `host[:port]/name[:tag]`. The tag is the pack's version unless given.
    reference: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let reference: Reference = args.reference.parse().map_err(|error| Failure::usage(&format!("error: {error}")))?;
    let registry = args.access.registry()?;
    let bench = Bench::open().map_err(Failure::from)?;
    let store = Store::of_user().map_err(PackFailure::from)?;
    let pack = find(&bench, &store, &args.pack, Projects::Built)?.pack;
    let tag = tag_of(&pack.manifest.version.to_string());
    let reference = reference.or_tag(&tag).map_err(|error| Failure::usage(&format!("error: {error}")))?;
    let pushed = remote::push(&registry, &reference, &pack)?;
    if args.json {
        let manifest = pushed.reference.digest().map(|digest| digest.to_string());
        let told = json!({
            "reference": pushed.reference.to_string(), "manifest": manifest, "digest": pack.digest(),
            "sent": pushed.sent, "kept": pushed.kept, "signatures": pack.artifact.signatures.len(),
        });
        output::data(&format!("{told:#}"));
        return Ok(());
    }
    output::data(&pushed.reference.to_string());
    let signed = match pack.artifact.signatures.len() {
        0 => "not signed: who installs it must say `--insecure`".to_owned(),
        count => output::count(count, "signature"),
    };
    output::talk(&format!("{} sent, {} there already; {signed}", output::count(pushed.sent, "file"), pushed.kept));
    Ok(())
}

/// A version as a tag, which cannot hold a plus.
fn tag_of(version: &str) -> String {
    version.replace('+', "_")
}
