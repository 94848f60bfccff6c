//! `simwright pack list`: what is installed.

use serde_json::{Value, json};

use crate::app::pack::Failure as PackFailure;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::pack::installed::Record;
use crate::pack::store::Store;

/// Arguments of `pack list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack list --json")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = Store::of_user().map_err(PackFailure::from)?;
    let mut packs = Vec::new();
    for record in store.records().map_err(PackFailure::from)? {
        let users = store.users_of(&record.digest).map_err(PackFailure::from)?;
        packs.push((record, users));
    }
    if args.json {
        let one = |(record, users): &(Record, Vec<String>)| {
            json!({
                "name": record.name, "version": record.version.to_string(), "digest": record.digest.to_string(),
                "source": record.source, "signatures": record.signatures.len(), "insecure": record.insecure, "used_by": users,
            })
        };
        output::data(&format!("{:#}", packs.iter().map(one).collect::<Value>()));
        return Ok(());
    }
    for (record, users) in &packs {
        let used = if users.is_empty() { "not used".to_owned() } else { format!("used by {}", users.join(", ")) };
        let insecure = if record.insecure { ", not signed by anybody trusted" } else { "" };
        let Record { name, version, digest, source, .. } = record;
        output::data(&format!("{name} {version} ({}) from {source}{insecure}: {used}", digest.short()));
    }
    if packs.is_empty() {
        output::talk("no packs are installed");
    }
    Ok(())
}
