//! `simwright limits`: every limit with its value and its reason.

use serde_json::json;

use crate::cli::output;
use crate::types::limits::{Limit, all};

/// Arguments of `limits`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON, values in the unit that stands beside them.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) {
    output::data(&if args.json { format!("{:#}", as_json()) } else { table() });
}

fn table() -> String {
    let shown: Vec<(&Limit, String)> = all().map(|limit| (limit, limit.shown())).collect();
    let names = all().map(|limit| limit.name.len()).max().unwrap_or(0);
    let values = shown.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
    let line = |(limit, value): &(&Limit, String)| format!("{:names$}  {value:>values$}  {}", limit.name, limit.reason.trim());
    shown.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn as_json() -> serde_json::Value {
    let one =
        |limit: &Limit| json!({"name": limit.name, "value": limit.value, "unit": limit.unit(), "reason": limit.reason.trim()});
    all().map(one).collect()
}
