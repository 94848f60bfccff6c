//! The log: one line an event on standard error, text for people or JSON for machines.

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `filter` is a `tracing` filter such as `info` or `simwright=debug`; a bad one is an error.
pub fn start(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    started.map_err(|error| anyhow::anyhow!("logging has already been started: {error}"))
}
