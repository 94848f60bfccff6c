//! `simwright plugin test`: a plugin's test vectors.

use std::path::PathBuf;

use crate::app::trial::{Subject, test};
use crate::cli::error::{Failure, Kind};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  simwright plugin test                          the project in this folder, with its tests/*.yaml
  simwright plugin test build/brown_out.wasm --tests 'tests/slow*.yaml'
  simwright plugin test --json | jq '.cases[] | select(.passes | not)'

Each case is run on fresh instances, and on one instance in both orders: answers that differ depend on
memory that no plugin may rely on. Instructions are counted, so figures are equal on every machine.
Exit codes: 0 all pass, 1 some fail, 3 the plugin or its vectors cannot be used.";

/// Arguments of `plugin test`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A plugin's project, a component, or the name of a plugin of the standard pack.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    plugin: PathBuf,
    /// Files of vectors, folders of them, or names with `*`; may be given several times [default: tests/*.yaml of the project].
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    tests: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let subject = Subject::find(&args.plugin, &mut |line| output::talk(line))?;
    let files = subject.vectors(&args.tests)?;
    let report = test(&subject, &files)?;
    output::data(&if args.json { format!("{:#}", report.json()) } else { report.text() });
    if report.cases.is_empty() {
        output::talk("note: write cases to tests/*.yaml of the project, or name files with `--tests`");
    }
    if report.is_good() { Ok(()) } else { Err(Failure::told(Kind::Other)) }
}
