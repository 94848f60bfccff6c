//! `simwright pack install`: a pack, or all packs of a scenario as its lock says.

use std::path::Path;

use crate::app::pack::Failure as PackFailure;
use crate::app::pack::install::{Installer, Moved};
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::access::AccessArgs;
use crate::cli::pack::{shown, user_store};
use crate::pack::trust::Policy;

/// Arguments of `pack install`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  simwright pack install scenario.yaml     writes or follows simwright.lock beside it\n  \
    simwright pack install ./acme")]
pub(super) struct Args {
    /// A scenario (`.yaml`), or where one pack is: a folder, built or with `pack.toml`.
    what: String,
    /// Also take what nobody who is trusted has signed. Every start with it warns.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut installer = Installer::at(user_store()?, Policy::of_user().map_err(PackFailure::from)?, args.insecure)?;
    installer.registry = args.access.registry()?;
    if [".yaml", ".yml"].iter().any(|ending| args.what.ends_with(ending)) {
        for moved in installer.install_for(Path::new(&args.what))? {
            output::data(&line(&moved, true));
        }
    } else {
        let installed = installer.install(&args.what)?;
        let record = &installed.record;
        output::data(&format!("{} {} {}", record.name, record.version, record.digest));
        output::talk(&shown::voucher(&installed.voucher));
    }
    Ok(())
}

/// What became of one pack, on one line.
pub(super) fn line(moved: &Moved, written: bool) -> String {
    let Moved { name, locked, before, voucher, .. } = moved;
    let what = match before {
        None => "locked",
        Some(before) if before.digest == locked.digest => "as locked",
        Some(_) if written => "moved",
        Some(_) => "would be moved",
    };
    let who = voucher.as_ref().map(|voucher| format!(", {}", shown::voucher(voucher))).unwrap_or_default();
    format!("{name} {} ({}): {what}{who}", locked.version, locked.digest.short())
}
