//! From the moment at which a built component is in its place to the first answer of the generation that has it.
//!
//! The component is a Rust plugin of the standard pack with a section of its own each time, so that no cache knows it: watching,
//! reading, compiling, configuring and warming all count, as for a person who has just built.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use simwright::wasm::STANDARD_PACK;

use crate::child::Server;
use crate::clock;
use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::fetch;
use crate::load::request::Chat;
use crate::measure::Lab;
use crate::report::say;
use crate::scenario::MODEL;

/// The longest that it may take, in milliseconds.
const LIVE_MS_MAX: f64 = 300.0;
/// Saves of one round; the median counts.
const SAVES: usize = 9;
/// Longest wait for one.
const LIVE_WITHIN_MS: u64 = 60_000;
/// The plugin of the standard pack: it says when tokens leave, and its options may all be left out.
const PLUGIN: &str = "brown-out";

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let (file, component) = (lab.folder.path().join("saved.yaml"), lab.folder.path().join("saved.wasm"));
    let scenario = format!(
        "simwright: 1\nplugins: {{ mine: {{ file: ./saved.wasm }} }}\nmodels:\n  - match: [{MODEL}]\n    list: [{MODEL}]\n    \
         latency: {{ constant: {{}} }}\n    faults: []\n    reply: {{ fixed: {{ text: here }} }}\n  - match: [slow]\n    latency: {{ mine: {{}} }}\n"
    );
    std::fs::write(&file, scenario)?;
    let (mut rounds, mut number) = (Vec::new(), 0);
    for round in 0..lab.rounds {
        say(&format!("saved: round {} of {}", round + 1, lab.rounds));
        save(&component, &mut number)?;
        let server = lab.simwright(&file)?;
        let mut times = Vec::new();
        for _ in 0..if lab.smoke { 1 } else { SAVES } {
            times.push(live_ms(&server, &component, &mut number)?);
        }
        times.sort_by(f64::total_cmp);
        rounds.push(times[times.len() / 2]);
    }
    let live = Figure::new("saved", "built component saved to live", "ms", Better::Lower, rounds).budget(LIVE_MS_MAX);
    Ok(vec![live])
}

/// Puts a component that nobody has seen to `place`, as a build does.
fn save(place: &Path, number: &mut u64) -> Result<()> {
    *number += 1;
    let (_, bytes) = STANDARD_PACK.iter().find(|(name, _)| *name == PLUGIN).context("the standard pack has no such plugin")?;
    let own = format!("{}-{}-{number}", std::process::id(), clock::now_ns());
    let length = u8::try_from(own.len())?;
    let section = [&[0, length + 1, length], own.as_bytes()].concat();
    let new = place.with_extension("new");
    std::fs::write(&new, [bytes, &section[..]].concat())?;
    Ok(std::fs::rename(&new, place)?)
}

/// Saves another component and asks until its generation answers.
fn live_ms(server: &Server, component: &Path, number: &mut u64) -> Result<f64> {
    let before = generation(server)?;
    save(component, number)?;
    let saved_ns = clock::now_ns();
    while generation(server)? == before {
        ensure!(clock::now_ns() - saved_ns < LIVE_WITHIN_MS * 1_000_000, "it was not live within {LIVE_WITHIN_MS} ms");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Ok((clock::now_ns() - saved_ns) as f64 / 1e6)
}

/// The generation that answers now.
fn generation(server: &Server) -> Result<String> {
    let chat = Chat { model: MODEL.to_owned(), stream: false, max_tokens: 4, dialect: Dialect::Openai };
    let answer = fetch::whole(server.api, &chat.http1(server.api, 0))?;
    let number = answer.lines().find_map(|line| line.strip_prefix("x-simwright-generation: ")).map(str::to_owned);
    number.with_context(|| format!("an answer without its generation: `{answer}`"))
}
