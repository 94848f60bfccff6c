//! Scenarios to begin with, embedded in the program: written to a folder with a request to try them.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A scenario to begin with.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// The scenario.
    pub scenario: &'static str,
}

/// All of them; the first is the one for whoever names none.
pub const STARTERS: &[Starter] = &[
    Starter {
        name: "quickstart",
        summary: "two models, one of them unreliable",
        scenario: include_str!("../../assets/starters/quickstart.yaml"),
    },
    Starter {
        name: "ci",
        summary: "for tests: no delay, no chance, a model for each failure",
        scenario: include_str!("../../assets/starters/ci.yaml"),
    },
    Starter {
        name: "faults",
        summary: "a service on a bad day: refusals, hangs, cuts, stalls",
        scenario: include_str!("../../assets/starters/faults.yaml"),
    },
    Starter {
        name: "latency",
        summary: "delays by law: prefill, correlated gaps, pauses, load",
        scenario: include_str!("../../assets/starters/latency.yaml"),
    },
    Starter {
        name: "brown-out-day",
        summary: "capacity that runs short every afternoon",
        scenario: include_str!("../../assets/starters/brown-out-day.yaml"),
    },
    Starter {
        name: "bad-day",
        summary: "the standard pack at work: a region fails, a cache cools, the budget runs out",
        scenario: include_str!("../../assets/starters/bad-day.yaml"),
    },
    Starter {
        name: "capacity",
        summary: "model servers behind a pipeline, and a day of traffic to size them by",
        scenario: include_str!("../../assets/starters/capacity.yaml"),
    },
];

/// A request that every starter answers.
pub const REQUEST: &str = include_str!("../../assets/starters/request.json");

/// What has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The scenario.
    pub scenario: PathBuf,
    /// A request to it; there is one only where there was none before.
    pub request: PathBuf,
}

/// Why a starter was not written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a scenario already.
    #[error("there is `{0}` already; `--force` writes over it")]
    Exists(PathBuf),
    /// A file or a folder cannot be written.
    #[error("cannot write `{path}`: {error}")]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

impl Starter {
    /// The one called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        STARTERS.iter().find(|starter| starter.name == name)
    }

    /// Does it bring traffic of its own, so that it can be simulated?
    pub fn has_workload(&self) -> bool {
        self.scenario.contains("\nworkload:")
    }

    /// Writes the scenario to `target` (a `.yaml` file, or a folder that gets a `scenario.yaml`) and a request beside it. A scenario
    /// that is there is written over only with `force`, a request never. Folders that are not there are made.
    pub fn write(&self, target: &Path, force: bool) -> Result<Written, InitError> {
        let is_file = target.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") && !target.is_dir();
        let scenario = if is_file { target.to_owned() } else { target.join("scenario.yaml") };
        let folder = scenario.parent().unwrap_or(Path::new(""));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| InitError::Unwritable { path, error }
        };
        if folder != Path::new("") {
            std::fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        if force {
            std::fs::write(&scenario, self.scenario).map_err(failed(&scenario))?;
        } else {
            put(&scenario, self.scenario).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => InitError::Exists(scenario.clone()),
                _ => failed(&scenario)(error),
            })?;
        }
        let request = folder.join("request.json");
        match put(&request, REQUEST) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(&request)(error)),
            _ => Ok(Written { scenario, request }),
        }
    }
}

/// Writes a file that is not there yet.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check;
    use crate::app::explain::{ExplainOptions, explain};

    #[test]
    fn every_starter_checks_and_answers_its_request() {
        for starter in STARTERS {
            let folder = tempfile::tempdir().expect("a folder");
            let written = starter.write(folder.path(), false).expect("written");
            let checked = check(Some(&written.scenario)).unwrap_or_else(|error| panic!("{}: {error}", starter.name));
            assert!(checked.models.len() >= 2, "{}", starter.name);
            let request = std::fs::read(&written.request).expect("a request");
            let options =
                ExplainOptions { scenario: Some(written.scenario), request, seed: Some(1), ..ExplainOptions::default() };
            assert!(explain(&options).is_ok(), "{}", starter.name);
        }
    }

    #[test]
    fn nothing_is_written_over_unless_forced_and_a_request_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let (quickstart, ci) = (Starter::find("quickstart").expect("one"), Starter::find("ci").expect("one"));
        let file = folder.path().join("deep/er/mine.yaml");
        let written = quickstart.write(&file, false).expect("written");
        assert_eq!(written.scenario, file);
        std::fs::write(&written.request, "{}").expect("written");
        assert!(matches!(ci.write(&file, false), Err(InitError::Exists(path)) if path == file));
        assert_eq!(std::fs::read_to_string(&file).expect("a scenario"), quickstart.scenario);
        ci.write(&file, true).expect("forced");
        assert_eq!(std::fs::read_to_string(&file).expect("a scenario"), ci.scenario);
        assert_eq!(std::fs::read_to_string(&written.request).expect("a request"), "{}");
        let under_a_file = ci.write(&file.join("x"), false).expect_err("no folder");
        assert!(under_a_file.to_string().starts_with("cannot write"), "{under_a_file}");
    }
}
