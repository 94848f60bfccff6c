//! `simwright pack remove`: an installed pack that nobody needs.

use crate::app::pack::Failure as PackFailure;
use crate::app::pack::find::only_installed;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::user_store;

/// Arguments of `pack remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack remove acme@1.1.0\n\nWhat a lock names or a running program uses stays.")]
pub(super) struct Args {
    /// Its name, its name with `@` and a version, or the beginning of its digest. It must say which of several.
    pack: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = user_store()?;
    let record = only_installed(&store, &args.pack)?;
    let name = format!("{} {}", record.name, record.version);
    match store.remove(&record.digest).map_err(PackFailure::from)? {
        Ok(collected) => {
            output::data(&format!(
                "removed {name}: {}, {} bytes",
                output::count(collected.files as usize, "file"),
                collected.bytes
            ));
            Ok(())
        }
        Err(users) => Err(PackFailure::Refused(format!("{name} is used by {}", users.join(", "))).into()),
    }
}
