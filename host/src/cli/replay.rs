//! `simwright replay`: plans requests of a decision log again and says what is decided otherwise now.

use std::path::PathBuf;

use crate::app::replay::{Difference, Item, Pick, Replay, ReplayOptions, replay};
use crate::cli::error::{Failure, Kind};
use crate::cli::output;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("pick").multiple(false))]
pub(super) struct Args {
    /// The decision log, as `simwright serve --decisions FILE` writes it.
    log: PathBuf,
    /// Replay the request with this id: of the reply (`chatcmpl-…`), of the request (`req_…`), or its identity.
    #[arg(long, value_name = "ID", group = "pick")]
    id: Option<String>,
    /// Replay the first request that was refused or broken off.
    #[arg(long, group = "pick")]
    first_failure: bool,
    /// Replay all requests and name those that are decided otherwise; this is what happens if nothing is picked.
    #[arg(long, group = "pick")]
    all: bool,
    /// The scenario file; without it, the one that the log names.
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let pick = match args.id {
        Some(id) => Pick::Id(id),
        None if args.first_failure => Pick::FirstFailure,
        None => Pick::All,
    };
    let brief = pick == Pick::All;
    let replay = replay(&ReplayOptions { log: args.log, pick, scenario: args.scenario })?;
    output::data(&if args.json { format!("{:#}", replay.json()) } else { text(&replay, brief) });
    if replay.is_same() { Ok(()) } else { Err(Failure::told(Kind::Other)) }
}

/// What is not as it was, each decision, and the sum of it.
fn text(replay: &Replay, brief: bool) -> String {
    let mut lines: Vec<String> = replay.notes.iter().map(|note| format!("note: {note}")).collect();
    for item in &replay.items {
        let differs = !item.differences.is_empty();
        if differs {
            lines.push(format!("{}: decided otherwise", item.id));
            lines.extend(item.differences.iter().map(difference));
        }
        if !brief {
            lines.extend(about(item, differs));
        }
    }
    if brief {
        let differing = replay.items.iter().filter(|item| !item.differences.is_empty()).count();
        let same = replay.items.len() - differing;
        let decisions = output::count(replay.items.len(), "decision");
        lines.push(format!("{decisions}: {same} the same, {differing} otherwise"));
    }
    lines.join("\n")
}

fn about(item: &Item, differs: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if !differs {
        lines.push(format!("{}: decided the same", item.id));
    }
    lines.push(String::new());
    lines.extend(item.explanation.iter().map(crate::app::explain::Explanation::text));
    lines
}

fn difference(found: &Difference) -> String {
    format!("  {:<12} logged {}\n  {:<12} now    {}", found.what, found.logged, "", found.now)
}
