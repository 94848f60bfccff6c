//! `simwright pack sign`: a signature beside a built pack.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::pack::Failure as PackFailure;
use crate::cli::duration;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::access::first_line_of_stdin;
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::pack::signature::sign;
use crate::pack::whole::{Pack, add_signature};

/// Arguments of `pack sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack sign acme/build/acme-1.2.0 --key acme.key\n\n\
    The same signature is verified by `minisign -V -m pack.json -p acme.pub`.")]
pub(super) struct Args {
    /// The built pack.
    folder: PathBuf,
    /// The secret key, a file of minisign or of `pack keygen`.
    #[arg(long)]
    key: PathBuf,
    /// Read the key's password from standard input; else it is in `SIMWRIGHT_KEY_PASSWORD`.
    #[arg(long)]
    password_stdin: bool,
    /// How long the signature is good for installs, such as `720h`; for ever unless given.
    #[arg(long, value_parser = duration)]
    expires: Option<Duration>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let pack = Pack::in_folder(&args.folder).map_err(PackFailure::from)?;
    // What is signed is what is there.
    for layer in &pack.artifact.layers {
        pack.read(layer).map_err(PackFailure::from)?;
    }
    let secret = std::fs::read_to_string(&args.key)
        .map_err(|error| PackFailure::Refused(format!("the key `{}` cannot be read: {error}", args.key.display())))?;
    // On the command line every user of the machine could read it.
    let password = if args.password_stdin { first_line_of_stdin()? } else { std::env::var("SIMWRIGHT_KEY_PASSWORD").ok() };
    let expires = args.expires.map(|time| RealClock::start().epoch_unix_s() + time.as_secs());
    let (key_id, text) = sign(&pack.manifest, &pack.artifact.config, &secret, password, expires).map_err(PackFailure::Refused)?;
    let file = add_signature(&args.folder, &key_id, &text).map_err(PackFailure::from)?;
    output::data(&file.display().to_string());
    output::talk(&format!("{} {} is signed with key {key_id}", pack.manifest.name, pack.manifest.version));
    Ok(())
}
