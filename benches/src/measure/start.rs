//! From the start of the process to its first answered request, with an empty compile cache and with a filled one.
//!
//! The cache is where the XDG convention puts it, so a folder of the run's own takes its place.

use std::path::Path;

use anyhow::Result;

use crate::clock;
use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::request::Chat;
use crate::measure::{Lab, http};
use crate::report::say;

/// The longest a start may take, in milliseconds.
const COLD_MS_MAX: f64 = 1_000.0;
const WARM_MS_MAX: f64 = 100.0;

/// Times of several starts, in milliseconds.
#[derive(Debug, Default)]
struct Starts {
    ready_ms: Vec<f64>,
    answer_ms: Vec<f64>,
}

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let (mut cold, mut warm) = (Starts::default(), Starts::default());
    let filled = lab.folder.path().join("start-warm");
    // Fills the cache. Learning the model's name is not part of a start, so it is asked for here.
    let chat = http::chat(lab, &lab.simwright_with_cache(&lab.scenario, &filled)?, false)?;
    for round in 0..lab.rounds {
        say(&format!("start: round {} of {}", round + 1, lab.rounds));
        cold.add(lab, &chat, &lab.folder.path().join(format!("start-cold-{round}")))?;
        warm.add(lab, &chat, &filled)?;
    }
    let figure = |name, rounds| Figure::new("start", name, "ms", Better::Lower, rounds);
    Ok(vec![
        figure("cold cache: ready line", cold.ready_ms),
        figure("cold cache: first answer", cold.answer_ms).budget(COLD_MS_MAX),
        figure("warm cache: ready line", warm.ready_ms),
        figure("warm cache: first answer", warm.answer_ms).budget(WARM_MS_MAX),
    ])
}

impl Starts {
    fn add(&mut self, lab: &Lab, chat: &Chat, cache: &Path) -> Result<()> {
        std::fs::create_dir_all(cache)?;
        let server = lab.simwright_with_cache(&lab.scenario, cache)?;
        http::capture(&server, chat)?;
        let answered_ns = clock::now_ns();
        self.ready_ms.push((server.ready_ns - server.started_ns) as f64 / 1e6);
        self.answer_ms.push((answered_ns - server.started_ns) as f64 / 1e6);
        Ok(())
    }
}
