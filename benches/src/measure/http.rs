//! Whole replies: requests a second through three plugins, against a bare axum handler that parses the same request and returns
//! the same bytes.
//!
//! The null server comes first: it says what the load generator itself can do.

use anyhow::{Result, ensure};

use crate::baseline::Runtime;
use crate::child::Server;
use crate::figures::rounds::Better;
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::load::fetch;
use crate::load::request::Chat;
use crate::load::requests::{self, Drive, Pace};
use crate::measure::Lab;
use crate::measure::duel::Duel;

/// The least share of the baseline's requests a second.
const RATIO_MIN: f64 = 0.85;
/// The reply's length that is asked for.
pub const TOKENS: u32 = 32;

/// What Simwright answers to `chat`, once; another status than 200 is an error.
pub fn capture(server: &Server, chat: &Chat) -> Result<Vec<u8>> {
    let answer = fetch::fetch(server.api, &chat.http1(server.api, 0))?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == 200, "the server answered {} to the first request: `{text}`", answer.status);
    Ok(answer.body)
}

/// The request of a comparison: the chosen model, or the first that the server lists.
pub fn chat(lab: &Lab, server: &Server, stream: bool) -> Result<Chat> {
    let model = lab.model.clone().map_or_else(|| fetch::first_model(server), Ok)?;
    Ok(Chat { model, stream, max_tokens: TOKENS, dialect: lab.dialect })
}

/// Measures it.
pub fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let mut figures = vec![generator(lab)?];
    let server = lab.simwright(&lab.scenario)?;
    let chat = chat(lab, &server, false)?;
    let reply = capture(&server, &chat)?;
    drop(server);
    let file = lab.folder.path().join("reply.json");
    std::fs::write(&file, &reply)?;
    let baseline = |runtime: Runtime| lab.copying_baseline("baseline-json", &file, runtime);
    let duel = Duel {
        bench: "http",
        unit: "req/s",
        units_per_answer: 1.0,
        ratio_min: RATIO_MIN,
        chat,
        simwright: &|| lab.simwright(&lab.scenario),
        baseline: &baseline,
    };
    figures.extend(duel.fight(lab)?);
    Ok(figures)
}

/// Requests a second of the generator on a whole core, from its CPU time against a server that answers without looking.
fn generator(lab: &Lab) -> Result<Figure> {
    let server = lab.baseline::<&str>("baseline-null", &[], None)?;
    let chat = Chat { model: "bench".to_owned(), stream: false, max_tokens: TOKENS, dialect: Dialect::Openai };
    let set = chat.http1_set(server.api, 1);
    let outcome = requests::run(Drive {
        to: server.api,
        pid: server.pid(),
        requests: &set,
        connections: lab.connections,
        pace: Pace::Busy,
        warm_up: lab.warm_up(),
        measure: lab.measured(),
    })?;
    ensure!(outcome.completed > 0, "the null server answered nothing");
    let whole_core = outcome.completed as f64 * 1e9 / outcome.used.load_ns.max(1) as f64;
    let name = "generator on a whole core";
    Ok(Figure::new("http", name, "req/s", Better::Higher, vec![whole_core])
        .note(format!("{:.0} req/s reached with the null server on the other core", outcome.per_second())))
}
