//! What a choice between replicas costs when a plugin makes it, beside the rules of this program, by the number of replicas.
//!
//! Build `test-choosers` in `plugins/` first, then give the component's path: `cargo bench -p simwright-benches --bench pick --
//! test_choosers.wasm`. All sides run in one process, in turn, and the best round of each counts. `--smoke` runs one short round.
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::sync::Arc;

use anyhow::Context;
use simwright::behavior::catalog::{Catalog, Setting};
use simwright::clock::real::monotonic_ns;
use simwright::station::balancer::chooser::{Asker, Question, Sight};
use simwright::station::balancer::{Backend, Balancer, Rule};
use simwright::types::request::Request;
use simwright::wasm::{Compiler, LoadSpec, Meter, PluginHost, PluginHostConfig};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path = path.ok_or_else(|| anyhow::anyhow!("name the component; see the head of this file"))?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{path}`"))?;
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let size = if smoke { (1, 100) } else { (30, 10_000) };
    let host =
        PluginHost::new(PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess })?;
    let plugin = host.load(LoadSpec::new("chooser", &bytes))?;
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let chooser = catalog.balancer["chooser"]
        .make(&serde_json::json!({}), &Setting::default())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    simwright::worker::enter(0);
    let asker = Asker {
        choosers: Arc::new([]),
        model: 0,
        tenant: 0,
        attempt: 0,
        occurrence: 0,
        max_output_tokens: 100,
        stages: Arc::new([]),
        request: Arc::new(Request::chat("model", Vec::new())),
    };
    println!("{:>10}{:>14}{:>14}{:>14}", "replicas", "least-busy", "two-choices", "plugin");
    for count in [2, 8, 16, 64, 256, 1_024] {
        let view: Vec<Backend> = (0..count).map(|place| Backend { running: place as u32 % 7, ..Backend::default() }).collect();
        let backends: Vec<Sight> = (0..count)
            .map(|place| Sight {
                open: true,
                weight: 1,
                running: place as u32 % 7,
                cached_tokens: 16 * (place as u32 % 5),
                ..Sight::default()
            })
            .collect();
        let native = |rule| {
            let mut balancer = Balancer::new(rule, count);
            let view = &view;
            best(size, move |number| balancer.pick(0, view, number, &[], (number % 97) as f64 / 97.0).is_some())
        };
        let (least, two) = (native(Rule::LeastBusy)?, native(Rule::TwoChoices)?);
        let plugin = best(size, |number| {
            let question = Question {
                now: number,
                seed: number,
                asker: &asker,
                identity: number,
                stage: 0,
                input_tokens: 100,
                prefix: 0,
                priority: 0,
                backends: &backends,
            };
            chooser.pick(&question).is_ok()
        })?;
        println!("{count:>10}{least:>11.0} ns{two:>11.0} ns{plugin:>11.0} ns");
    }
    Ok(())
}

/// Nanoseconds of one choice in the best of `rounds`.
fn best((rounds, choices): (u32, u32), mut choose: impl FnMut(u64) -> bool) -> anyhow::Result<f64> {
    let mut best = u64::MAX;
    for _ in 0..rounds {
        let start = monotonic_ns();
        let chosen = (0..u64::from(choices)).filter(|number| choose(*number)).count();
        best = best.min(monotonic_ns() - start);
        anyhow::ensure!(chosen == choices as usize, "only {chosen} of {choices} were chosen");
    }
    Ok(best as f64 / f64::from(choices))
}
