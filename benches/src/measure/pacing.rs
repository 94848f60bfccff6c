//! Paced streams: how late tokens leave, seen by the server itself, and what the client sees of it.
//!
//! Lateness comes from the server's own histogram, as the difference of two scrapes while all streams are open. The baseline
//! keeps the same histogram, though at the moment a frame is made and not when it is written. Gap errors and drift are the
//! client's.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::baseline::{Runtime, paced};
use crate::child::Server;
use crate::child::usage::Usage;
use crate::figures::buckets::{Buckets, Quantile};
use crate::figures::rounds::{Better, ratios};
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::request::Chat;
use crate::load::streams_h1::{self, Streams};
use crate::load::streams_h2;
use crate::load::timeline::Timeline;
use crate::measure::{Asked, Lab, join_doubts};
use crate::report::say;
use crate::scenario::{MODEL, Scenario};

const MS: u64 = 1_000_000;
/// From a stream's request to its first token.
const FIRST_MS: u64 = 50;
/// Quantiles shown.
const SHARES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// How HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

/// One load.
#[derive(Debug, Clone, Copy)]
struct Load {
    streams: usize,
    between_ms: u64,
    ramp_ms: u64,
    /// Time before and after the counted window in which all streams are open, so that neither scrape meets a beginning or an
    /// end.
    margin_ms: u64,
    window_ms: u64,
    /// Budgets of lateness at p50 and p99, in milliseconds.
    late_ms_max: [f64; 2],
    http: Http,
}

impl Load {
    fn scenario(&self) -> Scenario {
        let tokens = (self.ramp_ms + self.window_ms + 2 * self.margin_ms) / self.between_ms;
        Scenario { first_ms: FIRST_MS, between_ms: self.between_ms, tokens: tokens as u32 }
    }

    fn name(&self) -> String {
        let http = if self.http == Http::One { "HTTP/1.1" } else { "HTTP/2" };
        format!("{} x {} ms, {http}", self.streams, self.between_ms)
    }

    fn plan(&self, server: &Server) -> Streams {
        let scenario = self.scenario();
        let life_ms = scenario.first_ms + scenario.between_ms * u64::from(scenario.tokens);
        Streams {
            to: server.api,
            chat: Chat { model: MODEL.to_owned(), stream: true, max_tokens: scenario.tokens, dialect: Dialect::Openai },
            count: self.streams,
            between_ns: self.between_ms * MS,
            ramp_ns: self.ramp_ms * MS,
            give_up_ns: (self.ramp_ms + life_ms + 10_000) * MS,
        }
    }
}

/// What one play gave.
struct Played {
    timeline: Timeline,
    lateness: Buckets,
    used: Usage,
}

/// The rounds of one side, one list for each quantile.
#[derive(Default)]
struct Side {
    late_ms: [Vec<f64>; 2],
    gap_error_ms: [Vec<f64>; 2],
    mean_gap_error: Vec<f64>,
    drift_ms: Vec<f64>,
    drift_ms_max: Vec<f64>,
    server_share: Vec<f64>,
    load_share: Vec<f64>,
    doubts: Vec<String>,
}

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for http in [Http::Two, Http::One] {
        for load in loads(lab, http) {
            if lab.only.as_ref().is_none_or(|only| load.name().contains(only)) {
                figures.extend(compare(lab, load)?);
            }
        }
    }
    ensure!(!figures.is_empty(), "no load is called like that; try `--only 1000` or `--only HTTP/1.1`");
    Ok(figures)
}

fn loads(lab: &Lab, http: Http) -> [Load; 3] {
    let load = |streams, between_ms, ramp_ms, late_ms_max| {
        let (ramp_ms, margin_ms, window_ms) = if lab.smoke { (100, 200, 500) } else { (ramp_ms, 1_000, 6_000) };
        let streams = if lab.smoke { usize::min(streams, 20) } else { streams };
        Load { streams, between_ms, ramp_ms, margin_ms, window_ms, late_ms_max, http }
    };
    [load(1, 10, 0, [0.3, 1.0]), load(1_000, 20, 2_000, [1.0, 3.0]), load(5_000, 50, 4_000, [1.0, 3.0])]
}

