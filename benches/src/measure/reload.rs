//! Reloads under load: two scenarios take the file's place in turn, while requests come at a fixed rate.
//!
//! The load generator counts what is lost or refused and compares latency with a quiet run of the same server. Beside it, witnesses
//! read every answer: one that shows both scenarios, or whose generation has shown the other one, is mixed; one of a generation older
//! than was in force when the request left is stale. A reload counts once the server says of itself that it has happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child::Server;
use crate::child::usage::resident_bytes;
use crate::clock;
use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::fetch;
use crate::load::request::Chat;
use crate::load::requests::{self, Drive, Outcome, Pace};
use crate::measure::{Asked, Lab};
use crate::report::say;
use crate::scenario::MODEL;

/// Requests a second.
const RATE: f64 = 2_000.0;
/// Reloads of a whole run.
const RELOADS: u64 = 1_000;
/// Time for one reload: what the watcher waits, twice, and reading and building, with room to spare.
const RELOAD_MS: u64 = 250;
/// Longest wait for one reload.
const RELOAD_WITHIN_MS: u64 = 10_000;
/// Threads that read every answer.
const WITNESSES: usize = 2;
/// Time between two requests of a witness.
const WITNESS_PAUSE: Duration = Duration::from_millis(4);
/// The longest that p99 may be: this many times that of the quiet run, and so many milliseconds more.
const P99_RATIO_MAX: f64 = 1.25;
const P99_MORE_MS: f64 = 5.0;
/// The most that memory may have grown, in MiB.
const GROWN_MIB_MAX: f64 = 10.0;
/// Above this the generator was late itself.
const SEND_LAG_P99_MS_MAX: f64 = 1.0;
/// What the two scenarios answer. No letters: among a hundred thousand answers one has an id with any word of four letters in it.
const WORDS: [&str; 2] = ["§", "¶"];

/// What witnesses and the reloading thread share.
struct Watch {
    file: PathBuf,
    stop: AtomicBool,
    /// The newest generation that is known to be in force.
    known: AtomicU64,
    reloads: AtomicU64,
    answers: AtomicU64,
    mixed: AtomicU64,
    stale: AtomicU64,
    /// Which word each generation has said.
    said: Mutex<BTreeMap<u64, usize>>,
}

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let (reloads, rate, quiet) = if lab.smoke { (3, 200.0, lab.measured()) } else { (RELOADS, RATE, Duration::from_secs(20)) };
    let file = lab.folder.path().join("reload.yaml");
    save(&file, 0)?;
    let server = lab.simwright(&file)?;
    say("reload: the quiet run");
    let before = drive(lab, &server, rate, quiet)?;
    let resident = resident_bytes(server.pid())?;
    let watch = Watch {
        file,
        stop: AtomicBool::new(false),
        known: AtomicU64::new(1),
        reloads: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        mixed: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        said: Mutex::default(),
    };
    let time = Duration::from_millis(reloads * RELOAD_MS);
    say(&format!("reload: {reloads} reloads in {} s", time.as_secs()));
    let during = std::thread::scope(|scope| {
        let reloading = scope.spawn(|| watch.reload(&server, reloads));
        let (watch, server) = (&watch, &server);
        let witnesses: Vec<_> = (0..WITNESSES).map(|number| scope.spawn(move || watch.witness(server, number))).collect();
        let driven = drive(lab, server, rate, time);
        watch.stop.store(true, Ordering::Release);
        reloading.join().ok().context("the reloading thread failed")??;
        for witness in witnesses {
            witness.join().ok().context("a witness failed")??;
        }
        driven
    })?;
    let grown = resident_bytes(server.pid())? as f64 - resident as f64;
    Ok(figures(lab, &watch, &before, &during, grown / f64::from(1 << 20)))
}

fn drive(lab: &Lab, server: &Server, rate: f64, measure: Duration) -> Result<Outcome> {
    let chat = Chat { model: MODEL.to_owned(), stream: false, max_tokens: 32, dialect: Dialect::Openai };
    requests::run(Drive {
        to: server.api,
        pid: server.pid(),
        requests: &chat.http1_set(server.api, 64),
        connections: lab.connections,
        pace: Pace::Rate(rate),
        warm_up: lab.warm_up(),
        measure,
    })
}

