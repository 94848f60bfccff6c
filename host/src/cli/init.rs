//! `simwright init`: a scenario to begin with.

use std::path::PathBuf;

use crate::app::starter::{STARTERS, Starter};
use crate::cli::error::Failure;
use crate::cli::output;
use crate::types::problem::did_you_mean;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A folder, which gets a `scenario.yaml`, or the file itself.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    target: PathBuf,
    /// Which scenario to begin with; see `--list`.
    #[arg(long, value_name = "NAME", default_value = STARTERS[0].name)]
    starter: String,
    /// List the scenarios to begin with, and write nothing.
    #[arg(long)]
    list: bool,
    /// Write over a scenario that is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.list {
        let lines: Vec<String> = STARTERS.iter().map(|starter| format!("{:15}{}", starter.name, starter.summary)).collect();
        output::data(&lines.join("\n"));
        return Ok(());
    }
    let Some(starter) = Starter::find(&args.starter) else {
        let names = || STARTERS.iter().map(|starter| starter.name);
        let hint = match did_you_mean(&args.starter, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of: {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(Failure::usage(&format!("error: there is no starter `{}`; {hint}", args.starter)));
    };
    let written = starter.write(&args.target, args.force).map_err(anyhow::Error::from)?;
    let (scenario, request) = (written.scenario.display(), written.request.display());
    let simulate = if starter.has_workload() { format!("\n       simwright simulate {scenario}") } else { String::new() };
    output::data(&format!(
        "wrote {scenario}, the starter `{}`\n\n\
         next:  simwright serve {scenario}\n       simwright explain {scenario} --request {request}{simulate}",
        starter.name
    ));
    Ok(())
}
