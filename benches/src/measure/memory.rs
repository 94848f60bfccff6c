//! Memory of a stream that sleeps: many streams over HTTP/2 wait for a first token that is a minute away.
//!
//! The server's resident memory is compared with that before the first of them. Their connections are part of the price.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::oneshot;

use crate::baseline::{Runtime, paced};
use crate::child::Server;
use crate::child::usage::resident_bytes;
use crate::clock;
use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::request::Chat;
use crate::load::{fetch, streams_h2};
use crate::measure::{Lab, http};
use crate::report::say;
use crate::scenario::{MODEL, Scenario};

/// The most that one stream may cost, in KiB.
const KIB_MAX: f64 = 6.0;
/// All streams must be open before the first of them wakes up.
const SLEEP_MS: u64 = 60_000;
const OPEN_WITHIN_MS: u64 = 50_000;
/// Looks at the server once all streams are open; the largest counts.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Measures it: the run is long and its spread small, so that two rounds are enough.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let scenario = Scenario { first_ms: SLEEP_MS, between_ms: 10, tokens: 4 };
    let file = scenario.write(lab.folder.path())?;
    let options = [format!("--first-ms={SLEEP_MS}"), "--between-ms=10".to_owned(), "--tokens=4".to_owned()];
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..lab.rounds.min(2) {
        say(&format!("memory: {} sleeping streams, round {}", lab.sleeping, round + 1));
        ours.push(kib_per_stream(lab, &lab.simwright(&file)?)?);
        bare.push(kib_per_stream(lab, &lab.baseline("baseline-paced", &options, Some(Runtime::Current))?)?);
    }
    let figure = |name, rounds| Figure::new("memory", name, "KiB", Better::Lower, rounds);
    let note = format!("{} at once over HTTP/2, connections included", lab.sleeping);
    Ok(vec![figure("sleeping stream, simwright", ours).budget(KIB_MAX).note(note), figure("sleeping stream, axum", bare)])
}

fn kib_per_stream(lab: &Lab, server: &Server) -> Result<f64> {
    let chat = Chat { model: MODEL.to_owned(), stream: true, max_tokens: http::TOKENS, dialect: Dialect::Openai };
    // What the first scrape allocates is not a stream's fault.
    fetch::scrape(server)?;
    let before = resident_bytes(server.pid())?;
    let streams = lab.sleeping;
    let (stop, stopped) = oneshot::channel();
    let (opened, all_open) = mpsc::channel();
    // The looker may have given up already.
    let opened = move || opened.send(()).unwrap_or_default();
    let after = std::thread::scope(|scope| {
        let looker = scope.spawn(move || {
            let open = all_open.recv_timeout(Duration::from_millis(OPEN_WITHIN_MS));
            let peak = open.context("the streams could not be opened in time").and_then(|()| peak(server, streams));
            // The generator may have ended by itself, with an error that is reported below.
            let _ = stop.send(());
            peak
        });
        let held = streams_h2::hold(server.api, &chat, streams, opened, stopped);
        let peak = looker.join().ok().context("the look at the server failed")?;
        held.and(peak)
    })?;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / streams as f64)
}

/// The largest resident memory once the server says that all streams run.
fn peak(server: &Server, streams: usize) -> Result<u64> {
    let give_up_ns = clock::now_ns() + OPEN_WITHIN_MS * 1_000_000;
    loop {
        let running = fetch::scrape(server)?.sum(paced::RUNNING).context("the server does not count running requests")?;
        if running >= streams as f64 {
            break;
        }
        if clock::now_ns() > give_up_ns {
            bail!("only {running} of {streams} streams were open after {OPEN_WITHIN_MS} ms; try fewer with `--streams`");
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let mut peak = 0;
    for _ in 0..LOOKS {
        std::thread::sleep(BETWEEN_LOOKS);
        peak = peak.max(resident_bytes(server.pid())?);
    }
    let running = fetch::scrape(server)?.sum(paced::RUNNING).unwrap_or_default();
    ensure!(running >= streams as f64, "streams ended while they were being looked at: {running} of {streams} are left");
    Ok(peak)
}