fn figures(lab: &Lab, watch: &Watch, before: &Outcome, during: &Outcome, grown_mib: f64) -> Vec<Figure> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Acquire) as f64;
    let p99_ms = |outcome: &Outcome| outcome.latency.value_at_quantile(0.99) as f64 / 1e6;
    let mut doubts = lab.doubts(&during.used, Asked::Rate);
    let lag_ms = during.send_lag.value_at_quantile(0.99) as f64 / 1e6;
    if lag_ms > SEND_LAG_P99_MS_MAX {
        doubts.push(format!("requests left {lag_ms:.1} ms late (p99)"));
    }
    let lower = |name, unit, value| Figure::new("reload", name, unit, Better::Lower, vec![value]);
    let failed = (during.lost + during.refused) as f64;
    let (asked, reloads) = (during.completed as f64 + failed, count(&watch.reloads));
    let answers = count(&watch.answers);
    vec![
        Figure::new("reload", "reloads", "", Better::Higher, vec![reloads]),
        lower("failed", "requests", failed).budget(0.0).note(format!("of {asked}, with {reloads} reloads")),
        lower("mixed", "answers", count(&watch.mixed)).budget(0.0).note(format!("of {answers} that were read")),
        lower("stale", "answers", count(&watch.stale)).budget(0.0),
        lower("p99 of the quiet run", "ms", p99_ms(before)),
        lower("p99 with reloads", "ms", p99_ms(during))
            .budget(P99_RATIO_MAX * p99_ms(before) + P99_MORE_MS)
            .note(format!("{:.2} times that of the quiet run", p99_ms(during) / p99_ms(before)))
            .doubted(&doubts),
        lower("memory grown", "MiB", grown_mib).budget(GROWN_MIB_MAX),
    ]
}

/// Puts scenario `index` in the file's place, whole.
fn save(file: &Path, index: usize) -> Result<()> {
    let text = vec![WORDS[index]; 8 - index].join(" ");
    let scenario = format!(
        "simwright: 1\nseed: {index}\nmodels:\n  - match: {MODEL}\n    list: [{MODEL}]\n    latency: {{ constant: {{}} }}\n    \
         reply: {{ fixed: {{ text: {text} }} }}\n"
    );
    let new = file.with_extension("new");
    std::fs::write(&new, scenario).with_context(|| format!("cannot write `{}`", new.display()))?;
    std::fs::rename(&new, file).with_context(|| format!("cannot replace `{}`", file.display()))
}

impl Watch {
    /// Reloads until there are enough or the time is over.
    fn reload(&self, server: &Server, reloads: u64) -> Result<()> {
        for number in 1..=reloads {
            save(&self.file, number as usize % WORDS.len())?;
            let give_up_ns = clock::now_ns() + RELOAD_WITHIN_MS * 1_000_000;
            while (applied(server)? as u64) < number {
                ensure!(clock::now_ns() < give_up_ns, "reload {number} did not happen within {RELOAD_WITHIN_MS} ms");
                std::thread::sleep(Duration::from_millis(5));
            }
            self.reloads.store(number, Ordering::Release);
            // The first generation has number 1.
            self.known.store(number + 1, Ordering::Release);
            if self.stop.load(Ordering::Acquire) {
                break;
            }
        }
        Ok(())
    }

    /// Reads answers until the time is over.
    fn witness(&self, server: &Server, number: usize) -> Result<()> {
        let chat = Chat { model: MODEL.to_owned(), stream: number.is_multiple_of(2), max_tokens: 32, dialect: Dialect::Openai };
        while !self.stop.load(Ordering::Acquire) {
            let known = self.known.load(Ordering::Acquire);
            let answer = fetch::whole(server.api, &chat.http1(server.api, 0))?;
            let generation: u64 = answer
                .lines()
                .find_map(|line| line.strip_prefix("x-simwright-generation: "))
                .and_then(|number| number.trim().parse().ok())
                .with_context(|| format!("an answer without its generation: `{answer}`"))?;
            let said: Vec<usize> = (0..WORDS.len()).filter(|&index| answer.contains(WORDS[index])).collect();
            let whole = match said[..] {
                [word] => *self.said.lock().unwrap_or_else(|lock| lock.into_inner()).entry(generation).or_insert(word) == word,
                _ => false,
            };
            self.answers.fetch_add(1, Ordering::AcqRel);
            self.mixed.fetch_add(u64::from(!whole), Ordering::AcqRel);
            self.stale.fetch_add(u64::from(generation < known), Ordering::AcqRel);
            std::thread::sleep(WITNESS_PAUSE);
        }
        Ok(())
    }
}

/// Reloads that the server has counted.
fn applied(server: &Server) -> Result<f64> {
    // The series begins with the first reload; this run's scenarios are all good.
    Ok(fetch::scrape(server)?.sum("simwright_reloads_total").unwrap_or_default())
}
