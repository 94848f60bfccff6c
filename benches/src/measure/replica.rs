//! What a replica costs the live server: streams that run in one batch, against as many streams with planned delays of the same length.
//!
//! The replica decides step by step who gets a token, and asks its clock for the end of each step; a planned delay is known
//! beforehand. What is compared is the server's CPU time for a token while all streams run. The planned streams of one round have the
//! mean of the step times that the replica's own model gives for this load; their tokens leave at times of their own, those of the
//! replica at the ends of its steps, and share writes if they share a connection: HTTP/1.1 has one a stream, HTTP/2 few.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use simwright::clock::Nanos;
use simwright::station::replica::{Job, Prefix, Replica, presets};

use crate::child::Server;
use crate::child::usage::Usage;
use crate::figures::rounds::{Better, ratios};
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::request::Chat;
use crate::load::streams_h1::{self, Streams};
use crate::load::{fetch, streams_h2};
use crate::measure::{Asked, Lab, join_doubts};
use crate::report::say;
use crate::scenario::MODEL;

const MS: u64 = 1_000_000;
/// The server that is simulated; it takes 256 at a time.
const PRESET: &str = "llama-3.1-8b-h100";
/// Tokens of a prompt of [`Chat`], about.
const PROMPT_TOKENS: u32 = 110;
/// The most that a stream of a replica may cost, measured in a planned one.
const RATIO_MAX: f64 = 1.2;
/// Tokens that streams get between themselves, exported by the server.
const GAPS: &str = "simwright_inter_token_latency_seconds_count";

/// The load of one round.
#[derive(Debug, Clone, Copy)]
struct Load {
    streams: usize,
    tokens: u32,
    /// Until all streams have their first token, and a little longer.
    settle_ms: u64,
    window_ms: u64,
}

/// What the model says of a load, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    first: Nanos,
    between: Nanos,
}

/// The rounds of one side.
#[derive(Default)]
struct Side {
    us_per_token: Vec<f64>,
    share: Vec<f64>,
    doubts: Vec<String>,
}

type Play = fn(&Streams, Opened) -> Result<crate::load::timeline::Timeline>;
type Opened = Box<dyn FnOnce()>;

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let load = match lab.smoke {
        true => Load { streams: 16, tokens: 200, settle_ms: 200, window_ms: 500 },
        false => Load { streams: 256, tokens: 800, settle_ms: 2_000, window_ms: 6_000 },
    };
    let steps = steps(load);
    let (in_batch, by_plan) = (write(lab, "replica", &batched(load))?, write(lab, "planned", &planned(load, steps))?);
    let versions: [(&str, Play); 2] =
        [("HTTP/1.1", |plan, opened| streams_h1::run(plan, opened)), ("HTTP/2", |plan, opened| streams_h2::run(plan, opened))];
    let mut figures = Vec::new();
    for (http, play) in versions {
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        for round in 0..lab.rounds {
            say(&format!("replica: {} streams, {http}, round {} of {}", load.streams, round + 1, lab.rounds));
            ours.add(lab, load, steps, play, &lab.simwright(&in_batch)?)?;
            theirs.add(lab, load, steps, play, &lab.simwright(&by_plan)?)?;
        }
        figures.extend(figures_of(load, http, &ours, &theirs));
    }
    Ok(figures)
}

/// Plays the load through the replica's model.
fn steps(load: Load) -> Steps {
    let settings = presets::find(PRESET).map(|preset| preset.settings.clone());
    let mut replica = Replica::new(settings.unwrap_or_else(|| presets::ALL[0].settings.clone()));
    for visitor in 0..load.streams as u32 {
        replica.enter(0, Job { visitor, prompt_tokens: PROMPT_TOKENS, output_tokens: load.tokens, prefix: Prefix::None });
    }
    let (mut events, mut last) = (Vec::new(), 0);
    let mut first = Vec::new();
    while let Some(at) = replica.next_at() {
        replica.advance(at, &mut events);
        for event in events.drain(..) {
            if let simwright::station::replica::Event::FirstToken { at, .. } = event {
                first.push(at);
            }
        }
        last = at;
    }
    let first = first.iter().sum::<Nanos>() / first.len().max(1) as Nanos;
    Steps { first, between: (last - first) / u64::from(load.tokens.max(2) - 1) }
}

