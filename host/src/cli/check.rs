//! `simwright check`: every mistake in scenarios, before anything runs.

use std::path::{Path, PathBuf};

use crate::app;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::scenario::Scenario;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files; the built-in scenario if there are none.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut good = true;
    let mut check = |scenario: Option<&Path>| match app::check(scenario) {
        Ok(scenario) => output::data(&summary(&scenario)),
        Err(refusal) => {
            good = false;
            output::talk(&Failure::from(refusal).to_string());
        }
    };
    if args.scenarios.is_empty() {
        check(None);
    }
    for scenario in &args.scenarios {
        check(Some(scenario));
    }
    if good { Ok(()) } else { Err(Failure::told(Kind::Scenario)) }
}

fn summary(scenario: &Scenario) -> String {
    let models = output::count(scenario.models.len(), "model entry").replace("entrys", "entries");
    let plugins = output::count(scenario.plugins.len(), "plugin");
    format!("{}: no mistakes, {models}, {plugins}", scenario.source.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_the_scenario_has() {
        let text = "simwright: 1\nmodels: [{ match: a }, { match: b }]\n";
        let scenario = crate::scenario::read::parse("s.yaml", text, Path::new("")).expect("readable").scenario;
        assert_eq!(summary(&scenario), "s.yaml: no mistakes, 2 model entries, 0 plugins");
    }

    #[test]
    fn one_bad_file_among_good_ones_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = folder.path().join("good.yaml");
        std::fs::write(&good, "simwright: 1\nmodels: [{ match: a }]\n").expect("written");
        run(&Args { scenarios: vec![] }).expect("the built-in scenario is right");
        run(&Args { scenarios: vec![good.clone()] }).expect("right");
        let failure = run(&Args { scenarios: vec![folder.path().join("none.yaml"), good] }).expect_err("a missing file");
        assert_eq!(failure.kind, Kind::Scenario);
    }
}
