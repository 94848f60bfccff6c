//! What each command does once its arguments are read. The only module besides the command line that knows every part.
//!
//! [`check`] takes the same path as starting and reloading do, so that what it accepts is what they accept.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::scenario::refusal::Refusal;
use crate::scenario::{Scenario, read};

/// How to run the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// The scenario's file; without one the built-in scenario.
    pub scenario: Option<PathBuf>,
    /// Where clients connect; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the admin API and `/metrics` are.
    pub admin: SocketAddr,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// Worker threads, at least 1; as many as there are cores if not given.
    pub workers: Option<usize>,
}

/// One request to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The scenario's file; without one the built-in scenario.
    pub scenario: Option<PathBuf>,
    /// The model as a client would name it.
    pub model: String,
    /// What the user says.
    pub prompt: String,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// 0 for the first attempt, 1 for the first retry.
    pub attempt: u32,
}

/// Reads and checks a scenario; without a file the built-in one.
pub fn check(scenario: Option<&Path>) -> Result<Scenario, Refusal> {
    match scenario {
        Some(path) => read::read(path),
        None => read::built_in(),
    }
}

/// Runs the server until it is told to stop.
pub fn serve(options: &ServeOptions) -> anyhow::Result<()> {
    check(options.scenario.as_deref())?;
    anyhow::bail!("this build has no server")
}

/// Says, for people, what would happen to one request and why.
pub fn explain(options: &ExplainOptions) -> anyhow::Result<String> {
    check(options.scenario.as_deref())?;
    anyhow::bail!("this build has no planner")
}

/// Says, for people, what the component in `file` exports, imports and costs.
pub fn inspect(file: &Path) -> anyhow::Result<String> {
    anyhow::bail!("this build cannot load `{}`: it has no plugin host", file.display())
}
