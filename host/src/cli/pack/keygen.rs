//! `simwright pack keygen`: a key to sign packs with, as `minisign -G -W` makes one.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::app::pack::Failure as PackFailure;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::pack::signature::{Key, new_key};

/// Arguments of `pack keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack keygen acme     writes acme.key, for you alone, and acme.pub\n\n\
    A key with a password comes from `minisign -G`; `pack sign` takes it, too.")]
pub(super) struct Args {
    /// What the two files are called, without their endings.
    name: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (public, secret) = new_key().map_err(PackFailure::Refused)?;
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", args.name.display()));
    // A key that is there is never overwritten, and half a pair helps nobody.
    for path in [with("key"), with("pub")] {
        if path.symlink_metadata().is_ok() {
            return Err(PackFailure::Refused(format!("`{}` is there already; name the key otherwise", path.display())).into());
        }
    }
    write(&with("key"), &secret, 0o600)?;
    write(&with("pub"), &public, 0o644)?;
    let key = Key::parse(&public).map_err(PackFailure::Refused)?;
    output::data(&format!("{}\n{}", with("key").display(), with("pub").display()));
    output::talk(&format!("key {}: who trusts it writes into `trust.toml`: keys = [\"{}\"]", key.id(), last_line(&public)));
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| PackFailure::Refused(format!("`{}`: {error}", path.display())).into())
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or("")
}
