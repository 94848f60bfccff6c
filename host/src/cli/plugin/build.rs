//! `simwright plugin build`: sources become a component.

use std::path::PathBuf;

use serde_json::json;

use crate::app::plugin_project::{BuildFailure, build_while};
use crate::app::signals::Signals;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::interest::Interest;
use crate::types::quantity::show_bytes;

const EXAMPLES: &str = "\
Examples:
  simwright plugin build                     the project in this folder
  simwright plugin build plugins/doorman     another one
  simwright plugin build --json | jq -r .digest";

/// Arguments of `plugin build`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The project's folder, the one with `plugin.toml`.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// First take the SDK of this release into `vendor/`.
    #[arg(long)]
    renew: bool,
    /// Say what was built as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (hold, interest) = Interest::begin();
    let mut signals = Signals::listen().map_err(anyhow::Error::from)?;
    std::thread::spawn(move || {
        signals.wait();
        // The tools have groups of their own, so that an interrupt from the terminal does not reach them.
        drop(hold);
        signals.wait();
        std::process::exit(1);
    });
    let built = build_while(&args.dir, args.renew, &interest, &mut |line| output::talk(line))?;
    let kinds: Vec<&str> = built.plugin.kinds().into_iter().map(|kind| kind.word()).collect();
    let file = built.file.display();
    if args.json {
        let about = built.plugin.about();
        let said = json!({
            "file": file.to_string(), "bytes": built.bytes, "digest": built.digest, "name": about.name, "version": about.version,
            "kinds": kinds,
        });
        output::data(&said.to_string());
    } else {
        output::data(&format!("built {file}: {}, {}, {}", kinds.join(", "), size(built.bytes), built.digest));
    }
    Ok(())
}

/// `90KiB`, `18.2MiB`.
fn size(bytes: usize) -> String {
    let kib = bytes.div_ceil(1024) as u64;
    if kib < 1024 { show_bytes(kib * 1024) } else { format!("{:.1}MiB", kib as f64 / 1024.0) }
}

impl From<BuildFailure> for Failure {
    fn from(failure: BuildFailure) -> Self {
        match failure {
            BuildFailure::Project(crate::project::ProjectError::Manifest(refusal)) => (&refusal).into(),
            BuildFailure::Host(error) => error.into(),
            BuildFailure::Refused(_) | BuildFailure::Differs(_) => Self::new(Kind::Scenario, format!("error: {failure}")),
            other => Self::new(Kind::Other, format!("error: {other}")),
        }
    }
}