fn compare(lab: &Lab, load: Load) -> Result<Vec<Figure>> {
    let scenario = load.scenario();
    let file = scenario.write(lab.folder.path())?;
    let bare_server = |runtime| {
        let options = [
            format!("--first-ms={}", scenario.first_ms),
            format!("--between-ms={}", scenario.between_ms),
            format!("--tokens={}", scenario.tokens),
        ];
        lab.baseline("baseline-paced", &options, Some(runtime))
    };
    let runtime = if lab.smoke { Runtime::Current } else { punctual_runtime(load, &bare_server)? };
    let (mut ours, mut bare) = (Side::default(), Side::default());
    for round in 0..lab.rounds {
        say(&format!("pacing: {}, round {} of {}", load.name(), round + 1, lab.rounds));
        ours.add(lab, load, &play(load, &lab.simwright(&file)?)?)?;
        bare.add(lab, load, &play(load, &bare_server(runtime)?)?)?;
    }
    Ok(figures(load, &ours, &bare, runtime))
}

/// tokio's runtime on which the baseline is less late at half of its values.
fn punctual_runtime(load: Load, server: &dyn Fn(Runtime) -> Result<Server>) -> Result<Runtime> {
    let short = Load { window_ms: load.window_ms.min(2_000), ..load };
    let mut best = (Runtime::Current, f64::INFINITY);
    for runtime in Runtime::ALL {
        let tried = play(short, &server(runtime)?)?.lateness.quantile(0.5).map_or(f64::INFINITY, |late| late.value);
        if tried < best.1 {
            best = (runtime, tried);
        }
    }
    Ok(best.0)
}

/// Plays the streams; a thread beside the generator scrapes when all are open, and again after the window.
fn play(load: Load, server: &Server) -> Result<Played> {
    let plan = load.plan(server);
    let (opened, all_open) = mpsc::channel();
    // The watcher waits for this, and is gone only if it failed, which is reported below.
    let opened = move || opened.send(()).unwrap_or_default();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || watch(load, server, &all_open));
        let timeline = match load.http {
            Http::One => streams_h1::run(&plan, opened),
            Http::Two => streams_h2::run(&plan, opened),
        }?;
        let (lateness, used) = watcher.join().ok().context("the scrape failed")??;
        Ok(Played { timeline, lateness, used })
    })
}

fn watch(load: Load, server: &Server, all_open: &mpsc::Receiver<()>) -> Result<(Buckets, Usage)> {
    let look = || Ok::<_, anyhow::Error>((scrape(server)?, Usage::read(server.pid())?));
    all_open.recv().context("the streams could not be opened")?;
    std::thread::sleep(Duration::from_millis(load.ramp_ms + load.margin_ms));
    let (early, before) = look()?;
    std::thread::sleep(Duration::from_millis(load.window_ms));
    let (late, after) = look()?;
    Ok((late.since(&early), after.since(&before)))
}

fn scrape(server: &Server) -> Result<Buckets> {
    crate::load::fetch::scrape(server)?.histogram(paced::LATENESS)
}

impl Side {
    fn add(&mut self, lab: &Lab, load: Load, played: &Played) -> Result<()> {
        let (timeline, planned) = (&played.timeline, load.streams as u64 * u64::from(load.scenario().tokens));
        let mut doubts = lab.doubts(&played.used, Asked::Paced);
        if timeline.failed() > 0 || timeline.tokens() != planned {
            let (failed, tokens) = (timeline.failed(), timeline.tokens());
            let doubt = format!("not all arrived: {failed} streams failed, {tokens} of {planned} tokens came");
            ensure!(!lab.smoke, doubt);
            doubts.push(doubt);
        }
        for (index, (_, share)) in SHARES.into_iter().enumerate() {
            let late = played.lateness.quantile(share);
            match late {
                Some(Quantile { value, at_least: true }) => {
                    doubts.push(format!("the lateness is beyond the last bucket, at least {:.0} ms", value * 1e3));
                }
                Some(_) => {}
                None => {
                    let doubt = "the server counted no lateness while all streams were open".to_owned();
                    ensure!(!lab.smoke, doubt);
                    doubts.push(doubt);
                }
            }
            self.late_ms[index].push(late.map_or(f64::NAN, |late| late.value * 1e3));
            self.gap_error_ms[index].push(timeline.gap_error_ms(share));
        }
        self.mean_gap_error.push(timeline.mean_gap_error() * 100.0);
        self.drift_ms.push(timeline.drift_ms(0.5));
        self.drift_ms_max.push(timeline.drift_ms(1.0));
        self.server_share.push(played.used.server_share() * 100.0);
        self.load_share.push(played.used.load_share() * 100.0);
        join_doubts(&mut self.doubts, doubts);
        Ok(())
    }
}

