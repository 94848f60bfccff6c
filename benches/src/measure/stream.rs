//! Streamed replies without delay: events a second through three plugins, against a bare axum body that writes the same events.
//!
//! What the baseline writes is captured from Simwright first, so that a change of its wire format changes both sides.

use anyhow::{Result, ensure};

use crate::baseline::Runtime;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::sse::{Splitter, TokenEvents};
use crate::measure::duel::Duel;
use crate::measure::{Lab, http};
use crate::report::say;

/// The least share of the baseline's events a second.
const RATIO_MIN: f64 = 0.85;

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let server = lab.simwright(&lab.scenario)?;
    let chat = http::chat(lab, &server, true)?;
    let body = http::capture(&server, &chat)?;
    drop(server);
    let (events, tokens) = count(&body, lab.dialect);
    ensure!(tokens > 0, "the captured stream holds no token: `{}`", String::from_utf8_lossy(&body));
    say(&format!("stream: {events} events with {tokens} tokens, {} bytes", body.len()));
    let file = lab.folder.path().join("frames.sse");
    std::fs::write(&file, &body)?;
    let baseline = |runtime: Runtime| lab.copying_baseline("baseline-sse", &file, runtime);
    let duel = Duel {
        bench: "stream",
        unit: "events/s",
        units_per_answer: events as f64,
        ratio_min: RATIO_MIN,
        chat,
        simwright: &|| lab.simwright(&lab.scenario),
        baseline: &baseline,
    };
    duel.fight(lab)
}

/// Events of a body, and those that carry a token.
fn count(body: &[u8], dialect: Dialect) -> (usize, usize) {
    let (tokens, mut events, mut found) = (TokenEvents::of(dialect), 0, 0);
    Splitter::default().feed(body, |event| {
        events += 1;
        found += usize::from(tokens.is_token(event));
    });
    (events, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_tokens_are_counted_apart() {
        let body = b"data: {\"content\":\"\"}\n\ndata: {\"content\":\"a\"}\n\ndata: [DONE]\n\n";
        assert_eq!(count(body, Dialect::Openai), (3, 1));
    }
}
