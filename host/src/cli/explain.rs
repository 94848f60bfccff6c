//! `simwright explain`: what would happen to one request, and why.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::explain::{ExplainOptions, explain};
use crate::cli::error::Failure;
use crate::cli::{duration, output};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file; without one, the built-in scenario.
    scenario: Option<PathBuf>,
    /// The body of a chat request, a JSON file; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Seed of every draw, before the scenario's own.
    #[arg(long, value_name = "N", env = "SIMWRIGHT_SEED")]
    seed: Option<u64>,
    /// A header of the request, `name: value`; may be given several times.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The attempt that the client announces: 0 for the first, 1 for the first retry. Conditions count from 1.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// How often this attempt has been seen before. Of a client that announces none, each is another attempt.
    #[arg(long, value_name = "N", default_value_t = 0)]
    occurrence: u32,
    /// Which of its entry's requests it is, from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    /// When it comes, after the run began, such as `90s` or `5m`.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    at: Duration,
    /// The phase that begins as it comes; without it, the one that the time line is in by then.
    #[arg(long, value_name = "NAME")]
    phase: Option<String>,
    /// An incident that is switched on; may be given several times.
    #[arg(long = "incident", value_name = "NAME")]
    incidents: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Args { scenario, request, seed, headers, attempt, occurrence, number, at, phase, incidents, json } = args;
    let request = read(&request).map_err(|error| anyhow::anyhow!("cannot read `{}`: {error}", request.display()))?;
    let mut map = HeaderMap::new();
    headers.into_iter().for_each(|(name, value)| _ = map.append(name, value));
    let options = ExplainOptions { scenario, request, seed, headers: map, attempt, occurrence, number, at, phase, incidents };
    let explanation = explain(&options)?;
    output::data(&if json { format!("{:#}", explanation.json()) } else { explanation.text() });
    Ok(())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as `name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is no name of a header"))?;
    let value = value.trim().parse().map_err(|_| format!("the value of `{name}` has a character that headers cannot carry"))?;
    Ok((name, value))
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(file)
}
