//! `simwright plugin new`: a project that builds and passes its own tests at once.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use crate::cli::error::Failure;
use crate::cli::output;
use crate::project::{KINDS, Lang, Template};

const EXAMPLES: &str = "\
Examples:
  simwright plugin new night-shift                       a latency model in Rust, in ./night-shift
  simwright plugin new doorman --kind fault --lang python
  simwright plugin new concierge --kind full --lang javascript --dir plugins/concierge";

/// Arguments of `plugin new`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The plugin's name: lower-case words with dashes.
    name: String,
    /// What it decides; `full` is fault, responder and latency.
    #[arg(long, value_name = "KIND", default_value = "latency", value_parser = PossibleValuesParser::new(kinds()))]
    kind: String,
    /// What it is written in.
    #[arg(long, value_name = "LANG", default_value = "rust", value_parser = PossibleValuesParser::new(Lang::WORDS))]
    lang: String,
    /// The project's folder, which is made; the name unless given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().chain(["full"])
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let lang = Lang::of_word(&args.lang).unwrap_or(Lang::Rust);
    let kinds = match args.kind.as_str() {
        "full" => KINDS[..3].to_vec(),
        kind => KINDS.into_iter().filter(|known| *known == kind).collect(),
    };
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let project =
        Template { name: &args.name, kinds, lang }.write(&folder).map_err(|error| Failure::usage(&format!("error: {error}")))?;
    let shown = project.folder().display();
    let install = if lang == Lang::JavaScript { format!("\n       (cd {shown} && npm install)") } else { String::new() };
    output::data(&format!(
        "wrote {shown}, a plugin in {lang}: begin with {shown}/{}\n\nnext:{install}\n       simwright plugin build {shown}\n       \
         simwright plugin test {shown}",
        lang.source()
    ));
    Ok(())
}