fn figures(load: Load, ours: &Side, bare: &Side, runtime: Runtime) -> Vec<Figure> {
    let lower = |name: &str, unit, rounds: &[f64]| {
        Figure::new("pacing", format!("{}: {name}", load.name()), unit, Better::Lower, rounds.to_vec())
    };
    let mut both = ours.doubts.clone();
    join_doubts(&mut both, bare.doubts.clone());
    let mut figures = Vec::new();
    for (index, (share, _)) in SHARES.into_iter().enumerate() {
        let late = lower(&format!("{share} lateness, simwright"), "ms", &ours.late_ms[index]);
        figures.push(late.budget(load.late_ms_max[index]).doubted(&ours.doubts));
        let late = lower(&format!("{share} lateness, axum"), "ms", &bare.late_ms[index]).doubted(&bare.doubts);
        figures.push(late.note(format!("on tokio's `{}` runtime, the less late of two", runtime.name())));
        let ratio =
            lower(&format!("{share} lateness, simwright / axum"), "ratio", &ratios(&ours.late_ms[index], &bare.late_ms[index]));
        figures.push(if load.streams > 1 { ratio.budget(0.5).doubted(&both) } else { ratio });
    }
    for (side, name) in [(ours, "simwright"), (bare, "axum")] {
        let mean = lower(&format!("mean gap error at the client, {name}"), "%", &side.mean_gap_error);
        figures.push(if load.streams == 1 && name == "simwright" { mean.budget(1.0).doubted(&side.doubts) } else { mean });
        figures.push(lower(&format!("p50 gap error at the client, {name}"), "ms", &side.gap_error_ms[0]));
        figures.push(lower(&format!("p99 gap error at the client, {name}"), "ms", &side.gap_error_ms[1]));
        let drift = lower(&format!("drift of the median stream, {name}"), "ms", &side.drift_ms);
        figures.push(drift.note("one arrival's jitter is in it"));
        figures.push(lower(&format!("drift of the worst stream, {name}"), "ms", &side.drift_ms_max));
        figures.push(lower(&format!("CPU share of the server, {name}"), "%", &side.server_share));
        figures.push(lower(&format!("CPU share of the generator, {name}"), "%", &side.load_share));
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_outlive_the_window_and_its_margins() {
        let load = Load {
            streams: 5,
            between_ms: 20,
            ramp_ms: 2_000,
            margin_ms: 1_000,
            window_ms: 6_000,
            late_ms_max: [1.0, 3.0],
            http: Http::Two,
        };
        let scenario = load.scenario();
        assert!(u64::from(scenario.tokens) * scenario.between_ms >= load.ramp_ms + load.margin_ms + load.window_ms);
        assert_eq!(load.name(), "5 x 20 ms, HTTP/2");
    }

    #[test]
    fn a_lateness_ratio_is_judged_with_many_streams_only() {
        let side = || Side { late_ms: [vec![0.2], vec![0.4]], ..Side::default() };
        let judged = |streams| {
            let (ramp_ms, margin_ms, window_ms, late_ms_max) = (0, 0, 1, [1.0, 3.0]);
            let load = Load { streams, between_ms: 10, ramp_ms, margin_ms, window_ms, late_ms_max, http: Http::One };
            let all = figures(load, &side(), &side(), Runtime::Current);
            all.iter().filter(|figure| figure.unit == "ratio" && figure.budget.is_some()).count()
        };
        assert_eq!((judged(1), judged(2)), (0, 2));
    }
}
