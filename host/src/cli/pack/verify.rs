//! `simwright pack verify`: every byte against its digest, and every signature against the trust policy.

use crate::app::pack::Failure as PackFailure;
use crate::app::pack::find::{Found, installed};
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::cli::pack::user_store;
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::pack::store::Store;
use crate::pack::trust::{Origin, Policy};
use crate::pack::whole::Pack;

/// Arguments of `pack verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  simwright pack verify                      all that is installed\n  \
    simwright pack verify acme/build/acme-1.2.0\n\nExit codes: 0 good, 1 something is not, 2 wrong arguments, 3 mistakes in `trust.toml`.")]
pub(super) struct Args {
    /// A built folder, or the name of an installed pack; all that are installed unless given.
    pack: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = user_store()?;
    let policy = Policy::of_user().map_err(PackFailure::from)?;
    let mut bad = 0;
    for found in found(&store, args.pack.as_deref())? {
        let label = found.as_ref().map_or_else(|(label, _)| label.clone(), |found| label(&found.pack));
        match found.map_err(|(_, error)| error.to_string()).and_then(|found| verify(&policy, &found)) {
            Ok(voucher) => output::data(&format!("good  {label}: {voucher}")),
            Err(reason) => {
                bad += 1;
                output::data(&format!("bad   {label}: {reason}"));
            }
        }
    }
    if bad == 0 { Ok(()) } else { Err(Failure::told(Kind::Other)) }
}

fn label(pack: &Pack) -> String {
    format!("{} {} ({})", pack.manifest.name, pack.manifest.version, pack.digest().short())
}

/// The packs that are meant; those that cannot be read with their labels.
type Each = Result<Found, (String, PackFailure)>;

fn found(store: &Store, which: Option<&str>) -> Result<Vec<Each>, Failure> {
    let records = match which {
        Some(folder) if std::path::Path::new(folder).exists() => {
            let pack = Pack::in_folder(folder.as_ref()).map_err(PackFailure::from)?;
            return Ok(vec![Ok(Found { pack, origin: Origin::Folder, folder: Some(folder.into()) })]);
        }
        Some(name) => vec![installed(store, name)?],
        None => store.records().map_err(PackFailure::from)?,
    };
    let each = records.into_iter().map(|record| match store.pack(&record) {
        Ok(pack) => Ok(Found { pack, origin: record.origin(), folder: None }),
        Err(error) => Err((format!("{} {} ({})", record.name, record.version, record.digest.short()), error.into())),
    });
    Ok(each.collect())
}

fn verify(policy: &Policy, found: &Found) -> Result<String, String> {
    for layer in &found.pack.artifact.layers {
        found.pack.read(layer).map_err(|error| format!("`{}`: {error}", layer.title))?;
    }
    let now = RealClock::start().epoch_unix_s();
    let judged = policy.judge(&found.origin, &found.pack.manifest, &found.pack.artifact, Some(now));
    judged.map(|voucher| voucher.to_string()).map_err(|reason| reason.to_string())
}