fn batched(load: Load) -> String {
    let tokens = load.tokens;
    format!(
        "simwright: 1\nstations:\n  gpu: {{ replicas: {{ count: 1, preset: {PRESET} }} }}\nmodels:\n  - match: [{MODEL}]\n    \
         list: [{MODEL}]\n    reply: {{ text: {{ tokens: {tokens} }} }}\n    pipeline:\n      - model: {{ through: gpu }}\n"
    )
}

fn planned(load: Load, steps: Steps) -> String {
    let (tokens, first, between) = (load.tokens, steps.first / 1_000, steps.between / 1_000);
    format!(
        "simwright: 1\nmodels:\n  - match: [{MODEL}]\n    list: [{MODEL}]\n    \
         latency: {{ constant: {{ first: {first}us, between: {between}us }} }}\n    reply: {{ text: {{ tokens: {tokens} }} }}\n"
    )
}

fn write(lab: &Lab, name: &str, text: &str) -> Result<PathBuf> {
    let path = lab.folder.path().join(format!("{name}.yaml"));
    std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

impl Side {
    fn add(&mut self, lab: &Lab, load: Load, steps: Steps, play: Play, server: &Server) -> Result<()> {
        let plan = Streams {
            to: server.api,
            chat: Chat { model: MODEL.to_owned(), stream: true, max_tokens: load.tokens, dialect: Dialect::Openai },
            count: load.streams,
            between_ns: steps.between,
            ramp_ns: 0,
            give_up_ns: 4 * (steps.first + steps.between * u64::from(load.tokens)) + 10_000 * MS,
        };
        let (opened, all_open) = mpsc::channel();
        // The watcher waits for this, and is gone only if it failed, which is reported below.
        let opened: Opened = Box::new(move || opened.send(()).unwrap_or_default());
        let (timeline, (tokens, used)) = std::thread::scope(|scope| {
            let watcher = scope.spawn(move || watch(load, server, &all_open));
            let timeline = play(&plan, opened)?;
            Ok::<_, anyhow::Error>((timeline, watcher.join().ok().context("the scrape failed")??))
        })?;
        let mut doubts = lab.doubts(&used, Asked::Paced);
        if timeline.finished() < load.streams as u64 {
            doubts.push(format!("{} of {} streams came to their end", timeline.finished(), load.streams));
        }
        self.us_per_token.push(used.server_ns as f64 / 1e3 / tokens);
        self.share.push(used.server_share() * 100.0);
        join_doubts(&mut self.doubts, doubts);
        Ok(())
    }
}

/// Tokens that left in the window in which all streams run, and what they cost.
fn watch(load: Load, server: &Server, all_open: &mpsc::Receiver<()>) -> Result<(f64, Usage)> {
    let look = || {
        let tokens = fetch::scrape(server)?.sum(GAPS).unwrap_or(0.0);
        Ok::<_, anyhow::Error>((tokens, Usage::read(server.pid())?))
    };
    all_open.recv().context("the streams could not be opened")?;
    std::thread::sleep(Duration::from_millis(load.settle_ms));
    let (before, early) = look()?;
    std::thread::sleep(Duration::from_millis(load.window_ms));
    let (after, late) = look()?;
    Ok((after - before, late.since(&early)))
}

fn figures_of(load: Load, http: &str, ours: &Side, theirs: &Side) -> Vec<Figure> {
    let figure = |name: &str, unit, rounds: &[f64]| {
        Figure::new("replica", format!("{} streams, {http}: {name}", load.streams), unit, Better::Lower, rounds.to_vec())
    };
    let mut doubts = ours.doubts.clone();
    join_doubts(&mut doubts, theirs.doubts.clone());
    let ratio = figure("CPU of a token, replica / planned", "ratio", &ratios(&ours.us_per_token, &theirs.us_per_token));
    vec![
        ratio.budget(RATIO_MAX).doubted(&doubts),
        figure("CPU of a token, replica", "us", &ours.us_per_token),
        figure("CPU of a token, planned", "us", &theirs.us_per_token),
        figure("CPU share of the server, replica", "%", &ours.share),
        figure("CPU share of the server, planned", "%", &theirs.share),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_lies_within_the_streams() {
        let load = Load { streams: 256, tokens: 800, settle_ms: 2_000, window_ms: 6_000 };
        let steps = steps(load);
        // 6.42 ms and 49.9 ns for each token in the cache, of which there are 130,000 on average.
        assert!((10 * MS..15 * MS).contains(&steps.between), "{steps:?}");
        assert!(steps.first + steps.between * u64::from(load.tokens) > (load.settle_ms + load.window_ms) * MS);
    }
}
