//! `simwright pack list`: what is installed.

use serde_json::{Value, json};

use crate::app::pack::Failure as PackFailure;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::user_store;
use crate::pack::installed::Record;

/// Arguments of `pack list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack list --json")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = user_store()?;
    let users = store.users().map_err(PackFailure::from)?;
    let records = store.records().map_err(PackFailure::from)?;
    let packs: Vec<(Record, Vec<String>)> =
        records.into_iter().map(|record| (record.clone(), users.of(&record.digest))).collect();
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
    for error in users.unreadable() {
        output::talk(&format!("{error}\n  hint: mend it, or remove it: until then nothing is thrown out"));
    }
    Ok(())
}
