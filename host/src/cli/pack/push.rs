//! `simwright pack push`: a pack to a registry.

use serde_json::json;

use crate::app::pack::examine::Bench;
use crate::app::pack::find::find;
use crate::app::pack::make::Projects;
use crate::app::pack::remote;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::access::AccessArgs;
use crate::cli::pack::user_store;
use crate::pack::registry::reference::Reference;
use crate::pack::registry::tags::tag_of;
use crate::pack::whole::Pack;

/// Arguments of `pack push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack push acme/build/acme-1.2.0 ghcr.io/acme/acme:1.2.0\n\n\
    A recipe is tried out first, as by `pack check`. Prints the place with the digest of what lies\n\
    there now. Signatures travel with the pack.")]
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
    let mut bench = Bench::open().map_err(Failure::from)?;
    let store = user_store()?;
    let found = find(&bench, &store, &args.pack, Projects::Built)?;
    // What is built or installed was tried out before.
    if found.folder.as_deref().is_some_and(|folder| !Pack::is_built(folder)) {
        bench.examine(&found.pack)?;
    }
    let pack = found.pack;
    let tag = tag_of(&pack.manifest.version);
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
        0 => "not signed: who installs it must trust its place without signatures, or say `--insecure`".to_owned(),
        count => output::count(count, "signature"),
    };
    output::talk(&format!("{} sent, {} there already; {signed}", output::count(pushed.sent, "file"), pushed.kept));
    Ok(())
}
